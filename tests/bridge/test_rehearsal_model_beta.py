"""The rehearsal AI as some local servers are: it speaks the protocol's beta, or takes no telephone sound."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.rehearsal import scenario
from bridge.rehearsal.model import Faults, Model
from tests.bridge.realtime_client import KEY, SAY, SESSION, Client

MULAW = {"input_audio_format": "g711_ulaw", "output_audio_format": "g711_ulaw"}
REPLY = scenario.load("booking").replies[1]


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, model_delay_ms=0, speed=0, transcript_delay_ms=(0, 0), speech_path="") as model:
        model.faults = Faults(beta=True)
        yield model


@pytest.fixture
async def client(model: Model) -> AsyncIterator[Client]:
    async with Client(model, name="gpt-realtime", headers={"OpenAI-Beta": "realtime=v1"}, beta=True) as client:
        yield client


async def refusal(client: Client, message: dict[str, Any] | str) -> dict[str, Any]:
    await client.send_raw(message if isinstance(message, str) else json.dumps(message))
    return dict((await client.next("error"))["error"])


async def configured(client: Client, **session: Any) -> dict[str, Any]:
    await client.send("session.update", session=MULAW | session)
    return dict((await client.next("session.updated"))["session"])


async def test_its_session_is_flat(client: Client) -> None:
    session = (await client.next("session.created"))["session"]
    assert (session["input_audio_format"], session["modalities"]) == ("pcm16", ["text", "audio"])
    assert "audio" not in session and "type" not in session
    wanted = {
        "modalities": ["text"],
        "instructions": "Be kind.",
        "voice": "alloy",
        "input_audio_transcription": {"model": "whisper-1"},
        "turn_detection": {"type": "server_vad", "silence_duration_ms": 400},
        "tools": [{"type": "function", "name": "find_payments", "parameters": {}}],
        "tool_choice": "none",
        "max_response_output_tokens": 100,
    }
    session = await configured(client, **wanted)
    assert session["turn_detection"]["silence_duration_ms"] == 400
    assert {name: session[name] for name in wanted if name != "turn_detection"} == {
        name: value for name, value in wanted.items() if name != "turn_detection"
    }
    assert (await configured(client, modalities=["text", "audio"]))["modalities"] == ["text", "audio"]


async def test_it_hears_answers_and_speaks_in_the_betas_words(client: Client) -> None:
    await configured(client, input_audio_transcription={"model": "whisper-1"})
    item = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Which day?"}]}
    await client.send("conversation.item.create", item=item)
    created = await client.next("conversation.item.created")
    assert created["item"]["content"] == [{"type": "text", "text": "Which day?"}]
    await client.say(REPLY.audio)
    done = (await client.next("response.done"))["response"]
    assert done["output"][0]["content"] == [{"type": "audio", "transcript": REPLY.says}]
    assert done["modalities"] == ["text", "audio"] and "metadata" not in done
    names = set(client.names())
    assert {"response.audio.delta", "response.audio.done", "response.audio_transcript.delta"} <= names
    assert not any("output_audio" in name or name.endswith(("item.added", "item.done")) for name in names - BOTH)


BOTH = {"response.output_item.added", "response.output_item.done"}


async def test_it_writes_when_it_is_asked_for_text(client: Client) -> None:
    await configured(client, modalities=["text"])
    await client.send("response.create", response={"instructions": SAY.format("Goodbye.")})
    assert (await client.next("response.text.done"))["text"] == "Goodbye."


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("{", "invalid_json", None),
        ({"type": "session.update", "session": SESSION}, "unknown_parameter", "session.type"),
        ({"type": "session.update", "session": {"voice": "nobody"}}, "invalid_value", "session.voice"),
        (
            {
                "type": "conversation.item.create",
                "item": {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi."}]},
            },
            "invalid_value",
            "item.content[0].type",
        ),
    ],
)
async def test_what_is_not_the_beta_is_refused(client: Client, message: Any, code: str, param: str | None) -> None:
    error = await refusal(client, message)
    assert (error["code"], error["param"]) == (code, param)


async def test_without_telephone_sound_it_says_so_and_takes_the_rest(model: Model) -> None:
    model.faults = Faults(beta=True, pcm16_only=True)
    async with Client(model, name="gpt-realtime", beta=True) as client:
        message = {"type": "session.update", "session": MULAW | {"instructions": "Be kind."}}
        for name in MULAW:
            error = await refusal(client, message if name.startswith("input") else {"type": "input_audio_buffer.clear"})
            assert name in error["message"] and error["event_id"] is None
        session = (await client.next("session.updated"))["session"]
        assert (session["input_audio_format"], session["instructions"]) == ("pcm16", "Be kind.")


async def test_todays_protocol_may_be_without_telephone_sound_too(model: Model) -> None:
    model.faults = Faults(pcm16_only=True)
    async with Client(model) as client:
        await client.next("session.created")
        error = await refusal(client, {"type": "session.update", "session": SESSION})
        assert error["param"] == "session.audio.input.format"
    writes = {"type": "transcription", "audio": {"input": {"format": {"type": "audio/pcmu"}}}}
    async with Client(model, name="", intent="transcription") as client:
        error = await refusal(client, {"type": "session.update", "session": writes})
        assert error["param"] == "session.audio.input.format"
