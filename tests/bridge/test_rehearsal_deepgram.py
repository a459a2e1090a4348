"""The rehearsal's Deepgram: it hears, takes turns and speaks, and refuses what the real one refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest

from bridge.audio import BYTES_PER_MS
from bridge.rehearsal import scenario
from bridge.rehearsal.model import HALF_OPEN, Faults, Model
from tests.bridge.deepgram_client import (
    AURA_ADDRESS,
    FLUX_ADDRESS,
    KEY,
    NOVA_ADDRESS,
    Client,
    refusal,
)

REPLIES = scenario.load("billing").replies
LINE, AUDIO = REPLIES[0].line, REPLIES[0].audio
NOISE = bytes([0x90, 0x10] * (400 * BYTES_PER_MS))
"""A voice that nobody rehearsed: 800 ms."""


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, stt_delay_ms=(0, 0), aura_delay_ms=(0, 0), speed=0) as model:
        yield model
        await model.until(lambda: model.deepgram.open_sockets == 0)


def transcript(results: dict[str, object]) -> str:
    return str(results["channel"]["alternatives"][0]["transcript"])  # type: ignore[index]


# ── nova ──────────────────────────────────────────────────────────────────────────────────


async def test_nova_tells_words_while_they_are_spoken_and_all_of_them_at_the_pause(model: Model) -> None:
    async with Client(model, NOVA_ADDRESS) as client:
        await client.say(bytes(b"\xff" * 8000) + AUDIO, silence_ms=1500)
        started = await client.next("SpeechStarted")
        assert 0.9 <= started["timestamp"] <= 1.2
        await client.next("UtteranceEnd")
        results = [one for one in client.got if one["type"] == "Results" and transcript(one)]
        interims = [transcript(one) for one in results if not one["is_final"]]
        assert len(interims) >= 2
        assert LINE.startswith(interims[0])
        assert len(interims[0]) < len(LINE)
        assert " ".join(transcript(one) for one in results if one["is_final"]) == LINE
        assert results[-1]["speech_final"]
        spoken_s = 1 + len(AUDIO) / 8000
        assert abs(client.got[-1]["last_word_end"] - spoken_s) < 0.3
        assert model.deepgram.sockets[0].received == []


async def test_nova_writes_long_speech_down_piece_by_piece(model: Model) -> None:
    longest = max(REPLIES, key=lambda reply: len(reply.audio))
    async with Client(model, NOVA_ADDRESS) as client:
        await client.say(longest.audio + REPLIES[1].audio, silence_ms=500)
        await client.next(lambda one: bool(one.get("speech_final")))
        finals = [transcript(one) for one in client.got if one.get("is_final")]
        assert len(finals) >= 2
        assert " ".join(finals) == f"{longest.line} {REPLIES[1].line}"


async def test_nova_calls_what_nobody_rehearsed_speech_when_it_is_over(model: Model) -> None:
    async with Client(model, NOVA_ADDRESS) as client:
        await client.say(3 * NOISE, silence_ms=500)
        results = await client.next("Results")
        assert results["is_final"]
        assert transcript(results).startswith("[speech, 2.4 s")


async def test_nova_writes_down_what_it_has_when_it_is_told_to(model: Model) -> None:
    async with Client(model, NOVA_ADDRESS) as client:
        await client.tell("Finalize")
        await client.say(AUDIO)
        await client.tell("Finalize")
        results = await client.next(lambda one: bool(one.get("from_finalize")))
        assert transcript(results).endswith(LINE[-5:])
        assert not results["speech_final"]


async def test_nova_says_what_is_left_and_hangs_up_at_the_end(model: Model) -> None:
    for end in (b"", b'{"type":"CloseStream"}'):
        async with Client(model, NOVA_ADDRESS) as client:
            await client.say(AUDIO)
            await (client.send(end.decode()) if end else client.binary(b""))
            assert await client.end() == (1000, "")
            assert client.got[-1]["type"] == "Metadata"
            assert client.got[-1]["duration"] == pytest.approx(len(AUDIO) / 8000)
            assert transcript(client.got[-2]).endswith(LINE[-5:])


async def test_nova_tells_in_silence_that_there_is_nothing(model: Model) -> None:
    async with Client(model, NOVA_ADDRESS) as client:
        await client.say(b"", silence_ms=3100)
        results = await client.next("Results")
        assert (transcript(results), results["start"], results["duration"]) == ("", 0.0, 3.0)


async def test_nova_tells_early_only_where_it_is_asked_to(model: Model) -> None:
    plain = "v1/listen?model=nova-3&encoding=mulaw&sample_rate=8000&endpointing=300"
    async with Client(model, plain) as client:
        await client.say(AUDIO, silence_ms=500)
        await client.next(lambda one: bool(one.get("speech_final")))
        assert {one.get("is_final") for one in client.got} == {True}


# ── flux ──────────────────────────────────────────────────────────────────────────────────


async def test_flux_takes_turns(model: Model) -> None:
    async with Client(model, FLUX_ADDRESS) as client:
        await client.say(b"", silence_ms=600)
        await client.say(AUDIO, silence_ms=1000)
        over = await client.next(lambda one: one.get("event") == "EndOfTurn")
        turns = [one for one in client.got if one["type"] == "TurnInfo"]
        events = [one["event"] for one in turns]
        assert client.got[0]["type"] == "Connected"
        assert events[0] == "Update"
        assert turns[0]["transcript"] == ""
        assert events.count("StartOfTurn") == events.count("EndOfTurn") == 1
        assert events[events.index("EndOfTurn") - 1] == "EagerEndOfTurn"
        assert (over["transcript"], over["trigger"], over["turn_index"]) == (LINE, "model", 0)
        assert [one["sequence_id"] for one in client.got] == list(range(len(client.got)))
        await client.say(REPLIES[1].audio, silence_ms=1000)
        second = await client.next(lambda one: one.get("event") == "EndOfTurn")
        assert (second["transcript"], second["turn_index"]) == (REPLIES[1].line, 1)


async def test_flux_takes_back_that_a_turn_may_be_over(model: Model) -> None:
    async with Client(model, FLUX_ADDRESS) as client:
        await client.say(AUDIO, silence_ms=300)
        await client.say(REPLIES[1].audio, silence_ms=1000)
        over = await client.next(lambda one: one.get("event") == "EndOfTurn")
        events = [one["event"] for one in client.got if one["type"] == "TurnInfo" and one["event"] != "Update"]
        assert events == ["StartOfTurn", "EagerEndOfTurn", "TurnResumed", "EagerEndOfTurn", "EndOfTurn"]
        assert over["transcript"] == f"{LINE} {REPLIES[1].line}"


async def test_flux_says_nothing_early_where_it_is_not_asked_to(model: Model) -> None:
    async with Client(model, FLUX_ADDRESS.replace("&eager_eot_threshold=0.4", "")) as client:
        await client.say(AUDIO, silence_ms=1000)
        await client.next(lambda one: one.get("event") == "EndOfTurn")
        assert "EagerEndOfTurn" not in {one.get("event") for one in client.got}


async def test_flux_ends_a_turn_by_hand_or_by_time(model: Model) -> None:
    address = FLUX_ADDRESS.replace("eot_threshold=0.7&eager_eot_threshold=0.4", "eot_threshold=1.0&eot_timeout_ms=800")
    async with Client(model, address) as client:
        await client.tell("ForceEndTurn")
        await client.say(AUDIO)
        await client.tell("ForceEndTurn")
        over = await client.next(lambda one: one.get("event") == "EndOfTurn")
        assert over["trigger"] == "manual"
        await client.say(NOISE, silence_ms=1000)
        over = await client.next(lambda one: one.get("event") == "EndOfTurn")
        assert over["trigger"] == "timeout"
        assert over["transcript"].startswith("[speech")
        await client.say(AUDIO)
        await client.tell("CloseStream")
        assert await client.end() == (1000, "")
        assert [one.get("event") for one in client.got].count("EndOfTurn") == 3


# ── aura ──────────────────────────────────────────────────────────────────────────────────


async def test_aura_speaks_what_is_flushed(model: Model) -> None:
    async with Client(model, AURA_ADDRESS) as client:
        await client.tell("Speak", text="Hello. ")
        await client.tell("Speak", text="How can I help you?")
        await client.tell("Flush")
        assert (await client.next("Flushed"))["sequence_id"] == 0
        assert client.got[0]["model_name"] == "aura-2-thalia-en"
        spoken = (await model.voice.speak("Hello. How can I help you?")).audio
        assert b"".join(client.sound) == spoken
        assert len(client.sound) > 1
        await client.tell("Flush")
        await client.next("Flushed")
        await client.tell("Speak", text="Goodbye.")
        await client.tell("Flush")
        await client.tell("Close")
        assert await client.end() == (1000, "")
        assert model.deepgram.spoken == ["Hello. How can I help you?", "Goodbye."]


async def test_aura_is_silent_once_it_is_cleared(model: Model) -> None:
    model.speed = 1.0
    async with Client(model, AURA_ADDRESS) as client:
        await client.tell("Speak", text="Hello. How can I help you?")
        await client.tell("Clear")
        await client.next("Cleared")
        await client.tell("Speak", text="How else can I help you?")
        await client.tell("Flush")
        await client.tell("Clear")
        await client.next("Cleared")
        model.speed = 0
        await client.tell("Speak", text="Goodbye.")
        await client.tell("Flush")
        await client.next("Flushed")
        assert model.deepgram.spoken == ["Goodbye."]


async def test_aura_warns_of_too_many_flushes(model: Model) -> None:
    async with Client(model, AURA_ADDRESS) as client:
        for _ in range(21):
            await client.tell("Flush")
        await client.next("Warning")
        await model.until(lambda: model.deepgram.sockets[0].sent["Flushed"] == 20)


# ── what they refuse ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "address",
    [
        NOVA_ADDRESS.replace("nova-3", "nova-9"),
        NOVA_ADDRESS.replace("mulaw", "linear16"),
        NOVA_ADDRESS.replace("8000", "16000"),
        NOVA_ADDRESS.replace("&sample_rate=8000", ""),
        NOVA_ADDRESS.replace("interim_results=true", "interim_results=false"),
        NOVA_ADDRESS.replace("utterance_end_ms=1000", "utterance_end_ms=500"),
        NOVA_ADDRESS + "&praise=true",
        FLUX_ADDRESS.replace("flux-general-en", "nova-3"),
        FLUX_ADDRESS.replace("0.7", "0.2"),
        FLUX_ADDRESS.replace("eager_eot_threshold=0.4", "eager_eot_threshold=0.8"),
        FLUX_ADDRESS + "&language_hint=de",
        FLUX_ADDRESS + "&interim_results=true",
        AURA_ADDRESS.replace("aura-2-thalia-en", "thalia"),
        "v1/speak",
    ],
)
async def test_queries_that_it_does_not_know_are_refused(model: Model, address: str) -> None:
    assert await refusal(model, address) == (400, "INVALID_QUERY_PARAMETER")


async def test_other_keys_are_refused(model: Model) -> None:
    assert await refusal(model, NOVA_ADDRESS, key="dg-other") == (401, "INVALID_AUTH")
    model.faults = Faults(deepgram_refuse_status=402)
    assert (await refusal(model, NOVA_ADDRESS))[0] == 402


@pytest.mark.parametrize("address", [NOVA_ADDRESS, FLUX_ADDRESS])
@pytest.mark.parametrize("data", [b'{"type":"KeepAlive"}', b"RIFF\x00\x00\x00\x00WAVE"])
async def test_what_is_no_sound_is_refused(model: Model, address: str, data: bytes) -> None:
    async with Client(model, address) as client:
        await client.binary(b"{\xff\x7f")
        await client.binary(data)
        code, reason = await client.end()
        assert code == 1008
        assert reason.startswith("DATA-0000")


@pytest.mark.parametrize("text", ["{", "[]", '{"type":"Speak","text":"Hi."}', '{"type":"KeepAlive","loud":true}'])
async def test_nova_does_not_understand_messages_that_are_none(model: Model, text: str) -> None:
    async with Client(model, NOVA_ADDRESS) as client:
        await client.send(text)
        assert (await client.next("Error"))["variant"] == "SchemaError"
        await client.tell("CloseStream")
        assert (await client.end())[0] == 1000


async def test_flux_and_aura_end_at_messages_that_are_none(model: Model) -> None:
    async with Client(model, FLUX_ADDRESS) as client:
        await client.tell("KeepAlive")
        assert (await client.end())[0] == 1008
        assert client.got[-1]["code"] == "UNPARSABLE_CLIENT_MESSAGE"
    async with Client(model, AURA_ADDRESS) as client:
        await client.tell("Speak")
        assert (await client.end())[0] == 1008
    async with Client(model, AURA_ADDRESS) as client:
        await client.binary(b"\xff")
        assert (await client.end())[0] == 1008
    async with Client(model, AURA_ADDRESS) as client:
        await client.tell("Speak", text="x" * 2001)
        assert (await client.end())[0] == 1008


@pytest.mark.parametrize("address", [NOVA_ADDRESS, FLUX_ADDRESS])
async def test_a_line_without_sound_is_given_up(model: Model, address: str) -> None:
    model.deepgram.idle_s = 0.05
    async with Client(model, address) as client:
        code, reason = await client.end()
        assert code == 1011
        assert reason.startswith("NET-0001")


async def test_a_sign_of_life_keeps_the_line_and_other_messages_do_not(model: Model) -> None:
    model.deepgram.idle_s = 0.5
    async with Client(model, NOVA_ADDRESS) as client, Client(model, NOVA_ADDRESS) as other:
        ending = asyncio.create_task(other.end())
        while not ending.done():
            await client.tell("KeepAlive")
            await other.tell("Finalize")
            await asyncio.wait([ending], timeout=0.05)
        assert other.closed_with[0] == 1011
        await model.until(lambda: model.deepgram.open_sockets == 1)


# ── faults ────────────────────────────────────────────────────────────────────────────────


async def test_a_socket_is_cut_closed_or_left_half_open(model: Model) -> None:
    for ending, code in ((1006, 1006), (1011, 1011)):
        model.faults = Faults(deepgram_end_after=2, deepgram_end_with=ending)
        async with Client(model, FLUX_ADDRESS) as client:
            await client.say(AUDIO)
            assert (await client.end())[0] == code
    model.faults = Faults(deepgram_end_after=2, deepgram_end_with=HALF_OPEN)
    async with Client(model, FLUX_ADDRESS) as client:
        await client.say(AUDIO, silence_ms=1000)
        await client.next("TurnInfo")
        await model.until(lambda: model.deepgram.sockets[-1].heard_bytes > len(AUDIO))
        assert model.deepgram.sockets[-1].sent.total() == 2
    await model.until(lambda: model.deepgram.open_sockets == 0)


async def test_strange_messages_can_be_put_between(model: Model) -> None:
    model.faults = Faults(
        deepgram_inject_after="Connected",
        deepgram_inject=('{"type":"Warning","request_id":"","sequence_id":9,"code":"X","description":""}',),
    )
    async with Client(model, FLUX_ADDRESS) as client:
        assert (await client.next("Warning"))["code"] == "X"


async def test_it_can_be_slow_and_it_can_be_silent(model: Model) -> None:
    model.faults = Faults(deepgram_slow_ms=20)
    async with Client(model, AURA_ADDRESS) as client:
        await client.tell("Flush")
        await client.next("Flushed")
    model.faults = Faults(deepgram_silent=True)
    async with Client(model, FLUX_ADDRESS) as client:
        await client.say(AUDIO, silence_ms=1000)
        await client.tell("CloseStream")
        await client.end()
        assert [one["type"] for one in client.got] == ["Connected"]


async def test_the_server_can_go_while_sockets_are_open() -> None:
    async with AsyncExitStack() as clients:
        async with Model(api_key=KEY) as model:
            client = await clients.enter_async_context(Client(model, AURA_ADDRESS))
            ending = asyncio.create_task(client.end())
            await model.until(lambda: bool(model.deepgram.sockets[0].sent["Metadata"]))
        assert (await ending)[0] == 1001


async def test_where_there_is_no_such_service_there_is_none(model: Model) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        async with Client(model, "v9/listen"):
            pass
    assert error.value.status == 404
