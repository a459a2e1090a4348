"""The console put together: Qt on asyncio, a bridge behind it, a window in front.

Ends in order: the window asks what becomes of calls, the bridge is told, the link is closed. A
bridge that a console started does not outlive it for nothing: without calls it is stopped, and a
rehearsal always is.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication, QMessageBox

from bridge import control
from bridge.control import HealthState, Notice, Phase
from console import settings as places
from console import theme
from console.bridge_process import BridgeProcess, has_account
from console.crash import Crash
from console.cycles import Cycles
from console.desk import Desk
from console.hotkeys import Hotkeys
from console.link import Link, LinkLost, Refused
from console.loop import Loop
from console.on_air import OnAir
from console.settings import Settings
from console.sound import Sound
from console.store import Store
from console.window import Window

log = logging.getLogger("cordboard.app")

SHUTDOWN_S = 4.0
"""How long a bridge is given to answer and to end; then the window is gone anyway."""

SWITCH_S = 0.001
"""How long the window may keep Python from the threads of the sound devices and of the wire."""

USUAL_CALLS = 3
"""Rehearsal calls that arrive by themselves when the window is first opened."""


class App:
    """One window and its bridge.

    home: where the bridge of this window lives. arguments: for a bridge that has to be started.
    sound: the machine's own devices, unless given. quitting: set when the window is to close.
    """

    def __init__(
        self, qt: QApplication, home: Path, arguments: Sequence[str], settings: Settings, sound: Sound | None = None
    ) -> None:
        self.home = home
        self.process = BridgeProcess(home, arguments)
        self.store = Store()
        self.link = Link(self.store, places.console_name(), self.process.find)
        self.desk = Desk(self.store, self.link)
        self.sound = sound if sound is not None else Sound(settings)
        self.on_air = OnAir(self.desk, self.sound, settings)
        self.hotkeys = Hotkeys(settings)
        self.hotkeys.talk.connect(self.on_air.talk)
        self.hotkeys.panic.connect(self.on_air.panic)
        self.crash = Crash(home, self._tell_crash)
        self.crash.install()
        theme.apply(qt, settings.theme)
        self.window = Window(
            self.desk, self.on_air, self.sound, self.hotkeys, settings, last_words=self.process.last_words
        )
        self.window.quit_wanted.connect(self.quit)
        self.window.again_wanted.connect(self._try_again)
        self.window.about_wanted.connect(self._open_about)
        self.window.real_line_wanted.connect(self._open_real_line)
        self.quitting = asyncio.Event()
        self._end_calls = False
        self._question: QMessageBox | None = None

    async def run(self) -> None:
        """Until the window is closed for good."""
        loop = asyncio.get_running_loop()
        self.crash.watch(loop)
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError, RuntimeError):
                loop.add_signal_handler(number, self.quitting.set)
        linking = asyncio.create_task(self.link.run())
        linking.add_done_callback(self._on_link_ended)
        stopping = False
        try:
            self.window.show()
            await self.quitting.wait()
            self.window.hide()
            # Nobody can see any more that a microphone is open.
            self.on_air.close()
            stopping = await self._stop_bridge()
        finally:
            self.hotkeys.close()
            self.on_air.close()
            # Before the bridge is gone: a link that still looks for it would start another.
            linking.cancel()
            with suppress(asyncio.CancelledError):
                await linking
            self.sound.close()
            if stopping:
                await self._bridge_ended()
            self.window.close_now()
            self.crash.remove()

    def _on_link_ended(self, linking: asyncio.Task[None]) -> None:
        """The link only ends when it is cancelled; anything else is a defect, which must not leave a dead window."""
        if not linking.cancelled() and (error := linking.exception()) is not None:
            self.crash.report(error)

    # ── leaving ──

    def quit(self) -> None:
        """The window was asked to close: ask back if real calls are up."""
        if self._question is not None:
            self._question.raise_()
            return
        if self.link.lost or self._is_rehearsal() or not self._calls_up():
            self.quitting.set()
            return
        self._ask_about_calls(self._calls_up())

    def end_now(self) -> None:
        """Close without asking; calls of a real line go on."""
        self.quitting.set()

    def _ask_about_calls(self, count: int) -> None:
        tr = self.window.tr
        box = QMessageBox(self.window)
        box.setWindowTitle(tr("Calls are up"))
        box.setIcon(QMessageBox.Icon.Question)
        box.setText(tr("One call is up.") if count == 1 else tr("{count} calls are up.").format(count=count))
        box.setInformativeText(tr("The AI can go on without this window; open it again at any time."))
        keep = box.addButton(tr("Keep calls running"), QMessageBox.ButtonRole.AcceptRole)
        end = box.addButton(tr("End calls and stop"), QMessageBox.ButtonRole.DestructiveRole)
        stay = box.addButton(QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(keep)
        box.setEscapeButton(stay)

        def answered() -> None:
            self._question = None
            pressed = box.clickedButton()
            self._end_calls = pressed is end
            if pressed in (keep, end):
                self.quitting.set()
            box.deleteLater()

        box.finished.connect(answered)
        self._question = box
        box.open()

    async def _stop_bridge(self) -> bool:
        """Tell the bridge to stop where that is right (see the module's first lines); whether it will."""
        attached = self.store.attached
        if attached is None:
            return self._is_rehearsal()
        stops = self._end_calls or self._is_rehearsal()
        ours = self.process.started_by_a_console(attached.bridge_pid)
        if self.link.lost:
            if self._is_rehearsal():
                self.process.terminate()
            return False
        if not (stops or (ours and not self._calls_up())):
            return False
        try:
            async with asyncio.timeout(SHUTDOWN_S):
                await self.link.send(control.Shutdown, end_calls=stops)
        except Refused as refused:
            log.info("the bridge goes on: %s", refused)
            return False
        except (LinkLost, TimeoutError) as error:
            log.info("the bridge does not answer: %s", type(error).__name__)
            return self._is_rehearsal()
        return True

    async def _bridge_ended(self) -> None:
        """Wait for our own bridge's end, so that its files are closed; a rehearsal gets no longer than that."""
        try:
            async with asyncio.timeout(0 if self.store.attached is None else SHUTDOWN_S):
                await self.process.ended()
        except TimeoutError:
            if self._is_rehearsal():
                self.process.terminate()

    def _is_rehearsal(self) -> bool:
        attached = self.store.attached
        return attached.rehearsal if attached is not None else "--rehearsal" in self.process.arguments

    def _calls_up(self) -> int:
        return sum(call.view.phase is not Phase.ENDED for call in self.store.calls.values())

    # ── what the window asks for ──

    def _try_again(self) -> None:
        self.process.try_again()
        self.link.retry()

    def _tell_crash(self, words: str) -> None:
        self.window.tell(Notice(text=words, state=HealthState.RED))

    def _open_about(self) -> None:
        try:
            version = importlib.metadata.version("cordboard")
        except importlib.metadata.PackageNotFoundError:
            version = self.window.tr("not installed")
        attached = self.store.attached
        box = QMessageBox(self.window)
        box.setWindowTitle(self.window.tr("About Cordboard"))
        box.setText(f"Cordboard {version}")
        box.setInformativeText(
            self.window.tr("Calls, recordings and logs are kept in\n{home}\n\nBridge process: {pid}").format(
                home=attached.home if attached is not None else self.home,
                pid=attached.bridge_pid if attached is not None else self.window.tr("none"),
            )
        )
        box.finished.connect(box.deleteLater)
        box.open()

    def _open_real_line(self) -> None:
        tr = self.window.tr
        box = QMessageBox(self.window)
        box.setWindowTitle(tr("Connect a real line"))
        box.setText(tr("Set these in the environment, then start Cordboard again:"))
        box.setInformativeText(
            "\n".join(
                (
                    "TWILIO_ACCOUNT_SID",
                    "TWILIO_AUTH_TOKEN",
                    "TWILIO_PHONE_NUMBER",
                    tr("    the number that people call"),
                    "OPENAI_API_KEY",
                    tr("    the AI that answers"),
                    tr("NGROK_AUTHTOKEN, or CORDBOARD_PUBLIC_URL"),
                    tr("    how Twilio reaches this computer"),
                    "",
                    tr("Then set the number's voice webhook as the number's chip in the top bar says."),
                )
            )
        )
        box.finished.connect(box.deleteLater)
        box.open()


def make_qt(arguments: Sequence[str] = ("cordboard",)) -> QApplication:
    """The QApplication, named and with its icon. At most one in a process."""
    QApplication.setApplicationName("cordboard")
    QApplication.setApplicationDisplayName("Cordboard")
    QApplication.setDesktopFileName("cordboard")
    qt = QApplication(list(arguments))
    qt.setQuitOnLastWindowClosed(False)
    qt.setWindowIcon(QIcon(str(theme.RESOURCES / "icons" / "cordboard.svg")))
    return qt


def open_window(home: Path | None = None, arguments: Sequence[str] | None = None) -> int:
    """The ordinary window: with an account on a real line, without one as a rehearsal. Returns the exit status."""
    qt = make_qt()
    if home is None:
        home = places.home(os.environ)
        settings = Settings(places.settings_path(os.environ))
    else:
        settings = Settings(home / "console.ini")
    if arguments is None:
        arguments = () if has_account(os.environ) else ("--rehearsal", "--calls", str(USUAL_CALLS))
    return run_in(qt, App, home, arguments, settings)


def run_in(qt: QApplication, make: type[App], home: Path, arguments: Sequence[str], settings: Settings) -> int:
    """Run an App on Qt's loop to its end."""
    loop = Loop(qt)
    asyncio.set_event_loop(loop)
    try:
        app = make(qt, home, arguments, settings)
        cycles = Cycles()
        sys.setswitchinterval(SWITCH_S)
        try:
            loop.run_until_complete(app.run())
        finally:
            cycles.close()
        return 0
    finally:
        loop.close()
        asyncio.set_event_loop(None)
        sys.stdout.flush()
