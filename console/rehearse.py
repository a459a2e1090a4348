"""Rehearsals on purpose: ``cordboard rehearse``, and what ``cordboard`` does without a display.

The headless one is the real program: the same window, offscreen, on a bridge of its own. It prints
what is said as it becomes final, has a scripted operator press the real keys and buttons, and
leaves pictures, recording and journal in a folder.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtWidgets import QApplication

from bridge import control
from bridge.control import HealthState, Phase, Recording
from console.app import App, make_qt, open_window, run_in
from console.link import LinkState
from console.rehearsal_devices import RehearsalDevices
from console.rehearsal_operator import Operator
from console.rehearsal_report import Report
from console.settings import Settings
from console.sound import Sound

PATIENCE_S = 90.0
"""How long nothing at all may happen before a rehearsal is given up."""

RECORDING_S = 5.0
"""How long a recording may take to be closed after its call."""


@dataclass(frozen=True)
class Plan:
    """What to rehearse, and the folder for all of it; its ``home`` must be there when the rehearsal runs."""

    calls: int
    scenario: str
    caller: Path | None
    folder: Path

    @classmethod
    def make(cls, calls: int, scenario: str, caller: Path | None, folder: Path | None) -> Plan:
        """With a folder named after the moment unless one is given."""
        where = folder or Path(time.strftime("rehearsal-%Y%m%d-%H%M%S"))
        return cls(calls, scenario, caller.absolute() if caller else None, where.absolute())

    @property
    def arguments(self) -> tuple[str, ...]:
        """For the bridge."""
        if self.caller is not None:
            return ("--rehearsal", "--caller", str(self.caller))
        scenario = ("--scenario", self.scenario) if self.scenario else ()
        return ("--rehearsal", "--calls", str(self.calls), *scenario)

    @property
    def home(self) -> Path:
        """The bridge's home, inside the folder."""
        return self.folder / "home"


def run_in_window(plan: Plan) -> int:
    """The ordinary window on a rehearsal of its own."""
    print(f"Everything of this rehearsal is kept in {plan.folder}", flush=True)
    return open_window(plan.home, plan.arguments)


def run_headless(plan: Plan) -> int:
    """Offscreen, to the end of the last call. 0 when each was completed."""
    settings = Settings(plan.home / "console.ini")
    settings.theme = "dark"
    rehearsal: list[RehearsalApp] = []

    class Planned(RehearsalApp):
        def __init__(self, qt: QApplication, home: Path, arguments: Sequence[str], settings: Settings) -> None:
            super().__init__(qt, home, arguments, settings, plan)
            rehearsal.append(self)

    run_in(make_qt(), Planned, plan.home, plan.arguments, settings)
    return rehearsal[0].conclude()


class RehearsalApp(App):
    """The app with somebody who watches it to the end."""

    def __init__(self, qt: QApplication, home: Path, arguments: Sequence[str], settings: Settings, plan: Plan) -> None:
        super().__init__(qt, home, arguments, settings, Sound(settings, RehearsalDevices()))
        self.plan = plan
        self.report = Report(self.store)
        self.trouble = ""
        self._pictures = 0
        self._ended: dict[str, bool] = {}
        self._news = asyncio.Event()
        self.link.call_changed.connect(self._on_call_changed)
        self.link.state_changed.connect(self._on_state_changed)
        self.link.noticed.connect(self._on_notice)

    async def run(self) -> None:
        """The app, and beside it the one who watches."""
        watching = asyncio.create_task(self._watch())
        try:
            await super().run()
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    def picture(self, name: str) -> None:
        """Save how the window looks now."""
        self._pictures += 1
        self.window.refresh_now()
        path = self.plan.folder / f"{self._pictures:02}-{name}.png"
        if not self.window.grab().save(str(path)):
            self.report.say("Picture", f"could not be written: {path}")

    def conclude(self) -> int:
        """After the bridge has ended: gather what it left, say where, return the exit status."""
        folder = self.plan.folder
        for number, call_id in enumerate(self.store.calls, start=1):
            path = Path(self.store.calls[call_id].view.recording_path)
            if path.is_file():
                shutil.copy2(path, folder / f"call-{number}.wav")
        for journal in sorted(self.plan.home.glob("journal.sqlite*")):
            shutil.copy2(journal, folder / journal.name)
        completed = sum(self._ended.values())
        print()
        if self.trouble:
            print(self.trouble)
        print(f"{completed} of {self.plan.calls} calls completed.")
        print(f"Pictures, recording and journal are in {folder}", flush=True)
        return 0 if completed == self.plan.calls and not self.trouble else 1

    # ── watching ──

    async def _watch(self) -> None:
        operator: asyncio.Task[None] | None = None
        try:
            await self._until(lambda: not self.link.lost)
            self.picture("start")
            await self._until(
                lambda: any(c.view.phase is Phase.LIVE for c in self.store.calls.values()) or self._over()
            )
            if self.plan.caller is None and not self._over():
                operator = asyncio.create_task(Operator(self, self.report, self.picture).work())
            await self._until(self._over)
            if operator is not None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(operator, RECORDING_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(RECORDING_S):
                    await self._until(self._recorded)
            self.report.flush()
            self.picture("end")
        except Trouble as trouble:
            self.trouble = str(trouble)
        finally:
            if operator is not None:
                operator.cancel()
            self.end_now()

    async def _until(self, predicate: Callable[[], bool]) -> None:
        while not predicate():
            if self.link.state is LinkState.FAILED:
                raise Trouble(f"The bridge failed:\n{self.link.reason}")
            if self.trouble:
                raise Trouble(self.trouble)
            self._news.clear()
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._news.wait()
            except TimeoutError:
                raise Trouble(f"Nothing happened for {PATIENCE_S:.0f} s; given up.") from None

    def _live(self) -> bool:
        return any(call.view.phase is Phase.LIVE for call in self.store.calls.values())

    def _over(self) -> bool:
        return len(self._ended) >= self.plan.calls

    def _recorded(self) -> bool:
        return all(call.view.recording not in (Recording.ON,) for call in self.store.calls.values())

    def _on_call_changed(self, call_id: str) -> None:
        self._news.set()
        self.report.look(call_id)
        call = self.store.calls.get(call_id)
        if call is not None and call.view.phase is Phase.ENDED and call_id not in self._ended:
            both_spoke = {turn.speaker for turn in call.turns.values()} >= {control.Party.CALLER, control.Party.AI}
            self._ended[call_id] = call.view.end_cause in COMPLETED and both_spoke

    def _on_notice(self, notice: control.Notice) -> None:
        self.report.say("Notice", notice.text)
        if notice.state is HealthState.RED and not self.store.calls:
            self.trouble = notice.text
        self._news.set()

    def _on_state_changed(self) -> None:
        self._news.set()
        if self.link.state is LinkState.LOST and not self.quitting.is_set():
            self.report.say("Bridge", "lost; re-attaching")


class Trouble(Exception):
    """The rehearsal cannot go on; the text says why."""


COMPLETED = ("caller hung up", "the AI hung up", "you hung up")
