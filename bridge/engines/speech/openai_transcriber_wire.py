"""OpenAI's transcription session as messages out and words in. Knows no sockets, clocks or files.

The peer finds the turns, or with models that stream words as they are spoken, whoever listens for
pauses: those models judge nothing. Each turn that was told of gets its words or the news that it
has none, whatever happens. ``at_ms`` is call time; the peer counts the sound that it was sent, and sound
need not come without gaps, so what was sent when is kept.
Source: openai-python 3.52 types, OpenAI's guide to realtime transcription (read 2026-11).
"""

from __future__ import annotations

from binascii import b2a_base64
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import msgspec

from bridge.audio import BYTES_PER_MS, peak, silence
from bridge.engines import KEPT_MS, EngineLost
from bridge.engines import openai_messages as told
from bridge.engines.openai_settings import PREFIX_MS, SILENCE_MS, TRANSCRIBER
from bridge.engines.openai_wire import KEPT_NAMES, UNREADABLE
from bridge.engines.speech import Words

KEPT_TURNS = 64
CLOCK_SLACK_MS = 20
EDGE_MS = 100
"""Who begins so shortly before a gap began after it: the peer is not exact to the frame."""

SPOKEN_PEAK = 45
"""As `audio.peak`: above it is a voice (-30 dB), below it a quiet room."""

SPOKEN_MS = 150
"""So much of a voice is worth writing down even if the peer did not call it speech yet."""

LIVE = "gpt-live-transcribe"
WITHOUT_TURNS = (LIVE, "gpt-realtime-whisper")
"""Models that write down words as they are spoken, and leave it to others to find the turns."""

SHORTEST_COMMIT_MS = 100
"""The peer refuses to judge less."""

NO_WORDS = "its words did not come in time"

_encode = msgspec.json.encode
_decode_name = msgspec.json.Decoder(told.Named).decode


class TurnEdge(msgspec.Struct, gc=False):
    """A turn began, ended, or was committed."""

    item_id: str
    audio_start_ms: int = 0
    audio_end_ms: int = 0


