"""The command line: what it explains, what it refuses, and that nothing is loaded before it is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from console import __main__ as command_line

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--help"], ("CORDBOARD_HOME", "rehearse", "bridge", "display")),
        (["rehearse", "--help"], ("--headless", "exit status", "--caller FILE.wav", "journal")),
    ],
)
def test_help_is_worth_reading(words: list[str], told: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.main(words)
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for word in told:
        assert word in text


def test_the_command_line_needs_no_qt() -> None:
    done = run("-c", "import sys, console.__main__; sys.exit('PySide6' in sys.modules)")
    assert done.returncode == 0, done.stderr


def test_the_bridges_own_help_is_passed_on() -> None:
    done = run("-m", "console", "bridge", "--help")
    assert done.returncode == 0, done.stderr
    assert "--public-listen" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["rehearse", "--calls", "0"], "at least 1"),
        (["rehearse", "--caller", "nowhere.wav"], "there is no file nowhere.wav"),
        (["rehearse", "--caller", "x.wav", "--calls", "2"], "one call of its own"),
        (["rehearse", "--caller", "x.wav", "--scenario", "billing"], "one call of its own"),
        (["rehearse", "--caller", __file__], "is not a WAV file"),
        (["rehearse", "--scenario", "opera"], "choose from billing, booking, keypad, person, pin, reminder"),
        (["rehearse", "--headless", "--out", f"{__file__}/folder"], "cannot be made"),
        (["dance"], "unrecognized"),
    ],
)
def test_what_makes_no_sense_is_refused(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.main(words)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ""}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"QT_QPA_PLATFORM": "offscreen"}, "linux", False),
        ({"QT_QPA_PLATFORM": "vnc:size=1440x900"}, "linux", True),
        ({}, "darwin", True),
        ({}, "win32", True),
    ],
)
def test_a_display_is_missed_only_where_that_is_certain(
    environment: dict[str, str], platform: str, expected: bool
) -> None:
    assert command_line.has_display(environment, platform) is expected


def test_without_a_display_one_call_is_rehearsed_offscreen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(command_line, "has_display", lambda environment: False)
    monkeypatch.setattr(command_line, "rehearse", lambda words: asked.append(words) or 0)
    assert command_line.main([]) == 0
    assert asked == [["--headless"]]
    assert "no display" in capsys.readouterr().out
