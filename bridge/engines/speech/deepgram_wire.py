"""Deepgram's listening sockets as sound and messages out, words in. Knows no sockets, clocks or files.

What all its listeners share (`Wire`), and nova (`NovaWire`), which finds stretches of speech, final
piece by final piece; flux, which takes turns by itself, is `deepgram_flux_wire`. What goes out is
sound where it is `bytes`, for a binary frame, and a message where it is `str`.
``at_ms`` is call time, ``now_ms`` any clock that only goes forward.
Source: deepgram-sdk 7.17 types, Deepgram's documentation (read 2026-11).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import msgspec

from bridge.audio import silence
from bridge.engines import KEPT_MS
from bridge.engines.speech import Words
from bridge.engines.speech import deepgram_messages as told
from bridge.engines.speech.stream_time import StreamTime

KEPT_NAMES = 100

KEEP_ALIVE_MS = 4000
"""After 10 s without sound the peer hangs up."""

PAUSE_MS = 600
"""Without sound for this long, the speaker has paused: the peer sees no silence and would wait on."""

NOISE_MS = 500
"""What was taken for speech and has no word in it so long after is none."""

CLOSE_STREAM = '{"type":"CloseStream"}'
_KEEP_ALIVE = '{"type":"KeepAlive"}'
_FINALIZE = '{"type":"Finalize"}'

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""All that reading a message of theirs may raise."""

Out: TypeAlias = bytes | str
Handlers: TypeAlias = Mapping[str, tuple[msgspec.json.Decoder[Any], Callable[[Any, Any, Words], None]]]

_decode_name = msgspec.json.Decoder(told.Named).decode


class Wire(ABC):
    """One socket's side of the protocol; see `NovaWire`.

    name: what the ids of its turns begin with, unlike any other of the call. ready: sound may go out.
    malformed, unknown, complaints: messages that could not be read, names we do not know, and codes of
    warnings and errors, the latter two with how often they came.
    """

    _handlers: ClassVar[Handlers] = {}
    _quiet: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, name: str) -> None:
        self.ready = False
        self.malformed = 0
        self.unknown: Counter[str] = Counter()
        self.complaints: Counter[str] = Counter()
        self._name = name
        self._kept: deque[tuple[bytes, int]] = deque()
        self._time = StreamTime()
        self._sounding = False
        self._quiet_since_ms = 0
        self._alive_ms = 0
        self._turn = ""
        self._text = ""
        self._begun_ms = 0
        self._spoken_ms = 0
        self._ending = False

    @property
    def sent_ms(self) -> int:
        """How much sound went out, which is what the peer charges for."""
        return self._time.sent_ms

    @property
    def in_turn(self) -> bool:
        """Whether somebody speaks, so that the peer owes words."""
        return bool(self._turn)

    # ── what goes out ─────────────────────────────────────────────────────────────────────

    def open(self, now_ms: int) -> list[bytes]:
        """The socket is open, and the peer wants no more than that: the sound that was kept."""
        self.ready = True
        self._quiet_since_ms = self._alive_ms = now_ms
        kept, self._kept = self._kept, deque()
        return [sound for mulaw, at_ms in kept if (sound := self.hear(mulaw, at_ms)) is not None]

    def hear(self, mulaw: bytes, at_ms: int) -> bytes | None:
        """What to send of this sound, or None when it is kept until the socket is open."""
        if not self.ready:
            self._kept.append((mulaw, at_ms))
            while at_ms - self._kept[0][1] >= KEPT_MS:
                self._kept.popleft()
            return None
        self._sounding = True
        self._time.sent(len(mulaw), at_ms)
        # An empty frame would be the end of the stream.
        return mulaw or None

    def tick(self, now_ms: int) -> Out | None:
        """Let time pass, a few times a second; what to send now that no sound comes."""
        if self._sounding:
            self._sounding = False
            self._quiet_since_ms = self._alive_ms = now_ms
        elif self._turn and not self._ending and now_ms - self._quiet_since_ms >= PAUSE_MS:
            self._ending = True
            return self._end_turn()
        elif now_ms - self._alive_ms >= KEEP_ALIVE_MS:
            self._alive_ms = now_ms
            return self._keep_alive()
        return None

    @abstractmethod
    def pause(self) -> str | None:
        """See `Transcriber.pause`."""

    def finish(self) -> str:
        """Nothing more will be heard: the peer says what is left, then hangs up."""
        return CLOSE_STREAM

    @abstractmethod
    def _end_turn(self) -> Out:
        """No sound comes in the middle of a turn: what has the peer end it."""

    @abstractmethod
    def _keep_alive(self) -> Out:
        """What keeps the peer from hanging up."""

    def _silence(self, length_ms: int) -> bytes:
        """Nobody's, to be sent."""
        sound = silence(length_ms)
        self._time.padded(len(sound))
        return sound

    # ── what comes in ─────────────────────────────────────────────────────────────────────

    def receive(self, data: bytes, words: Words) -> None:
        """One message from the peer. Raises EngineLost when it means the end."""
        try:
            name = _decode_name(data).type
            if name in self._handlers:
                decoder, handle = self._handlers[name]
                handle(self, decoder.decode(data), words)
            elif name not in self._quiet:
                self._count(self.unknown, name)
        except UNREADABLE:
            self.malformed += 1

    def give_up(self, reason: str, words: Words) -> None:
        """The socket is gone: what is known of the turn under way is all there will be."""
        if self._text:
            words.heard(self._turn, self._text, True)
        elif self._turn:
            words.failed(self._turn, reason)
        self._turn = self._text = ""

    def _begin(self, turn_id: str, begun_ms: int, words: Words) -> None:
        self._turn, self._text, self._ending = turn_id, "", False
        self._begun_ms = self._spoken_ms = begun_ms
        words.started(turn_id, self._time.call_ms(begun_ms))

    def _heard(self, text: str, words: Words) -> None:
        if text != self._text:
            self._text = text
            words.heard(self._turn, text, False)

    def _end(self, words: Words) -> None:
        turn_id, text = self._turn, self._text
        self._turn = self._text = ""
        words.heard(turn_id, text, True)
        words.ended(turn_id, self._time.call_ms(self._spoken_ms))

    def _complained(self, problem: told.Problem, words: Words) -> None:
        self._count(self.complaints, problem.name)

    def _count(self, counter: Counter[str], name: str) -> None:
        counter[name if name in counter or len(counter) < KEPT_NAMES else "(others)"] += 1


