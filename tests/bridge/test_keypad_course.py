"""One call's way through a menu, and through a PIN before it."""

from __future__ import annotations

import json
import tomllib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.engines import Because, Destination
from bridge.engines.keypad_course import LEAVING_MS, Course, Leave, Run, Speak
from bridge.engines.keypad_menu import Menu
from bridge.engines.pin_gate import Gate, Lockouts

MENU = """
title = "Desk"
greeting = "Hello."
taking_over = "I take over."
because = { lost = "It is lost.", budget = "It is spent." }
wrong = "Wrong."
help = "Use the keys."
rounds = 3
no_input_s = 6
key_s = 4
[last]
say = "Sorry."
go = "operator"
[pin]
greeting = "Greeting."
ask = "PIN?"
wrong = "Wrong PIN."
right = "Welcome."
refused = "Refused."
locked = "Locked."
closed = "Closed."

[places.main]
say = "Main."
[places.main.keys]
1 = { go = "order" }
2 = { say = "News." }
3 = { go = "ai" }
4 = { say = "Bye.", go = "hang_up" }
5 = { go = "news" }
6 = { go = "code" }
7 = { say = "Look.", tool = { name = "look", then = "Found {n|some}.", failed = "Not found." } }
0 = { say = "Wait.", go = "operator" }
[places.news]
say = "All is well."
go = "main"
[places.order]
say = "Order?"
[places.order.collect]
name = "order"
least = 2
most = 4
[places.order.collect.then]
say = "{entered.order|}."
go = "main"
tool = { name = "find", arguments = { order = "{entered.order|}", n = [1, "x"] }, then = "Found {n|some}." }
[places.code]
say = "Code?"
[places.code.collect]
name = "code"
most = 3
masked = true
[places.code.collect.then]
go = "main"
tool = { name = "check", arguments = { code = "{entered.code|}" }, then = "Checked." }
"""
PIN = "2580"
AI = Leave(Destination.AI)


def menu(text: str = MENU) -> Menu:
    return msgspec.convert(tomllib.loads(text), Menu)


def gate(pin: str = PIN, lockouts: Lockouts | None = None, attempts: int = 3) -> Gate:
    return Gate(pin, "CORDBOARD_PIN_DESK", attempts, 60_000, "+13125550110", lockouts or Lockouts())


def press(course: Course, keys: str) -> list[object]:
    """What the last of these keys led to."""
    acts: list[object] = []
    for key in keys:
        acts = [*course.key(key, 0)]
    return acts


@pytest.fixture
def course() -> Course:
    """A call that has heard the menu."""
    course = Course(menu())
    assert course.begin("", 0) == [Speak("Hello. Main.")]
    return course


# ── the menu ──────────────────────────────────────────────────────────────────────────────


def test_the_profiles_line_opens_where_the_menu_has_no_greeting() -> None:
    plain = menu(MENU.replace('greeting = "Hello."', ""))
    assert Course(plain).begin("I am the desk.", 0) == [Speak("I am the desk. Main.")]
    assert Course(plain).begin("", 0) == [Speak("Main.")]


def test_a_menu_that_takes_over_says_so_once() -> None:
    course = Course(menu())
    assert course.again(0) == [Speak("I take over. Main.")]
    assert course.again(0) == [Speak("Main.")]


def test_a_menu_that_comes_instead_of_another_engine_says_why() -> None:
    spent = Course(menu(), because=Because.BUDGET)
    assert spent.again(0) == [Speak("It is spent. I take over. Main.")]
    assert spent.again(0) == [Speak("Main.")]
    assert Course(menu(), because=Because.LOST).begin("", 0) == [Speak("Hello. It is lost. Main.")]
    assert Course(menu(), because=Because.BY_HAND).again(0) == [Speak("I take over. Main.")]


def test_a_menu_that_nobody_begins_begins_by_itself() -> None:
    assert Course(menu()).silence(True, 0) == [Speak("I take over. Main.")]


