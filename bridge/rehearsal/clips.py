"""The rendered voices that ship: one file of mu-law and a list of what is where in it.

`python -m bridge.rehearsal.render` writes both from the texts of the scenarios and profiles.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

FOLDER = Path(__file__).resolve().parents[2] / "resources" / "voices"
AUDIO_FILE = "clips.ulaw"
LIST_FILE = "clips.json"

AI_VOICE = "slt"
"""The voice of the rehearsal AI; no caller has it."""


class Entry(msgspec.Struct, frozen=True):
    """One clip: ``length`` bytes from ``offset``, speaking ``text``."""

    voice: str
    text: str
    offset: int
    length: int


class Clips:
    """Clips by voice and exact text. Raises OSError or msgspec.DecodeError when the files are not as written."""

    def __init__(self, folder: Path = FOLDER) -> None:
        audio = (folder / AUDIO_FILE).read_bytes()
        entries = msgspec.json.decode((folder / LIST_FILE).read_bytes(), type=list[Entry])
        self._audio = {(e.voice, e.text): audio[e.offset : e.offset + e.length] for e in entries}

    def get(self, voice: str, text: str) -> bytes | None:
        """mu-law, 8 kHz; None when nobody rendered this."""
        return self._audio.get((voice, text))

    def __len__(self) -> int:
        return len(self._audio)


@cache
def shipped() -> Clips:
    """The clips in the project's resources, read once."""
    return Clips()
