"""A console without a window: attaches over the real control socket and mirrors the bridge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import websockets

from bridge import control
from bridge.control import Command, Done, Refused
from console.store import Call, Store


class Desk:
    """An attached console. ``store`` mirrors the bridge as the window's does."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.store = Store()
        self.refusals: list[str] = []
        self._socket = socket
        self._number = 0
        self._answers: dict[int, asyncio.Future[Done | Refused]] = {}
        self._looking: list[tuple[Callable[[Store], Any], asyncio.Future[Any]]] = []

    async def listen(self) -> None:
        """Mirror until the bridge closes."""
        with suppress(websockets.ConnectionClosedError):
            async for text in self._socket:
                event = control.decode_event(text)
                self.store.apply(event)
                if isinstance(event, Done | Refused) and event.id in self._answers:
                    self._answers.pop(event.id).set_result(event)
                for look, found in list(self._looking):
                    if not found.done() and (seen := look(self.store)):
                        found.set_result(seen)

    async def until(self, look: Callable[[Store], Any]) -> Any:
        """What ``look`` finds in the mirror, as soon as it finds anything."""
        if seen := look(self.store):
            return seen
        found = asyncio.get_running_loop().create_future()
        self._looking.append((look, found))
        try:
            async with asyncio.timeout(30):
                return await found
        finally:
            self._looking.remove((look, found))

    async def do(self, kind: Callable[..., Command], **fields: Any) -> str:
        """Send a command; "" when it was done, else the words of the refusal."""
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send(control.encode(kind(id=self._number, **fields)))
        async with asyncio.timeout(10):
            answered = await answer
        return answered.reason if isinstance(answered, Refused) else ""

    async def talk(self, mulaw: bytes) -> None:
        """Speak as the operator."""
        await self._socket.send(bytes([control.TALK]) + mulaw)

    def call(self) -> Call:
        """The only call."""
        (call,) = self.store.calls.values()
        return call

    def texts(self, *kinds: control.TurnKind) -> list[str]:
        """The transcript of the only call, in order; of some kinds of lines if any are named."""
        call = self.call()
        turns = [call.turns[line.key.removeprefix("turn:")] for line in call.lines if line.key.startswith("turn:")]
        return [turn.text for turn in turns if not kinds or turn.kind in kinds]


@asynccontextmanager
async def open_desk(url: str, token: str, name: str = "Ann"):
    """Attach a console called ``name``; it leaves when the block ends."""
    headers = {"Authorization": f"Bearer {token}"}
    async with websockets.connect(
        url, additional_headers=headers, compression=None, max_size=None, close_timeout=1
    ) as socket:
        desk = Desk(socket)
        listening = asyncio.create_task(desk.listen())
        try:
            assert await desk.do(control.Attach, version=control.VERSION, console=name) == ""
            yield desk
        finally:
            await socket.close()
            await asyncio.wait([listening])
