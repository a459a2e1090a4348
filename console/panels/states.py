"""What the centre shows when there is no call, and the banners above it when something is wrong."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from bridge.control import HealthPart, HealthState, Notice
from console import theme
from console.actions import BY_NAME
from console.desk import Desk
from console.link import LinkState
from console.names import told
from console.telephone import spaced
from console.timeline import span_text
from console.widgets.key_button import KeyButton

AGE_SHOWN_AFTER_MS = 2000.0
SILENT_AFTER_MS = 3000.0
"""A bridge with calls up that has told nothing for so long may have stopped."""

NOTICE_ROLES = {HealthState.GREEN: "fine", HealthState.AMBER: "operator", HealthState.RED: "danger"}


class EmptyPanel(QFrame):
    """All quiet, first run, bridge starting, bridge not to be had.

    again_wanted(): try to start the bridge again. rehearsal_wanted(), real_line_wanted().
    last_words: the newest line that a starting bridge has printed.
    """

    again_wanted = Signal()
    rehearsal_wanted = Signal()
    real_line_wanted = Signal()

    def __init__(self, desk: Desk, last_words: Callable[[], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self._last_words = last_words
        self.title, self.text, self.detail = QLabel(), QLabel(), QLabel()
        self.again = KeyButton("primary")
        self.another = KeyButton("primary")
        self.real_line = KeyButton()
        self._build()
        self.refresh()

    def _build(self) -> None:
        self.title.setFont(theme.font(22, 600))
        self.detail.setProperty("role", "dim")
        for label in (self.title, self.text, self.detail):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.detail.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        action = BY_NAME["rehearse"]
        self.again.set_face(self.tr("Try again"))
        self.another.set_face(self.tr("Rehearsal call"), action.key, action.look.tooltip)
        self.real_line.set_face(self.tr("Connect a real line"))
        self.again.clicked.connect(self.again_wanted)
        self.another.clicked.connect(self.rehearsal_wanted)
        self.real_line.clicked.connect(self.real_line_wanted)
        row = QHBoxLayout()
        row.setSpacing(theme.px(10))
        row.addStretch(1)
        for button in (self.again, self.another, self.real_line):
            row.addWidget(button)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setSpacing(theme.px(12))
        column.addStretch(2)
        for label in (self.title, self.text, self.detail):
            column.addWidget(label, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(theme.px(6))
        column.addLayout(row)
        column.addStretch(3)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Lines no longer than reads well."""
        super().resizeEvent(event)
        for label in (self.title, self.text, self.detail):
            self._fit(label)

    def _fit(self, label: QLabel) -> None:
        width = max(1, min(theme.px(520), self.width() - theme.px(40)))
        label.setFixedSize(width, max(0, label.heightForWidth(width)))

    def refresh(self) -> None:
        """Say why there is nothing to see."""
        desk, link = self._desk, self._desk.link
        attached = desk.store.attached
        rehearsal = attached is not None and attached.rehearsal
        failed = link.state is LinkState.FAILED
        self.again.setVisible(failed)
        self.another.setVisible(rehearsal and not link.lost)
        self.real_line.setVisible(rehearsal or failed)
        match link.state:
            case LinkState.STARTING:
                age_ms = link.age_ms()
                age = f" {span_text(age_ms)}" if age_ms >= AGE_SHOWN_AFTER_MS else ""
                self._say(self.tr("Starting the bridge…") + age, self._last_words(), link.reason)
            case LinkState.FAILED:
                self._say(
                    self.tr("The bridge is not running"),
                    link.reason,
                    self.tr("No call can be answered until this is put right."),
                )
            case _ if desk.store.live_count:
                self._say(self.tr("Select a call"), self.tr("F7 and F8 go through the list on the left."), "")
            case _ if rehearsal:
                self._say(
                    self.tr("Rehearsal: all quiet"),
                    self.tr(
                        "No telephone account is set up, so the telephone company and the AI are simulated on this "
                        "computer. They speak the real protocols; nobody is called and nobody is billed."
                    ),
                    self._quiet_detail(),
                )
            case _:
                self._say(self.tr("All quiet"), self._ringing_here(), self._quiet_detail())

    def _ringing_here(self) -> str:
        number = self._desk.store.health.get(HealthPart.NUMBER)
        if number is not None and number.state is HealthState.GREEN:
            return self.tr("Calls to {number} appear on the left as they ring.").format(number=spaced(number.word))
        return self.tr("Calls appear on the left as they ring.")

    def _quiet_detail(self) -> str:
        """What is not green, with its fix, else how to read old calls."""
        troubles = [h for h in self._desk.store.health.values() if h.state is HealthState.RED]
        if troubles:
            return "\n".join(" ".join(filter(None, (f"{h.word}:", h.reason, h.fix))) for h in troubles)
        return self.tr("Select an ended call on the left to read it.") if self._desk.store.calls else ""

    def _say(self, title: str, text: str, detail: str) -> None:
        for label, words in ((self.title, title), (self.text, text), (self.detail, detail)):
            if label.text() != words:
                label.setText(words)
                self._fit(label)
            label.setVisible(bool(words))


