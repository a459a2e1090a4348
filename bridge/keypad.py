"""Keypad keys as sound, and how they may be shown. Pure.

Tones are sent in band, on the media stream, so that the stream survives. Frequencies: ITU-T Q.23;
lengths well above the 40 ms that Q.24 asks a receiver for.
"""

from __future__ import annotations

import math
from array import array
from functools import cache

from bridge.audio import BYTES_PER_MS, encode, silence

KEYS = "123A456B789C*0#D"
ROWS_HZ = (697, 770, 852, 941)
COLUMNS_HZ = (1209, 1336, 1477, 1633)
TONE_MS, PAUSE_MS = 120, 80
LEVEL = 7000
"""Peak of each of the two tones, of 32767: about -13 dB below full scale."""

CARD_DIGITS = range(13, 20)


@cache
def tone(key: str) -> bytes:
    """One key's tone and the pause after it, mu-law 8 kHz. Raises ValueError for what is no key."""
    place = KEYS.index(key)
    low_hz, high_hz = ROWS_HZ[place // 4], COLUMNS_HZ[place % 4]
    samples = array("h")
    for at in range(TONE_MS * BYTES_PER_MS):
        turn = 2 * math.pi * at / (1000 * BYTES_PER_MS)
        samples.append(round(LEVEL * (math.sin(low_hz * turn) + math.sin(high_hz * turn))))
    return encode(samples) + silence(PAUSE_MS)


def tones(keys: str) -> bytes:
    """All these keys, one after another."""
    return b"".join(tone(key) for key in keys)


def is_card(keys: str) -> bool:
    """Whether the digits among these keys could be a payment card's number (ISO/IEC 7812, Luhn)."""
    digits = [int(key) for key in keys if key.isdigit()]
    if len(digits) not in CARD_DIGITS:
        return False
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


MASK = "•"
"""Stands for a key that nobody may see."""


def masked(keys: str, private: bool) -> str:
    """As they may be shown, written down and told to an AI. One that is masked already masks its entry."""
    return MASK * len(keys) if private or MASK in keys or is_card(keys) else keys
