"""The call's two tables: what an input does to phase and floor, and what is refused."""

from __future__ import annotations

import itertools

import pytest

from bridge import call as c
from bridge.call import Call, Effect
from bridge.control import Floor, Party, Phase, Verb
from bridge.errors import NotAllowed

LIVE = (c.StreamStarted(), c.EngineReady())
TAKEN = (*LIVE, c.TakeOver("Ann"))
MUTED = (*LIVE, c.MuteAI(True))


def after(*inputs: c.Input) -> Call:
    call = Call()
    for one in inputs:
        call.apply(one)
    return call


def assert_floor(call: Call, floor: Floor, holder: str = "") -> None:
    assert (call.floor, call.holder) == (floor, holder)


def test_a_call_is_answered_and_greeted_by_the_ai() -> None:
    call = Call()
    assert call.apply(c.StreamStarted()) == (Effect.OPEN_ENGINE,)
    assert call.phase is Phase.CONNECTING
    assert call.apply(c.EngineReady()) == (Effect.GREET,)
    assert call.phase is Phase.LIVE
    assert_floor(call, Floor.AI)


def test_the_caller_hangs_up() -> None:
    call = after(*LIVE)
    assert call.apply(c.StreamStopped("caller hung up")) == c.END
    assert (call.phase, call.end_cause) == (Phase.ENDED, "caller hung up")
    assert_floor(call, Floor.NOBODY)
    assert call.apply(c.CarrierEnded("completed")) == ()
    assert call.end_cause == "caller hung up"


@pytest.mark.parametrize(("status", "cause"), [("completed", "caller hung up"), ("busy", "busy")])
def test_the_carriers_word_ends_a_call(status: str, cause: str) -> None:
    call = after(*LIVE)
    call.apply(c.CarrierEnded(status))
    assert call.end_cause == cause


def test_the_operator_hangs_up_and_the_carrier_confirms() -> None:
    call = after(*LIVE)
    assert call.apply(c.HangUp()) == (Effect.CUT, Effect.CLOSE_ENGINE, Effect.HANG_UP_CARRIER)
    assert call.phase is Phase.ENDING
    assert call.apply(c.StreamStopped("stop")) == c.END
    assert (call.phase, call.end_cause) == (Phase.ENDED, "you hung up")


@pytest.mark.parametrize(
    ("hang_up", "cause"),
    [
        (c.HangUp(Party.AI), "the AI hung up"),
        (c.HangUp(Party.NOBODY), "time limit"),
        (c.HangUp(Party.NOBODY, "the bridge was stopped"), "the bridge was stopped"),
    ],
)
def test_others_may_hang_up_too(hang_up: c.HangUp, cause: str) -> None:
    call = after(*LIVE, hang_up)
    assert (call.phase, call.end_cause) == (Phase.ENDING, cause)
    assert call.apply(c.HangUp(Party.NOBODY)) == ()


def test_an_end_that_is_never_confirmed_is_given_up() -> None:
    call = after(*LIVE, c.HangUp())
    assert call.apply(c.EndOverdue()) == c.END
    ringing = Call()
    ringing.apply(c.EndOverdue())
    assert (ringing.phase, ringing.end_cause) == (Phase.ENDED, "never connected")


def test_a_call_hung_up_while_it_rings_does_not_come_alive() -> None:
    call = after(c.HangUp())
    assert call.apply(c.StreamStarted()) == (Effect.HANG_UP_CARRIER,)
    assert call.phase is Phase.ENDING


def test_interrupt_and_barge_in_cut_and_leave_the_floor() -> None:
    for cut in (c.Interrupt(), c.CallerSpoke()):
        call = after(*LIVE)
        assert call.apply(cut) == (Effect.CUT,)
        assert_floor(call, Floor.AI)


def test_the_caller_speaking_cuts_nobody_elses_words() -> None:
    assert after(*TAKEN).apply(c.CallerSpoke()) == ()
    assert after(*MUTED).apply(c.CallerSpoke()) == ()


def test_mute_is_a_toggle_that_tolerates_being_pressed_twice() -> None:
    call = after(*LIVE)
    assert call.apply(c.MuteAI(True)) == c.SILENCE
    assert_floor(call, Floor.NOBODY)
    assert call.apply(c.MuteAI(True)) == ()
    assert call.apply(c.Interrupt()) == (Effect.CUT,)
    assert call.apply(c.MuteAI(False)) == (Effect.LET_AI_ANSWER, Effect.ANSWER_NOW)
    assert_floor(call, Floor.AI)
    assert call.apply(c.MuteAI(False)) == ()


def test_take_over_and_hand_back() -> None:
    call = after(*LIVE)
    assert call.apply(c.TakeOver("Ann")) == c.SILENCE
    assert_floor(call, Floor.OPERATOR, "Ann")
    assert call.apply(c.HandBack("Ann", "refund agreed")) == c.RESUME
    assert_floor(call, Floor.AI)


def test_a_muted_call_can_be_taken_over_and_comes_back_to_the_ai() -> None:
    call = after(*MUTED, c.TakeOver("Ann"))
    assert_floor(call, Floor.OPERATOR, "Ann")
    call.apply(c.HandBack("Ann"))
    assert_floor(call, Floor.AI)


def test_one_console_holds_the_floor() -> None:
    call = after(*TAKEN)
    with pytest.raises(NotAllowed, match="Ann already has the floor"):
        call.apply(c.TakeOver("Bob"))
    with pytest.raises(NotAllowed, match="only they can hand it back"):
        call.apply(c.HandBack("Bob"))
    assert_floor(call, Floor.OPERATOR, "Ann")


