"""The call's two tables: what an input does to phase and floor, and what is refused."""

from __future__ import annotations

import pytest

from bridge import call as c
from bridge.call import Call, Effect
from bridge.control import Floor, Party, Phase, Verb
from bridge.errors import NotAllowed

LIVE = (c.StreamStarted(), c.EngineReady())
TAKEN = (*LIVE, c.TakeOver("Ann"))
MUTED = (*LIVE, c.MuteAI(True))
HELD = (*LIVE, c.Hold("Ann"))
ALONE = (*TAKEN, c.EngineGone("no AI"))
"""An operator has the floor, and the AI was lost."""


def after(*inputs: c.Input) -> Call:
    call = Call()
    for one in inputs:
        call.apply(one)
    return call


def assert_refused(call: Call, input: c.Input, words: str) -> None:
    before = vars(call).copy()
    with pytest.raises(NotAllowed, match=words):
        call.apply(input)
    assert vars(call) == before


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
    assert call.apply(c.EngineGone("closed")) == ()
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
    assert call.apply(c.ConsoleGone("Ann")) == (Effect.CUT, *c.RESUME)
    assert_floor(call, Floor.AI)
    assert call.apply(c.ConsoleGone("Ann")) == ()


def test_an_ai_that_cannot_be_had_at_first_ends_the_call() -> None:
    call = after(c.StreamStarted())
    assert call.apply(c.EngineGone("no AI")) == (Effect.CLOSE_STREAM,)
    assert (call.phase, call.end_cause) == (Phase.ENDING, "no AI")
    call.apply(c.StreamStopped("we closed"))
    assert call.end_cause == "no AI"


@pytest.mark.parametrize("before", [LIVE, MUTED])
def test_a_lost_ai_rings_the_operators_and_whoever_comes_has_the_floor(before: tuple[c.Input, ...]) -> None:
    call = after(*before)
    assert call.apply(c.EngineGone("no AI")) == c.RING
    assert (call.phase, call.end_cause, call.is_ringing) == (Phase.LIVE, "", True)
    assert_floor(call, Floor.HOLD)
    assert call.apply(c.EngineGone("no AI, still")) == ()
    for useless in (c.HandBack("Ann"), c.Whisper("hint"), c.Unhold("Ann"), c.Hold("Ann"), c.Ask("this")):
        assert_refused(call, useless, "No AI can be had")
    assert call.apply(c.TakeOver("Ann")) == (Effect.CUT,)
    assert_floor(call, Floor.OPERATOR, "Ann")
    assert call.apply(c.RingOver()) == ()


def test_nobody_who_takes_a_ringing_call_ends_it_with_the_apology() -> None:
    call = after(*LIVE, c.EngineGone("no AI"))
    assert call.apply(c.RingOver()) == (Effect.CLOSE_STREAM,)
    assert (call.phase, call.end_cause) == (Phase.ENDING, "no AI, and nobody took the call")
    assert after(*LIVE).apply(c.RingOver()) == ()


def test_an_engine_that_can_be_had_again_has_a_ringing_call_back() -> None:
    call = after(*LIVE, c.EngineGone("no AI"))
    assert call.apply(c.Swap("cascade")) == (Effect.SWAP_ENGINE,)
    assert call.apply(c.EngineReady()) == c.AFTER_RING.effects
    assert_floor(call, Floor.AI)
    call = after(*ALONE)
    assert call.apply(c.EngineReady()) == ()
    assert_floor(call, Floor.OPERATOR, "Ann")
    assert call.apply(c.HandBack("Ann")) == c.RESUME


@pytest.mark.parametrize("before", [LIVE, MUTED, TAKEN, HELD])
def test_whoever_has_the_floor_another_engine_can_go_on(before: tuple[c.Input, ...]) -> None:
    call = after(*before)
    floor = call.floor
    assert call.apply(c.Swap("cascade")) == (Effect.SWAP_ENGINE,)
    assert call.floor is floor
    assert_refused(after(c.StreamStarted()), c.Swap("cascade"), "connect")


def test_a_lost_ai_does_not_end_a_call_that_a_person_holds() -> None:
    call = after(*TAKEN)
    assert call.apply(c.EngineGone("no AI")) == ()
    assert call.apply(c.EngineGone("no AI, still")) == ()
    assert (call.phase, call.end_cause) == (Phase.LIVE, "")
    assert_floor(call, Floor.OPERATOR, "Ann")
    for useless in (c.HandBack("Ann"), c.Whisper("hint")):
        assert_refused(call, useless, "The AI is gone")
    assert call.apply(c.ConsoleGone("Ann")) == c.RING
    assert (call.phase, call.end_cause) == (Phase.LIVE, "")


def test_a_call_without_an_ai_is_the_operators_to_end() -> None:
    call = after(*ALONE, c.HangUp())
    assert call.apply(c.ConsoleGone("Ann")) == ()
    assert (call.phase, call.end_cause) == (Phase.ENDING, "you hung up")


