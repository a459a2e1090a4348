"""Keys outside of the window: on a real X server where there is one, and the words where there are no such keys."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from console.hotkeys import Hotkey, Hotkeys, NoKeys
from console.hotkeys_windows import MASKS, NO_REPEAT, WM_HOTKEY, WindowsKeyboard
from console.settings import Settings

MISSING = [program for program in ("Xvfb", "xdotool") if shutil.which(program) is None]
needs_x11 = pytest.mark.skipif(
    bool(MISSING) or sys.platform != "linux", reason=f"needs an X server to press keys on: no {', '.join(MISSING)}"
)


@pytest.fixture
def remembered(home: Path, qtbot: QtBot) -> Settings:
    home.mkdir(exist_ok=True)
    return Settings(home / "console.ini")


@pytest.fixture
def x11(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """An X server of this test's own, named in DISPLAY."""
    reads, writes = os.pipe()
    command = ["Xvfb", "-displayfd", str(writes), "-screen", "0", "320x200x24", "-nolisten", "tcp", "-noreset"]
    with subprocess.Popen(command, pass_fds=[writes], stderr=subprocess.DEVNULL) as server:
        os.close(writes)
        with os.fdopen(reads) as said:
            monkeypatch.setenv("DISPLAY", f":{said.readline().strip()}")
        yield server
        server.terminate()


@pytest.fixture
def keys(remembered: Settings, x11: object) -> Iterator[Hotkeys]:
    keys = hotkeys(remembered)
    keys.on = True
    yield keys
    keys.close()


def hotkeys(remembered: Settings, platform: str = "xcb", **environment: str) -> Hotkeys:
    return Hotkeys(remembered, platform, environment)


def xdotool(*arguments: str) -> None:
    subprocess.run(["xdotool", *arguments], check=True)


def told(keys: Hotkeys) -> list[object]:
    """All that is told from now on, in order."""
    heard: list[object] = []
    keys.talk.connect(heard.append)
    keys.panic.connect(lambda: heard.append("panic"))
    return heard


# ── on X11 ──


@needs_x11
def test_a_held_key_talks_until_it_is_let_go(qtbot: QtBot, keys: Hotkeys) -> None:
    assert keys.on
    assert keys.why_not == ""
    heard = told(keys)
    with qtbot.waitSignal(keys.talk):
        xdotool("keydown", "ctrl", "keydown", "alt", "keydown", "space")
    assert heard == [True]
    with qtbot.waitSignal(keys.talk):
        xdotool("keyup", "ctrl", "keyup", "alt", "keyup", "space")
    assert heard == [True, False]


@needs_x11
def test_a_key_that_repeats_is_held(qtbot: QtBot, keys: Hotkeys) -> None:
    heard = told(keys)
    presses: list[object] = []
    reads = keys._keyboard._on_key  # type: ignore[union-attr]

    def counted(is_press: bool, code: int) -> None:
        presses.append(code) if is_press else None
        reads(is_press, code)

    keys._keyboard._on_key = counted  # type: ignore[union-attr]
    xdotool("keydown", "ctrl", "keydown", "alt", "keydown", "space")
    qtbot.waitUntil(lambda: len(presses) > 5)
    with qtbot.waitSignal(keys.talk):
        xdotool("keyup", "space", "keyup", "ctrl", "keyup", "alt")
    assert heard == [True, False]


@needs_x11
def test_the_panic_key(qtbot: QtBot, keys: Hotkeys) -> None:
    heard = told(keys)
    with qtbot.waitSignal(keys.panic):
        xdotool("key", "ctrl+alt+t")
    assert heard == ["panic"]


@needs_x11
@pytest.mark.parametrize("lock", ["Num_Lock", "Caps_Lock"])
def test_locks_make_no_difference(qtbot: QtBot, keys: Hotkeys, lock: str) -> None:
    xdotool("key", lock)
    with qtbot.waitSignal(keys.panic):
        xdotool("key", "ctrl+alt+t")


@needs_x11
def test_other_keys_are_not_ours(qtbot: QtBot, keys: Hotkeys) -> None:
    heard = told(keys)
    with qtbot.waitSignal(keys.panic):
        xdotool("key", "t", "key", "space", "key", "ctrl+t", "key", "ctrl+alt+y", "key", "ctrl+alt+t")
    assert heard == ["panic"]


@needs_x11
def test_a_second_key_ends_the_first(qtbot: QtBot, keys: Hotkeys) -> None:
    heard = told(keys)
    with qtbot.waitSignal(keys.panic):
        xdotool("key", "ctrl+alt+space", "key", "ctrl+alt+t")
    assert heard == [True, False, "panic"]


@needs_x11
def test_switched_off_the_keys_are_free_again(qtbot: QtBot, keys: Hotkeys, home: Path) -> None:
    other = hotkeys(Settings(home / "other.ini"))
    other.on = True
    assert not other.on
    assert other.why_not == (
        "Another program has Ctrl+Alt+Space. End it or change its keys, then switch this on again."
    )
    keys.on = False
    other.on = True
    assert other.on
    assert other.why_not == ""
    with qtbot.waitSignal(other.panic):
        xdotool("key", "ctrl+alt+t")
    other.on = False
    assert other.why_not == ""


