"""The rehearsal AI failing on purpose, and ending."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from bridge.audio import silence
from bridge.rehearsal import scenario
from bridge.rehearsal.model import HALF_OPEN, Faults, Model
from tests.bridge.realtime_client import KEY, SAY, Client

LINE = scenario.load("booking").steps[1].audio
UNKNOWN = '{"type":"moon.phase_changed","event_id":"e1","phase":"full"}'


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, model_delay_ms=0, speed=0, transcript_delay_ms=(0, 0), speech_path="") as model:
        yield model


@pytest.mark.parametrize("status", [401, 429, 500])
async def test_the_handshake_may_be_refused(model: Model, status: int) -> None:
    model.faults = Faults(refuse_status=status)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with Client(model):
            pass
    assert refused.value.status == status


@pytest.mark.parametrize(("end_with", "code"), [(1006, 1006), (1011, 1011), (1012, 1012)])
async def test_a_session_may_end_after_so_many_events(model: Model, end_with: int, code: int) -> None:
    model.faults = Faults(end_after=6, end_with=end_with)
    async with Client(model) as client:
        await client.ready()
        with pytest.raises(EOFError):
            await client.spoken(instructions=SAY.format("Goodbye."))
        assert client.close_code == code
        assert len(client.events) <= 6
    await model.until(lambda: model.open_sessions == 0)


async def test_a_half_open_session_says_nothing_more_but_its_end_is_noticed(model: Model) -> None:
    model.faults = Faults(end_after=2, end_with=HALF_OPEN)
    async with Client(model) as client:
        await client.ready()
        await client.send("response.create")
        with pytest.raises(TimeoutError):
            await client._ws.receive(timeout=0.05)
        assert model.open_sessions == 1
        client._ws._response.connection.transport.abort()  # type: ignore[union-attr]
        await model.until(lambda: model.open_sessions == 0)


async def test_a_silent_model_never_answers(model: Model) -> None:
    model.faults = Faults(silent=True)
    async with Client(model) as client:
        await client.ready()
        await client.send("response.create")
        await client.speak(silence(400) + LINE + silence(600))
        await client.next("conversation.item.input_audio_transcription.completed")
        assert "response.created" not in client.names()


async def test_a_response_may_come_without_any_audio(model: Model) -> None:
    model.faults = Faults(no_audio=True)
    async with Client(model) as client:
        await client.ready()
        assert await client.spoken(instructions=SAY.format("Goodbye.")) == ""
        assert client.events[-1]["response"]["status"] == "completed"


async def test_a_response_may_fail(model: Model) -> None:
    model.faults = Faults(fail_response=True)
    async with Client(model) as client:
        await client.ready()
        await client.spoken()
        assert client.events[-1]["response"]["status"] == "failed"
        model.faults = Faults()
        assert await client.spoken(instructions=SAY.format("Goodbye.")) == "Goodbye."


async def test_a_response_may_never_end_and_still_be_cancelled(model: Model) -> None:
    model.faults = Faults(never_done=True)
    async with Client(model) as client:
        await client.ready()
        await client.send("response.create")
        await client.next("rate_limits.updated")
        await client.send("response.create")
        assert (await client.next("error"))["error"]["code"] == "conversation_already_has_active_response"
        await client.send("response.cancel")
        assert (await client.next("response.done"))["response"]["status"] == "cancelled"


async def test_transcription_may_fail(model: Model) -> None:
    model.faults = Faults(no_transcripts=True)
    async with Client(model) as client:
        await client.ready()
        await client.speak(silence(400) + LINE + silence(600))
        told = await client.next("conversation.item.input_audio_transcription.failed")
        assert told["error"]["code"] == "transcription_failed"


async def test_unknown_events_and_malformed_text_may_be_slipped_in(model: Model) -> None:
    model.faults = Faults(inject_after="response.created", inject=(UNKNOWN, "{"))
    async with Client(model) as client:
        await client.ready()
        await client.send("response.create")
        texts = []
        while len(texts) < 2 or '"response.done"' not in texts[-1]:
            texts.append((await client._ws.receive()).data)
        created = next(at for at, text in enumerate(texts) if json.loads(text)["type"] == "response.created")
        assert texts[created + 1 : created + 3] == [UNKNOWN, "{"]


async def test_a_session_expires_with_words_and_a_close() -> None:
    async with Model(api_key=KEY, expires_s=0.05, speech_path="") as model, Client(model) as client:
        told = (await client.next("error"))["error"]
        assert told["code"] == "session_expired"
        assert "maximum duration" in told["message"]
        with pytest.raises(EOFError):
            await client.next()
        assert client.close_code == 1001
        await model.until(lambda: model.open_sessions == 0)


async def test_leaving_closes_every_session_in_the_middle_of_a_reply() -> None:
    async with Model(api_key=KEY, model_delay_ms=60_000, speech_path="") as model:
        client = Client(model)
        await client.__aenter__()
        await client.ready()
        await client.send("response.create")
        await client.next("response.created")
        rest = asyncio.create_task(client.next("response.done"))
        await model.until(lambda: model.sessions[0].sent["rate_limits.updated"] == 1)
    with pytest.raises(EOFError):
        await rest
    assert client.close_code == 1001
    assert model.open_sessions == 0
    await client.__aexit__(None, None, None)


async def test_the_same_seed_gives_the_same_identities() -> None:
    told = []
    for _ in range(2):
        async with Model(api_key=KEY, seed=7, speech_path="") as model, Client(model) as client:
            told.append((await client.next("session.created"))["session"]["id"])
    assert told[0] == told[1]


async def test_clients_that_vanish_are_forgotten(model: Model) -> None:
    async with Client(model) as client:
        await client.ready()
        model.model_delay_ms = 60_000
        await client.send("response.create")
        await client.next("response.created")
        client._ws._response.connection.transport.abort()  # type: ignore[union-attr]
        await model.until(lambda: model.open_sessions == 0)
