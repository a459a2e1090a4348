"""What a menu's file may say."""

from __future__ import annotations

import tomllib
from typing import Any

import msgspec
import pytest

from bridge.engines.keypad_menu import Menu

GOOD = """
title = "Desk"
greeting = "Hello."
taking_over = "I take over."
because = { lost = "It is lost." }
[places.main]
say = "For orders press 1."
[places.main.keys]
1 = { say = "Orders.", go = "order" }
0 = { go = "operator" }
"#" = {}
[places.order]
say = "Enter the order."
[places.order.collect]
name = "order"
most = 4
[places.order.collect.then]
say = "Order {entered.order|}."
go = "bye"
tool = { name = "get", arguments = { order = "{entered.order|}", n = ["{entered.order|}", 1] }, then = "{count|some}." }
[places.bye]
say = "Goodbye."
go = "hang_up"
"""


def menu(text: str = GOOD) -> Menu:
    return msgspec.convert(tomllib.loads(text), Menu)


def with_place(name: str, place: dict[str, Any]) -> Menu:
    given = tomllib.loads(GOOD)
    given["places"][name] = place
    return msgspec.convert(given, Menu)


def test_a_menu_is_places_with_keys_entries_or_a_way_on() -> None:
    found = menu()
    assert list(found.places) == ["main", "order", "bye"]
    assert found.places["main"].keys["1"].go == "order"
    assert found.places["main"].keys["#"].go == "again"
    assert found.entries() == {"order": found.places["order"].collect}
    assert [(place, use.name) for place, use in found.tools()] == [("order", "get")]


def test_all_that_it_may_say_is_known_before() -> None:
    texts = menu().texts()
    assert {
        "Hello.",
        "I take over.",
        "It is lost.",
        "Enter the order.",
        "Order {entered.order|}.",
        "{count|some}.",
    } <= set(texts)
    assert {menu().wrong, menu().help, menu().last.say, menu().pin.ask, menu().pin.locked} <= set(texts)
    assert all(texts) and "hang_up" not in texts


@pytest.mark.parametrize(
    ("name", "place", "fault"),
    [
        ("ai", {"say": "A", "go": "main"}, "places.ai: a place cannot be called ai"),
        ("x", {"say": "A"}, "places.x: it must have one of keys, collect and go"),
        ("x", {"say": "A", "go": "main", "keys": {"1": {}}}, "must have one of"),
        ("x", {"say": "A", "go": "nowhere"}, "places.x: there is no place called nowhere"),
        ("x", {"say": "A", "keys": {"1": {"go": "nowhere"}}}, "there is no place called nowhere"),
        ("x", {"say": "A", "go": "again"}, "places.x: it leads back to itself without a key"),
        ("x", {"say": "A", "go": "x"}, "it leads back to itself"),
        ("x", {"say": "A", "collect": {"name": "n", "least": 3, "most": 2, "then": {}}}, "collect.least is more"),
        ("x", {"say": "{entered.colour|}", "go": "main"}, r"\{entered.colour\|…\} is no entry"),
        ("x", {"say": "{order|}", "go": "main"}, r"\{order\|…\} is no entry"),
        (
            "x",
            {"say": "A", "collect": {"name": "n", "most": 2, "masked": True, "then": {"say": "{entered.n|}"}}},
            "is masked and must not be spoken",
        ),
        (
            "x",
            {"say": "A", "keys": {"1": {"tool": {"name": "t", "then": "B", "arguments": {"a": [{"b": "{c|}"}]}}}}},
            r"\{c\|…\} is no entry",
        ),
        ("x", {"say": "A", "keys": {"11": {}}}, "keys"),
        ("x", {"say": "A", "keys": {"1": {"goes": "main"}}}, "goes"),
        ("Big", {"say": "A", "go": "main"}, "places"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(name: str, place: dict[str, Any], fault: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=fault):
        with_place(name, place)


def test_a_reason_that_there_is_not_is_told() -> None:
    with pytest.raises(msgspec.ValidationError, match="because"):
        menu(GOOD.replace("lost =", "tired ="))


def test_two_places_must_not_lead_to_each_other() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"places\.bye: it leads back to itself"):
        menu(GOOD.replace('go = "hang_up"', 'go = "more"') + '[places.more]\nsay = "A"\ngo = "bye"\n')


def test_a_masked_entry_may_be_given_to_a_tool() -> None:
    secret = {"name": "t", "then": "B", "arguments": {"code": "{entered.n|}", "more": 1}}
    assert with_place("x", {"say": "A", "collect": {"name": "n", "most": 2, "masked": True, "then": {"tool": secret}}})


def test_it_must_begin_somewhere() -> None:
    with pytest.raises(msgspec.ValidationError, match="there is no place called main"):
        menu('title = "A"\n[places.other]\nsay = "A"\ngo = "hang_up"\n')
