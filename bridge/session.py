"""One call at work: the carrier's stream on one side, the AI on the other, effects carried out.

It holds no rule: what may happen is `call`'s, what is sent and heard is `playout`'s, what is seen
is `picture`'s. Audio in takes three steps here and audio out four; whatever can wait (peaks,
recording, transcript, watchdogs) is done in one go every `TICK_MS`, and nothing here awaits a
disk, a console, a tool or a log.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from binascii import a2b_base64
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import Any

from msgspec.structs import replace

from bridge import call as calls
from bridge import engines, hold_sound, keypad
from bridge.audio import BYTES_PER_MS
from bridge.call import Effect
from bridge.carriers import twilio
from bridge.control import (
    Floor,
    MarkerKind,
    Party,
    Phase,
    Recording,
    Side,
    TakeOverView,
    ToolState,
    ToolView,
    TurnKind,
)
from bridge.errors import PeerError
from bridge.house import House, Recorder, Stream
from bridge.line import HOLD, KEYS, TALK, Ear, Line, voice_of
from bridge.picture import Picture
from bridge.profiles import Profile
from bridge.voice import Voice

log = logging.getLogger("cordboard.session")

TICK_MS = 100
STALL_MS = 500
SILENT_LINE_MS = 2000
END_PATIENCE_S = 5.5
SLOW_ANSWER_MS = 4000
STALE_MS = 2000
BACKLOG_MS = 1000
MAX_KEYS_A_SECOND = 20
MAX_TOLD = 10
TOLD_MS = 10_000
MAX_UNKNOWN_NAMES = 100
EMPTY_REPLIES = 3
KEYS_PAUSE_S = 1.2
"""Keys of the caller that come closer together than this are one entry."""

HOLD_AHEAD_MS = 2000
SILENCE_MARK = "silent-"


class Session:
    """One call, from its ring to its last word in the journal."""

    def __init__(self, picture: Picture, profile: Profile, house: House) -> None:
        self.picture = picture
        self.profile = profile
        self.house = house
        self.call = picture.call
        self.finished = asyncio.Event()
        self.bad_messages = 0
        self.ears: dict[str, Ear] = {}
        """Who listens to this call, by console."""
        self.unknown_messages: dict[str, int] = {}
        self._loop = asyncio.get_running_loop()
        self._zero_s = self._loop.time()
        self._stream: Stream | None = None
        self._line: Line | None = None
        self._recorder: Recorder | None = None
        self._engine: engines.Engine | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._work: set[asyncio.Task[None]] = set()
        self._frames: list[tuple[int, bytes]] = []
        self._received: dict[str, int] = {}
        self._media_ms = 0.0
        self._tick_timer: asyncio.TimerHandle | None = None
        self._tick_due_s = 0.0
        self._end_timer: asyncio.TimerHandle | None = None
        self._say_request = ""
        self._empty_replies = 0
        self._caller_waits = False
        self._talks = 0
        self._took_over_ms = 0.0
        self._fault: Exception | None = None
        self._closed = False
        self._stall_s = math.inf
        self._caller_ms = 0
        self._fresh_ms = 0.0
        self._backlog_until_ms = 0.0
        self._told: set[str] = set()
        self._keys_lately = 0
        self._keys_in = ""
        self._keys_timer: asyncio.TimerHandle | None = None
        self._keys_out = 0
        self._holds = 0
        self._voice = Voice()
        self._caller_turn = ""

    # ── life ──

    def now_ms(self) -> float:
        """Call time."""
        return (self._loop.time() - self._zero_s) * 1000

    async def run(self, stream: Stream) -> None:
        """Carry the call on this stream until it is over. Raises what is a fault of ours."""
        self._zero_s = self._tick_due_s = self._loop.time()
        self.picture.started_unix_ms = round(time.time() * 1000)
        opened = self.house.recorder(self.picture.call_id)
        if opened is not None:
            self._recorder, self.picture.recording_path = opened
            self.picture.recording = Recording.ON
        self._stream = stream
        self._line = Line(stream, self.picture, self._recorder, self.now_ms, self._broke)
        self._line.ears = self.ears
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self.apply(calls.StreamStarted())
                self.house.spawn(self.house.limit_time(self.picture.call_sid, self.house.time_limit_s))
                self._tick()
                await self.finished.wait()
                if self._fault is not None:
                    raise self._fault
                if self._engine is not None:
                    await self._engine.close()
                for task in list(self._work):
                    task.cancel()
        except asyncio.CancelledError:
            self.end("the bridge was stopped")
            raise
        finally:
            self._tasks = None
            self.end("the bridge had a fault")
            stream.close()

    def _broke(self, fault: Exception) -> None:
        """Something of ours failed where nobody waits for it: `run` ends the call by it."""
        self._fault = fault
        self.finished.set()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do what a timer of ours asks for."""
        try:
            work()
        except Exception as fault:
            self._broke(fault)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work that belongs to the call and ends with it at the latest."""
        if self._tasks is None:
            work.close()
            return
        task = self._tasks.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def end(self, cause: str) -> None:
        """Whatever happened: the call is over, its files are closed. Never raises."""
        for last in (calls.StreamStopped(cause), calls.CarrierEnded(cause)):
            if self.call.phase is not Phase.ENDED:
                try:
                    self.apply(last)
                except Exception:
                    log.exception("a call did not end as it should")
        self._finish()

    def stream_over(self, why: str) -> None:
        """The media stream has ended, or its socket is gone."""
        if self.call.phase is not Phase.ENDED:
            self.apply(calls.StreamStopped(why))

    def recording_closed(self, state: Recording) -> None:
        """The recording's last byte is on disk, or it could not be kept whole."""
        self.picture.recording = state
        self._call_changed()

    # ── what changes the call ──

    def apply(self, input: calls.Input) -> None:
        """Turn the machines and carry out what they say. Raises NotAllowed for an operator's verb."""
        if isinstance(input, calls.Privacy):
            # What came until now is told, or not, by what held until now.
            self._enter_keys()
            self._take_frames()
            if self._line is not None:
                self._line.advance()
        effects = self.call.apply(input)
        at_ms = round(self.now_ms()) if self._stream is not None else 0
        self._note_down("input", {"input": type(input).__name__, **self._told_of(input)}, at_ms)
        if self.call.phase is Phase.ENDED:
            self.picture.clock_ms = max(self.picture.clock_ms, at_ms)
        for effect in effects:
            self._carry_out(effect, input)
        if effects:
            self._note_down("effects", {"effects": [effect.name for effect in effects]}, at_ms)
        self._call_changed()

    def _told_of(self, input: calls.Input) -> dict[str, Any]:
        told = asdict(input)
        if isinstance(input, calls.PressKeys):
            told["keys"] = keypad.masked(input.keys, self.call.private)
        return told

    def _carry_out(self, effect: Effect, input: calls.Input) -> None:
        match effect:
            case Effect.OPEN_ENGINE:
                self._engine = self.house.engine(self.profile)
                self._start(self._run_engine(self._engine))
            case Effect.CUT:
                self._cut(Party.CALLER if isinstance(input, calls.CallerSpoke) else Party.OPERATOR)
                if isinstance(input, calls.TakeOver):
                    self._took_over(input.console)
                if isinstance(input, calls.Interrupt):
                    self.picture.mark(self.now_ms(), MarkerKind.OPERATOR, "interrupt")
            case Effect.PLAY_HOLD:
                self._holds += 1
                self._took_over_ms = self.now_ms()
                self.picture.note("The caller was put on hold", "hold", self.now_ms())
                self._keep_on_hold()
            case Effect.PRESS_KEYS if isinstance(input, calls.PressKeys):
                self._press(input.keys)
            case Effect.GO_PRIVATE:
                self._go_private()
            case Effect.GO_PUBLIC:
                self._go_public()
            case Effect.HANG_UP_CARRIER:
                self._expect_end()
                self.house.spawn(self._hang_up())
            case Effect.CLOSE_STREAM if self._stream is not None:
                self._stream.close()
                self._expect_end()
            case Effect.FINISH:
                self._finish()
            case _ if self._engine is not None:
                self._tell_engine(self._engine, effect, input)

    def _tell_engine(self, engine: engines.Engine, effect: Effect, input: calls.Input) -> None:
        match effect, input:
            case Effect.GREET, _:
                engine.greet(self.profile.first_line)
            case Effect.SILENCE_AI, _:
                engine.may_answer(False)
                self._silenced(input)
            case Effect.LET_AI_ANSWER, _:
                engine.may_answer(True)
            case Effect.ANSWER_NOW, calls.MuteAI():
                self.picture.note("The AI may answer again", "unmuted", self.now_ms())
                if self._caller_waits:
                    engine.answer_now()
            case Effect.ANSWER_NOW, _:
                engine.answer_now()
            case Effect.TELL_HOLD_OVER, _:
                lasted_s = (self.now_ms() - self._took_over_ms) / 1000
                engine.tell(f"The caller was on hold for {lasted_s:.0f} s. Thank them and go on; do not greet again.")
                self.picture.note("The hold is over", "hold ended", self.now_ms())
            case Effect.TELL_HAND_BACK, _:
                self._tell_hand_back(engine, input)
            case Effect.PASS_WHISPER, calls.Whisper(text=text):
                self.picture.operator_line(TurnKind.WHISPER, text, self.now_ms())
                engine.whisper(text)
            case Effect.PASS_ASK, calls.Ask(text=text, cut_in=cut_in):
                if cut_in:
                    self._cut(Party.OPERATOR)
                request = self.picture.operator_line(TurnKind.ASK, text, self.now_ms())
                engine.ask(text, request, cut_in=cut_in)
            case Effect.PASS_SAY, calls.Say(text=text):
                engine.say(text, self.picture.operator_line(TurnKind.SAY, text, self.now_ms()))
            case Effect.CLOSE_ENGINE, _:
                self.house.spawn(engine.close())

    def _silenced(self, input: calls.Input) -> None:
        self.picture.wait_ends()
        self.picture.thinking = False
        if isinstance(input, calls.MuteAI):
            self.picture.note("The AI was muted; it still listens", "muted", self.now_ms())

    def _took_over(self, console: str) -> None:
        """The AI's speech was cut just now; how fast the rest comes is measured from here."""
        now_ms = self.now_ms()
        self._talks += 1
        self._took_over_ms = now_ms
        self._voice = Voice()
        self.picture.met("person", "silent", "barge-ins")
        self.picture.note(f"{console} took over", "took over", now_ms)
        number = str(self._talks)
        view = TakeOverView(call_id=self.picture.call_id, take_over_id=number, console=console, at_ms=round(now_ms))
        self.picture.take_over(view)
        if self._line is not None:
            # The carrier returns it once it has nothing left to play.
            self._line.ask_mark(SILENCE_MARK + number)

    def _silent(self, number: str) -> None:
        """The carrier confirmed that nothing of the AI's is left."""
        view = self.picture.take_overs.get(number)
        if view is not None and view.silent_ms is None:
            self.picture.take_over(replace(view, silent_ms=self.now_ms() - self._took_over_ms))

    def _keep_on_hold(self) -> None:
        """The hold's sound goes on for as long as the hold does."""
        if self.call.floor is Floor.HOLD and self._line is not None and self._line.playout.unheard_ms < HOLD_AHEAD_MS:
            self._line.speak(f"{HOLD}{self._holds}", hold_sound.loop())

    def _press(self, keys: str) -> None:
        """Tones to the other side, on the stream."""
        self._keys_out += 1
        if self._line is not None:
            self._line.speak(f"{KEYS}{self._keys_out}", keypad.tones(keys))
        shown = keypad.masked(keys, self.call.private)
        self.picture.keys(Party.OPERATOR, shown, self.now_ms())
        if self._engine is not None:
            self._engine.tell(f"A human colleague pressed keys on the keypad: {' '.join(shown)}")

    def _go_private(self) -> None:
        """Nothing of the caller is kept, shown or passed on from here on."""
        self._fresh_ms = math.inf
        if self._engine is not None:
            self._engine.unhear()
        if self._caller_turn:
            self.picture.caller_speaking = False
            self.picture.lines(self.picture.transcript.caller_words_failed(self._caller_turn, round(self.now_ms())))
            self._caller_turn = ""
        self.picture.note("A privacy hold began: nothing is recorded, written down or sent", "private", self.now_ms())

    def _go_public(self) -> None:
        self._fresh_ms = 0.0
        self.picture.note("The privacy hold is over", "privacy over", self.now_ms())

    def _tell_hand_back(self, engine: engines.Engine, input: calls.Input) -> None:
        lasted_s = (self.now_ms() - self._took_over_ms) / 1000
        note = input.note.strip() if isinstance(input, calls.HandBack) else ""
        told = (
            f"A human colleague took over the line and spoke with the caller for {lasted_s:.0f} s. "
            "What the caller said meanwhile is part of this conversation. "
        )
        if note:
            told += f"Your colleague tells you: {note} "
        engine.tell(told + "Go on as a colleague who listened. Do not greet the caller again.")
        words = f"Handed back to the AI: {note}" if note else "Handed back to the AI"
        if isinstance(input, calls.ConsoleGone):
            words = f"{input.console} was lost; the AI has the floor again"
        self.picture.note(words, "handed back", self.now_ms())

    def _cut(self, by: Party) -> None:
        """Stop what plays; the engine forgets what was not heard."""
        if self._line is None:
            return
        self._take_received()
        cut = self._line.cut()
        items = [item_id for item_id in (cut.item_id, *cut.dropped) if voice_of(item_id) is Party.AI]
        item_id = items[0] if items else ""
        heard_ms = cut.heard_ms if item_id == cut.item_id else 0
        if by is Party.OPERATOR and (item_id or self.picture.thinking):
            # Cut short by us, the caller still waits for an answer.
            self._caller_waits = True
        if self._engine is not None and (item_id or by is Party.OPERATOR):
            self._engine.cut(item_id, heard_ms, by_caller=by is Party.CALLER)
        self.picture.cut(items, by, self.now_ms())

    # ── the end ──

    async def _hang_up(self) -> None:
        trouble = await self.house.hang_up(self.picture.call_sid)
        if self.call.phase is Phase.ENDED:
            return
        if not trouble:
            self.apply(calls.CarrierEnded("completed"))
            return
        self.house.notice(f"{trouble} The line is being closed from this side.", self.picture.call_id)
        if self._stream is not None:
            self._stream.close()

    def _expect_end(self) -> None:
        if self._end_timer is None:
            self._end_timer = self._loop.call_later(END_PATIENCE_S, self._guarded, self._end_overdue)

    def _end_overdue(self) -> None:
        if self.call.phase is Phase.ENDING:
            self.house.notice(
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
        for last in (self._enter_keys, self._take_frames, self._hang_up_ear, self.picture.finish, self._keep_tools):
            try:
                last()
            except Exception:
                # What ended the call by a fault may well fail here again.
                log.exception("the last of a call was lost")
        if self._recorder is not None:
            self._recorder.close()
        self.finished.set()

    def _hang_up_ear(self) -> None:
        if self._line is not None:
            self._line.cut(clear=False)

    def _keep_tools(self) -> None:
        for tool in self.picture.tools.values():
            self.house.journal.tool(tool)

    # ── what the carrier sends ──

    def from_carrier(self, text: str) -> None:
        """One message of the media stream. The hot path in. Raises PeerError for nonsense."""
        if self._loop.time() > self._stall_s:
            self._stalled()
        try:
            event = twilio.parse(text)
        except PeerError as error:
            self._bad_message(str(error))
            raise
        if type(event) is not twilio.Media:
            self._seldom_from_carrier(event, text)
            return
        try:
            # Strict, because the text goes into a message to the AI as it is.
            audio = a2b_base64(event.payload, strict_mode=True)
        except ValueError:
            what = "The carrier sent audio that is no base64"
            self._bad_message(what)
            raise PeerError(what) from None
        self._frames.append((event.timestamp, audio))
        if self.ears:
            self._overhear(event.timestamp, audio)
        if self._engine is not None and event.timestamp >= self._fresh_ms:
            self._engine.hear(event.payload, event.timestamp)

    def _seldom_from_carrier(self, event: twilio.Event, text: str) -> None:
        now_ms = self.now_ms()
        match event:
            case twilio.Mark(name=name) if self._line is not None:
                if name.startswith(SILENCE_MARK):
                    self._silent(name.removeprefix(SILENCE_MARK))
                self._line.marked(name)
                self.picture.message(now_ms, "twilio", False, "mark", text)
            case twilio.Dtmf(digit=digit) if self._keys_lately < MAX_KEYS_A_SECOND:
                self._keys_lately += 1
                self._key_pressed(digit)
                self.picture.message(now_ms, "twilio", False, "dtmf", "")
            case twilio.Stop():
                self.picture.message(now_ms, "twilio", False, "stop", text)
                self.stream_over("caller hung up")
            case twilio.Start():
                self._trouble("second start refused", "The carrier sent a second start for this call; it was ignored.")
            case twilio.Unknown(name=name):
                if len(self.unknown_messages) >= MAX_UNKNOWN_NAMES and name not in self.unknown_messages:
                    name = "others"
                self.unknown_messages[name] = self.unknown_messages.get(name, 0) + 1
                if self.unknown_messages[name] == 1:
                    self.picture.message(now_ms, "twilio", False, f"{name} (unknown, ignored)", text)

    def _bad_message(self, what: str) -> None:
        self.bad_messages += 1
        if self.bad_messages == 1:
            self._trouble("bad message", f"{what}. It was dropped, as any further one will be; the call goes on.")

    def _overhear(self, at_ms: int, audio: bytes) -> None:
        """For those who listen: the caller's frame, and what the caller heard until now."""
        for ear in self.ears.values():
            ear(Side.CALLER, at_ms, audio, Party.CALLER)
        if self._line is not None:
            self._line.advance()

    def _key_pressed(self, key: str) -> None:
        """Keys are told of together, so that a card's number is known for one before any of it is shown."""
        self._keys_in += key
        if self._keys_timer is not None:
            self._keys_timer.cancel()
        self._keys_timer = self._loop.call_later(KEYS_PAUSE_S, self._guarded, self._enter_keys)

    def _enter_keys(self) -> None:
        if self._keys_timer is not None:
            self._keys_timer.cancel()
            self._keys_timer = None
        keys, self._keys_in = self._keys_in, ""
        if not keys:
            return
        shown = keypad.masked(keys, self.call.private)
        self.picture.keys(Party.CALLER, shown, self.now_ms())
        if self._engine is None or shown != keys or self.call.phase is not Phase.LIVE:
            return
        self._engine.tell(f"The caller pressed keys on the keypad: {' '.join(keys)}")
        if self.call.floor is Floor.AI:
            self._engine.answer_now()

    # ── what the operator's microphone sends ──

    def talk(self, mulaw: bytes) -> None:
        """The operator's voice, while a console holds the floor."""
        if self._line is None or not mulaw:
            return
        now_ms = self.now_ms()
        shaped = self._voice.shape(mulaw, self._line.playout.ahead_ms(now_ms))
        if shaped:
            self._line.speak(f"{TALK}{self._talks}", shaped)
            view = self.picture.take_overs.get(str(self._talks))
            if view is not None and view.voice_ms is None:
                self.picture.take_over(replace(view, voice_ms=self.now_ms() - self._took_over_ms))

    # ── every TICK_MS ──

    def _tick(self) -> None:
        now_s = self._loop.time()
        if now_s > self._stall_s:
            self._stalled()
        self._tick_due_s = max(self._tick_due_s, now_s - STALL_MS / 1000) + TICK_MS / 1000
        self._stall_s = self._tick_due_s + STALL_MS / 1000
        self._tick_timer = self._loop.call_at(self._tick_due_s, self._tick)
        self._guarded(self._take_stock)

    def _take_stock(self) -> None:
        """What happened since the last tick."""
        if self._frames:
            self._media_ms = self.now_ms()
        self._take_frames()
        self._take_received()
        if self._line is not None:
            self._line.advance()
            self._keep_on_hold()
        self.picture.tell(("peaks", ""))
        now_ms = self.now_ms()
        if now_ms - self._media_ms > SILENT_LINE_MS and self.call.phase in (Phase.CONNECTING, Phase.LIVE):
            self._trouble("line silent", "No audio has come from the carrier for 2 s; the call is being ended.")
            self.apply(calls.HangUp(Party.NOBODY, "the line went dead"))
        was_s, self.picture.clock_ms = self.picture.clock_ms // 1000, round(now_ms)
        if was_s != self.picture.clock_ms // 1000:
            self.picture.changed()
            for turn_id in self.picture.transcript.unfinished():
                self.house.journal.turn(self.picture.transcript.view(turn_id))
            self._watch(now_ms)

    def _stalled(self) -> None:
        """The loop stood still, so what is read now is old: the AI hears only the newest of it."""
        late_ms = (self._loop.time() - self._tick_due_s) * 1000
        self._stall_s = math.inf
        self._trouble("bridge stalled", f"This machine stalled for {late_ms / 1000:.1f} s; the call goes on.")
        self._media_ms = self.now_ms()
        if not self.call.private:
            self._fresh_ms = self._caller_ms + late_ms - STALE_MS
        self._backlog_until_ms = self._media_ms + BACKLOG_MS
        if self._line is not None:
            self._line.stalled()

    def _watch(self, now_ms: float) -> None:
        self._keys_lately = 0
        if now_ms > self._backlog_until_ms and not self.call.private:
            self._fresh_ms = 0.0
        if self.picture.clock_ms % TOLD_MS < 1000:
            self._told.clear()
        if now_ms > self.house.time_limit_s * 1000 and self.call.phase is Phase.LIVE:
            self.apply(calls.HangUp(Party.NOBODY, "time limit"))
        if self.call.floor is Floor.AI and self.picture.waited_ms(now_ms) > SLOW_ANSWER_MS:
            self.picture.need("silent", "AI silent, caller waits")

    def _take_frames(self) -> None:
        """Caller audio since the last tick, to the recording and the waveform."""
        frames, self._frames = self._frames, []
        index = 0
        while index < len(frames):
            start_ms, audio = frames[index]
            index += 1
            while index < len(frames) and frames[index][0] == start_ms + len(audio) // BYTES_PER_MS:
                audio += frames[index][1]
                index += 1
            self._caller_ms = start_ms + len(audio) // BYTES_PER_MS
            if audio and not self.call.private:
                self.picture.waveform.add_caller(start_ms, audio)
                if self._recorder is not None:
                    self._recorder.caller(start_ms, audio)

    def _take_received(self) -> None:
        """AI audio since the last tick, to the transcript."""
        for item_id, count in self._received.items():
            if count:
                self.picture.transcript.speech_received(item_id, count, round(self.now_ms()))
                self._received[item_id] = 0

    # ── what the engine reports (engines.Listener) ──

    async def _run_engine(self, engine: engines.Engine) -> None:
        try:
            await engine.run(self)
        except engines.EngineLost as lost:
            log.warning("the engine was lost (fatal: %s)", lost.fatal)
            self.house.engine_lost(str(lost))
            self._trouble("AI lost", str(lost))
            if self.call.floor in calls.BY_PERSON:
                self.picture.need("engine", "the AI is gone; you have the floor")
            self.apply(calls.EngineGone("the AI was lost"))

    def on_speech(self, item_id: str, payload: str) -> None:
        """AI audio from the engine. The hot path out."""
        if self._line is None or self.call.floor in calls.BY_PERSON:
            return
        try:
            audio = a2b_base64(payload)
        except ValueError:
            self._trouble("AI audio unreadable", "The AI sent audio that is no base64. It was dropped.")
            return
        if item_id not in self._received:
            self._item_begins(item_id)
        if not self._received[item_id]:
            self.picture.first_audio(item_id, self.now_ms())
        self._received[item_id] += len(audio)
        self._line.speak(item_id, audio)

    def _item_begins(self, item_id: str) -> None:
        self._received[item_id] = 0
        if self._say_request:
            self.picture.transcript.say_begins(self._say_request, item_id)
        self.picture.thinking = False
        self.picture.met("silent")

    def on_message(self, outbound: bool, name: str, text: str) -> None:
        """A wire message of the engine went by."""
        self.picture.message(self.now_ms(), "openai", outbound, name, text)

    def on_event(self, event: engines.Event) -> None:
        """Anything the engine reports but audio."""
        now_ms = round(self.now_ms())
        picture, transcript = self.picture, self.picture.transcript
        match event:
            case engines.Ready(expires_unix_ms=expires):
                if expires is not None:
                    picture.session_expires_ms = round(expires - time.time() * 1000 + now_ms)
                self.house.engine_ready(event.model)
                self.apply(calls.EngineReady())
            case engines.CallerStarted() | engines.CallerStopped() if self.call.private:
                pass
            case engines.CallerStarted(item_id=item_id, at_ms=at_ms):
                self._caller_turn = item_id
                picture.caller_speaking = True
                picture.wait_ends()
                picture.lines(transcript.caller_started(item_id, at_ms))
                self.apply(calls.CallerSpoke())
            case engines.CallerStopped(item_id=item_id, at_ms=at_ms):
                picture.caller_speaking = False
                self._caller_turn = ""
                self._caller_waits = True
                if self.call.floor is Floor.AI:
                    picture.thinking = True
                    picture.wait_begins(at_ms, now_ms)
                picture.lines(transcript.caller_stopped(item_id, at_ms))
                picture.changed()
            case engines.CallerWords(item_id=item_id, text=text, final=final):
                picture.lines(transcript.caller_words(item_id, text, final, now_ms))
                if final:
                    picture.caller_said(text)
            case engines.CallerWordsFailed(item_id=item_id):
                picture.lines(transcript.caller_words_failed(item_id, now_ms))
            case engines.ReplyStarted(kind=kind, request=request):
                self._caller_waits = False
                self._say_request = request if kind is engines.ReplyKind.SAY else ""
            case engines.ReplyWords(item_id=item_id, delta=delta):
                if item_id not in self._received:
                    self._item_begins(item_id)
                picture.lines(transcript.reply_words(item_id, delta, now_ms))
            case engines.ReplyWordsDone(item_id=item_id, text=text):
                picture.lines(transcript.reply_words_done(item_id, text, now_ms))
            case engines.SpeechDone(item_id=item_id):
                self._take_received()
                picture.lines(transcript.speech_done(item_id))
                if self._line is not None:
                    self._line.finish(item_id)
            case engines.ReplyDone():
                self._reply_done(event)
            case engines.ToolAsked(tool_id=tool_id, name=name, arguments=arguments):
                self._start(self._run_tool(tool_id, name, arguments))
            case engines.Used(tokens=tokens, cost_usd=cost_usd):
                picture.used(tokens, cost_usd)
            case engines.Trouble(code=code, text=text):
                self._trouble(code, text)

    def _reply_done(self, done: engines.ReplyDone) -> None:
        self._say_request = ""
        if not self.picture.running_tools():
            self.picture.thinking = False
        self.picture.used(done.tokens, done.cost_usd)
        if done.status == "failed":
            self._trouble("reply failed", f"The AI could not answer: {done.reason}. Ask it again, or take over.")
            self.picture.need("silent", "the AI could not answer")
        elif done.spoke or self.picture.running_tools():
            self._empty_replies = 0
        elif done.status == "completed":
            self._empty_replies += 1
            if self._empty_replies >= EMPTY_REPLIES:
                self.picture.need("silent", "the AI answers without a word")

    async def _run_tool(self, tool_id: str, name: str, arguments: str) -> None:
        started_ms = self.now_ms()
        view = ToolView(
            call_id=self.picture.call_id,
            tool_id=tool_id,
            order=self.picture.transcript.next_order(),
            name=name,
            arguments=arguments,
            state=ToolState.RUNNING,
            start_ms=round(started_ms),
        )
        self.picture.tool(view)
        self.house.journal.tool(view)
        self.picture.mark(started_ms, MarkerKind.TOOL, name)
        result = await self.house.run_tool(name, arguments)
        took_ms = self.now_ms() - started_ms
        self.picture.tool_took(took_ms)
        state = ToolState.DONE if result.ok else ToolState.FAILED
        view = replace(view, state=state, result=result.text, duration_ms=round(took_ms))
        self.picture.tool(view)
        self.house.journal.tool(view)
        if not result.ok:
            self.picture.need("tool", f"{name} failed")
        elif name == "ask_for_person":
            self.picture.need("person", "asks for a person")
        if self._engine is not None:
            self._engine.answer_tool(tool_id, result.text)

    # ── telling ──

    def _call_changed(self) -> None:
        self.picture.changed()
        self.house.journal.call(self.picture.view())

    def _note_down(self, kind: str, body: dict[str, Any], at_ms: int) -> None:
        self.house.journal.entry(self.picture.call_id, at_ms, kind, body)

    def _trouble(self, label: str, text: str) -> None:
        """Write it down, mark it, and tell the operator if there is something to tell.

        The same again within `TOLD_MS`, or more than `MAX_TOLD` things in that time, is passed over:
        a peer that errs a thousand times a second must not flood the desk.
        """
        if text + label in self._told or len(self._told) >= MAX_TOLD:
            return
        self._told.add(text + label)
        at_ms = self.now_ms()
        self._note_down("trouble", {"label": label, "text": text}, round(at_ms))
        if text:
            self.picture.mark(at_ms, MarkerKind.TROUBLE, label)
            self.house.notice(text, self.picture.call_id)
