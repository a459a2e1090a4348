"""Whatever the order of what happens, the caller hears one voice: that of whoever has the floor."""

from __future__ import annotations

import itertools
from base64 import b64decode
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import call as c
from bridge.call import BY_PERSON, Call, Effect
from bridge.control import Floor, Party, Phase
from bridge.errors import NotAllowed
from bridge.playout import Playout

FRAME_BYTES, FRAME_MS = 160, 20
AI, ANN, BOB, HOLD_SOUND = "the AI", "Ann", "Bob", "the hold sound"
VOICES = (AI, ANN, BOB, HOLD_SOUND)

LIVE = (c.StreamStarted(), c.EngineReady())

FLOOR_INPUTS: tuple[c.Input, ...] = (
    c.TakeOver(ANN),
    c.TakeOver(BOB),
    c.HandBack(ANN, "refund agreed"),
    c.HandBack(BOB),
    c.Hold(ANN),
    c.Hold(BOB),
    c.Unhold(ANN),
    c.Unhold(BOB),
    c.MuteAI(True),
    c.MuteAI(False),
    c.CallerSpoke(),
    c.Interrupt(),
    c.ConsoleGone(ANN),
    c.ConsoleGone(BOB),
    c.EngineGone("no AI"),
)
END_INPUTS: tuple[c.Input, ...] = (
    c.HangUp(),
    c.HangUp(Party.AI),
    c.StreamStopped("caller hung up"),
    c.CarrierEnded("completed"),
    c.EndOverdue(),
)
OTHER_INPUTS: tuple[c.Input, ...] = (
    c.StreamStarted(),
    c.EngineReady(),
    c.Privacy(ANN, True),
    c.Privacy(BOB, False),
    c.Whisper("hint"),
    c.Ask("their order number"),
    c.Say("One moment.", ANN),
    c.Say("One moment.", BOB),
    c.PressKeys("1", ANN),
    c.PressKeys("1", BOB),
)
EVERY = FLOOR_INPUTS + END_INPUTS + OTHER_INPUTS


def state(call: Call) -> tuple[object, ...]:
    return tuple(vars(call).values())


def assert_one_floor(call: Call) -> None:
    """The floor is one thing; a console holds it if and only if it is a person's."""
    assert (call.holder in (ANN, BOB)) == (call.floor in BY_PERSON and not call.is_ringing)
    assert call.holder in (ANN, BOB, "")
    if call.phase in (Phase.RINGING, Phase.CONNECTING, Phase.ENDED):
        assert call.floor is Floor.NOBODY
    if call.ai_gone and call.phase is Phase.LIVE:
        assert call.floor in BY_PERSON
    assert bool(call.end_cause) == (call.phase in (Phase.ENDING, Phase.ENDED))
    assert bool(call.private_by) == call.private


def test_every_state_that_any_order_can_reach_has_one_owner_and_an_honest_end() -> None:
    """Not a sample: all inputs in all states there are, which is every order of any length."""
    first = Call()
    seen, waiting = {state(first)}, [first]
    while waiting:
        before = waiting.pop()
        for one in EVERY:
            call = copy(before)
            try:
                effects = call.apply(one)
            except NotAllowed as refusal:
                assert state(call) == state(before)
                assert refusal.reason.endswith(".")
                continue
            assert_one_floor(call)
            if before.phase is Phase.ENDED:
                assert effects == () and state(call) == state(before)
            elif call.phase is Phase.ENDED:
                assert effects[-1] is Effect.FINISH
            else:
                assert Effect.FINISH not in effects
            if before.floor in BY_PERSON and call.floor in BY_PERSON and not (before.is_ringing or call.is_ringing):
                assert call.holder == before.holder, "a floor that a person has goes to nobody else"
            if (before.floor, before.holder) != (call.floor, call.holder) and before.phase is call.phase:
                # A hand-back lets the operator's last words be heard; of a muted AI nothing plays.
                unhurried = before.floor is Floor.OPERATOR and isinstance(one, c.HandBack)
                assert Effect.CUT in effects or unhurried or before.floor is Floor.NOBODY
            if state(call) not in seen:
                seen.add(state(call))
                waiting.append(call)
    assert {call_state[0] for call_state in seen} == set(Phase)
    assert {call_state[1] for call_state in seen} == set(Floor)


