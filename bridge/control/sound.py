"""The binary frames: what an operator says and hears."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import NamedTuple

TALK = 1
"""First byte of a binary frame from a console: the rest is operator speech, mu-law 8 kHz mono,
for the call whose floor this console holds."""

HEAR = 2
"""First byte of a binary frame to a console that listens; see `HeardFrame`."""


class Side(IntEnum):
    """Whose side of the call a `HeardFrame` is."""

    CALLER = 0
    LINE = 1


class HeardFrame(NamedTuple):
    """Sound of one side of a call, on its way to an operator's ear.

    listen_id: the id of the `Listen` that asked for it; frames of an older one are to be dropped.
    at_ms: call time at which it began. audio: mu-law, 8 kHz mono.
    """

    listen_id: int
    side: Side
    at_ms: int
    audio: bytes


_HEARD = Struct("<BBII")


def encode_heard(listen_id: int, side: Side, at_ms: int, audio: bytes) -> bytes:
    """One binary frame to a console that listens."""
    return _HEARD.pack(HEAR, side, listen_id & 0xFFFFFFFF, max(0, at_ms) & 0xFFFFFFFF) + audio


def decode_heard(frame: bytes) -> HeardFrame:
    """Raises ValueError for anything but such a frame."""
    if len(frame) < _HEARD.size or frame[0] != HEAR:
        raise ValueError("not audio for a console")
    _, side, listen_id, at_ms = _HEARD.unpack_from(frame)
    return HeardFrame(listen_id, Side(side), at_ms, frame[_HEARD.size :])
