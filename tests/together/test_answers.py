"""Who presses a key waits for the bridge's answer, and for nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge import control

from .house import open_house


async def test_an_answer_waits_for_no_flush(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.desk.FLUSH_S", 3600.0)
    async with open_house(home) as house, house.desk() as desk:
        for _ in range(3):
            assert await desk.do(control.Watch, call_id="") == ""
            assert await desk.do(control.TakeOver, call_id="gone")
