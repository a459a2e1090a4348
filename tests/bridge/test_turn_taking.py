"""When a caller begins, interrupts or is silent, in the cases that users of other systems complain of."""

from __future__ import annotations

import pytest

from bridge.engines.turn_taking import (
    ASSENT_INTERRUPTS_MS,
    BEGIN_MS,
    FORGET_MS,
    HALT_MS,
    INTERRUPT_MS,
    NO_WORDS_MS,
    RESUME_MS,
    SILENCE_MS,
    AreYouThere,
    Began,
    FalseAlarm,
    GiveUp,
    TurnTaking,
)
from tests.bridge.talk import Talk

# A caller begins.


def test_a_caller_who_speaks_while_the_ai_is_silent_has_the_turn_at_once() -> None:
    talk = Talk()
    talk.quiet(100)
    talk.sound(BEGIN_MS, level_db=-31.0)
    assert talk.told == [(200, Began("turn_1", 100, BEGIN_MS, -31.0, "", False))]


def test_words_begin_a_turn_even_if_no_sound_was_noticed() -> None:
    talk = Talk()
    talk.words("Hello")
    assert talk.told == [(0, Began("turn_1", 0, 0, -100.0, "Hello", False))]


def test_what_the_transcriber_noticed_begins_a_turn_while_the_ai_is_silent_only() -> None:
    talk = Talk()
    talk.note(talk.turns.started("a", 0))
    assert talk.heard(Began)
    busy = Talk()
    busy.ai_speaks()
    busy.note(busy.turns.started("a", 0))
    assert busy.told == []


def test_clicks_on_the_line_are_no_turn_however_many_there_are() -> None:
    talk = Talk()
    for _ in range(50):
        talk.sound(60)
        talk.quiet(300)
    assert talk.told == []


# A caller interrupts.


def test_real_words_interrupt_at_once_and_say_why() -> None:
    talk = Talk()
    talk.ai_speaks()
    talk.sound(300, level_db=-24.0)
    talk.words("Wait")
    assert talk.told == [(300, Began("turn_1", 0, 300, -24.0, "Wait", True))]


def test_long_sound_interrupts_before_its_words_are_known() -> None:
    talk = Talk()
    talk.ai_speaks()
    talk.sound(INTERRUPT_MS + 100)
    assert talk.told == [(INTERRUPT_MS, Began("turn_1", 0, INTERRUPT_MS, -20.0, "", True))]


@pytest.mark.parametrize("text", ["Mm-hm.", "Yeah.", "Uh-huh, okay.", "Thank you.", "Makes sense."])
def test_assent_does_not_interrupt(text: str) -> None:
    """livekit/agents#1061, #6750; dograh-hq/dograh#236; bolna-ai/bolna#223."""
    talk = Talk()
    talk.ai_speaks()
    talk.sound(400)
    talk.words(text)
    talk.sound(600)
    talk.words(text, final=True)
    talk.ended()
    talk.quiet(3000)
    talk.played()
    talk.quiet(2000)
    assert talk.told == []


@pytest.mark.parametrize("text", ["listen to me", "wait listen", "Yeah but wait.", "no", "stop"])
def test_few_words_that_mean_it_do_interrupt(text: str) -> None:
    """bolna-ai/bolna#223: a minimum of three words made callers unable to say "listen to me"."""
    talk = Talk()
    talk.ai_speaks()
    talk.sound(300)
    talk.words(text)
    assert talk.heard(Began)


@pytest.mark.parametrize(("language", "text"), [("de", "Ja, genau."), ("fr", "D'accord."), ("es", "Vale, claro.")])
def test_assent_is_known_in_other_languages(language: str, text: str) -> None:
    talk = Talk(TurnTaking(language=language))
    talk.ai_speaks()
    talk.words(text, final=True)
    assert talk.told == []


def test_assent_that_goes_on_and_on_is_more_than_assent() -> None:
    talk = Talk()
    talk.ai_speaks()
    talk.sound(400)
    talk.words("Yeah")
    talk.sound(ASSENT_INTERRUPTS_MS)
    assert talk.when(Began) == ASSENT_INTERRUPTS_MS


