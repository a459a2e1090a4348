"""Chat completions, streamed, from any server that speaks OpenAI's: hosted ones, Ollama, vLLM, llama.cpp.

`Chat` serves all calls that think with one model at one server: connections and what the server
refuses are shared. Nothing is tried again here but what a server refused by name, without it.
Source: the `openai` package's types/chat (3.52) and its errors (read 2026-11).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

import msgspec

if TYPE_CHECKING:
    import openai

CONNECT_S = 2.0
PATIENCE_S = 2.5
"""Longest until the first piece of a reply, and the next one: a caller waits in silence."""

WARM_S = 2.0
KEPT_OPEN_S = 90.0
"""How long a connection without a request is kept. The package's own 5 s are shorter than a caller's turn."""

MOST_TOKENS = 800
"""Longest reply, with its tools: some minutes of speech."""

NO_KEY = "none"
"""Servers without keys want one that is not empty."""

_NAME = re.compile(r"[A-Za-z][\w.-]{0,59}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Text:
    """More words of the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One whole call. arguments: JSON text as the model wrote it."""

    tool_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of the whole reply. cached: the part of ``read`` that the server knew already."""

    read: int
    cached: int
    written: int


@dataclass(frozen=True, slots=True)
class Finished:
    """Why the model stopped: stop, length, tool_calls or content_filter; "" when the server does not say."""

    reason: str


Piece: TypeAlias = Text | ToolCall | Usage | Finished


