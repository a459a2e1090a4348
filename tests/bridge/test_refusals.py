"""Which verbs are refused, and the sentence that says what to do instead."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bridge.control import Floor, Phase, Verb
from bridge.refusals import NOT_LIVE, RUNG, why_not


@dataclass(frozen=True)
class Stand:
    """Where a live call stands. asks: the console that asks."""

    floor: Floor = Floor.AI
    holder: str = ""
    ai_gone: bool = False
    asks: str = ""
    phase: Phase = Phase.LIVE

    def why_not(self, verb: Verb) -> str:
        return why_not(
            verb, phase=self.phase, floor=self.floor, holder=self.holder, ai_gone=self.ai_gone, console=self.asks
        )

    def refused(self) -> set[Verb]:
        return {verb for verb in Verb if self.why_not(verb)}


MUTED = Stand(Floor.NOBODY)
TAKEN = Stand(Floor.OPERATOR, "Ann", asks="Ann")
BY_ANOTHER = Stand(Floor.OPERATOR, "Ann", asks="Ben")
ALONE = Stand(Floor.OPERATOR, "Ann", ai_gone=True, asks="Ann")
HELD = Stand(Floor.HOLD, "Ann", asks="Ann")
HELD_BY_ANOTHER = Stand(Floor.HOLD, "Ann", asks="Ben")
HELD_ALONE = Stand(Floor.HOLD, "Ann", ai_gone=True, asks="Ann")
RUNG_FOR = Stand(Floor.HOLD, ai_gone=True, asks="Ann")

TO_THE_AI = {Verb.INTERRUPT, Verb.MUTE_AI, Verb.ASK}
EVEN_THEN = {Verb.PRIVACY, Verb.SWAP, Verb.HANG_UP}
"""What may be done whoever has the floor."""


@pytest.mark.parametrize(
    ("stand", "refused"),
    [
        (Stand(), {Verb.HAND_BACK, Verb.UNHOLD}),
        (MUTED, {Verb.HAND_BACK, Verb.UNHOLD, Verb.ASK}),
        (TAKEN, {*TO_THE_AI, Verb.TAKE_OVER, Verb.UNHOLD}),
        (BY_ANOTHER, {*Verb} - EVEN_THEN - {Verb.WHISPER}),
        (ALONE, {*TO_THE_AI, Verb.TAKE_OVER, Verb.UNHOLD, Verb.HAND_BACK, Verb.WHISPER}),
        (HELD, {*TO_THE_AI, Verb.HOLD, Verb.SAY, Verb.KEYS}),
        (HELD_BY_ANOTHER, {*Verb} - EVEN_THEN - {Verb.WHISPER}),
        (HELD_ALONE, {*TO_THE_AI, Verb.HOLD, Verb.SAY, Verb.KEYS, Verb.HAND_BACK, Verb.WHISPER}),
        (RUNG_FOR, {*Verb} - EVEN_THEN - {Verb.TAKE_OVER}),
        *((Stand(phase=phase), {*Verb} - {Verb.HANG_UP}) for phase in (Phase.RINGING, Phase.CONNECTING)),
        *((Stand(phase=phase), {*Verb}) for phase in (Phase.ENDING, Phase.ENDED)),
    ],
)
def test_what_is_refused_depends_on_where_the_call_stands(stand: Stand, refused: set[Verb]) -> None:
    assert stand.refused() == refused


@pytest.mark.parametrize(
    ("stand", "verb", "words"),
    [
        (Stand(), Verb.HAND_BACK, "The AI was not taken over."),
        (Stand(), Verb.UNHOLD, "The caller is not on hold."),
        (MUTED, Verb.ASK, "The AI is muted. Unmute it first."),
        (TAKEN, Verb.TAKE_OVER, "Ann already has the floor."),
        (TAKEN, Verb.UNHOLD, "The caller is not on hold."),
        (TAKEN, Verb.INTERRUPT, "Ann has the floor, so the AI is silent. Hand back first."),
        (BY_ANOTHER, Verb.HAND_BACK, "Ann has the floor; only they can hand it back."),
        (BY_ANOTHER, Verb.HOLD, "Ann has the floor. Ask them, or wait."),
        (BY_ANOTHER, Verb.SAY, "Ann has the floor. Ask them, or wait."),
        (ALONE, Verb.HAND_BACK, "The AI is gone. Finish the call yourself, or hang up."),
        (ALONE, Verb.WHISPER, "The AI is gone; nobody would read it."),
        (HELD, Verb.HOLD, "The caller is on hold already."),
        (HELD, Verb.KEYS, "The caller is on hold. Take them off hold first."),
        (HELD_BY_ANOTHER, Verb.TAKE_OVER, "Ann put the caller on hold. Ask them, or wait."),
        (RUNG_FOR, Verb.ASK, RUNG),
        (Stand(phase=Phase.CONNECTING), Verb.ASK, NOT_LIVE[Phase.CONNECTING]),
        (Stand(phase=Phase.ENDING), Verb.HANG_UP, NOT_LIVE[Phase.ENDING]),
    ],
)
def test_the_sentence_says_who_or_what_stands_in_the_way(stand: Stand, verb: Verb, words: str) -> None:
    assert stand.why_not(verb) == words


def test_whoever_holds_the_floor_is_meant_where_nobody_is_named() -> None:
    nobody = Stand(Floor.OPERATOR, "Ann")
    assert nobody.refused() == TAKEN.refused()
