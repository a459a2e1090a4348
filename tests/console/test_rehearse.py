"""Rehearsals on purpose: what is printed, what the scripted operator does, what is left in the folder."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from bridge import control
from bridge.control import HealthState, Party, Phase, Recording, ToolState, ToolView, TurnKind, TurnState
from console.rehearsal_report import Report
from console.rehearse import Plan, RehearsalApp
from console.settings import Settings
from console.store import Store
from tests.console.conftest import Run
from tests.console.fake_bridge import FakeBridge, ended_call, live_call, turn

# ── the report ──


@pytest.fixture
def store() -> Store:
    store = Store()
    store.apply(control.CallChanged(call=live_call("c1", clock_ms=0)))
    return store


def said(store: Store, report: Report, *views: control.TurnView) -> None:
    for view in views:
        store.apply(control.TurnChanged(turn=view))
        report.look("c1")


def test_lines_are_printed_when_final_and_wait_for_those_before_them(store: Store) -> None:
    out = io.StringIO()
    report = Report(store, out)
    said(store, report, turn("t1", Party.CALLER, "", state=TurnState.INTERIM), turn("t2", Party.AI, "Of course."))
    assert "Of course" not in out.getvalue()
    said(store, report, turn("t1", Party.CALLER, "Can you help me?"))
    printed = out.getvalue().splitlines()
    assert printed == [
        "#1  00:00 Call      +14155550142, San Francisco, inbound, Billing",
        "#1  00:01 Caller    Can you help me?",
        "#1  00:02 AI        Of course.",
    ]
    report.look("c1")
    report.look("no such call")
    assert out.getvalue().splitlines() == printed


def test_what_was_not_heard_stands_in_brackets(store: Store) -> None:
    out = io.StringIO()
    report = Report(store, out)
    cut = turn("t1", Party.AI, "One moment please", state=TurnState.CUT, heard_chars=10, cut_by=Party.CALLER)
    gone = turn("t2", Party.AI, "Yes", state=TurnState.CUT, heard_chars=3, cut_by=Party.OPERATOR)
    remark = turn("t3", Party.OPERATOR, "Goodbye.", kind=TurnKind.SAY, remark="not word for word")
    said(store, report, cut, gone, remark)
    assert out.getvalue().splitlines()[1:] == [
        "#1  00:01 AI        One moment [cut off by caller: please]",
        "#1  00:02 AI        Yes [cut off by operator: nothing left]",
        "#1  00:03 Operator  (has said) Goodbye. (not word for word)",
    ]


def test_tools_and_the_end_are_told_and_nothing_is_left_out(store: Store) -> None:
    out = io.StringIO()
    report = Report(store, out)
    tool = ToolView(call_id="c1", tool_id="x", order=1, name="refund", arguments="{}", start_ms=1000)
    store.apply(control.ToolChanged(tool=tool))
    report.look("c1")
    said(store, report, turn("t2", Party.CALLER, "still talk", state=TurnState.INTERIM))
    report.act("c1", "presses Space: Interrupt")
    report.act("no such call", "nothing")
    report.say("Notice", "careful")
    store.apply(control.CallChanged(call=ended_call("c1", clock_ms=5000)))
    report.flush()
    assert out.getvalue().splitlines()[1:] == [
        "#1  00:00 OPERATOR  presses Space: Interrupt",
        "         Notice    careful",
        "#1  00:05 Call      ended: caller hung up",
        "#1  00:01 Tool      refund {} (asked, 0 ms)",
        "#1  00:02 Caller    still talk",
    ]
    store.apply(control.CallChanged(call=live_call("c2")))
    done = ToolView(
        call_id="c2", tool_id="y", order=1, name="refund", state=ToolState.DONE, result='"ok"', duration_ms=40
    )
    store.apply(control.ToolChanged(tool=done))
    report.flush()
    assert out.getvalue().splitlines()[-1] == '#2  00:00 Tool      refund  -> "ok" (done, 40 ms)'


# ── the plan ──


def test_a_plan_tells_the_bridge_what_to_place() -> None:
    here = Path.cwd()
    plan = Plan.make(3, "billing", None, Path("out"))
    assert plan.arguments == ("--rehearsal", "--calls", "3", "--scenario", "billing")
    assert plan.home == here / "out" / "home"
    assert Plan.make(1, "", None, Path("out")).arguments == ("--rehearsal", "--calls", "1")
    voice = Plan.make(1, "", Path("voice.wav"), None)
    assert voice.arguments == ("--rehearsal", "--caller", str(here / "voice.wav"))
    assert voice.folder.name.startswith("rehearsal-")


# ── headless, on a bridge without calls behind it ──


class Telephone:
    """Lets the caller and the AI of a fake bridge speak, as the operator's acts call for it."""

    def __init__(self, bridge: FakeBridge, folder: Path) -> None:
        self.bridge = bridge
        self.recording = folder / "home" / "recording.wav"
        self._turns = 0

    def view(self, **fields: object) -> None:
        self.bridge.put_call(live_call("c1", recording_path=str(self.recording), clock_ms=1000, **fields))

    def turn(self, speaker: Party, text: str, **fields: object) -> None:
        self._turns += 1
        whole = {"start_ms": 1000 * self._turns, "heard_ms": 1500, **fields}
        self.bridge.put(control.TurnChanged(turn=turn(f"t{self._turns}", speaker, text, **whole)))

    async def conversation(self) -> None:
        bridge = self.bridge
        self.view(speaking=Party.NOBODY)
        self.turn(Party.AI, "Hello, how can I help?")
        assert (await bridge.heard(control.Whisper)).text
        self.turn(Party.CALLER, "I was charged twice.")
        self.turn(Party.AI, "I am so sorry about that", state=TurnState.SPEAKING, heard_chars=4)
        await bridge.heard(control.Interrupt)
        self.turn(Party.AI, "I see", state=TurnState.CUT, heard_chars=2, cut_by=Party.OPERATOR)
        self.view(speaking=Party.CALLER)
        await bridge.heard(control.MuteAI)
        await bridge.heard(control.MuteAI, 2)
        self.turn(Party.AI, "It is settled.", start_ms=3_600_000)
        assert (await bridge.heard(control.Ask)).text
        self.turn(Party.OPERATOR, "Offer a confirmation.", kind=TurnKind.ASK, start_ms=3_600_000)
        self.turn(Party.AI, "Shall I write to you?", start_ms=3_600_000)
        assert (await bridge.heard(control.Say)).text
        self.turn(Party.OPERATOR, "Thank you.", kind=TurnKind.SAY)
        self.view(speaking=Party.NOBODY)
        await bridge.heard(control.TakeOver)
        assert "settled" in (await bridge.heard(control.HandBack)).note

    def end(self, cause: str = "caller hung up") -> None:
        self.recording.write_bytes(b"RIFF")
        self.bridge.put_call(
            ended_call("c1", end_cause=cause, recording=Recording.DONE, recording_path=str(self.recording))
        )


