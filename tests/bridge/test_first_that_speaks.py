"""Several voices as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bridge.engines.speech import VoiceFailed
from bridge.engines.speech.first_that_speaks import FirstThatSpeaks, open_voice
from bridge.rehearsal.mind import THANKS
from bridge.rehearsal.model import Model
from tests.bridge.realtime_client import KEY


class Recited:
    """A voice that has one sound, or fails, or never comes to an end."""

    def __init__(self, sound: bytes | None = b"", *, never: bool = False) -> None:
        self.asked: list[str] = []
        self.closed = False
        self._sound, self._never = sound, never

    async def speak(self, text: str) -> bytes:
        self.asked.append(text)
        if self._never:
            await asyncio.Event().wait()
        if not self._sound:
            raise VoiceFailed("It is hoarse.")
        return self._sound

    async def close(self) -> None:
        self.closed = True


async def test_the_first_that_can_speaks_and_no_other_is_asked() -> None:
    hoarse, good, other = Recited(), Recited(b"good"), Recited(b"other")
    voice = FirstThatSpeaks([hoarse, good, other])
    assert await voice.speak("Hello.") == b"good"
    assert (hoarse.asked, good.asked, other.asked) == (["Hello."], ["Hello."], [])
    await voice.close()
    assert hoarse.closed and good.closed and other.closed


async def test_one_that_is_too_slow_is_passed_over() -> None:
    assert await FirstThatSpeaks([Recited(never=True), Recited(b"good")], 0.2).speak("Hello.") == b"good"


async def test_when_none_can_the_last_says_why() -> None:
    with pytest.raises(VoiceFailed, match="hoarse"):
        await FirstThatSpeaks([Recited(never=True), Recited()], 0.2).speak("Hello.")
    with pytest.raises(VoiceFailed, match="in time"):
        await FirstThatSpeaks([Recited(), Recited(never=True)], 0.2).speak("Hello.")
    with pytest.raises(VoiceFailed, match="OPENAI_API_KEY"):
        await FirstThatSpeaks([]).speak("Hello.")


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, speech_path="") as model:
        yield model


async def test_settings_make_a_voice(model: Model) -> None:
    voice = open_voice(("openai", "local"), api_key=KEY, base_url=model.url, model="tts-1", voice="ash")
    assert await voice.speak(THANKS)
    assert [(asked.model, asked.voice) for asked in model.spoken] == [("tts-1", "ash")]
    await voice.close()


async def test_without_a_key_there_is_no_voice_of_openais(model: Model) -> None:
    voice = open_voice(("openai",), api_key="", base_url=model.url, model="tts-1", voice="ash")
    with pytest.raises(VoiceFailed, match="No voice is set up"):
        await voice.speak(THANKS)
    await voice.close()
    assert not model.spoken
