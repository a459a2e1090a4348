"""One call at work: its three sides put together, and effects carried out.

It holds no rule: what may happen is `call`'s, what is sent and heard is `playout`'s, what is seen
is `picture`'s. What the carrier brings is `caller`'s, what the engine reports is `ai`'s, what a
person does on the line is `operator`'s. Whatever can wait (peaks, recording, transcript, watchdogs)
is done in one go every `TICK_MS`, and nothing here awaits a disk, a console, a tool or a log.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import asdict
from typing import Any

from bridge import call as calls
from bridge import keypad
from bridge.ai import AI
from bridge.call import Effect
from bridge.caller import STALL_MS, Caller
from bridge.control import Floor, MarkerKind, Party, Phase, Recording
from bridge.house import House, Stream
from bridge.line import Ear, Line
from bridge.live import TOLD_MS, Live
from bridge.operator import Operator
from bridge.picture import NOT_KEPT, Picture
from bridge.profiles import Profile
from bridge.saying import Saying
from bridge.seat import Seat

log = logging.getLogger("cordboard.session")

TICK_MS = 100
END_PATIENCE_S = 5.5
CUT_BY = {calls.CallerSpoke: Party.CALLER, calls.EngineGone: Party.NOBODY, calls.EngineReady: Party.NOBODY}
"""Who cut what was playing, by what happened; all else is an operator's doing."""


