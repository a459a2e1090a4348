"""Twilio Media Streams messages, as text in and values out.

Knows nothing of sockets, time or calls: feed `parse` a message and get an event; `Outgoing` makes
the three messages that Twilio accepts. Source: Twilio docs, "Media Streams: WebSocket Messages"
(read 2026-11); samples in tests/wire/twilio/.

Twilio writes its numbers as decimal strings; plain numbers are taken as well. Fields that we have
no use for are skipped, not checked.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, field

from bridge.errors import PeerError

_UNKNOWN_NAME_CHARS = 40

Milliseconds: TypeAlias = Annotated[int, Meta(ge=0, le=2**40)]
Name: TypeAlias = Annotated[str, Meta(max_length=200)]
Sid: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]


# ── events: what Twilio tells us ──────────────────────────────────────────────────────────


class Connected(msgspec.Struct, frozen=True):
    """The socket is open; nothing may be sent before `Start`."""


class MediaFormat(msgspec.Struct, frozen=True, rename="camel"):
    """How the audio is encoded, both ways."""

    encoding: Name = ""
    sample_rate: int = 0
    channels: int = 1


class Start(msgspec.Struct, frozen=True, rename="camel"):
    """The stream begins. custom_parameters: what our TwiML put into its ``<Parameter>``s."""

    stream_sid: Sid
    account_sid: Sid
    call_sid: Sid
    media_format: MediaFormat
    custom_parameters: dict[Name, Annotated[str, Meta(max_length=500)]] = {}

    @property
    def speaks_mulaw(self) -> bool:
        """Whether the audio is the only kind we handle: mu-law, 8 kHz, mono."""
        format = self.media_format
        return (format.encoding, format.sample_rate, format.channels) == ("audio/x-mulaw", 8000, 1)


class Media(msgspec.Struct, frozen=True, gc=False):
    """Caller audio, normally one frame of 20 ms.

    timestamp: ms since the stream began. payload: mu-law as base64, *not* checked here: decode it
    strictly before it is put into another message.
    """

    payload: str
    timestamp: Milliseconds


class Dtmf(msgspec.Struct, frozen=True):
    """The caller pressed a key: one of 0-9, A-D, ``*``, ``#``."""

    digit: Annotated[str, Meta(pattern=r"^[0-9A-D*#]\Z")]


class Mark(msgspec.Struct, frozen=True):
    """All audio sent before the mark of this name was played, or was flushed by a clear."""

    name: Name


class Stop(msgspec.Struct, frozen=True, rename="camel"):
    """The stream is over: the caller hung up, or the call went elsewhere."""

    call_sid: str = ""


class Unknown(msgspec.Struct, frozen=True):
    """A message of a kind that we do not know, to be counted. name: at most 40 characters."""

    name: str


Event: TypeAlias = Connected | Start | Media | Dtmf | Mark | Stop | Unknown


# ── their envelopes: each event lies under a key of its own ───────────────────────────────


class _Connected(msgspec.Struct, tag_field="event", tag="connected"):
    body: Connected = field(name="_", default_factory=Connected)


class _Start(msgspec.Struct, tag_field="event", tag="start"):
    body: Start = field(name="start")


class _Media(msgspec.Struct, tag_field="event", tag="media", gc=False):
    body: Media = field(name="media")


class _Dtmf(msgspec.Struct, tag_field="event", tag="dtmf"):
    body: Dtmf = field(name="dtmf")


class _Mark(msgspec.Struct, tag_field="event", tag="mark"):
    body: Mark = field(name="mark")


class _Stop(msgspec.Struct, tag_field="event", tag="stop"):
    body: Stop = field(name="stop", default_factory=Stop)


class _Any(msgspec.Struct):
    event: str


_Envelope: TypeAlias = _Connected | _Start | _Media | _Dtmf | _Mark | _Stop

_KNOWN = frozenset({"connected", "start", "media", "dtmf", "mark", "stop"})
# strict=False: numbers may come as strings.
_envelopes: msgspec.json.Decoder[_Envelope] = msgspec.json.Decoder(_Envelope, strict=False)
_decode = _envelopes.decode
_decode_any = msgspec.json.Decoder(_Any).decode


def parse(text: str) -> Event:
    """One text message from the media socket as an event.

    Raises PeerError for what is no message of Twilio's; its text holds nothing of the message.
    """
    try:
        return _decode(text).body
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        return _unknown(text, error)


def _unknown(text: str, error: Exception) -> Unknown:
    try:
        name = _decode_any(text).event
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        name = ""
    if not name or name in _KNOWN:
        reason = str(error) if isinstance(error, msgspec.ValidationError) else "not readable as JSON"
        raise PeerError(f"Twilio sent a message that makes no sense: {reason}") from None
    return Unknown(name[:_UNKNOWN_NAME_CHARS])


# ── what we tell Twilio ───────────────────────────────────────────────────────────────────


class Outgoing:
    """Makes the messages for one stream. They are put together from ready-made halves: no JSON
    is written on the audio path."""

    __slots__ = ("_clear", "_mark", "_media")

    def __init__(self, stream_sid: str) -> None:
        sid = msgspec.json.encode(stream_sid).decode()
        self._media = f'{{"event":"media","streamSid":{sid},"media":{{"payload":"'
        self._mark = f'{{"event":"mark","streamSid":{sid},"mark":{{"name":"'
        self._clear = f'{{"event":"clear","streamSid":{sid}}}'

    def media(self, payload: str) -> str:
        """Audio to play after what was sent before. payload: base64 of mu-law, 8 kHz, no header."""
        return self._media + payload + '"}}'

    def mark(self, name: str) -> str:
        """Ask to be told when all audio sent so far was played. name: ours, plain ASCII."""
        return self._mark + name + '"}}'

    def clear(self) -> str:
        """Forget all audio not played yet; Twilio then returns every pending mark at once."""
        return self._clear
