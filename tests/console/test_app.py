"""Opening and leaving: what becomes of calls and of the bridge, and how a defect is survived."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QMessageBox

from bridge import control
from console.app import App
from console.bridge_process import BridgeProcess
from console.crash import Crash
from console.link import LinkState
from console.settings import Settings, console_name, home, settings_path
from tests.console.conftest import Run, shown, until
from tests.console.fake_bridge import FakeBridge, ended_call, live_call

Play = Callable[..., None]


def one_call(bridge: FakeBridge) -> None:
    bridge.put_call(live_call("c1"))


def an_ended_call(bridge: FakeBridge) -> None:
    bridge.put_call(ended_call("c1"))


def shutdowns(bridge: FakeBridge) -> list[bool]:
    return [command.end_calls for command in bridge.commands if isinstance(command, control.Shutdown)]


def question(app: App) -> QMessageBox:
    box = app.window.findChild(QMessageBox)
    assert isinstance(box, QMessageBox)
    return box


def button(app: App, words: str) -> None:
    next(button for button in question(app).buttons() if words in button.text()).click()


def test_a_rehearsal_is_stopped_without_a_question(play: Play) -> None:
    told: list[FakeBridge] = []

    async def scene(app: App, bridge: FakeBridge) -> None:
        told.append(bridge)
        app.window.close()

    play(scene, before=one_call)
    assert shutdowns(told[0]) == [True]


@pytest.mark.qt_log_ignore("does not support raise")
def test_real_calls_are_asked_about_and_can_go_on(play: Play) -> None:
    told: list[FakeBridge] = []

    async def scene(app: App, bridge: FakeBridge) -> None:
        told.append(bridge)
        await until(lambda: app.desk.selected == "c1", app.desk.selection_changed)
        app.window.close()
        assert app.window.isVisible()
        assert question(app).text() == "One call is up."
        app.window.close()
        button(app, "Keep calls running")

    play(scene, rehearsal=False, before=one_call)
    assert shutdowns(told[0]) == []


def test_real_calls_can_be_ended_with_the_window(play: Play) -> None:
    told: list[FakeBridge] = []

    async def scene(app: App, bridge: FakeBridge) -> None:
        told.append(bridge)
        await until(lambda: app.desk.selected == "c1", app.desk.selection_changed)
        bridge.put_call(live_call("c2"))
        await until(lambda: "c2" in app.store.calls, app.link.call_changed)
        app.window.close()
        assert question(app).text() == "2 calls are up."
        button(app, "End calls and stop")

    play(scene, rehearsal=False, before=one_call)
    assert shutdowns(told[0]) == [True]


def test_the_question_can_be_taken_back(play: Play) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        await until(lambda: app.desk.selected == "c1", app.desk.selection_changed)
        app.window.close()
        button(app, "Cancel")
        assert app.window.isVisible()
        assert shutdowns(bridge) == []

    play(scene, rehearsal=False, before=one_call)


@pytest.mark.parametrize("ours", [True, False])
def test_a_quiet_real_bridge_is_stopped_only_if_a_console_started_it(play: Play, home: Path, ours: bool) -> None:
    told: list[FakeBridge] = []

    async def scene(app: App, bridge: FakeBridge) -> None:
        told.append(bridge)
        if ours:
            (home / "bridge.started-by-console").write_text(str(os.getpid()))
        app.window.close()

    play(scene, rehearsal=False, before=an_ended_call)
    assert shutdowns(told[0]) == ([False] if ours else [])


def test_a_bridge_that_refuses_to_stop_goes_on(play: Play, home: Path) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        (home / "bridge.started-by-console").write_text(str(os.getpid()))
        bridge.refuses[control.Shutdown] = "A call has just come in."
        app.window.close()

    play(scene, rehearsal=False)


def test_a_rehearsal_that_another_window_is_at_goes_on(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []
    monkeypatch.setattr(BridgeProcess, "terminate", lambda process: ended.append(True))

    async def scene(app: App, bridge: FakeBridge) -> None:
        bridge.refuses[control.Shutdown] = "Another window is at this rehearsal."
        app.window.close()

    play(scene, before=one_call)
    assert ended == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_closes_the_window_and_leaves_real_calls_alone(play: Play, number: signal.Signals) -> None:
    told: list[FakeBridge] = []

    async def scene(app: App, bridge: FakeBridge) -> None:
        told.append(bridge)
        os.kill(os.getpid(), number)
        await app.quitting.wait()

    play(scene, rehearsal=False, before=one_call)
    assert shutdowns(told[0]) == []


def test_a_bridge_that_cannot_start_is_told_and_started_again_on_request(
    in_qt: Run[None], qapp: QApplication, home: Path
) -> None:
    async def scene() -> None:
        app = App(qapp, home, ("--rehearsal",), Settings(home / "console.ini"))
        program = "print('OPENAI_API_KEY: is missing'); raise SystemExit(2)"
        app.process = BridgeProcess(home, ("--rehearsal",), command=(sys.executable, "-c", program))
        app.link._find = app.process.find
        running = asyncio.create_task(app.run())
        await until(lambda: app.link.state is LinkState.FAILED, app.link.state_changed)
        empty = app.window.empty
        assert empty.title.text() == "The bridge is not running"
        assert empty.text.text() == "OPENAI_API_KEY: is missing"
        async with FakeBridge(home):
            empty.again.click()
            await until(lambda: not app.link.lost, app.link.state_changed)
            app.end_now()
            await running
        app.window.deleteLater()

    in_qt(scene())


def test_while_the_bridge_starts_its_last_words_are_shown_and_quitting_ends_it(
    in_qt: Run[None], qapp: QApplication, home: Path
) -> None:
    async def scene() -> None:
        app = App(qapp, home, ("--rehearsal",), Settings(home / "console.ini"))
        program = "import time; print('downloading the tunnel', flush=True); time.sleep(60)"
        app.process._command = (sys.executable, "-c", program)
        running = asyncio.create_task(app.run())
        await shown(app, lambda: app.window.empty.text.text() == "downloading the tunnel")
        assert app.window.empty.title.text().startswith("Starting the bridge…")
        assert app.window.top.chips[control.HealthPart.BRIDGE].text() == "Bridge starting"
        app.window.close()
        await running
        assert await app.process.ended() == -signal.SIGTERM
        app.window.deleteLater()

    in_qt(scene())


@pytest.mark.parametrize(("name", "words"), [("about", "Bridge process"), ("real_line", "TWILIO_ACCOUNT_SID")])
def test_texts_open_without_stopping_the_window(play: Play, name: str, words: str) -> None:
    async def scene(app: App, bridge: FakeBridge) -> None:
        app.window.menus.actions[name].trigger()
        box = question(app)
        assert words in box.informativeText()
        box.accept()

    play(scene)


# ── defects ──


def test_a_defect_is_written_down_and_told_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []
    crash = Crash(home, told.append)
    crash.install()
    try:
        for error in (ValueError("one"), ValueError("one"), KeyError("two")):
            sys.excepthook(type(error), error, None)
        assert len(told) == 2
        assert "Calls are not affected" in told[0]
        text = crash.log_path.read_text()
        assert "ValueError: one" in text
        assert crash.log_path.stat().st_mode & 0o077 == 0
    finally:
        crash.remove()
    assert not logging.getLogger("cordboard").handlers


def test_a_thread_and_a_loop_report_too(home: Path) -> None:
    told: list[str] = []
    crash = Crash(home, told.append)
    crash.install()
    try:
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
        loop = asyncio.new_event_loop()
        crash.watch(loop)
        loop.call_exception_handler({"message": "only words"})
        loop.call_exception_handler({"message": "m", "exception": RuntimeError("from a callback")})
        loop.close()
        text = crash.log_path.read_text()
        assert "ZeroDivisionError" in text
        assert "only words" in text
        assert "from a callback" in text
        assert len(told) == 1
    finally:
        crash.remove()


def test_ctrl_c_is_no_defect(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    passed_on: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: passed_on.append(kind))
    crash = Crash(home, told.append)
    crash.install()
    try:
        sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    finally:
        crash.remove()
    assert not told
    assert passed_on == [KeyboardInterrupt]


def test_without_a_writable_folder_errors_go_to_the_terminal(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "file").write_text("")
    crash = Crash(home / "file", lambda words: None)
    crash.install()
    try:
        crash.report(ValueError("seen"))
    finally:
        crash.remove()
    printed = capsys.readouterr().err
    assert "No log can be kept" in printed
    assert "ValueError: seen" in printed


def test_a_defect_in_a_slot_leaves_the_window_alive(in_qt: Run[None], qapp: QApplication, home: Path) -> None:
    async def scene() -> None:
        async with FakeBridge(home):
            app = App(qapp, home, (), Settings(home / "console.ini"))
            running = asyncio.create_task(app.run())
            await until(lambda: not app.link.lost, app.link.state_changed)
            app.crash.report(ValueError("a defect"))
            await shown(app, lambda: "Calls are not affected" in app.window.notices.words.text())
            app.end_now()
            await running
            app.window.deleteLater()

    in_qt(scene())


# ── places ──


def test_data_and_settings_go_where_the_environment_says(tmp_path: Path) -> None:
    told = {"CORDBOARD_HOME": str(tmp_path)}
    assert home(told) == tmp_path
    assert settings_path(told) == tmp_path / "console.ini"
    assert home({"CORDBOARD_HOME": "~/calls"}) == Path.home() / "calls"
    assert home({}).name == "cordboard"
    assert settings_path({}).name == "console.ini"
    assert settings_path({}).parent != home({})


def test_damaged_settings_cost_nothing_but_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "console.ini"
    path.write_bytes(b"[window]\ntheme=purple\ngeometry=@Invalid(\xff\xfe\n\x00")
    settings = Settings(path)
    assert settings.theme == "system"
    assert settings.details_wanted
    assert settings.blob("geometry").isEmpty()


def test_a_console_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(os.getpid()) in console_name()

    def nobody() -> str:
        raise KeyError("no such user")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert console_name() == f"operator (window {os.getpid()})"
