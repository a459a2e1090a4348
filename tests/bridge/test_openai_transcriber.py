"""The transcriber over real sockets, against the strict rehearsal AI and against worse peers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bridge.audio import FRAME_BYTES, FRAME_MS, silence
from bridge.engines import EngineLost
from bridge.engines.speech import Words
from bridge.engines.speech.openai_transcriber import OpenAITranscriber
from bridge.rehearsal import scenario
from bridge.rehearsal.model import Faults, Model

KEY = "sk-rehearsal"
REPLIES = scenario.load("billing").replies


class Page(Words):
    """A transcriber at work, and what it wrote."""

    def __init__(self, url: str, key: str = KEY, model: str = "") -> None:
        self.transcriber = OpenAITranscriber(api_key=key, base_url=url, model=model, language="en")
        self.ends: dict[str, int] = {}
        self.starts: dict[str, int] = {}
        self.words: dict[str, str] = {}
        self.final: list[str] = []
        self.failures: dict[str, str] = {}
        self.clock_ms = 0
        self._news = asyncio.Event()

    def started(self, turn_id: str, at_ms: int) -> None:
        self.starts[turn_id] = at_ms
        self._news.set()

    def heard(self, turn_id: str, text: str, final: bool) -> None:
        assert turn_id in self.starts
        self.words[turn_id] = text
        if final:
            self.final.append(text)
        self._news.set()

    def failed(self, turn_id: str, reason: str) -> None:
        self.failures[turn_id] = reason
        self._news.set()

    def ended(self, turn_id: str, at_ms: int) -> None:
        self.ends[turn_id] = at_ms

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._news.clear()
            await self._news.wait()

    def says(self, audio: bytes) -> None:
        for at in range(0, len(audio), FRAME_BYTES):
            self.transcriber.hear(audio[at : at + FRAME_BYTES], self.clock_ms)
            self.clock_ms += FRAME_MS


@asynccontextmanager
async def at_work(page: Page) -> AsyncIterator[Page]:
    """It runs, and ends well when the test does."""
    running = asyncio.create_task(page.transcriber.run(page))
    try:
        yield page
        await page.transcriber.close()
        await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, transcript_delay_ms=(0, 0)) as model:
        yield model
        await model.until(lambda: model.open_sessions == 0)


async def test_what_is_said_is_written_down_with_its_time(model: Model) -> None:
    async with at_work(Page(model.url)) as page:
        await model.until(lambda: bool(model.sessions and model.sessions[0].sent["session.updated"]))
        page.clock_ms = 30_000
        page.says(silence(1000) + REPLIES[0].audio + silence(800))
        await page.until(lambda: len(page.final) == 1)
        page.clock_ms += 5000
        page.says(REPLIES[1].audio + silence(800))
        await page.until(lambda: len(page.final) == 2)
        assert page.final == [REPLIES[0].line, REPLIES[1].line]
        first_ms, second_ms = page.starts.values()
        assert abs(first_ms - 31_000) <= 100
        assert abs(second_ms - (31_800 + len(REPLIES[0].audio) // 8 + 5000)) <= 320
        ends = [at_ms - start_ms for at_ms, start_ms in zip(page.ends.values(), (first_ms, second_ms), strict=True)]
        assert all(abs(ends[at] - len(REPLIES[at].audio) // 8) <= 320 for at in range(2))
        assert model.sessions[0].refusals == []
        assert model.sessions[0].said == []


async def test_a_model_that_writes_while_one_speaks_is_told_of_the_pauses(model: Model) -> None:
    async with at_work(Page(model.url, model="gpt-live-transcribe")) as page:
        await model.until(lambda: bool(model.sessions and model.sessions[0].sent["session.updated"]))
        page.says(silence(1000) + REPLIES[0].audio)
        await page.until(lambda: bool(page.words))
        page.says(silence(300))
        page.transcriber.pause()
        await page.until(lambda: len(page.final) == 1)
        page.says(REPLIES[1].audio)
        await page.until(lambda: len(page.words) == 2)
        assert REPLIES[1].line.startswith(page.words[list(page.words)[1]])
    assert page.final == [REPLIES[0].line, REPLIES[1].line]
    assert abs(next(iter(page.starts.values())) - 1000) <= 200
    assert model.sessions[0].refusals == []


async def test_a_turn_cut_short_by_the_end_gives_its_words(model: Model) -> None:
    page = Page(model.url)
    async with at_work(page):
        await model.until(lambda: bool(model.sessions and model.sessions[0].sent["session.updated"]))
        page.says(REPLIES[0].audio)
    assert page.final == [REPLIES[0].line]
    assert page.failures == {}


async def test_what_was_said_in_the_first_moment_gives_its_words_too(model: Model) -> None:
    page = Page(model.url)
    async with at_work(page):
        page.says(REPLIES[0].audio)
        await asyncio.sleep(0)
    assert page.final == [REPLIES[0].line]


async def test_a_microphone_that_goes_silent_ends_the_turn(model: Model) -> None:
    async with at_work(Page(model.url)) as page:
        page.says(REPLIES[0].audio)
        await page.until(lambda: bool(page.final))
        assert page.final == [REPLIES[0].line]


async def test_words_that_never_come_are_told(model: Model) -> None:
    model.faults = Faults(no_transcripts=True)
    async with at_work(Page(model.url)) as page:
        page.says(REPLIES[0].audio + silence(800))
        await page.until(lambda: bool(page.failures))
    assert page.final == []


async def test_a_lost_connection_is_told_with_every_open_turn(model: Model) -> None:
    model.faults = Faults(end_after=3)
    page = Page(model.url)
    running = asyncio.create_task(page.transcriber.run(page))
    page.says(REPLIES[0].audio)
    with pytest.raises(EngineLost):
        await running
    assert list(page.failures) == list(page.starts)
    assert page.starts
    page.says(REPLIES[0].audio)
    await page.transcriber.close()


async def test_a_wrong_key_is_told(model: Model) -> None:
    page = Page(model.url, "sk-other")
    with pytest.raises(EngineLost) as lost:
        await page.transcriber.run(page)
    assert lost.value.fatal


async def test_where_nobody_answers_it_says_so() -> None:
    page = Page("ws://127.0.0.1:9/v1")
    with pytest.raises(EngineLost, match="cannot be reached"):
        await page.transcriber.run(page)


async def test_closed_before_it_ran_it_does_not_run(model: Model) -> None:
    page = Page(model.url)
    await page.transcriber.close()
    await page.transcriber.close()
    await page.transcriber.run(page)
    assert model.total_sessions == 0


async def test_a_peer_that_never_gets_ready_holds_nobody_up() -> None:
    async def silent(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with serve(silent, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        page = Page(f"ws://127.0.0.1:{port}/v1")
        async with at_work(page):
            page.says(REPLIES[0].audio)
            await asyncio.sleep(0)
    assert page.final == []


async def test_sound_that_the_peer_does_not_take_is_dropped_and_counted() -> None:
    arrived, stop = asyncio.Event(), asyncio.Event()

    async def deaf(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        arrived.set()
        await stop.wait()
        connection.transport.resume_reading()
        await connection.wait_closed()

    async with serve(deaf, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        page = Page(f"ws://127.0.0.1:{port}/v1")
        async with at_work(page):
            await arrived.wait()
            page.transcriber.wire.ready = True
            # What the system itself keeps for a peer that does not read is some megabytes.
            for _ in range(100):
                page.transcriber.hear(silence(100_000), 0)
                await asyncio.sleep(0)
            assert page.transcriber.dropped
            stop.set()
