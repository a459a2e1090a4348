"""The verbs, by real keys and clicks: what the bridge is told, and that only the bridge changes a button."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu

from bridge import control
from bridge.control import Verb
from console import theme
from console.app import App
from tests.console.conftest import shown, until
from tests.console.fake_bridge import FakeBridge, ended_call, held_call, live_call, taken_call

Play = Callable[..., None]
Key = Qt.Key
CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def one_call(bridge: FakeBridge) -> None:
    bridge.put_call(live_call("c1"))


def two_calls(bridge: FakeBridge) -> None:
    bridge.put_call(live_call("c1"), live_call("c2", started_unix_ms=1_800_000_000_000))


async def selected(app: App, call_id: str = "c1") -> None:
    await until(lambda: app.desk.selected == call_id, app.desk.selection_changed)
    await shown(app, app.window.controls.buttons["interrupt"].isEnabled)


def press(app: App, key: Qt.Key, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    QTest.keyClick(app.window.focusWidget() or app.window, key, modifiers)


def click(app: App, name: str) -> None:
    QTest.mouseClick(app.window.controls.buttons[name], Qt.MouseButton.LeftButton)


@pytest.mark.parametrize("how", ["key", "ctrl", "click"])
def test_interrupt(play: Play, how: str) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        match how:
            case "key":
                press(app, Key.Key_Space)
            case "ctrl":
                app.window.controls.act("say")
                press(app, Key.Key_Space, CTRL)
            case "click":
                click(app, "interrupt")
        assert (await bridge.heard(control.Interrupt)).call_id == "c1"
        assert app.window.controls.line.text() == ""

    play(scene, before=one_call)


@pytest.mark.parametrize("by_key", [True, False])
def test_mute_and_unmute_by_the_same_button_once_the_bridge_says_so(play: Play, by_key: bool) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        button = app.window.controls.buttons["mute_ai"]
        for count, (muted, words) in enumerate(((True, "Unmute AI"), (False, "Mute AI")), start=1):
            if by_key:
                press(app, Key.Key_M)
            else:
                click(app, "mute_ai")
            assert (await bridge.heard(control.MuteAI, count)).muted is muted
            await shown(app, lambda words=words: button.text() == words)

    play(scene, before=one_call)


def test_a_button_is_pending_until_the_bridge_answers_and_a_second_press_waits(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        bridge.holds = True
        button = app.window.controls.buttons["take_over"]
        click(app, "take_over")
        assert button.property("pending")
        assert button.text() == "Take over"
        click(app, "take_over")
        await shown(app, lambda: "waiting for the bridge" in app.window.controls.status.text())
        bridge.answer_held()
        await shown(app, lambda: not button.property("pending"))
        await shown(app, lambda: button.text() == "Hand back")
        assert app.window.controls.status.text() == ""
        assert sum(isinstance(command, control.TakeOver) for command in bridge.commands) == 1

    play(scene, before=one_call)


@pytest.mark.parametrize(
    ("key", "kind", "name"),
    [(Key.Key_W, control.Whisper, "whisper"), (Key.Key_K, control.Ask, "ask"), (Key.Key_S, control.Say, "say")],
)
@pytest.mark.parametrize("ctrl", [False, True])
def test_words_are_written_and_sent(play: Play, key: Qt.Key, kind: type, name: str, ctrl: bool) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        line = app.window.controls.line
        if ctrl:
            app.window.top.filter.setFocus()
            press(app, key, CTRL)
        else:
            press(app, key)
        await until(line.hasFocus, app.window.frames.timeout)
        assert app.window.controls.modes[name].isChecked()
        QTest.keyClicks(line, "  Stay calm, talk / ask?  ")
        press(app, Key.Key_Return)
        command = await bridge.heard(kind)
        assert command.text == "Stay calm, talk / ask?"
        assert line.text() == ""
        assert line.hasFocus()
        press(app, Key.Key_Escape)
        assert not line.hasFocus()

    play(scene, before=one_call)


def test_ask_cuts_in_with_shift(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        press(app, Key.Key_K)
        QTest.keyClicks(app.window.controls.line, "Why?")
        press(app, Key.Key_Return, SHIFT)
        assert (await bridge.heard(control.Ask)).cut_in
        QTest.mouseClick(app.window.controls.modes["say"], Qt.MouseButton.LeftButton)
        press(app, Key.Key_Return)
        QTest.keyClicks(app.window.controls.line, "One moment.")
        press(app, Key.Key_Return, SHIFT)
        assert (await bridge.heard(control.Say)).text == "One moment."
        assert len([command for command in bridge.commands if isinstance(command, control.Say)]) == 1

    play(scene, before=one_call)


def test_letters_in_the_line_are_letters(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        press(app, Key.Key_W)
        QTest.keyClicks(app.window.controls.line, "T M / ? R")
        assert app.window.controls.line.text() == "T M / ? R"
        press(app, Key.Key_Escape)
        press(app, Key.Key_M)
        await bridge.heard(control.MuteAI)
        assert not any(isinstance(command, control.TakeOver) for command in bridge.commands)

    play(scene, before=one_call)


def test_take_over_and_hand_back_with_a_note(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        controls = app.window.controls
        press(app, Key.Key_T)
        await bridge.heard(control.TakeOver)
        await shown(app, lambda: controls.buttons["take_over"].text() == "Hand back")
        assert not app.window.on_air.idle.isVisible()
        assert not controls.buttons["mute_ai"].isEnabled()
        assert "Hand back first" in controls.buttons["mute_ai"].toolTip()
        press(app, Key.Key_T)
        await until(controls.line.hasFocus, app.window.frames.timeout)
        QTest.keyClicks(controls.line, "told her all is settled")
        press(app, Key.Key_Return)
        assert (await bridge.heard(control.HandBack)).note == "told her all is settled"
        await shown(app, lambda: controls.buttons["take_over"].text() == "Take over")
        assert app.window.on_air.idle.isVisible()
        assert controls.line.text() == ""

    play(scene, before=one_call)


@pytest.mark.parametrize("again", ["T", "Ctrl+T", "click"])
def test_hand_back_without_a_note_by_pressing_again(play: Play, again: str) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        bridge.put_call(taken_call("c1", app.link.me))
        controls = app.window.controls
        await shown(app, lambda: controls.buttons["take_over"].text() == "Hand back")
        controls.line.setText("a whisper begun before")
        press(app, Key.Key_T)
        assert controls.line.text() == ""
        match again:
            case "T":
                app.window.calls.list.setFocus()
                press(app, Key.Key_T)
            case "Ctrl+T":
                press(app, Key.Key_T, CTRL)
            case "click":
                click(app, "take_over")
        assert (await bridge.heard(control.HandBack)).note == ""
        assert controls.line.text() == "a whisper begun before"

    play(scene)


def test_esc_keeps_the_floor(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        bridge.put_call(taken_call("c1", app.link.me))
        controls = app.window.controls
        await shown(app, lambda: controls.buttons["take_over"].text() == "Hand back")
        press(app, Key.Key_T)
        press(app, Key.Key_Escape)
        assert controls.status.text() == ""
        assert not any(isinstance(command, control.HandBack) for command in bridge.commands)

    play(scene)


def test_hang_up_is_shown_until_it_is_confirmed(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        button = app.window.controls.buttons["hang_up"]
        press(app, Key.Key_Escape, SHIFT)
        await bridge.heard(control.HangUp)
        await shown(app, lambda: button.text() == "Hanging up…")
        assert button.property("pending")
        bridge.put_call(ended_call("c1"))
        await shown(app, lambda: button.text() == "Hang up" and not button.isEnabled())
        assert not button.property("pending")

    play(scene, before=one_call)


def test_hang_up_also_works_from_the_line(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        press(app, Key.Key_W)
        press(app, Key.Key_Escape, SHIFT)
        await bridge.heard(control.HangUp)

    play(scene, before=one_call)


def test_a_refusal_stands_beside_the_buttons_and_the_words_come_back(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        bridge.refuses[control.Ask] = "The AI is muted. Unmute it first."
        press(app, Key.Key_K)
        QTest.keyClicks(app.window.controls.line, "Which order?")
        press(app, Key.Key_Return)
        await until(lambda: app.window.controls.status.text() != "", app.desk.refused)
        assert app.window.controls.status.text() == "Ask: The AI is muted. Unmute it first."
        assert app.window.controls.line.text() == "Which order?"
        bridge.refuses.clear()
        press(app, Key.Key_Return)
        await until(lambda: app.window.controls.status.text() == "", app.desk.done)

    play(scene, before=one_call)


def test_a_note_is_kept_with_its_call_until_the_floor_is_given_back(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        line = app.window.controls.line
        bridge.put_call(taken_call("c1", app.link.me))
        await shown(app, app.desk.has_floor)
        press(app, Key.Key_T)
        QTest.keyClicks(line, "Refund agreed.")
        press(app, Key.Key_Escape)
        assert line.text() == ""
        press(app, Key.Key_T)
        app.desk.select("c2")
        assert line.text() == ""
        app.desk.select("c1")
        press(app, Key.Key_T, CTRL)
        assert line.text() == "Refund agreed."
        bridge.refuses[control.HandBack] = "There is no AI to hand back to."
        press(app, Key.Key_Return)
        await until(lambda: "no AI to hand back to" in app.window.controls.status.text(), app.desk.refused)
        press(app, Key.Key_T)
        assert line.text() == "Refund agreed."
        bridge.put_call(live_call("c1"))
        await shown(app, lambda: not line.text())
        bridge.put_call(taken_call("c1", app.link.me))
        await shown(app, app.desk.has_floor)
        press(app, Key.Key_T, CTRL)
        assert line.text() == ""

    play(scene, before=two_calls)


def test_who_writes_is_not_taken_to_another_call_when_the_next_is_listened_to(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        app.desk.select("c2")
        app.on_air.toggle_queue()
        app.desk.select("c1")
        app.on_air.toggle_listen()
        press(app, Key.Key_W)
        QTest.keyClicks(app.window.controls.line, "Offer a refu")
        bridge.put_call(ended_call("c1"))
        await until(lambda: app.on_air.listening_to == "c2", app.on_air.changed)
        assert app.desk.selected == "c1"
        assert app.window.controls.line.text() == "Offer a refu"

    play(scene, before=two_calls)


@pytest.mark.parametrize(("width", "font_scale"), [(1440, 1.0), (1100, 1.0), (1100, 2.0)])
def test_a_refusal_can_be_read_whatever_room_there_is(
    play: Play, qapp: QApplication, width: int, font_scale: float
) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        theme.apply(qapp, "dark", font_scale)
        app.window.resize(width, 700)
        bridge.put_call(taken_call("c1", "Ana"))
        await until(lambda: app.desk.selected == "c1", app.desk.selection_changed)
        await shown(app, lambda: app.window.controls.buttons["take_over"].text() == "Hand back")
        status = app.window.controls.status
        press(app, Key.Key_T)
        await shown(app, status.isVisible)
        assert status.height() >= status.heightForWidth(status.width())
        assert not any(status.geometry().intersects(b.geometry()) for b in app.window.controls.buttons.values())

    try:
        play(scene)
    finally:
        theme.apply(qapp, "dark", 1.0)


def test_what_is_not_allowed_is_explained_when_its_key_is_pressed(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        bridge.put_call(taken_call("c1", "Ana"))
        await until(lambda: app.desk.selected == "c1", app.desk.selection_changed)
        await shown(app, lambda: app.window.controls.buttons["take_over"].text() == "Hand back")
        assert app.window.on_air.idle.isVisible()
        press(app, Key.Key_T)
        assert "Ana has the floor" in app.window.controls.status.text()
        press(app, Key.Key_M)
        assert app.window.controls.status.text().startswith("Mute AI: You have the floor")
        assert not [c for c in bridge.commands if isinstance(c, control.MuteAI | control.HandBack)]

    play(scene)


def test_words_stay_with_the_call_they_were_written_for(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app, "c1")
        line = app.window.controls.line
        press(app, Key.Key_S)
        QTest.keyClicks(line, "for the first")
        press(app, Key.Key_F8)
        assert app.desk.selected == "c2"
        assert line.text() == ""
        assert app.window.controls.modes["whisper"].isChecked()
        QTest.keyClicks(line, "for the second")
        press(app, Key.Key_F7)
        assert line.text() == "for the first"
        assert app.window.controls.modes["say"].isChecked()
        press(app, Key.Key_Return)
        said = await bridge.heard(control.Say)
        assert (said.call_id, said.text) == ("c1", "for the first")

    play(scene, before=two_calls)


def test_words_refused_after_another_call_was_selected_wait_with_their_call(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app, "c1")
        bridge.holds = True
        bridge.refuses[control.Whisper] = "Not now."
        press(app, Key.Key_W)
        QTest.keyClicks(app.window.controls.line, "be kind")
        press(app, Key.Key_Return)
        await bridge.heard(control.Whisper)
        app.desk.select("c2")
        bridge.answer_held()
        await until(lambda: app.desk.pending("c1", Verb.WHISPER) is None, app.desk.pending_changed)
        assert app.window.controls.line.text() == ""
        assert app.window.controls.status.text() == ""
        app.desk.select("c1")
        assert app.window.controls.line.text() == "be kind"

    play(scene, before=two_calls)


def test_a_call_that_ends_while_one_types_keeps_the_words_and_says_so(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        press(app, Key.Key_W)
        QTest.keyClicks(app.window.controls.line, "offer a refund")
        bridge.put_call(ended_call("c1"))
        await shown(app, lambda: "was not sent" in app.window.controls.status.text())
        press(app, Key.Key_Return)
        assert app.window.controls.line.text() == "offer a refund"
        assert "The call has ended" in app.window.controls.status.text()

    play(scene, before=one_call)


def test_a_lost_bridge_takes_the_verbs_away_and_says_why(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        bridge.holds = True
        click(app, "interrupt")
        await bridge.heard(control.Interrupt)
        bridge.lose_consoles()
        await until(lambda: app.link.lost, app.link.state_changed)
        assert not app.window.controls.buttons["interrupt"].isEnabled()
        assert "link to the bridge is lost" in app.window.controls.buttons["interrupt"].toolTip()
        assert "lost before it answered" in app.window.controls.status.text()
        refusals: list[str] = []
        app.desk.refused.connect(lambda *refused: refusals.append(refused[2]))
        app.desk.rehearse()
        assert "no rehearsal call was begun" in refusals[-1]
        await shown(app, app.window.controls.buttons["interrupt"].isEnabled)

    play(scene, before=one_call)


def test_a_button_reached_by_tab_is_pressed_by_space_and_by_return(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        button = app.window.controls.buttons["mute_ai"]
        button.setFocus(Qt.FocusReason.TabFocusReason)
        press(app, Key.Key_Space)
        await bridge.heard(control.MuteAI)
        assert not any(isinstance(command, control.Interrupt) for command in bridge.commands)
        await shown(app, lambda: button.text() == "Unmute AI")
        press(app, Key.Key_Return)
        assert not (await bridge.heard(control.MuteAI, 2)).muted

    play(scene, before=one_call)


def test_a_click_leaves_the_keyboard_where_it_was_so_that_space_interrupts(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        click(app, "mute_ai")
        await bridge.heard(control.MuteAI)
        press(app, Key.Key_Space)
        await bridge.heard(control.Interrupt)

    play(scene, before=one_call)


def test_every_control_has_a_name_a_tooltip_and_its_key(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        for button in (*app.window.controls.buttons.values(), *app.window.controls.modes.values()):
            assert button.accessibleName()
            assert "[" in button.toolTip()
            assert button.focusPolicy() == Qt.FocusPolicy.TabFocus
        assert app.window.controls.line.accessibleName()

    play(scene, before=one_call)


@pytest.mark.parametrize("how", ["key", "ctrl", "details"])
def test_an_engine_is_chosen_from_a_menu_and_said_to_come_and_to_have_come(play: Play, how: str) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        window, menu = app.window, app.window.engines
        match how:
            case "key":
                press(app, Key.Key_G)
            case "ctrl":
                window.controls.act("say")
                press(app, Key.Key_G, CTRL)
            case "details":
                window.details.engine.click()
        await shown(app, menu.isVisible)
        assert [action.text() for action in menu.actions()][1:-1] == ["Cascade", "Keypad menu"]
        press_on(menu, Key.Key_Down, Key.Key_Return)
        command = await bridge.heard(control.Swap)
        assert (command.call_id, command.engine) == ("c1", "keypad")
        status = window.controls.status
        await shown(app, lambda: status.text().startswith("Keypad menu takes over at the next quiet moment"))
        bridge.put_call(live_call("c1", engine="keypad", engines=("openai", "cascade")))
        await shown(app, lambda: status.text() == "Keypad menu has the call now.")
        assert window.details.engine.text() == "Keypad menu"

    play(scene, before=one_call)


def test_where_the_budget_is_spent_the_menu_of_engines_says_what_an_ai_would_do_to_it(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        bridge.put_call(live_call("c1", engine="keypad", engines=("openai",), cost_usd=0.5, budget_usd=0.5))
        await shown(app, lambda: app.window.details.engine.text() == "Keypad menu")
        app.window.controls.act("swap")
        menu = app.window.engines
        assert any(action.text().startswith("The AI's budget of $0.50 is spent; an AI") for action in menu.actions())
        press_on(menu, Key.Key_Escape)

    play(scene, before=one_call)


def press_on(menu: QMenu, *keys: Qt.Key) -> None:
    for key in keys:
        QTest.keyClick(menu, key)


def test_the_menu_of_engines_is_left_by_esc_and_goes_with_its_call(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        menu = app.window.engines
        for leave in (lambda: press_on(menu, Key.Key_Escape), lambda: app.desk.select("c2")):
            app.window.controls.act("swap")
            assert menu.isVisible()
            leave()
            assert not menu.isVisible()
        assert not any(isinstance(command, control.Swap) for command in bridge.commands)

    play(scene, before=two_calls)


def test_where_the_right_column_is_hidden_the_menu_of_engines_stands_above_the_verbs(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        app.window.details.hide()
        app.window.controls.act("swap")
        menu = app.window.engines
        assert menu.isVisible()
        assert menu.geometry().bottom() <= app.window.controls.mapToGlobal(QPoint(0, 0)).y()
        menu.close()

    play(scene, before=one_call)


def test_the_menu_of_engines_stays_within_the_windows_sides(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        window, menu = app.window, app.window.engines
        corner = window.mapToGlobal(window.rect().topRight())
        menu.open_at(corner - QPoint(20, -100))
        assert menu.geometry().right() <= corner.x()
        menu.close()

    play(scene, before=one_call)


def test_without_another_engine_the_refusal_is_in_words(play: Play) -> None:
    def alone(bridge: FakeBridge) -> None:
        bridge.put_call(live_call("c1", engines=()))

    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        press(app, Key.Key_G)
        status = app.window.controls.status
        await shown(app, lambda: status.text() == "Swap engine: This call's profile names no other engine.")
        assert not app.window.engines.isVisible()
        app.window.engines.open_at(QPoint(0, 0))
        assert not app.window.engines.isVisible()

    play(scene, before=alone)


def test_a_refused_swap_is_told_and_leaves_the_text_line_alone(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await selected(app)
        bridge.refuses[control.Swap] = "This call cannot be given to 'cascade'. Choose one of the engines shown."
        app.window.engines.chosen.emit("cascade")
        await shown(app, lambda: "cannot be given" in app.window.controls.status.text())
        assert app.window.controls.line.text() == ""

    play(scene, before=one_call)


def test_a_call_that_no_ai_is_left_for_asks_for_a_person_everywhere(play: Play) -> None:
    def rung(bridge: FakeBridge) -> None:
        needs = ("no AI is left: take over",)
        view = held_call("c1", engine="", engines=("openai",), activity="No AI: take over", needs=needs)
        bridge.put_call(replace(view, allowed=(Verb.TAKE_OVER, Verb.SWAP, Verb.HANG_UP)))

    async def scene(app: App, bridge: FakeBridge) -> None:
        await until(lambda: app.desk.selected == "c1", app.desk.selection_changed)
        window = app.window
        await shown(app, lambda: window.header.floor.text == "No AI: take over")
        assert window.controls.status.text().startswith("No AI is left, and the caller hears the hold sound. Take over")
        assert window.controls.status.property("role") == "danger"
        assert window.details.engine.text() == "none is left"
        click(app, "take_over")
        await bridge.heard(control.TakeOver)
        await shown(app, lambda: window.header.floor.text == "You have the floor")
        assert window.controls.status.text() == ""

    play(scene, before=rung)
