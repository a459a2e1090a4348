"""Several voices as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest

from bridge.audio import decode, silence
from bridge.engines.speech import VoiceFailed
from bridge.engines.speech.collected import Collected
from bridge.engines.speech.elevenlabs_voice import ElevenLabsVoice
from bridge.engines.speech.first_that_speaks import FirstThatSpeaks, open_voice
from bridge.rehearsal.mind import THANKS
from bridge.rehearsal.model import Faults, Model
from bridge.settings import SPEECH_MODEL, SPEECH_VOICE, Settings
from tests.bridge.realtime_client import KEY
from tests.bridge.speech_program import level_db


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
    with pytest.raises(VoiceFailed, match="CORDBOARD_SAY=local"):
        await FirstThatSpeaks([]).speak("Hello.")


class Silent:
    """A live voice that makes no noise."""

    vendor, model = "nobody", "none"

    async def warm(self) -> None:
        return

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        yield silence(500)

    async def close(self) -> None:
        return


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, speech_path="") as model:
        yield model


def settings(model: Model, *voices: str, key: str = KEY) -> Settings:
    root = model.url.replace("ws", "http", 1)
    return Settings(
        home=Path(),
        say_voices=voices,
        openai_api_key=key,
        openai_base_url=model.url,
        elevenlabs_api_key=key,
        elevenlabs_url=f"{root}/elevenlabs",
    )


async def test_settings_make_a_voice(model: Model) -> None:
    voice = open_voice(settings(model, "openai", "local"))
    assert await voice.speak(THANKS)
    assert [(asked.model, asked.voice) for asked in model.spoken] == [(SPEECH_MODEL, SPEECH_VOICE)]
    await voice.close()


@pytest.mark.parametrize("name", ["openai", "realtime", "elevenlabs"])
async def test_every_vendor_can_speak_what_an_operator_wrote(model: Model, name: str) -> None:
    model.lines.learn(THANKS, (await model.voice.speak(THANKS)).audio)
    voice = open_voice(settings(model, name))
    sound = await voice.speak(THANKS)
    await voice.close()
    assert model.lines.recognise(sound)[0].transcript == THANKS
    assert level_db(decode(sound)) == pytest.approx(-20, abs=3)


@pytest.mark.parametrize("name", ["openai", "realtime", "elevenlabs"])
async def test_without_a_key_there_is_no_voice_of_a_vendors(model: Model, name: str) -> None:
    voice = open_voice(settings(model, name, key=""))
    with pytest.raises(VoiceFailed, match="No voice is set up"):
        await voice.speak(THANKS)
    await voice.close()


async def test_a_live_voice_that_takes_too_long_for_the_whole_is_given_up(model: Model) -> None:
    model.faults = Faults(elevenlabs_pace=0.1)
    live = ElevenLabsVoice(api_key=KEY, base_url=settings(model).elevenlabs_url)
    voice = Collected(live, limit_s=0.3)
    with pytest.raises(VoiceFailed, match="took too long"):
        await voice.speak(THANKS)
    await model.until(lambda: model.elevenlabs.cut_short == 1)
    await voice.close()


async def test_a_live_voice_that_is_silent_has_said_nothing() -> None:
    voice = Collected(Silent())
    with pytest.raises(VoiceFailed, match="only silence"):
        await voice.speak(THANKS)
    await voice.close()
