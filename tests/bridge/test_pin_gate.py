"""Who is let in by a PIN, and who may still try."""

from __future__ import annotations

from bridge.engines import pin_gate
from bridge.engines.pin_gate import Gate, Lockouts

LOCKOUT_MS = 900_000


def gate(lockouts: Lockouts, number: str = "+13125550110", pin: str = "2580", setting: str = "CORDBOARD_PIN_A") -> Gate:
    return Gate(pin, setting, 3, LOCKOUT_MS, number, lockouts)


def test_the_right_pin_opens_and_makes_up_for_wrong_ones() -> None:
    lockouts = Lockouts()
    assert not gate(lockouts).opens("2581", 0)
    assert gate(lockouts).left(1) == 2
    assert gate(lockouts).opens("2580", 2)
    assert gate(lockouts).left(3) == 3


def test_what_is_not_the_whole_pin_is_wrong() -> None:
    for digits in ("", "258", "25800", "2580#"):
        assert not gate(Lockouts()).opens(digits, 0)


def test_hanging_up_gives_nobody_another_try() -> None:
    lockouts = Lockouts()
    for call in range(3):
        assert not gate(lockouts).opens("0000", call)
    assert gate(lockouts).left(3) == 0
    assert not gate(lockouts).opens("2580", 4)


def test_a_lockout_ends_and_concerns_one_number_at_one_gate() -> None:
    lockouts = Lockouts()
    for _ in range(3):
        gate(lockouts).opens("0000", 0)
    assert gate(lockouts, number="+13125550111").opens("2580", 1)
    assert gate(lockouts, setting="CORDBOARD_PIN_B").opens("2580", 1)
    assert gate(lockouts).left(LOCKOUT_MS - 1) == 0
    assert gate(lockouts).left(LOCKOUT_MS) == 3
    assert gate(lockouts).opens("2580", LOCKOUT_MS)


def test_who_withholds_the_number_shares_one() -> None:
    lockouts = Lockouts()
    for _ in range(3):
        gate(lockouts, number="").opens("0000", 0)
    assert not gate(lockouts, number="").opens("2580", 1)


def test_without_a_pin_nobody_is_let_in() -> None:
    closed = gate(Lockouts(), pin="")
    assert not closed.opens("", 0) and not closed.opens("2580", 0)
    assert closed.left(0) == 3


def test_not_all_numbers_are_remembered_for_ever() -> None:
    lockouts = Lockouts()
    lockouts.add("first", 0, 10)
    for number in range(pin_gate.KEPT_NUMBERS):
        lockouts.add(str(number), 5, 100 + number)
    assert not lockouts.count("first", 6) and lockouts.count("0", 6)
    lockouts.add("late", 50, 60)
    assert lockouts.count("late", 51) == 0 and lockouts.count("0", 51) == 1
    lockouts.add("later", 200, 300)
    assert lockouts.count("later", 201) == 1


def test_no_pin_shows_in_a_gate() -> None:
    assert "2580" not in repr(gate(Lockouts()))
