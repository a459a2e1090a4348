"""The rehearsal AI's chat completions: `POST /v1/chat/completions`, streamed.

It thinks with a `Mind` that is made anew from the messages of each request, so what a caller did not
hear is known only if the messages tell.
Shape: the official `openai` package, types/chat/chat_completion_chunk.py.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web
from msgspec import UNSET

from bridge.rehearsal import model_chat_wire as wire
from bridge.rehearsal.mind import Heard, Mind, Plan, unsaid
from bridge.rehearsal.model_chat_wire import Asked, Message, text_of
from bridge.rehearsal.model_wire import Refused
from bridge.rehearsal.scenario import Reply, ToolUse
from bridge.transcript import spoken_words

if TYPE_CHECKING:
    from bridge.rehearsal.model import Faults, Model

DELAY_MS = (460, 763)
"""To the first token, at least and at most: what first answers of hosted models take."""

TOKENS_PER_S = 90.0
CUT_OFF = "Your answer was cut off there by a fault."
"""How a message begins that asks for the rest of the reply before it."""

STILL_RUNNING = "Still running"
"""How the result of a tool begins that has none yet; it is told later, as `_FINISHED` reads it."""

_FINISHED = re.compile(r"^The tool (\S+) has finished\. Its result: (.*)", re.DOTALL)
_SHORTEST_LINE_WORDS = 3
"""Words from the beginning of a caller's line by which it is known, when it was cut short."""

_ARGUMENT_PIECES = 3
_TOKEN = re.compile(r"\s*\S{1,8}")
_encode = msgspec.json.encode


@lru_cache(500)
def _words(line: str) -> list[str]:
    return spoken_words(line)


# ── thinking ──────────────────────────────────────────────────────────────────────────────


class Thought:
    """What the rehearsal AI makes of the messages of one request.

    replies: of all scenarios. declared: the tools it has; usable: those that it may use in this reply.
    """

    def __init__(self, replies: Sequence[Reply], declared: set[str], usable: set[str]) -> None:
        self._replies = replies
        self._mind = Mind(replies)
        self._declared = declared
        self._running: dict[str, str] = {}
        self._usable = usable
        self._lines = {reply.line: _words(reply.line) for reply in replies}
        self._uses = {reply.tool.name: reply.tool for reply in replies if reply.tool}

    def plan(self, messages: Sequence[Message]) -> Plan:
        """The reply to these messages."""
        instructions = None
        for at, message in enumerate(messages):
            text = text_of(message.content)
            last = at == len(messages) - 1
            match message:
                case wire.User():
                    for heard in self.hear(text):
                        self._mind.hear(heard)
                case wire.System() | wire.Developer() if at and last and text.startswith(CUT_OFF):
                    return self._rest(messages[: at - 1], text_of(messages[at - 1].content))
                case wire.System() | wire.Developer() if at and (finished := _FINISHED.match(text)):
                    self._mind.result(self._running.pop(finished[1], ""), finished[2])
                case wire.System() | wire.Developer() if at:
                    self._mind.read("system", text)
                    instructions = text if last else None
                case wire.Assistant():
                    self._recall(text, message)
                case wire.Tool(tool_call_id=call_id) if not text.startswith(STILL_RUNNING):
                    self._mind.result(call_id, text)
        return self._mind.plan(instructions, self._usable)

    def hear(self, text: str) -> Iterator[Heard]:
        """The rehearsed lines in a caller's words, however they are written."""
        words = spoken_words(text)
        found = False
        while words:
            line, length = self._line_at(words)
            if line:
                found = True
                yield Heard(line, text)
            words = words[length or 1 :]
        if not found:
            yield Heard(None, text)

    def _line_at(self, words: list[str]) -> tuple[str, int]:
        """The line that these words begin with, whole or as far as they go, and how many of them it is."""
        for line, known in self._lines.items():
            length = next((at for at, (a, b) in enumerate(zip(words, known, strict=False)) if a != b), None)
            length = min(len(words), len(known)) if length is None else length
            whole = length == len(known)
            if whole or (length == len(words) and length >= max(_SHORTEST_LINE_WORDS, len(known) / 2)):
                return line, length
        return "", 0

    def _recall(self, text: str, message: wire.Assistant) -> None:
        """What it said, or began to say, answered what waited then; a greeting or another's words did not."""
        plan = self._mind.plan(None, self._declared)
        calls = [] if message.tool_calls is UNSET else message.tool_calls
        says, said = spoken_words(plan.says), spoken_words(text)
        if calls or (said and says[: len(said)] == said):
            if len(said) < len(says):
                self._mind.cut(unsaid(plan.says, len(text) / len(plan.says)))
        else:
            self._mind.take_back(plan)
            self._mind.begun()
        for call in calls:
            planned = plan.tool if plan.tool and plan.tool.name == call.function.name else None
            known = planned or self._uses.get(call.function.name) or ToolUse(call.function.name, {}, "", "", "")
            self._mind.used(call.id, known)
            self._running[call.function.name] = call.id

    def _rest(self, messages: Sequence[Message], begun: str) -> Plan:
        """The reply to the messages before the one that was begun, without that."""
        plan = Thought(self._replies, self._declared, self._usable).plan(messages)
        return Plan(plan.says[len(begun) :], plan.tool)


# ── answering ─────────────────────────────────────────────────────────────────────────────


