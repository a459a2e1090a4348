"""The text frames: one command or event each, as JSON."""

from __future__ import annotations

import msgspec

from bridge.control.commands import Command
from bridge.control.events import Event

_encoder = msgspec.json.Encoder()
_commands: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_events: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode(message: Command | Event) -> str:
    """One command or event as the text of one frame."""
    return _encoder.encode(message).decode()


def decode_command(text: str | bytes) -> Command:
    """Raises msgspec.DecodeError (its ValidationError included) for anything but a command."""
    try:
        return _commands.decode(text)
    except (RecursionError, UnicodeDecodeError) as error:
        raise msgspec.DecodeError(str(error)) from None


def decode_event(text: str | bytes) -> Event:
    """Raises msgspec.DecodeError (its ValidationError included) for anything but an event."""
    return _events.decode(text)