def test_an_ai_that_reports_ready_again_unmutes_nobody() -> None:
    call = after(*MUTED)
    assert call.apply(c.EngineReady()) == ()
    assert_floor(call, Floor.NOBODY)


def test_what_ends_nothing_is_no_cause_of_an_end() -> None:
    call = after(*LIVE, c.EndOverdue(), c.HangUp())
    assert call.end_cause == "you hung up"


# ── hold ──


@pytest.mark.parametrize(
    ("before", "on_hold", "off_hold", "floor", "holder"),
    [
        (
            LIVE,
            (Effect.CUT, Effect.SILENCE_AI, Effect.PLAY_HOLD),
            (Effect.CUT, Effect.TELL_HOLD_OVER, Effect.LET_AI_ANSWER, Effect.ANSWER_NOW),
            Floor.AI,
            "",
        ),
        (MUTED, (Effect.CUT, Effect.SILENCE_AI, Effect.PLAY_HOLD), (Effect.CUT,), Floor.NOBODY, ""),
        (TAKEN, (Effect.CUT, Effect.PLAY_HOLD), (Effect.CUT,), Floor.OPERATOR, "Ann"),
    ],
)
def test_after_a_hold_the_floor_is_whose_it_was(
    before: tuple[c.Input, ...],
    on_hold: tuple[Effect, ...],
    off_hold: tuple[Effect, ...],
    floor: Floor,
    holder: str,
) -> None:
    call = after(*before)
    assert call.apply(c.Hold("Ann")) == on_hold
    assert_floor(call, Floor.HOLD, "Ann")
    assert_refused(call, c.Hold("Ann"), "on hold already")
    assert call.apply(c.CallerSpoke()) == ()
    assert call.apply(c.Unhold("Ann")) == off_hold
    assert_floor(call, floor, holder)
    assert_refused(call, c.Unhold("Ann"), "not on hold")


def test_a_second_hold_remembers_the_floor_before_it_and_no_older_one() -> None:
    call = after(*HELD, c.Unhold("Ann"), c.MuteAI(True), c.Hold("Ann"), c.Unhold("Ann"))
    assert_floor(call, Floor.NOBODY)


def test_from_hold_one_takes_over_or_hands_back() -> None:
    call = after(*HELD)
    assert call.apply(c.TakeOver("Ann")) == (Effect.CUT,)
    assert_floor(call, Floor.OPERATOR, "Ann")
    for before in (HELD, (*MUTED, c.Hold("Ann")), (*TAKEN, c.Hold("Ann"))):
        call = after(*before)
        assert call.apply(c.HandBack("Ann", "we agreed")) == (Effect.CUT, *c.RESUME)
        assert_floor(call, Floor.AI)


@pytest.mark.parametrize("before", [LIVE, MUTED, TAKEN])
def test_an_ai_lost_during_a_hold_leaves_the_call_to_the_person(before: tuple[c.Input, ...]) -> None:
    call = after(*before, c.Hold("Ann"))
    assert call.apply(c.EngineGone("no AI")) == ()
    assert (call.phase, call.end_cause) == (Phase.LIVE, "")
    assert_floor(call, Floor.HOLD, "Ann")
    assert_refused(call, c.HandBack("Ann"), "The AI is gone")
    assert call.apply(c.Unhold("Ann")) == (Effect.CUT,)
    assert_floor(call, Floor.OPERATOR, "Ann")


def test_a_console_lost_during_a_hold_leaves_the_caller_to_the_ai() -> None:
    for before in (HELD, (*MUTED, c.Hold("Ann")), (*TAKEN, c.Hold("Ann"))):
        call = after(*before)
        assert call.apply(c.ConsoleGone("Bob")) == ()
        assert call.apply(c.ConsoleGone("Ann")) == (Effect.CUT, *c.RESUME)
        assert_floor(call, Floor.AI)


def test_a_hold_without_console_and_ai_rings_the_operators() -> None:
    call = after(*HELD, c.EngineGone("no AI"))
    assert call.apply(c.ConsoleGone("Ann")) == c.RING
    assert_floor(call, Floor.HOLD)


def test_a_held_call_can_be_hung_up() -> None:
    call = after(*HELD)
    assert call.apply(c.HangUp())[0] is Effect.CUT
    assert_refused(call, c.Unhold("Ann"), "is ending")
    assert call.apply(c.StreamStopped("stop")) == c.END
    assert_floor(call, Floor.NOBODY)


# ── privacy ──


