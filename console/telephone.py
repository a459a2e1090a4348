"""Telephone numbers as people read them. Pure."""

from __future__ import annotations

import re

THREE_DIGIT_COUNTRY = re.compile("2[1-69]|3[578]|42|5[09]|6[7-9]|8[0357-9]|9[679]")
"""How country codes of three digits begin; 1 and 7 stand alone, all others have two. Source: ITU-T E.164."""


def spaced(number: str) -> str:
    """An E.164 number in groups: "+1 415 555 0142"; anything else (a carrier's word) as it is.

    Behind the country code the last four digits and then threes are grouped: not every country's
    own habit, but read alike everywhere.
    """
    digits = number.removeprefix("+")
    if digits == number or not digits.isdigit():
        return number
    code_length = 1 if digits[0] in "17" else 3 if THREE_DIGIT_COUNTRY.match(digits) else 2
    rest = digits[code_length:]
    groups = [rest[-4:]]
    rest = rest[:-4]
    while rest:
        size = 3 if len(rest) != 4 else 2
        groups.insert(0, rest[-size:])
        rest = rest[:-size]
    return " ".join(filter(None, [f"+{digits[:code_length]}", *groups]))
