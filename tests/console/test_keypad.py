"""The keypad: clicked, typed and pasted keys reach the bridge; in privacy none is shown."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QGuiApplication, QKeyEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from bridge import control
from bridge.control import Verb
from console.app import App
from tests.console.conftest import shown, until
from tests.console.fake_bridge import LIVE_VERBS, FakeBridge, live_call

Play = Callable[..., None]
Key = Qt.Key
CTRL = Qt.KeyboardModifier.ControlModifier
VERBS = (*LIVE_VERBS, Verb.KEYS)


def one_call(bridge: FakeBridge) -> None:
    bridge.put_call(live_call("c1", allowed=VERBS))


async def opened(app: App) -> None:
    await until(lambda: app.desk.selected == "c1", app.desk.selection_changed)
    await shown(app, app.window.controls.buttons["keys"].isEnabled)
    app.window.menus.actions["keys"].trigger()
    assert app.window.keypad.isVisible()
    await until(app.window.keypad.hasFocus, app.window.frames.timeout)


def test_keys_are_typed_and_clicked_and_what_was_sent_is_shown(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await opened(app)
        keypad = app.window.keypad
        QTest.keyClicks(keypad, "4*")
        QTest.mouseClick(keypad.keys["#"], Qt.MouseButton.LeftButton)
        assert (await bridge.heard(control.PressKeys, 3)).keys == "#"
        assert [c.keys for c in bridge.commands if isinstance(c, control.PressKeys)] == ["4", "*", "#"]
        await until(lambda: keypad.sent.text() == "4*#", app.desk.done)
        assert keypad.sent.accessibleName() == "Sent: 4 * #"
        app.window.grab()
        QTest.keyClick(keypad, Key.Key_Escape)
        assert not keypad.isVisible()
        assert app.window.calls.list.hasFocus()

    play(scene, before=one_call)


def test_a_digit_that_is_held_is_sent_once_and_a_quick_one_as_often_as_it_is_pressed(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await opened(app)
        handle = app.window.windowHandle()

        def tell(kind: QEvent.Type, at_ms: int, repeats: bool) -> None:
            event = QKeyEvent(kind, Key.Key_5, Qt.KeyboardModifier.NoModifier, "5", repeats)
            event.setTimestamp(at_ms)
            QApplication.sendEvent(handle, event)

        tell(QEvent.Type.KeyPress, 1000, repeats=False)
        # X11 tells of a held key as let go and pressed anew at the same moment, and Qt sees that now and then.
        for at_ms, seen in ((1500, True), (1540, False), (1580, False)):
            tell(QEvent.Type.KeyRelease, at_ms, repeats=seen)
            tell(QEvent.Type.KeyPress, at_ms, repeats=seen)
        tell(QEvent.Type.KeyRelease, 1600, repeats=False)
        tell(QEvent.Type.KeyPress, 1700, repeats=False)
        await app.link.send(control.Watch, call_id="c1")
        assert [c.keys for c in bridge.commands if isinstance(c, control.PressKeys)] == ["5", "5"]

    play(scene, before=one_call)


def test_a_long_number_is_pasted_whole(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await opened(app)
        QGuiApplication.clipboard().setText("+1 (415) 555-0142".replace("+", ""))
        QTest.keyClick(app.window.keypad, Key.Key_V, CTRL)
        assert (await bridge.heard(control.PressKeys)).keys == "14155550142"

    play(scene, before=one_call)


def test_the_desks_keys_go_on_working_and_p_closes_it(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await opened(app)
        QTest.keyClick(app.window.keypad, Key.Key_Space)
        await bridge.heard(control.Interrupt)
        QTest.keyClick(app.window.keypad, Key.Key_P)
        assert not app.window.keypad.isVisible()

    play(scene, before=one_call)


def test_in_privacy_no_key_is_shown_then_or_later(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        bridge.put_call(live_call("c1", allowed=VERBS, private=True))
        await opened(app)
        keypad = app.window.keypad
        await shown(app, lambda: "written down nowhere" in keypad.hint.text())
        QTest.keyClicks(keypad, "47")
        await bridge.heard(control.PressKeys, 2)
        await until(lambda: keypad.sent.text() == "••", app.desk.done)
        assert keypad.sent.accessibleName() == "Sent: • •"
        bridge.put_call(live_call("c1", allowed=VERBS))
        await shown(app, lambda: "Click or type" in keypad.hint.text())
        assert keypad.sent.text() == "••"

    play(scene, before=one_call)


def test_what_cannot_be_sent_is_refused_in_words(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await opened(app)
        bridge.refuses[control.PressKeys] = "Only 0-9, * and # can be sent."
        app.window.controls.line.setText("a whisper")
        app.window.keypad.press("x")
        await until(lambda: "Keypad: Only 0-9" in app.window.controls.status.text(), app.desk.refused)
        assert app.window.keypad.sent.text() == ""
        assert app.window.controls.line.text() == "a whisper"
        bridge.put_call(live_call("c1", why_not={Verb.KEYS: "The call has ended."}))
        await shown(app, lambda: app.window.keypad.hint.text() == "The call has ended.")
        assert not app.window.keypad.keys["1"].isEnabled()

    play(scene, before=one_call)


def test_another_call_closes_it(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await opened(app)
        bridge.put_call(live_call("c2"))
        await until(lambda: "c2" in app.store.calls, app.link.call_changed)
        app.desk.select("c2")
        assert not app.window.keypad.isVisible()

    play(scene, before=one_call)
