"""Chat completions from the engine's side: against the strict rehearsal server, and against worse ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from bridge.engines.chat import Chat, ChatFailed, Finished, Piece, Text, ToolCall, Usage, vendor_of
from bridge.rehearsal import scenario
from bridge.rehearsal.model import Faults, Model

KEY = "sk-rehearsal"
BILLING = scenario.load("billing")
CHARGED, ORDER = BILLING.replies[0], BILLING.replies[1]
FLAT = {"type": "function", "name": "find_payments", "description": "Payments.", "parameters": {"type": "object"}}
PROMPT = {"role": "system", "content": "You answer for Northgate."}


def said(line: str) -> list[dict[str, Any]]:
    return [PROMPT, {"role": "user", "content": line}]


async def whole(chat: Chat, messages: list[dict[str, Any]], *tools: dict[str, Any]) -> list[Piece]:
    async with aclosing(chat.ask(messages, tools)) as pieces:
        return [piece async for piece in pieces]


def words(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, Text))


@asynccontextmanager
async def thinking(url: str, *, key: str = KEY, model: str = "gpt-6-luna", **given: Any) -> AsyncIterator[Chat]:
    chat = Chat(base_url=url, api_key=key, model=model, **given)
    try:
        yield chat
    finally:
        await chat.close()


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY) as model:
        model.chat.delay_ms, model.chat.tokens_per_s = (0, 0), 0
        yield model


@pytest.fixture
async def chat(model: Model) -> AsyncIterator[Chat]:
    async with thinking(f"http{model.url.removeprefix('ws')}") as chat:
        yield chat


async def test_a_reply_comes_word_by_word_with_what_it_used(model: Model, chat: Chat) -> None:
    pieces = await whole(chat, said(CHARGED.line))
    assert words(pieces) == CHARGED.says and sum(isinstance(piece, Text) for piece in pieces) > 5
    assert isinstance(pieces[-2], Usage) and pieces[-2].written > 5 and pieces[-2].cached == 0
    assert pieces[-1] == Finished("stop")
    assert model.chat.requests[0].body["reasoning_effort"] == "none"


async def test_tools_are_declared_as_chat_has_them_and_calls_come_whole(model: Model, chat: Chat) -> None:
    pieces = await whole(chat, said(ORDER.line), FLAT)
    (call,) = [piece for piece in pieces if isinstance(piece, ToolCall)]
    assert ORDER.tool and (call.name, json.loads(call.arguments)) == ("find_payments", ORDER.tool.arguments)
    assert pieces[-1] == Finished("tool_calls")
    assert model.chat.requests[0].body["tools"][0]["function"] == {
        name: FLAT[name] for name in ("name", "description", "parameters")
    }


async def test_what_a_server_does_not_know_is_left_out_from_then_on(model: Model, chat: Chat) -> None:
    model.faults = Faults(chat_refuses=("stream_options", "reasoning_effort", "max_completion_tokens"))
    pieces = await whole(chat, said(CHARGED.line))
    assert words(pieces) == CHARGED.says and not any(isinstance(piece, Usage) for piece in pieces)
    assert chat.left_out == {"stream_options", "reasoning_effort", "max_completion_tokens"}
    refusals = len(model.chat.refusals)
    await whole(chat, said(CHARGED.line))
    assert len(model.chat.refusals) == refusals


async def test_leaving_early_closes_the_stream(model: Model, chat: Chat) -> None:
    model.chat.tokens_per_s = 1
    async with aclosing(chat.ask(said(CHARGED.line))) as pieces:
        assert isinstance(await anext(pieces), Text)
    await model.until(lambda: model.chat.requests[0].left)


async def test_leaving_before_the_first_word_closes_the_stream(model: Model, chat: Chat) -> None:
    model.faults = Faults(chat_silent=True)
    asking = asyncio.create_task(whole(chat, said(CHARGED.line)))
    await model.until(lambda: len(model.chat.requests) == 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await model.until(lambda: model.chat.requests[0].left)


async def test_a_connection_is_made_ahead_when_none_is_left(
    model: Model, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    await chat.warm()
    client = await chat._ready()
    asked: list[str] = []
    monkeypatch.setattr(client.models, "list", lambda: asked.append("models") or asyncio.sleep(0))
    await chat.warm()
    assert words(await whole(chat, said(CHARGED.line))) == CHARGED.says
    await chat.warm()
    assert asked == []
    async with aclosing(chat.ask(said(CHARGED.line))) as pieces:
        await anext(pieces)
    await chat.warm()
    assert asked == ["models"]


async def test_warming_never_fails(chat: Chat) -> None:
    async with thinking("http://127.0.0.1:9/v1") as nobody:
        await nobody.warm()
        with pytest.raises(ChatFailed, match="cannot be reached") as failed:
            await whole(nobody, said("Hello."))
        assert not failed.value.fatal
    await chat.close()
    await chat.warm()


@pytest.mark.parametrize(
    ("status", "code", "fatal", "part"),
    [
        (401, "invalid_api_key", True, "refused the key (401). Put a valid key into CORDBOARD_CHAT_KEY"),
        (402, "payment_required", True, "no credit left (402)"),
        (403, "forbidden", True, "does not let this key use gpt-6-luna"),
        (404, "model_not_found", True, "There is no model gpt-6-luna"),
        (413, "too_large", True, "does not take what it is asked (413, too_large)"),
        (429, "insufficient_quota", True, "no credit left (429)"),
        (429, "rate_limit_exceeded", False, "too many requests"),
        (408, "timeout", False, "had an error (408)"),
        (500, "server_error", False, "had an error (500)"),
        (503, "overloaded", False, "had an error (503)"),
    ],
)
async def test_refusals_say_what_to_do(
    model: Model, chat: Chat, status: int, code: str, fatal: bool, part: str
) -> None:
    model.faults = Faults(chat_status=status, chat_code=code)
    with pytest.raises(ChatFailed) as failed:
        await whole(chat, said("Hello."))
    assert part in str(failed.value) and failed.value.fatal is fatal


async def test_openais_own_are_called_by_name(model: Model) -> None:
    url = f"http{model.url.removeprefix('ws')}"
    async with thinking(url, key="sk-wrong", vendor="openai") as chat:
        with pytest.raises(ChatFailed, match=r"^OpenAI's chat refused the key .* into OPENAI_API_KEY") as failed:
            await whole(chat, said("Hello."))
    assert "sk-" not in str(failed.value)


async def test_a_wrong_request_is_not_sent_again(model: Model, chat: Chat) -> None:
    wrong = {"role": "tool", "tool_call_id": "none", "content": "?"}
    with pytest.raises(ChatFailed, match="does not take what it is asked") as failed:
        await whole(chat, [PROMPT, wrong])
    assert failed.value.fatal and len(model.chat.refusals) == 1


async def test_a_stream_that_breaks_off_is_no_whole_reply(model: Model, chat: Chat) -> None:
    for fault, part in ((Faults(chat_cut_after=3), "cannot be reached"), (Faults(chat_error_after=3), "had an error")):
        model.faults = fault
        with pytest.raises(ChatFailed, match=part) as failed:
            await whole(chat, said(CHARGED.line))
        assert not failed.value.fatal


async def test_a_server_that_says_nothing_is_not_waited_for(model: Model) -> None:
    model.faults = Faults(chat_silent=True)
    async with thinking(f"http{model.url.removeprefix('ws')}", patience_s=0.1) as chat:
        with pytest.raises(ChatFailed, match="did not answer in time"):
            await whole(chat, said(CHARGED.line))


async def test_nor_one_that_falls_silent(model: Model) -> None:
    model.chat.tokens_per_s = 0.1
    async with thinking(f"http{model.url.removeprefix('ws')}", patience_s=0.3) as chat:
        with pytest.raises(ChatFailed, match="did not answer in time"):
            await whole(chat, said(CHARGED.line))


@pytest.mark.parametrize(
    ("url", "vendor"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("http://localhost:11434/v1", "localhost"),
        ("http://10.0.0.7:8000/v1", "10.0.0.7"),
        ("nothing", "chat"),
    ],
)
def test_the_address_tells_whose_server_it_is(url: str, vendor: str) -> None:
    assert vendor_of(url) == vendor


# ── servers with manners of their own ──


Answers = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def peculiar(
    *answers: web.Response | tuple[str, ...], key: str = ""
) -> AsyncIterator[tuple[Chat, list[dict[str, Any]]]]:
    """A server that gives these answers in turn: responses, or the data of a stream's events."""
    asked: list[dict[str, Any]] = []
    left = list(answers)

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(await request.json())
        match left.pop(0):
            case web.Response() as response:
                return response
            case events:
                text = "".join(f"data: {event}\n\n" for event in events)
                return web.Response(text=text, content_type="text/event-stream")

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    async with thinking(f"http://{host}:{port}/v1", key=key, model="llama") as chat:
        yield chat, asked
    await runner.cleanup()