def test_noise_shorter_than_the_minimum_does_not_interrupt() -> None:
    """pipecat-ai/pipecat#1391."""
    talk = Talk()
    talk.ai_speaks()
    for _ in range(20):
        talk.sound(INTERRUPT_MS - 100)
        talk.quiet(400)
    assert talk.told == []


def test_who_goes_on_while_an_answer_is_being_made_halts_it_before_it_is_heard() -> None:
    """livekit/agents#3903: both begin to speak at the same time."""
    talk = Talk()
    talk.note(talk.turns.thinks(0))
    talk.sound(HALT_MS + 40)
    assert 0 < talk.when(Began) <= HALT_MS + 20


def test_a_yes_over_the_last_word_of_the_question_is_the_answer() -> None:
    talk = Talk()
    talk.ai_speaks()
    talk.sound(300)
    talk.words("Yes.", final=True)
    talk.quiet(300)
    talk.played()
    talk.quiet(1000)
    assert talk.heard(Began) == [Began("turn_1", 0, 300, -20.0, "Yes.", False)]
    assert talk.texts == ["Yes."]


def test_assent_in_the_middle_of_an_answer_is_forgotten_when_the_answer_is_over() -> None:
    talk = Talk()
    talk.ai_speaks()
    talk.words("Yes.", final=True)
    talk.wait(FORGET_MS + 20)
    talk.played()
    talk.words("Yes.", final=True)
    assert talk.told == []


# False alarms.


def test_the_ai_resumes_when_it_was_cut_for_noise() -> None:
    """livekit/agents#4039, #4360."""
    talk = Talk()
    talk.ai_speaks()
    talk.sound(600)
    talk.quiet(RESUME_MS + 20)
    assert talk.heard(FalseAlarm) == [FalseAlarm("turn_1", resume=True)]
    assert talk.when(FalseAlarm) == 600 + RESUME_MS


def test_the_ai_resumes_soon_when_it_was_cut_for_assent_whose_words_came_late() -> None:
    """livekit/agents#4039: "mhmm" stopped the agent, which did not go on."""
    talk = Talk()
    talk.ai_speaks()
    talk.sound(600)
    talk.quiet(100)
    talk.words("Mhmm.", final=True)
    talk.quiet(200)
    assert talk.heard(FalseAlarm) == [FalseAlarm("turn_1", resume=True)]


def test_interim_assent_may_become_more() -> None:
    talk = Talk()
    talk.ai_speaks()
    talk.sound(600)
    talk.words("Okay")
    talk.quiet(600)
    assert not talk.heard(FalseAlarm)
    talk.words("Okay, but not on Monday.", final=True)
    talk.quiet(800)
    assert talk.texts == ["Okay, but not on Monday."]


def test_a_cough_before_the_answer_is_heard_does_not_lose_the_answer() -> None:
    """livekit/agents#1229: the agent never answered."""
    talk = Talk()
    talk.words("Where is my order?", final=True)
    talk.wait(400)
    talk.note(talk.turns.thinks(talk.now_ms))
    talk.sound(400)
    talk.quiet(2000)
    assert talk.texts == ["Where is my order?"]
    assert talk.told[-1][1] == FalseAlarm("turn_2", resume=True)


def test_noise_that_never_stops_is_no_turn_for_ever() -> None:
    """kirklandsig/AIReceptionist#11: comfort noise defeats the silence detection."""
    talk = Talk(TurnTaking(silence_ms=8000))
    talk.played()
    talk.sound(40_000)
    assert len(talk.heard(Began)) == 1
    assert talk.when(FalseAlarm) <= NO_WORDS_MS + 200
    assert talk.heard(AreYouThere) == [AreYouThere(1), AreYouThere(2)]
    talk.quiet(400)
    talk.sound(200)
    assert len(talk.heard(Began)) == 2


