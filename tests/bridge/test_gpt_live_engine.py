"""The GPT-Live engine over real sockets, against the strict rehearsal AI."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from bridge.audio import FRAME_BYTES, SILENT_FRAME
from bridge.engines import (
    CallerWords,
    EngineLost,
    Event,
    Ready,
    ReplyKind,
    ReplyStarted,
    ReplyWordsDone,
    SpeechDone,
    ToolAsked,
    Used,
)
from bridge.engines import gpt_live as engine_module
from bridge.engines.gpt_live import GptLive
from bridge.engines.gpt_live_messages import Config
from bridge.engines.speech import VoiceFailed
from bridge.errors import SettingsError
from bridge.rehearsal import scenario
from bridge.rehearsal.model import Faults, Model
from tests.bridge.at_work import at_work

KEY = "sk-rehearsal"
BILLING = scenario.load("billing")
ORDER = [step for step in BILLING.steps if step.audio][1]
TOOLS = ({"type": "function", "name": "find_payments", "description": "Payments.", "parameters": {"type": "object"}},)
CONFIG = Config("gpt-live-1", "marin", "You answer for Northgate billing.", "gpt-6-luna", TOOLS)
RARE = "Nobody ever recorded these words about a quince."


class House:
    """The house's voice: it speaks everything as one second of sound, once it may, or nothing."""

    def __init__(self, *, fails: bool = False) -> None:
        self.may_speak = asyncio.Event()
        self.may_speak.set()
        self._fails = fails

    async def speak(self, text: str) -> bytes:
        await self.may_speak.wait()
        if self._fails:
            raise VoiceFailed("It is hoarse.")
        return b"\x00" * 8000

    async def close(self) -> None:
        """Nothing is open."""


class Desk:
    """An engine at work: hears all that it tells, and speaks for the caller."""

    def __init__(self, url: str, *, key: str = KEY, voice: House | None = None) -> None:
        self.voice = voice or House()
        self.engine = GptLive(CONFIG, voice=self.voice, api_key=key, base_url=url)
        self.events: list[Event] = []
        self.heard_ms: dict[str, int] = {}
        self.messages: list[tuple[bool, str]] = []
        self.clock_ms = 0
        self._news = asyncio.Event()

    def on_speech(self, item_id: str, payload: str) -> None:
        self.heard_ms[item_id] = self.heard_ms.get(item_id, 0) + len(payload) * 3 // 4 // 8
        self._news.set()

    def on_event(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def on_message(self, outbound: bool, name: str, text: str) -> None:
        self.messages.append((outbound, name))
        self._news.set()

    async def until(self, holds: Callable[[], Any]) -> Any:
        while not (found := holds()):
            self._news.clear()
            await self._news.wait()
        return found

    async def told(self, kind: type[Event], **fields: Any) -> Any:
        """The newest event of this kind that has these."""

        def of_this() -> list[Event]:
            return [
                event
                for event in self.events
                if isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items())
            ]

        return (await self.until(of_this))[-1]

    def caller_says(self, audio: bytes) -> None:
        for at in range(0, len(audio), FRAME_BYTES):
            frame = audio[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\xff")
            self.engine.hear(b64encode(frame).decode(), self.clock_ms)
            self.clock_ms += 20


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, model_delay_ms=0, live_pace=20.0, live_usage_s=0.01) as model:
        yield model
        await model.until(lambda: model.open_sessions == 0)