@needs_x11
def test_switching_off_while_the_key_is_held_ends_the_talk(qtbot: QtBot, keys: Hotkeys) -> None:
    heard = told(keys)
    with qtbot.waitSignal(keys.talk):
        xdotool("keydown", "ctrl", "keydown", "alt", "keydown", "space")
    keys.on = False
    assert heard == [True, False]


@needs_x11
def test_the_choice_is_remembered(remembered: Settings, x11: object) -> None:
    keys = hotkeys(remembered)
    assert not keys.on
    keys.on = True
    keys.close()
    keys = hotkeys(remembered)
    assert keys.on
    keys.on = False
    assert not hotkeys(remembered).on


@needs_x11
def test_a_server_that_goes_away_is_told(qtbot: QtBot, keys: Hotkeys, x11: subprocess.Popen[bytes]) -> None:
    with qtbot.waitSignal(keys.changed):
        x11.terminate()
    assert not keys.on
    assert keys.why_not == "The connection to the window system was lost. Switch this on again."


# The library leaves the sockets of a failed attempt to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(sys.platform != "linux", reason="X11 is tried on Linux only")
def test_no_server_at_all_is_told(remembered: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":4711")
    keys = hotkeys(remembered)
    keys.on = True
    assert not keys.on
    assert keys.why_not.startswith("The system gives this window no keys outside of it: Can't connect to display")
    assert keys.why_not.endswith("refused.") or keys.why_not.endswith("directory.")


# ── where there are none ──


@pytest.mark.parametrize(
    ("platform", "environment", "word"),
    [
        ("wayland", {}, "Wayland"),
        ("xcb", {"WAYLAND_DISPLAY": "wayland-0"}, "Wayland"),
        ("xcb", {"XDG_SESSION_TYPE": "wayland"}, "Wayland"),
        ("cocoa", {}, "This system"),
        ("offscreen", {}, "This system"),
    ],
)
def test_without_such_keys_it_says_so(
    remembered: Settings, platform: str, environment: dict[str, str], word: str
) -> None:
    remembered.hotkeys = True
    keys = hotkeys(remembered, platform, **environment)
    assert not keys.available
    assert keys.why_not.startswith(f"{word} gives a program no keys outside of its window.")
    keys.on = True
    assert not keys.on


# ── on Windows, whose library is played here ──


class User32:
    """RegisterHotKey and its like."""

    def __init__(self, *taken: int) -> None:
        self.registered: dict[int, tuple[int, int]] = {}
        self.taken = taken
        self.down: set[int] = set()

    def RegisterHotKey(self, window: None, number: int, modifiers: int, key: int) -> bool:
        if key in self.taken:
            return False
        self.registered[number] = (modifiers, key)
        return True

    def UnregisterHotKey(self, window: None, number: int) -> None:
        del self.registered[number]

    def GetAsyncKeyState(self, key: int) -> int:
        return -32768 if key in self.down else 0


@pytest.fixture
def user32(monkeypatch: pytest.MonkeyPatch) -> User32:
    library = User32()
    monkeypatch.setattr("console.hotkeys_windows._user32", lambda: library)
    return library


def message(keyboard: WindowsKeyboard, hotkey: Hotkey) -> bool:
    """The message that Windows posts for this key."""
    from ctypes import addressof, wintypes

    told = wintypes.MSG(message=WM_HOTKEY, wParam=list(Hotkey).index(hotkey) + 1)
    taken, _ = keyboard._filter.nativeEventFilter(b"windows_generic_MSG", addressof(told))  # type: ignore[misc]
    return bool(taken)


def test_windows_registers_the_keys_and_gives_them_back(qtbot: QtBot, remembered: Settings, user32: User32) -> None:
    keys = hotkeys(remembered, "windows")
    keys.on = True
    held = MASKS["Ctrl"] | MASKS["Alt"] | NO_REPEAT
    assert sorted(user32.registered.values()) == [(held, ord(" ")), (held, ord("T"))]
    keys.close()
    assert user32.registered == {}


def test_windows_looks_when_the_key_is_let_go(qtbot: QtBot, remembered: Settings, user32: User32) -> None:
    keys = hotkeys(remembered, "windows")
    keys.on = True
    heard = told(keys)
    keyboard = keys._keyboard
    assert isinstance(keyboard, WindowsKeyboard)
    user32.down.add(ord(" "))
    assert message(keyboard, Hotkey.TALK)
    assert message(keyboard, Hotkey.TALK)
    qtbot.waitSignal(keyboard._look.timeout).wait()
    assert heard == [True]
    user32.down.clear()
    with qtbot.waitSignal(keys.talk):
        pass
    assert message(keyboard, Hotkey.TALK)
    assert message(keyboard, Hotkey.PANIC)
    assert heard == [True, False, True, False, "panic"]
    keys.close()


def test_windows_says_which_key_is_taken(remembered: Settings, user32: User32) -> None:
    user32.taken = (ord("T"),)
    keys = hotkeys(remembered, "windows")
    keys.on = True
    assert keys.why_not.startswith("Another program has Ctrl+Alt+T.")
    assert user32.registered == {}


@pytest.mark.skipif(sys.platform == "win32", reason="there the library is there")
def test_its_library_is_only_on_windows(qtbot: QtBot) -> None:
    with pytest.raises(NoKeys):
        WindowsKeyboard()


def test_other_messages_pass(qtbot: QtBot, user32: User32) -> None:
    keyboard = WindowsKeyboard()
    assert keyboard._filter.nativeEventFilter(b"xcb_generic_event_t", 0) == (False, 0)
