"""The sign over an open microphone, by real keys: who hears this room, and what is said when it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
from msgspec.structs import replace
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QFocusEvent, QKeyEvent, QWindow
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from bridge import control
from bridge.control import Floor
from console import theme
from console.app import App
from console.on_air import OnAir, TalkMode
from console.sound import MicState, SpeakerState
from console.sound_states import MICROPHONE
from console.widgets.on_air_sign import Shape
from tests.console.conftest import shown, until
from tests.console.fake_bridge import FakeBridge, ended_call, live_call
from tests.console.fake_sound import HEADSET, WEBCAM, FakeSound

Play = Callable[..., None]
Key = Qt.Key
SHIFT = Qt.KeyboardModifier.ShiftModifier


def one_call(bridge: FakeBridge) -> None:
    bridge.put_call(live_call("c1"))


def two_calls(bridge: FakeBridge) -> None:
    bridge.put_call(live_call("c1"), live_call("c2", number="+12065550177", started_unix_ms=1_800_000_000_000))


def fake(app: App) -> FakeSound:
    return cast(FakeSound, app.sound)


def press(app: App, key: Qt.Key, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    QTest.keyClick(app.window.focusWidget() or app.window, key, modifiers)


def tell_key(app: App, kind: QEvent.Type, repeats: bool = False, window: QWindow | None = None) -> None:
    """As the window system tells the window of T, or another one."""
    event = QKeyEvent(kind, Key.Key_T, Qt.KeyboardModifier.NoModifier, "t", repeats)
    QApplication.sendEvent(window or app.window.windowHandle(), event)


def down(app: App, window: QWindow | None = None) -> None:
    """T goes down: the window is asked first, then its shortcut is found."""
    tell_key(app, QEvent.Type.ShortcutOverride, window=window)
    app.window.menus.actions["take_over"].trigger()


def up(app: App, window: QWindow | None = None) -> None:
    tell_key(app, QEvent.Type.KeyRelease, window=window)


async def taken(app: App, mode: TalkMode = TalkMode.OPEN) -> None:
    """The call is taken over, by key, and the window says so."""
    await until(lambda: app.desk.selected == "c1", app.desk.selection_changed)
    await shown(app, app.window.controls.buttons["take_over"].isEnabled)
    app.on_air.mode = mode
    press(app, Key.Key_T)
    await until(lambda: app.on_air.has_floor_of == "c1", app.on_air.changed)
    await until(lambda: fake(app).wanted, app.on_air.changed, app.sound.changed)


def test_on_air_is_unmistakable_in_words_shape_title_and_icon(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        strip = app.window.on_air
        assert strip.idle.isVisible()
        assert app.window.windowTitle() == "Cordboard"
        await taken(app)
        assert not strip.idle.isVisible()
        assert (strip.sign.text, strip.sign.shape, strip.sign.role) == ("ON AIR", Shape.DISC, "danger")
        assert strip.words.text().startswith("+1 415 555 0142 hears you.")
        assert strip.microphone.text() == "Headset"
        assert app.window.windowTitle() == "● ON AIR · +1 415 555 0142 · Cordboard"
        app.window.grab()
        press(app, Key.Key_T, SHIFT)
        assert (await bridge.heard(control.HandBack)).note == ""
        await until(lambda: not app.on_air.has_floor_of, app.on_air.changed)
        assert strip.idle.isVisible()
        assert app.window.windowTitle() == "Cordboard"
        assert not fake(app).is_open

    play(scene, before=one_call)


def test_keys_are_named_only_where_they_lead_to_something(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        idle = app.window.on_air.idle
        await shown(app, lambda: idle.text().endswith("T takes the selected call over, L listens to it."))
        bridge.put_call(ended_call("c1"))
        await shown(app, lambda: idle.text() == "Your microphone is off.")

    play(scene, before=one_call)


def test_the_level_of_the_open_microphone_is_live(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await taken(app)
        strip = app.window.on_air
        fake(app).mic_level = 255
        await shown(app, lambda: strip.mic_level.level == 255)
        fake(app).mic_level = 0
        await shown(app, lambda: strip.mic_level.level == 0)

    play(scene, before=one_call)


def test_how_fast_the_take_over_was_is_told_as_soon_as_it_is_known(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await taken(app)
        strip = app.window.on_air
        assert strip.timing.text() == "AI silent after … · your voice after …"
        view = control.TakeOverView(
            call_id="c1", take_over_id="1", console=app.link.me, at_ms=1, silent_ms=60.0, voice_ms=150.0
        )
        bridge.put(control.TakeOverTimed(take_over=view))
        await until(lambda: "…" not in strip.timing.text(), app.on_air.changed)
        silent_ms, voice_ms = app.on_air.timing
        assert silent_ms is not None
        assert voice_ms is not None
        assert strip.timing.text() == f"AI silent after {silent_ms:.0f} ms · your voice after {voice_ms:.0f} ms"

    play(scene, before=one_call)


@pytest.mark.parametrize("private", [False, True])
def test_nothing_moves_when_the_microphone_opens_in_a_small_window(
    play: Play, monkeypatch: pytest.MonkeyPatch, private: bool
) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        strip, buttons = app.window.on_air, app.window.controls.buttons
        app.window.resize(1280, 800)
        monkeypatch.setattr(OnAir, "timing", (188.0, 888.0))
        await taken(app)
        bridge.put_call(replace(app.store.calls["c1"].view, private=private))
        told = "Nothing is kept" if private else "only listens"
        await shown(app, lambda: told in strip.words.text() and buttons["listen"].text() == "Stop listening")
        app.window.grab()
        assert strip.caller_level.isVisible()
        assert strip.height() == strip.minimumHeight()
        assert len({button.y() for button in buttons.values()}) == 1

    play(scene, before=one_call)


def test_a_bridge_that_stands_still_is_seen_on_the_sign_itself(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await taken(app)
        strip = app.window.on_air
        await shown(app, lambda: strip.sign.text == "ON AIR")
        bridge.stands_still = True
        await shown(app, lambda: (strip.sign.text, strip.sign.shape) == ("Not arriving", Shape.RING))
        assert "+1 415 555 0142 may not hear you" in strip.words.text()
        assert "ON AIR" not in app.window.windowTitle()
        bridge.stands_still = False
        await shown(app, lambda: (strip.sign.text, strip.sign.shape) == ("ON AIR", Shape.DISC))
        assert "ON AIR" in app.window.windowTitle()

    play(scene, before=one_call)


def test_on_a_menus_call_nothing_is_told_of_an_ai(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await taken(app)
        strip, view = app.window.on_air, app.store.calls["c1"].view
        bridge.put_call(replace(view, engine="keypad"))
        await shown(app, lambda: strip.words.text().endswith("hears you. The keypad menu waits."))
        assert strip.timing.text().startswith("Keypad menu silent after")
        bridge.put_call(replace(view, engine="keypad", private=True))
        await shown(app, lambda: "the keypad menu does not" in strip.words.text())

    play(scene, before=one_call)


def test_the_clock_of_a_take_over_starts_with_key_or_button_going_down(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await until(lambda: app.desk.selected == "c1", app.desk.selection_changed)
        button = app.window.controls.buttons["take_over"]
        await shown(app, button.isEnabled)
        clocks: list[float] = []
        monkeypatch.setattr(app.on_air._timing, "pressed", clocks.append)
        QTest.mousePress(button, Qt.MouseButton.LeftButton)
        assert len(clocks) == 1
        QTest.mouseRelease(button, Qt.MouseButton.LeftButton)
        assert len(clocks) == 1
        await bridge.heard(control.TakeOver)
        await until(lambda: app.on_air.has_floor_of == "c1", app.on_air.changed)

    play(scene, before=one_call)


def test_muting_keeps_the_floor_and_says_so_even_to_who_speaks(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await taken(app)
        strip = app.window.on_air
        press(app, Key.Key_M, SHIFT)
        assert (strip.sign.text, strip.sign.shape, strip.sign.role) == ("Muted", Shape.CROSSED, "operator")
        assert "hears nothing from you" in strip.words.text()
        assert strip.mute.text() == "Unmute microphone"
        assert app.window.windowTitle() == "Cordboard"
        fake(app).mic_level = 200
        await shown(app, lambda: strip.words.text().startswith("You speak, and"))
        QTest.mouseClick(strip.mute, Qt.MouseButton.LeftButton)
        assert strip.sign.text == "ON AIR"
        assert app.store.calls["c1"].view.floor is Floor.OPERATOR

    play(scene, before=one_call)


def test_without_a_floor_the_microphone_is_not_muted_and_why_is_said(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await until(lambda: app.desk.selected == "c1", app.desk.selection_changed)
        press(app, Key.Key_M, SHIFT)
        assert app.window.controls.status.text().startswith("Mute microphone: You have no call's floor")
        press(app, Key.Key_T, SHIFT)
        assert app.window.controls.status.text() == "Hand back now: The AI was not taken over."

    play(scene, before=one_call)


def test_a_floor_that_came_back_with_the_link_waits_for_a_person(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await taken(app)
        strip = app.window.on_air
        bridge.lose_consoles()
        await until(lambda: app.link.lost, app.link.state_changed)
        assert not strip.sign.isVisible()
        assert not fake(app).is_open
        await until(lambda: app.on_air.has_floor_of == "c1", app.on_air.changed)
        assert strip.sign.text == "Microphone closed"
        assert "Press Shift M to speak" in strip.words.text()
        assert not fake(app).is_open
        press(app, Key.Key_M, SHIFT)
        assert strip.sign.text == "ON AIR"

    play(scene, before=one_call)


def test_another_selected_call_leaves_the_sign_and_a_way_back(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await taken(app)
        strip = app.window.on_air
        assert not strip.show_call.isVisible()
        app.desk.select("c2")
        await shown(app, strip.show_call.isVisible)
        assert strip.sign.text == "ON AIR"
        QTest.mouseClick(strip.show_call, Qt.MouseButton.LeftButton)
        assert app.desk.selected == "c1"

    play(scene, before=two_calls)


# ── push-to-talk ──


def test_holding_t_speaks_and_letting_go_ends_it(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await taken(app, TalkMode.PUSH)
        strip, talk = app.window.on_air, app.window.talk_key
        talk.tap_ms = 0.0
        assert (strip.sign.text, strip.sign.shape) == ("Hold T to speak", Shape.RING)
        down(app)
        assert strip.sign.text == "ON AIR"
        for kind in (QEvent.Type.KeyRelease, QEvent.Type.ShortcutOverride):
            tell_key(app, kind, repeats=True)
        assert strip.sign.text == "ON AIR"
        fake(app).speak(b"\xff" * 160)
        await bridge.talked(1)
        up(app)
        await until(lambda: strip.sign.text == "Hold T to speak", app.on_air.changed)
        assert not any(isinstance(command, control.HandBack) for command in bridge.commands)
        assert not app.window.controls.line.hasFocus()

    play(scene, before=one_call)


def test_a_tap_of_t_hands_back_as_ever(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await taken(app, TalkMode.PUSH)
        app.window.talk_key.tap_ms = 1e9
        down(app)
        up(app)
        await until(app.window.controls.line.hasFocus, app.window.frames.timeout)
        press(app, Key.Key_Return)
        await bridge.heard(control.HandBack)

    play(scene, before=one_call)


def test_a_tap_hands_no_other_call_over_when_its_own_ended_under_it(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await taken(app, TalkMode.PUSH)
        app.window.talk_key.tap_ms = 1e9
        down(app)
        bridge.put_call(ended_call("c1"))
        await until(lambda: not app.on_air.has_floor_of, app.on_air.changed)
        app.desk.select("c2")
        up(app)
        await until(lambda: not app.window.talk_key.is_down, app.window.frames.timeout)
        await app.link.send(control.Watch, call_id="c2")
        assert sum(isinstance(command, control.TakeOver) for command in bridge.commands) == 1

    play(scene, before=two_calls)


@pytest.mark.parametrize("mode", list(TalkMode))
def test_t_held_for_long_hands_back_once_and_writes_nothing(play: Play, mode: TalkMode) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await taken(app, mode)
        line = app.window.controls.line
        down(app)
        if mode is TalkMode.OPEN:
            assert line.hasFocus()
        else:
            # Whoever speaks clicks into the line.
            line.setFocus()
        for kind in (QEvent.Type.KeyRelease, QEvent.Type.KeyPress) * 3:
            tell_key(app, kind, repeats=True)
        assert line.text() == ""
        up(app)

    play(scene, before=one_call)


def test_t_held_from_the_take_over_on_speaks_as_soon_as_the_floor_is_there(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await until(lambda: app.desk.selected == "c1", app.desk.selection_changed)
        await shown(app, app.window.controls.buttons["take_over"].isEnabled)
        app.window.talk_key.tap_ms = 1e9
        app.on_air.mode = TalkMode.PUSH
        down(app)
        await until(lambda: app.on_air.on_air, app.on_air.changed)
        up(app)
        await until(lambda: app.window.on_air.sign.text == "Hold T to speak", app.on_air.changed)
        assert not app.window.controls.line.hasFocus()

    play(scene, before=one_call)


def test_t_speaks_in_the_sound_panel_too(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await taken(app, TalkMode.PUSH)
        app.window.talk_key.tap_ms = 0.0
        app.window.menus.actions["sound"].trigger()
        handle = app.window.sound.windowHandle()
        down(app, handle)
        assert app.on_air.on_air
        up(app, handle)
        await until(lambda: not app.on_air.on_air, app.on_air.changed)
        app.window.sound.close()

    play(scene, before=one_call)


@pytest.mark.parametrize("how", ["window", "keyboard"])
def test_speech_never_outlives_the_keyboards_focus(play: Play, how: str) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await taken(app, TalkMode.PUSH)
        down(app)
        assert app.on_air.on_air
        if how == "window":
            app.window.talk_key.let_go()
        else:
            QApplication.sendEvent(app.window.windowHandle(), QFocusEvent(QEvent.Type.FocusOut))
        assert not app.on_air.on_air
        up(app)
        assert not any(isinstance(command, control.HandBack) for command in bridge.commands)

    play(scene, before=one_call)


def test_the_button_hands_back_with_push_to_talk_too(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await taken(app, TalkMode.PUSH)
        button = app.window.controls.buttons["take_over"]
        await shown(app, lambda: button.text() == "Hand back")
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        await until(app.window.controls.line.hasFocus, app.window.frames.timeout)
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        await bridge.heard(control.HandBack)

    play(scene, before=one_call)


# ── a microphone that fails ──


def test_a_lost_microphone_offers_three_choices_and_never_switches_by_itself(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await taken(app)
        banner = app.window.microphone
        assert not banner.isVisible()
        fake(app).unplug()
        assert banner.isVisible()
        assert not app.window.on_air.isVisible()
        assert banner.sign.text == "Microphone lost"
        told = "The microphone was unplugged or stopped giving sound. +1 415 555 0142 hears silence"
        assert banner.words.text().startswith(told)
        assert banner.until_hold.text() in ("On hold in 3 s", "On hold in 2 s")
        assert fake(app).opened == ["headset"]
        assert banner.use.text() == "Use Webcam microphone"
        assert app.window.windowTitle() == "Cordboard"
        app.window.grab()
        QTest.mouseClick(banner.use, Qt.MouseButton.LeftButton)
        assert fake(app).opened == ["headset", WEBCAM.id]
        assert not banner.isVisible()
        assert app.window.on_air.sign.text == "ON AIR"

    play(scene, before=one_call)


@pytest.mark.parametrize("choice", ["hold", "hand_back"])
def test_the_other_choices_do_what_they_say(play: Play, choice: str) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await taken(app)
        banner = app.window.microphone
        fake(app).unplug()
        QTest.mouseClick(getattr(banner, choice), Qt.MouseButton.LeftButton)
        if choice == "hold":
            assert (await bridge.heard(control.Hold)).held
        else:
            assert (await bridge.heard(control.HandBack)).note == ""
        await until(lambda: not banner.isVisible(), app.on_air.changed)
        assert not fake(app).is_open

    play(scene, before=one_call)


def test_without_another_microphone_one_can_stay_and_type(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        fake(app).unplug(WEBCAM)
        await taken(app)
        fake(app).unplug()
        assert app.window.microphone.hold.isVisible()
        assert app.window.microphone.use.text() == "Stay, and type with Say"
        fake(app).plug(HEADSET)
        assert app.window.microphone.use.text() == "Use Headset"
        fake(app).unplug()
        QTest.mouseClick(app.window.microphone.use, Qt.MouseButton.LeftButton)
        assert not app.window.microphone.isVisible()
        assert app.on_air.has_floor_of == "c1"
        # Letters are words now, and no keys of the desk.
        QTest.keyClicks(app.window.focusWidget(), "hello")
        assert app.window.controls.line.text() == "hello"

    play(scene, before=one_call)


@pytest.mark.parametrize("state", list(MICROPHONE))
def test_each_reason_has_its_sentence(play: Play, state: MicState) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        fake(app).opens_as = state
        await taken(app)
        banner = app.window.microphone
        assert banner.isVisible()
        assert banner.sign.text == MICROPHONE[state].title
        assert MICROPHONE[state].happened in banner.words.text()
        assert banner.hold.isVisible()
        assert banner.hand_back.isVisible()

    play(scene, before=one_call)


# ── listening ──


def test_listening_is_shown_calmly_with_levels_and_what_comes_next(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        strip = app.window.on_air
        await until(lambda: app.desk.selected == "c1", app.desk.selection_changed)
        await until(lambda: "c2" in app.store.calls, app.link.call_changed)
        await shown(app, app.window.controls.buttons["take_over"].isEnabled)
        app.desk.select("c2")
        press(app, Key.Key_L, SHIFT)
        app.desk.select("c1")
        press(app, Key.Key_L)
        assert (await bridge.heard(control.Listen)).call_id == "c1"
        await until(lambda: not strip.idle.isVisible(), app.on_air.changed)
        assert strip.heard.text() == "Listening to +1 415 555 0142"
        assert strip.queue.text() == "then +1 206 555 0177"
        assert not strip.sign.isVisible()
        assert app.window.windowTitle() == "Cordboard"
        fake(app).caller_level, fake(app).line_level = 255, 0
        await shown(app, lambda: strip.caller_level.level == 255)
        assert strip.line_level.level == 0
        await shown(app, lambda: app.window.controls.buttons["listen"].text() == "Stop listening")
        app.window.grab()
        bridge.put_call(ended_call("c1"))
        await until(lambda: app.on_air.listening_to == "c2", app.on_air.changed)
        assert strip.heard.text() == "Listening to +1 206 555 0177"
        assert not strip.queue.isVisible()
        QTest.mouseClick(strip.stop, Qt.MouseButton.LeftButton)
        await until(strip.idle.isVisible, app.on_air.changed)
        assert not fake(app).is_listening

    play(scene, before=two_calls)


def test_the_queue_takes_a_call_once_and_gives_it_back(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await until(lambda: app.desk.selected == "c1", app.desk.selection_changed)
        press(app, Key.Key_L, SHIFT)
        assert app.on_air.queue == ("c1",)
        press(app, Key.Key_L, SHIFT)
        assert app.on_air.queue == ()

    play(scene, before=one_call)


def test_a_call_that_waits_to_be_heard_is_shown_before_anything_is_heard(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        strip = app.window.on_air
        await until(lambda: app.desk.selected == "c1", app.desk.selection_changed)
        press(app, Key.Key_L, SHIFT)
        await until(lambda: not strip.idle.isVisible(), app.on_air.changed)
        assert strip.queue.text().startswith("Waiting to be listened to: +1 415 555 0142.")
        press(app, Key.Key_L, SHIFT)
        await until(strip.idle.isVisible, app.on_air.changed)

    play(scene, before=one_call)


def test_a_loudspeaker_that_fails_is_told(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await until(lambda: app.desk.selected == "c1", app.desk.selection_changed)
        fake(app).plays_as = SpeakerState.NO_SERVER
        app.window.menus.actions["listen"].trigger()
        await until(lambda: not app.window.on_air.idle.isVisible(), app.on_air.changed)
        assert "You do not hear a call. F10 says what to do." in app.window.on_air.heard.text()

    play(scene, before=one_call)


# ── shape ──


@pytest.mark.parametrize(
    ("name", "width", "font_scale"), [("dark", 1440, 1.0), ("light", 1100, 1.0), ("dark", 1100, 2.0)]
)
def test_nothing_of_the_sign_and_the_verbs_is_cut_off(
    play: Play, qapp: QApplication, name: str, width: int, font_scale: float
) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        theme.apply(qapp, name, font_scale)
        await taken(app)
        window = app.window
        window.resize(width, 900)
        await shown(app, lambda: window.controls.buttons["take_over"].text() == "Hand back")
        await shown(app, lambda: window.on_air.height() >= window.on_air.heightForWidth(window.on_air.width()))
        if font_scale == 1.0:
            await shown(app, lambda: len({button.y() for button in window.controls.buttons.values()}) == 1)
        strip = window.on_air
        buttons = (strip.mute, *window.controls.buttons.values())
        await shown(app, lambda: all(button.width() >= button.sizeHint().width() for button in buttons))
        visible = [strip.sign, strip.mute, strip.words, strip.timing, *window.controls.buttons.values()]
        for widget in visible:
            right_bottom = widget.mapTo(window, widget.rect().bottomRight())
            assert window.rect().contains(right_bottom), widget
            assert widget.isVisible()
        window.grab()

    try:
        play(scene, before=one_call)
    finally:
        theme.apply(qapp, "dark", 1.0)