class TranscriberWire:
    """One session's side of the protocol.

    model: the usual one if "". language: such as en, or "" for the peer to find out.
    ready: configured. malformed, unknown: messages that could not be read, and names we do not know.
    """

    def __init__(self, model: str = "", language: str = "") -> None:
        self._transcriber = {"model": model or TRANSCRIBER}
        if language:
            # The peer wants the language alone, without a country.
            self._transcriber["language"] = language.partition("-")[0].lower()
        self._finds_turns = not self._transcriber["model"].startswith(WITHOUT_TURNS)
        self.ready = False
        self.malformed = 0
        self.unknown: Counter[str] = Counter()
        self._kept: deque[tuple[bytes, int]] = deque()
        self._turns: dict[str, str] = {}
        self._past: deque[str] = deque(maxlen=KEPT_TURNS)
        self._committing = self._paused_again = False
        self._speaking = False
        self._sent_ms = 0
        self._unjudged_ms = 0
        self._uncommitted_ms = 0
        self._begins_at_ms = 0
        self._heard_to_ms = 0
        self._committed_from_ms = 0
        self._shifts: deque[tuple[int, int]] = deque(maxlen=128)

    # ── what goes out ─────────────────────────────────────────────────────────────────────

    def open(self) -> bytes:
        """The message that configures the session. No sound before the peer's word on it."""
        turns = {"type": "server_vad", "prefix_padding_ms": PREFIX_MS, "silence_duration_ms": SILENCE_MS}
        sound = {
            "format": {"type": "audio/pcmu"},
            "transcription": self._transcriber,
            "turn_detection": turns if self._finds_turns else None,
        }
        return _message("session.update", session={"type": "transcription", "audio": {"input": sound}})

    def hear(self, mulaw: bytes, at_ms: int) -> bytes | None:
        """The message that carries this sound, or None when it is kept until the session is ready."""
        if not self.ready:
            self._kept.append((mulaw, at_ms))
            while at_ms - self._kept[0][1] >= KEPT_MS:
                self._kept.popleft()
            return None
        shift_ms = at_ms - self._sent_ms
        if not self._shifts or abs(shift_ms - self._shifts[-1][1]) > CLOCK_SLACK_MS:
            self._shifts.append((self._sent_ms, shift_ms))
        length_ms = len(mulaw) // BYTES_PER_MS
        self._uncommitted_ms += length_ms
        self._heard_to_ms = at_ms + length_ms
        if mulaw and peak(mulaw) > SPOKEN_PEAK:
            if not self._unjudged_ms:
                self._begins_at_ms = at_ms
            self._unjudged_ms += length_ms
        return self._append(mulaw)

    def pause(self) -> bytes | None:
        """The speaker fell silent: the message that ends the turn, where the peer does not find that by itself."""
        if self._finds_turns or not self.ready:
            return None
        if self._committing:
            self._paused_again = True
            return None
        return self._commit()

    def muted(self) -> bytes | None:
        """No sound has come for a while: what lets a turn end, if one is under way."""
        if not self._finds_turns:
            return self.pause() if self._speaking or self._unjudged_ms else None
        return self._append(silence(SILENCE_MS + 100)) if self.ready and self._speaking else None

    def finish(self) -> bytes | None:
        """Nothing more will be heard: the message that has the rest written down, if there is a rest."""
        if not self.ready or not (self._speaking or self._unjudged_ms >= SPOKEN_MS):
            return None
        return self._commit()

    def _commit(self) -> bytes | None:
        if not self._finds_turns and self._uncommitted_ms < SHORTEST_COMMIT_MS:
            return None
        self._committing = True
        self._committed_from_ms = self._begun_ms
        self._unjudged_ms = self._uncommitted_ms = 0
        return _message("input_audio_buffer.commit")

    @property
    def settled(self) -> bool:
        """Whether all that was said has its words."""
        return not (self._turns or self._committing or self._kept)

    def give_up(self, reason: str, words: Words) -> None:
        """The session is over: turns that have no words yet will never have them."""
        for turn_id in self._turns:
            words.failed(turn_id, reason)
        self._turns.clear()

    # ── what comes in ─────────────────────────────────────────────────────────────────────

    def receive(self, data: bytes, words: Words) -> list[bytes]:
        """One message from the peer; what to send in return. Raises EngineLost when it ends the session."""
        try:
            name = _decode_name(data).type
        except UNREADABLE:
            self.malformed += 1
            return []
        if name not in _HANDLERS:
            if name not in _QUIET:
                self.unknown[name if name in self.unknown or len(self.unknown) < KEPT_NAMES else "(others)"] += 1
            return []
        decoder, handle = _HANDLERS[name]
        try:
            message = decoder.decode(data)
        except UNREADABLE:
            self.malformed += 1
            return []
        return handle(self, message, words) or []

    def _on_session_updated(self, message: told.SessionTold, words: Words) -> list[bytes]:
        if self.ready:
            return []
        self.ready = True
        kept, self._kept = self._kept, deque()
        return [sound for mulaw, at_ms in kept if (sound := self.hear(mulaw, at_ms)) is not None]

    def _on_speech_started(self, message: TurnEdge, words: Words) -> None:
        self._speaking = True
        # The peer counts from the padding that it put before the speech.
        self._begin(message.item_id, self._call_ms(message.audio_start_ms + PREFIX_MS), words)

    def _on_speech_stopped(self, message: TurnEdge, words: Words) -> None:
        if message.item_id in self._turns:
            words.ended(message.item_id, self._call_ms(message.audio_end_ms - SILENCE_MS))

    def _on_committed(self, message: TurnEdge, words: Words) -> list[bytes]:
        if message.item_id not in self._turns:
            self._begin_unmarked(message.item_id, words)
        self._speaking = self._committing = False
        if self._finds_turns:
            self._unjudged_ms = 0
        again, self._paused_again = self._paused_again, False
        if again and (commit := self.pause()) is not None:
            return [commit]
        return []

    def _begin_unmarked(self, turn_id: str, words: Words) -> None:
        """A turn of which the peer did not say when it began: with the first sound that was not judged yet."""
        self._begin(turn_id, self._committed_from_ms if self._committing else self._begun_ms, words)

    @property
    def _begun_ms(self) -> int:
        """Since when there is a voice that was not judged yet; a faint one counts from now on."""
        return self._begins_at_ms if self._unjudged_ms else self._heard_to_ms

    def _begin(self, turn_id: str, at_ms: int, words: Words) -> None:
        if len(self._turns) >= KEPT_TURNS:
            oldest = next(iter(self._turns))
            del self._turns[oldest]
            words.failed(oldest, NO_WORDS)
        self._turns[turn_id] = ""
        words.started(turn_id, at_ms)

    def _on_delta(self, message: told.CallerText, words: Words) -> None:
        if not self._finds_turns and message.delta and message.item_id not in (*self._turns, *self._past):
            self._begin_unmarked(message.item_id, words)
            self._speaking = True
        if message.item_id in self._turns and message.delta:
            self._turns[message.item_id] += message.delta
            words.heard(message.item_id, self._turns[message.item_id], False)

    def _on_text(self, message: told.CallerText, words: Words) -> None:
        if self._over(message.item_id):
            words.heard(message.item_id, message.transcript or "", True)

    def _on_failed(self, message: told.CallerText, words: Words) -> None:
        if self._over(message.item_id):
            words.failed(message.item_id, message.error.words if message.error is not None else "no reason was given")

    def _on_error(self, message: told.ErrorTold, words: Words) -> None:
        problem = message.error
        if (lost := told.ended_by(problem)) is not None:
            raise lost
        if not self.ready:
            fatal = told.PASSING.isdisjoint((problem.code, problem.type))
            raise EngineLost(f"OpenAI does not write down what is said: {problem.words}", fatal=fatal)
        if problem.code == "input_audio_buffer_commit_empty" or not self._finds_turns:
            # The turn ended by itself just before we ended it, or there will be none.
            self._committing = self._paused_again = False

    def _over(self, turn_id: str) -> bool:
        """Whether it was a turn; it is no more."""
        self._past.append(turn_id)
        return self._turns.pop(turn_id, None) is not None

    def _append(self, mulaw: bytes) -> bytes:
        self._sent_ms += len(mulaw) // BYTES_PER_MS
        return _message("input_audio_buffer.append", audio=b2a_base64(mulaw, newline=False).decode())

    def _call_ms(self, audio_ms: int) -> int:
        """Call time of a moment in the sound that was sent."""
        audio_ms = min(audio_ms, self._sent_ms)
        for start_ms, shift_ms in reversed(self._shifts):
            if start_ms <= audio_ms + EDGE_MS:
                return max(audio_ms, start_ms) + shift_ms
        return audio_ms + (self._shifts[0][1] if self._shifts else 0)


