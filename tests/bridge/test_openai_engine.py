"""The OpenAI engine over real sockets: against the strict rehearsal AI, and against worse peers."""

from __future__ import annotations

import asyncio
import json
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import TypeAdapter
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode

from bridge.audio import FRAME_BYTES, SILENT_FRAME
from bridge.engines import (
    CallerStarted,
    CallerStopped,
    CallerWords,
    Engine,
    EngineLost,
    Event,
    Listener,
    Ready,
    Remembered,
    ReplyDone,
    ReplyKind,
    ReplyStarted,
    ReplyWordsDone,
    Role,
    ToolAsked,
    Used,
    peer_session,
    peer_socket,
)
from bridge.engines import openai as engine_module
from bridge.engines.openai import BASE_URL, Config, OpenAIRealtime, load_prices, realtime_url
from bridge.engines.openai_wire import Wire
from bridge.errors import SettingsError
from bridge.rehearsal import scenario
from bridge.rehearsal.model import HALF_OPEN, Faults, Model
from bridge.rehearsal.scenario import CallerStep
from tests.bridge.at_work import at_work

CLIENT: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)
SERVER: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)

KEY = "sk-rehearsal"
BILLING = scenario.load("billing")
TOOLS = (
    {"type": "function", "name": "find_payments", "description": "Payments.", "parameters": {"type": "object"}},
    {"type": "function", "name": "refund_payment", "description": "Refunds.", "parameters": {"type": "object"}},
)
CONFIG = Config("gpt-realtime-2.1", "marin", "You answer for Northgate billing.", TOOLS)
PAUSE = SILENT_FRAME * 40


class Desk:
    """An engine at work: hears all that it tells, and speaks for the caller."""

    def __init__(
        self,
        url: str,
        *,
        key: str = KEY,
        config: Config = CONFIG,
        prices: bool = True,
        patience_s: float | None = None,
    ) -> None:
        rates = None if prices else {}
        self.engine = OpenAIRealtime(config, api_key=key, base_url=url, prices=rates, patience_s=patience_s)
        self.events: list[Event] = []
        self.heard_ms: dict[str, int] = {}
        self.messages: list[tuple[bool, str, str]] = []
        self.clock_ms = 0
        self.reacts: Callable[[Event], None] = lambda event: None
        self._news = asyncio.Event()

    def on_speech(self, item_id: str, payload: str) -> None:
        self.heard_ms[item_id] = self.heard_ms.get(item_id, 0) + len(payload) * 3 // 4 // 8
        self._news.set()

    def on_event(self, event: Event) -> None:
        self.events.append(event)
        self.reacts(event)
        self._news.set()

    def on_message(self, outbound: bool, name: str, text: str) -> None:
        self.messages.append((outbound, name, text))

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._news.clear()
            await self._news.wait()

    async def told(self, kind: type[Event], number: int = 1) -> Any:
        """The newest event of this kind once there are so many."""
        found: list[Event] = []

        def enough() -> bool:
            found[:] = [event for event in self.events if isinstance(event, kind)]
            return len(found) >= number

        await self.until(enough)
        return found[-1]

    def caller_says(self, audio: bytes) -> None:
        for at in range(0, len(audio), FRAME_BYTES):
            frame = audio[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\xff")
            self.engine.hear(b64encode(frame).decode(), self.clock_ms)
            self.clock_ms += 20


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, model_delay_ms=0, speed=0, transcript_delay_ms=(0, 0)) as model:
        yield model
        await model.until(lambda: model.open_sessions == 0)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers speak as fast as they can, and nothing of it is dropped."""
    monkeypatch.setattr(engine_module, "UNSENT_BYTES", 10_000_000)


@pytest.fixture
async def desk(model: Model) -> AsyncIterator[Desk]:
    async with at_work(Desk(model.url)) as desk:
        yield desk


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds become hundredths."""
    monkeypatch.setattr(peer_socket, "TICK_S", 0.005)
    for name in ("PATIENCE_S", "CLOSE_S"):
        monkeypatch.setattr(peer_session, name, getattr(peer_session, name) / 100)


@asynccontextmanager
async def served(handle: Callable[[ServerConnection], Awaitable[None]], **options: Any) -> AsyncIterator[str]:
    """A peer that behaves as the test wants, once the handshake is done."""
    async with serve(handle, "127.0.0.1", 0, compression=None, close_timeout=0.1, **options) as server:
        host, port = server.sockets[0].getsockname()[:2]
        yield f"ws://{host}:{port}/v1"


