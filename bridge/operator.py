"""The operator's side of a call at work: taking over, speaking, the hold, keypad tones, handing back.

What an operator says goes to the caller at once and, beside that, to a transcriber: the words
stand in the transcript, and the AI is told them as they come, so that it can go on as a colleague
who listened.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from bridge import call as calls
from bridge import hold_sound, keypad
from bridge.control import Floor, Party, Phase, TakeOverView
from bridge.engines import EngineLost, notes
from bridge.engines.speech import Transcriber, Words
from bridge.line import HOLD, KEYS, TALK
from bridge.live import Live
from bridge.picture import NOT_KEPT
from bridge.voice import Voice

log = logging.getLogger("cordboard.operator")

HOLD_AHEAD_MS = 2000
MAX_TOLD_CHARS = 2000
"""Of what an operator said, an AI is told the newest this much at hand-back."""

AGAIN_S = 5.0
"""After a transcriber was lost, another is tried for what is said this much later."""

SILENCE_MARK = "silent-"
"""Marks of ours that stand for no audio: the carrier returns one once it has nothing left to play."""


class Operator:
    """Whoever has the floor of this call, or put it on hold."""

    def __init__(self, live: Live) -> None:
        self.taken = False
        """Whether a person has spoken, or could, since the AI had the floor last."""

        self._live = live
        self._talks = 0
        self._holds = 0
        self._pressed = 0
        self._since_ms = 0.0
        self._voice = Voice()
        self._said: list[str] = []
        self._transcriber: Transcriber | None = None
        self._transcribers = 0
        self._again_s = 0.0

    # ── taking over ──

    def took_over(self, console: str) -> None:
        """The AI's speech was cut just now; how fast the rest comes is measured from here."""
        live, now_ms = self._live, self._live.now_ms()
        self._talks += 1
        self._voice = Voice()
        if not self.taken:
            self.taken = True
            self._since_ms = now_ms
            self._said = []
        live.picture.met("person", "silent", "barge-ins", "ring")
        live.picture.note(f"{console} took over", "took over", now_ms)
        number = str(self._talks)
        view = TakeOverView(call_id=live.picture.call_id, take_over_id=number, console=console, at_ms=round(now_ms))
        live.picture.take_over(view)
        if live.line is not None:
            live.line.talkers[f"{TALK}{number}"] = console
            live.line.ask_mark(SILENCE_MARK + number)

    def ai_is_silent(self, number: str) -> None:
        """The carrier confirmed that nothing of the AI's was left at this take-over."""
        picture = self._live.picture
        view = picture.take_overs.get(number)
        if view is not None and view.silent_ms is None:
            picture.take_over(replace(view, silent_ms=self._live.now_ms() - view.at_ms))

    def talk(self, mulaw: bytes) -> None:
        """The operator's voice, while their console has the floor."""
        live = self._live
        if live.line is None or not mulaw:
            return
        now_ms = live.now_ms()
        shaped = self._voice.shape(mulaw, live.line.playout.ahead_ms(now_ms))
        if shaped:
            live.line.speak(f"{TALK}{self._talks}", shaped)
            view = live.picture.take_overs.get(str(self._talks))
            if view is not None and view.voice_ms is None:
                live.picture.take_over(replace(view, voice_ms=live.now_ms() - view.at_ms))
        if not live.call.private:
            self._write_down(mulaw, round(now_ms))

    # ── what they say, in words ──

    def _write_down(self, mulaw: bytes, at_ms: int) -> None:
        if self._transcriber is None:
            if self._live.house.transcriber is None or self._live.loop.time() < self._again_s:
                return
            self._transcriber = self._live.house.transcriber()
            self._transcribers += 1
            self._live.house.spawn(self._transcribe(self._transcriber))
        self._transcriber.hear(mulaw, at_ms)

    async def _transcribe(self, transcriber: Transcriber) -> None:
        try:
            await transcriber.run(_Words(self._live, self._transcribers, partial(self._heard, self._said)))
        except EngineLost as lost:
            log.warning("an operator's words are not written down (fatal: %s)", lost.fatal)
            self._not_written_down(transcriber, str(lost), again=not lost.fatal)
        except Exception:
            self._not_written_down(transcriber, "The bridge had a fault.", again=True)
            raise

    def _not_written_down(self, transcriber: Transcriber, why: str, *, again: bool) -> None:
        if self._transcriber is transcriber and again:
            self._transcriber = None
            self._again_s = self._live.loop.time() + AGAIN_S
        self._live.trouble("not written down", f"{why} Your words reach the caller, but are not written down.")

    def _heard(self, said: list[str], text: str) -> None:
        """A whole sentence of theirs: the AI is told at once, and again what came too late for the hand-back."""
        said.append(text)
        engine = self._live.engine
        if engine is None or self._live.call.phase is not Phase.LIVE:
            return
        if self._live.call.floor in calls.BY_PERSON and said is self._said:
            engine.tell(f'A human colleague has the floor and said to the caller: "{text}"')
        else:
            engine.tell(f'The last thing your colleague said to the caller before handing back was: "{text}"')

    def close_transcriber(self) -> None:
        """They have the floor no more, or it is private. Their last words may still come, even after the call."""
        if self._transcriber is not None:
            self._live.house.spawn(self._transcriber.close())
            self._transcriber = None

    # ── handing back ──

    def hand_back(self, input: calls.Input) -> None:
        """Tell the AI what was said and decided meanwhile."""
        live = self._live
        lasted_s = (live.now_ms() - self._since_ms) / 1000
        note = input.note.strip() if isinstance(input, calls.HandBack) else ""
        did = "took over the line and spoke with the caller" if self.taken else "put the caller on hold"
        told = f"A human colleague {did} for {lasted_s:.0f} s. "
        said = " ".join(self._said)[-MAX_TOLD_CHARS:]
        if said:
            told += f'They said to the caller: "{said}" '
        told += "What the caller said meanwhile is part of this conversation. "
        if note:
            told += f"Your colleague tells you: {note} "
        if live.engine is not None:
            live.engine.tell(told + "Go on as a colleague who listened. Do not greet the caller again.")
        kept = NOT_KEPT if note and live.call.private else note
        words = f"Handed back to the AI: {kept}" if kept else "Handed back to the AI"
        if isinstance(input, calls.ConsoleGone):
            words = f"{input.console} was lost; the AI has the floor again"
        live.picture.note(words, "handed back", live.now_ms())
        self._said = []
        self.taken = False

    # ── hold ──

    def hold(self) -> None:
        """The caller hears a pleasant sound, and every 20 s that it goes on."""
        self._holds += 1
        if not self.taken:
            self._since_ms = self._live.now_ms()
        self._live.picture.note("The caller was put on hold", "hold", self._live.now_ms())
        self.keep_on_hold()

    def keep_on_hold(self) -> None:
        """The hold's sound goes on for as long as the hold does."""
        line = self._live.line
        if self._live.call.floor is Floor.HOLD and line is not None and line.playout.unheard_ms < HOLD_AHEAD_MS:
            line.speak(f"{HOLD}{self._holds}", hold_sound.loop())

    def hold_over(self) -> None:
        """The AI has the floor again after a hold."""
        lasted_s = (self._live.now_ms() - self._since_ms) / 1000
        if self._live.engine is not None:
            self._live.engine.tell(
                f"The caller was on hold for {lasted_s:.0f} s. Thank them and go on; do not greet again."
            )
        self._live.picture.note("The hold is over", "hold ended", self._live.now_ms())

    # ── keypad ──

    def press(self, keys: str) -> None:
        """Tones to the other side, on the stream."""
        live = self._live
        self._pressed += 1
        item_id = f"{KEYS}{self._pressed}"
        shown = keypad.masked(keys, live.call.private)
        if live.line is not None:
            if shown != keys:
                live.line.unkept.add(item_id)
            live.line.speak(item_id, keypad.tones(keys))
        live.picture.keys(Party.OPERATOR, shown, live.now_ms())
        if live.engine is not None:
            live.engine.tell(notes.colleague_pressed(" ".join(shown)))


class _Words(Words):
    """What one transcriber heard, into the transcript."""

    def __init__(self, live: Live, number: int, said: Callable[[str], None]) -> None:
        self._live = live
        self._number = number
        self._said = said

    def started(self, turn_id: str, at_ms: int) -> None:
        picture = self._live.picture
        picture.lines(picture.transcript.began(Party.OPERATOR, self._name(turn_id), at_ms))

    def heard(self, turn_id: str, text: str, final: bool) -> None:
        picture, now_ms = self._live.picture, round(self._live.now_ms())
        picture.lines(picture.transcript.words(Party.OPERATOR, self._name(turn_id), text, final, now_ms))
        if final and text.strip():
            self._said(text.strip())

    def failed(self, turn_id: str, reason: str) -> None:
        picture, now_ms = self._live.picture, round(self._live.now_ms())
        picture.lines(picture.transcript.words_failed(Party.OPERATOR, self._name(turn_id), now_ms))

    def _name(self, turn_id: str) -> str:
        # The peer's ids are its own; another session of it, the AI's or an earlier one, may use the same.
        return f"talk-{self._number}:{turn_id}"
