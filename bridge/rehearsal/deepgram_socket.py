"""One client's socket to the rehearsal's Deepgram: its life, its faults, and how late things are said."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Coroutine, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias
from uuid import UUID

import msgspec
from aiohttp import WSMsgType, web

if TYPE_CHECKING:
    from bridge.rehearsal.model import Model

MODEL_UUID = "40bd3654-e622-47c4-a111-63a61b23bfe8"
_ENDS = (WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR)
_EVEN_SILENT = ("Connected", "Metadata")
_encode = msgspec.json.Encoder().encode

Fields: TypeAlias = dict[str, Any]
log = logging.getLogger("cordboard.rehearsal")


class Unreadable(Exception):
    """A client message that the peer does not understand; str() says why."""


class Socket(ABC):
    """From accepted socket to close. Its public lists are a record for whoever watches the rehearsal.

    query: as asked for. received: all client messages but sound. heard_bytes: sound that came.
    sent: how many messages of each type went out. closed_with: the code and reason we closed with.
    clients: the names of messages that are understood, each with the fields that it must have.
    """

    clients: ClassVar[Mapping[str, frozenset[str]]] = {}

    def __init__(self, model: Model, ws: web.WebSocketResponse, request: web.Request, seed: int) -> None:
        self.model = model
        self.chance = Random(seed)
        self.request_id = str(UUID(int=self.chance.getrandbits(128), version=4))
        self.query = dict(request.query)
        self.received: list[Fields] = []
        self.heard_bytes = 0
        self.sent: Counter[str] = Counter()
        self.closed_with: tuple[int, str] | None = None
        self.gone = asyncio.Event()
        self._ws, self._request = ws, request
        self._out: asyncio.Queue[tuple[float, str, bytes | str]] = asyncio.Queue()
        self._due_s = 0.0
        self._alive_s = 0.0
        self._frozen = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serves the client until either side closes."""
        self.is_alive()
        self.start(self._write())
        try:
            await self.begin()
            while (message := await self._receive()) is not None:
                if not self._frozen:
                    await self._take(message)
        finally:
            self.gone.set()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    # ── what each service does ────────────────────────────────────────────────────────────

    async def begin(self) -> None:
        """The socket is open."""
        return

    @abstractmethod
    async def hear(self, sound: bytes) -> None:
        """A binary frame."""

    @abstractmethod
    async def obey(self, message: Fields) -> None:
        """A client message that has its fields."""

    @abstractmethod
    async def complain(self, text: str, why: str) -> None:
        """A client message that is none."""

    async def idle(self) -> None:
        """No sign of life for `Deepgram.idle_s`."""
        return

    # ── what they use ─────────────────────────────────────────────────────────────────────

    def is_alive(self) -> None:
        """The client has given a sign of life."""
        self._alive_s = asyncio.get_running_loop().time()

    def emit(self, name: str, fields: Fields, delay_ms: tuple[int, int] = (0, 0)) -> None:
        """Says one message, so much later, in order."""
        self._put(name, _encode({"type": name, **fields}).decode(), delay_ms)

    def sound(self, mulaw: bytes, delay_ms: tuple[int, int] = (0, 0)) -> None:
        """The same for sound."""
        self._put("sound", mulaw, delay_ms)

    async def leave(self, code: int, reason: str = "") -> None:
        """Closes the socket, once all has been said."""
        await self._out.join()
        await self.abandon(code, reason)

    async def abandon(self, code: int, reason: str) -> None:
        """Closes the socket now."""
        if self.closed_with is None:
            self.closed_with = (code, reason)
        self.gone.set()
        if self._frozen and (transport := self._request.transport):
            transport.abort()
        await self._ws.close(code=code, message=reason.encode())
        self.model.noted()

    def freeze(self) -> None:
        """From now on it takes everything, and says and answers nothing."""
        self._frozen = True

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs something for as long as the socket is open."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)
        return task

    # ── inside ────────────────────────────────────────────────────────────────────────────

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a socket of the rehearsal's Deepgram failed", exc_info=error)
            self.start(self.abandon(1011, "NET-0000"))

    async def _receive(self) -> Any:
        """The next message; None when the socket is closed."""
        while True:
            left_s = self._alive_s + self.model.deepgram.idle_s - asyncio.get_running_loop().time()
            try:
                message = await self._ws.receive(timeout=max(0.001, left_s))
            except TimeoutError:
                self.is_alive()
                if not self._frozen:
                    await self.idle()
                continue
            return None if message.type in _ENDS else message

    async def _take(self, message: Any) -> None:
        match message.type:
            case WSMsgType.PING:
                await self._ws.pong(message.data)
            case WSMsgType.CLOSE:
                await self._ws.close()
            case WSMsgType.BINARY:
                self.is_alive()
                self.heard_bytes += len(message.data)
                self.model.tap.came("deepgram", message.data)
                await self.hear(message.data)
            case WSMsgType.TEXT:
                self.model.tap.came("deepgram", message.data)
                try:
                    read = self._read(message.data)
                except Unreadable as why:
                    await self.complain(message.data, str(why))
                else:
                    self.received.append(read)
                    await self.obey(read)
        self.model.noted()

    def _read(self, text: str) -> Fields:
        try:
            message = msgspec.json.decode(text, type=Fields)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unreadable(f"Invalid JSON: {error}") from None
        name = str(message.get("type"))
        if name not in self.clients:
            raise Unreadable(f"unknown variant `{name}`, expected one of {', '.join(self.clients)}")
        fields = self.clients[name]
        if message.keys() - {"type"} != fields or not all(isinstance(message[field], str) for field in fields):
            raise Unreadable(f"`{name}` needs exactly {', '.join(sorted(fields)) or 'no fields'}")
        return message

    def _put(self, name: str, data: bytes | str, delay_ms: tuple[int, int]) -> None:
        if self.model.faults.deepgram_silent and name not in _EVEN_SILENT:
            return
        late_s = (self.chance.uniform(*delay_ms) + self.model.faults.deepgram_slow_ms) / 1000
        self._due_s = max(self._due_s, asyncio.get_running_loop().time() + late_s)
        self._out.put_nowait((self._due_s, name, data))

    async def _write(self) -> None:
        while True:
            due_s, name, data = await self._out.get()
            try:
                await asyncio.sleep(max(0.0, due_s - asyncio.get_running_loop().time()))
                if not (self._frozen or self.gone.is_set()):
                    await self._say(name, data)
            finally:
                self._out.task_done()

    async def _say(self, name: str, data: bytes | str) -> None:
        faults = self.model.faults
        self.sent[name] += 1
        self.model.tap.leaves("deepgram", data)
        try:
            await (self._ws.send_bytes(data) if isinstance(data, bytes) else self._ws.send_str(data))
            for text in faults.deepgram_inject if name == faults.deepgram_inject_after else ():
                await self._ws.send_str(text)
        except ConnectionError:
            self.gone.set()
        self.model.noted()
        if not faults.deepgram_end_after or self.sent.total() != faults.deepgram_end_after:
            return
        if faults.deepgram_end_with == -1:
            self.freeze()
        elif faults.deepgram_end_with == 1006 and (transport := self._request.transport):
            transport.abort()
        else:
            self.start(self.abandon(faults.deepgram_end_with, "fault"))
