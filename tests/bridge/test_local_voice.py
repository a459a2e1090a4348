"""The operating system's speech program as a voice, with programs made for the test."""

from __future__ import annotations

import asyncio
import os
import tempfile
from array import array
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from bridge.audio import decode
from bridge.engines.speech import VoiceFailed
from bridge.engines.speech.local_voice import PROGRAMS, LocalVoice
from bridge.engines.speech.sound import LEVEL_DBFS, levelled, telephone_sound, without_silence
from bridge.engines.speech.workshop import Workshop
from tests.bridge.speech_program import install, level_db, tone, wav

QUIET = array("h", bytes(2 * 16000))
FIND_OUTPUT = 'for last; do :; done; out="$last"; '


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the voice keeps its files for a moment."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    folder = tmp_path / "programs"
    folder.mkdir()
    return lambda script: install(folder, FIND_OUTPUT + script)


async def test_words_are_spoken_at_a_natural_level_without_silence_around_them(
    program: Callable[[str], str], temporary: Path, tmp_path: Path
) -> None:
    sound, copy = tmp_path / "sound.wav", tmp_path / "copy.txt"
    sound.write_bytes(wav(1, 1, 16000, 16, (QUIET + tone(300, 16000, 700, 500) + QUIET).tobytes()))
    # The text is the argument behind -f.
    script = f'while [ "$1" != -f ]; do shift; done; cat "$2" > {copy}; cat {sound} > "$out"'
    voice = LocalVoice(path=program(script))
    spoken = await voice.speak("--help; `reboot` $HOME [[slnc 5000]] £5")
    assert 700 <= len(spoken) / 8 <= 730
    assert level_db(decode(spoken[800:4800])) == pytest.approx(LEVEL_DBFS, abs=1)
    assert copy.read_text("utf-8") == "--help; `reboot` $HOME [ [slnc 5000]] £5\n"
    await voice.close()
    assert not list(temporary.iterdir())


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 0", "made no sound"),
        ('echo no sound at all > "$out"', "made no sound"),
        ("exit 1", "made no sound"),
        ("exec cat /dev/zero > /dev/null", "took too long"),
    ],
)
async def test_a_program_that_fails_or_hangs_is_told_in_words(
    program: Callable[[str], str], temporary: Path, script: str, words: str
) -> None:
    voice = LocalVoice(path=program(script), limit_s=0.3)
    with pytest.raises(VoiceFailed, match=words):
        await voice.speak("Hello.")
    await voice.close()
    assert not list(temporary.iterdir())


async def test_a_program_that_cannot_be_run_is_told_in_words(program: Callable[[str], str]) -> None:
    path = program("")
    Path(path.split(os.pathsep)[0], "flite").write_bytes(b"\x7fELF")
    voice = LocalVoice(path=path)
    with pytest.raises(VoiceFailed, match="could not be run"):
        await voice.speak("Hello.")
    await voice.close()


async def test_without_a_place_for_files_it_says_so(program: Callable[[str], str], temporary: Path) -> None:
    temporary.rmdir()
    voice = LocalVoice(path=program(""))
    with pytest.raises(VoiceFailed, match="no place for speech"):
        await voice.speak("Hello.")
    await voice.close()


async def test_shaping_a_long_sound_ends_when_nobody_wants_it_any_more() -> None:
    workshop, begun = Workshop(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def endless() -> tuple[array[int], int]:
        loop.call_soon_threadsafe(begun.set)
        return array("h", bytes(2 * 24000 * 600)), 24000

    shaping = asyncio.ensure_future(workshop.shape(endless))
    await begun.wait()
    shaping.cancel()
    # What comes next need not wait the half minute that ten minutes of sound take.
    async with asyncio.timeout(10):
        assert await workshop.do(lambda: "next") == "next"
    await workshop.close()


async def test_without_a_program_it_says_what_to_install() -> None:
    voice = LocalVoice(path="")
    with pytest.raises(VoiceFailed, match="install flite or espeak-ng"):
        await voice.speak("Hello.")
    await voice.close()


async def test_when_it_is_given_up_the_program_is_killed(
    program: Callable[[str], str], temporary: Path, tmp_path: Path
) -> None:
    pipe = tmp_path / "pid"
    os.mkfifo(pipe)
    voice = LocalVoice(path=program(f"echo $$ > {pipe}; exec cat /dev/zero > /dev/null"))
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    told = asyncio.Event()
    asyncio.get_running_loop().add_reader(reader, told.set)
    speaking = asyncio.ensure_future(voice.speak("Hello."))
    await told.wait()
    asyncio.get_running_loop().remove_reader(reader)
    pid = int(os.read(reader, 100))
    os.close(reader)
    speaking.cancel()
    with suppress(asyncio.CancelledError):
        await speaking
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    await voice.close()
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_speaks_with_a_given_voice_or_its_own(name: str) -> None:
    own, given = (PROGRAMS[name]("/t/text.txt", "/t/speech.wav", voice) for voice in ("", "rms"))
    if name == "powershell":
        assert own == given and all(f"$env:CORDBOARD_{what}" in own[-1] for what in ("TEXT", "WAV", "VOICE"))
    else:
        assert {"/t/text.txt", "/t/speech.wav"} < set(own) and [one for one in given if one not in own][-1] == "rms"


def test_pauses_stay_as_they_are_unless_they_are_to_be_short() -> None:
    word = tone(300, 8000, 400)
    pause = array("h", bytes(2 * 8000))
    sound = telephone_sound(pause + word + pause + word + pause, 8000)
    assert len(sound) / 8 == pytest.approx(400 + 1000 + 400 + 20, abs=20)
    assert len(without_silence(sound, 220)) / 8 == pytest.approx(400 + 220 + 400 + 20, abs=20)


def test_silence_is_no_speech() -> None:
    assert telephone_sound(QUIET, 16000) == b""
    assert not levelled(array("h"))
