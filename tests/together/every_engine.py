"""What the conformance suite talks to: every way to answer a call, and what its AI was told, seen in one way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from bridge import control
from bridge.audio import BYTES_PER_MS
from bridge.control import Party, TurnView
from bridge.profiles import CascadeProfile, EngineName
from bridge.rehearsal.line import Line
from bridge.rehearsal.scenario import CallerStep
from console.store import Call

from .desk import Desk
from .house import STAYS, House, clip, is_loud, open_house
from .test_faults import settled

T = TypeVar("T")


@dataclass(frozen=True)
class Way:
    """One way to answer calls."""

    name: str
    engine: EngineName
    cascade: CascadeProfile = CascadeProfile()  # noqa: RUF009 - frozen


REALTIME = Way("realtime", "openai")
LIVE = Way("gpt-live", "gpt-live")
NOVA = Way("nova, elevenlabs", "cascade", CascadeProfile(transcriber="deepgram", speaker="elevenlabs"))
FLUX = Way("flux, realtime voice", "cascade", CascadeProfile(transcriber="flux", speaker="realtime"))
OPENAI = Way("openai, openai", "cascade", CascadeProfile(transcriber="openai", speaker="openai"))
AURA = Way("flux, aura", "cascade", CascadeProfile(transcriber="flux", speaker="deepgram"))
KEYPAD = Way("keypad", "keypad")


def ways(*ways: Way) -> pytest.MarkDecorator:
    """Run a test once for each of these."""
    return pytest.mark.parametrize("way", ways, ids=[way.name for way in ways])


every_ai = ways(REALTIME, LIVE, NOVA, FLUX, OPENAI, AURA)
each_ai = ways(REALTIME, LIVE, OPENAI)
"""For what an engine does whoever its vendors are."""

each_kind = ways(REALTIME, LIVE, NOVA, KEYPAD)


class Mind(Protocol):
    """What the AI of a house was told and remembers."""

    @property
    def told(self) -> str:
        """All that it was ever told, but sound."""

    def knows_only_what_was_heard(self, calls: list[list[TurnView]]) -> None:
        """Asserts that of these turns that were cut, by call, it remembers no more than the caller heard."""


class RealtimeMind:
    """A session's that hears by itself: it is told in ms what was heard."""

    def __init__(self, house: House) -> None:
        self._house = house

    @property
    def told(self) -> str:
        return str([session.received for session in self._house.model.sessions])

    def knows_only_what_was_heard(self, calls: list[list[TurnView]]) -> None:
        truncated = {
            cut.item_id: cut.audio_end_ms for session in self._house.model.sessions for cut in session.truncations
        }
        for turn in (turn for cut in calls for turn in cut):
            assert abs(truncated[turn.turn_id] - turn.heard_ms) <= 20


class LiveMind:
    """A session's that speaks in real time and can forget nothing: it is told in words what was heard."""

    def __init__(self, house: House) -> None:
        self._house = house

    @property
    def told(self) -> str:
        return str([session.received for session in self._house.model.live_sessions])

    def knows_only_what_was_heard(self, calls: list[list[TurnView]]) -> None:
        told = self.told
        for greeting, *_ in calls:
            # The greeting is ahead of what is heard; its own speech never is by more than a breath.
            begun = greeting.text[: greeting.heard_chars].rpartition(" ")[0].rpartition(" ")[0]
            assert f'Of what you said last the caller heard only: "{begun}' in told


class ChatMind:
    """A chat's: all that it knows are the messages it is asked with."""

    def __init__(self, house: House) -> None:
        self._house = house

    @property
    def told(self) -> str:
        return str([request.messages for request in self._house.model.chat.requests])

    def knows_only_what_was_heard(self, calls: list[list[TurnView]]) -> None:
        known = [_said_by_ai(request.messages) for request in self._house.model.chat.requests]
        for cut in calls:
            assert [heard for turn in cut if (heard := turn.text[: turn.heard_chars].strip())] in known


def _said_by_ai(messages: list[dict[str, Any]]) -> list[str]:
    return [message["content"] for message in messages if message["role"] == "assistant" and message["content"]]


class Wire:
    """What went over the caller's line, in the order in which it did (`Tap`).

    passed: for each piece that came to be played (True) and each order to forget what is not played yet (False),
    how many loud frames the caller had said by then.
    """

    def __init__(self) -> None:
        self.said_frames = 0
        self.passed: list[tuple[bool, int]] = []

    def spoke(self, chunk: int, audio: bytes) -> None:
        self.said_frames += sum(is_loud(audio))

    def came(self, audio: bytes) -> None:
        self.passed.append((True, self.said_frames))

    def cleared(self) -> None:
        self.passed.append((False, self.said_frames))

    def fell_silent(self, before: int, frames: int) -> bool:
        """Whether all was stopped while the caller said these frames, and nothing came until they ended."""
        here = [(is_sound, said - before) for is_sound, said in self.passed if before < said <= before + frames]
        first = next((at for at, (is_sound, _) in enumerate(here) if not is_sound), None)
        return first is not None and not any(is_sound and said < frames for is_sound, said in here[first:])

    def fell_silent_by_itself(self, before: int, frames: int) -> bool:
        """Whether nothing came in the second half of these frames, ordered to stop or not."""
        return not any(is_sound and frames / 2 < said - before < frames for is_sound, said in self.passed)

    @property
    def since_clear(self) -> int:
        """How many pieces came since the newest order to forget."""
        return next((n for n, (is_sound, _) in enumerate(reversed(self.passed)) if not is_sound), len(self.passed))


