"""Sentences with slots, filled from what a tool answered. Pure.

A slot is written ``{path|otherwise}``: the path leads through the answer's JSON by names, places in
lists and ``count``; ``otherwise`` is said where it leads to nothing that can be spoken.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import msgspec

SLOT = re.compile(r"\{([^|}]*)\|([^}]*)\}")
"""Path, and what to say otherwise."""

_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[ T](\d{2}):(\d{2})")
_NO = re.compile(
    r"(refused|denied|expired|failed|error|not|no|cannot|the tool|there is no|the arguments)\b", re.IGNORECASE
)
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def filled(template: str, result: Any) -> str:
    """A text with its slots filled from a result; ``otherwise`` where that has no such value."""

    def value(match: re.Match[str]) -> str:
        found = result
        for key in match[1].split("."):
            match found:
                case dict() if key in found:
                    found = found[key]
                case list() if key == "count":
                    found = len(found)
                case list() if key.isdigit() and int(key) < len(found):
                    found = found[int(key)]
                case _:
                    return match[2]
        return _spoken(found) or match[2]

    return SLOT.sub(value, template)


def result_told(then: str, failed: str, output: str) -> str:
    """What to say of a tool's answer. then: with slots, when it did its work; failed: when it did not.

    output: JSON, or a sentence; one that begins with a no, as those of `bridge.tools` do, is a failure.
    """
    try:
        result = msgspec.json.decode(output)
    except (msgspec.DecodeError, RecursionError):
        result = output
    match result:
        case {"error": _} | {"ok": False}:
            return failed
        case str() if _NO.match(result):
            return failed
        case _:
            return filled(then, result)


def _spoken(value: object) -> str:
    match value:
        case bool() | None | dict() | list():
            return ""
        case int() if 0 <= value < len(_NUMBERS):
            return _NUMBERS[value]
        case float() if value.is_integer():
            return str(int(value))
        case str() if time := _TIME.match(value):
            return _time(time[1], int(time[2]), int(time[3])) or value
        case _:
            return str(value)


def _time(iso_day: str, hour: int, minute: int) -> str:
    """As one says it: "Thursday at half past nine", "Tuesday at three in the afternoon"; "" for no such day."""
    try:
        day = date.fromisoformat(iso_day)
    except ValueError:
        return ""
    spoken_hour = _NUMBERS[(hour + (minute == 45) - 1) % 12 + 1]
    part = {0: "{}", 15: "a quarter past {}", 30: "half past {}", 45: "a quarter to {}"}.get(
        minute, f"{{}} {minute:02}"
    )
    when = "" if hour < 12 else " in the afternoon" if hour < 18 else " in the evening"
    return f"{day:%A} at {part.format(spoken_hour)}{when}"