def delta(finish: str | None = None, **fields: Any) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]})


def part(tool_id: str | None, name: str | None, arguments: str | None, index: int = 0) -> dict[str, Any]:
    return {"index": index, "id": tool_id, "function": {"name": name, "arguments": arguments}}


async def test_several_calls_are_told_apart_by_number_or_by_id() -> None:
    numbered = (
        delta(tool_calls=[part("a", "one", "{"), part("b", "two", "", 1)]),
        delta(tool_calls=[part(None, None, "}"), part(None, None, '{"x":1}', 1)]),
        delta("tool_calls"),
        "[DONE]",
    )
    by_id = (
        delta(tool_calls=[part("a", "one", "{}")]),
        delta(tool_calls=[part("b", "two", '{"x":')]),
        delta(tool_calls=[{"index": 0, "function": None}, part("b", None, "1}")]),
        delta("tool_calls"),
    )
    async with peculiar(numbered, by_id) as (chat, _):
        for _ in range(2):
            calls = (await whole(chat, said("Hello.")))[:2]
            assert calls == [ToolCall("a", "one", "{}"), ToolCall("b", "two", '{"x":1}')]


async def test_calls_without_ids_or_arguments_are_completed() -> None:
    async with peculiar((delta(tool_calls=[part(None, "one", None)]), delta("stop"))) as (chat, _):
        assert await whole(chat, said("Hello.")) == [ToolCall("call_0", "one", "{}"), Finished("stop")]


