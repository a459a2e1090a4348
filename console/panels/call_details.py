"""The right column: why the selected call needs someone, how it is going, what it costs."""

from __future__ import annotations

from time import monotonic

from PySide6.QtCore import QCoreApplication, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QFrame,
    QGraphicsOpacityEffect,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from bridge.control import NEARLY_SPENT, CallView, Phase, Recording
from console import theme
from console.actions import BY_NAME, CONTEXT
from console.names import dearest_first, engine_word, is_rung, money, vendor_word
from console.store import Store
from console.theme import px, set_role
from console.timeline import CallClock, clock_text
from console.widgets.answer_bars import AnswerBars
from console.widgets.elided_label import ElidedLabel
from console.widgets.key_button import KeyButton
from console.widgets.push_button import PushButton

STALE_OPACITY = 0.45
SOON_MS = 5 * 60_000
"""A session that rolls over within this is told in the colour that asks for attention."""

RECORDING_WORDS = {
    Recording.OFF: ("Not recorded", "dim"),
    Recording.ON: ("Recording", "danger"),
    Recording.PAUSED: ("Paused by a privacy hold", "operator"),
    Recording.PARTIAL: ("Recorded in part", "operator"),
    Recording.DONE: ("Recorded", "dim"),
}


def _plain(text: str = "", role: str = "", wrap: bool = False) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(wrap)
    if role:
        label.setProperty("role", role)
    return label


