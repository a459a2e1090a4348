"""The rehearsal AI as a peer: handshake, settings, items, responses, refusals."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bridge.rehearsal import scenario
from bridge.rehearsal.mind import GO_ON
from bridge.rehearsal.model import Model
from tests.bridge.realtime_client import ASK, GUIDANCE, KEY, PCMU, SAY, SESSION, Client


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, model_delay_ms=0, speed=0, transcript_delay_ms=(0, 0), speech_path="") as model:
        yield model


@pytest.fixture
async def client(model: Model) -> AsyncIterator[Client]:
    async with Client(model) as client:
        yield client


async def refusal(client: Client, text: str) -> dict[str, Any]:
    await client.send_raw(text)
    return (await client.next("error"))["error"]


# ── handshake ─────────────────────────────────────────────────────────────────────────────


async def test_a_session_opens_with_its_whole_default_configuration(model: Model, client: Client) -> None:
    session = (await client.next())["session"]
    assert client.names() == ["session.created"]
    assert session["model"] == "gpt-realtime-2.1"
    assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 500
    assert session["expires_at"] > 0
    assert (model.open_sessions, model.total_sessions) == (1, 1)


@pytest.mark.parametrize(
    ("key", "name", "status"), [("sk-wrong", "gpt-realtime-2.1", 401), ("", "gpt-realtime", 401), (KEY, "", 400)]
)
async def test_a_wrong_key_or_no_model_is_refused_before_the_socket_opens(
    model: Model, key: str, name: str, status: int
) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with Client(model, key=key, name=name):
            pass
    assert refused.value.status == status
    assert model.total_sessions == 0


@pytest.mark.parametrize(
    ("name", "headers", "code"),
    [
        ("gpt-realtime-2.1", {"OpenAI-Beta": "realtime=v1"}, "beta_api_shape_disabled"),
        ("gpt-imaginary", {}, "model_not_found"),
    ],
)
async def test_the_beta_and_unknown_models_are_told_so_and_closed(
    model: Model, name: str, headers: dict[str, str], code: str
) -> None:
    async with Client(model, name=name, headers=headers) as client:
        assert (await client.next("error"))["error"]["code"] == code
        with pytest.raises(EOFError):
            await client.next()
        assert client.close_code == 4000
    assert model.open_sessions == 0


async def test_sessions_are_counted_until_they_close(model: Model) -> None:
    async with Client(model) as one, Client(model) as two:
        await one.next("session.created")
        await two.next("session.created")
        assert model.open_sessions == 2
    await model.until(lambda: model.open_sessions == 0)
    assert model.total_sessions == 2


# ── settings ──────────────────────────────────────────────────────────────────────────────


async def test_an_update_changes_what_was_sent_and_shows_the_whole(client: Client) -> None:
    before = (await client.next("session.created"))["session"]
    turns = {"type": "server_vad", "create_response": False, "interrupt_response": False}
    change = {"type": "realtime", "audio": {"input": {"turn_detection": turns}}}
    await client.send("session.update", session=change)
    after = (await client.next("session.updated"))["session"]
    assert after["audio"]["input"]["turn_detection"] == before["audio"]["input"]["turn_detection"] | turns
    assert after["audio"]["output"] == before["audio"]["output"]
    assert after["instructions"] == before["instructions"]


async def test_what_can_be_cleared_is_cleared(client: Client) -> None:
    await client.ready("find_payments", instructions="Be kind.")
    cleared = {"turn_detection": None, "transcription": None, "noise_reduction": None}
    audio = {"input": cleared}
    await client.send("session.update", session={"type": "realtime", "instructions": "", "tools": [], "audio": audio})
    session = (await client.next("session.updated"))["session"]
    assert (session["instructions"], session["tools"]) == ("", [])
    assert cleared.items() <= session["audio"]["input"].items()


async def test_noise_reduction_keeps_its_strength_when_only_its_type_changes(client: Client) -> None:
    await client.ready(audio={"input": PCMU | {"noise_reduction": {"type": "near_field", "strength": 0.5}}})
    audio = {"input": {"noise_reduction": {"type": "far_field"}}}
    await client.send("session.update", session={"type": "realtime", "audio": audio})
    session = (await client.next("session.updated"))["session"]
    assert session["audio"]["input"]["noise_reduction"] == {"type": "far_field", "strength": 0.5}


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({"audio": {}}, "missing_required_parameter", "session.type"),
        ({"type": "transcription"}, "invalid_value", "session.type"),
        ({"type": "realtime", "temperature": 0.8}, "unknown_parameter", "session.temperature"),
        ({"type": "realtime", "instructions": 4}, "invalid_type", "session.instructions"),
        ({"type": "realtime", "model": "gpt-realtime"}, "invalid_value", "session.model"),
        ({"type": "realtime", "output_modalities": ["audio", "text"]}, "invalid_value", "session.output_modalities"),
        (
            {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcmu", "rate": 8000}}}},
            "unknown_parameter",
            "session.audio.input.format.rate",
        ),
        (
            {"type": "realtime", "audio": {"output": {"format": {"type": "audio/pcma"}}}},
            "invalid_value",
            "session.audio.output.format",
        ),
        (
            {"type": "realtime", "audio": {"output": {"voice": "nobody"}}},
            "invalid_value",
            "session.audio.output.voice",
        ),
        (
            {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 3}}}},
            "invalid_value",
            "session.audio.input.turn_detection.threshold",
        ),
    ],
)
async def test_a_wrong_setting_is_refused_by_name_and_changes_nothing(
    client: Client, session: dict[str, Any], code: str, param: str
) -> None:
    before = await client.ready()
    told = await refusal(client, json.dumps({"type": "session.update", "event_id": "c7", "session": session}))
    assert (told["code"], told["param"], told["event_id"]) == (code, param, "c7")
    await client.send("session.update", session={"type": "realtime"})
    assert (await client.next("session.updated"))["session"] == before


async def test_only_reasoning_models_take_a_reasoning_effort(model: Model, client: Client) -> None:
    assert (await client.ready(reasoning={"effort": "low"}))["reasoning"] == {"effort": "low"}
    async with Client(model, name="gpt-realtime-2025-08-28") as older:
        await older.next("session.created")
        await older.send("session.update", session=SESSION | {"reasoning": {"effort": "low"}})
        assert (await older.next("error"))["error"]["param"] == "session.reasoning"


async def test_the_voice_cannot_change_once_it_was_heard(client: Client) -> None:
    await client.ready()
    change = {"type": "realtime", "audio": {"output": {"voice": "cedar"}}}
    await client.send("session.update", session=change)
    await client.next("session.updated")
    await client.spoken(instructions=SAY.format("Goodbye."))
    change["audio"]["output"]["voice"] = "marin"  # type: ignore[index]
    await client.send("session.update", session=change)
    assert (await client.next("error"))["error"]["code"] == "cannot_update_voice"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "invalid_json"),
        ("[]", "invalid_type"),
        ('{"event_id":"c9"}', "missing_required_parameter"),
        ('{"type":"session.delete","event_id":"c9"}', "invalid_value"),
        ('{"type":"input_audio_buffer.append","event_id":"c9","audio":"!"}', "invalid_value"),
    ],
)
async def test_a_message_that_is_none_is_refused_and_the_session_goes_on(client: Client, text: str, code: str) -> None:
    await client.ready()
    told = await refusal(client, text)
    assert told["code"] == code
    assert told["event_id"] == ("c9" if "c9" in text else None)
    assert await client.spoken(instructions=SAY.format("Goodbye.")) == "Goodbye."


async def test_binary_messages_are_refused(client: Client) -> None:
    await client.ready()
    await client._ws.send_bytes(b"\x00")
    assert (await client.next("error"))["error"]["code"] == "invalid_value"


async def test_audio_is_refused_until_it_is_known_to_be_mu_law(client: Client) -> None:
    await client.next("session.created")
    await client.speak(bytes(160))
    assert (await client.next("error"))["error"]["param"] == "session.audio.input.format"
    await client.send("response.create")
    assert (await client.next("error"))["error"]["param"] == "session.audio.output.format"


# ── responses ─────────────────────────────────────────────────────────────────────────────


async def test_exact_words_are_spoken_exactly_in_the_order_of_the_protocol(model: Model, client: Client) -> None:
    await client.ready()
    said = await client.spoken(
        instructions=SAY.format("Done. Have a good day."),
        tool_choice="none",
        input=[],
        metadata={"kind": "say", "request": "r1"},
    )
    assert said == "Done. Have a good day."
    names = client.names()[2:]
    deltas = ("response.output_audio.delta", "response.output_audio_transcript.delta")
    assert [name for name in names if name not in deltas] == [
        "response.created",
        "rate_limits.updated",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert "".join(event["delta"] for event in client.all(deltas[1])) == said
    audio = b"".join(b64decode(event["delta"]) for event in client.all(deltas[0]))
    response = client.events[-1]["response"]
    assert 8000 < len(audio) < 40000
    assert response["metadata"] == {"kind": "say", "request": "r1"}
    assert response["conversation_id"]
    assert model.sessions[0].said == [said]


async def test_usage_adds_up(client: Client) -> None:
    await client.ready()
    for _ in range(2):
        await client.spoken(instructions=SAY.format("Is there anything else I can do?"))
    usage = client.events[-1]["response"]["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    taken = usage["input_token_details"]
    assert usage["input_tokens"] == taken["text_tokens"] + taken["audio_tokens"]
    assert usage["output_tokens"] == sum(usage["output_token_details"].values())
    assert usage["output_token_details"]["audio_tokens"] > 0
    assert taken["cached_tokens"] <= usage["input_tokens"]


async def test_words_come_no_later_than_their_sound(client: Client) -> None:
    await client.ready()
    await client.spoken(instructions=SAY.format("You will see them in three to five working days."))
    deltas = [name for name in client.names() if name.endswith(".delta")]
    assert deltas[0] == "response.output_audio_transcript.delta"
    assert deltas[-1] == "response.output_audio.delta"


async def test_an_ask_is_phrased_a_little_differently(client: Client) -> None:
    await client.ready()
    assert await client.spoken(instructions=ASK.format("Goodbye.")) == "Of course. Goodbye."


async def test_guidance_is_worked_into_the_next_answer_and_only_that(client: Client) -> None:
    await client.ready()
    assert await client.spoken() == "Hello. How can I help you?"
    await client.note(GUIDANCE.format("offer a full refund"))
    assert await client.spoken() == "I can offer you a full refund."
    assert await client.spoken() == "How else can I help you?"


async def test_after_a_hand_back_it_goes_on_and_never_greets(client: Client) -> None:
    await client.ready()
    told = "A human colleague took over the line and spoke with the caller for 12 s. "
    after = "Go on as a colleague who listened. Do not greet the caller again."
    await client.note(told + after)
    first = await client.spoken()
    assert first == "Thanks for waiting. My colleague has told me where we are. How else can I help you?"
    await client.note(f"{told}Your colleague tells you: the parcel left this morning {after}")
    second = await client.spoken()
    assert second.startswith("Thanks for waiting. As my colleague said: the parcel left this morning.")


async def test_a_text_from_the_caller_is_answered_like_speech(client: Client) -> None:
    await client.ready()
    await client.note("Thursday at ten would be perfect.", role="user")
    assert await client.spoken() == "Thursday at ten it is. May I have your name, please?"


async def test_only_one_response_at_a_time(model: Model, client: Client) -> None:
    model.speed = 15
    await client.ready()
    await client.send("response.create", response={"instructions": SAY.format("You are very welcome.")})
    await client.send("response.create", event_id="c2")
    told = (await client.next("error"))["error"]
    assert (told["code"], told["event_id"]) == ("conversation_already_has_active_response", "c2")
    assert await client.reply() == "You are very welcome."


async def test_a_cancelled_response_closes_all_its_parts_after_late_audio(model: Model, client: Client) -> None:
    model.speed = 15
    await client.ready()
    await client.send("response.create", response={"instructions": SAY.format("Is there anything else I can do?")})
    await client.next("response.output_audio.delta")
    await client.send("response.cancel")
    done = await client.next("response.done")
    assert done["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert done["response"]["output"][0]["status"] == "incomplete"
    assert done["response"]["usage"]["output_tokens"] > 0
    assert {"response.output_audio.done", "response.content_part.done", "response.output_item.done"} <= set(
        client.names()
    )
    assert model.sessions[0].cancels == 1


async def test_a_response_cancelled_at_once_says_nothing_and_is_answered_later(model: Model, client: Client) -> None:
    model.model_delay_ms = 60_000
    await client.ready()
    await client.note("Thursday at ten would be perfect.", role="user")
    await client.send("response.create")
    await client.send("response.cancel")
    done = await client.next("response.done")
    assert (done["response"]["status"], done["response"]["output"]) == ("cancelled", [])
    model.model_delay_ms = 0
    assert await client.spoken() == "Thursday at ten it is. May I have your name, please?"


async def test_cancelling_nothing_is_harmless(client: Client) -> None:
    await client.ready()
    await client.send("response.cancel", event_id="c3")
    told = (await client.next("error"))["error"]
    assert (told["code"], told["event_id"]) == ("response_cancel_not_active", "c3")


async def test_a_response_beside_the_conversation_runs_in_parallel_and_leaves_no_item(
    model: Model, client: Client
) -> None:
    model.speed = 15
    await client.ready()
    await client.note("Thursday at ten would be perfect.", role="user")
    await client.send("response.create")
    beside = {"conversation": "none", "output_modalities": ["text"], "metadata": {"purpose": "summary"}}
    await client.send("response.create", response=beside)
    summary = await client.next("response.done", lambda event: event["response"]["metadata"] is not None)
    assert summary["response"]["conversation_id"] is None
    assert (
        summary["response"]["output"][0]["content"][0]["text"] == "The caller said: Thursday at ten would be perfect."
    )
    assert await client.reply() == "Thursday at ten it is. May I have your name, please?"
    added = [event["item"]["id"] for event in client.all("conversation.item.added")]
    assert summary["response"]["output"][0]["id"] not in added


async def test_a_response_beside_is_cancelled_by_its_own_id(model: Model, client: Client) -> None:
    model.model_delay_ms = 60_000
    await client.ready()
    await client.send("response.create", response={"conversation": "none"})
    response_id = (await client.next("response.created"))["response"]["id"]
    await client.send("response.cancel", response_id=response_id)
    assert (await client.next("response.done"))["response"]["status"] == "cancelled"


@pytest.mark.parametrize(
    ("response", "param"),
    [
        ({"metadata": {"k" * 65: "v"}}, "response.metadata"),
        ({"output_modalities": ["audio", "text"]}, "response.output_modalities"),
        ({"input": [{"type": "item_reference", "id": "item_x"}]}, "item_id"),
        ({"modalities": ["audio"]}, "response.modalities"),
    ],
)
async def test_a_wrong_response_request_is_refused(client: Client, response: dict[str, Any], param: str) -> None:
    await client.ready()
    told = await refusal(client, json.dumps({"type": "response.create", "response": response}))
    assert told["param"] == param


# ── items ─────────────────────────────────────────────────────────────────────────────────


async def test_items_form_one_chain(client: Client) -> None:
    await client.ready()
    for text in ("one", "two"):
        await client.note(text)
    first, second = (event["item"]["id"] for event in client.all("conversation.item.added"))
    item = {"id": "mine", "type": "message", "role": "system", "content": [{"type": "input_text", "text": "three"}]}
    await client.send("conversation.item.create", item=item, previous_item_id=first)
    await client.next("conversation.item.done")
    await client.send("conversation.item.create", item=item | {"id": "top"}, previous_item_id="root")
    await client.next("conversation.item.done")
    chain = [(event["item"]["id"], event["previous_item_id"]) for event in client.all("conversation.item.added")]
    assert chain == [(first, None), (second, first), ("mine", first), ("top", None)]
    await client.send("conversation.item.retrieve", item_id="mine")
    assert (await client.next("conversation.item.retrieved"))["item"]["content"] == item["content"]
    await client.send("conversation.item.delete", item_id="mine")
    assert (await client.next("conversation.item.deleted"))["item_id"] == "mine"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "conversation.item.delete", "item_id": "no"}, "item_delete_invalid_item_id"),
        ({"type": "conversation.item.retrieve", "item_id": "no"}, "item_retrieve_invalid_item_id"),
        (
            {
                "type": "conversation.item.create",
                "item": {"type": "function_call_output", "call_id": "no", "output": "{}"},
            },
            "invalid_tool_call_id",
        ),
        (
            {
                "type": "conversation.item.create",
                "previous_item_id": "no",
                "item": {"type": "message", "role": "user", "content": []},
            },
            "item_create_invalid_item_id",
        ),
        (
            {
                "type": "conversation.item.create",
                "item": {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_audio", "audio": "AAAA"}],
                },
            },
            "invalid_value",
        ),
        (
            {
                "type": "conversation.item.create",
                "item": {"type": "message", "role": "system", "content": [{"type": "input_text"}]},
            },
            "missing_required_parameter",
        ),
        (
            {
                "type": "conversation.item.create",
                "item": {"id": "twice", "type": "message", "role": "user", "content": []},
            },
            "item_create_duplicate_item_id",
        ),
    ],
)
async def test_items_that_cannot_be_are_refused(client: Client, message: dict[str, Any], code: str) -> None:
    await client.ready()
    item = {"id": "twice", "type": "message", "role": "user", "content": []}
    await client.send("conversation.item.create", item=item)
    await client.next("conversation.item.done")
    assert (await refusal(client, json.dumps(message)))["code"] == code


async def test_a_call_replayed_from_an_earlier_session_may_be_answered(client: Client) -> None:
    await client.ready()
    call = {"type": "function_call", "name": "find_payments", "arguments": "{}", "call_id": "call_1"}
    await client.send("conversation.item.create", item=call)
    await client.send(
        "conversation.item.create", item={"type": "function_call_output", "call_id": "call_1", "output": "{}"}
    )
    await client.next("conversation.item.done", lambda event: event["item"]["type"] == "function_call_output")


async def recall(client: Client, *items: dict[str, Any]) -> None:
    """What was said in an earlier session."""
    for item in items:
        await client.send("conversation.item.create", item=item)
        await client.next("conversation.item.done")


def said_before(role: str, text: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


async def test_what_was_answered_before_is_known_and_not_answered_again(client: Client) -> None:
    await client.ready()
    line = scenario.load("booking").replies[1].line
    await recall(client, said_before("user", line), said_before("assistant", "Thursday it is."))
    assert await client.spoken() == GO_ON


async def test_what_was_not_answered_before_is_answered_now(client: Client) -> None:
    await client.ready()
    first, second = scenario.load("booking").replies[:2]
    await recall(
        client,
        said_before("user", first.line),
        said_before("assistant", first.says),
        said_before("user", second.line),
    )
    assert await client.spoken() == second.says


async def test_a_tool_that_was_used_before_is_not_used_again_but_spoken_of(client: Client) -> None:
    await client.ready("find_payments")
    order = next(reply for reply in scenario.load("billing").replies if reply.tool)
    assert order.tool is not None
    call = {"type": "function_call", "name": order.tool.name, "arguments": "{}", "call_id": "recalled-1"}
    output = {"type": "function_call_output", "call_id": "recalled-1", "output": '{"payments":[]}'}
    await recall(client, said_before("user", order.line), call, output)
    assert (await client.spoken()).startswith("Thank you. I can see no payments")
    assert all(item["type"] == "message" for item in client.events[-1]["response"]["output"])
    strange = call | {"name": "find_ghosts", "call_id": "recalled-2"}
    await recall(client, strange, output | {"call_id": "recalled-2"})
    assert await client.spoken() == GO_ON


async def test_what_the_ai_said_before_was_text(client: Client) -> None:
    await client.ready()
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "transcript": "Hello."}]}
    await client.send("conversation.item.create", item=item)
    assert (await client.next("error"))["error"]["param"] == "item.content[0].type"


async def test_speech_is_truncated_to_what_was_heard_and_never_beyond_what_there_is(
    model: Model, client: Client
) -> None:
    await client.ready()
    await client.spoken(instructions=SAY.format("Done. Is there anything else I can do?"))
    item_id = client.events[-1]["response"]["output"][0]["id"]
    length_ms = sum(len(b64decode(event["delta"])) for event in client.all("response.output_audio.delta")) // 8
    await client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=length_ms + 1)
    told = (await client.next("error"))["error"]
    assert told["message"] == f"Audio content of {length_ms}ms is already shorter than {length_ms + 1}ms"
    await client.send("conversation.item.truncate", item_id=item_id, content_index=1, audio_end_ms=0)
    assert (await client.next("error"))["error"]["param"] == "content_index"
    await client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=800)
    assert (await client.next("conversation.item.truncated"))["audio_end_ms"] == 800
    assert model.sessions[0].truncations == [(item_id, 800)]
    await client.send("conversation.item.retrieve", item_id=item_id)
    assert (await client.next("conversation.item.retrieved"))["item"]["content"][0]["transcript"] == ""
    assert await client.spoken() == "As I was saying. Is there anything else I can do?"


async def test_what_nobody_said_cannot_be_truncated(client: Client) -> None:
    await client.ready()
    await client.note("one")
    item_id = client.events[-1]["item"]["id"]
    await client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=0)
    assert (await client.next("error"))["error"]["param"] == "item_id"


async def test_an_item_may_be_truncated_while_it_is_being_cancelled(model: Model, client: Client) -> None:
    model.speed = 15
    await client.ready()
    text = "Done. You will see them in three to five working days."
    await client.send("response.create", response={"instructions": SAY.format(text)})
    item_id = (await client.next("response.output_audio.delta"))["item_id"]
    await client.send("response.cancel")
    await client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=50)
    await client.next("conversation.item.truncated")
    await client.next("response.done")
    await client.send("conversation.item.retrieve", item_id=item_id)
    assert (await client.next("conversation.item.retrieved"))["item"]["content"][0]["transcript"] == ""
