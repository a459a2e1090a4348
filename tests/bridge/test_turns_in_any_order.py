"""Turns begin once, end once and follow each other, whatever happens and in whatever order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.engines.phrases import is_assent
from bridge.engines.turn_taking import (
    FORGET_MS,
    INTERRUPT_MS,
    Began,
    Ended,
    FalseAlarm,
    FellSilent,
    MayAnswer,
    TakeBack,
    TurnTaking,
)
from tests.bridge.talk import Talk

TEXTS = ["", "yeah", "mm-hm okay", "yeah but wait", "stop", "my number is", "5 5 5", "Where is it?", "I want a table."]
PARTS = st.sampled_from(["a", "b", "c", "d"])
HAPPENINGS = st.one_of(
    st.tuples(st.just("sound"), st.integers(1, 60)),
    st.tuples(st.just("quiet"), st.integers(1, 80)),
    st.tuples(st.just("wait"), st.integers(1, 9000)),
    st.tuples(st.just("words"), PARTS, st.sampled_from(TEXTS), st.booleans()),
    st.tuples(st.sampled_from(["started", "may_end", "goes_on", "ended", "failed"]), PARTS),
    st.tuples(st.sampled_from(["thinks", "speaks", "played", "forget", "key"])),
)


def happen(talk: Talk, happening: tuple[object, ...]) -> None:
    match happening:
        case ("sound", int(frames)):
            talk.sound(frames * 20)
        case ("quiet", int(frames)):
            talk.quiet(frames * 20)
        case ("wait", int(ms)):
            talk.wait(ms)
        case ("words", str(part), str(text), bool(final)):
            talk.words(text, part, final=final)
        case (str(hint), str(part)):
            talk.note(getattr(talk.turns, hint)(part, talk.now_ms))
        case (str(what),):
            talk.note(getattr(talk.turns, what)(talk.now_ms))


MAKERS = st.builds(TurnTaking, vendor_knows=st.booleans(), interim=st.booleans(), eager=st.booleans())


@given(MAKERS, st.lists(HAPPENINGS, max_size=25))
def test_turns_begin_once_end_once_and_follow_each_other(
    turns: TurnTaking, happenings: list[tuple[object, ...]]
) -> None:
    talk = Talk(turns)
    for happening in happenings:
        happen(talk, happening)
    under_way, prepared, count = "", False, 0
    for _, outcome in talk.told:
        match outcome:
            case Began(turn_id):
                assert not under_way
                under_way, count = turn_id, count + 1
                assert turn_id == f"turn_{count}"
            case Ended(turn_id, text) | MayAnswer(turn_id, text):
                assert under_way == turn_id
                assert text.strip()
                if isinstance(outcome, MayAnswer):
                    assert not prepared
                    prepared = True
                else:
                    under_way, prepared = "", False
            case TakeBack(turn_id):
                assert prepared
                assert under_way == turn_id
                prepared = False
            case FalseAlarm(turn_id):
                assert under_way == turn_id
                assert not prepared
                under_way = ""
            case FellSilent(turn_id):
                assert under_way == turn_id
            case _:
                assert not under_way


@given(MAKERS, st.lists(HAPPENINGS, max_size=20))
def test_every_turn_closes_by_itself_once_the_line_is_quiet(
    turns: TurnTaking, happenings: list[tuple[object, ...]]
) -> None:
    talk = Talk(turns)
    for happening in happenings:
        happen(talk, happening)
    for part in "abcd":
        talk.note(talk.turns.ended(part, talk.now_ms))
    talk.wait(60_000)
    closed = talk.heard(Ended) + talk.heard(FalseAlarm)
    assert len(closed) == len(talk.heard(Began))


@given(MAKERS, st.lists(st.sampled_from(["yeah", "mm-hm", "okay, right", "uh-huh"]), min_size=1), st.data())
def test_no_assent_ever_interrupts_however_it_falls(turns: TurnTaking, said: list[str], data: st.DataObject) -> None:
    talk = Talk(turns)
    talk.ai_speaks()
    for number, text in enumerate(said):
        assert is_assent(text, "en")
        talk.sound(data.draw(st.integers(0, INTERRUPT_MS // 20 - 1)) * 20)
        talk.words(text, str(number), final=data.draw(st.booleans()))
        talk.sound(data.draw(st.integers(0, 20)) * 20)
        talk.words(text, str(number), final=True)
        talk.ended(str(number))
        talk.quiet(FORGET_MS + 200)
    assert talk.told == []


@given(st.lists(HAPPENINGS, max_size=20))
def test_what_is_due_is_known(happenings: list[tuple[object, ...]]) -> None:
    """Nothing is told by a tick before its time, and a tick in time leaves nothing due."""
    talk = Talk()
    for happening in happenings:
        happen(talk, happening)
        due_ms = talk.turns.next_at_ms()
        if due_ms is not None and due_ms > talk.now_ms + 1:
            assert talk.turns.tick(due_ms - 1) == []
            talk.now_ms = due_ms - 1