def test_a_key_says_something_and_the_place_again(course: Course) -> None:
    assert press(course, "2") == [Speak("News. Main.")]


def test_a_place_without_keys_goes_on_by_itself(course: Course) -> None:
    assert press(course, "5") == [Speak("All is well. Main.")]


def test_the_call_goes_on_elsewhere_once_the_words_were_heard(course: Course) -> None:
    assert course.heard() == []
    assert press(course, "4") == [Speak("Bye.")]
    assert course.patience_ms == LEAVING_MS
    assert course.heard() == [Leave(Destination.HANG_UP)]
    assert course.patience_ms is None and not course.takes_keys
    assert course.heard() == [] and press(course, "1") == [] and course.silence(False, 0) == []
    assert course.again(0) == [Leave(Destination.HANG_UP)]


def test_without_words_it_goes_on_at_once(course: Course) -> None:
    assert press(course, "3") == [AI]


@pytest.mark.parametrize("what", ["key", "silence", "again"])
def test_words_before_the_end_that_are_cut_do_not_put_it_off_for_long(course: Course, what: str) -> None:
    press(course, "4")
    ways = {"key": lambda: course.key("2", 0), "silence": lambda: course.silence(False, 0)}
    assert ways.get(what, lambda: course.again(0))() == [Leave(Destination.HANG_UP)]


def test_who_waits_for_a_person_may_choose_something_else(course: Course) -> None:
    press(course, "0")
    assert course.heard() == [Leave(Destination.OPERATOR)]
    assert course.patience_ms is None and course.silence(True, 0) == []
    assert press(course, "2") == [Speak("News. Main.")]
    assert course.patience_ms == 6000


def test_the_menu_comes_back_when_the_person_hands_back(course: Course) -> None:
    press(course, "0")
    course.heard()
    assert course.again(0) == [Speak("Main.")]


def test_silence_and_wrong_keys_are_answered_and_then_given_up(course: Course) -> None:
    assert course.patience_ms == 6000
    assert course.silence(False, 0) == [Speak("Main.")]
    assert press(course, "9") == [Speak("Wrong. Main.")]
    assert course.silence(True, 0) == [Speak("Sorry.")]
    assert course.heard() == [Leave(Destination.OPERATOR, "The caller pressed no key that helped.")]


def test_a_caller_who_speaks_hears_that_keys_are_needed(course: Course) -> None:
    assert course.silence(True, 0) == [Speak("Use the keys. Main.")]


def test_a_key_that_helps_begins_the_count_anew(course: Course) -> None:
    course.silence(False, 0)
    course.silence(False, 0)
    press(course, "2")
    assert course.silence(False, 0) == [Speak("Main.")]


def test_a_key_during_the_last_words_shows_that_somebody_is_there(course: Course) -> None:
    for _ in range(3):
        course.silence(False, 0)
    assert press(course, "2") == [Speak("News. Main.")]
    assert course.heard() == []


# ── tools and entries ─────────────────────────────────────────────────────────────────────


def test_a_tool_is_run_and_its_answer_told(course: Course) -> None:
    assert press(course, "7") == [Speak("Look."), Run("look", "{}", "{}")]
    assert course.patience_ms is None and course.heard() == []
    assert press(course, "1") == [] and course.silence(False, 0) == [] and course.again(0) == []
    assert course.tool_answered('{"n": 2}') == [Speak("Found two. Main.")]
    assert course.tool_answered('{"n": 3}') == []


def test_a_tool_that_fails_is_told_too(course: Course) -> None:
    press(course, "7")
    assert course.tool_answered("The tool failed (KeyError).") == [Speak("Not found. Main.")]


