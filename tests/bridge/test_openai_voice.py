"""OpenAI's speech service as a voice, against the rehearsal's and against servers that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from bridge.audio import decode
from bridge.engines.speech import VoiceFailed
from bridge.engines.speech import openai_voice as module
from bridge.engines.speech.openai_voice import OpenAIVoice
from bridge.errors import SettingsError
from bridge.rehearsal.clips import AI_VOICE, shipped
from bridge.rehearsal.mind import THANKS
from bridge.rehearsal.model import Faults, Model
from tests.bridge.realtime_client import KEY
from tests.bridge.speech_program import level_db
from tests.bridge.speech_server import server


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, speech_path="") as model:
        yield model


@asynccontextmanager
async def speaking(base_url: str, **other: Any) -> AsyncIterator[OpenAIVoice]:
    given: dict[str, Any] = {"api_key": KEY, "model": "gpt-4o-mini-tts", "voice": "ash"}
    voice = OpenAIVoice(base_url=base_url, **given | other)
    try:
        yield voice
    finally:
        await voice.close()


async def refusal(base_url: str, text: str = "Hello.", **other: Any) -> str:
    async with speaking(base_url, **other) as voice:
        with pytest.raises(VoiceFailed) as told:
            await voice.speak(text)
    return str(told.value)


async def test_exactly_the_words_come_as_telephone_sound(model: Model) -> None:
    async with speaking(model.url) as voice:
        first = await voice.speak(THANKS)
        assert await voice.speak(THANKS) == first
    assert [asked.input for asked in model.spoken] == [THANKS, THANKS]
    rendered = shipped().get(AI_VOICE, THANKS) or b""
    assert abs(len(first) - len(rendered)) <= 320
    assert level_db(decode(first)) == pytest.approx(level_db(decode(rendered)), abs=2)
    assert model.lines.recognise(first)[0].transcript == THANKS


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"api_key": "sk-wrong"}, "check OPENAI_API_KEY"),
        ({"model": "gpt-9-tts"}, "no speech model gpt-9-tts; set OPENAI_SPEECH_MODEL"),
        ({"voice": "hal"}, "check OPENAI_SPEECH_VOICE"),
    ],
)
async def test_a_wrong_setting_is_named(model: Model, other: dict[str, str], words: str) -> None:
    assert words in await refusal(model.url, **other)


@pytest.mark.parametrize(("status", "words"), [(429, "fewer requests"), (500, "HTTP status 500"), (404, "no speech")])
async def test_other_refusals_are_told_in_words(model: Model, status: int, words: str) -> None:
    model.faults = Faults(speech_status=status)
    assert words in await refusal(model.url)


async def test_what_the_service_cannot_speak_is_told(model: Model) -> None:
    assert "HTTP status 500" in await refusal(model.url, "Nobody rendered this, and there is no program.")
    assert "4096 characters" in await refusal(model.url, "a" * 5000)


async def test_an_empty_purse_is_told() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"error": {"code": "insufficient_quota", "message": "canary"}}, status=429)

    async with server(answer) as url:
        assert await refusal(url) == "The OpenAI account has no credit left for speech."


@pytest.mark.parametrize(
    ("response", "words"),
    [
        ({"status": 503, "body": b"\xff\xfe"}, "HTTP status 503"),
        ({"status": 302, "headers": {"Location": "/v1/audio/speech"}}, "HTTP status 302"),
        ({"text": "<html>", "content_type": "text/html"}, "Something other"),
        ({"body": bytes(4801), "content_type": "audio/pcm"}, "only silence"),
        ({"body": b"", "content_type": "audio/pcm"}, "only silence"),
        ({"body": bytes(20_000), "content_type": "audio/pcm"}, "far more sound"),
    ],
)
async def test_odd_answers_are_no_speech(response: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10_000)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(**response)

    async with server(answer) as url:
        assert words in await refusal(url)


async def test_a_service_that_does_not_answer_is_given_up() -> None:
    async def answer(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with server(answer) as url:
        assert "in time" in await refusal(url, limit_s=0.1)


async def test_a_service_that_is_not_there_cannot_be_reached(unused_tcp_port: int) -> None:
    assert "could not be reached" in await refusal(f"https://127.0.0.1:{unused_tcp_port}/v1")


def test_an_address_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(SettingsError):
        OpenAIVoice(api_key=KEY, model="tts-1", voice="ash", base_url="here")