async def test_a_caller_is_heard_answered_and_a_tool_is_used(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    # The caller speaks as fast as they can, and nothing of it is dropped.
    monkeypatch.setattr(engine_module, "UNSENT_BYTES", 10_000_000)
    async with at_work(Desk(model.url)) as desk:
        ready = await desk.told(Ready)
        assert ready.model == "gpt-live-1" and ready.expires_unix_ms is not None
        desk.caller_says(ORDER.audio + SILENT_FRAME * 100)
        asked = await desk.told(ToolAsked)
        desk.engine.answer_tool(
            asked.tool_id, '{"payments": [{"payment": "pi_1", "amount": 48.0}, {"payment": "pi_2", "amount": 48.0}]}'
        )
        await model.until(lambda: any("two payments" in said for one in model.live_sessions for said in one.said))
        assert (await desk.told(CallerWords)).text in ORDER.text
        assert (await desk.told(Used, tokens=0)).cost_usd > 0
        assert (await desk.told(Used, tokens=420)).cost_usd > 0
    (session,) = model.live_sessions
    assert not session.refusals and desk.engine.wire.malformed == 0 and not desk.engine.wire.unknown
    assert session.received[-1]["type"] == "session.close"


async def test_a_greeting_is_spoken_by_the_house_word_for_word(model: Model) -> None:
    async with at_work(Desk(model.url)) as desk:
        desk.engine.greet(RARE)
        started = await desk.told(ReplyStarted)
        done = await desk.told(ReplyWordsDone)
        assert started.kind is ReplyKind.GREETING and done.text == RARE
        assert desk.heard_ms[(await desk.told(SpeechDone)).item_id] == 1000
        await model.until(lambda: RARE in str(model.live_sessions[0].received))
        recorded = Desk(model.url)
        async with at_work(recorded):
            await recorded.told(Ready)
            recorded.engine.greet("Hello, you have reached Northgate billing.")
            assert (await recorded.told(ReplyStarted)).kind is ReplyKind.GREETING


async def test_where_the_house_is_hoarse_the_ai_greets(model: Model) -> None:
    async with at_work(Desk(model.url, voice=House(fails=True))) as desk:
        desk.engine.greet(RARE)
        assert (await desk.told(ReplyStarted)).kind is ReplyKind.GREETING
        await model.until(lambda: RARE in model.live_sessions[0].said)


@pytest.mark.parametrize("how", ["cut", "taken", "closed"])
async def test_a_greeting_that_is_not_spoken_yet_is_stopped(model: Model, how: str) -> None:
    async with at_work(Desk(model.url)) as desk:
        desk.voice.may_speak.clear()
        desk.engine.greet(RARE)
        await desk.told(Ready)
        match how:
            case "cut":
                desk.engine.cut("", 0, by_caller=False)
            case "taken":
                desk.engine.may_answer(False)
        if how != "closed":
            desk.voice.may_speak.set()
            desk.engine.whisper("Be kind.")
            await model.until(lambda: "Be kind." in str(model.live_sessions[0].received))
    assert not desk.heard_ms


async def test_an_operator_asks_stops_and_asks_again(model: Model) -> None:
    model.live_pace = 2.0
    async with at_work(Desk(model.url)) as desk:
        await desk.told(Ready)
        desk.engine.key("1")
        desk.engine.tell("They pressed 1.")
        desk.engine.recall([])
        desk.engine.ask("Our office is closed on every Sunday of the year", "r1", cut_in=False)
        first = await desk.told(ReplyStarted, request="r1")
        await desk.until(lambda: desk.heard_ms)
        desk.engine.cut("", 0, by_caller=False)
        desk.engine.unhear()
        desk.engine.played("")
        desk.engine.say("One moment, please.", "r2")
        second = await desk.told(ReplyStarted, request="r2")
        assert (first.kind, second.kind) == (ReplyKind.ASK, ReplyKind.SAY)
        desk.engine.answer_now()
        await model.until(lambda: len(model.live_sessions[0].said) == 3)
    assert model.live_sessions[0].fixtures == 1 and not model.live_sessions[0].refusals


async def test_frames_that_the_peer_does_not_take_are_dropped(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "UNSENT_BYTES", -1)
    async with at_work(Desk(model.url)) as desk:
        desk.caller_says(SILENT_FRAME)
        await desk.told(Ready)
        desk.caller_says(SILENT_FRAME)
        assert desk.engine.dropped_frames == 1
    desk.caller_says(SILENT_FRAME)
    assert desk.engine.dropped_frames == 1


async def test_ends_are_told(model: Model) -> None:
    desk = Desk(model.url, key="sk-wrong")
    with pytest.raises(EngineLost) as refused:
        await desk.engine.run(desk)
    assert refused.value.fatal and "OPENAI_API_KEY" in str(refused.value)
    model.expires_s = 0.1
    desk = Desk(model.url)
    with pytest.raises(EngineLost) as expired:
        await desk.engine.run(desk)
    assert expired.value.expired
    model.expires_s, model.faults = 3600.0, Faults(end_after=2)
    desk = Desk(model.url)
    with pytest.raises(EngineLost) as dropped:
        await desk.engine.run(desk)
    assert not dropped.value.fatal and not dropped.value.expired


async def test_it_may_be_closed_before_it_runs(model: Model) -> None:
    desk = Desk(model.url)
    await desk.engine.close()
    desk.engine.greet(RARE)
    await desk.engine.run(desk)
    assert not desk.events
    with pytest.raises(SettingsError):
        Desk("nowhere")