def test_words_are_heard_in_spite_of_noise() -> None:
    talk = Talk()
    talk.sound(6000)
    talk.words("Hello", "a")
    talk.sound(1000)
    talk.words("Hello, is anybody there?", "a", final=True)
    talk.sound(1000)
    assert talk.texts == ["Hello, is anybody there?"]


def test_a_turn_ends_although_music_goes_on_behind_it() -> None:
    talk = Talk()
    talk.sound(1000)
    talk.words("I want a table.", final=True)
    talk.sound(NO_WORDS_MS + 100)
    assert talk.texts == ["I want a table."]


def test_a_part_that_cannot_be_written_down_is_a_false_alarm() -> None:
    talk = Talk()
    talk.sound(400)
    talk.note(talk.turns.started("a", talk.now_ms))
    talk.note(talk.turns.failed("b", talk.now_ms))
    assert not talk.heard(FalseAlarm)
    talk.note(talk.turns.failed("a", talk.now_ms))
    assert talk.heard(FalseAlarm) == [FalseAlarm("turn_1", resume=False)]


def test_words_that_are_taken_back_leave_a_false_alarm() -> None:
    talk = Talk()
    talk.words("Hm")
    talk.words("", final=True)
    talk.wait(RESUME_MS)
    assert [type(outcome) for _, outcome in talk.told] == [Began, FalseAlarm]


# Silence.


def test_who_says_nothing_is_asked_twice_and_then_given_up_once() -> None:
    talk = Talk()
    talk.played()
    talk.wait(SILENCE_MS - 1)
    assert talk.told == []
    talk.wait(20 * SILENCE_MS)
    assert talk.told == [
        (SILENCE_MS, AreYouThere(1)),
        (3 * SILENCE_MS, AreYouThere(2)),
        (5 * SILENCE_MS, GiveUp()),
    ]


def test_silence_counts_from_what_the_caller_has_heard() -> None:
    """pipecat-ai/pipecat#2741, #1124: the idle timer fired while the caller still listened."""
    talk = Talk()
    talk.ai_speaks()
    talk.wait(60_000)
    assert talk.told == []
    talk.played()
    talk.wait(SILENCE_MS)
    assert talk.told == [(60_000 + SILENCE_MS, AreYouThere(1))]


def test_a_tool_that_runs_long_is_no_silence_of_the_caller() -> None:
    talk = Talk()
    talk.note(talk.turns.thinks(0))
    talk.wait(60_000)
    assert talk.told == []


def test_the_question_itself_is_no_sign_of_life_but_an_answer_or_a_key_is() -> None:
    talk = Talk()
    talk.played()
    talk.wait(SILENCE_MS)
    talk.ai_speaks()
    talk.wait(1500)
    talk.played()
    talk.wait(2 * SILENCE_MS)
    assert talk.heard(AreYouThere) == [AreYouThere(1), AreYouThere(2)]
    talk.words("Yes.", final=True)
    talk.wait(1000 + SILENCE_MS)
    assert talk.heard(AreYouThere)[2:] == [AreYouThere(1)]
    talk.note(talk.turns.key(talk.now_ms))
    talk.wait(SILENCE_MS)
    assert talk.heard(AreYouThere)[3:] == [AreYouThere(1)]


def test_nobody_is_asked_while_they_speak_or_while_an_operator_has_the_floor() -> None:
    talk = Talk(TurnTaking(interim=False))
    talk.played()
    talk.sound(3 * SILENCE_MS)
    assert not talk.heard(AreYouThere)
    operator = Talk()
    operator.played()
    operator.note(operator.turns.caller_expected(False, 0))
    operator.wait(60_000)
    operator.note(operator.turns.caller_expected(True, operator.now_ms))
    operator.wait(SILENCE_MS - 1)
    assert operator.told == []
    operator.wait(1)
    assert operator.heard(AreYouThere) == [AreYouThere(1)]


def test_nothing_is_awaited_before_anything_happened() -> None:
    turns = TurnTaking()
    assert turns.next_at_ms() is None
    assert turns.tick(10_000) == []
    turns.key(10_000)
    assert turns.next_at_ms() is None
