"""What the sides of one call at work share: its picture and machines, its line, its clock, its work.

`session` owns it and hands it to the caller's, the AI's and the operator's side; nobody else keeps it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from bridge import call as calls
from bridge import engines
from bridge.audio import FRAME_MS
from bridge.control import Floor, MarkerKind
from bridge.house import House, Recorder, Stream
from bridge.line import Line
from bridge.picture import Picture
from bridge.profiles import Profile

LATELY_FRAMES = engines.KEPT_MS // FRAME_MS
RECENT_COLUMNS = 15
SOUND = 36
"""Height (`bridge.audio.peak`) of speech, 34 dB below full scale."""

MAX_TOLD = 10
TOLD_MS = 10_000


class Live:
    """apply: turns the call's machines and carries out what they say. broke: hears of a fault of ours.

    stream, line and recorder are there from the start of the media stream on, engine from its opening.
    engine_takes_keys: it acts on the caller's keys by itself. keys_masked: nobody may see those pressed
    now; so it is before a PIN is asked for, too.
    """

    def __init__(
        self,
        picture: Picture,
        profile: Profile,
        house: House,
        apply: Callable[[calls.Input], None],
        broke: Callable[[Exception], None],
    ) -> None:
        self.picture = picture
        self.profile = profile
        self.house = house
        self.call = picture.call
        self.apply = apply
        self.broke = broke
        self.stream: Stream | None = None
        self.line: Line | None = None
        self.recorder: Recorder | None = None
        self.engine: engines.Engine | None = None
        self.lately: deque[tuple[str, int]] = deque(maxlen=LATELY_FRAMES)
        """The caller's newest frames as (base64 mu-law, call time), for an engine that takes over in a turn."""

        self.awaited: Callable[[], bool] = lambda: False
        """Whether the caller waits for the AI, or for an engine that is only being opened."""

        self.engine_takes_keys = False
        self.keys_masked = profile.pin is not None
        self.loop = asyncio.get_running_loop()
        self.zero_s = self.loop.time()
        self._tasks: asyncio.TaskGroup | None = None
        self._work: set[asyncio.Task[None]] = set()
        self._told: set[str] = set()

    def now_ms(self) -> float:
        """Call time."""
        return (self.loop.time() - self.zero_s) * 1000

    @property
    def sound_masked(self) -> bool:
        """Whether the tones of keys that are nobody's to know may be in the caller's sound."""
        return self.keys_masked and self.call.floor is not Floor.OPERATOR

    def caller_sounds(self) -> bool:
        """Whether the caller can be heard in their newest frames, whatever an engine makes of them."""
        return max(self.picture.waveform.caller[-RECENT_COLUMNS:], default=0) >= SOUND

    # ── work ──

    def guarded(self, work: Callable[[], None]) -> None:
        """Do what a timer of ours asks for."""
        try:
            work()
        except Exception as fault:
            self.broke(fault)

    def later(self, delay_s: float, work: Callable[[], None]) -> asyncio.TimerHandle:
        """Do this then."""
        return self.loop.call_later(delay_s, self.guarded, work)

    def begin_work(self, tasks: asyncio.TaskGroup) -> None:
        """From now on `start` starts."""
        self._tasks = tasks

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work that belongs to the call and ends with it at the latest."""
        if self._tasks is None:
            work.close()
            return
        task = self._tasks.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def end_work(self) -> None:
        """Nothing is started any more, and what still runs is stopped."""
        self._tasks = None
        for task in list(self._work):
            task.cancel()

    # ── telling ──

    def changed(self) -> None:
        """The call itself changed: for the operators and the journal."""
        self.picture.changed()
        self.house.journal.call(self.picture.view())

    def note_down(self, kind: str, body: dict[str, Any], at_ms: float) -> None:
        """For the journal."""
        self.house.journal.entry(self.picture.call_id, round(at_ms), kind, body)

    def trouble(self, label: str, text: str) -> None:
        """Write it down, mark it, and tell the operator if there is something to tell.

        The same again within `TOLD_MS`, or more than `MAX_TOLD` things in that time, is passed over:
        a peer that errs a thousand times a second must not flood the desk.
        """
        if text + label in self._told or len(self._told) >= MAX_TOLD:
            return
        self._told.add(text + label)
        at_ms = self.now_ms()
        self.note_down("trouble", {"label": label, "text": text}, at_ms)
        if text:
            self.picture.mark(at_ms, MarkerKind.TROUBLE, label)
            self.house.notice(text, self.picture.call_id)

    def tell_again(self) -> None:
        """Once every `TOLD_MS`: what was told before may be told again."""
        self._told.clear()
