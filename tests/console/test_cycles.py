"""Cycles go in the window's thread, and in no other."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from console import cycles
from console.cycles import Cycles


class Knot:
    """Held by nobody but itself."""

    def __init__(self) -> None:
        self.itself = self


def knots(count: int) -> list[weakref.ref[Knot]]:
    return [weakref.ref(Knot()) for _ in range(count)]


@pytest.fixture
def limits() -> Iterator[None]:
    """Few objects make a collection due; all is put back."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()
    gc.disable()


def test_no_thread_collects_but_the_windows(qtbot: QtBot, limits: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cycles, "EVERY_MS", 5)
    gc.enable()
    collecting = Cycles()
    gc.set_threshold(50, 10, 10)
    tied: list[weakref.ref[Knot]] = []
    thread = threading.Thread(target=lambda: tied.extend(knots(500)))
    thread.start()
    thread.join()
    assert all(knot() for knot in tied)
    qtbot.waitUntil(lambda: not any(knot() for knot in tied))
    collecting.close()
    assert gc.isenabled()


def test_nothing_is_collected_before_it_is_due(limits: None) -> None:
    gc.collect()
    gc.set_threshold(100_000, 10, 10)
    (knot,) = knots(1)
    cycles.collect_due()
    assert knot()
    gc.set_threshold(0)
    cycles.collect_due()
    assert knot()
    gc.set_threshold(1, 10, 10)
    cycles.collect_due()
    assert not knot()
