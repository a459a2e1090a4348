"""OpenAI's Realtime session as a voice: sentences out, sound in. Knows no sockets, clocks or files.

Each sentence is a response outside the conversation, with nothing to read but the order to say it word
for word. One at a time. A model may still say something else: what it says is compared with what it was
given, as far as that is known before its sound, and counted once all is known.
Source: openai-python 3.52 types, types/realtime (RealtimeResponseCreateParams); OpenAI names this the
replacement of its speech models, which end on 2027-01-06.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from bridge.engines import openai_messages as told
from bridge.engines.openai_wire import AUDIO, KEPT_NAMES
from bridge.engines.prices import Rates, rates_for
from bridge.engines.speech import VoiceFailed
from bridge.engines.speech.voice_wire import Sound, VoiceWire
from bridge.transcript import spoken_words

INSTRUCTIONS = "You read out to a telephone caller what you are given, word for word, and add nothing to it."
SLOWEST, FASTEST = 0.25, 1.5
OTHER_WORDS = "OpenAI's voice said something other than it was given."

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(told.Delta).decode


class _Reading:
    """One sentence. sound: None when nobody wants it any more. response_id: "" until the peer has begun it."""

    def __init__(self, number: str, text: str, sound: Sound) -> None:
        self.number, self.text = number, text
        self.sound: Sound | None = sound
        self.response_id = ""
        self.said = ""

    def end(self, failure: VoiceFailed | None = None) -> None:
        """Tell whoever still wants it."""
        if self.sound is not None:
            sound, self.sound = self.sound, None
            sound.end(failure)


class RealtimeVoiceWire(VoiceWire):
    """See `VoiceWire`.

    other_words: sentences that were said otherwise than they were given (a notation such as "3 pm" may
    count, too). tokens, cost_usd: of all sentences. malformed, unknown: messages that could not be read,
    and names that we do not know.
    """

    def __init__(self, model: str, voice: str, prices: Mapping[str, Rates] | None = None) -> None:
        self.ready = False
        self.other_words = 0
        self.tokens = 0
        self.cost_usd = 0.0
        self.malformed = 0
        self.unknown: Counter[str] = Counter()
        self._voice = voice
        self._rates = rates_for(model, prices or {})
        self._reading: _Reading | None = None
        self._speed = 1.0
        self._count = 0

    @property
    def full(self) -> bool:
        """See `VoiceWire.full`."""
        return self._reading is not None

    @property
    def wanted(self) -> bool:
        """See `VoiceWire.wanted`."""
        return self._reading is not None and self._reading.sound is not None

    # ── what goes out ─────────────────────────────────────────────────────────────────────

    def open(self) -> list[bytes]:
        """See `VoiceWire.open`. The peer's word on it makes the wire ready."""
        output = {"format": {"type": "audio/pcmu"}, "voice": self._voice}
        session = {
            "type": "realtime",
            "instructions": INSTRUCTIONS,
            "output_modalities": ["audio"],
            "tool_choice": "none",
            "audio": {"input": {"turn_detection": None}, "output": output},
        }
        return [_encode({"type": "session.update", "session": session})]

    def speak(self, text: str, sound: Sound, speed: float) -> list[bytes]:
        """See `VoiceWire.speak`."""
        self._count += 1
        self._reading = reading = _Reading(str(self._count), text, sound)
        response = {
            "conversation": "none",
            "input": [],
            "instructions": f'Say exactly, word for word, nothing else: "{text}"',
            "tool_choice": "none",
            "metadata": {"sentence": reading.number},
        }
        asked = _encode({"type": "response.create", "event_id": f"sentence-{reading.number}", "response": response})
        return [*self._paced(speed), asked]

    def leave(self, sound: Sound) -> list[bytes]:
        """See `VoiceWire.leave`."""
        reading = self._reading
        if reading is None or reading.sound is not sound:
            return []
        reading.sound = None
        return self._cancel(reading)

    def give_up(self, why: VoiceFailed) -> None:
        """See `VoiceWire.give_up`."""
        if self._reading is not None:
            self._reading.end(why)

    def _paced(self, speed: float) -> list[bytes]:
        speed = min(FASTEST, max(SLOWEST, round(speed, 2)))
        if speed == self._speed:
            return []
        self._speed = speed
        session = {"type": "realtime", "audio": {"output": {"speed": speed}}}
        return [_encode({"type": "session.update", "session": session})]

    @staticmethod
    def _cancel(reading: _Reading) -> list[bytes]:
        """Nothing before the response has begun: then `_on_created` cancels it."""
        if not reading.response_id:
            return []
        return [_encode({"type": "response.cancel", "response_id": reading.response_id})]

    # ── what comes in ─────────────────────────────────────────────────────────────────────

    def receive(self, data: bytes) -> list[bytes]:
        """See `VoiceWire.receive`."""
        try:
            message = _decode(data)
            if message.type in AUDIO:
                self._on_audio(message)
                return []
            if message.type not in _HANDLERS:
                self._on_unknown(message.type)
                return []
            decoder, handle = _HANDLERS[message.type]
            return handle(self, decoder.decode(data))
        except UNREADABLE:
            self.malformed += 1
            return []

    def _on_unknown(self, name: str) -> None:
        if name not in _QUIET:
            self.unknown[name if name in self.unknown or len(self.unknown) < KEPT_NAMES else "(others)"] += 1

    def _on_audio(self, message: told.Delta) -> None:
        reading = self._reading
        if reading is not None and message.response_id == reading.response_id and reading.sound is not None:
            reading.sound.give(a2b_base64(message.delta or ""))

    def _on_updated(self, message: told.SessionTold) -> list[bytes]:
        self.ready = True
        return []

    def _on_created(self, message: told.ResponseTold) -> list[bytes]:
        reading = self._reading
        if reading is None or (message.response.metadata or {}).get("sentence") != reading.number:
            return []
        reading.response_id = message.response.id
        return self._cancel(reading) if reading.sound is None else []

    def _on_words(self, message: told.Part) -> list[bytes]:
        """Words come a little before their sound: what begins with others is not passed on."""
        reading = self._reading
        if reading is None or message.response_id != reading.response_id:
            return []
        reading.said += message.delta or ""
        sound = reading.sound
        if sound is None or sound.begun or not strays(reading.text, reading.said):
            return []
        self.other_words += 1
        reading.end(VoiceFailed(OTHER_WORDS))
        return self._cancel(reading)

    def _on_all_words(self, message: told.Part) -> list[bytes]:
        reading = self._reading
        if reading is not None and message.response_id == reading.response_id and reading.sound is not None:
            self.other_words += spoken_words(message.transcript or "") != spoken_words(reading.text)
        return []

    def _on_done(self, message: told.ResponseTold) -> list[bytes]:
        tokens, cost_usd = told.reply_cost(message.response.usage, self._rates)
        self.tokens += tokens
        self.cost_usd += cost_usd
        reading = self._reading
        if reading is None or message.response.id != reading.response_id:
            return []
        self._reading = None
        problem = message.response.status_details.error if message.response.status_details is not None else None
        match message.response.status:
            case "completed":
                reading.end()
            case "failed" if problem is not None:
                reading.end(_failed(problem))
            case status:
                filtered = status == "incomplete"
                reading.end(VoiceFailed(f"OpenAI's voice broke off ({status}).", unspeakable=filtered))
        return []

    def _on_error(self, message: told.ErrorTold) -> list[bytes]:
        problem, reading = message.error, self._reading
        if (lost := told.ended_by(problem)) is not None:
            raise VoiceFailed(str(lost), fatal=lost.fatal)
        if not self.ready:
            raise VoiceFailed(f"OpenAI does not take this voice: {problem.words}", fatal=True)
        if reading is not None and problem.event_id == f"sentence-{reading.number}":
            self._reading = None
            reading.end(_failed(problem))
        return []


