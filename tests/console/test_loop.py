"""The window's loop: what is ready runs in one go, in its order, and the window is never kept from its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, QTimer
from PySide6.QtWidgets import QApplication

from console.loop import Loop


class Painter(QObject):
    """Its turn comes as a window's does that is to be painted."""

    def __init__(self, painted: list[str]) -> None:
        super().__init__()
        self.over = asyncio.Event()
        self._painted = painted

    def wants(self) -> None:
        QCoreApplication.postEvent(self, QEvent(QEvent.Type.User), Qt.EventPriority.LowEventPriority.value)

    def event(self, event: QEvent) -> bool:
        self._painted.append("painted")
        self.over.set()
        return True


@pytest.fixture
def loop(qapp: QApplication) -> Iterator[Loop]:
    loop = Loop(qapp)
    asyncio.set_event_loop(loop)
    yield loop
    loop.close()
    asyncio.set_event_loop(None)


def test_what_becomes_ready_runs_before_the_window_is_painted(loop: Loop) -> None:
    seen: list[str] = []
    painter = Painter(seen)

    async def step(number: int) -> None:
        if number:
            await asyncio.create_task(step(number - 1))
        seen.append(str(number))

    async def scene() -> None:
        painter.wants()
        await asyncio.create_task(step(3))
        loop.call_soon(seen.append, "last")
        await painter.over.wait()

    loop.run_until_complete(scene())
    assert seen == ["0", "1", "2", "3", "last", "painted"]


def test_who_is_never_done_leaves_the_window_its_turn(loop: Loop) -> None:
    seen: list[str] = []
    painter = Painter(seen)

    async def scene() -> None:
        painter.wants()
        QTimer.singleShot(1, lambda: seen.append("timer"))
        while len(seen) < 2:  # noqa: ASYNC110 (it is about one that never rests)
            await asyncio.sleep(0)

    loop.run_until_complete(scene())
    assert sorted(seen) == ["painted", "timer"]


def test_a_callback_that_was_cancelled_does_not_run_and_one_that_fails_stops_no_other(loop: Loop) -> None:
    seen: list[str] = []
    failed: list[BaseException] = []
    loop.set_exception_handler(lambda _, context: failed.append(context["exception"]))

    async def scene() -> None:
        loop.call_soon(seen.append, "cancelled").cancel()
        loop.call_soon(lambda: 1 / 0)
        loop.call_soon(seen.append, "next")
        await asyncio.sleep(0)

    loop.run_until_complete(scene())
    assert seen == ["next"]
    assert [type(error) for error in failed] == [ZeroDivisionError]


def test_what_is_ready_runs_while_a_callback_has_qt_go_round(loop: Loop) -> None:
    seen: list[str] = []

    def go_round() -> None:
        loop.call_soon(seen.append, "inside")
        QCoreApplication.processEvents()
        seen.append("outside")

    async def scene() -> None:
        loop.call_soon(go_round)
        await asyncio.sleep(0)

    loop.run_until_complete(scene())
    assert seen == ["inside", "outside"]
