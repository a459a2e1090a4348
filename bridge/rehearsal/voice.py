"""The rehearsal AI's voice: any text as telephone audio, with the moment of each word.

A sentence is taken from the rendered clips; one that nobody rendered is spoken by a program found
on PATH (flite, espeak-ng, macOS say); where there is none, it is babbled for as long as it takes.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bridge.audio import silence
from bridge.rehearsal.clips import AI_VOICE, shipped
from bridge.rehearsal.speech import SENTENCE_PAUSE_MS, babble, clip, sentences, word_starts
from bridge.rehearsal.wav import samples_from_wav

log = logging.getLogger("cordboard.rehearsal")

PATIENCE_S = 4.0
"""Longest a speech program may take for a sentence before it is babbled."""

_CACHED_SENTENCES = 200

# The text goes in by a file, so that no text is ever taken for an option.
_PROGRAMS: dict[str, Callable[[str, str], list[str]]] = {
    "flite": lambda text, wav: ["-voice", AI_VOICE, "--setf", "duration_stretch=0.95", "-f", text, "-o", wav],
    "espeak-ng": lambda text, wav: ["-v", "en-us+f3", "-f", text, "-w", wav],
    "say": lambda text, wav: ["-f", text, "-o", wav, "--data-format=LEI16@22050"],
}


@dataclass(frozen=True)
class Spoken:
    """mu-law 8 kHz, and each word (with the space before it) with the byte at which it begins."""

    audio: bytes
    words: list[tuple[str, int]]


class Voice:
    """One voice for all sessions. path: where programs are looked for, None for the system's PATH."""

    def __init__(self, path: str | None = None, patience_s: float = PATIENCE_S) -> None:
        self._path = path
        self._patience_s = patience_s
        self._cache: dict[str, bytes] = {}
        self._worker = ThreadPoolExecutor(1, "cordboard-voice")

    async def speak(self, text: str) -> Spoken:
        """The text as audio. Never fails: at worst it babbles."""
        audio = bytearray()
        words: list[tuple[str, int]] = []
        for sentence in sentences(text):
            if audio:
                audio += silence(SENTENCE_PAUSE_MS)
            sound = shipped().get(AI_VOICE, sentence) or self._cache.get(sentence) or await self._made(sentence)
            space = " " if words else ""
            words += [((space if not at else "") + w, len(audio) + at) for w, at in word_starts(sentence, len(sound))]
            audio += sound
        return Spoken(bytes(audio), words)

    def close(self) -> None:
        """Ends the worker; what it is at takes well below a second."""
        self._worker.shutdown(cancel_futures=True)

    async def _made(self, sentence: str) -> bytes:
        sound = await self._by_program(sentence) or await self._off_loop(lambda: babble(sentence))
        if len(self._cache) >= _CACHED_SENTENCES:
            del self._cache[next(iter(self._cache))]
        self._cache[sentence] = sound
        return sound

    async def _by_program(self, sentence: str) -> bytes:
        """What the first program there is makes of it; b"" when none is, or it fails."""
        found = ((name, shutil.which(name, path=self._path)) for name in _PROGRAMS)
        name, program = next(((name, program) for name, program in found if program), ("", ""))
        if not program:
            return b""
        with tempfile.TemporaryDirectory(prefix="cordboard-voice-") as folder:
            text, wav = f"{folder}/text.txt", f"{folder}/speech.wav"
            await self._off_loop(lambda: _written(text, sentence))
            sound = (
                await self._off_loop(lambda: _clip(wav))
                if await self._run(program, *_PROGRAMS[name](text, wav))
                else b""
            )
        if not sound:
            log.warning("%s could not speak a sentence, so it is babbled", name)
        return sound

    async def _run(self, *command: str) -> bool:
        """True when it ended well and in time; it is killed when it takes too long."""
        quiet = asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(*command, stdin=quiet, stdout=quiet, stderr=quiet)
        except OSError:
            return False
        try:
            return await asyncio.wait_for(process.wait(), self._patience_s) == 0
        except TimeoutError:
            return False
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _off_loop(self, work: Callable[[], bytes]) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)


def _written(path: str, sentence: str) -> bytes:
    Path(path).write_text(sentence + "\n", "utf-8")
    return b""


def _clip(path: str) -> bytes:
    """A program's WAV as a clip; b"" when it wrote none."""
    try:
        return clip(*samples_from_wav(Path(path).read_bytes(), "speech.wav"))
    except (OSError, ValueError):
        return b""