def _message(name: str, **fields: Any) -> bytes:
    return _encode({"type": name, **fields})


_Handler = Callable[[TranscriberWire, Any, Words], list[bytes] | None]


def _handlers() -> dict[str, tuple[msgspec.json.Decoder[Any], _Handler]]:
    text = "conversation.item.input_audio_transcription"
    table: dict[str, tuple[Any, _Handler]] = {
        "session.updated": (told.SessionTold, TranscriberWire._on_session_updated),
        "input_audio_buffer.speech_started": (TurnEdge, TranscriberWire._on_speech_started),
        "input_audio_buffer.speech_stopped": (TurnEdge, TranscriberWire._on_speech_stopped),
        "input_audio_buffer.committed": (TurnEdge, TranscriberWire._on_committed),
        f"{text}.delta": (told.CallerText, TranscriberWire._on_delta),
        f"{text}.completed": (told.CallerText, TranscriberWire._on_text),
        f"{text}.failed": (told.CallerText, TranscriberWire._on_failed),
        "error": (told.ErrorTold, TranscriberWire._on_error),
    }
    return {name: (msgspec.json.Decoder(shape), handle) for name, (shape, handle) in table.items()}


_HANDLERS = _handlers()

_QUIET = frozenset(
    {
        "conversation.created",
        "conversation.item.added",
        "conversation.item.created",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.segment",
        "input_audio_buffer.cleared",
        "rate_limits.updated",
        "session.created",
    }
)
"""Known, and nothing to do."""