class _Section(QFrame):
    """A heading, what is under it, and a hairline below."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.body = QVBoxLayout()
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        inner = QVBoxLayout()
        inner.setContentsMargins(px(16), px(12), px(16), px(14))
        inner.setSpacing(px(10))
        heading = _plain(title, "heading")
        inner.addWidget(heading)
        inner.addLayout(self.body)
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(px(6))
        outer.addLayout(inner)
        line = QFrame()
        line.setProperty("role", "line")
        outer.addWidget(line)


class _Rows(QGridLayout):
    """Names at the left, values at the right."""

    def __init__(self) -> None:
        super().__init__()
        self.setHorizontalSpacing(px(12))
        self.setVerticalSpacing(px(5))
        self.setColumnStretch(1, 1)

    def add(self, name: str) -> tuple[QLabel, QLabel]:
        """One more row; returns its name and its value."""
        row = self.rowCount()
        label, value = _plain(name, "dim"), _plain(wrap=True)
        value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
        value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
        self.addWidget(value, row, 1)
        return label, value

    def add_across(self, name: str, value: QWidget) -> QLabel:
        """One more row, whose value has all the room that its own name leaves; returns the name."""
        label, row = _plain(name, "dim"), QHBoxLayout()
        row.setSpacing(px(12))
        row.addWidget(label)
        row.addStretch(1)
        row.addWidget(value)
        self.addLayout(row, self.rowCount(), 0, 1, 2)
        return label


class DetailsPanel(QScrollArea):
    """Shows one call of the store. swap_wanted(): give the call to another engine."""

    swap_wanted = Signal()

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._call_id = ""
        self._view: CallView | None = None
        self._clock = CallClock()
        self._stale = False
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName(self.tr("Call details"))
        self.setProperty("role", "panel")
        self._second = QTimer(self)
        self._second.setInterval(1000)
        self._second.timeout.connect(self._tell_roll_over)
        self._build()
        theme.notifier().changed.connect(self._build)

    def _build(self) -> None:
        """Make the sections; again when lengths or fonts have changed."""
        content = QWidget()
        content.setProperty("role", "panel")
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)

        self._this_call = _Section(self.tr("This call"))
        rows = _Rows()
        self._needs = rows.add(self.tr("Why it needs you"))
        self._interruptions = rows.add(self.tr("Interruptions"))
        self.engine = self._swap_button()
        self._engine = rows.add_across(self.tr("Engine"), self.engine)
        self._next_engine = rows.add(self.tr("Next engine"))
        self._roll_over = rows.add(self.tr("Session renews within"))
        for label in self._roll_over:
            label.setToolTip(
                self.tr(
                    "The AI's session lasts only so long. Before it ends, at a quiet moment, a new one that knows "
                    "the call takes over. The caller hears nothing of it."
                )
            )
        self._cost = rows.add(self.tr("Cost so far"))
        self._cause = rows.add(self.tr("Ended"))
        self._this_call.body.addLayout(rows)

        self._waits = _Section(self.tr("Caller waits for an answer"))
        self._answers = AnswerBars()
        self._waits.body.addWidget(self._answers)

        self._plan = _Section(self.tr("Plan so far"))
        self._summary = _plain(wrap=True)
        self._summary.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._plan.body.addWidget(self._summary)

        self._recorded = _Section(self.tr("Recording"))
        self._recording = _plain()
        self._path = ElidedLabel()
        self._path.setProperty("role", "mono")
        self._copy = PushButton(self.tr("Copy path"))
        self._copy.setProperty("role", "quiet")
        self._copy.setAccessibleName(self.tr("Copy the path of the recording"))
        self._copy.clicked.connect(self._copy_path)
        row = QHBoxLayout()
        row.setSpacing(px(10))
        row.addWidget(self._path, 1)
        row.addWidget(self._copy)
        self._recorded.body.addWidget(self._recording)
        self._recorded.body.addLayout(row)

        self._nothing = _plain(self.tr("Choose a call to see how it is going."), "dim", wrap=True)
        self._nothing.setContentsMargins(px(16), px(14), px(16), px(14))
        self._sections = (self._this_call, self._waits, self._plan, self._recorded)
        for part in (self._nothing, *self._sections):
            column.addWidget(part)
        column.addStretch(1)
        self.setWidget(content)
        self._view = None
        self._fill()
        self._fade()

    # ── what is shown ─────────────────────────────────────────────────────────────────────

    def show_call(self, call_id: str) -> None:
        """Show a call; an unknown id empties the column."""
        self._call_id = call_id
        self._view = None
        self._clock.reset()
        self.verticalScrollBar().setValue(0)
        self._fill()

    def refresh(self, call_id: str) -> None:
        """The store has changed something of this call."""
        if call_id == self._call_id:
            self._fill()

    def set_stale(self, stale: bool) -> None:
        """Grey, while the bridge is not there to tell more."""
        if stale != self._stale:
            self._stale = stale
            self._fade()

    def _fade(self) -> None:
        content = self.widget()
        if content is not None:
            faded = QGraphicsOpacityEffect(content)
            faded.setOpacity(STALE_OPACITY)
            faded.setEnabled(self._stale)
            content.setGraphicsEffect(faded)

    def _fill(self) -> None:
        call = self._store.calls.get(self._call_id)
        self._nothing.setVisible(call is None)
        self._this_call.setVisible(call is not None)
        if call is None:
            self._view = None
            for section in self._sections:
                section.hide()
            return
        if call.view is not self._view:
            self._view = call.view
            self._clock.heard(call.view.clock_ms, monotonic() * 1000)
            self._tell_call(call.view)
        self._waits.setVisible(bool(call.answers))
        self._answers.set_answers(tuple(call.answers.values()))

    def _tell_call(self, view: CallView) -> None:
        ended = view.phase is Phase.ENDED
        needs = view.needs if not ended else ()
        told = "\n".join(needs) or ("" if ended else self.tr("nothing"))
        self._tell(self._needs, told, "operator" if needs else "dim")
        self._tell(
            self._interruptions,
            self.tr("{0} caller · {1} you").format(view.caller_interruptions, view.operator_interruptions),
        )
        self._tell_engine(view)
        self._tell_cost(view)
        self._tell(self._cause, (view.end_cause or self.tr("yes")) if ended else "")
        self._tell_roll_over()
        self._plan.setVisible(bool(view.summary))
        self._summary.setText(view.summary)
        word, role = RECORDING_WORDS[view.recording]
        self._recorded.setVisible(view.recording is not Recording.OFF)
        self._recording.setText(self.tr(word))
        set_role(self._recording, role)
        self._path.set_whole(view.recording_path)
        self._path.setVisible(bool(view.recording_path))
        self._copy.setVisible(bool(view.recording_path))

    def _swap_button(self) -> KeyButton:
        button = KeyButton("quiet")
        button.set_compact()
        button.clicked.connect(self.swap_wanted)
        return button

    def _tell_engine(self, view: CallView) -> None:
        ended = view.phase is Phase.ENDED
        word = engine_word(view.engine) or (self.tr("none is left") if is_rung(view) else "")
        swap = BY_NAME["swap"]
        key = "" if ended or not view.engines else swap.key
        self.engine.set_face(word, key, "" if ended else QCoreApplication.translate(CONTEXT, swap.look.tooltip))
        self.engine.setAccessibleName(self.tr("Engine: {engine}").format(engine=word))
        self.engine.setEnabled(not ended)
        for widget in (self._engine, self.engine):
            widget.setVisible(bool(word))
        self._tell(self._next_engine, self.tr("{0}, when it is quiet").format(engine_word(view.coming)), "ai")
        for label in self._next_engine:
            label.setVisible(bool(view.coming))

    def _tell_cost(self, view: CallView) -> None:
        self._cost[1].setToolTip(self._cost_words(view))
        cost = money(view.cost_usd)
        if view.budget_usd is None:
            self._tell(self._cost, cost if view.cost_usd or view.tokens else "")
            return
        nearly = view.cost_usd >= NEARLY_SPENT * view.budget_usd and view.phase is not Phase.ENDED
        told = self.tr("{cost} of {budget}").format(cost=cost, budget=money(view.budget_usd))
        self._tell(self._cost, told, "operator" if nearly else "")

    def _cost_words(self, view: CallView) -> str:
        """What each vendor cost, dearest first."""
        parts = [f"{vendor_word(vendor)} {money(cost_usd)}" for vendor, cost_usd in dearest_first(view.costs_usd)]
        return "\n".join([self.tr("An estimate from the vendors' usage figures and prices"), *parts])

    @staticmethod
    def _tell(row: tuple[QLabel, QLabel], text: str, role: str = "") -> None:
        name, value = row
        name.setVisible(bool(text))
        value.setVisible(bool(text))
        if value.text() != text:
            value.setText(text)
            value.setAccessibleName(f"{name.text()}: {text}")
        set_role(value, role)

    def _tell_roll_over(self) -> None:
        view = self._view
        if view is None or view.session_expires_ms is None or view.phase is Phase.ENDED:
            self._tell(self._roll_over, "")
            return
        left_ms = max(0.0, view.session_expires_ms - self._clock.at(monotonic() * 1000))
        if not self._stale:
            self._tell(self._roll_over, clock_text(left_ms), "operator" if left_ms < SOON_MS else "")

    def _copy_path(self) -> None:
        if self._view is not None:
            QGuiApplication.clipboard().setText(self._view.recording_path)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._second.start()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._second.stop()
