"""The scripted operator of a headless rehearsal: uses the keys and buttons that people use.

Each act waits for a moment that suits it, is done through the window, and is believed only when
the bridge's own events show its effect. A call that ends earlier ends the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from bridge.control import Floor, Party, Phase, TurnKind, TurnState
from console.desk import Desk
from console.link import Link
from console.rehearsal_report import Report
from console.store import Call
from console.window import Window

MOMENT_S = 12.0
"""How long a suitable moment is waited for before the act is left out."""

EFFECT_S = 15.0
LOOK_EVERY_S = 0.1
WELL_INTO_MS = 1200
SETTLED = (TurnState.FINAL, TurnState.CUT)
MUTED_S = 1.2
TAKEN_S = 1.5


class Rehearsed(Protocol):
    """What the operator sits in front of."""

    window: Window
    desk: Desk
    link: Link


class CallOver(Exception):
    """There is nobody to talk to any more."""


class Operator:
    """Works on the call that is selected when the work begins. picture(name) saves the window."""

    def __init__(self, app: Rehearsed, report: Report, picture: Callable[[str], None]) -> None:
        self._app = app
        self._window = app.window
        self._report = report
        self._picture = picture
        self._call_id = app.desk.selected
        self.seen: list[str] = []
        self.missed: list[str] = []
        self._last_act_ms = 0.0

    async def work(self) -> None:
        """All acts that fit into the call, in order."""
        with suppress(CallOver):
            await self._act("whisper", self._heard(Party.AI), self._whisper, self._line_of(TurnKind.WHISPER))
            await self._act("interrupt", self._ai_well_into_speech, self._interrupt, self._cut_by_operator)
            await self._act("mute", self._caller_speaks, self._mute, lambda call: call.view.ai_muted)
            await asyncio.sleep(MUTED_S)
            await self._act("unmute", self._live, self._mute, lambda call: not call.view.ai_muted)
            await self._act("ask", self._heard_since_last_act, self._ask, self._heard_since_last_act)
            await self._act("say", self._live, self._say, self._said)
            await self._act("take-over", self._caller_is_silent, self._take_over, self._taken)
            await asyncio.sleep(TAKEN_S)
            await self._act("hand-back", self._taken, self._hand_back, lambda call: call.view.floor is Floor.AI)

    # ── acts ──

    async def _act(
        self,
        name: str,
        moment: Callable[[Call], bool],
        act: Callable[[], str],
        effect: Callable[[Call], bool],
    ) -> None:
        if not await self._until(moment, MOMENT_S):
            self.missed.append(name)
            self._report.act(self._call_id, f"{name}: left out, no suitable moment came")
            return
        self._last_act_ms = self._now_ms()
        self._report.act(self._call_id, act())
        if await self._until(effect, EFFECT_S):
            self.seen.append(name)
        else:
            self.missed.append(name)
            self._report.act(self._call_id, f"{name}: no effect seen; {self._window.controls.status.text()}")
        self._picture(name)

    def _whisper(self) -> str:
        return self._write(Qt.Key.Key_W, "whispers", "The caller is a good customer: be generous.")

    def _interrupt(self) -> str:
        self._key(Qt.Key.Key_Space)
        return "presses Space: Interrupt"

    def _mute(self) -> str:
        button = self._window.controls.buttons["mute_ai"]
        title = button.text()
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        return f"clicks {title}"

    def _ask(self) -> str:
        return self._write(Qt.Key.Key_K, "asks the AI to say", "Offer to send a written confirmation.")

    def _say(self) -> str:
        return self._write(Qt.Key.Key_S, "has said word for word", "Thank you for your patience.")

    def _take_over(self) -> str:
        self._key(Qt.Key.Key_T)
        return "presses T: Take over"

    def _hand_back(self) -> str:
        self._key(Qt.Key.Key_T)
        line = self._window.controls.line
        QTest.keyClicks(line, "I told the caller that all is settled.")
        note = line.text()
        QTest.keyClick(line, Qt.Key.Key_Return)
        return f"presses T: Hand back, with the note: {note}"

    def _write(self, key: Qt.Key, what: str, text: str) -> str:
        self._key(key)
        line = self._window.controls.line
        QTest.keyClicks(line, text)
        QTest.keyClick(line, Qt.Key.Key_Return)
        QTest.keyClick(line, Qt.Key.Key_Escape)
        return f"{what}: {text}"

    def _key(self, key: Qt.Key) -> None:
        self._window.activateWindow()
        QTest.keyClick(self._window, key)

    # ── moments and effects ──

    async def _until(self, predicate: Callable[[Call], bool], patience_s: float) -> bool:
        """Waits for it; False when the patience is over. Raises CallOver."""
        changed = asyncio.Event()
        signal = self._app.link.call_changed
        slot = lambda _: changed.set()  # noqa: E731
        signal.connect(slot)
        try:
            async with asyncio.timeout(patience_s):
                while True:
                    call = self._app.desk.store.calls.get(self._call_id)
                    if call is None or call.view.phase not in (Phase.LIVE, Phase.CONNECTING):
                        raise CallOver
                    if predicate(call):
                        return True
                    changed.clear()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(changed.wait(), LOOK_EVERY_S)
        except TimeoutError:
            return False
        finally:
            signal.disconnect(slot)

    def _live(self, call: Call) -> bool:
        return call.view.phase is Phase.LIVE

    def _now_ms(self) -> float:
        return self._app.desk.clock_ms(self._call_id)

    def _heard(self, party: Party) -> Callable[[Call], bool]:
        return lambda call: any(turn.speaker is party and turn.state in SETTLED for turn in call.turns.values())

    def _heard_since_last_act(self, call: Call) -> bool:
        """The AI has said something that began after the last act, to its end."""
        since_ms = self._last_act_ms
        return any(
            turn.speaker is Party.AI and turn.state in SETTLED and turn.start_ms >= since_ms and turn.heard_ms > 0
            for turn in call.turns.values()
        )

    def _said(self, call: Call) -> bool:
        return any(t.kind is TurnKind.SAY and t.state in SETTLED and t.heard_ms > 0 for t in call.turns.values())

    def _line_of(self, kind: TurnKind) -> Callable[[Call], bool]:
        return lambda call: any(turn.kind is kind for turn in call.turns.values())

    def _ai_well_into_speech(self, call: Call) -> bool:
        """A second answer, of which some words were heard already."""
        speaking = [t for t in call.turns.values() if t.speaker is Party.AI and t.state is TurnState.SPEAKING]
        return self._heard(Party.AI)(call) and any(turn.heard_ms >= WELL_INTO_MS for turn in speaking)

    def _cut_by_operator(self, call: Call) -> bool:
        return any(turn.cut_by is Party.OPERATOR for turn in call.turns.values())

    def _caller_speaks(self, call: Call) -> bool:
        return call.view.speaking is Party.CALLER

    def _caller_is_silent(self, call: Call) -> bool:
        return call.view.phase is Phase.LIVE and call.view.speaking is not Party.CALLER

    def _taken(self, call: Call) -> bool:
        return call.view.floor is Floor.OPERATOR