def test_an_entry_ends_with_its_last_digit_and_goes_to_a_tool(course: Course) -> None:
    assert press(course, "1") == [Speak("Order?")]
    assert press(course, "884") == []
    assert course.patience_ms == 4000
    said, run = press(course, "1")
    assert said == Speak("8 8 4 1.")
    assert isinstance(run, Run) and json.loads(run.arguments) == {"order": "8841", "n": [1, "x"]}
    assert run.shown == run.arguments


def test_an_entry_ends_with_the_hash_key_or_a_pause(course: Course) -> None:
    press(course, "1")
    assert press(course, "88#")[0] == Speak("8 8.")
    course.tool_answered("{}")
    press(course, "188")
    assert course.silence(False, 0)[0] == Speak("8 8.")


def test_an_entry_can_be_begun_again(course: Course) -> None:
    press(course, "1")
    assert press(course, "99*88#")[0] == Speak("8 8.")


def test_an_entry_that_is_forgotten_is_waited_for_like_the_first_key(course: Course) -> None:
    press(course, "188")
    course.forget_digits()
    assert course.patience_ms == 6000
    assert press(course, "77#")[0] == Speak("7 7.")


def test_too_short_an_entry_is_asked_for_again(course: Course) -> None:
    press(course, "1")
    assert press(course, "8#") == [Speak("Wrong. Order?")]
    assert course.silence(False, 0) == [Speak("Order?")]


def test_a_masked_entry_is_given_to_its_tool_and_shown_to_nobody(course: Course) -> None:
    assert not course.masked
    press(course, "6")
    assert course.masked
    assert press(course, "123") == []
    (run,) = press(course, "#")
    assert run == Run("check", '{"code":"123"}', '{"code":"•••"}')
    assert "123" not in repr(run)
    course.tool_answered("{}")
    assert not course.masked


def test_a_masked_entry_with_a_digit_too_many_is_wrong(course: Course) -> None:
    press(course, "6")
    assert press(course, "12345#") == [Speak("Wrong. Code?")]


def test_a_cards_number_is_masked_too() -> None:
    course = Course(menu(MENU.replace("most = 4", "most = 16")))
    press(course, "1")
    _, run = press(course, "4111111111111111")
    assert isinstance(run, Run) and "4111" in run.arguments and "4111" not in run.shown


# ── the gate ──────────────────────────────────────────────────────────────────────────────


def test_the_right_pin_leads_to_the_ai() -> None:
    course = Course(menu(), gate())
    assert course.begin("I am an AI.", 0) == [Speak("Greeting. PIN?")]
    assert course.masked
    assert press(course, PIN) == []
    assert press(course, "#") == [Speak("Welcome.")]
    assert course.masked
    assert course.heard() == [AI]
    assert not course.masked and course.again(0) == [AI] and press(course, "1") == []


def test_a_pause_ends_the_pin_and_a_star_begins_it_again() -> None:
    course = Course(menu(), gate())
    course.again(0)
    press(course, f"1*{PIN}")
    assert course.silence(False, 0) == [Speak("Welcome.")]
    assert press(course, "1") == [AI]


def test_a_wrong_pin_is_asked_for_again_and_then_refused() -> None:
    course = Course(menu(), gate())
    course.begin("", 0)
    for _ in range(2):
        assert press(course, "1111#") == [Speak("Wrong PIN. PIN?")]
    assert press(course, "1111#") == [Speak("Refused.")]
    assert press(course, f"{PIN}#") == [] and course.masked
    assert course.silence(False, 0) == [Leave(Destination.HANG_UP, "The caller did not enter the right PIN.")]
    assert press(course, f"{PIN}#") == [] and course.masked
    assert course.again(0) == [Leave(Destination.HANG_UP, "The caller did not enter the right PIN.")]


def test_a_menu_may_send_those_who_are_refused_to_a_person() -> None:
    course = Course(menu(MENU.replace('closed = "Closed."', 'closed = "Closed."\ngo = "operator"')), gate(attempts=1))
    course.begin("", 0)
    press(course, "1#")
    (leave,) = course.heard()
    assert isinstance(leave, Leave) and leave.to is Destination.OPERATOR
    assert not course.takes_keys and course.masked and course.again(0) == [leave]


