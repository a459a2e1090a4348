"""Who is on the line: number, place, direction, profile; who is heard; recording; the clock."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QFontMetrics, QResizeEvent
from PySide6.QtWidgets import QFrame, QGraphicsOpacityEffect, QHBoxLayout, QLabel, QSizePolicy, QWidget

from bridge.control import CallView, Floor, Party, Phase, Recording
from console import theme
from console.desk import Desk
from console.names import KEYPAD, PIN, is_rung, operator_word
from console.telephone import spaced
from console.timeline import clock_text
from console.widgets.state_chip import StateChip

STALE_OPACITY = 0.45


class HeaderPanel(QFrame):
    """The selected call's header. The floor chip always says whom the caller hears."""

    def __init__(self, desk: Desk, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "panel")
        self._desk = desk
        self._shown: CallView | None = None
        self.number = QLabel()
        self.about = QLabel()
        self._about = ""
        self.floor = StateChip("", "dim")
        self.recording = StateChip("", "dim")
        self.clock = QLabel()
        self._build()
        self._faded = QGraphicsOpacityEffect(self)
        self._faded.setOpacity(STALE_OPACITY)
        self._faded.setEnabled(False)
        self.setGraphicsEffect(self._faded)

    def _build(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.px(20), 0, theme.px(20), 0)
        row.setSpacing(theme.px(8))
        self.setFixedHeight(theme.px(48))
        for label in (self.number, self.about, self.clock):
            label.setTextFormat(Qt.TextFormat.PlainText)
        self.number.setProperty("role", "title")
        self.about.setProperty("role", "dim")
        self.about.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.clock.setFont(theme.font(17, 600, tabular=True))
        row.addWidget(self.number)
        row.addWidget(self.about, 1)
        row.addWidget(self.floor)
        row.addSpacing(theme.px(4))
        row.addWidget(self.recording)
        row.addSpacing(theme.px(4))
        row.addWidget(self.clock)

    def refresh(self) -> None:
        """Show the selected call as it is; cheap when nothing changed."""
        view = self._desk.view
        if view is None or view == self._shown:
            return
        floor_before = self._shown.floor if self._shown and self._shown.call_id == view.call_id else None
        self._shown = view
        self.number.setText(spaced(view.number) or self.tr("Number withheld"))
        self._about = " · ".join(filter(None, (view.place, self._direction(view), view.profile)))
        self._elide()
        words, role = self._floor_words(view)
        self.floor.set(words, role)
        words_recording, role_recording = self._recording_words(view)
        self.recording.set(words_recording, role_recording)
        self.recording.setVisible(bool(words_recording))
        layout = self.layout()
        if layout is not None:
            # At once, since a picture may be taken before the event loop comes to it.
            layout.activate()
        self.tick()
        if floor_before is not None and floor_before is not view.floor:
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, words))

    def set_stale(self, stale: bool) -> None:
        """Greyed while the bridge is lost."""
        self._faded.setEnabled(stale)

    def tick(self) -> None:
        """Let the clock run."""
        words = clock_text(self._desk.clock_ms(self._desk.selected))
        if words != self.clock.text():
            self.clock.setText(words)
            self.clock.setAccessibleName(self.tr("Call time {clock}").format(clock=words))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where the caller is may be shortened; nothing else is."""
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        room = self.about.width()
        shown = QFontMetrics(self.about.font()).elidedText(self._about, Qt.TextElideMode.ElideRight, room)
        self.about.setText(shown)
        self.about.setToolTip(self._about if shown != self._about else "")
        self.about.setAccessibleName(self._about)

    def _direction(self, view: CallView) -> str:
        return {"inbound": self.tr("inbound"), "outbound": self.tr("outbound")}.get(view.direction, view.direction)

    def _floor_words(self, view: CallView) -> tuple[str, str]:
        match view.phase, view.floor:
            case Phase.RINGING, _:
                return self.tr("Ringing"), "dim"
            case Phase.CONNECTING, _:
                return self.tr("AI is connecting"), "dim"
            case Phase.ENDED, _:
                return view.end_cause.capitalize() or self.tr("Ended"), "dim"
            case _, Floor.AI if view.engine == PIN:
                return self.tr("Caller enters a PIN"), "ai"
            case _, Floor.AI if view.engine == KEYPAD:
                return self.tr("Keypad menu has the floor"), "ai"
            case _, Floor.AI:
                return self.tr("AI has the floor"), "ai"
            case _, Floor.OPERATOR if view.floor_holder in ("", self._desk.link.me):
                return self.tr("You have the floor"), "operator"
            case _, Floor.OPERATOR:
                return self._other_has_the_floor(view), "operator"
            case _, Floor.HOLD if is_rung(view):
                return self.tr("No AI: take over"), "danger"
            case _, Floor.HOLD:
                return self.tr("On hold"), "dim"
            case _ if view.ai_muted and view.speaking is Party.AI:
                return self.tr("AI muted · Say is heard"), "operator"
            case _ if view.ai_muted:
                return self.tr("AI muted · nobody is heard"), "operator"
            case _:
                return self.tr("Nobody is heard"), "dim"

    def _other_has_the_floor(self, view: CallView) -> str:
        return self.tr("{holder} has the floor").format(holder=operator_word(view.floor_holder, self._desk.link.me))

    def _recording_words(self, view: CallView) -> tuple[str, str]:
        match view.recording:
            case Recording.ON:
                return self.tr("Recording"), "danger"
            case Recording.PAUSED:
                return self.tr("Privacy hold · not recorded"), "operator"
            case Recording.PARTIAL:
                return self.tr("Recording has a gap"), "danger"
            case Recording.DONE:
                return self.tr("Recorded"), "dim"
            case _:
                return self.tr("Not recorded"), "dim"
