"""A key held to speak, and what X11 makes of one: let go and pressed anew at the same moment."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtGui import QKeyEvent, QWindow
from pytestqt.qtbot import QtBot

from console.widgets.talk_key import TalkKey

T, M = Qt.Key.Key_T, Qt.Key.Key_M


class Held:
    """A talk key, what it told, and a keyboard."""

    def __init__(self, qtbot: QtBot, tap_ms: float, x11: bool = True) -> None:
        self.key = TalkKey("T", tap_ms, x11)
        self.told: list[object] = []
        self.key.talk.connect(self.told.append)
        self.key.tapped.connect(lambda: self.told.append("tap"))
        self.until = qtbot.waitUntil
        self._window = QWindow()
        self.key.watch(self._window)

    def send(self, kind: QEvent.Type, key: Qt.Key, at_ms: int, repeat: bool = False) -> bool:
        """Whether the window kept it from its widgets."""
        event = QKeyEvent(kind, key, Qt.KeyboardModifier.NoModifier, "", repeat)
        event.setTimestamp(at_ms)
        return self.key.eventFilter(self._window, event)

    def press(self, key: Qt.Key, at_ms: int, repeat: bool = False) -> None:
        """Looked at as a shortcut first, as every key is."""
        self.send(QEvent.Type.ShortcutOverride, key, at_ms, repeat)

    def release(self, key: Qt.Key, at_ms: int, repeat: bool = False) -> None:
        self.send(QEvent.Type.KeyRelease, key, at_ms, repeat)

    def repeat(self, key: Qt.Key, at_ms: int) -> None:
        """As X11 tells it and Qt does not see it."""
        self.release(key, at_ms)
        self.press(key, at_ms)

    def lose_focus(self) -> None:
        QCoreApplication.sendEvent(self._window, QEvent(QEvent.Type.FocusOut))


@pytest.fixture
def held(qtbot: QtBot) -> Held:
    """A key that is let go later than a tap."""
    return Held(qtbot, tap_ms=0.0)


def test_speech_lasts_as_long_as_the_key_is_held(held: Held) -> None:
    held.press(T, 1000)
    held.key.hold(may_tap=True)
    held.release(T, 2000)
    held.until(lambda: held.told == [True, False])
    assert not held.key.is_down


def test_a_key_let_go_at_once_was_tapped(qtbot: QtBot) -> None:
    held = Held(qtbot, tap_ms=60_000)
    held.press(T, 1000)
    held.key.hold(may_tap=True)
    held.release(T, 1080)
    held.until(lambda: held.told == [True, False, "tap"])


def test_a_held_key_that_x11_tells_of_as_let_go_and_pressed_is_neither_let_go_nor_tapped(qtbot: QtBot) -> None:
    held = Held(qtbot, tap_ms=60_000)
    held.press(T, 1000)
    held.key.hold(may_tap=False)
    for at_ms in range(1500, 2500, 40):
        held.repeat(T, at_ms)
        assert held.key.repeats
    assert held.told == [True] and held.key.is_down
    held.release(T, 2510)
    held.until(lambda: held.told == [True, False])


def test_repeats_that_qt_knows_are_no_news(held: Held) -> None:
    held.press(T, 1000)
    held.key.hold(may_tap=True)
    held.release(T, 1500, repeat=True)
    held.press(T, 1500, repeat=True)
    assert held.key.repeats and held.told == [True]


def test_any_held_key_repeats_but_a_quick_double_press_does_not(held: Held) -> None:
    held.press(M, 1000)
    held.repeat(M, 1004)
    said = [held.key.repeats]
    held.repeat(M, 1504)
    said.append(held.key.repeats)
    held.press(T, 1600)
    held.press(M, 1700)
    said.append(held.key.repeats)
    assert said == [False, True, False]


def test_after_a_repeat_a_menu_that_is_clicked_is_not_the_key(held: Held) -> None:
    held.press(M, 1000)
    held.repeat(M, 1504)
    held.until(lambda: not held.key.repeats)


def test_speech_ends_with_the_focus_and_a_repeat_does_not_bring_it_back(held: Held) -> None:
    held.press(T, 1000)
    held.key.hold(may_tap=True)
    held.lose_focus()
    held.repeat(T, 1500)
    assert held.told == [True, False] and not held.key.is_down


def test_a_key_let_go_in_another_window_is_fresh_when_it_is_pressed_again(held: Held) -> None:
    """Qt still takes it for the repeat of the one before."""
    held.press(T, 1000)
    held.key.hold(may_tap=True)
    held.release(T, 1500, repeat=True)
    held.press(T, 1500, repeat=True)
    held.lose_focus()
    held.press(T, 9000, repeat=True)
    assert not held.key.repeats and held.key.is_down
    held.release(T, 9500, repeat=True)
    held.press(T, 9500, repeat=True)
    assert held.key.repeats


def test_a_key_that_is_held_since_another_window_only_repeats(held: Held) -> None:
    held.release(T, 1500, repeat=True)
    held.press(T, 1500, repeat=True)
    assert held.key.repeats and not held.key.is_down


def test_where_a_held_key_is_told_of_without_releases_qt_is_believed(qtbot: QtBot) -> None:
    held = Held(qtbot, tap_ms=0.0, x11=False)
    held.press(T, 1000)
    held.lose_focus()
    held.press(T, 9000, repeat=True)
    assert held.key.repeats


def test_the_repeats_of_a_key_that_the_desk_acted_on_are_written_nowhere(held: Held) -> None:
    press = QEvent.Type.KeyPress
    assert not held.send(press, T, 1000)
    held.key.spend()
    held.release(T, 1500, repeat=True)
    assert held.send(press, T, 1500, repeat=True)
    held.release(T, 1540)
    assert held.send(press, T, 1540)
    held.release(T, 1600)
    assert not held.send(press, T, 2000)
    held.release(T, 2500, repeat=True)
    assert not held.send(press, T, 2500, repeat=True)
