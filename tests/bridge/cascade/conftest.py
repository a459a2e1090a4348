"""A cascade at work before a scripted caller, transcriber and voice, and the rehearsal's strict chat completions."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bridge.rehearsal.model import Model
from tests.bridge.cascade_parts import KEY, Desk, at_work


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY) as model:
        model.chat.delay_ms, model.chat.tokens_per_s = (0, 0), 0
        yield model


@pytest.fixture
async def desk(model: Model) -> AsyncIterator[Desk]:
    async with at_work(Desk(model)) as desk:
        yield desk
