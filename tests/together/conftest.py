"""Whole houses live on a clock that jumps over the time in which nothing happens: see `hurried_loop`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.benchmarks.hurried_loop import HurriedLoop


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Real time is for those who share their time with others: processes, a sound server, a screen."""
    return {"real": asyncio.SelectorEventLoop} if item.get_closest_marker("real_time") else {"hurried": HurriedLoop}
