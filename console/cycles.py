"""Cycles of objects are collected in the window's thread only.

Python collects them in whichever thread happens to make the next object. A closed dialog that went in the
wire's thread would stop its timers there, which Qt forbids: the program may crash.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

EVERY_MS = 500
"""How often is looked whether a collection is due."""


class Cycles(QObject):
    """Collects as Python itself would, but here, until `close`. Made in the thread of the window."""

    def __init__(self) -> None:
        super().__init__()
        # A full collection holds up the window, and the sound, for a tenth of a second: spare it what never goes.
        gc.collect()
        gc.freeze()
        gc.disable()
        self._timer = QTimer(self, interval=EVERY_MS)
        self._timer.timeout.connect(collect_due)
        self._timer.start()

    def close(self) -> None:
        """Python collects by itself again."""
        self._timer.stop()
        gc.enable()


def collect_due() -> None:
    """Collect the oldest generation whose limit is passed."""
    for generation, (count, limit) in reversed(list(enumerate(zip(gc.get_count(), gc.get_threshold(), strict=True)))):
        if limit and count > limit:
            gc.collect(generation)
            return
