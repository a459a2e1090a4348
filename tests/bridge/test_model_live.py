"""The rehearsal's GPT-Live: it listens and speaks at the same time, and refuses what the real one refuses."""

from __future__ import annotations

import asyncio
import json
import time
from array import array
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from bridge.audio import BYTES_PER_MS, decode, silence
from bridge.engines.speech.sound import STRENGTH
from bridge.rehearsal import scenario
from bridge.rehearsal.mind import GO_ON, HELLO, NOT_KNOWN, OF_COURSE
from bridge.rehearsal.model import HALF_OPEN, Faults, Model
from bridge.rehearsal.speech import babble
from tests.bridge.live_client import KEY, SESSION, Client, responses
from tests.bridge.realtime_client import ASK, GUIDANCE, SAY

REPLIES = scenario.load("billing").replies
TWICE, ORDER = REPLIES[0], REPLIES[1]
LONG = "I am sorry to hear that. I can find out where it is. Do you have the number of your order?"
STRANGER = babble("Nobody has ever rehearsed what is being said here.")
MURMUR = babble("Oh")[: 160 * BYTES_PER_MS]
UNKNOWN = '{"type":"moon.phase_changed","event_id":"e1","phase":"full"}'


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, model_delay_ms=0, speech_path="", live_pace=20, live_usage_s=0.05) as model:
        yield model
        await model.until(lambda: model.open_sessions == 0)


@pytest.fixture
async def client(model: Model) -> AsyncIterator[Client]:
    async with Client(model) as client:
        yield client


def pcm(mulaw: bytes) -> str:
    """A fixture of this sound: three times the samples."""
    return b64encode(array("h", [s for sample in decode(mulaw) for s in (sample,) * 3]).tobytes()).decode()


def loudness(mulaw: bytes) -> int:
    return sum(mulaw.translate(STRENGTH))


def start_of(**session: Any) -> str:
    return json.dumps({"type": "session.start", "session": SESSION | session})


# ── the start ─────────────────────────────────────────────────────────────────────────────


async def test_a_session_starts_as_it_was_asked_to(model: Model, client: Client) -> None:
    session = await client.start(delegation=responses("find_payments"))
    assert session["id"] == model.live_sessions[0].id
    assert session["expires_at"] > time.time() + 3000
    assert session["status"] == "active"
    assert {name: session[name] for name in SESSION} == SESSION
    assert session["delegation"]["responses"]["tools"][0]["name"] == "find_payments"


async def test_the_voice_is_marin_unless_another_is_asked_for(client: Client) -> None:
    session = await client.start(audio={"format": {"type": "audio/pcmu", "rate": 8000}})
    assert session["audio"]["output"] == {"voice": "marin"}


async def test_the_wrong_key_and_a_query_are_refused_with_the_handshake(model: Model) -> None:
    for key, query, status in (("sk-other", "", 401), (KEY, "?model=gpt-live-1", 400)):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with Client(model, key=key, query=query):
                pass
        assert refused.value.status == status
    model.faults = Faults(refuse_status=429)
    with pytest.raises(aiohttp.WSServerHandshakeError):
        async with Client(model):
            pass
    assert model.total_sessions == 0


def message_of(role: str, kind: str, text: str = "Hello.", parts: int = 1) -> dict[str, Any]:
    return {"role": role, "content": [{"type": kind, "text": text}] * parts}


@pytest.mark.parametrize(
    ("text", "code", "param"),
    [
        ('{"type":"session.close"}', "session_not_started", "type"),
        ('{"type":"session.input_audio.append","audio":""}', "session_not_started", "type"),
        ("no json", "invalid_json", None),
        (UNKNOWN, "invalid_value", "type"),
        (start_of(speed=1.2), "unknown_parameter", "session.speed"),
        (start_of(audio={"input": {}}), "unknown_parameter", "session.audio.input"),
        (start_of(audio={"format": {"type": "audio/pcmu"}}), "missing_required_parameter", "session.audio.format.rate"),
        (start_of(audio={"format": {"type": "audio/pcmu", "rate": 16000}}), None, "session.audio.format.rate"),
        (start_of(audio={"format": {"type": "audio/pcm", "rate": 24000}}), "invalid_value", "session.audio.format"),
        (start_of(audio={}), "invalid_value", "session.audio.format"),
        (start_of(model="gpt-realtime-2.1"), "model_not_found", "session.model"),
        (start_of(instructions="word " * 20_000), "string_above_max_length", "session.instructions"),
        (start_of(delegation={"type": "decisions"}), None, "session.delegation.type"),
        (start_of(input=[message_of("user", "input_text")] * 129), None, "session.input"),
        (start_of(input=[message_of("user", "input_text", "word " * 9000)]), "invalid_value", "session.input"),
        (start_of(input=[message_of("user", "input_text", parts=2)]), None, "session.input[0].content"),
        (start_of(input=[message_of("system", "input_text")]), None, "session.input[0].role"),
        (start_of(input=[message_of("user", "output_text")]), "invalid_value", "session.input[0].content[0].type"),
    ],
)
async def test_what_is_no_right_start_is_refused_and_the_socket_closed(
    client: Client, text: str, code: str | None, param: str | None
) -> None:
    await client.send_raw(text)
    error = await client.refused()
    assert code in (None, error["code"])
    assert error.get("param") == param or (param or "").replace("[0]", "[...]") == error.get("param")
    with pytest.raises(EOFError):
        await client.next()
    assert client.close_code == 1008