@dataclass
class Talk:
    """One call: the caller's line, an operator's desk, and what the AI knows of it."""

    house: House
    desk: Desk
    line: Line
    wire: Wire
    mind: Mind

    @property
    def call(self) -> Call:
        return next(call for call in self.desk.store.calls.values() if call.view.call_sid == self.line.call_sid)

    @property
    def view(self) -> control.CallView:
        return self.call.view

    def turns(self, speaker: Party, words: str = "") -> list[TurnView]:
        """What somebody said that holds these words, in order."""
        lines = [line.key.removeprefix("turn:") for line in self.call.lines if line.key.startswith("turn:")]
        said = [self.call.turns[key] for key in lines]
        return [turn for turn in said if turn.speaker is speaker and words in turn.text]

    async def until(self, look: Callable[[], Any]) -> Any:
        """What ``look`` finds at the desk, as soon as it finds anything."""
        return await self.desk.until(lambda store: look())

    async def do(self, kind: Callable[..., control.Command], **fields: Any) -> None:
        """An operator's act that is taken."""
        assert await self.desk.do(kind, call_id=self.view.call_id, **fields) == ""

    async def live(self) -> None:
        await self.desk.until(
            lambda store: any(
                call.view.call_sid == self.line.call_sid and call.view.phase is control.Phase.LIVE
                for call in store.calls.values()
            )
        )

    async def heard(self, words: str, ms: int = 300, speaker: Party = Party.AI) -> TurnView:
        """The newest line that holds these words, once the caller has heard so much of it."""

        def look() -> list[TurnView]:
            return [turn for turn in self.turns(speaker, words) if turn.heard_ms >= ms]

        return (await self.until(look))[-1]

    async def heard_whole(self, words: str, speaker: Party = Party.AI) -> TurnView:
        """The newest line that holds these words, once it was heard to its end."""

        def look() -> list[TurnView]:
            return [t for t in self.turns(speaker, words) if t.heard_ms and t.state is control.TurnState.FINAL]

        return (await self.until(look))[-1]

    async def begun(self, ms: int = 600) -> TurnView:
        """The greeting, once so much of it was heard."""
        await self.live()
        return await self.heard("", ms)

    async def past_the_greeting(self) -> None:
        """The AI was stopped early in its greeting, and waits for the caller."""
        await self.begun()
        await self.do(control.Interrupt)
        await self.until(lambda: self.turns(Party.AI)[0].state is control.TurnState.CUT)

    def says(self, number: int) -> None:
        """The caller says one of their lines."""
        self.line.say(clip(number).audio, clip(number).text)

    def greetings(self) -> int:
        """How often the caller was greeted."""
        return sum(turn.text.startswith("Hello") for turn in self.turns(Party.AI))

    @property
    def spoken(self) -> list[TurnView]:
        """What the AI said, as far as anything of it was heard."""
        return [turn for turn in self.turns(Party.AI) if turn.heard_ms]

    def sounds(self, from_ms: int, to_ms: int | None = None) -> list[bool]:
        """Which frames of a stretch of the call the caller heard something in."""
        end = None if to_ms is None else to_ms * BYTES_PER_MS
        return is_loud(bytes(self.line.heard[from_ms * BYTES_PER_MS : end]))

    @property
    def now_ms(self) -> int:
        """How much of the call the caller's ear has had."""
        return len(self.line.heard) // BYTES_PER_MS


async def at_once(*works: Coroutine[Any, Any, T]) -> list[T]:
    """What all of these give; when one fails, none goes on."""
    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(work) for work in works]
    return [task.result() for task in started]


@asynccontextmanager
async def open_way(home: Path, way: Way, *, then: tuple[EngineName, ...] = (), **changes: Any) -> AsyncIterator[House]:
    """A house that answers in this way, with an AI that does not dawdle."""
    async with open_house(home, (way.engine, *then), cascade=way.cascade, **changes) as house:
        model = house.model
        model.transcript_delay_ms = (0, 10)
        model.stt_delay_ms = model.aura_delay_ms = (20, 60)
        model.chat.delay_ms, model.chat.tokens_per_s = (50, 50), 0.0
        yield house


@asynccontextmanager
async def talks(house: House, way: Way, *calls: tuple[CallerStep, ...]) -> AsyncIterator[list[Talk]]:
    """Calls at the same time; afterwards all are hung up, and nothing may be left of them anywhere."""
    minds: dict[str, Callable[[House], Mind]] = {"openai": RealtimeMind, "gpt-live": LiveMind}
    mind = minds.get(way.engine, ChatMind)(house)
    async with house.desk() as desk:
        wires = [Wire() for _ in calls]
        lines = [await house.call(steps, tap=wire) for steps, wire in zip(calls, wires, strict=True)]
        yield [Talk(house, desk, line, wire, mind) for line, wire in zip(lines, wires, strict=True)]
        for line in lines:
            line.hang_up()
        await settled(house, desk, *lines)
        await house.model.until(lambda: not (house.model.deepgram.open_sockets or house.model.elevenlabs.open_sockets))
        assert not [error for line in lines for error in line.errors]


@asynccontextmanager
async def talk(home: Path, way: Way, **changes: Any) -> AsyncIterator[Talk]:
    """One call in a house of its own."""
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(open_way(home, way, **changes))
        (only,) = await stack.enter_async_context(talks(house, way, STAYS))
        yield only
