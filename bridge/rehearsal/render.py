"""Renders the voices of the rehearsal: `python -m bridge.rehearsal.render`.

Speaks every line of `resources/scenarios` and `resources/menus`, the first lines of `resources/profiles`
and the AI's stock phrases with flite (Debian: `apt install flite`) and packs them into `resources/voices`.
Run it after changing a text: clips that are there already stay as they are, unless it is called with
``--all``. A voice is a flite voice, or ``name@factor`` for the same voice with
its pitch and timbre scaled.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import msgspec

from bridge import menus
from bridge.rehearsal import mind, scenario
from bridge.rehearsal.clips import AI_VOICE, AUDIO_FILE, FOLDER, LIST_FILE, Entry, shipped
from bridge.rehearsal.speech import clip, sentences
from bridge.templates import filled
from bridge.wav import samples_from_wav

PROFILES = FOLDER.parent / "profiles"
TEMPO = 0.95
"""A little faster than flite speaks by itself."""


def texts() -> list[tuple[str, str]]:
    """(voice, text) of every clip needed: the caller's whole lines, the AI's single sentences."""
    needed: dict[tuple[str, str], None] = {}
    for name in scenario.names():
        script = scenario.script(name)
        needed |= dict.fromkeys((script.voice, text) for text in script.caller_texts())
        needed |= dict.fromkeys(_ai(filled(text, None)) for whole in script.ai_texts() for text in sentences(whole))
    for path in sorted(PROFILES.glob("*.toml")):
        first_line = tomllib.loads(path.read_text("utf-8")).get("first_line", "")
        needed |= dict.fromkeys(_ai(text) for text in sentences(first_line))
    for menu in menus.load().values():
        needed |= dict.fromkeys(_ai(text) for whole in menu.texts() for text in sentences(filled(whole, None)))
    needed |= dict.fromkeys(_ai(text) for whole in mind.STOCK for text in sentences(whole))
    return list(needed)


def spoken(voice: str, text: str) -> bytes:
    """The text as mu-law. Raises CalledProcessError or FileNotFoundError when flite does not do it."""
    base, _, factor_text = voice.partition("@")
    factor = float(factor_text or 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        # Played faster it is higher and shorter, so it is spoken slower by as much.
        stretch = f"duration_stretch={TEMPO * factor}"
        subprocess.run(["flite", "-voice", base, "--setf", stretch, "-o", str(path), "-t", text], check=True)
        samples, rate_hz = samples_from_wav(path.read_bytes(), path.name)
    return clip(samples, round(rate_hz * factor / 100) * 100)


def _ai(text: str) -> tuple[str, str]:
    return AI_VOICE, text


def main() -> None:
    """Writes the two files and says how large they are."""
    there = None if "--all" in sys.argv else shipped()
    audio = bytearray()
    entries: list[Entry] = []
    for voice, text in texts():
        sound = (there and there.get(voice, text)) or spoken(voice, text)
        entries.append(Entry(voice, text, len(audio), len(sound)))
        audio += sound
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / AUDIO_FILE).write_bytes(audio)
    (FOLDER / LIST_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(entries)) + b"\n")
    sys.stdout.write(f"{len(entries)} clips, {len(audio) / 8000:.0f} s, {len(audio) / 1e6:.2f} MB\n")


if __name__ == "__main__":
    main()
