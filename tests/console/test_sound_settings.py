"""What the window remembers of sound, and that a damaged file is no trouble."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.settings import TALK_MODES, Settings


@pytest.fixture
def path(home: Path) -> Path:
    return home / "console.ini"


def test_at_first_nothing_is_chosen(path: Path) -> None:
    settings = Settings(path)
    assert (settings.input_id, settings.output_id) == ("", "")
    assert settings.talk_mode == "open"
    assert not settings.split and not settings.hotkeys


def test_choices_last(path: Path) -> None:
    settings = Settings(path)
    settings.input_id, settings.output_id = 'alsa_input.usb-1; "Ünï"', "{0.0.0.00000000}.{1-2}"
    settings.split = settings.hotkeys = True
    settings.talk_mode = TALK_MODES[1]
    settings.save()
    again = Settings(path)
    assert (again.input_id, again.output_id) == ('alsa_input.usb-1; "Ünï"', "{0.0.0.00000000}.{1-2}")
    assert again.split and again.hotkeys
    assert again.talk_mode == TALK_MODES[1]


def test_a_mode_that_nobody_knows_is_the_open_line(path: Path) -> None:
    settings = Settings(path)
    settings.talk_mode = "sideways"
    assert settings.talk_mode == "open"
