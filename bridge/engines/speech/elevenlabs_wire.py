"""ElevenLabs' multi-context socket as messages out and sound in. Knows no sockets, clocks or files.

Each sentence is a context of its own: opened, filled, flushed and closed in one go, since only a
closed context is told to be at its end (`isFinal`). A flushed context goes on even when it is
closed, so what nobody wants any more is dropped here until its end comes, and counts until then:
the peer ends a socket that has more than five.
Source: elevenlabs-python 2.78 types (websocket_tts_client_message_multi, audio_output_multi,
final_output_multi), ElevenLabs' guide to the multi-context socket (read 2026-11); that a flush alone
has no end and a keep-alive needs no context: pipecat-ai/pipecat and bolna-ai/bolna, seen live in 2026.
"""

from __future__ import annotations

from binascii import a2b_base64
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from bridge.engines.speech import VoiceFailed
from bridge.engines.speech.voice_wire import Sound, VoiceWire

MODEL = "eleven_flash_v2_5"
VOICE = "JBFqnCBsd6RMkjVDRZzb"
"""One of the voices that every account has."""

SLOWEST, FASTEST = 0.7, 1.2
MOST_CONTEXTS = 5
IDLE_S = 180
"""How long the peer is to keep a socket on which nothing is said: the longest it allows."""


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, ValueError)

_encode = msgspec.json.encode


class _Told(msgspec.Struct, gc=False):
    """Any message of the peer."""

    audio: str | None = None
    isFinal: bool | None = None
    is_final: bool | None = None
    contextId: str | None = None
    context_id: str | None = None
    error: str | None = None


class _Detail(msgspec.Struct):
    """What is wrong: `status` was its name before it was called `code`."""

    status: str | None = None
    code: str | None = None


class _Refusal(msgspec.Struct):
    detail: _Detail = msgspec.field(default_factory=_Detail)


_decode = msgspec.json.Decoder(_Told).decode
_decode_refusal = msgspec.json.Decoder(_Refusal).decode

_KEY = "ElevenLabs refused the key; check ELEVENLABS_API_KEY."
_CREDIT = "The ElevenLabs account has no credit left."
_VOICE = "ElevenLabs has no such voice for this key; check the voice in the profile."
_MODEL = "ElevenLabs has no such model; check the speaker's model in the profile."
_LATER = "ElevenLabs asks for fewer sentences at a time."

_FATAL = {
    "invalid_api_key": _KEY,
    "missing_api_key": _KEY,
    "needs_authorization": _KEY,
    "authentication_required": _KEY,
    "missing_permissions": "ElevenLabs does not let this key speak; give it the right to text to speech.",
    "quota_exceeded": _CREDIT,
    "payment_required": _CREDIT,
    "paid_plan_required": "ElevenLabs wants a paid plan for this voice; choose another voice in the profile.",
    "voice_not_found": _VOICE,
    "voice_id_does_not_exist": _VOICE,
    "invalid_voice_id": _VOICE,
    "model_not_found": _MODEL,
    "invalid_model_id": _MODEL,
    "unsupported_model": _MODEL,
    "model_not_allowed": _MODEL,
}
_UNSPEAKABLE = {"max_character_limit_exceeded": "ElevenLabs does not speak so many words at a time."}
_PASSING = {
    "max_active_conversations": _LATER,
    "rate_limit_exceeded": _LATER,
    "too_many_concurrent_requests": _LATER,
    "concurrent_limit_exceeded": _LATER,
    "system_busy": "ElevenLabs is too busy to speak.",
    "input_timeout_exceeded": "ElevenLabs waited for words and gave up.",
}


def socket_url(base_url: str, voice: str, model: str) -> str:
    """Where the socket is. base_url: http or https, without a slash at its end."""
    query = {"model_id": model, "output_format": "ulaw_8000", "auto_mode": "true", "inactivity_timeout": IDLE_S}
    return f"ws{base_url.removeprefix('http')}/v1/text-to-speech/{quote(voice, safe='')}/multi-stream-input?" + (
        urlencode(query)
    )


def clip_url(base_url: str, voice: str) -> str:
    """Where one sentence's sound is to be had without a socket."""
    return f"{base_url}/v1/text-to-speech/{quote(voice, safe='')}/stream?output_format=ulaw_8000"


def clip_asked(text: str, model: str, speed: float) -> dict[str, Any]:
    """What to ask there."""
    return {"text": text, "model_id": model, **_settings(speed)}


