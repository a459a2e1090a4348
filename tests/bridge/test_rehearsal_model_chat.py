"""The rehearsal AI's chat completions: the real one's shapes, its strictness, and the scenarios' answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from pydantic import ConfigDict, TypeAdapter, create_model

from bridge.rehearsal import scenario
from bridge.rehearsal.mind import GO_ON, HELLO, OF_COURSE, WHERE_WAS_I
from bridge.rehearsal.model import Faults, Model
from bridge.rehearsal.model_chat import CUT_OFF

KEY = "sk-rehearsal"
REQUEST: TypeAdapter[Any] = TypeAdapter(CompletionCreateParamsStreaming)
CHUNK = create_model("Chunk", __base__=ChatCompletionChunk, __config__=ConfigDict(extra="forbid"))
BILLING = scenario.load("billing")
CHARGED, ORDER, EXPRESS = BILLING.replies[0], BILLING.replies[1], BILLING.replies[2]
TOOL = {
    "type": "function",
    "function": {"name": "find_payments", "description": "Payments.", "parameters": {"type": "object"}},
}
PROMPT = {"role": "system", "content": "You answer for Northgate."}


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY) as model:
        model.chat.delay_ms, model.chat.tokens_per_s = (0, 0), 0
        yield model


@pytest.fixture
async def ask(model: Model) -> AsyncIterator[Any]:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:

        async def ask(*messages: dict[str, Any], **fields: Any) -> tuple[int, list[dict[str, Any]]]:
            body = {"model": "gpt-6-luna", "stream": True, "messages": [PROMPT, *messages], **fields}
            url = f"http{model.url.removeprefix('ws')}/chat/completions"
            async with session.post(url, json=body) as response:
                text = await response.text()
            if response.status != 200:
                return response.status, [json.loads(text)["error"]]
            REQUEST.validate_python(body, strict=True)
            lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
            assert lines.pop() == "[DONE]"
            chunks = [json.loads(line) for line in lines]
            for chunk in chunks:
                CHUNK.model_validate(chunk, strict=True)
            return 200, chunks

        yield ask


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def ai(text: str | None, *calls: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **({"tool_calls": list(calls)} if calls else {})}


def note(text: str) -> dict[str, Any]:
    return {"role": "system", "content": text}


def call(name: str = "find_payments", call_id: str = "call_1") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}


def spoken(chunks: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


async def test_a_line_gets_its_answer_in_the_real_ones_shapes(ask: Any) -> None:
    _, chunks = await ask(user(CHARGED.line))
    assert spoken(chunks) == CHARGED.says
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert all("usage" not in chunk for chunk in chunks)


@pytest.mark.parametrize(
    "words",
    [
        CHARGED.line.lower().replace(".", "").replace(",", ""),
        " ".join(CHARGED.line.split()[:8]),
        f"Hello. {CHARGED.line}",
    ],
)
async def test_a_line_is_known_however_it_was_written_down(ask: Any, words: str) -> None:
    assert spoken((await ask(user(words)))[1]) == CHARGED.says


async def test_usage_comes_last_and_only_when_asked_for(ask: Any) -> None:
    _, chunks = await ask(user(CHARGED.line), stream_options={"include_usage": True})
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["completion_tokens"] > 5
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


async def test_a_tool_is_called_in_pieces_and_its_result_spoken(ask: Any) -> None:
    _, chunks = await ask(user(ORDER.line), tools=[TOOL], tool_choice="auto")
    parts = [part for chunk in chunks for choice in chunk["choices"] for part in choice["delta"].get("tool_calls", ())]
    assert parts[0]["function"]["name"] == "find_payments" and len(parts) > 2
    arguments = json.loads("".join(part["function"]["arguments"] for part in parts))
    assert ORDER.tool and arguments == ORDER.tool.arguments
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    result = {"role": "tool", "tool_call_id": "call_1", "content": '{"payments":[{"amount":48},{"amount":48}]}'}
    _, chunks = await ask(user(ORDER.line), ai(None, call()), result, tools=[TOOL])
    assert spoken(chunks).startswith("Thank you. I can see two payments of 48 dollars")


async def test_a_result_may_come_later(ask: Any) -> None:
    running = {"role": "tool", "tool_call_id": "call_1", "content": "Still running; its result will be told."}
    begun = [user(ORDER.line), ai(None, call()), running, user(CHARGED.line)]
    assert spoken((await ask(*begun, tools=[TOOL]))[1]) == CHARGED.says
    news = note('The tool find_payments has finished. Its result: {"payments":[{"amount":48},{"amount":48}]}')
    _, chunks = await ask(*begun, ai(CHARGED.says), news, tools=[TOOL])
    assert spoken(chunks).startswith("Thank you. I can see two payments of 48 dollars")


async def test_it_does_without_a_tool_that_it_may_not_use(ask: Any) -> None:
    assert ORDER.tool
    assert spoken((await ask(user(ORDER.line)))[1]) == ORDER.tool.without
    chosen = {"type": "function", "function": {"name": "another"}}
    for choice in ("none", chosen):
        assert spoken((await ask(user(ORDER.line), tools=[TOOL], tool_choice=choice))[1]) == ORDER.tool.without


async def test_what_was_answered_is_not_answered_again(ask: Any) -> None:
    assert spoken((await ask(user(CHARGED.line), ai(CHARGED.says)))[1]) == GO_ON
    assert spoken((await ask(user(CHARGED.line), ai(CHARGED.says), user(ORDER.line), ai("x")))[1]) != GO_ON
    assert spoken((await ask())[1]) == HELLO


async def test_what_the_caller_did_not_hear_is_said_again(ask: Any) -> None:
    _, chunks = await ask(user(CHARGED.line), ai("I am so sorry about that."))
    assert spoken(chunks) == f"{WHERE_WAS_I} {CHARGED.says.removeprefix('I am so sorry about that. ')}"


async def test_others_words_answer_nothing(ask: Any) -> None:
    _, chunks = await ask(ai("Hello, this is Northgate."), user(CHARGED.line), ai("One moment, please."))
    assert spoken(chunks) == CHARGED.says


async def test_instructions_at_the_end_are_followed(ask: Any) -> None:
    _, chunks = await ask(user(CHARGED.line), note('Tell the caller, in your own words: "We open at nine."'))
    assert spoken(chunks) == f"{OF_COURSE} We open at nine."
    _, chunks = await ask(
        user(CHARGED.line), note("Guidance from your supervisor, not to be read out: offer 48 dollars")
    )
    assert "I can offer you 48 dollars." in spoken(chunks)


async def test_it_goes_on_after_a_fault_where_it_was(ask: Any) -> None:
    begun = CHARGED.says[:20]
    _, chunks = await ask(user(CHARGED.line), ai(begun), note(f"{CUT_OFF} Go on."))
    assert begun + spoken(chunks) == CHARGED.says


async def test_a_reply_has_its_longest(ask: Any) -> None:
    for name in ("max_completion_tokens", "max_tokens"):
        _, chunks = await ask(user(CHARGED.line), **{name: 3})
        assert chunks[-1]["choices"][0]["finish_reason"] == "length"
        assert CHARGED.says.startswith(spoken(chunks)) and len(spoken(chunks)) < 30


@pytest.mark.parametrize(
    ("messages", "fields", "code", "param"),
    [
        ([], {"verbosity_of_a_kind": 1}, "unknown_parameter", "verbosity_of_a_kind"),
        ([], {"stream": False}, "invalid_value", "stream"),
        ([], {"temperature": 3}, "invalid_value", "temperature"),
        ([], {"temperature": "hot"}, "invalid_type", "temperature"),
        ([], {"tool_choice": "auto"}, "invalid_value", "tool_choice"),
        ([], {"parallel_tool_calls": True}, "invalid_value", "parallel_tool_calls"),
        ([], {"model": "gpt-4o-mini", "reasoning_effort": "none"}, "unsupported_parameter", "reasoning_effort"),
        ([], {"tools": [{"type": "function", "name": "flat"}]}, "unknown_parameter", "tools[0].name"),
        ([{"role": "tool", "tool_call_id": "x", "content": ""}], {}, "invalid_value", "messages[1].role"),
        ([ai(None, call()), user("?")], {}, "invalid_value", "messages[2].role"),
        ([ai(None, call())], {}, "invalid_value", "messages"),
        ([ai(None)], {}, "invalid_value", "messages[1].content"),
        ([{"role": "caller", "content": ""}], {}, "invalid_value", "messages[1].role"),
        ([user([{"type": "text", "text": 1}])], {}, "invalid_type", "messages[1].content[0].text"),  # type: ignore[arg-type]
    ],
)
async def test_what_the_real_one_refuses_is_refused(
    ask: Any, messages: list[dict[str, Any]], fields: dict[str, Any], code: str, param: str
) -> None:
    status, (error,) = await ask(*messages, **fields)
    assert (status, error["code"], error["param"]) == (400, code, param)


async def test_unknown_models_keys_and_bodies_are_refused(model: Model, ask: Any) -> None:
    assert (await ask(model="gpt-9"))[0] == 404
    url = f"http{model.url.removeprefix('ws')}/chat/completions"
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json={}) as response:
            assert response.status == 401
        async with session.get(url.replace("chat/completions", "models")) as response:
            assert response.status == 401
        async with session.post(url, data=b"{", headers={"Authorization": f"Bearer {KEY}"}) as response:
            assert response.status == 400 and (await response.json())["error"]["code"] == "invalid_json"


async def test_it_can_be_told_to_refuse_parameters_and_requests(model: Model, ask: Any) -> None:
    model.faults = Faults(chat_refuses=("stream_options",))
    status, (error,) = await ask(stream_options={"include_usage": True})
    assert (status, error["code"], error["param"]) == (400, "unsupported_parameter", "stream_options")
    model.faults = Faults(chat_status=429, chat_code="insufficient_quota", chat_times=1)
    status, (error,) = await ask()
    assert (status, error["code"]) == (429, "insufficient_quota")
    assert (await ask())[0] == 200
