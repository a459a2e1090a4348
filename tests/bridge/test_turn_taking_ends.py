"""When a caller has finished, and what is prepared before it is certain."""

from __future__ import annotations

import pytest

from bridge.engines.phrases import Finish
from bridge.engines.turn_taking import (
    COMMIT_WAIT_MS,
    FINAL_WAIT_MS,
    PAUSE_MS,
    RESUME_LATE_MS,
    VENDOR_WAIT_MS,
    WAIT_MS,
    Began,
    Ended,
    FalseAlarm,
    FellSilent,
    MayAnswer,
    TakeBack,
    TurnTaking,
)
from tests.bridge.talk import Talk

# The end of a turn.


@pytest.mark.parametrize(
    ("text", "finish"),
    [
        ("Where is my order?", Finish.COMPLETE),
        ("A table for two, please", Finish.COMPLETE),
        ("Thanks, goodbye.", Finish.COMPLETE),
        ("I want to book a table.", Finish.OPEN),
        ("I want a table and", Finish.UNFINISHED),
        ("My number is", Finish.UNFINISHED),
        ("My number is 555", Finish.DICTATING),
    ],
)
def test_the_less_finished_the_words_the_longer_the_pause_may_be(text: str, finish: Finish) -> None:
    talk = Talk()
    talk.sound(1000)
    talk.words(text, final=True)
    talk.quiet(4000)
    assert talk.texts == [text]
    assert talk.when(Ended) == 1000 + -(-WAIT_MS[finish] // 20) * 20
    assert talk.heard(Ended) == [Ended("turn_1", text, 1000)]


def test_a_pause_within_a_sentence_does_not_end_the_turn() -> None:
    """utsavk1993/wren#12; MCERQUA/OpenVoiceUI#79."""
    talk = Talk()
    talk.sound(800)
    talk.words("I want to reset the... uh...", "a", final=True)
    talk.ended("a")
    talk.quiet(1500)
    talk.sound(400)
    talk.words("the panel.", "b", final=True)
    talk.ended("b")
    assert talk.texts == ["I want to reset the... uh... the panel."]


def test_a_number_is_dictated_in_groups() -> None:
    talk = Talk()
    for part, group in enumerate(["My number is", "555", "123", "4567"]):
        talk.sound(600)
        talk.words(group, str(part), final=True)
        talk.ended(str(part))
        talk.quiet(1400)
    talk.quiet(1000)
    assert talk.texts == ["My number is 555 123 4567"]


def test_the_transcribers_end_is_honoured_when_nothing_seems_missing() -> None:
    talk = Talk()
    talk.sound(1000)
    talk.words("I want to book a table.", final=True)
    talk.quiet(300)
    talk.ended()
    assert talk.when(Ended) == 1300


def test_a_transcriber_that_knows_is_believed_even_within_a_sentence() -> None:
    talk = Talk(TurnTaking(vendor_knows=True))
    talk.sound(1000)
    talk.words("My number is", final=True)
    talk.quiet(400)
    talk.ended()
    assert talk.texts == ["My number is"]


def test_a_transcriber_that_knows_but_says_nothing_is_not_waited_for_for_ever() -> None:
    talk = Talk(TurnTaking(vendor_knows=True))
    talk.words("Where is my order?", final=True)
    talk.wait(VENDOR_WAIT_MS + 1)
    assert talk.when(Ended) == VENDOR_WAIT_MS


def test_final_words_are_waited_for_but_not_for_ever() -> None:
    talk = Talk()
    talk.sound(1000)
    talk.words("Where is my order?")
    talk.quiet(4000)
    due_ms = 1000 + WAIT_MS[Finish.COMPLETE] + FINAL_WAIT_MS
    assert due_ms <= talk.when(Ended) < due_ms + 20


def test_an_end_told_before_the_final_words_waits_for_them() -> None:
    talk = Talk(TurnTaking(vendor_knows=True))
    talk.words("Where is my")
    talk.ended()
    talk.wait(FINAL_WAIT_MS - 100)
    talk.words("Where is my order?", final=True)
    assert talk.texts == ["Where is my order?"]


def test_the_pause_is_told_once_for_a_transcriber_that_does_not_judge() -> None:
    talk = Talk(TurnTaking(interim=False))
    talk.sound(10_000)
    talk.quiet(1000)
    assert talk.heard(FellSilent) == [FellSilent("turn_1", 10_000)]
    assert talk.when(FellSilent) == 10_000 + PAUSE_MS
    talk.words("I have a long story.", final=True)
    assert talk.texts == ["I have a long story."]


def test_a_transcriber_that_writes_late_is_given_more_time_before_a_false_alarm() -> None:
    talk = Talk(TurnTaking(interim=False))
    talk.sound(600)
    talk.quiet(RESUME_LATE_MS + 20)
    assert talk.when(FalseAlarm) == 600 + RESUME_LATE_MS


def test_a_transcriber_that_alone_hears_the_caller_says_when_they_have_finished() -> None:
    talk = Talk(TurnTaking(interim=False))
    talk.note(talk.turns.started("a", 0))
    talk.wait(20_000)
    assert not talk.heard(FalseAlarm)
    talk.ended()
    talk.wait(RESUME_LATE_MS)
    assert talk.when(FalseAlarm) == 20_000 + RESUME_LATE_MS


def test_words_that_come_after_the_turn_was_ended_for_its_pause_are_a_turn_of_their_own() -> None:
    talk = Talk()
    talk.sound(800)
    talk.words("Where is my order?")
    talk.quiet(1200)
    assert talk.texts == ["Where is my order?"]
    talk.sound(600)
    talk.words("Where is my order? It is late, thanks.", final=True)
    talk.quiet(1000)
    assert talk.texts == ["Where is my order?", "It is late, thanks."]


def test_a_second_thought_about_words_that_were_dealt_with_is_no_turn() -> None:
    talk = Talk()
    talk.words("I am going")
    talk.wait(3000)
    talk.words("I am going to", final=True)
    talk.words("I am going to go there now", final=True)
    talk.note(talk.turns.started("a", talk.now_ms))
    talk.wait(5000)
    assert talk.texts == ["I am going", "to go there now"]


def test_hints_about_parts_that_are_over_or_unknown_do_nothing() -> None:
    talk = Talk()
    for part in ("x", ""):
        talk.ended(part)
        talk.note(talk.turns.may_end(part, 0))
        talk.note(talk.turns.goes_on(part, 0))
        talk.note(talk.turns.failed(part, 0))
        talk.words("", part, final=True)
    assert talk.told == []


def test_only_the_parts_of_late_are_kept() -> None:
    talk = Talk()
    for part in range(100):
        talk.words("Yes.", str(part), final=True)
        talk.ended(str(part))
    assert talk.texts == ["Yes."] * 100
    talk.words("Yes.", "99", final=True)
    assert len(talk.heard(Began)) == 100


# Answers that are prepared early.


def test_an_answer_is_prepared_when_the_turn_may_end_and_kept_when_it_does() -> None:
    talk = Talk(TurnTaking(vendor_knows=True))
    talk.words("Where is my order")
    talk.note(talk.turns.may_end("a", 0))
    talk.note(talk.turns.may_end("a", 0))
    talk.words("Where is my order?", final=True)
    talk.ended()
    assert [outcome for _, outcome in talk.told[1:]] == [
        MayAnswer("turn_1", "Where is my order"),
        Ended("turn_1", "Where is my order?", 0),
    ]


def test_what_was_prepared_is_taken_back_when_the_caller_goes_on() -> None:
    talk = Talk(TurnTaking(vendor_knows=True))
    talk.words("Where is my order?")
    talk.note(talk.turns.may_end("a", 0))
    talk.note(talk.turns.goes_on("a", 0))
    talk.note(talk.turns.goes_on("a", 0))
    assert talk.heard(TakeBack) == [TakeBack("turn_1")]
    talk.note(talk.turns.may_end("a", 0))
    assert len(talk.heard(MayAnswer)) == 2


def test_what_was_prepared_is_taken_back_when_the_words_turn_out_different() -> None:
    talk = Talk(TurnTaking(vendor_knows=True))
    talk.words("Where is my order")
    talk.note(talk.turns.may_end("a", 0))
    talk.words("Where is my border?", final=True)
    talk.ended()
    assert [type(outcome) for _, outcome in talk.told] == [Began, MayAnswer, TakeBack, Ended]


def test_nothing_is_prepared_for_an_unfinished_sentence_for_assent_or_if_not_wished() -> None:
    unfinished = Talk()
    unfinished.words("My number is")
    unfinished.note(unfinished.turns.may_end("a", 0))
    assent = Talk()
    assent.ai_speaks()
    assent.sound(600)
    assent.words("Okay")
    assent.note(assent.turns.may_end("a", assent.now_ms))
    calm = Talk(TurnTaking(eager=False, vendor_knows=True))
    calm.words("Where is my order?")
    calm.note(calm.turns.may_end("a", 0))
    assert not any(talk.heard(MayAnswer) for talk in (unfinished, assent, calm))


def test_a_turn_that_is_not_meant_for_the_ai_is_dropped_with_what_was_prepared() -> None:
    talk = Talk(TurnTaking(vendor_knows=True))
    talk.words("Where is my order?")
    talk.note(talk.turns.may_end("a", 0))
    talk.note(talk.turns.forget(0))
    talk.words("Where is my order? I want it now.", final=True)
    talk.ended()
    talk.note(talk.turns.forget(0))
    assert [type(outcome) for _, outcome in talk.told] == [Began, MayAnswer, TakeBack, FalseAlarm]
    assert talk.heard(FalseAlarm) == [FalseAlarm("turn_1", resume=False)]


def test_a_suspicion_is_dropped_without_a_word() -> None:
    talk = Talk()
    talk.ai_speaks()
    talk.words("Okay")
    talk.note(talk.turns.forget(0))
    assert talk.told == []


# A transcriber that judges what it has whenever the caller pauses.


def committing() -> Talk:
    """The caller said something, paused, and its final words are still to come."""
    talk = Talk(TurnTaking(commits=True))
    talk.sound(600)
    talk.words("Two tickets.")
    talk.quiet(PAUSE_MS)
    assert talk.heard(FellSilent)
    return talk


def test_the_words_after_the_pause_are_waited_for() -> None:
    talk = committing()
    talk.quiet(1500)
    assert talk.texts == []
    talk.words("Two tickets for Monday.", final=True)
    assert talk.texts == ["Two tickets for Monday."]


def test_but_not_for_ever() -> None:
    talk = committing()
    talk.wait(10_000)
    assert talk.texts == ["Two tickets."]
    assert talk.when(Ended) == 600 + WAIT_MS[Finish.OPEN] + COMMIT_WAIT_MS


def test_so_is_a_last_word_of_which_nothing_is_written_yet() -> None:
    talk = committing()
    talk.sound(300)
    talk.words("Two tickets.", final=True)
    talk.quiet(1500)
    assert talk.texts == []
    talk.words("Please.", "b", final=True)
    assert talk.texts == ["Two tickets. Please."]


def test_a_click_after_the_words_is_not_waited_for() -> None:
    talk = committing()
    talk.words("Two tickets.", final=True)
    talk.sound(60)
    talk.quiet(WAIT_MS[Finish.OPEN])
    assert talk.texts == ["Two tickets."]


def test_nor_is_what_failed() -> None:
    talk = committing()
    talk.words("Two tickets.", final=True)
    talk.note(talk.turns.started("b", talk.now_ms))
    talk.sound(300)
    talk.quiet(PAUSE_MS)
    talk.note(talk.turns.failed("b", talk.now_ms))
    talk.quiet(WAIT_MS[Finish.OPEN])
    assert talk.texts == ["Two tickets."]