Act = Callable[[Telephone], Awaitable[None]]


@pytest.fixture
def rehearse(
    in_qt: Run[RehearsalApp], qapp: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., RehearsalApp]:
    """Runs a headless rehearsal against what a telephone does; returns the app when it is over."""
    monkeypatch.setattr("console.rehearsal_operator.MUTED_S", 0.01)
    monkeypatch.setattr("console.rehearsal_operator.TAKEN_S", 0.01)

    def run(act: Act, caller: Path | None = None) -> RehearsalApp:
        async def scene() -> RehearsalApp:
            plan = Plan.make(1, "", caller, tmp_path / "out")
            plan.home.mkdir(parents=True)
            async with FakeBridge(plan.home) as bridge:
                app = RehearsalApp(qapp, plan.home, plan.arguments, Settings(plan.home / "console.ini"), plan)
                running = asyncio.create_task(app.run())
                await bridge.attached()
                await act(Telephone(bridge, plan.folder))
                await running
            app.window.deleteLater()
            return app

        return in_qt(scene())

    return run


def test_the_scripted_operator_uses_every_verb_and_a_complete_call_ends_well(
    rehearse: Callable[[Act], RehearsalApp], capsys: pytest.CaptureFixture[str]
) -> None:
    async def act(telephone: Telephone) -> None:
        await telephone.conversation()
        telephone.end()

    app = rehearse(act)
    assert app.conclude() == 0
    folder = app.plan.folder
    pictures = [path.stem.partition("-")[2] for path in sorted(folder.glob("*.png"))]
    verbs = ["whisper", "interrupt", "mute", "unmute", "ask", "say", "take-over"]
    assert pictures[: len(verbs) + 1] == ["start", *verbs]
    assert pictures[-1] == "end"
    assert (folder / "call-1.wav").read_bytes() == b"RIFF"
    printed = capsys.readouterr().out
    for words in ("whispers:", "presses Space", "clicks Mute AI", "clicks Unmute AI", "presses T: Take over"):
        assert words in printed
    assert "1 of 1 calls completed." in printed
    assert str(folder) in printed


def test_with_a_voice_of_ones_own_nobody_touches_the_call(
    rehearse: Callable[[Act, Path], RehearsalApp], tmp_path: Path
) -> None:
    told: list[FakeBridge] = []

    async def act(telephone: Telephone) -> None:
        told.append(telephone.bridge)
        telephone.view()
        telephone.turn(Party.AI, "Hello.")
        telephone.turn(Party.CALLER, "[speech, 2.3 s]")
        telephone.end()

    app = rehearse(act, tmp_path / "voice.wav")
    assert app.conclude() == 0
    touched = [c for c in told[0].commands if not isinstance(c, control.Attach | control.Watch | control.Shutdown)]
    assert touched == []


@pytest.mark.parametrize(("cause", "speaks"), [("the AI was lost", True), ("caller hung up", False)])
def test_a_call_that_was_not_completed_is_a_failure(
    rehearse: Callable[[Act, Path], RehearsalApp],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    cause: str,
    speaks: bool,
) -> None:
    async def act(telephone: Telephone) -> None:
        telephone.view(phase=Phase.CONNECTING)
        if speaks:
            telephone.turn(Party.AI, "Hello.")
            telephone.turn(Party.CALLER, "Hello?")
        telephone.end(cause)

    assert rehearse(act, tmp_path / "voice.wav").conclude() == 1
    assert "0 of 1 calls completed." in capsys.readouterr().out


def test_a_rehearsal_whose_call_cannot_be_placed_ends_at_once(
    rehearse: Callable[[Act, Path], RehearsalApp], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def act(telephone: Telephone) -> None:
        telephone.bridge.tell(control.Notice(text="voice.wav cannot be played.", state=HealthState.RED))

    assert rehearse(act, tmp_path / "voice.wav").conclude() == 1
    assert "voice.wav cannot be played." in capsys.readouterr().out


def test_a_rehearsal_in_which_nothing_happens_is_given_up(
    rehearse: Callable[[Act], RehearsalApp], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("console.rehearse.PATIENCE_S", 0.2)

    async def act(telephone: Telephone) -> None:
        telephone.bridge.tell(control.Notice(text="The simulated line is busy."))

    assert rehearse(act).conclude() == 1
    printed = capsys.readouterr().out
    assert "The simulated line is busy." in printed
    assert "given up" in printed
