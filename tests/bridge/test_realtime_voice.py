"""A Realtime session as a voice: what is its own beside what all live voices do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest

from bridge.engines.speech import VoiceFailed
from bridge.engines.speech.realtime_voice import RealtimeVoice
from bridge.rehearsal.mind import GO_ON, THANKS
from bridge.rehearsal.model import HALF_OPEN, Model
from tests.bridge.live_voice import at_work, spoken
from tests.bridge.realtime_client import KEY


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, speech_path="", model_delay_ms=0, speed=0) as model:
        yield model


def speaking(rehearsal: Model, **given: Any) -> AbstractAsyncContextManager[RealtimeVoice]:
    return at_work(RealtimeVoice(**{"api_key": KEY, "base_url": rehearsal.url} | given))


async def test_two_sessions_are_warm_and_read_all_that_comes(model: Model) -> None:
    async with speaking(model) as voice:
        await voice.warm()
        assert model.open_sessions == 2
        sounds = await asyncio.gather(*(spoken(voice, text) for text in [THANKS, GO_ON] * 4))
        assert sounds == [(await model.voice.speak(text)).audio for text in [THANKS, GO_ON] * 4]
        assert voice.cost_usd > 0
        assert voice.other_words == 0
    assert model.total_sessions == 2
    assert not [refused for session in model.sessions for refused in session.refusals]
    assert all(not session.items.last_id for session in model.sessions)


async def test_the_pace_is_set_between_sentences(model: Model) -> None:
    async with speaking(model, speed=0.8) as voice:
        assert await spoken(voice)
    [session] = model.sessions
    assert session.settings.value["audio"]["output"]["speed"] == 0.8
    assert not session.refusals


@pytest.mark.parametrize(
    ("given", "words"),
    [({"voice": "hal"}, "does not take this voice"), ({"model": "gpt-9"}, "does not offer this model")],
)
async def test_a_wrong_choice_is_told_and_fatal(model: Model, given: dict[str, str], words: str) -> None:
    async with speaking(model, **given) as voice:
        with pytest.raises(VoiceFailed, match=words) as told:
            await spoken(voice)
    assert told.value.fatal


async def test_a_sentence_that_fails_leaves_the_session(model: Model) -> None:
    model.faults = replace(model.faults, fail_response=True)
    async with speaking(model) as voice:
        with pytest.raises(VoiceFailed, match="server_error"):
            await spoken(voice)
        model.faults = replace(model.faults, fail_response=False)
        assert await spoken(voice)
    assert model.total_sessions == 1


async def test_a_response_without_sound_has_not_spoken(model: Model) -> None:
    model.faults = replace(model.faults, no_audio=True)
    async with speaking(model) as voice:
        with pytest.raises(VoiceFailed, match="sent no sound"):
            await spoken(voice)


async def test_a_session_that_expired_is_replaced(model: Model) -> None:
    model.expires_s = 0.2
    async with speaking(model) as voice:
        await voice.warm()
        await model.until(lambda: not model.open_sessions)
        model.expires_s = 3600
        assert await spoken(voice)


async def test_a_session_that_died_is_given_up_and_replaced(model: Model) -> None:
    async with speaking(model, patience_s=0.3) as voice:
        await voice.warm()
        model.faults = replace(model.faults, end_after=3, end_with=HALF_OPEN)
        for _ in range(2):
            with pytest.raises(VoiceFailed, match="in time"):
                await spoken(voice)
        model.faults = replace(model.faults, end_after=0)
        assert await spoken(voice)


async def test_left_sentences_that_never_end_do_not_block_the_voice(model: Model) -> None:
    async with speaking(model, patience_s=0.3) as voice:
        await voice.warm()
        model.faults = replace(model.faults, end_after=3, end_with=HALF_OPEN)
        for count in (1, 2):
            asked = asyncio.create_task(spoken(voice))
            await model.until(lambda count=count: sum(len(s.received) > 1 for s in model.sessions) == count)
            asked.cancel()
            await asyncio.wait([asked])
        model.faults = replace(model.faults, end_after=0)
        with pytest.raises(VoiceFailed, match="in time"):
            await spoken(voice)
        assert await spoken(voice)
