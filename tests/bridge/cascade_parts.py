"""A caller, a transcriber and a voice by script, for tests of what a cascade makes of them."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from bridge.audio import FRAME_BYTES, SILENT_FRAME
from bridge.engines import CallerStarted, EngineLost, Event, ReplyDone, ReplyWordsDone
from bridge.engines.cascade import Cascade, Config
from bridge.engines.chat import Chat
from bridge.engines.speech import VoiceFailed, Words
from bridge.rehearsal import scenario
from bridge.rehearsal.model import Model

KEY = "sk-rehearsal"
CHARGED, ORDER, EXPRESS = scenario.load("billing").replies[:3]
HELLO = "Hello. This is Northgate's assistant, an AI. This call is recorded."
SPEECH_FRAME = bytes(FRAME_BYTES)
MS_PER_CHAR = 50
TOOLS = (
    {"type": "function", "name": "find_payments", "description": "Payments.", "parameters": {"type": "object"}},
    {"type": "function", "name": "refund_payment", "description": "Refunds.", "parameters": {"type": "object"}},
)


def ear(mulaw: bytes) -> tuple[bool, float]:
    return mulaw != SILENT_FRAME, -20.0 if mulaw != SILENT_FRAME else -96.0


class ScriptedTranscriber:
    """Says what a test lets it say."""

    def __init__(self) -> None:
        self.words: Words | None = None
        self.frames: list[tuple[bytes, int]] = []
        self.pauses = 0
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, words: Words) -> None:
        self.words = words
        await self._over

    def lose(self, lost: EngineLost) -> None:
        self._over.set_exception(lost)

    def hear(self, mulaw: bytes, at_ms: int) -> None:
        self.frames.append((mulaw, at_ms))

    def pause(self) -> None:
        self.pauses += 1

    async def close(self) -> None:
        if not self._over.done():
            self._over.set_result(None)


class ScriptedVoice:
    """Speaks at once, 50 ms a letter, in pieces. speaking: texts that are being spoken; said: all that were asked for.

    holds: texts that are not spoken until they are let go. fails: what attempts at texts with these words raise,
    half through. refuses: what is not spoken at all.
    """

    vendor, model = "scripted", "aura-2-scripted"

    def __init__(self) -> None:
        self.speed = 1.0
        self.said: list[str] = []
        self.cancelled: list[str] = []
        self.fails: list[tuple[str, VoiceFailed]] = []
        self.refuses = ""
        self.holds: Callable[[str], bool] = lambda text: False
        self.let_go = asyncio.Event()

    async def warm(self) -> None:
        return

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        self.said.append(text)
        if self.refuses and self.refuses in text:
            raise VoiceFailed("not these words.", unspeakable=True)
        whole = b"\x10" * (len(text) * MS_PER_CHAR * 8)
        due = next((fault for fault in self.fails if fault[0] in text), None)
        failure = due[1] if due else None
        if due:
            self.fails.remove(due)
        try:
            if self.holds(text):
                await self.let_go.wait()
            for at in range(0, len(whole), 4000):
                if failure is not None and at >= len(whole) // 2:
                    raise failure
                yield whole[at : at + 4000]
                await asyncio.sleep(0)
        except (GeneratorExit, asyncio.CancelledError):
            self.cancelled.append(text)
            raise

    async def close(self) -> None:
        return


class Desk:
    """A cascade at work, and the call around it: it is cut when the caller begins, as a call does."""

    def __init__(self, model: Model, config: Config | None = None, **options: Any) -> None:
        self.voice = ScriptedVoice()
        self.transcribers: list[ScriptedTranscriber] = []
        self.chat = Chat(base_url=f"http{model.url.removeprefix('ws')}", api_key=KEY, model="gpt-6-luna", **options)
        self.engine = Cascade(
            config or Config("You answer for Northgate.", TOOLS, transcriber="scribe", transcriber_model="nova-3"),
            transcriber=self._transcriber,
            chat=self.chat,
            voice=self.voice,
            ear=ear,
        )
        self.model = model
        self.events: list[Event] = []
        self.sound_ms: dict[str, float] = {}
        self.messages: list[tuple[bool, str, str]] = []
        self.clock_ms = 0
        self.in_play: tuple[str, int] | None = None
        """Item and ms heard of it: what a call would cut when the caller begins."""

        self.running: asyncio.Task[None]
        self._parts = 0

    def _transcriber(self) -> ScriptedTranscriber:
        self.transcribers.append(ScriptedTranscriber())
        return self.transcribers[-1]

    # ── the call's side ──

    def on_speech(self, item_id: str, payload: str) -> None:
        self.sound_ms[item_id] = self.sound_ms.get(item_id, 0) + len(b64decode(payload)) / 8

    def on_event(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, CallerStarted) and self.in_play is not None:
            item_id, heard_ms = self.in_play
            self.in_play = None
            self.engine.cut(item_id, heard_ms, by_caller=True)

    def on_message(self, outbound: bool, name: str, text: str) -> None:
        self.messages.append((outbound, name, text))

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():  # noqa: ASYNC110 - much of what is waited for is inside, and tells nobody
            await asyncio.sleep(0.001)

    async def told(self, kind: type[Event], number: int = 1) -> Any:
        """The newest event of this kind once there are so many."""
        await self.until(lambda: len(self.all(kind)) >= number)
        return self.all(kind)[-1]

    def all(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    # ── the caller's side ──

    @property
    def words(self) -> Words:
        words = self.transcribers[-1].words
        assert words is not None
        return words

    def sounds(self, ms: int, frame: bytes = SPEECH_FRAME) -> None:
        for _ in range(ms // 20):
            self.engine.hear(b64encode(frame).decode(), self.clock_ms)
            self.clock_ms += 20

    def silent(self, ms: int) -> None:
        self.sounds(ms, SILENT_FRAME)

    def says(self, text: str, *, ms: int = 1000, ends: bool = True) -> str:
        """A whole turn, as a transcriber that judges by pauses tells it."""
        self._parts += 1
        part = f"part{self._parts}"
        self.words.started(part, self.clock_ms)
        self.sounds(ms)
        self.words.heard(part, text, ends)
        if ends:
            stopped_ms = self.clock_ms
            self.silent(300)
            self.words.ended(part, stopped_ms)
        return part


@asynccontextmanager
async def at_work(desk: Desk) -> AsyncIterator[Desk]:
    """The engine runs, and ends well when the test does."""
    running = desk.running = asyncio.create_task(desk.engine.run(desk))
    try:
        await desk.until(lambda: bool(desk.events))
        yield desk
        await desk.engine.close()
        await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await desk.chat.close()


async def greeted(desk: Desk) -> str:
    """The greeting was passed on whole, and is in play."""
    number = len(desk.all(ReplyDone)) + 1
    desk.engine.greet(HELLO)
    await desk.told(ReplyDone, number)
    return str(desk.all(ReplyWordsDone)[-1].item_id)


async def heard_out(desk: Desk) -> str:
    """And was heard to its end."""
    item_id = await greeted(desk)
    desk.engine.played(item_id)
    return item_id


def asked_with(desk: Desk, number: int = -1) -> list[tuple[str, str]]:
    """Role and words of what the model was asked with, without the prompt."""
    return [(message["role"], message["content"]) for message in desk.model.chat.requests[number].messages[1:]]