async def test_a_model_without_tools_does_without() -> None:
    refusal = {"error": {"message": "llama does not support tools", "type": "invalid_request_error"}}
    async with peculiar(web.json_response(refusal, status=400), (delta(content="Hi."), delta("stop"))) as (chat, asked):
        assert words(await whole(chat, said("Hello."), FLAT)) == "Hi."
    assert "tools" in asked[0] and "tools" not in asked[1]


async def test_a_wrong_declaration_is_told() -> None:
    refusal = {"error": {"message": "Invalid schema for tools[0]", "param": "tools", "code": "invalid"}}
    async with peculiar(web.json_response(refusal, status=400)) as (chat, asked):
        with pytest.raises(ChatFailed, match=r"\(400, invalid\)"):
            await whole(chat, said("Hello."), FLAT)
    assert len(asked) == 1


async def test_refusals_in_other_shapes_are_understood() -> None:
    refusal = {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]}
    async with peculiar(web.json_response(refusal, status=422), (delta(content="Hi."),)) as (chat, asked):
        assert words(await whole(chat, said("Hello."))) == "Hi."
    assert "stream_options" not in asked[1] and asked[1]["max_completion_tokens"]


@pytest.mark.parametrize("event", ["{", '{"choices":[7]}', '{"choices":[{"delta":{"tool_calls":[7]}}]}'])
async def test_what_cannot_be_read_is_told(event: str) -> None:
    async with peculiar((event,)) as (chat, _):
        with pytest.raises(ChatFailed, match="cannot be read"):
            await whole(chat, said("Hello."))


async def test_chunks_without_anything_are_passed_over() -> None:
    odd = (
        '{"choices":null}',
        '{"choices":[]}',
        '{"choices":[{"delta":null,"finish_reason":null}]}',
        delta(refusal="No."),
    )
    async with peculiar(odd) as (chat, _):
        assert await whole(chat, said("Hello.")) == [Text("No."), Finished("")]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ({"message": "Incorrect API key: sk-wrong"}, "(400)"),
        ({"message": "“my card is 4242” is not allowed", "type": "invalid_request_error"}, "invalid_request_error"),
        ({"message": "my card is 4242", "code": "content_policy", "type": "x"}, "(400, content_policy)"),
        ({"message": "no", "code": "my card is 4242", "type": "policy"}, "(400, policy)"),
        ({"message": "no", "code": 4242}, "(400)"),
    ],
)
async def test_a_server_that_quotes_a_key_or_a_caller_does_not_make_it_known(error: object, told: str) -> None:
    refused = web.json_response({"error": error}, status=400)
    async with peculiar(refused, key="sk-wrong") as (chat, _):
        with pytest.raises(ChatFailed) as failed:
            await whole(chat, said("Hello."))
    assert told in str(failed.value)
    assert not any(word in str(failed.value) for word in ("sk-wrong", "card", "4242"))


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, 0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"retry-after-ms": "200", "Retry-After": "1"}, 0.2),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0),
        ({"Retry-After": "-3"}, 0),
    ],
)
async def test_a_server_may_say_when_to_come_again(headers: dict[str, str], wait_s: float) -> None:
    busy = web.json_response({"error": {"message": "busy", "code": "busy"}}, status=429, headers=headers)
    async with peculiar(busy) as (chat, _):
        with pytest.raises(ChatFailed) as failed:
            await whole(chat, said("Hello."))
    assert failed.value.again_after_s == wait_s
