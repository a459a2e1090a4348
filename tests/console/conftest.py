"""The window's tests run real widgets, offscreen, on the event loop that the program uses."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from PySide6.QtCore import QEvent, SignalInstance
from PySide6.QtWidgets import QApplication

from console.app import App
from console.loop import Loop
from console.settings import Settings
from console.sound import Sound
from tests.console.fake_bridge import FakeBridge
from tests.console.fake_sound import FakeSound

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]

PATIENCE_S = 20.0


@pytest.fixture
def in_qt(qapp: QApplication) -> Iterator[Run[Any]]:
    """Runs a coroutine on Qt's own loop and returns its result; cancels what it left behind."""
    loop = Loop(qapp)
    asyncio.set_event_loop(loop)

    async def bounded(coroutine: Coroutine[Any, Any, T]) -> T:
        async with asyncio.timeout(PATIENCE_S):
            return await coroutine

    def run(coroutine: Coroutine[Any, Any, T]) -> T:
        result: T = loop.run_until_complete(bounded(coroutine))
        return result

    yield run
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.close()
    asyncio.set_event_loop(None)
    assert not left, f"tasks still running: {left}"


async def until(predicate: Callable[[], bool], *signals: SignalInstance) -> None:
    """Waits until one of the signals finds the predicate true."""
    found = asyncio.get_running_loop().create_future()

    def look(*_: object) -> None:
        if not found.done() and predicate():
            found.set_result(None)

    for signal in signals:
        signal.connect(look)
    try:
        look()
        async with asyncio.timeout(PATIENCE_S / 2):
            await found
    finally:
        for signal in signals:
            signal.disconnect(look)


Scene = Callable[[App, FakeBridge], Coroutine[Any, Any, None]]
Play = Callable[[Scene], None]


@pytest.fixture
def play(in_qt: Run[None], qapp: QApplication, home: Path) -> Callable[..., None]:
    """Plays a scene in the real window on a bridge without calls behind it.

    The scene begins when the window is attached and has the keyboard. An error in a slot fails the test.
    """

    def run(scene: Scene, *, rehearsal: bool = True, before: Callable[[FakeBridge], None] | None = None) -> None:
        async def act() -> None:
            async with FakeBridge(home, rehearsal=rehearsal) as bridge:
                if before is not None:
                    before(bridge)
                settings = Settings(home / "console.ini")
                app = App(qapp, home, (), settings, cast(Sound, FakeSound(settings)))
                running = asyncio.create_task(app.run())
                try:
                    await until(lambda: not app.link.lost, app.link.state_changed)
                    app.window.activateWindow()
                    await until(app.window.isActiveWindow, app.window.frames.timeout)
                    await scene(app, bridge)
                finally:
                    bridge.holds = False
                    app.end_now()
                    await running
                    app.window.deleteLater()
                    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
            assert "an error of the console's own" not in app.crash.log_path.read_text()

        in_qt(act())
        # A window is full of cycles; collected later, in the thread of another test's wire, its timers would die there.
        gc.collect()

    return run


async def shown(app: App, predicate: Callable[[], bool]) -> None:
    """Waits until the window shows it."""
    await until(predicate, app.window.frames.timeout)
