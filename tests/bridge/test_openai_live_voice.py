"""OpenAI's speech service, live: samples that come in odd pieces, and what servers do wrong."""

from __future__ import annotations

from array import array
from contextlib import aclosing
from math import pi, sin
from typing import Any

import pytest
from aiohttp import web
from msgspec import UNSET

from bridge.audio import decode
from bridge.engines.speech import VoiceFailed
from bridge.engines.speech.openai_live_voice import OpenAILiveVoice
from bridge.engines.speech.pcm_stream import PcmStream
from bridge.rehearsal.mind import THANKS
from bridge.rehearsal.model import Faults, Model
from tests.bridge.realtime_client import KEY
from tests.bridge.speech_server import server


def tone(hz: float, ms: int) -> bytes:
    """24 kHz samples at half of full scale."""
    return array("h", (round(16000 * sin(2 * pi * hz * at / 24000)) for at in range(24 * ms))).tobytes()


def streamed(pcm: bytes, piece_bytes: int) -> bytes:
    stream = PcmStream()
    pieces = [pcm[at : at + piece_bytes] for at in range(0, len(pcm), piece_bytes)]
    return b"".join(mulaw for piece in pieces for mulaw in stream.take(piece)) + stream.end()


def test_pieces_of_any_size_give_the_same_sound() -> None:
    pcm = tone(440, 500)
    whole = streamed(pcm, len(pcm))
    assert abs(len(whole) - 4000) <= 8
    for piece_bytes in (1, 7, 801, 9601):
        other = streamed(pcm, piece_bytes)
        assert len(other) == len(whole)
        assert max(abs(a - b) for a, b in zip(decode(other), decode(whole), strict=True)) <= 1024
    assert 15000 < max(decode(whole)) < 17000


def test_what_a_telephone_cannot_carry_does_not_fold_over() -> None:
    assert max(map(abs, decode(streamed(tone(6000, 300), 999))[200:-200])) < 200


async def spoken(base_url: str, text: str = THANKS, **given: Any) -> bytes:
    voice = OpenAILiveVoice(
        **{"api_key": KEY, "model": "gpt-4o-mini-tts", "voice": "ash", "base_url": base_url} | given
    )
    try:
        async with aclosing(voice.speak(text)) as pieces:
            return b"".join([piece async for piece in pieces])
    finally:
        await voice.close()


@pytest.mark.parametrize(
    ("speed", "asked"), [(0.8, "Speak slowly and clearly."), (1.2, "Speak at a brisk pace."), (1.0, UNSET)]
)
async def test_the_newer_models_are_told_the_pace_in_words(speed: float, asked: object) -> None:
    async with Model(api_key=KEY, speech_path="") as model:
        assert await spoken(model.url, speed=speed)
    assert [request.instructions for request in model.spoken] == [asked]


async def test_the_others_are_told_it_as_a_number() -> None:
    bodies = []

    async def answer(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        return web.Response(body=tone(300, 100), content_type="audio/pcm")

    async with server(answer) as base_url:
        await spoken(base_url, model="kokoro", speed=0.8)
    assert bodies[0]["speed"] == 0.8


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"model": "gpt-9-tts"}, "no speech model"),
        ({"voice": "hal"}, "no such voice"),
        ({"text": "a" * 5000}, "at most 4096"),
    ],
)
async def test_what_cannot_be_spoken_is_told(given: dict[str, str], words: str) -> None:
    async with Model(api_key=KEY, speech_path="") as model:
        with pytest.raises(VoiceFailed, match=words) as told:
            await spoken(model.url, **given)
    assert told.value.fatal is ("text" not in given)


async def test_words_that_are_refused_are_no_reason_to_be_silent() -> None:
    async with Model(api_key=KEY, speech_path="") as model:
        model.faults = Faults(unspeakable="Thank")
        with pytest.raises(VoiceFailed) as told:
            await spoken(model.url, "Thank you.")
        assert told.value.unspeakable and not told.value.fatal
        assert await spoken(model.url, "Hello.")


async def test_a_server_that_sends_nothing_has_not_spoken() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"", content_type="audio/pcm")

    async with server(answer) as base_url:
        with pytest.raises(VoiceFailed, match="no sound"):
            await spoken(base_url)


async def test_a_page_is_no_sound() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="<html>sign in</html>", content_type="text/html")

    async with server(answer) as base_url:
        with pytest.raises(VoiceFailed, match="check OPENAI_BASE_URL"):
            await spoken(base_url)


async def test_a_connection_that_is_cut_fails_the_sentence() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "99999"})
        await response.prepare(request)
        await response.write(tone(300, 200))
        assert request.transport is not None
        request.transport.abort()
        return response

    async with server(answer) as base_url:
        with pytest.raises(VoiceFailed, match="could not be reached"):
            await spoken(base_url)


async def test_a_connection_that_is_closed_before_the_answer_is_made_anew_once() -> None:
    asked = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(await request.json())
        if len(asked) == 1:
            assert request.transport is not None
            request.transport.close()
        return web.Response(body=tone(300, 100), content_type="audio/pcm")

    async with server(answer) as base_url:
        assert await spoken(base_url)
    assert len(asked) == 2