class Banner(QFrame):
    """One line above the calls, with at most one thing to press. pressed(), dismissed()."""

    pressed = Signal()
    dismissed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setTextFormat(Qt.TextFormat.PlainText)
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.action = KeyButton("quiet")
        self.close_button = KeyButton("quiet")
        for button in (self.action, self.close_button):
            button.set_compact()
        self.close_button.set_face(self.tr("Dismiss"))
        self.action.clicked.connect(self.pressed)
        self.close_button.clicked.connect(self.dismissed)
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.px(16), theme.px(6), theme.px(16), theme.px(6))
        row.setSpacing(theme.px(10))
        row.addWidget(self.words, 1)
        row.addWidget(self.action)
        row.addWidget(self.close_button)
        self._role = "operator"
        theme.notifier().changed.connect(self._dress)
        self.hide()

    def say(self, words: str, role: str, action: str = "", closable: bool = True) -> None:
        """Show these words; role: operator, danger or fine."""
        fresh = self.isHidden() or role != self._role
        self._role = role
        if self.words.text() != words:
            self.words.setText(words)
        self.action.set_face(action)
        self.action.setVisible(bool(action))
        self.close_button.setVisible(closable)
        if fresh:
            self._dress()
            self.show()
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, words))

    def _dress(self) -> None:
        colours = theme.current()
        theme.set_role(self.words, self._role)
        self.setStyleSheet(
            f"Banner {{ background: {colours.soft(self._role).name()};"
            f" border-bottom: 1px solid {colours.role(self._role).name()}; }}"
        )


class LostBanner(Banner):
    """The bridge is lost, or has fallen silent: since when, and what that means."""

    def __init__(self, desk: Desk, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._desk = desk

    def refresh(self) -> None:
        """Shown exactly while a bridge that was there is lost or silent."""
        link, store = self._desk.link, self._desk.store
        had_state = bool(store.calls) or store.attached is not None
        if not link.lost and store.live_count and link.silent_ms() >= SILENT_AFTER_MS:
            words = self.tr("No word from the bridge for {age}. What you see may be out of date.")
            self.say(words.format(age=span_text(link.silent_ms() // 1000 * 1000)), "operator", closable=False)
            return
        if not link.lost or not had_state:
            self.hide()
            return
        age = span_text(max(1000.0, link.age_ms() // 1000 * 1000))
        if link.state is LinkState.FAILED:
            words = self.tr("No bridge since {age}: {reason}").format(age=age, reason=link.reason)
        else:
            words = self.tr(
                "Bridge lost {age} ago. What you see is the last known state; "
                "a bridge that still runs keeps its calls up. Re-attaching…"
            ).format(age=age)
        self.say(words, "danger", self.tr("Try now"), closable=False)


class NoticeBanner(Banner):
    """The newest notice, until it is dismissed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.call_id = ""
        self._waiting: list[Notice] = []
        self.dismissed.connect(self._next)

    def tell(self, notice: Notice) -> None:
        """Show it; an earlier one that was not dismissed comes back after it."""
        if not self.isHidden() and self._waiting and self._waiting[-1].text == notice.text:
            return
        self._waiting.append(notice)
        self._show()

    def _show(self) -> None:
        notice = self._waiting[-1]
        self.call_id = notice.call_id
        action = self.tr("Show the call") if notice.call_id else ""
        self.say(told(notice.text, ""), NOTICE_ROLES[notice.state], action)
        more = len(self._waiting) - 1
        self.close_button.set_face(
            self.tr("Dismiss") if not more else self.tr("Dismiss · {count} more").format(count=more)
        )

    def _next(self) -> None:
        if self._waiting:
            self._waiting.pop()
        if self._waiting:
            self._show()
        else:
            self.hide()