@asynccontextmanager
async def raw_peer(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """A peer that speaks no WebSocket."""
    gone = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        finally:
            writer.close()
            gone.set()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        await gone.wait()
    finally:
        server.close()
        await server.wait_closed()


async def lost(desk: Desk) -> EngineLost:
    with pytest.raises(EngineLost) as caught:
        await desk.engine.run(desk)
    return caught.value


def spoken(step: int) -> bytes:
    """What the billing caller says at this turn."""
    says: list[CallerStep] = [step for step in BILLING.steps if step.audio]
    return says[step].audio


# ── a conversation ────────────────────────────────────────────────────────────────────────


async def test_a_call_is_greeted_heard_answered_and_speaks_only_official_messages(model: Model, hasty: None) -> None:
    desk = Desk(model.url)
    assert isinstance(desk.engine, OpenAIRealtime)
    desk.engine.greet("Hello, you have reached Northgate billing.")
    async with at_work(desk):
        greeting = await desk.told(ReplyDone)
        assert (greeting.kind, greeting.status, greeting.spoke) == (ReplyKind.GREETING, "completed", True)
        assert greeting.tokens > 0 and greeting.cost_usd > 0
        assert isinstance(desk.events[0], Ready) and desk.events[0].expires_unix_ms
        desk.caller_says(PAUSE + spoken(1) + PAUSE)
        started, stopped = await desk.told(CallerStarted), await desk.told(CallerStopped)
        assert abs(started.at_ms - 800) <= 100
        assert abs(stopped.at_ms - 800 - len(spoken(1)) // 8) <= 200
        tool = await desk.told(ToolAsked)
        assert tool.name == "find_payments"
        desk.engine.answer_tool(tool.tool_id, '{"payments":[{"id":"a","usd":48},{"id":"b","usd":48}]}')
        await desk.told(ReplyDone, 3)
        await desk.until(lambda: any(isinstance(event, CallerWords) and event.final for event in desk.events))
        assert (await desk.told(Used)).tokens > 0
    (session,) = model.sessions
    assert session.refusals == []
    assert [message["type"] for message in session.received].count("response.create") == 2
    for outbound, name, text in desk.messages:
        (CLIENT if outbound else SERVER).validate_python(json.loads(text))
        assert "audio.delta" not in name
    wire = desk.engine.wire
    assert (wire.malformed, wire.dropped_deltas, dict(wire.unknown)) == (0, 0, {})


async def test_an_ai_that_takes_over_a_call_knows_what_was_said_and_answers_what_waits(model: Model) -> None:
    first, second = scenario.load("booking").replies[:2]
    desk = Desk(model.url)
    desk.engine.recall(
        [
            Remembered(Role.AI, "Hello, this is an AI."),
            Remembered(Role.CALLER, first.line),
            Remembered(Role.TOOL, '{"times":[]}', "list_free_times", '{"week":"next"}'),
            Remembered(Role.AI, first.says),
            Remembered(Role.OPERATOR, "One moment."),
            Remembered(Role.NOTE, "The caller pressed 1."),
            Remembered(Role.CALLER, second.line),
        ]
    )
    desk.engine.answer_now()
    said: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, ReplyWordsDone):
            said.append(event.text)

    desk.reacts = listen
    async with at_work(desk):
        done = await desk.told(ReplyDone)
    assert (done.kind, done.status, said) == (ReplyKind.ANSWER, "completed", [second.says])
    assert model.sessions[0].refusals == []


async def test_turns_may_end_by_the_sense_of_the_words(model: Model, hasty: None) -> None:
    config = Config("gpt-realtime-2.1", "marin", "", TOOLS, turn_detection="semantic", noise_reduction="near")
    async with at_work(Desk(model.url, config=config)) as desk:
        await desk.told(Ready)
        half = len(spoken(0)) // 320 * 160
        desk.caller_says(PAUSE + spoken(0)[:half] + SILENT_FRAME * 100 + spoken(0)[half:] + PAUSE)
        await desk.told(ReplyDone)
        assert sum(isinstance(event, CallerStopped) for event in desk.events) == 1
    assert model.sessions[0].refusals == []


async def test_a_local_server_that_speaks_the_beta_holds_a_conversation_too(model: Model, hasty: None) -> None:
    model.faults = Faults(beta=True)
    desk = Desk(model.url, config=Config("local", "marin", "You answer for Northgate billing.", TOOLS))
    desk.engine.recall([Remembered(Role.AI, "Hello, this is an AI.")])
    desk.engine.say("Your parcel is in Leeds.", "c1")
    async with at_work(desk):
        assert (await desk.told(ReplyDone)).kind is ReplyKind.SAY
        desk.caller_says(PAUSE + spoken(1) + PAUSE)
        tool = await desk.told(ToolAsked)
        desk.engine.answer_tool(tool.tool_id, '{"payments":[{"id":"a","usd":48},{"id":"b","usd":48}]}')
        done = await desk.told(ReplyDone, 3)
        assert (done.kind, done.spoke) == (ReplyKind.ANSWER, True)
        desk.engine.may_answer(False)
        (session,) = model.sessions
        await model.until(lambda: session.sent["session.updated"] == 2)
    assert [refusal["param"] for refusal in session.refusals] == ["session.type"]
    assert not desk.engine.wire.unknown and not desk.engine.wire.malformed


@pytest.mark.parametrize("faults", [Faults(pcm16_only=True), Faults(beta=True, pcm16_only=True)])
async def test_a_local_server_without_telephone_sound_is_no_use(model: Model, faults: Faults) -> None:
    model.faults = faults
    gone = await lost(Desk(model.url))
    assert gone.fatal and "no telephone sound" in str(gone)


async def test_the_caller_barges_in(model: Model, desk: Desk, hasty: None) -> None:
    model.speed = 2
    await desk.told(Ready)
    desk.engine.say("Let me read you the whole list of our opening hours, from Monday to Sunday.", "c1")
    await desk.until(lambda: sum(desk.heard_ms.values()) >= 400)
    (item_id,) = desk.heard_ms

    def cut(event: Event) -> None:
        if isinstance(event, CallerStarted):
            desk.engine.cut(item_id, 250, by_caller=True)

    desk.reacts = cut
    desk.caller_says(PAUSE + spoken(0)[: 8 * 400])
    done = await desk.told(ReplyDone)
    assert (done.status, done.reason) == ("cancelled", "turn_detected")
    heard_ms = desk.heard_ms[item_id]
    (session,) = model.sessions
    await model.until(lambda: bool(session.truncations))
    assert session.truncations == [(item_id, 250)]
    assert session.cancels == 0 and session.refusals == []
    assert desk.heard_ms == {item_id: heard_ms}


async def test_the_operator_cuts_in_and_has_something_said(model: Model, desk: Desk) -> None:
    model.speed = 2
    await desk.told(Ready)
    desk.engine.say("Let me read you the whole list of our opening hours, from Monday to Sunday.", "c1")
    await desk.until(lambda: bool(desk.heard_ms))
    (item_id,) = desk.heard_ms
    desk.engine.cut(item_id, 50, by_caller=False)
    desk.engine.ask("we close at six", "c2", cut_in=True)
    model.speed = 0
    await desk.told(ReplyDone, 2)
    started = [event for event in desk.events if isinstance(event, ReplyStarted)]
    assert [(event.kind, event.request) for event in started] == [(ReplyKind.SAY, "c1"), (ReplyKind.ASK, "c2")]
    (session,) = model.sessions
    assert session.cancels == 1 and session.truncations == [(item_id, 50)] and session.refusals == []


async def test_a_muted_ai_listens_and_answers_when_it_may_again(model: Model, desk: Desk, hasty: None) -> None:
    await desk.told(Ready)
    desk.engine.may_answer(False)
    desk.engine.tell("A colleague has taken over the call.")
    (session,) = model.sessions
    await model.until(lambda: session.sent["session.updated"] == 2)
    desk.caller_says(PAUSE + spoken(0) + PAUSE)
    await desk.told(CallerStopped)
    await desk.until(lambda: any(isinstance(event, CallerWords) and event.final for event in desk.events))
    assert not desk.heard_ms
    desk.engine.may_answer(True)
    desk.engine.whisper("Be kind.")
    desk.engine.answer_now()
    await desk.told(ReplyStarted)
    assert session.refusals == []


async def test_speech_before_the_session_is_ready_is_heard(model: Model) -> None:
    desk = Desk(model.url, prices=False)
    desk.caller_says(PAUSE + spoken(0)[: 8 * 600])
    async with at_work(desk):
        started = await desk.told(CallerStarted)
        assert abs(started.at_ms - 800) <= 100
        desk.reacts = lambda event: None


async def test_faulty_messages_change_nothing(model: Model) -> None:
    strange = ("{", '{"type":"response.smell.delta","delta":{}}', '{"type":"response.audio.delta","delta":"AAAA"}')
    model.faults = Faults(inject_after="session.updated", inject=strange)
    async with at_work(Desk(model.url)) as desk:
        desk.engine.greet("Hello.")
        await desk.told(ReplyDone)
        wire = desk.engine.wire
        assert (wire.malformed, wire.dropped_deltas, wire.unknown["response.smell.delta"]) == (1, 1, 1)


# ── how it ends ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("status", "fatal"), [(401, True), (403, True), (404, True), (429, True), (500, False)])
async def test_a_refused_handshake(model: Model, status: int, fatal: bool) -> None:
    model.faults = Faults(refuse_status=status)
    assert (await lost(Desk(model.url))).fatal is fatal


async def test_a_wrong_key_and_a_wrong_model_are_fatal(model: Model) -> None:
    assert "refused the key (401)" in str(await lost(Desk(model.url, key="sk-other")))
    unknown = await lost(Desk(model.url, config=Config("gpt-nonsense", "marin", "")))
    assert unknown.fatal and "Choose another model" in str(unknown)


async def test_a_profile_that_the_peer_does_not_take_is_fatal(model: Model) -> None:
    tools = ({"type": "function", "name": "no spaces allowed", "parameters": {"type": "object"}, "colour": "red"},)
    refused = await lost(Desk(model.url, config=Config("gpt-realtime-2.1", "marin", "", tools)))
    assert refused.fatal and "profile" in str(refused)


@pytest.mark.parametrize("code", [1006, 1001, 1011, 1012])
async def test_a_session_that_breaks_may_be_begun_again(model: Model, code: int) -> None:
    desk = Desk(model.url)
    desk.engine.greet("Hello.")
    model.faults = Faults(end_after=6, end_with=code)
    gone = await lost(desk)
    assert not gone.fatal and str(code) in str(gone)
    desk.engine.say("Too late.", "c1")
    desk.caller_says(PAUSE)


async def test_a_session_that_expires_may_be_begun_again(model: Model) -> None:
    model.expires_s = 0.05
    gone = await lost(Desk(model.url))
    assert gone.expired and not gone.fatal and "longest time" in str(gone)


async def test_a_peer_that_gives_no_sign_of_life_is_left(model: Model, quick: None) -> None:
    desk = Desk(model.url)
    model.faults = Faults(end_after=4, end_with=HALF_OPEN)
    desk.engine.greet("Hello.")
    assert not (await lost(desk)).fatal


async def test_a_peer_that_only_answers_pings_is_kept(quick: None) -> None:
    pinged = asyncio.Semaphore(0)

    async def handle(peer: ServerConnection) -> None:
        await peer.recv()
        await peer.send('{"type":"session.updated","session":{}}')
        await peer.wait_closed()

    class Pinged(ServerConnection):
        def process_event(self, event: Any) -> None:
            super().process_event(event)
            if isinstance(event, Frame) and event.opcode is Opcode.PING:
                pinged.release()

    async with served(handle, create_connection=Pinged) as url, at_work(Desk(url)) as desk:
        await desk.told(Ready)
        for _ in range(3):
            await pinged.acquire()


async def test_a_peer_that_owes_a_reply_and_gives_no_sign_of_life_is_left_sooner(
    model: Model, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks: list[bool] = []
    tick = Wire.tick

    def counted(wire: Wire, now_ms: int, listener: Listener) -> None:
        ticks.append(wire.waits(now_ms))
        tick(wire, now_ms, listener)

    monkeypatch.setattr(Wire, "tick", counted)
    desk = Desk(model.url)
    running = asyncio.create_task(desk.engine.run(desk))
    await desk.told(Ready)
    (session,) = model.sessions
    model.faults = Faults(end_after=session.events + 1, end_with=HALF_OPEN)
    await session.emit("rate_limits.updated", rate_limits=[])
    desk.engine.say("Are you there?", "c1")
    with pytest.raises(EngineLost, match="was lost") as gone:
        await running
    assert not gone.value.fatal
    assert ticks.count(True) <= peer_socket.PROBE_AFTER_TICKS + peer_socket.PROBE_TICKS
    assert peer_socket.PROBE_AFTER_TICKS + peer_socket.PROBE_TICKS < peer_socket.PING_TICKS + peer_socket.PONG_TICKS


async def test_a_peer_that_owes_a_reply_and_answers_pings_is_kept(model: Model, quick: None) -> None:
    model.model_delay_ms = 30 * 5
    desk = Desk(model.url)
    async with at_work(desk):
        await desk.told(Ready)
        desk.engine.say("One moment.", "c1")
        assert (await desk.told(ReplyDone)).status == "completed"


async def test_nobody_there() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    gone = await lost(Desk(f"ws://127.0.0.1:{port}/v1"))
    assert not gone.fatal and "cannot be reached" in str(gone)


async def test_a_peer_without_tls_or_without_http_or_without_manners() -> None:
    async def gibberish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with raw_peer(gibberish) as url:
        gone = await lost(Desk(url.replace("ws://", "wss://")))
        assert not gone.fatal and "not safe" in str(gone)
    async with raw_peer(gibberish) as url:
        gone = await lost(Desk(url))
        assert not gone.fatal and "not OpenAI's" in str(gone)

    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)

    async with raw_peer(hangs_up) as url:
        assert not (await lost(Desk(url))).fatal


async def test_a_peer_that_never_answers_the_handshake_or_the_settings() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_peer(mute) as url:
        assert "in time" in str(await lost(Desk(url, patience_s=0.05)))
    async with served(lambda peer: peer.wait_closed()) as url:
        assert "in time" in str(await lost(Desk(url, patience_s=0.05)))


@pytest.mark.parametrize(("size", "kept"), [(2**20, True), (16 * 2**20, True), (16 * 2**20 + 1, False)])
async def test_long_messages(size: int, kept: bool) -> None:
    async def handle(peer: ServerConnection) -> None:
        await peer.recv()
        await peer.send('{"type":"new.thing"}'.ljust(size))
        await peer.send('{"type":"session.updated","session":{}}')
        await peer.wait_closed()

    async with served(handle) as url:
        desk = Desk(url)
        if kept:
            async with at_work(desk):
                await desk.told(Ready)
                assert desk.engine.wire.unknown == {"new.thing": 1}
        else:
            assert "1009" in str(await lost(desk))


async def test_messages_in_pieces_binary_ones_and_words_before_the_end() -> None:
    async def handle(peer: ServerConnection) -> None:
        await peer.recv()
        await peer.send(b"\x00\x01")
        await peer.send(iter([b"\x00", b"\x01"]))
        await peer.send(iter(['{"type":"session.', 'updated","ses', 'sion":{}}']))
        await peer.send('{"type":"conversation.item.input_audio_transcription.delta","item_id":"u","delta":"Hi"}')
        await peer.close(1011, "oops")

    async with served(handle) as url:
        desk = Desk(url)
        assert "1011" in str(await lost(desk))
        assert desk.events == [Ready(CONFIG.model), CallerWords("u", "Hi", final=False)]


async def test_a_defect_of_ours_ends_the_run_as_what_it_is(model: Model) -> None:
    def fails(event: Event) -> None:
        raise LookupError("ours")

    desk = Desk(model.url)
    desk.reacts = fails
    with pytest.raises(LookupError, match="ours"):
        await desk.engine.run(desk)


async def test_a_defect_in_passing_time_ends_the_run_too(model: Model, quick: None) -> None:
    desk = Desk(model.url)
    running = asyncio.create_task(desk.engine.run(desk))
    await desk.told(Ready)
    desk.engine.wire.tick = None  # type: ignore[assignment, method-assign]
    with pytest.raises(TypeError):
        await running


# ── closing ───────────────────────────────────────────────────────────────────────────────


async def test_closed_before_it_ran_it_never_connects(model: Model) -> None:
    desk = Desk(model.url)
    await desk.engine.close()
    await desk.engine.run(desk)
    desk.caller_says(PAUSE)
    assert model.total_sessions == 0


async def test_closed_while_it_connects() -> None:
    asked = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked.set()
        await reader.read()

    async with raw_peer(mute) as url:
        desk = Desk(url)
        running = asyncio.create_task(desk.engine.run(desk))
        await asked.wait()
        await asyncio.gather(desk.engine.close(), desk.engine.close())
        await running


async def test_closed_between_connecting_and_the_handshake(model: Model) -> None:
    """At any turn of the loop; the socket may be open before the engine knows."""
    for turns in range(30):
        desk = Desk(model.url)
        running = asyncio.create_task(desk.engine.run(desk))
        for _ in range(turns):
            await asyncio.sleep(0)
        await desk.engine.close()
        await running


async def test_closed_from_within_an_event(model: Model) -> None:
    closing: list[asyncio.Task[None]] = []

    def close(event: Event) -> None:
        closing.append(asyncio.create_task(desk.engine.close()))

    desk = Desk(model.url)
    desk.reacts = close
    await desk.engine.run(desk)
    await asyncio.gather(*closing)
    await desk.engine.close()


async def test_closed_although_the_peer_does_not_agree(quick: None) -> None:
    over = asyncio.Event()

    async def handle(peer: ServerConnection) -> None:
        await peer.recv()
        await peer.send('{"type":"session.updated","session":{}}')
        peer.transport.pause_reading()
        await over.wait()

    async with served(handle) as url:
        async with at_work(Desk(url)) as desk:
            await desk.told(Ready)
        over.set()


async def test_cancelled_at_any_turn_of_the_loop_nothing_is_left(model: Model) -> None:
    for turns in range(60):
        desk = Desk(model.url)
        desk.engine.greet("Hello.")
        running = asyncio.create_task(desk.engine.run(desk))
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await desk.engine.close()


# ── the hot path ──────────────────────────────────────────────────────────────────────────


async def test_a_peer_that_does_not_read_costs_frames_not_memory() -> None:
    over = asyncio.Event()

    async def handle(peer: ServerConnection) -> None:
        await peer.recv()
        await peer.send('{"type":"session.updated","session":{}}')
        peer.transport.pause_reading()
        await over.wait()

    async with served(handle) as url, at_work(Desk(url)) as desk:
        await desk.told(Ready)
        while desk.engine.dropped_frames < 100:
            desk.caller_says(SILENT_FRAME * 100)
            assert desk.clock_ms < 3_600_000, "an hour of audio disappeared somewhere"
        peer = desk.engine._open
        assert peer is not None and peer.transport is not None
        assert peer.transport.get_write_buffer_size() < engine_module.UNSENT_BYTES + 6_500
        over.set()


async def test_few_of_our_functions_are_called_for_each_frame_and_each_delta(model: Model, desk: Desk) -> None:
    ours = str(Path(engine_module.__file__).parent)
    calls: list[str] = []

    def count(frame: Any, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(ours):
            calls.append(frame.f_code.co_name)

    model.speed = 20
    await desk.told(Ready)
    payload = b64encode(SILENT_FRAME).decode()
    sys.setprofile(count)
    try:
        desk.engine.hear(payload, 0)
    finally:
        sys.setprofile(None)
    assert calls == ["hear", "hear"]
    wire, listener = desk.engine.wire, desk
    wire.receive(b'{"type":"response.created","response":{"id":"r","conversation_id":"c"}}', 0, listener)
    delta = b'{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"AAAA"}'
    wire.receive(delta, 0, listener)
    calls.clear()
    sys.setprofile(count)
    try:
        desk.engine._received([delta])
    finally:
        sys.setprofile(None)
    assert calls == ["_received", "receive"]


def test_it_is_an_engine() -> None:
    async def use(engine: Engine) -> None: ...

    assert use(OpenAIRealtime(CONFIG, api_key=KEY)).close() is None


# ── settings ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        (BASE_URL, "wss://api.openai.com/v1/realtime?model=m%2F1"),
        ("http://127.0.0.1:9000/v1/", "ws://127.0.0.1:9000/v1/realtime?model=m%2F1"),
        ("ws://127.0.0.1:9000/v1", "ws://127.0.0.1:9000/v1/realtime?model=m%2F1"),
        ("wss://[::1]:9000", "wss://[::1]:9000/realtime?model=m%2F1"),
    ],
)
def test_where_the_session_is(base_url: str, url: str) -> None:
    assert realtime_url(base_url, model="m/1") == url


@pytest.mark.parametrize(
    "base_url",
    ["", "api.openai.com", "ftp://x/v1", "https://", "ws://h:99999/v1", "ws://[/v1", "wss://k@h/v1", "ws://h/?a=b"],
)
def test_what_is_no_address_is_told_at_once(base_url: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        OpenAIRealtime(CONFIG, api_key=KEY, base_url=base_url)
    assert wrong.value.key == "OPENAI_BASE_URL"


def test_the_price_table_that_is_shipped_knows_the_default_model() -> None:
    assert load_prices()["gpt-realtime-2.1"].audio_out == 64


@pytest.mark.parametrize("text", ["[", '["m"]\naudio_out = "dear"', '["m"]\nperfume = 1'])
def test_a_broken_price_table_costs_the_estimate_only(tmp_path: Path, text: str) -> None:
    (tmp_path / "prices.toml").write_text(text)
    assert load_prices(tmp_path / "prices.toml") == {}
    assert load_prices(tmp_path / "none.toml") == {}