def test_more_digits_than_any_pin_has_are_wrong() -> None:
    course = Course(menu(), gate(pin="1" * 12))
    course.begin("", 0)
    assert press(course, "1" * 13 + "#") == [Speak("Wrong PIN. PIN?")]
    assert press(course, "1" * 12 + "#") == [Speak("Welcome.")]


def test_no_pin_at_all_is_no_attempt_but_not_waited_for_for_ever() -> None:
    course = Course(menu(), gate(attempts=1))
    course.begin("", 0)
    assert press(course, "#") == [Speak("PIN?")]
    assert course.silence(True, 0) == [Speak("Use the keys. PIN?")]
    assert course.silence(False, 0) == [Speak("Sorry.")]
    assert press(course, "2") == [] and course.masked
    assert press(course, "580#") == [Speak("Welcome.")]


def test_who_never_presses_a_key_at_the_gate_goes_where_the_gate_says() -> None:
    course = Course(menu(), gate())
    course.begin("", 0)
    for _ in range(3):
        course.silence(False, 0)
    assert course.heard() == [Leave(Destination.HANG_UP, "The caller pressed no key that helped.")]
    assert course.masked


def test_a_locked_number_is_turned_away_at_once() -> None:
    lockouts = Lockouts()
    first = Course(menu(), gate(lockouts=lockouts))
    press(first, "1#2#3#")
    second = Course(menu(), gate(lockouts=lockouts))
    assert second.begin("", 1) == [Speak("Greeting. Locked.")]
    assert press(second, f"{PIN}#") == []


def test_a_number_that_is_locked_meanwhile_is_refused_even_with_the_right_pin() -> None:
    lockouts = Lockouts()
    calls = [Course(menu(), gate(lockouts=lockouts)) for _ in range(2)]
    for call in calls:
        call.begin("", 0)
    press(calls[0], "1#2#3#")
    assert press(calls[1], f"{PIN}#") == [Speak("Refused.")]


def test_without_a_pin_to_compare_with_nobody_is_let_in() -> None:
    course = Course(menu(), gate(pin=""))
    assert course.begin("", 0) == [Speak("Greeting. Closed.")]
    assert press(course, "#") == []
    (leave,) = course.heard()
    assert isinstance(leave, Leave) and leave.why.startswith("CORDBOARD_PIN_DESK holds no PIN")


STEPS = st.lists(
    st.sampled_from([*"0123456789*#", f"{PIN}#", "silence", "speech", "heard", "again", "forget"]), max_size=40
)


def played(pin: str, steps: list[str], other: dict[int, int]) -> list[object]:
    """All that comes out of a gated call, and whether keys are masked at each step."""
    course = Course(menu(), gate(pin.translate(other)))
    out: list[object] = [*course.begin("", 0)]
    for step in steps:
        match step:
            case "silence" | "speech":
                out += course.silence(step == "speech", 0)
            case "heard":
                out += course.heard()
            case "again":
                out += course.again(0)
            case "forget":
                course.forget_digits()
            case keys:
                for key in keys.translate(other):
                    out += course.key(key, 0)
        out.append(course.masked)
    return out


@given(STEPS, st.permutations("0123456789"))
def test_nothing_that_comes_out_of_a_gate_tells_one_digit_from_another(steps: list[str], digits: list[str]) -> None:
    """The same with other digits, the PIN's changed alike, gives the very same."""
    assert played(PIN, steps, {}) == played(PIN, steps, str.maketrans("0123456789", "".join(digits)))


@given(STEPS)
def test_keys_stay_masked_until_the_ai_may_come(steps: list[str]) -> None:
    out = played(PIN, steps, {})
    assert (False in out) == (AI in out)
    assert False not in out or AI in out[: out.index(False)]
