"""The operating system's own speech program as a voice: it costs nothing, and the words stay on this machine.

The first program found is used: espeak-ng or flite (Linux), say (macOS), Windows' own through
PowerShell. The words go in by a file and the sound comes out by one, so that no text is ever taken
for an option or a command.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from bridge.engines.speech import LIMIT_S, VoiceFailed
from bridge.engines.speech.workshop import Workshop
from bridge.wav import samples_from_wav

Command = Callable[[str, str, str], list[str]]
"""Arguments from the text's file, the WAV to write and the voice's name, "" for the program's own."""

# Windows has no program for it, but a library: the three names come in by the environment.
_SAPI = """
$ErrorActionPreference = 'Stop'
Add-Type -AssemblyName System.Speech
$voice = New-Object System.Speech.Synthesis.SpeechSynthesizer
if ($env:CORDBOARD_VOICE) { $voice.SelectVoice($env:CORDBOARD_VOICE) }
$voice.SetOutputToWaveFile($env:CORDBOARD_WAV)
$voice.Speak([IO.File]::ReadAllText($env:CORDBOARD_TEXT, [Text.Encoding]::UTF8))
$voice.Dispose()
"""

PROGRAMS: dict[str, Command] = {
    "flite": lambda text, wav, voice: [
        *(("-voice", voice) if voice else ()),
        *("--setf", "duration_stretch=0.95", "-f", text, "-o", wav),
    ],
    "espeak-ng": lambda text, wav, voice: [*(("-v", voice) if voice else ()), "-f", text, "-w", wav],
    "say": lambda text, wav, voice: [
        *(("-v", voice) if voice else ()),
        *("-f", text, "-o", wav, "--data-format=LEI16@22050"),
    ],
    "powershell": lambda text, wav, voice: ["-NoProfile", "-NonInteractive", "-Command", _SAPI],
}

OPERATOR_VOICES = {"flite": "rms", "espeak-ng": "en-us+m3"}
"""Voices that sound like nobody else on the line; where none is named, the program has its own."""


class LocalVoice:
    """One voice for all calls; see `Voice`.

    voices: the voice to ask each program for. path: where programs are looked for, None for the
    system's PATH. limit_s: longest a program may take. workshop: one that it may share, and closes.
    """

    def __init__(
        self,
        voices: Mapping[str, str] = OPERATOR_VOICES,
        *,
        path: str | None = None,
        limit_s: float = LIMIT_S,
        workshop: Workshop | None = None,
    ) -> None:
        self._voices = voices
        self._path = path
        self._limit_s = limit_s
        self._workshop = workshop or Workshop()

    async def speak(self, text: str) -> bytes:
        """See `Voice.speak`. When it is cancelled the program is killed."""
        found = ((name, shutil.which(name, path=self._path)) for name in PROGRAMS)
        name, program = next(((name, program) for name, program in found if program), ("", ""))
        if not program:
            raise VoiceFailed("The bridge's machine has no speech program: install flite or espeak-ng there.")
        try:
            folder = tempfile.mkdtemp(prefix="cordboard-voice-")
        except OSError as error:
            raise VoiceFailed(f"The bridge's machine has no place for speech ({error.strerror}).") from error
        try:
            async with asyncio.timeout(self._limit_s):
                sound = await self._spoken(name, program, folder, text)
        except TimeoutError as error:
            raise VoiceFailed(f"The speech program {name} took too long.") from error
        except OSError as error:
            raise VoiceFailed(f"The speech program {name} could not be run ({error.strerror}).") from error
        finally:
            self._workshop.do_at_last(lambda: shutil.rmtree(folder, ignore_errors=True))
        if not sound:
            raise VoiceFailed(f"The speech program {name} made no sound of that.")
        return sound

    async def close(self) -> None:
        """See `Voice.close`."""
        await self._workshop.close()

    async def _spoken(self, name: str, program: str, folder: str, text: str) -> bytes:
        written, wav, voice = f"{folder}/text.txt", f"{folder}/speech.wav", self._voices.get(name, "")
        # To espeak-ng and say, double brackets would be commands.
        plain = text.replace("[[", "[ [")
        await self._workshop.do(lambda: Path(written).write_text(plain + "\n", "utf-8", "replace"))
        told = {"CORDBOARD_TEXT": written, "CORDBOARD_WAV": wav, "CORDBOARD_VOICE": voice}
        if await self._run(program, *PROGRAMS[name](written, wav, voice), environment=os.environ | told) != 0:
            return b""
        try:
            return await self._workshop.shape(lambda: samples_from_wav(Path(wav).read_bytes(), "speech.wav"))
        except (FileNotFoundError, ValueError):
            return b""

    async def _run(self, *command: str, environment: Mapping[str, str]) -> int:
        """The exit status."""
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *command, stdin=quiet, stdout=quiet, stderr=quiet, env=environment
        )
        try:
            return await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