def strays(text: str, said: str) -> bool:
    """Whether what was said so far begins with a word that the text does not have.

    A text with figures may be said in words, so nothing is known of it; "I am" may become "I'm".
    """
    words = spoken_words(said)
    # The last word may be a part of one.
    if len(words) < 2 or any(letter.isdigit() for letter in text):
        return False
    return words[0].split("'")[0] not in {word.split("'")[0] for word in spoken_words(text)}


def _failed(problem: told.Problem) -> VoiceFailed:
    lost = told.ended_by(problem)
    if lost is not None:
        return VoiceFailed(str(lost), fatal=lost.fatal)
    text = f"OpenAI's voice could not speak that ({problem.name[:60]})."
    return VoiceFailed(text, unspeakable=problem.type == "invalid_request_error")


_Handler = Callable[[RealtimeVoiceWire, Any], list[bytes]]


def _handlers() -> dict[str, tuple[msgspec.json.Decoder[Any], _Handler]]:
    table: dict[str, tuple[Any, _Handler]] = {
        "session.updated": (told.SessionTold, RealtimeVoiceWire._on_updated),
        "response.created": (told.ResponseTold, RealtimeVoiceWire._on_created),
        "response.output_audio_transcript.delta": (told.Part, RealtimeVoiceWire._on_words),
        "response.output_audio_transcript.done": (told.Part, RealtimeVoiceWire._on_all_words),
        "response.done": (told.ResponseTold, RealtimeVoiceWire._on_done),
        "error": (told.ErrorTold, RealtimeVoiceWire._on_error),
    }
    return {name: (msgspec.json.Decoder(shape), handle) for name, (shape, handle) in table.items()}


_HANDLERS = _handlers()

_QUIET = frozenset(
    {
        "conversation.created",
        "rate_limits.updated",
        "response.content_part.added",
        "response.content_part.done",
        "response.output_audio.done",
        "response.output_item.added",
        "response.output_item.done",
        "session.created",
    }
)
"""Known, and nothing to do."""
