"""Two windows at one bridge."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bridge import control

from .house import open_house


async def test_a_rehearsal_goes_on_until_its_last_window_is_closed(home: Path) -> None:
    async with open_house(home) as house, house.desk("Ann") as ann:
        async with house.desk("Bob") as bob:
            assert "Another window" in await bob.do(control.Shutdown, end_calls=True)
            assert "Another window" in await ann.do(control.Shutdown, end_calls=True)
            assert not house.bridge.stopping.is_set()
        async with asyncio.timeout(5):
            while await ann.do(control.Shutdown, end_calls=True):
                pass
        assert house.bridge.stopping.is_set()