@pytest.mark.parametrize("state", [LIVE, MUTED, TAKEN, HELD])
def test_privacy_leaves_the_floor_where_it_is(state: tuple[c.Input, ...]) -> None:
    call = after(*state)
    floor, holder = call.floor, call.holder
    assert call.apply(c.Privacy("Bob", True)) == (Effect.GO_PRIVATE,)
    assert (call.private, call.private_by) == (True, "Bob")
    assert call.apply(c.Privacy("Ann", True)) == ()
    assert call.private_by == "Bob"
    assert call.apply(c.Privacy("Ann", False)) == (Effect.GO_PUBLIC,)
    assert (call.private, call.private_by) == (False, "")
    assert call.apply(c.Privacy("Ann", False)) == ()
    assert_floor(call, floor, holder)


def test_privacy_outlives_the_console_that_began_it() -> None:
    call = after(*TAKEN, c.Privacy("Ann", True))
    assert call.apply(c.ConsoleGone("Ann")) == (Effect.CUT, *c.RESUME)
    assert (call.private, call.private_by) == (True, "Ann")
    assert_floor(call, Floor.AI)


# ── words and keys ──


def test_keys_go_out_unless_the_caller_is_on_hold() -> None:
    for state in (LIVE, MUTED, TAKEN):
        assert after(*state).apply(c.PressKeys("1#", "Ann")) == (Effect.PRESS_KEYS,)
    assert_refused(after(*HELD), c.PressKeys("1#", "Ann"), "Take them off hold first")


def test_exact_words_are_said_unless_the_caller_is_on_hold() -> None:
    for state in (LIVE, MUTED, TAKEN, ALONE):
        assert after(*state).apply(c.Say("One moment.", "Ann")) == (Effect.PASS_SAY,)
    assert_refused(after(*HELD), c.Say("One moment.", "Ann"), "Take them off hold first")


def test_whisper_and_ask_reach_the_ai() -> None:
    call = after(*LIVE)
    assert call.apply(c.Whisper("hint")) == (Effect.PASS_WHISPER,)
    assert call.apply(c.Ask("their order number")) == (Effect.PASS_ASK,)
    for state in (MUTED, TAKEN, HELD):
        assert after(*state).apply(c.Whisper("hint")) == (Effect.PASS_WHISPER,)
    assert_refused(after(*MUTED), c.Ask("x"), "Unmute it first")
    for asks_the_ai in (c.Ask("x"), c.Interrupt(), c.MuteAI(True)):
        assert_refused(after(*TAKEN), asks_the_ai, "Ann has the floor, so the AI is silent. Hand back first.")
        assert_refused(after(*HELD), asks_the_ai, "The caller is on hold. Take them off hold first.")


def test_another_console_is_told_whom_to_ask() -> None:
    for by_other in (c.Hold("Bob"), c.Say("x", "Bob"), c.PressKeys("1", "Bob")):
        assert_refused(after(*TAKEN), by_other, "Ann has the floor. Ask them, or wait.")
    for by_other in (c.TakeOver("Bob"), c.Unhold("Bob")):
        assert_refused(after(*HELD), by_other, "Ann put the caller on hold. Ask them, or wait.")
    assert_refused(after(*HELD), c.HandBack("Bob"), "Ann put the caller on hold; only they can hand it back.")
    for never_was in (c.HandBack("Bob"), c.Unhold("Bob")):
        assert_refused(after(*LIVE), never_was, "was not taken over|is not on hold")


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
    for verb in (
        *(c.Interrupt(), c.TakeOver("Ann"), c.HandBack("Ann"), c.Say("x"), c.Whisper("x")),
        *(c.Hold("Ann"), c.Unhold("Ann"), c.PressKeys("1"), c.Privacy("Ann", True)),
    ):
        assert_refused(call, verb, words)


def test_hang_up_is_refused_only_when_the_call_is_over_anyway() -> None:
    for inputs in ((), (c.StreamStarted(),), LIVE, TAKEN, MUTED):
        after(*inputs).apply(c.HangUp())
    for inputs in ((*LIVE, c.HangUp()), (*LIVE, c.StreamStopped("x"))):
        with pytest.raises(NotAllowed):
            after(*inputs).apply(c.HangUp())


def test_allowed_is_what_apply_accepts() -> None:
    theirs = {Verb.HAND_BACK, Verb.UNHOLD}
    anyones = {Verb.WHISPER, Verb.PRIVACY, Verb.SWAP, Verb.HANG_UP}
    assert set(after(*LIVE).allowed()) == set(Verb) - theirs
    assert set(after(*MUTED).allowed()) == set(Verb) - theirs - {Verb.ASK}
    assert set(after(*TAKEN).allowed()) == anyones | {Verb.HAND_BACK, Verb.HOLD, Verb.SAY, Verb.KEYS}
    assert set(after(*HELD).allowed()) == anyones | {Verb.HAND_BACK, Verb.UNHOLD, Verb.TAKE_OVER}
    assert after().allowed() == (Verb.HANG_UP,)
    assert after(*LIVE, c.HangUp()).allowed() == ()