async def test_it_knows_what_was_said_before(client: Client) -> None:
    told = [message_of("developer", "input_text"), message_of("assistant", "output_text", "Good morning.")]
    await client.start(input=told)
    await client.append("commentary", "Greet the caller.")
    await client.hear(GO_ON)


# ── both sides speak ──────────────────────────────────────────────────────────────────────


async def test_it_writes_down_the_caller_as_they_speak_and_answers(model: Model, client: Client) -> None:
    await client.start()
    await client.say(TWICE.audio)
    await client.hear(TWICE.says)
    assert client.heard() == TWICE.line
    assert len(client.all("session.input_transcript.delta")) > 3
    for side in ("input", "output"):
        fragments = client.all(f"session.{side}_transcript.delta")
        assert all(one["start_ms"] <= one["end_ms"] for one in fragments)
        assert all(one["end_ms"] == two["start_ms"] for one, two in pairwise(fragments))
    assert [heard.line for heard in model.live_sessions[0].heard] == [TWICE.line]


async def test_what_it_says_is_sound_in_short_pieces(model: Model, client: Client) -> None:
    await client.start()
    await client.append("commentary", SAY.format("Goodbye. See you on Tuesday."))
    await model.until(lambda: bool(model.live_sessions[0].said))
    await client.send("session.close")
    await client.next("session.closed")
    spoken = await model.voice.speak("Goodbye. See you on Tuesday.")
    assert client.sound() == spoken.audio
    pieces = [len(one["delta"]) * 3 // 4 for one in client.all("session.output_audio.delta")]
    assert max(pieces) <= 102 * BYTES_PER_MS
    assert client.spoken() == "Goodbye. See you on Tuesday."


async def test_words_of_the_next_utterance_begin_with_a_space(client: Client) -> None:
    await client.start()
    await client.append("commentary", SAY.format("Hello."))
    await client.append("commentary", SAY.format("Goodbye."))
    await client.hear("Hello. Goodbye.")
    await client.say(TWICE.audio)
    await client.say(ORDER.audio)
    await client.next("session.input_transcript.delta", lambda one: ORDER.line.endswith(one["delta"].strip()))
    assert client.heard() == f"{TWICE.line} {ORDER.line}"


async def test_it_stops_by_itself_when_the_caller_speaks_over_it(model: Model, client: Client) -> None:
    model.live_pace = 1.0
    await client.start()
    await client.append("commentary", SAY.format(LONG))
    await client.hear("I am")
    await client.say(TWICE.audio)
    await client.hear(TWICE.says.split(".", maxsplit=1)[0])
    [session] = model.live_sessions
    assert session.yielded == 1
    assert LONG not in client.spoken()
    assert LONG.startswith(session.said[0])
    assert len(session.said[0]) < len(LONG)


async def test_it_goes_on_over_a_murmur(model: Model, client: Client) -> None:
    model.live_pace = 6.0
    await client.start()
    await client.append("commentary", SAY.format(LONG))
    await client.hear("I am")
    await client.say(MURMUR)
    await client.hear(LONG)
    assert model.live_sessions[0].yielded == 0
    await client.hear(NOT_KNOWN[0])


async def test_what_it_was_about_to_say_comes_when_the_caller_is_done(model: Model, client: Client) -> None:
    model.model_delay_ms = 60_000
    await client.start()
    await client.append("commentary", SAY.format("Goodbye."))
    await client.speak(silence(200) + STRANGER)
    await client.next("session.usage.updated")
    model.model_delay_ms = 0
    await client.speak(silence(600))
    await client.hear("Goodbye.")
    assert model.live_sessions[0].yielded == 0
    await client.hear(NOT_KNOWN[0])


async def test_what_was_answered_when_asked_to_is_not_answered_again(model: Model, client: Client) -> None:
    await client.start()
    await client.append("commentary", SAY.format("Hello."))
    await client.speak(silence(200) + TWICE.audio)
    await client.append("commentary", "Answer the caller now.")
    await client.append("commentary", SAY.format("Goodbye."))
    await client.speak(silence(600))
    await client.hear("Goodbye.")
    await client.hear(TWICE.says)
    await client.say(ORDER.audio)
    await client.hear(ORDER.tool.without)  # type: ignore[union-attr]
    assert GO_ON not in client.spoken()
    assert client.spoken().count(TWICE.says) == 1


async def test_commentary_is_said(client: Client) -> None:
    await client.start()
    await client.append("commentary", "Greet the caller.")
    await client.hear(HELLO)
    await client.append("commentary", ASK.format("We close at five."))
    await client.hear(f"{OF_COURSE} We close at five.")
    await client.append("commentary", "The shop is open again.")
    await client.hear("The shop is open again.")
    await client.append("commentary", GUIDANCE.format("Mention the weather."))
    await client.hear("weather.")


@pytest.mark.parametrize("what", ["thinking", "instructions"])
async def test_a_quiet_word_shapes_the_next_answer_and_is_not_said(client: Client, what: str) -> None:
    await client.start()
    await client.append(what, GUIDANCE.format("Tell the caller that express is free."))
    assert client.spoken() == ""
    await client.say(TWICE.audio)
    await client.hear("Express is free. Let us put it right now.")


async def test_it_only_listens_while_it_is_told_to(model: Model, client: Client) -> None:
    await client.start()
    await client.append("instructions", "Only listen from now on and say nothing.")
    await client.say(TWICE.audio)
    await client.append("commentary", SAY.format("One moment, please."))
    await client.hear("One moment, please.")
    assert client.spoken() == "One moment, please."
    await client.append("instructions", "You may speak again.")
    await client.append("commentary", "Answer the caller now, going by what was said last.")
    await client.hear(f" {TWICE.says}")
    assert "Answer" not in client.spoken()
    model.faults = Faults(live_talkative=True)
    await client.append("instructions", "Only listen from now on and say nothing.")
    await client.say(STRANGER)
    await client.hear(NOT_KNOWN[0])


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"content": "Hello."}, "missing_required_parameter", "delegation_id"),
        ({"content": "Hello.", "delegation_id": "dlg_1"}, "invalid_value", "delegation_id"),
        ({"content": "word " * 401, "delegation_id": None}, "string_above_max_length", "content"),
        ({"content": " ", "delegation_id": None}, "invalid_value", "content"),
        ({"content": ["Hello."], "delegation_id": None}, "invalid_type", "content"),
        ({"content": "Hello.", "delegation_id": None, "role": "system"}, "unknown_parameter", "role"),
    ],
)
@pytest.mark.parametrize("what", ["thinking", "instructions", "commentary"])
async def test_appended_texts_are_checked(
    client: Client, what: str, fields: dict[str, Any], code: str, param: str
) -> None:
    await client.start(delegation=responses())
    await client.send_raw(json.dumps({"type": f"session.{what}.append", "event_id": "mine", **fields}))
    error = await client.refused()
    assert (error["code"], error["param"], error["client_event_id"]) == (code, param, "mine")
    await client.append(what, "Still there.")


