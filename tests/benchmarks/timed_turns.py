"""Where the time goes between a caller's last sound and the first sound of the answer.

Every moment is taken at the others' doors, by one clock: when something left the telephone company or a vendor,
or came to it. Nothing in the bridge takes part in measuring it.
"""

from __future__ import annotations

import json
import time
from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any

from bridge.audio import peak
from bridge.rehearsal.caller import LOUD
from bridge.rehearsal.tap import Tap

PAUSE_S = 1.0
"""Silence of the caller after which another turn of theirs begins."""

_OVER = (
    *('"speech_final":true', '"from_finalize":true', '"EndOfTurn"'),
    '"conversation.item.input_audio_transcription.completed"',
)
_SOUND = ('"response.output_audio.delta"', '"audio":"')

now = time.monotonic


@dataclass
class Turn:
    """One turn of the caller and the answer to it, in seconds by `now`; what did not come is None.

    ended: their last loud frame left. arrived: it came to whoever listens. committed: they were asked to write it
    down. may_end, over: their word that the turn may be, or is, over. asked: the model was. clause: its piece left
    with which the first sentence was complete. voiced: the voice was asked. sounded: its first sound left.
    heard: the first sound came to the telephone company.
    """

    ended: float
    arrived: float | None = None
    committed: float | None = None
    may_end: list[float] = field(default_factory=list)
    over: float | None = None
    asked: float | None = None
    clause: float | None = None
    voiced: float | None = None
    sounded: float | None = None
    heard: float | None = None
    _text: str = ""

    @property
    def is_early(self) -> bool:
        """Whether it was answered before the listener's word: they were too slow, and the cascade judged by itself."""
        words = [at for at in (*self.may_end, self.over) if at is not None]
        return self.heard is not None and self.asked is not None and (not words or self.asked < min(words))

    def ask(self) -> None:
        """The model is asked; what it was asked before, ahead of time, is void."""
        self.asked, self._text = now(), ""
        self.clause = self.voiced = self.sounded = None

    def think(self, token: str) -> None:
        """A piece of the answer leaves."""
        if self.clause is None:
            self._text += token
            if "." in self._text:
                self.clause = now()

    def listen(self, mulaw: bytes) -> None:
        """Sound came to whoever listens."""
        if peak(mulaw) >= LOUD:
            self.arrived = now()


class LineTap:
    """The telephone company's tap on one call; see `bridge.rehearsal.media_stream.Tap`. turns: in their order."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []

    @property
    def unanswered(self) -> Turn | None:
        """The turn that is under way or waits for an answer."""
        return self.turns[-1] if self.turns and self.turns[-1].heard is None else None

    def spoke(self, chunk: int, audio: bytes) -> None:
        """See there."""
        if peak(audio) < LOUD:
            return
        if self.turns and now() - self.turns[-1].ended <= PAUSE_S:
            self.turns.pop()
        # Whatever was done before this sound was not the answer.
        self.turns.append(Turn(now()))

    def came(self, audio: bytes) -> None:
        """See there."""
        turn = self.unanswered
        if turn is not None and turn.sounded is not None:
            turn.heard = now()

    def cleared(self) -> None:
        """See there."""


class VendorsTap(Tap):
    """The tap on all who listen, think and speak, for the turns of one call. Silent callers beside it do no harm."""

    def __init__(self, line: LineTap) -> None:
        self._line = line

    def came(self, service: str, data: str | bytes) -> None:
        """See `Tap.came`."""
        turn = self._line.unanswered
        if turn is None:
            return
        if service == "chat":
            turn.ask()
        elif service == "deepgram" and isinstance(data, bytes):
            turn.listen(data)
        else:
            self._told(turn, data.decode() if isinstance(data, bytes) else data)

    @staticmethod
    def _told(turn: Turn, text: str) -> None:
        if '"input_audio_buffer.append"' in text:
            turn.listen(b64decode(json.loads(text)["audio"]))
        elif '"input_audio_buffer.commit"' in text:
            turn.committed = now()
        elif turn.asked is not None and turn.voiced is None and _is_to_speak(json.loads(text)):
            turn.voiced = now()

    def leaves(self, service: str, data: str | bytes) -> None:
        """See `Tap.leaves`."""
        turn = self._line.unanswered
        if turn is None:
            return
        if service == "chat":
            choices = json.loads(data)["choices"]
            if choices and (text := choices[0]["delta"].get("content")):
                turn.think(text)
        elif isinstance(data, bytes) or any(sign in data for sign in _SOUND):
            # Not the rest of what an answer that was taken back was to be.
            if turn.sounded is None and (turn.asked is None or turn.voiced is not None):
                turn.sounded = now()
        elif '"EagerEndOfTurn"' in data:
            turn.may_end.append(now())
        elif any(sign in data for sign in _OVER) and '"transcript":""' not in data:
            turn.over = now()


def _is_to_speak(message: dict[str, Any]) -> bool:
    """Whether a vendor's voice is asked to say some words."""
    response: dict[str, Any] = message.get("response", {})
    words: str = message.get("text") or message.get("input") or response.get("instructions", "")
    return bool(words.strip())


@dataclass(frozen=True)
class Times:
    """One answer, in ms. whole = vendors + waited + added.

    waited: until the cascade asked for a turn's words, where it is the one to judge that. added: all that is left,
    and so is nobody's but ours. way_in: from the telephone company to whoever listens; to_chat: from the words to
    the model; to_voice: from the model's first sentence to the voice; way_out: from the voice to the telephone
    company. These four are what is added, unless the model was asked ahead of time: then what the vendors did at
    the same time counts once.
    """

    whole: float
    vendors: float
    waited: float
    added: float
    way_in: float
    to_chat: float
    to_voice: float
    way_out: float


def times(turn: Turn) -> Times | None:
    """Where this answer's time went; None when it did not come, or came early."""
    if turn.heard is None or turn.arrived is None or turn.sounded is None or turn.is_early:
        return None
    # When vendors that are joined without any loss could have been heard.
    soonest = turn.sounded
    waited = to_chat = to_voice = 0.0
    way_out = turn.heard - turn.sounded
    if turn.asked is not None:
        if turn.over is None or turn.clause is None or turn.voiced is None:
            return None
        begun = [at for at in (*turn.may_end, turn.over) if at <= turn.asked]
        soonest = max(turn.over, begun[-1] + (turn.clause - turn.asked) + (turn.sounded - turn.voiced))
        waited = turn.committed - turn.arrived if turn.committed is not None else 0.0
        to_chat, to_voice = turn.asked - begun[-1], turn.voiced - turn.clause
        way_out = turn.heard - max(turn.over, turn.sounded)
    way_in = turn.arrived - turn.ended
    added = way_in + turn.heard - soonest
    whole = turn.heard - turn.ended
    seconds = (whole, whole - waited - added, waited, added, way_in, to_chat, to_voice, way_out)
    return Times(*(1000 * part for part in seconds))
