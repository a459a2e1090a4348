"""How fast a take-over was for the person who pressed the key. Pure.

The window's own clock runs from the key to the bridge's answer; the bridge's (`TakeOverView`) from
the command's arrival on. Their sum counts the way back twice over, so it is never too little.
Who kept silent after the take-over is timed from the key with which they began to speak.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping

from bridge.control import TakeOverView

PRESS_MS = 1000.0
"""A take-over follows its key this soon; a key that led to nothing is then forgotten."""

Timing = tuple[float | None, float | None]
"""ms from the key to a silent AI, and from the key to the own voice on the wire; None: not yet."""


class TakeOverTiming:
    """Of the newest take-over of one console. Times that are given are of one monotonic clock, ms.

    call_id: whose take-over it is, "" before the first.
    """

    def __init__(self) -> None:
        self.call_id = ""
        self._pressed_ms: float | None = None
        self._asked: tuple[str, float, frozenset[str]] | None = None
        self._key_ms = self._done_ms = 0.0
        self._speaking_ms: list[float] = []
        self._earlier: frozenset[str] = frozenset()

    def pressed(self, now_ms: float) -> None:
        """The key went down."""
        self._pressed_ms = now_ms

    def speaks(self, now_ms: float) -> None:
        """A key went down that lets what is said go to the caller: push-to-talk, or the end of muting."""
        self._speaking_ms.append(now_ms)

    def sent(self, call_id: str, earlier: Collection[str], now_ms: float) -> None:
        """A take-over is on its way; earlier: the take_over_ids that the call has already."""
        pressed_ms, self._pressed_ms = self._pressed_ms, None
        if pressed_ms is None or now_ms - pressed_ms > PRESS_MS:
            pressed_ms = now_ms
        self._asked = (call_id, pressed_ms, frozenset(earlier))

    def done(self, call_id: str, now_ms: float) -> None:
        """The bridge carried out a take-over of this call."""
        if self._asked is not None and self._asked[0] == call_id:
            self.call_id, self._key_ms, self._earlier = self._asked
            self._done_ms = now_ms
            self._speaking_ms = [at_ms for at_ms in self._speaking_ms if at_ms > self._key_ms]
            self._asked = None

    def timing(self, take_overs: Mapping[str, TakeOverView], console: str) -> Timing:
        """Upper bounds, from what the bridge told of the call's take-overs; console: our name."""
        ours = [view for id, view in take_overs.items() if id not in self._earlier and view.console == console]
        if not ours:
            return None, None
        newest = max(ours, key=lambda view: view.at_ms)
        silent_ms = None if newest.silent_ms is None else self._done_ms + newest.silent_ms - self._key_ms
        return silent_ms, None if newest.voice_ms is None else self._voice(self._done_ms + newest.voice_ms)

    def _voice(self, at_ms: float) -> float:
        """For a voice that was on the wire at this time: from the last key before it."""
        before = bisect_right(self._speaking_ms, at_ms)
        return at_ms - (self._speaking_ms[before - 1] if before else self._key_ms)