# ── tasks ─────────────────────────────────────────────────────────────────────────────────


async def test_a_tool_is_used_by_a_delegation(model: Model, client: Client) -> None:
    await client.start(delegation=responses("find_payments"))
    await client.say(ORDER.audio)
    delegation = (await client.next("session.delegation.created"))["delegation"]
    assert delegation["target"] == "responses"
    over = await client.next("response.event", lambda one: one["event"]["type"] == "response.completed")
    assert over["delegation_id"] == delegation["id"]
    assert over["event"]["response"]["id"] == delegation["response_id"]
    assert over["event"]["response"]["usage"]["total_tokens"] > 0
    [done] = [event for event in client.nested() if event["type"] == "response.output_item.done"]
    assert done["item"]["name"] == "find_payments"
    assert json.loads(done["item"]["arguments"]) == ORDER.tool.arguments  # type: ignore[union-attr]

    await client.send("response.create")
    assert "No tool output found" in (await client.refused())["message"]
    output = {"type": "function_call_output", "call_id": "call_other", "output": "{}"}
    await client.send("response.item.create", item=output)
    assert (await client.refused())["param"] == "item.call_id"

    output["call_id"] = done["item"]["call_id"]
    output["output"] = json.dumps({"payments": {"count": "three"}})
    await client.send("response.item.create", item=output)
    await client.send("response.create")
    again = await client.next("response.event", lambda one: one["event"]["type"] == "response.completed")
    assert again["delegation_id"] == delegation["id"]
    assert again["event"]["response"]["id"] != delegation["response_id"]
    await client.hear("Thank you. I can see three payments")
    assert not model.live_sessions[0].refusals[2:]