class Session:
    """One call, from its ring to its last word in the journal."""

    def __init__(self, picture: Picture, profile: Profile, house: House) -> None:
        self.picture = picture
        self.call = picture.call
        self.finished = asyncio.Event()
        self.live = Live(picture, profile, house, self.apply, self._broke)
        self._saying = Saying(self.live)
        self._ai = AI(self.live, self._saying)
        self._seat = Seat(self.live, self._ai)
        self._operator = Operator(self.live)
        self._caller = Caller(self.live, self._operator)
        self.from_carrier = self._caller.from_carrier
        self.stream_over = self._caller.stream_over
        self.talk = self._operator.talk
        self._tick_timer: asyncio.TimerHandle | None = None
        self._tick_due_s = 0.0
        self._looks = False
        """Whether this tick looks after silence and successors, for which every other one is soon enough."""

        self._end_timer: asyncio.TimerHandle | None = None
        self._fault: Exception | None = None
        self._closed = False

    @property
    def ears(self) -> dict[object, Ear]:
        """Who listens to this call, by console: two may have the same name."""
        return self._caller.ears

    @property
    def bad_messages(self) -> int:
        """How many messages of the carrier's could not be read."""
        return self._caller.bad_messages

    @property
    def unknown_messages(self) -> dict[str, int]:
        """How many messages of the carrier's we do not know, by name."""
        return self._caller.unknown_messages

    # ── life ──

    async def run(self, stream: Stream) -> None:
        """Carry the call on this stream until it is over. Raises what is a fault of ours."""
        live, house = self.live, self.live.house
        live.zero_s = self._tick_due_s = live.loop.time()
        self.picture.started_unix_ms = round(time.time() * 1000)
        opened = house.recorder(self.picture.call_id)
        if opened is not None:
            live.recorder, self.picture.recording_path = opened
            self.picture.recording = Recording.ON
        live.stream = stream
        live.line = Line(stream, self.picture, live.recorder, live.now_ms, self._broke)
        live.line.ears = self.ears
        live.line.on_played = self._ai.played
        try:
            async with asyncio.TaskGroup() as tasks:
                live.begin_work(tasks)
                self.apply(calls.StreamStarted())
                house.spawn(house.limit_time(self.picture.call_sid, house.time_limit_s))
                self._tick()
                await self.finished.wait()
                if self._fault is not None:
                    raise self._fault
                await self._seat.close()
                # What an engine cost until its end is told last.
                live.changed()
                live.end_work()
        except asyncio.CancelledError:
            self.end("the bridge was stopped")
            raise
        finally:
            live.end_work()
            self.end("the bridge had a fault")
            stream.close()

    def _broke(self, fault: Exception) -> None:
        """Something of ours failed where nobody waits for it: `run` ends the call by it."""
        self._fault = fault
        self.finished.set()

    def end(self, cause: str) -> None:
        """Whatever happened: the call is over, its files are closed. Never raises."""
        for last in (calls.StreamStopped(cause), calls.CarrierEnded(cause)):
            if self.call.phase is not Phase.ENDED:
                try:
                    self.apply(last)
                except Exception:
                    log.exception("a call did not end as it should")
        self._finish()

    def recording_closed(self, state: Recording) -> None:
        """The recording's last byte is on disk, or it could not be kept whole."""
        self.picture.recording = state
        self.live.changed()

    # ── what changes the call ──

    def apply(self, input: calls.Input) -> None:
        """Turn the machines and carry out what they say. Raises NotAllowed for an operator's verb."""
        if isinstance(input, calls.Privacy):
            # What came until now is told, or not, by what held until now.
            self._caller.enter_keys()
            self._caller.take_frames()
            if self.live.line is not None:
                self.live.line.advance()
        effects = self.call.apply(input)
        at_ms = round(self.live.now_ms()) if self.live.stream is not None else 0
        self.live.note_down("input", {"input": type(input).__name__, **self._told_of(input)}, at_ms)
        if self.call.phase is Phase.ENDED:
            self.picture.clock_ms = max(self.picture.clock_ms, at_ms)
        for effect in effects:
            self._carry_out(effect, input)
        if self.call.floor is not Floor.OPERATOR or self.call.private:
            self._operator.close_transcriber()
        if effects:
            self.live.note_down("effects", {"effects": [effect.name for effect in effects]}, at_ms)
        self.live.changed()

    def _told_of(self, input: calls.Input) -> dict[str, Any]:
        told = asdict(input)
        if isinstance(input, calls.PressKeys):
            told["keys"] = keypad.masked(input.keys, self.call.private)
        elif self.call.private:
            told |= {field: NOT_KEPT for field in ("text", "note") if told.get(field)}
        return told

    def _carry_out(self, effect: Effect, input: calls.Input) -> None:
        match effect:
            case Effect.OPEN_ENGINE:
                self._seat.open()
            case Effect.GO_PRIVATE:
                self._caller.go_private()
                self._ai.unhear()
                words = "A privacy hold began: nothing is recorded, written down or sent"
                self.picture.note(words, "private", self.live.now_ms())
            case Effect.GO_PUBLIC:
                self._caller.go_public()
                self.picture.note("The privacy hold is over", "privacy over", self.live.now_ms())
            case Effect.HANG_UP_CARRIER:
                self._expect_end()
                self.live.house.spawn(self._hang_up())
            case Effect.CLOSE_STREAM if self.live.stream is not None:
                self.live.stream.close()
                self._expect_end()
            case Effect.CLOSE_ENGINE:
                self.live.house.spawn(self._seat.close())
            case Effect.RING_OPERATORS:
                self._seat.ring()
            case Effect.SWAP_ENGINE if isinstance(input, calls.Swap):
                self._seat.swap(input.engine)
            case Effect.FINISH:
                self._finish()
            case _:
                self._speak(effect, input)

    def _speak(self, effect: Effect, input: calls.Input) -> None:
        """What changes who is heard, and what they say."""
        engine = self.live.engine
        match effect, input:
            case Effect.GREET, _:
                self._seat.greet()
            case Effect.CUT, _:
                self._ai.cut(CUT_BY.get(type(input), Party.OPERATOR))
                # An Unhold may give them the floor for the first time: when the AI was lost on hold.
                new = isinstance(input, calls.TakeOver) or not self._operator.taken
                if new and self.call.floor is Floor.OPERATOR:
                    self._operator.took_over(self.call.holder)
                if isinstance(input, calls.Interrupt):
                    self.picture.mark(self.live.now_ms(), MarkerKind.OPERATOR, "interrupt")
            case Effect.SILENCE_AI, _:
                self._ai.silenced(input)
            case Effect.LET_AI_ANSWER, _ if engine is not None:
                engine.may_answer(True)
            case Effect.ANSWER_NOW, _:
                self._ai.answer_now(input)
            case Effect.TELL_HAND_BACK, _:
                self._operator.hand_back(input)
            case Effect.PLAY_HOLD, _:
                self._operator.hold()
            case Effect.TELL_HOLD_OVER, _:
                self._operator.hold_over()
            case Effect.PRESS_KEYS, calls.PressKeys(keys=keys):
                self._operator.press(keys)
            case Effect.PASS_WHISPER, calls.Whisper(text=text):
                self._ai.whisper(text)
            case Effect.PASS_ASK, calls.Ask(text=text, cut_in=cut_in):
                self._ai.ask(text, cut_in=cut_in)
            case Effect.PASS_SAY, calls.Say(text=text):
                self._saying.say(text)

    # ── the end ──

    async def _hang_up(self) -> None:
        trouble = await self.live.house.hang_up(self.picture.call_sid)
        if self.call.phase is Phase.ENDED:
            return
        if not trouble:
            self.apply(calls.CarrierEnded("completed"))
            return
        self.live.house.notice(f"{trouble} The line is being closed from this side.", self.picture.call_id)
        if self.live.stream is not None:
            self.live.stream.close()

    def _expect_end(self) -> None:
        if self._end_timer is None:
            self._end_timer = self.live.later(END_PATIENCE_S, self._end_overdue)

    def _end_overdue(self) -> None:
        if self.call.phase is Phase.ENDING:
            self.live.house.notice(
                "The carrier did not confirm the end of a call. It ends by its time limit at the latest.",
                self.picture.call_id,
            )
            self.apply(calls.EndOverdue())

    def _finish(self) -> None:
        if self._closed:
            return
        self._closed = True
        for timer in (self._tick_timer, self._end_timer):
            if timer is not None:
                timer.cancel()
        for last in (
            self._operator.close_transcriber,
            self._caller.enter_keys,
            self._caller.take_frames,
            self._hang_up_ear,
            self._ai.let_go,
            self.picture.finish,
            self._keep_tools,
        ):
            try:
                last()
            except Exception:
                # What ended the call by a fault may well fail here again.
                log.exception("the last of a call was lost")
        if self.live.recorder is not None:
            self.live.recorder.close()
        self.finished.set()

    def _hang_up_ear(self) -> None:
        if self.live.line is not None:
            self.live.line.cut(clear=False)

    def _keep_tools(self) -> None:
        for tool in self.picture.tools.values():
            self.live.house.journal.tool(tool)

    # ── every TICK_MS ──

    def _tick(self) -> None:
        now_s = self.live.loop.time()
        if now_s > self._caller.stall_s:
            self._caller.stalled()
        self._tick_due_s = max(self._tick_due_s, now_s - STALL_MS / 1000) + TICK_MS / 1000
        self._caller.stall_s = self._tick_due_s + STALL_MS / 1000
        self._tick_timer = self.live.loop.call_at(self._tick_due_s, self._tick)
        self.live.guarded(self._take_stock)

    def _take_stock(self) -> None:
        """What happened since the last tick."""
        self._caller.take_frames()
        self._ai.take_received()
        if self.live.line is not None:
            self.live.line.advance()
            self._operator.keep_on_hold()
        self._looks = not self._looks
        if self._looks:
            self._ai.filler.watch()
            self._seat.watch()
        self.picture.tell(("peaks", ""))
        self._caller.watch()
        was_s, self.picture.clock_ms = self.picture.clock_ms // 1000, round(self.live.now_ms())
        if was_s != self.picture.clock_ms // 1000:
            self._every_second()

    def _every_second(self) -> None:
        self.picture.changed()
        for turn_id in self.picture.transcript.unfinished():
            self.live.house.journal.turn(self.picture.transcript.view(turn_id))
        self._caller.every_second()
        if self.picture.clock_ms % TOLD_MS < 1000:
            self.live.tell_again()
        if self.picture.clock_ms > self.live.house.time_limit_s * 1000 and self.call.phase is Phase.LIVE:
            self.apply(calls.HangUp(Party.NOBODY, "time limit"))
        self._ai.watch()
