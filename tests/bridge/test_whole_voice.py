"""Clips made of a voice that speaks live."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bridge.engines.speech import VoiceFailed
from bridge.engines.speech.deepgram_voice import DeepgramVoice
from bridge.engines.speech.sound import without_silence
from bridge.engines.speech.whole_voice import WholeVoice
from bridge.rehearsal.model import Faults, Model
from tests.bridge.test_deepgram_transcriber import KEY, address

HELLO = "Hello. How can I help you?"


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, aura_delay_ms=(0, 0), speed=0) as model:
        yield model


def voice_of(model: Model, limit_s: float = 8.0) -> WholeVoice:
    return WholeVoice(DeepgramVoice(api_key=KEY, base_url=address(model)), limit_s)


async def test_a_clip_is_all_of_the_sound_without_silence_at_its_ends(model: Model) -> None:
    voice = voice_of(model)
    assert await voice.speak(HELLO) == without_silence((await model.voice.speak(HELLO)).audio)
    await voice.close()


async def test_what_gives_no_clip_in_time_is_told(model: Model) -> None:
    model.faults = Faults(deepgram_silent=True)
    voice = voice_of(model, limit_s=0.1)
    with pytest.raises(VoiceFailed, match="too long"):
        await voice.speak(HELLO)
    await voice.close()


async def test_where_nothing_is_said_there_is_no_clip(model: Model) -> None:
    voice = voice_of(model)
    with pytest.raises(VoiceFailed, match="silence"):
        await voice.speak(" ")
    await voice.close()