@pytest.mark.parametrize("delegation", [None, {"type": "client"}, responses(), responses(tool_choice="none")])
async def test_without_a_tool_it_does_without(client: Client, delegation: dict[str, Any] | None) -> None:
    await client.start(delegation=delegation)
    await client.say(ORDER.audio)
    await client.hear(ORDER.tool.without)  # type: ignore[union-attr]


async def test_the_backend_is_there_by_responses_delegation_alone(client: Client) -> None:
    await client.start(delegation={"type": "client"})
    await client.send("response.create")
    assert "Responses delegation" in (await client.refused())["message"]
    await client.send("response.item.create", item={"type": "message", "role": "user", "content": "Hello."})
    assert "Responses delegation" in (await client.refused())["message"]
    await client.send("session.update", session={"delegation": responses("find_payments")})
    assert "Responses delegation" in (await client.refused())["message"]


async def test_the_backend_answers_a_text(client: Client) -> None:
    await client.start(delegation=responses())
    await client.send("response.item.create", item={"type": "message", "role": "user", "content": TWICE.line})
    await client.send("response.create")
    await client.hear(TWICE.says)


async def test_tools_may_change(client: Client) -> None:
    await client.start(delegation=responses())
    tool_choice = {"type": "function", "name": "find_payments"}
    delegation = responses("find_payments", "refund_payment", tool_choice=tool_choice)
    await client.send("session.update", session={"delegation": delegation})
    session = (await client.next("session.updated"))["session"]
    assert len(session["delegation"]["responses"]["tools"]) == 2
    await client.say(ORDER.audio)
    await client.next("session.delegation.created")


# ── mute and fixtures ─────────────────────────────────────────────────────────────────────


async def test_what_is_said_while_it_is_muted_is_not_heard(model: Model, client: Client) -> None:
    await client.start()
    await client.send("session.input_audio.mute", event_id="off")
    assert (await client.next("session.input_audio.muted"))["client_event_id"] == "off"
    await client.say(TWICE.audio)
    await client.send("session.input_audio.unmute")
    await client.next("session.input_audio.unmuted")
    await client.say(STRANGER)
    await client.hear(NOT_KNOWN[0])
    assert [heard.line for heard in model.live_sessions[0].heard] == [None]


async def test_a_mute_ends_what_is_being_said(client: Client) -> None:
    await client.start()
    await client.speak(silence(200) + TWICE.audio[:-4000])
    await client.send("session.input_audio.mute")
    await client.next("session.input_audio.muted")
    assert TWICE.line.startswith(client.heard())
    await client.hear("I am so sorry")


async def test_a_fixture_is_played_as_it_is_and_interrupts(model: Model, client: Client) -> None:
    model.live_pace = 1.0
    await client.start()
    await client.append("commentary", SAY.format(LONG))
    await client.hear("I am")
    await client.send("session.output_audio.fixture.play", audio=pcm(STRANGER[:8000]), event_id="mine")
    assert (await client.next("session.output_audio.fixture.playing"))["client_event_id"] == "mine"
    before = len(client.sound())
    for what in ("thinking", "instructions", "commentary"):
        await client.send(f"session.{what}.append", content="Hello.", delegation_id=None)
        assert (await client.refused())["code"] == "fixture_active"
    await client.send("session.output_audio.fixture.play", audio=pcm(STRANGER))
    assert (await client.refused())["code"] == "fixture_active"
    await client.say(TWICE.audio)
    assert (await client.next("session.output_audio.fixture.played"))["client_event_id"] == "mine"
    played = client.sound()[before:]
    assert abs(len(played) - 8000) < 40 * BYTES_PER_MS
    assert loudness(played) == pytest.approx(loudness(STRANGER[:8000]), rel=0.1)
    assert LONG not in client.spoken()
    [session] = model.live_sessions
    assert (session.heard, session.fixtures, session.yielded) == ([], 1, 0)
    await client.say(STRANGER)
    await client.hear("I can hear you.")


