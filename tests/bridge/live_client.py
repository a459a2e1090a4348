"""A client of the rehearsal's GPT-Live that lets nothing pass that the official `openai` types do not know."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from types import TracebackType
from typing import Any, get_args

import aiohttp
from openai.types.live import ClientEvent, ServerEvent
from openai.types.responses import ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from bridge.audio import FRAME_BYTES, silence
from bridge.rehearsal.model import Model

PATIENCE_S = 10
KEY = "sk-rehearsal"
SESSION: dict[str, Any] = {
    "model": "gpt-live-1",
    "instructions": "Be brief.",
    "audio": {"format": {"type": "audio/pcmu", "rate": 8000}, "output": {"voice": "marin"}},
    "store": False,
}


def responses(*tools: str, **more: Any) -> dict[str, Any]:
    """Delegation to the Responses API with these tools."""
    declared = [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in tools]
    return {"type": "responses", "responses": {"model": "gpt-6-luna", "tools": declared, **more}}


def _by_type(union: Any) -> dict[str, type[BaseModel]]:
    members = get_args(get_args(union)[0])
    return {get_args(member.model_fields["type"].annotation)[0]: member for member in members}


SERVER_EVENTS = _by_type(ServerEvent)
CLIENT_EVENTS = _by_type(ClientEvent)
_nested: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def check(shapes: dict[str, type[BaseModel]], message: dict[str, Any]) -> None:
    """Fails for a message of no known type, of a wrong shape, or with a field that the types do not have."""
    assert message["type"] in shapes, f"no such event: {message['type']}"
    value = TypeAdapter(shapes[message["type"]]).validate_python(message)
    assert not (strange := _unknown(value)), f"{message['type']} has unknown fields {strange}"
    if message["type"] == "response.event":
        nested = _nested.validate_python(message["event"])
        assert not (strange := _unknown(nested)), f"{message['event']['type']} has unknown fields {strange}"


def _unknown(value: object) -> set[str]:
    match value:
        case BaseModel():
            extra = set(value.model_extra or {})
            return extra.union(*(_unknown(getattr(value, name)) for name in type(value).model_fields))
        case list():
            return set().union(*map(_unknown, value))
        case _:
            return set()


class Client:
    """One session. ``events``: all that was received, in order."""

    def __init__(self, model: Model, *, key: str = KEY, query: str = "") -> None:
        self.events: list[dict[str, Any]] = []
        self.close_code: int | None = None
        self._address = f"{model.url}/live/sessions{query}"
        self._headers = {"Authorization": f"Bearer {key}"}

    async def __aenter__(self) -> Client:
        self._http = aiohttp.ClientSession()
        try:
            self._ws = await self._http.ws_connect(self._address, headers=self._headers, max_msg_size=0)
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
        check(CLIENT_EVENTS, message)
        await self.send_raw(json.dumps(message))

    async def send_raw(self, text: str) -> None:
        """Anything."""
        await self._ws.send_str(text)

    async def start(self, **more: Any) -> dict[str, Any]:
        """Starts a telephone call's session; the session as it then is."""
        await self.send("session.start", event_id="start", session=SESSION | more)
        started = await self.next("session.started")
        assert started["client_event_id"] == "start"
        session: dict[str, Any] = started["session"]
        return session

    async def speak(self, audio: bytes) -> None:
        """Sound of the caller, frame by frame, but without the waiting."""
        for at in range(0, len(audio), FRAME_BYTES):
            frame = b64encode(audio[at : at + FRAME_BYTES]).decode()
            await self.send("session.input_audio.append", audio=frame)

    async def say(self, audio: bytes) -> None:
        """A turn of the caller, between silences."""
        await self.speak(silence(200) + audio + silence(600))

    async def append(self, what: str, content: str) -> None:
        """Appends instructions, thinking or commentary, and waits until that is accepted."""
        await self.send(f"session.{what}.append", content=content, delegation_id=None, event_id="mine")
        assert (await self.next(f"session.{what}.appended"))["client_event_id"] == "mine"

    async def next(self, event: str = "", where: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The next event of this type (any if ""), passing over others; each is read once."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._next(event, where)

    async def _next(self, event: str, where: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            message = await self._ws.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                self.close_code = self._ws.close_code
                raise EOFError(f"closed with {self.close_code} while waiting for {event}")
            told: dict[str, Any] = json.loads(message.data)
            check(SERVER_EVENTS, told)
            self.events.append(told)
            if event in ("", told["type"]) and where(told):
                return told
            assert told["type"] != "error", told["error"]

    async def hear(self, words: str) -> None:
        """Waits until all these words of the AI have come."""
        while words not in self.spoken():
            await self.next("session.output_transcript.delta")

    async def refused(self) -> dict[str, Any]:
        """The next error."""
        error: dict[str, Any] = (await self.next("error"))["error"]
        return error

    def all(self, event: str) -> list[dict[str, Any]]:
        """The events of one type."""
        return [told for told in self.events if told["type"] == event]

    def spoken(self) -> str:
        """All words of the AI so far."""
        return "".join(told["delta"] for told in self.all("session.output_transcript.delta"))

    def heard(self) -> str:
        """All words of the caller, as the AI wrote them down."""
        return "".join(told["delta"] for told in self.all("session.input_transcript.delta"))

    def sound(self) -> bytes:
        """All sound of the AI so far, mu-law."""
        return b"".join(b64decode(told["delta"]) for told in self.all("session.output_audio.delta"))

    def nested(self) -> list[dict[str, Any]]:
        """The events of the backend."""
        return [told["event"] for told in self.all("response.event")]
