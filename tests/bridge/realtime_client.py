"""A client of the rehearsal AI that lets nothing pass that the official `openai` types do not know."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from types import TracebackType
from typing import Any, get_args

import aiohttp
from openai.types.beta.realtime.realtime_client_event import RealtimeClientEvent as BetaClientEvent
from openai.types.beta.realtime.realtime_server_event import RealtimeServerEvent as BetaServerEvent
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import BaseModel, TypeAdapter

from bridge.audio import FRAME_BYTES, silence
from bridge.rehearsal.model import Model

PATIENCE_S = 10
KEY = "sk-rehearsal"
SAY = 'Say exactly, word for word, nothing else: "{}"'
ASK = 'Tell the caller, in your own words: "{}"'
GUIDANCE = "Guidance from your supervisor, not to be read out: {}"
PCMU = {"format": {"type": "audio/pcmu"}}
SESSION: dict[str, Any] = {
    "type": "realtime",
    "audio": {"input": PCMU | {"transcription": {"model": "gpt-transcribe"}}, "output": PCMU | {"voice": "marin"}},
}
TOOLS = ("find_payments", "refund_payment", "list_free_times", "book_appointment", "ask_for_person")

# The session that the server shows has what it made up itself besides what was configured.
SHOWN_BESIDES = {"id", "object", "expires_at"}


def _by_type(union: Any) -> dict[str, type[BaseModel]]:
    members = get_args(get_args(union)[0])
    return {get_args(member.model_fields["type"].annotation)[0]: member for member in members}


SERVER_EVENTS = _by_type(RealtimeServerEvent)
CLIENT_EVENTS = _by_type(RealtimeClientEvent)
BETA_SERVER_EVENTS = _by_type(BetaServerEvent)
BETA_CLIENT_EVENTS = _by_type(BetaClientEvent)


def check(shapes: dict[str, type[BaseModel]], message: dict[str, Any]) -> None:
    """Fails for a message of no known type, of a wrong shape, or with a field that the types do not have."""
    assert message["type"] in shapes, f"no such event: {message['type']}"
    value = TypeAdapter(shapes[message["type"]]).validate_python(message)
    strange = unknown_fields(value)
    assert strange <= SHOWN_BESIDES, f"{message['type']} has unknown fields {strange}"


def unknown_fields(value: object) -> set[str]:
    """Names of fields, at any depth, that the official types do not declare."""
    match value:
        case BaseModel():
            extra = set(value.model_extra or {})
            return extra.union(*(unknown_fields(getattr(value, name)) for name in type(value).model_fields))
        case list():
            return set().union(*map(unknown_fields, value))
        case _:
            return set()


class Client:
    """One session with a model, or with that at an address. ``events``: all that was received, in order.

    beta: it is the protocol's beta that is spoken.
    """

    def __init__(
        self,
        model: Model | str,
        *,
        key: str = KEY,
        name: str = "gpt-realtime-2.1",
        intent: str = "",
        headers: Any = None,
        beta: bool = False,
    ) -> None:
        self._sends = BETA_CLIENT_EVENTS if beta else CLIENT_EVENTS
        self._hears = BETA_SERVER_EVENTS if beta else SERVER_EVENTS
        self.events: list[dict[str, Any]] = []
        self.raw: list[str] = []
        self.texts: dict[str, str] = {}
        self.close_code: int | None = None
        self._url = model if isinstance(model, str) else model.url
        self._name, self._intent = name, intent
        self._headers = {"Authorization": f"Bearer {key}"} | (headers or {})
        self._read = 0

    async def __aenter__(self) -> Client:
        self._http = aiohttp.ClientSession()
        try:
            query = {"intent": self._intent} if self._intent else {}
            query |= {"model": self._name} if self._name else {}
            address = f"{self._url}/realtime"
            self._ws = await self._http.ws_connect(address, params=query, headers=self._headers, max_msg_size=0)
        except aiohttp.ClientError:
            await self._http.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._ws.close()
        await self._http.close()

    async def send(self, event: str, **fields: Any) -> None:
        """A client event that the official types allow."""
        message = {"type": event, **fields}
        check(self._sends, message)
        await self.send_raw(json.dumps(message))

    async def send_raw(self, text: str) -> None:
        """Anything."""
        await self._ws.send_str(text)

    async def speak(self, audio: bytes) -> None:
        """Audio, frame by frame as it comes from a telephone, but without the waiting."""
        for at in range(0, len(audio), FRAME_BYTES):
            frame = b64encode(audio[at : at + FRAME_BYTES]).decode()
            await self.send_raw(json.dumps({"type": "input_audio_buffer.append", "audio": frame}))

    async def say(self, audio: bytes, then_quiet_ms: int = 600) -> None:
        """A turn of the caller, between silences."""
        await self.speak(silence(400) + audio + silence(then_quiet_ms))

    async def next(self, event: str = "", where: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The next event of this type (any if ""), passing over others; each is read once."""
        while True:
            message = await self._ws.receive(timeout=PATIENCE_S)
            if message.type is not aiohttp.WSMsgType.TEXT:
                self.close_code = self._ws.close_code
                raise EOFError(f"closed with {self.close_code} while waiting for {event}")
            self.raw.append(message.data)
            told = json.loads(message.data)
            check(self._hears, told)
            self.events.append(told)
            if event in ("", told["type"]) and where(told):
                return told
            assert told["type"] != "error", told["error"]

    async def ready(self, *tools: str, **more: Any) -> dict[str, Any]:
        """Configures the session for a telephone call; the session as it then is."""
        await self.next("session.created")
        declared = [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in tools]
        await self.send("session.update", session=SESSION | {"tools": declared} | more)
        return (await self.next("session.updated"))["session"]

    async def spoken(self, **response: Any) -> str:
        """Asks for a response and waits for its end; what was said."""
        await self.send("response.create", response=response)
        return await self.reply()

    async def reply(self) -> str:
        """Waits for the end of a response; what was said in it."""
        await self.next("response.done")
        return words(self.events)

    async def note(self, text: str, role: str = "system") -> None:
        """Puts a text into the conversation."""
        kind = "output_text" if role == "assistant" else "input_text"
        item = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
        await self.send("conversation.item.create", item=item)
        await self.next("conversation.item.done")

    def names(self) -> list[str]:
        """Types of all events received."""
        return [event["type"] for event in self.events]

    def all(self, event: str) -> list[dict[str, Any]]:
        """The events of one type."""
        return [told for told in self.events if told["type"] == event]


def words(events: list[dict[str, Any]]) -> str:
    """What the last response among these said."""
    done = [event for event in events if event["type"] == "response.done"][-1]
    texts = [part["transcript"] for item in done["response"]["output"] for part in item.get("content", ())]
    return " ".join(texts)
