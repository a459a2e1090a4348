"""The rehearsal AI's speech service: what it takes, and what it refuses as the real one does."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openai.types.audio import SpeechCreateParams
from pydantic import TypeAdapter

from bridge.audio import decode
from bridge.rehearsal.clips import AI_VOICE, shipped
from bridge.rehearsal.mind import THANKS
from bridge.rehearsal.model import Model
from bridge.wav import samples_from_wav
from tests.bridge.realtime_client import KEY
from tests.bridge.speech_program import install, tone, wav

ASK: dict[str, Any] = {"model": "gpt-4o-mini-tts", "voice": "ash", "input": THANKS, "response_format": "pcm"}


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, speech_path="") as model:
        yield model


async def post(model: Model, body: Any, key: str = KEY) -> tuple[int, str, bytes]:
    address = f"http{model.url.removeprefix('ws')}/audio/speech"
    sent = {"data": body} if isinstance(body, bytes) else {"json": body}
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession() as http, http.post(address, headers=headers, **sent) as response:
        return response.status, response.content_type, await response.read()


async def refused(model: Model, body: Any) -> tuple[int, str, str | None]:
    status, kind, answer = await post(model, body)
    assert kind == "application/json"
    error = TypeAdapter(dict[str, dict[str, str | None]]).validate_json(answer)["error"]
    return status, error["code"] or "", error["param"]


async def test_a_rendered_text_comes_at_three_times_the_rate(model: Model) -> None:
    TypeAdapter(SpeechCreateParams).validate_python(ASK)
    status, kind, body = await post(model, ASK)
    assert (status, kind) == (200, "audio/pcm")
    assert array("h", body)[::3] == decode(shipped().get(AI_VOICE, THANKS) or b"")


async def test_a_wav_holds_the_same(model: Model) -> None:
    _, kind, body = await post(model, ASK | {"response_format": "wav"})
    samples, rate_hz = samples_from_wav(body, "speech.wav")
    assert (kind, rate_hz) == ("audio/wav", 24000)
    assert samples[::3] == decode(shipped().get(AI_VOICE, THANKS) or b"")


async def test_other_texts_are_spoken_by_a_program_or_not_at_all(model: Model, tmp_path: Path) -> None:
    ask = ASK | {"input": "Nobody rendered this. Nor this."}
    assert await refused(model, ask) == (500, "server_error", None)
    sound = tmp_path / "sound.wav"
    sound.write_bytes(wav(1, 1, 16000, 16, tone(300, 16000, 700).tobytes()))
    path = install(tmp_path, f'while [ "$1" != -o ]; do shift; done; cat {sound} > "$2"')
    async with Model(api_key=KEY, speech_path=path) as able:
        status, _, body = await post(able, ask)
        assert status == 200 and len(body) / 48 == pytest.approx(700 + 180 + 700, abs=60)


@pytest.mark.parametrize(
    ("wrong", "answer"),
    [
        ({"model": "gpt-9-tts"}, (404, "model_not_found", None)),
        ({"voice": "hal"}, (400, "invalid_value", "voice")),
        ({"input": ""}, (400, "invalid_value", "input")),
        ({"input": "  "}, (400, "invalid_value", "input")),
        ({"input": "a" * 4097}, (400, "invalid_value", "input")),
        ({"input": 5}, (400, "invalid_type", "input")),
        ({"speed": 5}, (400, "invalid_value", "speed")),
        ({"speed": 2}, (400, "invalid_value", "speed")),
        ({"response_format": "mp3"}, (400, "invalid_value", "response_format")),
        ({"tone": "kind"}, (400, "unknown_parameter", "tone")),
    ],
)
async def test_what_is_wrong_is_named(model: Model, wrong: dict[str, Any], answer: tuple[int, str, str]) -> None:
    assert await refused(model, ASK | wrong) == answer
    assert not model.spoken


async def test_what_is_no_request_is_refused(model: Model) -> None:
    assert await refused(model, b"{") == (400, "invalid_json", None)
    assert await refused(model, {"input": "Hello."}) == (400, "missing_required_parameter", "model")
    assert (await post(model, ASK, key="sk-wrong"))[0] == 401
