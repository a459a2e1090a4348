"""Sentences filled from what tools answer."""

from __future__ import annotations

import pytest

from bridge.templates import filled, result_told


@pytest.mark.parametrize(
    ("template", "result", "text"),
    [
        ("{found.count|some} left", {"found": [1, 2]}, "two left"),
        ("{found.0.amount|48}", {"found": [{"amount": 31.0}]}, "31"),
        ("{amount|48}", {"amount": 31.5}, "31.5"),
        ("{found.7|none}", {"found": []}, "none"),
        ("{at|then}", {"at": "2026-11-26 10:00"}, "Thursday at ten"),
        ("{at|then}", {"at": "2026-11-24 15:15"}, "Tuesday at a quarter past three in the afternoon"),
        ("{at|then}", {"at": "2026-11-24T18:45"}, "Tuesday at a quarter to seven in the evening"),
        ("{at|then}", {"at": "2026-11-24 00:30"}, "Tuesday at half past twelve"),
        ("{at|then}", {"at": "2026-11-24 09:20"}, "Tuesday at nine 20"),
        ("{count|12}", {"count": 40}, "40"),
        ("{ok|yes}", {"ok": True}, "yes"),
        ("{a.b|no}", "text", "no"),
        ("{at|then}", {"at": "2026-13-40 10:00"}, "2026-13-40 10:00"),
    ],
)
def test_results_are_spoken_as_people_say_them(template: str, result: object, text: str) -> None:
    assert filled(template, result) == text


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ('{"left": 3}', "There are three."),
        ("Three of them are on the shelf.", "There are some."),
        ('"quoted"', "There are some."),
        ('{"error": "broken"}', "That failed."),
        ('{"ok": false}', "That failed."),
        ("No such thing.", "That failed."),
        ("The tool took too long and was stopped.", "That failed."),
        ("[" * 100_000, "There are some."),
    ],
)
def test_what_a_tool_answers_is_told_by_whether_it_worked(output: str, text: str) -> None:
    assert result_told("There are {left|some}.", "That failed.", output) == text
