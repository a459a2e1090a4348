"""One client's socket to the rehearsal AI: its life, its faults, and a record of what went over it."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Coroutine
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import WSMessage, WSMsgType, web

from bridge.rehearsal.mind import Heard, Mind
from bridge.rehearsal.model_wire import Refused

if TYPE_CHECKING:
    from bridge.rehearsal.model import Model

_ENDS = (WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR)
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
log = logging.getLogger("cordboard.rehearsal")
_encoder = msgspec.json.Encoder()


class Socket(ABC):
    """From accepted socket to close. Its public lists are a record for whoever watches the rehearsal.

    received: all client messages but audio, as sent; refusals: the `error` events sent; heard and
    said: what was understood and spoken; sent, events: how many events of each type, and in all, went out.
    """

    def __init__(self, model: Model, ws: web.WebSocketResponse, request: web.Request, seed: int) -> None:
        self.model = model
        self.chance = Random(seed)
        self.id = self.new_id("sess")
        self.mind = Mind(model.replies)
        self.gone = asyncio.Event()
        self.received: list[dict[str, Any]] = []
        self.refusals: list[dict[str, Any]] = []
        self.heard: list[Heard] = []
        self.said: list[str] = []
        self.sent: Counter[str] = Counter()
        self.events = 0
        self.appended_bytes = 0
        self._ws, self._request = ws, request
        self._tasks: set[asyncio.Task[None]] = set()
        self._frozen = False

    # ── what each service does ────────────────────────────────────────────────────────────

    async def begin(self) -> None:
        """The socket is open."""
        return

    @abstractmethod
    async def obey(self, text: str) -> None:
        """A client's message."""

    @abstractmethod
    async def refuse(self, refused: Refused, event_id: str | None) -> None:
        """Says why something cannot be done. event_id: the client's, of what it asked for."""

    @abstractmethod
    async def expire(self) -> None:
        """Ends as a session does whose time is up."""

    def shaped(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """The event as this client gets to see it; None for not at all."""
        return event

    # ── life ──────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Serves the client until either side closes."""
        expiry = asyncio.get_running_loop().call_later(self.model.expires_s, lambda: self.start(self.expire()))
        try:
            await self.begin()
            while (message := await self._ws.receive()).type not in _ENDS:
                if not self._frozen:
                    await self._receive(message)
        finally:
            expiry.cancel()
            await self.end()

    async def _receive(self, message: WSMessage) -> None:
        match message.type:
            case WSMsgType.TEXT:
                self.model.tap.came("openai", message.data)
                await self.obey(message.data)
            case WSMsgType.PING:
                await self._ws.pong(message.data)
            case WSMsgType.CLOSE:
                await self._ws.close()
            case WSMsgType.BINARY:
                await self.refuse(Refused("invalid_value", "Send text messages, not binary ones."), None)

    async def end(self) -> None:
        """Stops all that it does; the socket is the server's to close."""
        self.gone.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def leave(self, code: int, reason: str) -> None:
        """Closes the socket."""
        self.gone.set()
        if self._frozen and (transport := self._request.transport):
            transport.abort()
        await self._ws.close(code=code, message=reason.encode())

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs something for as long as the session lives."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a session of the rehearsal AI failed", exc_info=error)
            self.start(self.leave(1011, "internal error"))

    def new_id(self, kind: str) -> str:
        """A fresh identity as the real one makes them."""
        return f"{kind}_{''.join(self.chance.choices(_ALPHABET, k=21))}"

    async def emit(self, name: str, /, **fields: Any) -> None:
        """Sends one event, and the faults that are due after it."""
        if self._frozen or self.gone.is_set():
            return
        self.events += 1
        event = {"type": name, "event_id": f"event_{self.id[5:15]}{self.events:06d}", **fields}
        shaped = self.shaped(event)
        if shaped is None:
            return
        await self._send(_encoder.encode(shaped).decode())
        self.sent[shaped["type"]] += 1
        self.model.noted()
        for text in self.model.faults.after(name):
            await self._send(text)
        match self.model.faults.ending(self.events):
            case 0:
                return
            case 1006 if transport := self._request.transport:
                transport.abort()
            case -1:
                self._frozen = True
            case code:
                self.gone.set()
                self.start(self.leave(code, "fault"))

    async def _send(self, text: str) -> None:
        self.model.tap.leaves("openai", text)
        try:
            await self._ws.send_str(text)
        except ConnectionError:
            self.gone.set()
