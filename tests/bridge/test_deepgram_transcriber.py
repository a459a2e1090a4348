"""Deepgram's transcribers over real sockets, against the strict rehearsal and against worse peers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bridge.audio import FRAME_BYTES, FRAME_MS, silence
from bridge.engines import EngineLost, peer_socket
from bridge.engines.peer_socket import Closed
from bridge.engines.speech import Words
from bridge.engines.speech.deepgram_transcriber import DeepgramTranscriber, FluxTranscriber, lost
from bridge.rehearsal import scenario
from bridge.rehearsal.model import Faults, Model

KEY = "dg-rehearsal"
REPLIES = scenario.load("billing").replies
LINE, AUDIO = REPLIES[0].line, REPLIES[0].audio

Make: TypeAlias = type[DeepgramTranscriber] | type[FluxTranscriber]
BOTH = pytest.mark.parametrize("make", [DeepgramTranscriber, FluxTranscriber])


def address(model: Model) -> str:
    return f"http{model.url.removeprefix('ws')}/deepgram"


class Page(Words):
    """A transcriber at work, and what it wrote."""

    def __init__(self, make: Make, url: str, key: str = KEY, name: str = "") -> None:
        self.transcriber = make(api_key=key, base_url=url, model=name)
        self.starts: dict[str, int] = {}
        self.ends: dict[str, int] = {}
        self.words: list[str] = []
        self.final: list[str] = []
        self.failures: dict[str, str] = {}
        self.told: list[str] = []
        self.clock_ms = 0
        self.running: asyncio.Task[None]
        self._news = asyncio.Event()

    def started(self, turn_id: str, at_ms: int) -> None:
        self.starts[turn_id] = at_ms
        self._tell("started")

    def heard(self, turn_id: str, text: str, final: bool) -> None:
        assert turn_id in self.starts
        (self.final if final else self.words).append(text)
        self._tell("final" if final else "heard")

    def failed(self, turn_id: str, reason: str) -> None:
        self.failures[turn_id] = reason
        self._tell("failed")

    def may_end(self, turn_id: str) -> None:
        self._tell("may_end")

    def goes_on(self, turn_id: str) -> None:
        self._tell("goes_on")

    def ended(self, turn_id: str, at_ms: int) -> None:
        self.ends[turn_id] = at_ms
        self._tell("ended")

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._news.clear()
            await self._news.wait()

    def says(self, audio: bytes, silence_ms: int = 0) -> None:
        audio += silence(silence_ms)
        for at in range(0, len(audio), FRAME_BYTES):
            self.transcriber.hear(audio[at : at + FRAME_BYTES], self.clock_ms)
            self.clock_ms += FRAME_MS

    def _tell(self, what: str) -> None:
        self.told.append(what)
        self._news.set()


@asynccontextmanager
async def at_work(page: Page) -> AsyncIterator[Page]:
    """It runs, and ends well when the test does."""
    running = page.running = asyncio.create_task(page.transcriber.run(page))
    try:
        yield page
        await page.transcriber.close()
        await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def speaks(page: Page, model: Model, audio: bytes, silence_ms: int = 0) -> None:
    """No faster than the peer takes it."""
    audio += silence(silence_ms)
    for at in range(0, len(audio), 4000):
        page.says(audio[at : at + 4000])
        await model.until(lambda: model.deepgram.sockets[-1].heard_bytes >= page.transcriber.wire.sent_ms * 8)


async def is_open(page: Page, model: Model) -> None:
    """From then on sound goes through at once."""
    page.says(b"", silence_ms=FRAME_MS)
    await model.until(lambda: model.deepgram.open_sockets == 1 and model.deepgram.sockets[-1].heard_bytes > 0)


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, stt_delay_ms=(0, 0)) as model:
        yield model
        await model.until(lambda: model.deepgram.open_sockets == 0)


@BOTH
async def test_what_is_said_is_written_down_as_it_is_said_with_its_times(make: Make, model: Model) -> None:
    async with at_work(Page(make, address(model))) as page:
        await is_open(page, model)
        page.clock_ms = 30_000
        await speaks(page, model, silence(1000) + AUDIO, silence_ms=800)
        await page.until(lambda: len(page.ends) == 1)
        page.clock_ms += 5000
        await speaks(page, model, REPLIES[1].audio, silence_ms=800)
        await page.until(lambda: len(page.ends) == 2)
        assert page.final == [LINE, REPLIES[1].line]
        assert page.words[0] and LINE.startswith(page.words[0])
        first_ms, second_ms = page.starts.values()
        first_end_ms, _ = page.ends.values()
        length_ms = len(AUDIO) // 8
        assert abs(first_ms - 31_000) <= 100
        assert abs(first_end_ms - (31_000 + length_ms)) <= 300
        assert abs(second_ms - (31_800 + length_ms + 5000)) <= 100
        assert page.transcriber.wire.unknown == {}
        assert page.transcriber.wire.malformed == 0
        assert page.transcriber.wire.sent_ms == model.deepgram.sockets[0].heard_bytes // 8
    assert model.deepgram.sockets[0].closed_with == (1000, "")
    assert page.failures == {}


async def test_flux_says_that_a_turn_may_end_and_takes_it_back(model: Model) -> None:
    async with at_work(Page(FluxTranscriber, address(model))) as page:
        await is_open(page, model)
        await speaks(page, model, AUDIO, silence_ms=300)
        await speaks(page, model, REPLIES[1].audio, silence_ms=800)
        await page.until(lambda: bool(page.ends))
        kept = [told for told in page.told if told != "heard"]
        assert kept == ["started", "may_end", "goes_on", "may_end", "final", "ended"]
        assert page.final == [f"{LINE} {REPLIES[1].line}"]


async def test_turns_of_two_transcribers_have_different_ids(model: Model) -> None:
    ids: set[str] = set()
    for _ in range(2):
        async with at_work(Page(DeepgramTranscriber, address(model))) as page:
            await is_open(page, model)
            await speaks(page, model, AUDIO, silence_ms=800)
            await page.until(lambda: bool(page.ends))
            ids |= set(page.starts)
    assert len(ids) == 2


@BOTH
async def test_what_is_said_before_the_socket_is_open_is_heard_too(make: Make, model: Model) -> None:
    async with at_work(Page(make, address(model))) as page:
        page.says(REPLIES[1].audio[:8000])
        await is_open(page, model)
        await speaks(page, model, REPLIES[1].audio[8000:], silence_ms=800)
        await page.until(lambda: bool(page.ends))
        assert page.final == [REPLIES[1].line]


@BOTH
async def test_a_turn_cut_short_by_the_end_gives_its_words(make: Make, model: Model) -> None:
    async with at_work(Page(make, address(model))) as page:
        await is_open(page, model)
        await speaks(page, model, AUDIO)
        await page.until(lambda: bool(page.words))
    assert page.final == [LINE]
    assert page.failures == {}


@BOTH
async def test_a_microphone_that_goes_silent_ends_the_turn(make: Make, model: Model) -> None:
    async with at_work(Page(make, address(model))) as page:
        await is_open(page, model)
        await speaks(page, model, AUDIO)
        await page.until(lambda: bool(page.ends))
        assert page.final == [LINE]


async def test_a_pause_that_is_told_ends_a_turn_of_novas(model: Model) -> None:
    async with at_work(Page(DeepgramTranscriber, address(model))) as page:
        await is_open(page, model)
        await speaks(page, model, AUDIO)
        await page.until(lambda: bool(page.words))
        page.transcriber.pause()
        await page.until(lambda: bool(page.ends))
        assert page.final == [LINE]
        assert {"type": "Finalize"} in model.deepgram.sockets[0].received


@BOTH
async def test_a_lost_connection_is_told_and_what_was_heard_is_all_there_is(make: Make, model: Model) -> None:
    model.faults = Faults(deepgram_end_after=4)
    page = Page(make, address(model))
    running = page.running = asyncio.create_task(page.transcriber.run(page))
    page.says(AUDIO)
    with pytest.raises(EngineLost, match=r"Deepgram was lost") as gone:
        await running
    assert not gone.value.fatal
    assert len(page.final) + len(page.failures) == len(page.starts) == 1
    page.says(AUDIO)
    await page.transcriber.close()


@BOTH
async def test_messages_that_are_strange_harm_nothing(make: Make, model: Model) -> None:
    strange = ("{", '{"type":"Results","channel":7}', '{"type":"TurnInfo"}', '{"type":"Praise"}')
    model.faults = Faults(
        deepgram_inject_after="Results" if make is DeepgramTranscriber else "Connected", deepgram_inject=strange
    )
    async with at_work(Page(make, address(model))) as page:
        await is_open(page, model)
        await speaks(page, model, AUDIO, silence_ms=800)
        await page.until(lambda: bool(page.ends))
        assert page.final == [LINE]
        assert page.transcriber.wire.malformed > 0
        assert page.transcriber.wire.unknown["Praise"] > 0


@pytest.mark.parametrize(
    ("status", "words", "fatal"),
    [
        (401, "DEEPGRAM_API_KEY", True),
        (402, "credit", True),
        (403, "rights", True),
        (429, "too many", False),
        (500, "try again", False),
    ],
)
async def test_a_refusal_says_what_to_do(status: int, words: str, fatal: bool, model: Model) -> None:
    model.faults = Faults(deepgram_refuse_status=status)
    page = Page(DeepgramTranscriber, address(model))
    with pytest.raises(EngineLost, match=words) as gone:
        await page.transcriber.run(page)
    assert gone.value.fatal is fatal
    assert "Deepgram" in str(gone.value)


async def test_a_wrong_key_and_a_wrong_model_are_told(model: Model) -> None:
    page = Page(FluxTranscriber, address(model), "dg-other")
    with pytest.raises(EngineLost, match="refused the key") as gone:
        await page.transcriber.run(page)
    assert "dg-other" not in str(gone.value)
    page = Page(DeepgramTranscriber, address(model), name="nova-99")
    with pytest.raises(EngineLost, match="model") as gone:
        await page.transcriber.run(page)
    assert gone.value.fatal


async def test_a_line_that_was_silent_too_long_says_so(model: Model) -> None:
    model.deepgram.idle_s = 0.05
    page = Page(DeepgramTranscriber, address(model))
    with pytest.raises(EngineLost, match="no sound for 10 s") as gone:
        await page.transcriber.run(page)
    assert not gone.value.fatal


@pytest.mark.parametrize("code", [1000, 1008, 1011, 1006])
def test_every_end_has_its_words(code: int) -> None:
    told = lost(Closed(code, "secret"))
    assert isinstance(told, EngineLost)
    assert not told.fatal
    assert "secret" not in str(told)


async def test_where_nobody_answers_it_says_so() -> None:
    page = Page(DeepgramTranscriber, "http://127.0.0.1:9/v1")
    with pytest.raises(EngineLost, match=r"cannot be reached.*DEEPGRAM_BASE_URL"):
        await page.transcriber.run(page)


async def test_closed_before_it_ran_it_does_not_run(model: Model) -> None:
    page = Page(FluxTranscriber, address(model))
    await page.transcriber.close()
    await page.transcriber.close()
    await page.transcriber.run(page)
    assert model.deepgram.total_sockets == 0


async def test_a_peer_that_never_opens_holds_nobody_up() -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with server:
        page = Page(DeepgramTranscriber, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with at_work(page):
            page.says(AUDIO)
            await asyncio.sleep(0)
    assert page.final == []


@BOTH
async def test_one_that_freezes_while_the_caller_speaks_must_show_that_it_lives(make: Make, model: Model) -> None:
    page = Page(make, address(model))
    with pytest.raises(EngineLost, match="lost"):
        async with at_work(page):
            await is_open(page, model)
            await speaks(page, model, AUDIO[:12_000])
            await page.until(lambda: bool(page.starts))
            socket = page.transcriber._session.socket
            assert socket is not None
            model.deepgram.sockets[-1].freeze()
            socket._quiet_ticks = peer_socket.PROBE_AFTER_TICKS
            page.transcriber._tick()
            assert socket._quiet_ticks == peer_socket.PING_TICKS + peer_socket.PONG_TICKS - peer_socket.PROBE_TICKS
            await page.running


async def test_and_so_is_one_that_has_told_nothing_when_the_caller_pauses(model: Model) -> None:
    page = Page(DeepgramTranscriber, address(model))
    with pytest.raises(EngineLost, match="lost"):
        async with at_work(page):
            await is_open(page, model)
            socket = page.transcriber._session.socket
            assert socket is not None
            model.deepgram.sockets[-1].freeze()
            socket._quiet_ticks = peer_socket.PROBE_AFTER_TICKS
            page.transcriber.pause()
            assert socket._quiet_ticks == peer_socket.PING_TICKS + peer_socket.PONG_TICKS - peer_socket.PROBE_TICKS
            await page.running


async def test_ten_seconds_at_once_are_taken_whole(model: Model) -> None:
    async with at_work(Page(DeepgramTranscriber, address(model))) as page:
        await is_open(page, model)
        before = model.deepgram.sockets[-1].heard_bytes
        page.says(silence(10_000))
        await model.until(lambda: model.deepgram.sockets[-1].heard_bytes == before + 80_000)
        assert page.transcriber.dropped == 0


async def test_sound_that_the_peer_does_not_take_is_dropped_and_counted() -> None:
    stop = asyncio.Event()

    async def deaf(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await stop.wait()
        connection.transport.resume_reading()
        async for _ in connection:
            pass

    async with serve(deaf, "127.0.0.1", 0) as server:
        page = Page(DeepgramTranscriber, f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}")
        async with at_work(page):
            while page.transcriber.dropped == 0:
                page.transcriber.hear(silence(10_000), 0)
                await asyncio.sleep(0)
            stop.set()