class ChatFailed(Exception):
    """No reply, or no more of it. fatal: asking again is pointless (bad key, no such model, no money).

    again_after_s: before that it is, too, as the server says. str() is a sentence for the operator.
    """

    def __init__(self, text: str, *, fatal: bool, again_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.fatal = fatal
        self.again_after_s = again_after_s


class Chat:
    """One model at one server.

    vendor: for prices and figures. left_out: parameters that the server refused; they are not sent any more.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        model: str,
        vendor: str = "",
        options: Mapping[str, Any] | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """base_url: http or https, such as https://api.openai.com/v1. vendor: by the address if "".

        options: more parameters for every request; a server that refuses one goes without it.
        patience_s: until the next piece of a reply.
        """
        self.model = model
        self.vendor = vendor or vendor_of(base_url)
        self.left_out: set[str] = set()
        self._base_url = base_url
        self._patience_s = patience_s
        self._api_key = api_key or NO_KEY
        self._options: dict[str, Any] = {
            "stream_options": {"include_usage": True},
            "max_completion_tokens": MOST_TOKENS,
        }
        if model.startswith("gpt-6"):
            # They think before they speak unless they are told not to: a caller would wait for it.
            self._options["reasoning_effort"] = "none"
        self._options.update(options or {})
        self._client: openai.AsyncOpenAI | None = None
        self._making: asyncio.Future[openai.AsyncOpenAI] | None = None
        self._open_until_s = 0.0
        self._closed = False

    async def warm(self) -> None:
        """Be ready to be asked: the package loaded, a connection open. Never raises."""
        try:
            client = await self._ready()
            if self._closed or self._open_until_s > asyncio.get_running_loop().time():
                return
            self._open_until_s = asyncio.get_running_loop().time() + KEPT_OPEN_S / 2
            # Whatever it answers: the connection is what is wanted.
            async with asyncio.timeout(WARM_S):
                await client.models.list()
        except Exception:
            return

    async def ask(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] = (),
        *,
        tool_choice: str = "auto",
    ) -> AsyncGenerator[Piece, None]:
        """One reply as it comes: texts, then whole tool calls, usage where the server tells it, and the finish.

        messages: as the server takes them. tools: declarations as `bridge.tools.declarations` has them (flat).
        Closing the iterator (`aclose`) closes the request. Raises ChatFailed: when nothing comes for
        ``patience_s``, and for all that the server or the network does wrong.
        """
        client = await self._ready()
        import openai

        wanted: dict[str, Any] = dict(self._options)
        if tools:
            wanted |= {"tools": [_nested(tool) for tool in tools], "tool_choice": tool_choice}
        try:
            async with asyncio.timeout(self._patience_s) as deadline:
                stream = await self._create(client, messages, wanted)
            whole = False
            try:
                async with aclosing(_pieces(stream, deadline.when() or 0.0, self._patience_s)) as pieces:
                    async for piece in pieces:
                        yield piece
                whole = True
            finally:
                # A connection is kept only when its answer was read to the end.
                self._open_until_s = asyncio.get_running_loop().time() + KEPT_OPEN_S / 2 if whole else 0.0
                await stream.close()
        except TimeoutError as error:
            raise ChatFailed(f"{self._who} did not answer in time. It may pass; try again.", fatal=False) from error
        except openai.OpenAIError as error:
            raise self._failed(error) from error
        except (ValueError, RecursionError) as error:
            raise ChatFailed(f"{self._who} sent an answer that cannot be read.", fatal=False) from error

    async def close(self) -> None:
        """Let go of connections."""
        self._closed = True
        if self._making is not None:
            await (await self._ready()).close()

    # ── means ─────────────────────────────────────────────────────────────────────────────

    async def _ready(self) -> openai.AsyncOpenAI:
        if self._client is None:
            if self._making is None:
                # Loading the package takes a second, and certificates a tenth: not on the loop.
                self._making = asyncio.ensure_future(asyncio.to_thread(self._make))
            self._client = await asyncio.shield(self._making)
        return self._client

    def _make(self) -> openai.AsyncOpenAI:
        import openai

        common = openai.DEFAULT_CONNECTION_LIMITS
        limits = type(common)(
            max_connections=common.max_connections,
            max_keepalive_connections=common.max_keepalive_connections,
            keepalive_expiry=KEPT_OPEN_S,
        )
        timeout = openai.Timeout(2 * self._patience_s, connect=CONNECT_S)
        http = openai.DefaultAsyncHttpxClient(limits=limits, timeout=timeout)
        return openai.AsyncOpenAI(
            base_url=self._base_url, api_key=self._api_key, timeout=timeout, max_retries=0, http_client=http
        )

    async def _create(
        self, client: openai.AsyncOpenAI, messages: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any]
    ) -> openai.AsyncStream[object]:
        import openai

        while True:
            given = {name: value for name, value in wanted.items() if name not in self.left_out}
            try:
                # Not `chat.completions.create`: for its types' sake that walks through all messages and
                # every chunk, milliseconds in which no other call is heard.
                return await client.post(
                    "/chat/completions",
                    cast_to=object,
                    body={"model": self.model, "messages": messages, "stream": True, **given},
                    stream=True,
                    stream_cls=openai.AsyncStream[object],
                )
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                refused = _refused(error, given)
                if not refused:
                    raise
                self.left_out |= refused

    @property
    def _who(self) -> str:
        return "OpenAI's chat" if self.vendor == "openai" else f"The chat server ({self.vendor})"

    def _failed(self, error: openai.OpenAIError) -> ChatFailed:
        """What to tell the operator."""
        import openai

        who = self._who
        match error:
            case openai.APIConnectionError():
                return ChatFailed(f"{who} cannot be reached. Check the network and CORDBOARD_CHAT_URL.", fatal=False)
            case openai.APIStatusError(status_code=status):
                wait_s = _wait_s(error.response.headers)
            case openai.APIError():
                # Told in the middle of a reply.
                status, wait_s = 500, 0.0
            case _:
                return ChatFailed(f"{who} could not be asked ({type(error).__name__}).", fatal=False)
        code = _name(error.code) or _name(error.type)
        no_credit = "quota" in f"{code} {error.message}" or "billing" in code
        if status == 401:
            key = "OPENAI_API_KEY" if self.vendor == "openai" else "CORDBOARD_CHAT_KEY"
            text = f"{who} refused the key (401). Put a valid key into {key} and start the bridge again."
        elif status == 403:
            text = f"{who} does not let this key use {self.model} (403). Check the key's project and region."
        elif status == 404:
            text = f"There is no model {self.model} at {who} (404). Check the call's profile and CORDBOARD_CHAT_URL."
        elif status == 402 or (status == 429 and no_credit):
            text = f"The account at {who} has no credit left ({status}). Add credit; calls need it from then on."
        elif status == 429:
            text = f"{who} holds back: too many requests (429). It may pass; try again."
            return ChatFailed(text, fatal=False, again_after_s=wait_s)
        elif 400 <= status < 500 and status not in (408, 409, 425):
            named = f"{status}, {code}" if code else f"{status}"
            text = f"{who} does not take what it is asked ({named}). Check the call's profile and its tools."
        else:
            text = f"{who} had an error ({status}). It may pass; try again."
            return ChatFailed(text, fatal=False, again_after_s=wait_s)
        return ChatFailed(text, fatal=True)


def vendor_of(base_url: str) -> str:
    """Whose server this is, by its address: openai, groq, mistral …; its name or number otherwise."""
    host = urlsplit(base_url).hostname or "chat"
    parts = host.split(".")
    return host if len(parts) < 2 or parts[-1].isdecimal() else parts[-2]


def _nested(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A flat declaration as chat completions have it. Without strict: few servers know it."""
    return {"type": "function", "function": {name: tool[name] for name in ("name", "description", "parameters")}}


def _name(given: object) -> str:
    """An error's code or type, "" when it is none. Nothing else is shown: a caller's words may stand in prose."""
    return given if isinstance(given, str) and _NAME.fullmatch(given) else ""


def _wait_s(headers: Mapping[str, str]) -> float:
    """How long the server wants to be left alone, 0 when it does not say so in seconds."""
    for header, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            return max(0.0, float(headers[header]) / unit)
        except (KeyError, ValueError):
            continue
    return 0.0


def _refused(error: openai.APIStatusError, given: Mapping[str, Any]) -> set[str]:
    """Which of the parameters given the server does not take."""
    said = f"{error.message} {error.body}"
    names = {name for name in given if re.search(rf"\b{name}\b", f"{error.param} {said}")}
    if "tool_choice" in given and re.search(r"not support\w* (tools|functions?\b)", said):
        return {"tools", "tool_choice"}
    # That a declaration is wrong is no reason to go without tools.
    return names - {"tools"}


@dataclass(slots=True)
class _Call:
    tool_id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _CallPart(msgspec.Struct):
    index: int = 0
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_CallPart] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Cached(msgspec.Struct, gc=False):
    cached_tokens: int | None = None


