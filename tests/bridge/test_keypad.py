"""Keypad keys: their tones, and what of them may be shown."""

from __future__ import annotations

import math

import pytest

from bridge import keypad
from bridge.audio import decode

CARD = "4111111111111111"


def strength(mulaw: bytes, hz: float) -> float:
    """How much of this frequency there is (Goertzel)."""
    samples = decode(mulaw)
    turn = 2 * math.pi * hz / 8000
    real = sum(sample * math.cos(turn * at) for at, sample in enumerate(samples))
    imaginary = sum(sample * math.sin(turn * at) for at, sample in enumerate(samples))
    return math.hypot(real, imaginary) / len(samples)


@pytest.mark.parametrize(("key", "low_hz", "high_hz"), [("1", 697, 1209), ("0", 941, 1336), ("#", 941, 1477)])
def test_each_key_has_its_two_tones(key: str, low_hz: int, high_hz: int) -> None:
    sound = keypad.tone(key)[: keypad.TONE_MS * 8]
    found = {hz: strength(sound, hz) for hz in (*keypad.ROWS_HZ, *keypad.COLUMNS_HZ)}
    assert set(sorted(found, key=found.__getitem__)[-2:]) == {low_hz, high_hz}


def test_keys_follow_one_another_with_a_pause() -> None:
    assert keypad.tones("12") == keypad.tone("1") + keypad.tone("2")
    assert len(keypad.tone("1")) == (keypad.TONE_MS + keypad.PAUSE_MS) * 8
    with pytest.raises(ValueError, match="substring"):
        keypad.tone("x")


@pytest.mark.parametrize(
    ("keys", "card"), [(CARD, True), (CARD + "#", True), ("4111111111111112", False), ("1234", False), ("", False)]
)
def test_a_cards_number_is_known_for_one(keys: str, card: bool) -> None:
    assert keypad.is_card(keys) is card


def test_cards_and_private_keys_are_masked() -> None:
    assert keypad.masked(CARD, False) == "\u2022" * 16
    assert keypad.masked("12", True) == "\u2022\u2022"
    assert keypad.masked("12", False) == "12"
    assert keypad.masked("\u20222", False) == "\u2022\u2022"
