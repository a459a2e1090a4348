"""The profiles that are shipped, and what happens to wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge import tools
from bridge.errors import SettingsError
from bridge.profiles import Profiles

GOOD = 'title = "A"\nprompt = "B"\nfirst_line = "C"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "default.toml").write_text(GOOD)
    return tmp_path


def test_each_number_has_its_profile() -> None:
    shipped = Profiles.load()
    assert {number: shipped.for_number(f"+1628555010{number}").name for number in range(7)} == {
        0: "default",
        1: "billing",
        2: "booking",
        3: "person",
        4: "reminder",
        5: "desk-menu",
        6: "account",
    }
    assert shipped.for_number("+12025550123").name == shipped.for_number("").name == "default"
    assert [profile.title for profile in shipped] == [
        *("Account line", "Billing", "Booking", "Front desk", "Front desk menu", "Front desk", "Reminder"),
    ]


def test_profiles_are_found_by_name() -> None:
    shipped = Profiles.load()
    billing = shipped.named("billing")
    assert billing is not None and billing.numbers == ("+16285550101",)
    assert shipped.named("nobody") is None


def test_every_first_line_says_that_it_is_an_ai_and_that_it_records() -> None:
    for profile in Profiles.load():
        assert "AI" in profile.first_line and "recorded" in profile.first_line, profile.name


def test_every_tool_that_a_profile_names_exists() -> None:
    for profile in Profiles.load():
        assert "ask_for_person" in profile.tools
        assert [declared["name"] for declared in tools.declarations(profile.tools)] == list(profile.tools)


def test_what_is_left_out_has_a_default(folder: Path) -> None:
    profile = Profiles.load(folder).for_number("+16285550100")
    assert (profile.engine, profile.model, profile.voice) == ("openai", "gpt-realtime-2.1", "marin")
    assert profile.numbers == () and profile.tools == () and profile.budget_usd is None


def test_a_call_may_have_a_budget(folder: Path) -> None:
    (folder / "cheap.toml").write_text(GOOD + "budget_usd = 1")
    cheap = Profiles.load(folder).named("cheap")
    assert cheap is not None and cheap.budget_usd == 1.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = ", "cannot be read"),
        ('title = "A"', "is not a profile: .*missing required field `prompt`"),
        (GOOD.replace('"A"', '""'), "title"),
        (GOOD + 'numbers = ["555-0100"]', "numbers"),
        (GOOD + 'promt = "typo"', "promt"),
        *((GOOD + f"budget_usd = {budget}", "budget_usd") for budget in ('"1"', "0", "-1", "nan", "inf", "true")),
    ],
)
def test_a_wrong_profile_is_named(folder: Path, text: str, words: str) -> None:
    (folder / "wrong.toml").write_text(text)
    with pytest.raises(SettingsError, match=words) as refusal:
        Profiles.load(folder)
    assert refusal.value.key == "wrong.toml"


def test_a_profile_that_is_not_text_is_named(folder: Path) -> None:
    (folder / "wrong.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="cannot be read"):
        Profiles.load(folder)


def test_two_profiles_cannot_have_one_number(folder: Path) -> None:
    for name in ("one", "two"):
        (folder / f"{name}.toml").write_text(GOOD + 'numbers = ["+16285550101"]')
    with pytest.raises(SettingsError, match=r"two\.toml: claims a number that one\.toml claims too"):
        Profiles.load(folder)


def test_somebody_must_answer_unclaimed_numbers(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"default\.toml: is missing"):
        Profiles.load(tmp_path)