class _Used(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _Cached | None = None


class _Chunk(msgspec.Struct):
    """As far as it is read here. A reply has one choice."""

    choices: list[_Choice] | None = None
    usage: _Used | None = None


async def _pieces(stream: openai.AsyncStream[object], due_s: float, patience_s: float) -> AsyncGenerator[Piece, None]:
    """The pieces of a stream. due_s: loop time at which the first one with content is due."""
    calls: list[_Call] = []
    open_calls: dict[int, _Call] = {}
    reason = ""
    chunks = aiter(stream)
    now_s = asyncio.get_running_loop().time
    usage: Usage | None = None
    while True:
        try:
            async with asyncio.timeout_at(due_s):
                chunk = msgspec.convert(await anext(chunks), _Chunk)
        except StopAsyncIteration:
            break
        if (used := chunk.usage) is not None:
            details = used.prompt_tokens_details or _Cached()
            usage = Usage(used.prompt_tokens, details.cached_tokens or 0, used.completion_tokens)
        for choice in chunk.choices or ():
            delta = choice.delta or _Delta()
            reason = choice.finish_reason or reason
            if text := delta.content or delta.refusal:
                due_s = now_s() + patience_s
                yield Text(text)
            for part in delta.tool_calls or ():
                due_s = now_s() + patience_s
                call = open_calls.get(part.index)
                # Some servers number all calls 0 and tell them apart by their ids.
                if call is None or (part.id and call.tool_id and part.id != call.tool_id):
                    call = open_calls[part.index] = _Call()
                    calls.append(call)
                call.tool_id = part.id or call.tool_id
                if part.function is not None:
                    call.name += part.function.name or ""
                    call.arguments.append(part.function.arguments or "")
    for at, call in enumerate(calls):
        yield ToolCall(call.tool_id or f"call_{at}", call.name, "".join(call.arguments) or "{}")
    if usage is not None:
        yield usage
    yield Finished(reason)