def test_the_floor_returns_when_its_holder_is_gone() -> None:
    call = after(*TAKEN)
    assert call.apply(c.ConsoleGone("Bob")) == ()
    assert call.apply(c.ConsoleGone("Ann")) == c.RESUME
    assert_floor(call, Floor.AI)
    assert call.apply(c.ConsoleGone("Ann")) == ()


def test_a_lost_ai_ends_the_call() -> None:
    for state in ((c.StreamStarted(),), LIVE, MUTED):
        call = after(*state)
        assert call.apply(c.EngineGone("no AI")) == (Effect.CLOSE_STREAM,)
        assert (call.phase, call.end_cause) == (Phase.ENDING, "no AI")
        call.apply(c.StreamStopped("we closed"))
        assert call.end_cause == "no AI"


def test_a_lost_ai_does_not_end_a_call_that_a_person_holds() -> None:
    call = after(*TAKEN)
    assert call.apply(c.EngineGone("no AI")) == ()
    assert (call.phase, call.end_cause) == (Phase.LIVE, "")
    assert_floor(call, Floor.OPERATOR, "Ann")
    with pytest.raises(NotAllowed, match="The AI is gone"):
        call.apply(c.HandBack("Ann"))
    assert call.apply(c.ConsoleGone("Ann")) == (Effect.CLOSE_STREAM,)
    assert (call.phase, call.end_cause) == (Phase.ENDING, "the operator's window was lost")


def test_whisper_ask_and_say_reach_the_engine() -> None:
    call = after(*LIVE)
    assert call.apply(c.Whisper("hint")) == (Effect.PASS_WHISPER,)
    assert call.apply(c.Ask("their order number")) == (Effect.PASS_ASK,)
    assert call.apply(c.Say("One moment.")) == (Effect.PASS_SAY,)
    muted = after(*MUTED)
    assert muted.apply(c.Whisper("hint")) == (Effect.PASS_WHISPER,)
    assert muted.apply(c.Say("One moment.")) == (Effect.PASS_SAY,)
    with pytest.raises(NotAllowed, match="Unmute it first"):
        muted.apply(c.Ask("x"))
    taken = after(*TAKEN)
    assert taken.apply(c.Whisper("hint")) == (Effect.PASS_WHISPER,)
    for silent in (c.Ask("x"), c.Say("x"), c.Interrupt(), c.MuteAI(True)):
        with pytest.raises(NotAllowed, match="You have the floor"):
            taken.apply(silent)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ((), "still ringing"),
        ((c.StreamStarted(),), "still connecting"),
        ((*LIVE, c.HangUp()), "is ending"),
        ((*LIVE, c.StreamStopped("x")), "has ended"),
    ],
)
def test_verbs_wait_for_a_live_call(inputs: tuple[c.Input, ...], words: str) -> None:
    call = after(*inputs)
    for verb in (c.Interrupt(), c.TakeOver("Ann"), c.HandBack("Ann"), c.Say("x"), c.Whisper("x")):
        with pytest.raises(NotAllowed, match=words):
            call.apply(verb)


def test_hang_up_is_refused_only_when_the_call_is_over_anyway() -> None:
    for inputs in ((), (c.StreamStarted(),), LIVE, TAKEN, MUTED):
        after(*inputs).apply(c.HangUp())
    for inputs in ((*LIVE, c.HangUp()), (*LIVE, c.StreamStopped("x"))):
        with pytest.raises(NotAllowed):
            after(*inputs).apply(c.HangUp())


def test_allowed_is_what_apply_accepts() -> None:
    assert set(after(*LIVE).allowed()) == set(Verb) - {Verb.HAND_BACK}
    assert set(after(*TAKEN).allowed()) == {Verb.WHISPER, Verb.HAND_BACK, Verb.HANG_UP}
    assert set(after(*MUTED).allowed()) == set(Verb) - {Verb.HAND_BACK, Verb.ASK}
    assert after().allowed() == (Verb.HANG_UP,)
    assert after(*LIVE, c.HangUp()).allowed() == ()


def test_a_refused_input_changes_nothing() -> None:
    call = after(*TAKEN)
    before = vars(call).copy()
    with pytest.raises(NotAllowed):
        call.apply(c.TakeOver("Bob"))
    assert vars(call) == before


EVERY = (
    c.StreamStarted(),
    c.EngineReady(),
    c.EngineGone("gone"),
    c.StreamStopped("stop"),
    c.CarrierEnded("completed"),
    c.EndOverdue(),
    c.CallerSpoke(),
    c.Interrupt(),
    c.MuteAI(True),
    c.MuteAI(False),
    c.TakeOver("Ann"),
    c.TakeOver("Bob"),
    c.HandBack("Ann"),
    c.HandBack("Bob"),
    c.ConsoleGone("Ann"),
    c.HangUp(),
    c.HangUp(Party.NOBODY),
)


def test_every_order_of_four_inputs_leaves_one_owner_and_an_honest_end() -> None:
    for order in itertools.product(EVERY, repeat=4):
        call = after(*LIVE)
        for one in order:
            was = call.phase
            try:
                effects = call.apply(one)
            except NotAllowed:
                continue
            assert (call.floor is Floor.OPERATOR) == bool(call.holder)
            if was is not Phase.ENDED and call.phase is Phase.ENDED:
                assert call.end_cause
                assert effects[-1] is Effect.FINISH
            elif was is Phase.ENDED:
                assert effects == ()