class NovaWire(Wire):
    """nova on `/v1/listen`. A turn lasts until the speaker pauses; its text grows by final pieces."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._pieces: list[str] = []
        self._turns = 0

    def pause(self) -> str | None:
        """It does judge by itself, but only once it has heard the silence."""
        return _FINALIZE if self._turn else None

    def _end_turn(self) -> bytes:
        # Not `Finalize`, which it need not answer when it has written down all there is.
        return self._silence(told.UTTERANCE_END_MS + 200)

    def _keep_alive(self) -> str:
        return _KEEP_ALIVE

    def _on_speech_started(self, message: told.SpeechStarted, words: Words) -> None:
        if not self._turn:
            self._new_turn(_ms(message.timestamp), words)

    def _on_results(self, message: told.Results, words: Words) -> None:
        said = message.channel.alternatives[0] if message.channel.alternatives else told.Alternative()
        text = said.transcript.strip()
        start_ms, end_ms = span(said.words, message.start, message.start + message.duration)
        if text:
            if not self._turn:
                self._new_turn(start_ms, words)
            self._spoken_ms = end_ms
        elif not (self._turn and message.is_final):
            return
        whole = " ".join((*self._pieces, text)).strip()
        if message.is_final:
            if text:
                self._pieces.append(text)
            noise = not whole and end_ms >= self._begun_ms + NOISE_MS
            if message.speech_final or message.from_finalize or noise:
                self._text = whole
                self._end(words)
                return
        self._heard(whole, words)

    def _on_utterance_end(self, message: told.UtteranceEnd, words: Words) -> None:
        """It comes of every utterance, also when `speech_final` came, and may come after the next began."""
        end_ms = _ms(message.last_word_end)
        if self._text and not 0 <= end_ms < self._begun_ms:
            self._spoken_ms = end_ms if end_ms >= 0 else self._spoken_ms
            self._end(words)

    def _new_turn(self, begun_ms: int, words: Words) -> None:
        self._turns += 1
        self._pieces.clear()
        self._begin(f"{self._name}-{self._turns}", begun_ms, words)

    _handlers: ClassVar[Handlers] = {
        "SpeechStarted": (msgspec.json.Decoder(told.SpeechStarted), _on_speech_started),
        "Results": (msgspec.json.Decoder(told.Results), _on_results),
        "UtteranceEnd": (msgspec.json.Decoder(told.UtteranceEnd), _on_utterance_end),
        # What it complains about is a message of ours; when it means the end, the socket closes as well.
        "Error": (msgspec.json.Decoder(told.Problem), Wire._complained),
        "Warning": (msgspec.json.Decoder(told.Problem), Wire._complained),
    }
    _quiet = frozenset({"Metadata"})


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def span(words: Sequence[told.Word], start: float, end: float) -> tuple[int, int]:
    """From the first word to the last, in ms of the stream; where they have no times, these."""
    if words:
        start = start if words[0].start is None else words[0].start
        end = end if words[-1].end is None else words[-1].end
    return _ms(start), _ms(end)
