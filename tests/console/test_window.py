"""The window as a whole: what it shows of calls, health and losses, its keys, menus and memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QPoint, QSize, Qt
from PySide6.QtGui import QAccessible, QKeyEvent, QWindowStateChangeEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QMenu, QMessageBox

from bridge import control
from bridge.control import (
    Floor,
    HealthPart,
    HealthState,
    HealthView,
    MessageView,
    Notice,
    Party,
    Phase,
    Recording,
    VendorView,
)
from console import theme
from console.actions import ACTIONS
from console.app import App
from console.panels.shortcuts import ShortcutSheet
from console.panels.states import SILENT_AFTER_MS
from console.settings import Settings
from tests.console.conftest import shown, until
from tests.console.fake_bridge import FakeBridge, ended_call, live_call, taken_call, turn

Play = Callable[..., None]
Key = Qt.Key


def one_call(bridge: FakeBridge) -> None:
    bridge.put_call(live_call("c1"))


def a_day(bridge: FakeBridge) -> None:
    bridge.put_call(
        live_call("calm", number="+12065550177", place="Seattle", started_unix_ms=1),
        live_call("urgent", needs=("asks for a person",), started_unix_ms=2),
        live_call("rings", phase=Phase.RINGING, floor=Floor.NOBODY, activity="Ringing", started_unix_ms=3),
        ended_call("over", number="+16465550133", started_unix_ms=4),
    )


def health(part: HealthPart, state: HealthState, word: str, reason: str = "", fix: str = "") -> control.HealthChanged:
    return control.HealthChanged(health=HealthView(part=part, state=state, word=word, reason=reason, fix=fix))


def press(app: App, key: Qt.Key, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    QTest.keyClick(app.window.focusWidget() or app.window, key, modifiers)


def rows(app: App) -> list[str]:
    model = app.window.calls.model
    return [model.data(model.index(place)) for place in range(model.rowCount())]


# ── the list ──


def test_calls_stand_under_their_headings_most_urgent_first(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await shown(app, lambda: len(rows(app)) == 7)
        assert [row.split(",")[0] for row in rows(app)] == [
            "Live — most urgent first",
            "+1 415 555 0142",
            "+1 206 555 0177",
            "Ringing",
            "+1 415 555 0142",
            "Ended",
            "+1 646 555 0133",
        ]
        assert "needs you: asks for a person" in rows(app)[1]
        assert app.desk.selected == "urgent"
        assert app.window.top.counts.text().count("1 needs you") == 1
        app.window.grab()

    play(scene, before=a_day)


def test_a_call_whose_ai_is_being_connected_is_live_and_counted_so(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await shown(app, lambda: len(rows(app)) == 2)
        assert rows(app)[0] == "Live — most urgent first"
        assert app.window.top.counts.text().startswith("1 live")

    play(scene, before=lambda bridge: bridge.put_call(live_call("c1", phase=Phase.CONNECTING)))


def test_the_selection_stays_on_its_call_when_the_order_changes(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await shown(app, lambda: len(rows(app)) == 7)
        app.desk.select("calm")
        bridge.put_call(
            live_call("urgent", started_unix_ms=2), live_call("calm", needs=("watch word",), started_unix_ms=1)
        )
        await shown(app, lambda: "watch word" in rows(app)[1])
        assert app.desk.selected == "calm"
        index = app.window.calls.list.currentIndex()
        assert app.window.calls.model.call_at(index) is app.store.calls["calm"]
        bridge.put_call(ended_call("calm"))
        await shown(app, lambda: "Ended" in rows(app)[-1])
        assert app.desk.selected == "calm"
        assert app.window.calls.list.selectionModel().isSelected(app.window.calls.list.currentIndex())

    play(scene, before=a_day)


def test_calls_are_chosen_by_mouse_by_arrows_and_by_f7_f8(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await shown(app, lambda: len(rows(app)) == 7)
        view = app.window.calls.list
        assert (await bridge.heard(control.Watch)).call_id == "urgent"
        where = view.visualRect(app.window.calls.model.index(app.window.calls.model.row_of("over"))).center()
        QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=where)
        assert app.desk.selected == "over"
        assert (await bridge.heard(control.Watch, 2)).call_id == "over"
        press(app, Key.Key_Up)
        press(app, Key.Key_Up)
        assert app.desk.selected == "rings"
        press(app, Key.Key_F7)
        assert app.desk.selected == "calm"
        press(app, Key.Key_F8)
        assert app.desk.selected == "rings"
        press(app, Key.Key_F8)
        press(app, Key.Key_F8)
        assert app.desk.selected == "over"

    play(scene, before=a_day)


def test_the_filter_finds_numbers_places_and_spoken_words(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        bridge.put(control.TurnChanged(turn=turn("t1", Party.CALLER, "I want my Money back", "over")))
        await until(lambda: bool(app.store.calls["over"].turns), app.link.call_changed)
        press(app, Key.Key_Slash)
        line = app.window.top.filter
        await until(line.hasFocus, app.window.frames.timeout)
        QTest.keyClicks(line, "money")
        assert app.window.calls.model.row_of("over") == 1
        assert len(rows(app)) == 2
        line.setText("206 555 seattle")
        assert app.window.calls.model.row_of("calm") == 1
        line.setText("nobody says this")
        assert rows(app) == []
        assert "No call has these words" in app.window.calls.nothing.text()
        press(app, Key.Key_Escape)
        assert line.text() == ""
        assert len(rows(app)) == 7
        assert not line.hasFocus()
        app.window.menus.actions["filter"].trigger()
        press(app, Key.Key_Return)
        assert not line.hasFocus()

    play(scene, before=a_day)


def test_filtering_leaves_the_selected_call_until_one_is_chosen(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await until(lambda: app.desk.selected == "urgent", app.desk.selection_changed)
        line = app.window.top.filter
        line.setFocus()
        QTest.keyClicks(line, "206 555")
        assert len(rows(app)) == 2
        assert app.desk.selected == "urgent"
        press(app, Key.Key_Return)
        assert app.desk.selected == "calm"
        line.clear()
        line.setFocus()
        press(app, Key.Key_Return)
        assert app.desk.selected == "calm"

    play(scene, before=a_day)


def test_a_text_line_without_a_call_gives_the_keyboard_to_the_list(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await until(lambda: app.desk.selected == "c1", app.desk.selection_changed)
        press(app, Key.Key_W)
        assert app.window.controls.line.hasFocus()
        bridge.forget_call("c1")
        await until(lambda: app.desk.selected == "", app.desk.selection_changed)
        assert app.window.calls.list.hasFocus()

    play(scene, before=one_call)


def test_a_forgotten_call_leaves_and_the_next_live_one_is_shown(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        app.desk.select("over")
        bridge.forget_call("over")
        await until(lambda: app.desk.selected == "urgent", app.desk.selection_changed)
        await shown(app, lambda: len(rows(app)) == 5)

    play(scene, before=a_day)


# ── the selected call ──


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (live_call(), "AI has the floor"),
        (taken_call(holder="Ana"), "Ana has the floor"),
        (live_call(floor=Floor.NOBODY, ai_muted=True, speaking=Party.CALLER), "AI muted · nobody is heard"),
        (live_call(floor=Floor.NOBODY, ai_muted=True, speaking=Party.AI), "AI muted · Say is heard"),
        (live_call(floor=Floor.NOBODY), "Nobody is heard"),
        (live_call(floor=Floor.HOLD, floor_holder="Ann"), "On hold"),
        (live_call(floor=Floor.HOLD, engine=""), "No AI: take over"),
        (live_call(engine="pin"), "Caller enters a PIN"),
        (live_call(engine="keypad"), "Keypad menu has the floor"),
        (live_call(phase=Phase.CONNECTING), "AI is connecting"),
        (live_call(phase=Phase.RINGING), "Ringing"),
        (ended_call(), "Caller hung up"),
    ],
)
def test_the_floor_chip_always_says_whom_the_caller_hears(play: Play, view: control.CallView, words: str) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        app.desk.select("c1")
        await shown(app, lambda: app.window.header.floor.text == words)

    play(scene, before=lambda bridge: bridge.put_call(view))


def test_ones_own_floor_is_named_you_in_header_and_list(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        bridge.put_call(taken_call("c1", app.link.me, activity=f"{app.link.me} has the floor"))
        await shown(app, lambda: app.window.header.floor.text == "You have the floor")
        app.window.grab()

    play(scene, before=one_call)


@pytest.mark.parametrize(
    ("recording", "words"),
    [
        (Recording.ON, "Recording"),
        (Recording.PARTIAL, "Recording has a gap"),
        (Recording.DONE, "Recorded"),
        (Recording.OFF, "Not recorded"),
    ],
)
def test_the_header_says_whether_it_is_recorded(play: Play, recording: Recording, words: str) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await shown(app, lambda: app.window.header.recording.text == words)
        assert app.window.header.number.text() == "+1 415 555 0142"
        assert app.window.header.clock.text() >= "03:12"

    play(scene, before=lambda bridge: bridge.put_call(live_call(recording=recording)))


def test_the_clock_of_a_live_call_runs_and_stands_still_while_the_bridge_is_lost(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await shown(app, lambda: app.desk.clock_ms("c1") > 192_000)
        bridge.lose_consoles()
        await until(lambda: app.link.lost, app.link.state_changed)
        stopped = app.desk.clock_ms("c1")
        assert app.desk.clock_ms("c1") == stopped
        assert app.desk.clock_ms("no such call") == 0

    play(scene, before=one_call)


def test_raw_messages_are_listed_and_read(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        dock, panel = app.window.dock, app.window.messages
        assert not dock.isVisible()
        press(app, Key.Key_F12)
        assert dock.isVisible()
        for number in range(3):
            message = MessageView(
                call_id="c1",
                number=number,
                at_ms=1000 * number,
                peer="carrier",
                outbound=number == 1,
                name="media",
                text='{"a": 1}' if number else "not json",
                count=12 if number else 1,
            )
            bridge.tell(control.MessageSeen(message=message))
        await shown(app, lambda: panel.model.rowCount() == 3)
        words = [panel.model.data(panel.model.index(1, column)) for column in range(4)]
        assert words == ["00:01.0", "→ carrier", "media", "\u00d7 12"]
        panel.table.selectRow(1)
        assert panel.detail.toPlainText() == '{\n  "a": 1\n}'
        panel.table.selectRow(0)
        assert panel.detail.toPlainText() == "not json"
        panel.table.setFocus()
        press(app, Key.Key_F12)
        assert not dock.isVisible()
        assert app.window.calls.list.hasFocus()
        assert not app.window.menus.actions["messages"].isChecked()

    play(scene, before=one_call)


@pytest.mark.parametrize("key", [Key.Key_Space, Key.Key_Return])
def test_with_the_keyboards_focus_every_button_can_be_pressed(play: Play, key: Qt.Key) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        bridge.put(health(HealthPart.BRIDGE, HealthState.GREEN, "Bridge", "Runs well."))
        chip = app.window.top.chips[HealthPart.BRIDGE]
        await shown(app, chip.isVisible)
        chip.setFocus()
        press(app, key)
        assert chip.popup.isVisible()
        chip.popup.hide()
        app.window.top.rehearsal.setFocus()
        press(app, key)
        assert "TWILIO_ACCOUNT_SID" in app.window.findChild(QMessageBox).informativeText()
        assert [c for c in bridge.commands if not isinstance(c, control.Attach | control.Watch)] == []

    play(scene, before=one_call)


# ── states ──


def test_all_quiet_in_a_rehearsal_says_what_it_is_and_offers_a_call(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        empty = app.window.empty
        assert empty.isVisible()
        assert empty.title.text() == "Rehearsal: all quiet"
        assert "nobody is billed" in empty.text.text()
        QTest.mouseClick(empty.another, Qt.MouseButton.LeftButton)
        assert (await bridge.heard(control.Rehearse)).scenario == ""
        press(app, Key.Key_R)
        await bridge.heard(control.Rehearse, 2)
        QTest.mouseClick(app.window.top.call_button, Qt.MouseButton.LeftButton)
        await bridge.heard(control.Rehearse, 3)

    play(scene)


def test_all_quiet_on_a_real_line_names_the_number_and_every_trouble(play: Play) -> None:
    def before(bridge: FakeBridge) -> None:
        bridge.put(health(HealthPart.NUMBER, HealthState.GREEN, "+16285550100"))
        bridge.put(health(HealthPart.ENGINE, HealthState.RED, "AI lost", "Refused.", "Check OPENAI_API_KEY."))

    async def scene(app: App, bridge: FakeBridge) -> None:
        empty = app.window.empty
        assert empty.title.text() == "All quiet"
        assert "+1 628 555 0100" in empty.text.text()
        assert "Check OPENAI_API_KEY." in empty.detail.text()
        assert not empty.another.isVisible()
        press(app, Key.Key_R)
        assert "answers a real line" in app.window.notices.words.text()
        assert not any(isinstance(command, control.Rehearse) for command in bridge.commands)

    play(scene, rehearsal=False, before=before)


def test_ended_calls_alone_leave_the_desk_quiet(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await shown(app, lambda: "Select an ended call" in app.window.empty.detail.text())
        assert app.desk.selected == ""
        press(app, Key.Key_F8)
        assert app.desk.selected == "over"

    play(scene, before=lambda bridge: bridge.put_call(ended_call("over")))


def test_a_bridge_that_falls_silent_while_a_call_is_up_is_told(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await until(lambda: app.desk.selected == "c1", app.desk.selection_changed)
        banner = app.window.lost
        app.link.heard_ms -= SILENT_AFTER_MS
        banner.refresh()
        assert "No word from the bridge for 3" in banner.words.text()
        bridge.put_call(live_call("c1", activity="Listening"))
        await until(lambda: app.desk.view is not None and app.desk.view.activity == "Listening", app.link.call_changed)
        banner.refresh()
        assert not banner.isVisible()
        bridge.put_call(ended_call("c1"))
        await until(lambda: not app.store.live_count, app.link.call_changed)
        app.link.heard_ms -= SILENT_AFTER_MS
        banner.refresh()
        assert not banner.isVisible()

    play(scene, before=one_call)


def test_a_lost_bridge_is_told_with_its_age_and_what_was_known_stays(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await shown(app, lambda: len(rows(app)) == 2)
        bridge.lose_consoles()
        await until(lambda: app.link.lost, app.link.state_changed)
        assert app.window.lost.isVisible()
        assert "Bridge lost" in app.window.lost.words.text()
        assert len(rows(app)) == 2
        app.window.refresh_now()
        assert app.window.top.chips[HealthPart.BRIDGE].text() == "Bridge lost"
        app.window.grab()
        QTest.mouseClick(app.window.lost.action, Qt.MouseButton.LeftButton)
        await shown(app, lambda: not app.window.lost.isVisible())
        assert app.desk.selected == "c1"

    play(scene, before=one_call)


def test_notices_wait_for_each_other_and_lead_to_their_call(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        banner = app.window.notices
        bridge.tell(Notice(text="The disk is nearly full.", state=HealthState.RED))
        bridge.tell(Notice(text="A tool failed.", call_id="calm"))
        bridge.tell(Notice(text="A tool failed.", call_id="calm"))
        await until(lambda: banner.words.text() == "A tool failed.", app.link.noticed)
        QTest.mouseClick(banner.action, Qt.MouseButton.LeftButton)
        assert app.desk.selected == "calm"
        await until(lambda: len(app.store.notices) == 3, app.link.noticed)
        QTest.mouseClick(banner.close_button, Qt.MouseButton.LeftButton)
        assert banner.words.text() == "The disk is nearly full."
        assert not banner.action.isVisible()
        QTest.mouseClick(banner.close_button, Qt.MouseButton.LeftButton)
        assert not banner.isVisible()

    play(scene, before=a_day)


@pytest.mark.qt_log_ignore("does not support raise", "does not support grabbing")
def test_health_chips_have_a_word_and_open_the_reason_and_the_fix(play: Play) -> None:
    def before(bridge: FakeBridge) -> None:
        bridge.put(
            health(HealthPart.BRIDGE, HealthState.GREEN, "Bridge"),
            health(HealthPart.TUNNEL, HealthState.RED, "Tunnel down", "ngrok ended.", "Start it again."),
            health(HealthPart.NUMBER, HealthState.AMBER, "+16285550100 (simulated)"),
        )

    async def scene(app: App, bridge: FakeBridge) -> None:
        chips = app.window.top.chips
        await shown(app, lambda: chips[HealthPart.TUNNEL].text() == "Tunnel down")
        assert chips[HealthPart.NUMBER].text() == "+1 628 555 0100"
        assert chips[HealthPart.TUNNEL].accessibleName() == "Tunnel: Tunnel down, does not work"
        assert not chips[HealthPart.ENGINE].isVisible()
        QTest.mouseClick(chips[HealthPart.TUNNEL], Qt.MouseButton.LeftButton)
        popup = chips[HealthPart.TUNNEL].popup
        assert popup.isVisible()
        words = [label.text() for label in popup.findChildren(type(app.window.header.number))]
        assert words == ["Tunnel: Tunnel down", "ngrok ended.", "Start it again."]
        popup.hide()

    play(scene, before=before)


# ── keys, menus, shape ──


def test_the_sheet_lists_every_key_and_closes_with_its_own(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        press(app, Key.Key_Question)
        sheet = app.window.findChild(ShortcutSheet)
        assert sheet is not None
        words = {label.text() for label in sheet.findChildren(type(app.window.header.number))}
        for action in ACTIONS:
            if action.key:
                assert any(action.look.title in word for word in words), action.name
        QTest.keyClicks(sheet, "?")
        assert not sheet.isVisible()

    play(scene, before=one_call)


@pytest.mark.qt_log_ignore("does not support raise", "does not support grabbing")
def test_the_call_menu_greys_what_is_not_allowed_but_its_keys_still_answer(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        bridge.put_call(taken_call("c1", app.link.me))
        await shown(app, lambda: app.window.controls.buttons["take_over"].text() == "Hand back")
        menu = next(menu for menu in app.window.menuBar().findChildren(QMenu) if menu.title() == "&Call")
        actions = app.window.menus.actions
        menu.popup(QPoint(0, 0))
        assert not actions["interrupt"].isEnabled()
        assert actions["take_over"].text() == "Hand back"
        menu.hide()
        assert actions["interrupt"].isEnabled()
        press(app, Key.Key_Space)
        assert app.window.controls.status.text().startswith("Interrupt: You have the floor")

    play(scene, before=one_call)


def test_the_desks_keys_work_in_the_sound_panel(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        window, panel = app.window, app.window.sound
        press(app, Key.Key_F10)
        await until(panel.isActiveWindow, window.frames.timeout)
        QTest.keyClick(panel.focusWidget(), Key.Key_T)
        await bridge.heard(control.TakeOver)
        panel.mixed.setFocus()
        QTest.keyClick(panel.mixed, Key.Key_Space)
        assert panel.mixed.isChecked()
        QTest.keyClick(panel.mixed, Key.Key_W)
        await until(lambda: window.isActiveWindow() and window.controls.line.hasFocus(), window.frames.timeout)
        assert not any(isinstance(command, control.Interrupt) for command in bridge.commands)

    play(scene, before=one_call)


def test_a_held_key_does_its_work_once_but_goes_on_through_the_calls(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await shown(app, lambda: len(rows(app)) == 7)
        handle = app.window.windowHandle()

        def hold(key: Qt.Key, name: str, at_ms: int) -> None:
            for repeated in range(3):
                for kind in (QEvent.Type.KeyRelease, QEvent.Type.ShortcutOverride)[not repeated :]:
                    event = QKeyEvent(kind, key, Qt.KeyboardModifier.NoModifier, "", bool(repeated))
                    event.setTimestamp(at_ms + 500 * repeated)
                    QApplication.sendEvent(handle, event)
                app.window.menus.actions[name].trigger()

        hold(Key.Key_R, "rehearse", 1000)
        app.desk.select("urgent")
        hold(Key.Key_F8, "next_call", 9000)
        assert app.desk.selected == "over"
        await app.link.send(control.Watch, call_id="over")
        assert sum(isinstance(command, control.Rehearse) for command in bridge.commands) == 1

    play(scene, before=a_day)


def test_a_scenario_is_chosen_from_the_menu(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        app.window.menus.scenarios.aboutToShow.emit()
        booking = next(action for action in app.window.menus.scenarios.actions() if action.text() == "Booking")
        booking.trigger()
        assert (await bridge.heard(control.Rehearse)).scenario == "booking"
        bridge.refuses[control.Rehearse] = "All simulated lines are busy."
        booking.trigger()
        await until(lambda: "lines are busy" in app.window.notices.words.text(), app.desk.refused)

    play(scene, before=one_call)


def test_the_right_column_goes_first_and_comes_back(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        window = app.window
        await shown(app, lambda: app.desk.selected == "c1")
        window.resize(1440, 900)
        assert window.details.isVisible()
        window.resize(1100, 700)
        assert not window.details.isVisible()
        assert window.minimumSize() == QSize(1100, 700)
        buttons = (*window.controls.buttons.values(), window.top.call_button)
        await shown(app, lambda: all(button.width() >= button.sizeHint().width() for button in buttons))
        for button in buttons:
            right = button.mapTo(window, button.rect().topRight()).x()
            assert right <= window.width()
        press(app, Key.Key_F9)
        assert window.details.isVisible()
        press(app, Key.Key_F9)
        assert not window.details.isVisible()
        assert not Settings(app.home / "console.ini").details_wanted

    play(scene, before=one_call)


def test_shape_and_theme_are_remembered_in_a_file(play: Play, home: Path) -> None:
    async def first(app: App, bridge: FakeBridge) -> None:
        app.window.menus.actions["messages"].trigger()
        app.window.choose_theme("light")
        assert theme.current().name == "light"
        app.window.grab()
        app.window.splitter.setSizes([400, 700, 0])

    async def second(app: App, bridge: FakeBridge) -> None:
        assert app.window.calls.width() > 350
        assert not Settings(home / "console.ini").blob("geometry").isEmpty()
        assert app.window.dock.isVisible()
        assert theme.current().name == "light"
        app.window.choose_theme("dark")
        assert theme.current().name == "dark"

    play(first)
    assert "light" in (home / "console.ini").read_text()
    play(second)


def test_a_window_brought_back_shows_everything_at_once(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        event = QWindowStateChangeEvent(Qt.WindowState.WindowMinimized)
        assert event.type() == QEvent.Type.WindowStateChange
        QApplication.sendEvent(app.window, event)
        await shown(app, lambda: len(rows(app)) == 2)

    play(scene, before=one_call)


def test_a_screen_reader_is_given_names(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await shown(app, lambda: len(rows(app)) == 2)
        interface = QAccessible.queryAccessibleInterface(app.window.calls.list)
        assert interface.text(QAccessible.Text.Name) == "Calls, most urgent first"
        assert app.window.top.filter.accessibleName()
        assert app.window.header.clock.accessibleName().startswith("Call time 03:1")

    play(scene, before=one_call)


def test_the_engines_chip_also_tells_how_long_vendors_take_and_what_they_cost(play: Play) -> None:
    def figures(bridge: FakeBridge) -> None:
        bridge.put(health(HealthPart.ENGINE, HealthState.GREEN, "gpt-realtime-2.1"))
        bridge.put_call(live_call("c1", costs_usd={"deepgram": 0.04}))
        bridge.put_call(live_call("c2", number="+12065550177", started_unix_ms=1_800_000_000_000))

    async def scene(app: App, bridge: FakeBridge) -> None:
        chip = app.window.top.chips[HealthPart.ENGINE]
        await shown(app, lambda: chip.isVisible() and app.desk.selected == "c1")
        chip.click()
        assert chip.popup.isVisible()

        def words() -> set[str]:
            return {label.text() for label in chip.popup.findChildren(QLabel) if label.isVisible()}

        assert {"Cost of +1 415 555 0142", "Deepgram", "$0.04"} <= words()
        timed = VendorView(vendor="cascade", step="answer", p50_ms=780, p95_ms=1420, turns=42)
        bridge.put(control.VendorTimed(vendor=timed))
        await shown(app, lambda: {"Cascade", "whole answer", "780 ms", "1.4 s", "42"} <= words())
        app.desk.select("c2")
        assert {"Cost of +1 206 555 0177", "Nothing used yet."} <= words()
        chip.popup.close()

    play(scene, before=figures)


def test_a_notice_calls_engines_by_their_names(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        bridge.tell(Notice(text="The AI was lost. The call goes on with cascade."))
        await shown(app, app.window.notices.isVisible)
        assert "The call goes on with Cascade." in app.window.notices.words.text()

    play(scene, before=one_call)