@pytest.mark.parametrize(
    "audio", ["", "AAAA", "nonsense!", b64encode(b"RIFF" * 8).decode(), b64encode(bytes(48_000 * 30 + 2)).decode()]
)
async def test_a_fixture_that_cannot_be_played_interrupts_nothing(model: Model, client: Client, audio: str) -> None:
    model.live_pace = 4.0
    await client.start()
    await client.append("commentary", SAY.format(LONG))
    await client.send("session.output_audio.fixture.play", audio=audio)
    assert (await client.refused())["param"] == "audio"
    await client.hear(LONG)
    assert model.live_sessions[0].fixtures == 0


# ── the end, and what goes wrong ──────────────────────────────────────────────────────────


async def test_usage_is_told_and_adds_up_to_the_end(client: Client) -> None:
    await client.start()
    first = await client.next("session.usage.updated")
    second = await client.next("session.usage.updated")
    assert 0 < first["usage"]["seconds"] < second["usage"]["seconds"]
    assert 0 < second["context_window"]["usage_ratio"] < 1
    await client.send("session.close", event_id="bye")
    closed = await client.next("session.closed")
    assert (closed["reason"], closed["client_event_id"]) == ("close_requested", "bye")
    assert closed["usage"]["seconds"] >= second["usage"]["seconds"]
    with pytest.raises(EOFError):
        await client.next()
    assert client.close_code == 1000


async def test_a_session_expires() -> None:
    async with Model(api_key=KEY, expires_s=0.05) as model, Client(model) as client, Client(model) as idle:
        await client.start()
        assert (await client.next("session.closed"))["reason"] == "expired"
        with pytest.raises(EOFError):
            await idle.next()
        assert idle.events == []


async def test_what_is_refused_later_does_not_end_the_session(model: Model, client: Client) -> None:
    await client.start()
    for text, code in (
        (start_of(), "session_already_started"),
        ('{"type":"response.cancel"}', "invalid_value"),
        ('{"type":"session.input_audio.append","audio":"nonsense!"}', "invalid_value"),
        ("[]", "invalid_type"),
    ):
        await client.send_raw(text)
        assert (await client.refused())["code"] == code
    await client._ws.send_bytes(b"sound")
    assert (await client.refused())["code"] == "invalid_value"
    await client.append("commentary", "Hello.")
    await client.hear("Hello.")
    assert len(model.live_sessions[0].refusals) == 5


@pytest.mark.parametrize("code", [1006, 1011])
async def test_a_session_may_end_after_so_many_events(model: Model, client: Client, code: int) -> None:
    model.faults = Faults(end_after=6, end_with=code)
    await client.start()
    await client.append("commentary", SAY.format(LONG))
    with pytest.raises(EOFError):
        await client.hear(LONG)
    assert client.close_code == code
    assert len(client.events) <= 6


async def test_a_half_open_session_says_nothing_more_but_its_end_is_noticed(model: Model, client: Client) -> None:
    model.faults = Faults(end_after=1, end_with=HALF_OPEN)
    await client.start()
    await client.send("session.commentary.append", content="Hello.", delegation_id=None)
    with pytest.raises(TimeoutError):
        await client._ws.receive(timeout=0.1)
    client._ws._response.connection.transport.abort()  # type: ignore[union-attr]
    await model.until(lambda: model.open_sessions == 0)


async def test_it_may_be_told_to_say_nothing_to_send_no_sound_or_to_write_nothing_down(model: Model) -> None:
    for faults, words, sounds in (
        (Faults(silent=True), TWICE.line, False),
        (Faults(no_audio=True), TWICE.line, False),
        (Faults(no_transcripts=True), "", True),
    ):
        model.faults = faults
        async with Client(model) as client:
            await client.start()
            await client.say(TWICE.audio)
            session = model.live_sessions[-1]
            if not faults.silent:
                await model.until(lambda session=session: bool(session.said))  # type: ignore[misc]
            await model.until(lambda session=session: bool(session.heard))  # type: ignore[misc]
            await client.send("session.close")
            await client.next("session.closed")
            assert client.heard() == words
            assert bool(client.sound()) is sounds


async def test_strange_events_may_be_put_in(model: Model, client: Client) -> None:
    model.faults = Faults(inject_after="session.started", inject=(UNKNOWN,))
    await client.start()
    assert (await client._ws.receive()).data == UNKNOWN


async def test_open_sessions_end_with_the_server() -> None:
    async with AsyncExitStack() as server:
        model = await server.enter_async_context(Model(api_key=KEY, speech_path=""))
        async with Client(model) as client:
            await client.start()
            waiting = asyncio.create_task(client.next("session.closed"))
            await server.aclose()
            with pytest.raises(EOFError):
                await waiting
            assert client.close_code == 1001
