"""The wire: texts on the window's loop, sound in its thread, and neither is hoarded."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge import control
from console.bridge_process import Address, read_lock
from console.wire import KEPT_TALK_FRAMES, Wire
from tests.console.fake_bridge import FakeBridge

LONG = "x" * 900_000


class Ear:
    """What a wire's thread hands over."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.threads: set[threading.Thread] = set()

    def hear(self, sound: bytes) -> None:
        self.heard.append(sound)
        self.threads.add(threading.current_thread())


def address(home: Path) -> Address:
    found = read_lock(home)
    assert found is not None
    return found


@asynccontextmanager
async def attached(home: Path, ear: Ear | None = None) -> AsyncIterator[tuple[FakeBridge, Wire]]:
    """To a bridge that has said that it is attached, which nobody has read yet."""
    async with FakeBridge(home) as bridge, Wire(address(home), (ear or Ear()).hear) as wire:
        wire.send(control.encode(control.Attach(id=1, version=control.VERSION, console="me")))
        await bridge.attached()
        yield bridge, wire


def say(bridge: FakeBridge, *numbers: int) -> None:
    for number in numbers:
        bridge.tell(control.Done(id=number))


async def read(wire: Wire, count: int) -> list[int]:
    """The numbers of the next `Done` events."""
    numbers: list[int] = []
    async for text in wire.texts():
        event = control.decode_event(text)
        if isinstance(event, control.Done) and event.id > 1:
            numbers.append(event.id)
            if len(numbers) == count:
                break
    return numbers


async def test_texts_come_here_and_sound_in_the_thread(home: Path) -> None:
    ear = Ear()
    async with attached(home, ear) as (bridge, wire):
        say(bridge, 2)
        bridge.tell_bytes(b"sound")
        say(bridge, 3)
        assert await read(wire, 2) == [2, 3]
        assert ear.heard == [b"sound"]
        assert threading.current_thread() not in ear.threads


async def test_of_speech_that_cannot_be_sent_the_newest_is_kept(home: Path) -> None:
    async with attached(home) as (bridge, wire):
        bridge.read(False)
        # More than all buffers on the way hold together.
        for number in range(2, 22):
            wire.send(control.encode(control.Whisper(id=number, call_id="c1", text=LONG)))
        for number in range(40):
            wire.send_talk(bytes((control.TALK, number)))
        wire.send(control.encode(control.Interrupt(id=22, call_id="c1")))
        bridge.read(True)
        await bridge.heard(control.Interrupt)
        assert bridge.talk == [bytes([number]) for number in range(40 - KEPT_TALK_FRAMES, 40)]


async def test_reading_pauses_while_too_much_is_unread(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.wire.MOST_UNREAD", 4)
    async with attached(home) as (bridge, wire):
        say(bridge, *range(2, 30))
        assert await read(wire, 28) == list(range(2, 30))


async def test_a_window_that_hangs_is_cut_off(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its link has to break, or the bridge would leave it the floor."""
    monkeypatch.setattr("console.wire.FROZEN_S", 0.0)
    async with attached(home) as (bridge, wire):
        say(bridge, 2, 3, 4)
        await bridge.detached()
        with pytest.raises(TimeoutError, match="hangs"):
            await read(wire, 4)


async def test_a_connection_that_breaks_raises(home: Path) -> None:
    async with attached(home) as (bridge, wire):
        bridge.lose_consoles()
        with pytest.raises(Exception, match="close frame"):
            await read(wire, 1)
        wire.send("into the void")


async def test_leaving_ends_the_texts(home: Path) -> None:
    async with attached(home) as (_, wire):
        wire.leave()
        assert await read(wire, 1) == []


async def test_where_nobody_listens_it_says_so(home: Path) -> None:
    async with FakeBridge(home):
        nowhere = address(home)
    with pytest.raises(OSError):
        async with Wire(nowhere, Ear().hear):
            pass


async def test_connecting_can_be_given_up() -> None:
    """To somebody who accepts and never answers."""
    accepted = asyncio.Event()

    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        await reader.read()
        writer.close()

    async def connect(port: int) -> None:
        async with Wire(Address(f"ws://127.0.0.1:{port}/", "token"), Ear().hear):
            pass

    async with await asyncio.start_server(stay_silent, "127.0.0.1", 0) as server:
        connecting = asyncio.create_task(connect(server.sockets[0].getsockname()[1]))
        await accepted.wait()
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
