"""The control socket, in a thread of its own: sound must not wait for a window that is busy painting.

Texts come out on the loop of whoever opened it, sound where it arrives: in the thread.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from threading import Thread
from types import TracebackType
from typing import Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from console.bridge_process import Address

PING_EVERY_S = 5.0
MOST_UNREAD = 1024
"""Messages. Many calls tell of dozens at once, among which there may be sound: reading must not pause for them."""

KEPT_TALK_FRAMES = 25
"""Operator speech that waits for the socket: half a second, then the oldest is dropped."""

FROZEN_S = 10.0
"""A window that takes nothing for so long hangs: the bridge has to know, since it may have a call's floor."""


class Wire:
    """``async with Wire(address, heard) as wire``: connected until the block ends.

    heard: gets each binary message, in the thread. Raises what `websockets.connect` does.
    """

    def __init__(self, address: Address, heard: Callable[[bytes], None]) -> None:
        self._address = address
        self._heard = heard
        self._here: asyncio.AbstractEventLoop
        self._there: asyncio.AbstractEventLoop
        self._thread: Thread
        self._opened: asyncio.Future[None]
        self._ended: asyncio.Future[None]
        self._leaving = False
        # Texts that came, since when the oldest of them waits, and whether that was told.
        self._unread: deque[str] = deque()
        self._unread_since_s = 0.0
        self._news = asyncio.Event()
        self._told = False
        # Used in the thread alone, but for `_full`: whether it waits for the window to read.
        self._full = False
        self._room = asyncio.Event()
        self._outbox: asyncio.Queue[str | None] = asyncio.Queue()
        self._talk: deque[bytes] = deque(maxlen=KEPT_TALK_FRAMES)

    async def __aenter__(self) -> Self:
        self._here = asyncio.get_running_loop()
        self._opened, self._ended = self._here.create_future(), self._here.create_future()
        self._there = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, name="wire", daemon=True)
        self._thread.start()
        try:
            await self._opened
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    def leave(self) -> None:
        """Hang up; then `texts` ends."""
        self._leaving = True
        self._do_there(self._cancel)

    def send(self, text: str) -> None:
        """After all that was sent before."""
        self._do_there(self._outbox.put_nowait, text)

    def send_talk(self, frame: bytes) -> None:
        """When too much waits for the socket the oldest is dropped: what is said now matters most."""
        self._do_there(self._put_talk, frame)

    async def texts(self) -> AsyncIterator[str]:
        """Until the connection ends. Raises WebSocketException when it breaks."""
        while True:
            self._news.clear()
            self._told = False
            while self._unread:
                yield self._unread.popleft()
            if self._full:
                self._do_there(self._room.set)
            if self._ended.done():
                self._ended.result()
                return
            await self._news.wait()

    async def _end(self) -> None:
        self.leave()
        with suppress(Exception):
            await asyncio.shield(self._ended)
        self._thread.join()

    def _do_there(self, what: Callable[..., object], *arguments: object) -> None:
        # The connection may have ended just now.
        with suppress(RuntimeError):
            self._there.call_soon_threadsafe(what, *arguments)

    def _connected(self) -> None:
        if not self._opened.done():
            self._opened.set_result(None)

    def _over(self, error: Exception | None) -> None:
        for future in (self._opened, self._ended):
            if not future.done():
                future.set_exception(error) if error is not None else future.set_result(None)
        # Who leaves does not ask how it ended.
        self._ended.exception()
        self._news.set()

    # ── in the thread ──

    def _run(self) -> None:
        error: Exception | None = None
        with asyncio.Runner(loop_factory=lambda: self._there) as runner:
            try:
                runner.run(self._serve())
            except asyncio.CancelledError:
                pass
            except Exception as raised:
                error = raised
        self._do_here(self._over, error)

    def _do_here(self, what: Callable[..., object], *arguments: object) -> None:
        # The window may be gone.
        with suppress(RuntimeError):
            self._here.call_soon_threadsafe(what, *arguments)

    def _cancel(self) -> None:
        for task in asyncio.all_tasks():
            task.cancel()

    async def _serve(self) -> None:
        if self._leaving:
            return
        async with connect(
            self._address.url,
            additional_headers={"Authorization": f"Bearer {self._address.token}"},
            compression=None,
            proxy=None,
            max_size=None,
            max_queue=MOST_UNREAD,
            ping_interval=PING_EVERY_S,
            ping_timeout=PING_EVERY_S,
            close_timeout=1,
        ) as socket:
            self._do_here(self._connected)
            writer = asyncio.create_task(self._write(socket))
            try:
                async for message in socket:
                    if isinstance(message, bytes):
                        self._heard(message)
                    else:
                        await self._pass_on(message)
            except asyncio.CancelledError:
                await socket.close()
                raise
            finally:
                writer.cancel()

    async def _pass_on(self, text: str) -> None:
        """Raises TimeoutError when the window hangs."""
        now_s = time.monotonic()
        if not self._unread:
            self._unread_since_s = now_s
        elif now_s - self._unread_since_s > FROZEN_S:
            raise TimeoutError("the window hangs")
        self._unread.append(text)
        if not self._told:
            self._told = True
            self._do_here(self._news.set)
        self._full = len(self._unread) >= MOST_UNREAD
        while len(self._unread) >= MOST_UNREAD:
            await asyncio.wait_for(self._room.wait(), FROZEN_S)
            self._room.clear()
        self._full = False

    def _put_talk(self, frame: bytes) -> None:
        if len(self._talk) < KEPT_TALK_FRAMES:
            self._outbox.put_nowait(None)
        self._talk.append(frame)

    async def _write(self, socket: ClientConnection) -> None:
        with suppress(WebSocketException):
            while True:
                text = await self._outbox.get()
                # None stands for the oldest speech that waits.
                await socket.send(self._talk.popleft() if text is None else text)
