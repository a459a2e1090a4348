"""The rehearsal's ElevenLabs refuses what the real one refuses, and says what its package expects."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType
from elevenlabs.types.audio_output_multi import AudioOutputMulti
from elevenlabs.types.final_output_multi import FinalOutputMulti

from bridge.rehearsal.elevenlabs import MODELS, VOICES
from bridge.rehearsal.mind import NOT_KNOWN, THANKS
from bridge.rehearsal.model import Faults, Model
from tests.bridge.realtime_client import KEY

USUAL = {"model_id": MODELS[0], "output_format": "ulaw_8000"}
END = {"context_id": "a", "close_context": True}


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, speech_path="") as model:
        model.faults = Faults(elevenlabs_delay_ms=0, elevenlabs_pace=0)
        yield model


@asynccontextmanager
async def connected(
    model: Model, voice: str = VOICES[0], key: str = KEY, **query: Any
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    url = f"{model.url}/elevenlabs/v1/text-to-speech/{voice}/multi-stream-input"
    headers = {"xi-api-key": key}
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(url, params=USUAL | query, headers=headers, autoclose=False) as ws,
    ):
        yield ws


async def received(ws: aiohttp.ClientWebSocketResponse, context_id: str = "a") -> bytes:
    """A context's sound, to its end; every message is as the vendor's package has it."""
    sound = b""
    while True:
        message = await ws.receive_json()
        assert message["contextId"] == context_id
        if message["isFinal"]:
            assert FinalOutputMulti.model_validate(message).context_id == context_id
            return sound
        told = AudioOutputMulti.model_validate(message)
        assert told.alignment is None or len(told.alignment.chars or []) == len(
            told.alignment.char_start_times_ms or []
        )
        sound += b64decode(told.audio)


async def refusal(ws: aiohttp.ClientWebSocketResponse) -> str:
    told = await ws.receive_json()
    closed = await ws.receive()
    assert (closed.type, closed.data) == (WSMsgType.CLOSE, 1008)
    assert (told["code"], bool(told["message"])) == (1008, True)
    return str(told["error"])


async def test_a_context_is_spoken_and_ended(model: Model) -> None:
    async with connected(model) as ws:
        await ws.send_json({"text": " ", "context_id": "a", "voice_settings": {"speed": 0.9}})
        await ws.send_json({"text": f"{THANKS} ", "context_id": "a", "flush": True})
        await ws.send_json(END)
        assert await received(ws) == (await model.voice.speak(THANKS)).audio
        await ws.send_json({"close_socket": True})
        assert (await ws.receive()).type is WSMsgType.CLOSE
    [asked] = model.elevenlabs.asked
    assert (asked.text, asked.speed, asked.by_http) == (THANKS, 0.9, False)


async def test_a_flush_alone_has_no_end_and_what_was_not_flushed_is_not_spoken(model: Model) -> None:
    async with connected(model) as ws:
        await ws.send_json({"text": f"{THANKS} ", "context_id": "a", "flush": True})
        await ws.send_json({"text": f"{NOT_KNOWN[0]} ", "context_id": "a"})
        await ws.send_json(END)
        assert await received(ws) == (await model.voice.speak(THANKS)).audio
    assert [asked.text for asked in model.elevenlabs.asked] == [THANKS]


async def test_text_is_spoken_without_a_flush_once_there_is_enough_or_in_auto_mode(model: Model) -> None:
    async with connected(model) as ws:
        await ws.send_json({"text": f"{NOT_KNOWN[0]} {NOT_KNOWN[1]} ", "context_id": "a"})
        await ws.send_json(END)
        assert await received(ws)
    async with connected(model, auto_mode="true") as ws:
        await ws.send_json({"text": f"{THANKS} ", "context_id": "a"})
        await ws.send_json(END)
        assert await received(ws)


@pytest.mark.parametrize(
    ("voice", "query", "name"),
    [
        ("nobody", {}, "voice_id_does_not_exist"),
        (VOICES[0], {"model_id": "eleven_v3"}, "unsupported_model"),
        (VOICES[0], {"output_format": "mp3_44100_128"}, "invalid_output_format"),
        (VOICES[0], {"inactivity_timeout": 600}, "invalid_parameters"),
        (VOICES[0], {"colour": "red"}, "invalid_parameters"),
    ],
)
async def test_what_it_cannot_do_ends_the_socket(model: Model, voice: str, query: dict[str, Any], name: str) -> None:
    async with connected(model, voice, **query) as ws:
        assert await refusal(ws) == name


@pytest.mark.parametrize(
    "messages",
    [
        ["no json"],
        ['{"text":" ","context_id":"a","colour":"red"}'],
        ['{"text":" ","context_id":"a","voice_settings":{"speed":2}}'],
        ['{"text":" ","context_id":"a"}', '{"text":"x","context_id":"a","voice_settings":{"speed":1}}'],
    ],
)
async def test_messages_that_are_none_end_the_socket(model: Model, messages: list[str]) -> None:
    async with connected(model) as ws:
        for message in messages:
            await ws.send_str(message)
        assert await refusal(ws) == "invalid_input_message"


async def test_a_sixth_context_is_too_many(model: Model) -> None:
    async with connected(model) as ws:
        for number in range(6):
            await ws.send_json({"text": " ", "context_id": str(number)})
        assert await refusal(ws) == "max_active_conversations"


async def test_a_socket_tires_of_waiting_unless_it_is_kept_alive(model: Model) -> None:
    model.elevenlabs.idle_scale = 100
    async with connected(model, inactivity_timeout=20) as ws:
        await ws.send_json({"text": ""})
        assert await refusal(ws) == "input_timeout_exceeded"
    assert model.elevenlabs.keep_alives == 1


async def test_a_wrong_key_is_refused_at_the_door(model: Model) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(model, key="wrong"):
            pass
    assert refused.value.status == 401


@pytest.mark.parametrize(
    ("voice", "body", "query", "status", "name"),
    [
        ("nobody", {"text": "Hello."}, "output_format=ulaw_8000", 404, "voice_not_found"),
        (VOICES[0], {"text": "Hello.", "model_id": "m"}, "output_format=ulaw_8000", 400, "model_not_found"),
        (VOICES[0], {"text": "Hello."}, "", 400, "invalid_output_format"),
        (VOICES[0], {"text": ""}, "output_format=ulaw_8000", 422, "invalid_parameters"),
    ],
)
async def test_a_clip_that_cannot_be_had(
    model: Model, voice: str, body: dict[str, str], query: str, status: int, name: str
) -> None:
    url = f"{model.url.replace('ws', 'http', 1)}/elevenlabs/v1/text-to-speech/{voice}/stream?{query}"
    async with aiohttp.ClientSession() as http, http.post(url, json=body, headers={"xi-api-key": KEY}) as response:
        assert (response.status, (await response.json())["detail"]["status"]) == (status, name)
