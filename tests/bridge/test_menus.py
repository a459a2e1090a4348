"""The keypad menus that are shipped, and what happens to wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge import menus
from bridge.errors import SettingsError
from bridge.profiles import Profiles

GOOD = 'title = "A"\n[places.main]\nsay = "B"\n'


def test_the_menus_that_every_call_may_need_are_there() -> None:
    shipped = menus.load()
    assert set(shipped) == {menus.FALLBACK, menus.APOLOGY, "front-desk"}


def test_every_menu_says_that_it_is_automated_and_that_it_records() -> None:
    for name, menu in menus.load().items():
        for opening in (menu.greeting, menu.pin.greeting):
            assert "automated" in opening and "recorded" in opening, name


def test_every_profile_has_its_menu() -> None:
    shipped = menus.load()
    assert all(profile.menu in shipped for profile in Profiles.load())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = ", "cannot be read"),
        ('title = "A"', "is not a menu: .*missing required field `places`"),
        (GOOD + 'go = "nowhere"', r"is not a menu: places\.main: there is no place called nowhere"),
        (
            GOOD + 'keys = { 1 = { tool = { name = "fly", then = "C" } } }',
            r"places\.main: there is no tool called fly",
        ),
        (
            GOOD + 'keys = { 1 = { tool = { name = "ask_for_person", arguments = { why = "x" }, then = "C" } } }',
            r"places\.main: ask_for_person has no argument called why",
        ),
        (
            GOOD + 'keys = { 1 = { tool = { name = "find_payments", then = "C" } } }',
            r"places\.main: find_payments needs the argument order",
        ),
    ],
)
def test_a_wrong_menu_is_named_with_the_place(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "wrong.toml").write_text(text)
    with pytest.raises(SettingsError, match=words) as refusal:
        menus.load(tmp_path)
    assert refusal.value.key == "wrong.toml"


def test_a_menu_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="cannot be read"):
        menus.load(tmp_path)
