"""Asyncio on Qt's own loop, without waiting for the window to be painted at every step.

qasync hands each callback to Qt as a timer of its own. What comes over a socket takes half a dozen steps until
it is where it belongs, and between any two of them a busy window paints: sound came a tenth of a second
late. Here whatever is ready runs in one go, before the painting, and what it makes ready runs with it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt
from qasync import QEventLoop

MOST_S = 0.005
"""After so long the window has its turn, however much is ready."""


class Loop(QEventLoop):  # type: ignore[misc]  # qasync has no types.
    """A QEventLoop like any other; see the module's first lines."""

    def __init__(self, *given: Any, **named: Any) -> None:
        self._ready: deque[asyncio.Handle] = deque()
        self._is_due = False
        self._turn = _Turn(self._run_ready)
        super().__init__(*given, **named)

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        """As asyncio has it."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        if not self._is_due:
            self._is_due = True
            QCoreApplication.postEvent(self._turn, QEvent(QEvent.Type.User), Qt.EventPriority.HighEventPriority.value)
        return handle

    def _run_ready(self) -> None:
        # From here on a callback may have Qt go round in a loop of its own, in which what is ready has to run too.
        self._is_due = False
        until_s = self.time() + MOST_S
        try:
            while self._ready and self.time() < until_s:
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            if self._ready and not self._is_due:
                # Another posted event would come before the window's again.
                self._is_due = True
                self.call_later(0, self._run_ready)


class _Turn(QObject):
    def __init__(self, run: Callable[[], None]) -> None:
        super().__init__()
        self._run = run

    def event(self, event: QEvent) -> bool:
        """The only one there is."""
        if event.type() != QEvent.Type.User:
            return super().event(event)
        self._run()
        return True