@dataclass
class Request:
    """One that was taken, for whoever watches the rehearsal. body: as sent. left: the client closed it early."""

    body: dict[str, Any]
    said: str = ""
    finished: str = ""
    left: bool = False

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What it was asked with."""
        messages: list[dict[str, Any]] = self.body["messages"]
        return messages


@dataclass
class Completions:
    """All that is asked of the server. requests: every one that was in order, the record of a test.

    delay_ms: to the first token, at least and at most. tokens_per_s: 0 for all at once.
    """

    model: Model
    seed: int
    delay_ms: tuple[int, int] = DELAY_MS
    tokens_per_s: float = TOKENS_PER_S
    requests: list[Request] = field(default_factory=list)
    refusals: list[Refused] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = Random(self.seed)
        self._faults: Faults = self.model.faults
        self._faulty = 0
        self._number = 0

    def faults(self) -> Faults | None:
        """What shall go wrong with a request that comes now."""
        faults = self.model.faults
        if faults is not self._faults:
            self._faults, self._faulty = faults, 0
        self._faulty += 1
        return faults if not faults.chat_times or self._faulty <= faults.chat_times else None

    async def answer(self, web_request: web.Request, faults: Faults | None) -> web.StreamResponse:
        """The reply, as it comes. Raises Refused."""
        body = await web_request.read()
        self.model.tap.came("chat", body)
        try:
            asked = wire.decode_asked(body, faults.chat_refuses if faults else ())
        except Refused as refused:
            self.refusals.append(refused)
            raise
        request = Request(msgspec.json.decode(body))
        self.requests.append(request)
        self.model.noted()
        delay_ms = self._chance.uniform(*self.delay_ms) + (faults.chat_delay_ms if faults else 0)
        loop = asyncio.get_running_loop()
        due_s = loop.time() + delay_ms / 1000
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        try:
            await response.prepare(web_request)
            if faults and faults.chat_silent:
                await asyncio.Event().wait()
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            await _Stream(self, web_request, response, asked, request, faults).run()
        except (asyncio.CancelledError, ConnectionError) as error:
            request.left = True
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self.model.noted()
        return response

    def plan(self, asked: Asked) -> Plan:
        """What to answer."""
        declared = set() if asked.tools is UNSET else {tool.function.name for tool in asked.tools}
        match asked.tool_choice:
            case "none":
                usable: set[str] = set()
            case wire.Choice(function=function):
                usable = {function.name}
            case _:
                usable = declared
        return Thought(self.model.replies, declared, usable).plan(asked.messages)

    def new_id(self, kind: str) -> str:
        """A fresh identity."""
        self._number += 1
        return f"{kind}{self._number:06d}{self._chance.randrange(16**8):08x}"


class _Stream:
    """One reply on its way."""

    def __init__(
        self,
        desk: Completions,
        web_request: web.Request,
        response: web.StreamResponse,
        asked: Asked,
        request: Request,
        faults: Faults | None,
    ) -> None:
        self._desk, self._web_request, self._response = desk, web_request, response
        self._asked, self._request, self._faults = asked, request, faults
        self._id = desk.new_id("chatcmpl-")
        self._created = int(time.time())
        self._sent = 0
        options = asked.stream_options
        self._usage = bool(options and options.include_usage is True)

    async def run(self) -> None:
        plan = self._desk.plan(self._asked)
        await self._chunk(
            {"role": "assistant", "content": None if plan.tool and not plan.says else "", "refusal": None}
        )
        written = 0
        most = next((n for n in (self._asked.max_completion_tokens, self._asked.max_tokens) if n), None)
        finish = "tool_calls" if plan.tool else "stop"
        for token in _TOKEN.findall(plan.says):
            if most is not None and written >= most:
                finish = "length"
                break
            written += 1
            await self._chunk({"content": token})
            self._request.said += token
            if await self._gone_wrong():
                return
            if self._desk.tokens_per_s:
                await asyncio.sleep(1 / self._desk.tokens_per_s)
        if plan.tool and finish == "tool_calls":
            written += await self._call(plan.tool)
        await self._chunk({}, finish)
        if self._usage:
            await self._send(self._message([], self._used(written)))
        await self._response.write(b"data: [DONE]\n\n")
        await self._response.write_eof()
        self._request.finished = finish

    async def _call(self, tool: ToolUse) -> int:
        """A tool is called for. Returns the tokens of it."""
        arguments = _encode(tool.arguments).decode()
        function = {"name": tool.name, "arguments": ""}
        call = {"index": 0, "id": self._desk.new_id("call_"), "type": "function", "function": function}
        await self._chunk({"tool_calls": [call]})
        step = -(-len(arguments) // _ARGUMENT_PIECES)
        for at in range(0, len(arguments), step):
            part = {"index": 0, "function": {"arguments": arguments[at : at + step]}}
            await self._chunk({"tool_calls": [part]})
        return len(arguments) // 3

    async def _gone_wrong(self) -> bool:
        """Whether a fault ended the stream here."""
        faults = self._faults
        self._sent += 1
        if faults and self._sent == faults.chat_cut_after and (transport := self._web_request.transport):
            transport.abort()
            return True
        if faults and self._sent == faults.chat_error_after:
            problem = {"message": "The server had an error while processing your request.", "type": "server_error"}
            await self._send({"error": {**problem, "code": None, "param": None}})
            await self._response.write_eof()
            return True
        return False

    def _used(self, written: int) -> dict[str, Any]:
        read = len(_encode(self._request.messages)) // 4
        cached = read // 128 * 128 if len(self._request.messages) > 3 else 0
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }

    async def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> None:
        await self._send(self._message([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]))

    def _message(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> dict[str, Any]:
        message = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._asked.model,
            "service_tier": "default",
            "system_fingerprint": None,
            "choices": choices,
        }
        return message | {"usage": usage} if self._usage else message

    async def _send(self, message: dict[str, Any]) -> None:
        data = _encode(message)
        self._desk.model.tap.leaves("chat", data)
        await self._response.write(b"data: " + data + b"\n\n")