def failure(name: str, *, status: int = 0) -> VoiceFailed:
    """An error of this name, in words. status: of HTTP, for names that are not known.

    The peer's own words are not shown: the sentence may stand in them.
    """
    if name in _FATAL:
        return VoiceFailed(_FATAL[name], fatal=True)
    if name in _PASSING:
        return VoiceFailed(_PASSING[name])
    if name in _UNSPEAKABLE:
        return VoiceFailed(_UNSPEAKABLE[name], unspeakable=True)
    by_status = {401: (_KEY, True), 402: (_CREDIT, True), 404: (_VOICE, True), 429: (_LATER, False)}
    if status in by_status:
        text, fatal = by_status[status]
        return VoiceFailed(text, fatal=fatal)
    what = name or (f"HTTP status {status}" if status else "no reason given")
    text = f"ElevenLabs could not speak that ({what[:60]})."
    return VoiceFailed(text, fatal=status == 403, unspeakable=status in (400, 413, 422))


def refused(status: int, body: bytes) -> VoiceFailed:
    """A sentence was answered with something other than 200."""
    return failure(named(body), status=status)


def turned_away(status: int, body: bytes) -> VoiceFailed:
    """A handshake was answered with something other than 101: nothing was said yet that could be wrong."""
    failed = refused(status, body)
    return VoiceFailed(str(failed), fatal=failed.fatal or failed.unspeakable)


def closed(code: int, reason: str) -> VoiceFailed:
    """The peer closed the socket with this code and reason."""
    for name in (*_FATAL, *_PASSING):
        if name in reason:
            return failure(name)
    return VoiceFailed(f"The connection to ElevenLabs was lost ({code}).")


def named(body: bytes) -> str:
    """The error's name in an answer, "" when ElevenLabs did not write it."""
    try:
        detail = _decode_refusal(body).detail
    except UNREADABLE:
        return ""
    return detail.status or detail.code or ""


class ElevenLabsWire(VoiceWire):
    """See `VoiceWire`.

    malformed, unknown: messages that could not be read, or were about nothing that we know. late: pieces
    of sound that nobody wanted any more.
    """

    keep_alive = b'{"text":""}'

    def __init__(self) -> None:
        self.ready = False
        self.malformed = 0
        self.unknown = 0
        self.late = 0
        self._sounds: dict[str, Sound | None] = {}
        self._count = 0

    @property
    def full(self) -> bool:
        """See `VoiceWire.full`."""
        return len(self._sounds) >= MOST_CONTEXTS

    @property
    def wanted(self) -> bool:
        """See `VoiceWire.wanted`."""
        return any(sound is not None for sound in self._sounds.values())

    @property
    def unstoppable(self) -> bool:
        """See `VoiceWire.unstoppable`."""
        return None in self._sounds.values()

    def open(self) -> list[bytes]:
        """See `VoiceWire.open`: the address says all."""
        self.ready = True
        return []

    def speak(self, text: str, sound: Sound, speed: float) -> list[bytes]:
        """See `VoiceWire.speak`."""
        self._count += 1
        context_id = str(self._count)
        self._sounds[context_id] = sound
        return [
            _encode({"text": " ", "context_id": context_id, **_settings(speed)}),
            _encode({"text": f"{text.strip()} ", "context_id": context_id, "flush": True}),
            _encode({"context_id": context_id, "close_context": True}),
        ]

    def leave(self, sound: Sound) -> list[bytes]:
        """See `VoiceWire.leave`: the context was closed when it was filled."""
        for context_id, wanted in self._sounds.items():
            if wanted is sound:
                self._sounds[context_id] = None
        return []

    def receive(self, data: bytes) -> list[bytes]:
        """See `VoiceWire.receive`."""
        try:
            message = _decode(data)
            mulaw = a2b_base64(message.audio) if message.audio else b""
        except UNREADABLE:
            self.malformed += 1
            return []
        if message.error is not None:
            raise failure(message.error)
        context_id = message.contextId or message.context_id or ""
        if context_id not in self._sounds:
            self.unknown += 1
            return []
        sound = self._sounds[context_id]
        if mulaw:
            if sound is None:
                self.late += 1
            else:
                sound.give(mulaw)
        if message.isFinal or message.is_final:
            del self._sounds[context_id]
            if sound is not None:
                sound.end()
        return []

    def give_up(self, why: VoiceFailed) -> None:
        """See `VoiceWire.give_up`."""
        sounds, self._sounds = self._sounds, {}
        for sound in sounds.values():
            if sound is not None:
                sound.end(why)


def _settings(speed: float) -> dict[str, Any]:
    if speed == 1.0:
        return {}
    return {"voice_settings": {"speed": min(FASTEST, max(SLOWEST, round(speed, 2)))}}