# ── with sound ──


@dataclass(frozen=True)
class Speech:
    """So much sound of somebody's arrives at the bridge, whoever has the floor."""

    voice: str
    frames: int


@dataclass(frozen=True)
class Wait:
    """Time passes."""

    ms: int


@dataclass(frozen=True)
class ToolReturns:
    """A tool that the AI was waiting for is done, and the AI speaks of it at once."""


Step = c.Input | Speech | Wait | ToolReturns


class Bench:
    """A call's machines and its playout, coupled as a session couples them, and a carrier's ear.

    Every frame says who speaks, and in which reign: the number of cuts before it came.
    """

    def __init__(self) -> None:
        self.call = Call()
        self.out = Playout()
        self.now_ms = 0.0
        self.heard: list[tuple[float, float, str]] = []
        self._owners: list[str] = []
        self._reign = 0
        self._item = 0
        self._open = False
        self._plays_hold = False
        self._may_answer = True
        for one in LIVE:
            self.step(one)

    def step(self, step: Step) -> None:
        """One thing happens, and everything that must be true is."""
        match step:
            case Speech(voice=voice, frames=frames):
                self._speak(voice, frames)
            case Wait(ms=ms):
                for _ in range(0, ms, FRAME_MS):
                    self.now_ms += FRAME_MS
                    self._hear()
                    self._send()
            case ToolReturns():
                self._speak(AI, 50)
            case _:
                self._apply(step)
        self._send()
        self._check()

    def _apply(self, input: c.Input) -> None:
        before = state(self.call)
        over = self.call.phase is Phase.ENDED
        try:
            effects = self.call.apply(input)
        except NotAllowed:
            assert state(self.call) == before
            return
        if over:
            assert effects == () and state(self.call) == before
        for effect in effects:
            self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Effect.GREET:
                self._open = True
            case Effect.CUT:
                heard, _ = self.out.cut(self.now_ms)
                self._note(heard)
                self._reign += 1
                self._owners.clear()
                self._item += 1
                self._plays_hold = False
            case Effect.PLAY_HOLD:
                self._plays_hold = True
            case Effect.SILENCE_AI:
                self._may_answer = False
            case Effect.LET_AI_ANSWER:
                self._may_answer = True
            case Effect.CLOSE_STREAM | Effect.FINISH:
                self._open = False

    @property
    def owner(self) -> str:
        """Whose sound is let in."""
        match self.call.floor:
            case Floor.AI:
                return AI
            case Floor.HOLD:
                return HOLD_SOUND if self._plays_hold else ""
            case Floor.OPERATOR:
                return self.call.holder
        return ""

    def _speak(self, voice: str, frames: int) -> None:
        """The gate in front of the playout: sound of anyone but the floor's owner is dropped."""
        if voice == self.owner:
            frame = bytes([VOICES.index(voice), self._reign % 256]) * (FRAME_BYTES // 2)
            self.out.push(f"{voice}-{self._item}", frame * frames)
            if voice not in self._owners[-1:]:
                self._owners.append(voice)

    def _send(self) -> None:
        if self._plays_hold and self.out.unheard_ms < 100:
            self._speak(HOLD_SOUND, 10)
        pieces, _ = self.out.due(self.now_ms)
        if not self._open:
            return
        for payload, _ in pieces:
            audio = b64decode(payload)
            ((voice, reign),) = {(VOICES[audio[at]], audio[at + 1]) for at in range(0, len(audio), FRAME_BYTES)}
            assert reign == self._reign % 256, "sound from before a cut left for the carrier"
            # After a hand-back, which cuts nothing, the operator's last words come before the AI's first.
            assert voice in self._owners, "sound of a former owner left for the carrier"
            del self._owners[: self._owners.index(voice)]

    def _hear(self) -> None:
        self._note(self.out.advance(self.now_ms))

    def _note(self, heard: Iterable[object]) -> None:
        for piece in heard:
            voices = {VOICES[symbol] for symbol in piece.audio[::FRAME_BYTES]}  # type: ignore[attr-defined]
            assert len(voices) == 1
            start_ms = piece.start_ms  # type: ignore[attr-defined]
            end_ms = start_ms + len(piece.audio) / 8  # type: ignore[attr-defined]
            assert not self.heard or start_ms >= self.heard[-1][1], "two sounds at once"
            self.heard.append((start_ms, end_ms, voices.pop()))

    def _check(self) -> None:
        assert_one_floor(self.call)
        if self.call.phase is Phase.LIVE:
            assert self._plays_hold == (self.call.floor is Floor.HOLD)
            if not self.call.ai_gone:
                assert self._may_answer == (self.call.floor is Floor.AI)


AI_HALF_HEARD = (Speech(AI, 100), Wait(400))
SOUNDS: tuple[Step, ...] = (Speech(AI, 40), Speech(ANN, 1), Speech(ANN, 25), Speech(BOB, 1), ToolReturns())
ANY_STEP = st.one_of(
    st.sampled_from(FLOOR_INPUTS),
    st.sampled_from(SOUNDS),
    st.builds(Wait, st.sampled_from([20, 60, 300])),
    st.sampled_from(END_INPUTS + OTHER_INPUTS),
)


@given(st.lists(ANY_STEP, max_size=40))
@settings(max_examples=300, deadline=None)
def test_in_any_order_only_the_floors_owner_is_heard(steps: list[Step]) -> None:
    bench = Bench()
    for step in steps:
        bench.step(step)


@given(st.lists(st.tuples(st.sampled_from([ANN, BOB]), st.sampled_from(SOUNDS)), min_size=10, max_size=10))
@settings(max_examples=50, deadline=None)
def test_ten_take_overs_in_a_row_have_one_holder_each(wishes: list[tuple[str, Step]]) -> None:
    bench = Bench()
    for console, sound in wishes:
        for step in (*AI_HALF_HEARD, c.TakeOver(console), c.TakeOver(BOB if console == ANN else ANN), sound, Wait(60)):
            bench.step(step)
        assert bench.call.holder == console
        bench.step(c.HandBack(BOB if console == ANN else ANN))
        assert bench.call.holder == console
        bench.step(c.HandBack(console))
        assert bench.call.floor is Floor.AI


RACE: tuple[Step, ...] = (
    c.TakeOver(ANN),
    c.TakeOver(BOB),
    c.HandBack(ANN),
    c.Hold(ANN),
    c.Unhold(ANN),
    c.MuteAI(True),
    c.CallerSpoke(),
    c.Interrupt(),
    c.ConsoleGone(ANN),
    c.EngineGone("no AI"),
    c.HangUp(),
    c.StreamStopped("caller hung up"),
    ToolReturns(),
)


@pytest.mark.parametrize("first", RACE, ids=lambda step: type(step).__name__ + getattr(step, "console", ""))
def test_every_order_of_four_while_the_ai_is_half_heard(first: Step) -> None:
    talk: tuple[Step, ...] = (Speech(AI, 2), Speech(ANN, 1), Speech(BOB, 1))
    for order in itertools.permutations([step for step in RACE if step is not first], 3):
        bench = Bench()
        for step in AI_HALF_HEARD:
            bench.step(step)
        for step in (first, *order):
            bench.step(step)
            for sound in talk:
                bench.step(sound)
        bench.step(Wait(40))


def test_a_caller_hears_every_owner_in_turn() -> None:
    """The bench itself hears what it should."""
    bench = Bench()
    for step in (
        *AI_HALF_HEARD,
        *(c.TakeOver(ANN), Speech(AI, 10), Speech(BOB, 10), Speech(ANN, 10), Wait(300)),
        *(c.Hold(ANN), Speech(ANN, 10), Wait(300)),
        *(c.Unhold(ANN), Speech(ANN, 10), Wait(300)),
        *(c.HandBack(ANN), Speech(ANN, 10), Speech(AI, 10), Wait(300)),
    ):
        bench.step(step)
    assert [voice for voice, _ in itertools.groupby(voice for _, _, voice in bench.heard)] == [
        *(AI, ANN, HOLD_SOUND, ANN, AI),
    ]
