"""The bottom of the window: the text line with its modes, then the verbs.

Always visible, never covered. A button never changes itself: what it says and whether it is
enabled comes from the call as the bridge last told it; between a press and the bridge's answer it
is pending. Refusals stand beside the buttons, in words, for a while; above them where there is no room.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication, Qt, QTimer, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from bridge.control import MAX_TEXT_CHARS, Phase, Verb
from console import theme
from console.actions import BUTTONS, BY_NAME, CONTEXT, TEXT_MODES, Action, Role
from console.desk import Desk, verb_title
from console.link import monotonic_ms
from console.widgets.key_button import KeyButton, key_words
from console.widgets.own_keys_line import OwnKeysLine

REFUSAL_SHOWN_MS = 8000
STATUS_PX = 240
"""The room that words beside the verbs need to be read; with less they get a row of their own."""
ROLES = {Role.PLAIN: "", Role.PRIMARY: "operator", Role.DANGER: "danger"}
NOTE = "note"


@dataclass
class Draft:
    """What was being written for one call."""

    mode: str = "whisper"
    text: str = ""


class TextLine(OwnKeysLine):
    """Where the operator writes. sent(cut_in): Return, with Shift or without; left(): Esc."""

    sent = Signal(bool)
    left = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Return sends, Esc leaves; Shift+Esc is the desk's."""
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        match event.key():
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self.sent.emit(shift)
            case Qt.Key.Key_Escape if not shift:
                self.left.emit()
            case _:
                super().keyPressEvent(event)


class ControlsPanel(QFrame):
    """Text line and verbs of the selected call."""

    def __init__(self, desk: Desk, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "panel")
        self.setObjectName("controls")
        self._desk = desk
        self._mode = "whisper"
        self._call_id = desk.selected
        self._drafts: dict[str, Draft] = {}
        self._told: tuple[str, str] = ("", "")
        self._had_floor = False
        self._refusal_over = QTimer(self, singleShot=True, interval=REFUSAL_SHOWN_MS)
        self._refusal_over.timeout.connect(self._forget_refusal)
        self._refusal = ""
        self.floor_strip = QLabel()
        self.floor_strip.setObjectName("floor_strip")
        self.floor_strip.setProperty("role", "operator")
        self.floor_strip.setWordWrap(True)
        self.floor_strip.hide()
        self.modes: dict[str, KeyButton] = {}
        self.line = TextLine()
        self.buttons: dict[str, KeyButton] = {}
        self.status = QLabel()
        self._build()
        desk.pending_changed.connect(self.refresh)
        desk.refused.connect(self._on_refused)
        desk.done.connect(self._on_done)
        theme.notifier().changed.connect(self._dress)
        self._dress()
        self._choose("whisper")
        self.refresh()

    def _build(self) -> None:
        segments = QFrame()
        segments.setProperty("role", "segments")
        row = QHBoxLayout(segments)
        row.setContentsMargins(1, 1, 1, 1)
        row.setSpacing(0)
        for action in TEXT_MODES:
            button = KeyButton("segment")
            button.set_compact()
            button.setCheckable(True)
            button.clicked.connect(lambda _=False, name=action.name: self.act(name))
            row.addWidget(button)
            self.modes[action.name] = button
        self.line.setMaxLength(MAX_TEXT_CHARS)
        self.line.setMinimumHeight(theme.px(35))
        self.line.sent.connect(self._send_line)
        self.line.left.connect(self._leave_line)
        writing = QHBoxLayout()
        writing.setSpacing(theme.px(10))
        writing.addWidget(segments)
        writing.addWidget(self.line, 1)
        self._verbs = verbs = QHBoxLayout()
        verbs.setSpacing(theme.px(8))
        for action in BUTTONS:
            button = KeyButton(ROLES[action.role])
            button.clicked.connect(lambda _=False, name=action.name: self.act(name))
            self.buttons[action.name] = button
            if action.role is Role.DANGER:
                verbs.addStretch()
                verbs.addWidget(self.status, 1)
            verbs.addWidget(button)
        self.status.setObjectName("status")
        self.status.setWordWrap(True)
        self.status.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.status.setContentsMargins(theme.px(8), 0, theme.px(8), 0)
        self._column = column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(20), theme.px(12), theme.px(20), theme.px(12))
        column.setSpacing(theme.px(11))
        column.addWidget(self.floor_strip)
        column.addLayout(writing)
        column.addLayout(verbs)
        self.line.setAccessibleName(self.tr("What to tell the AI"))

    # ── intents ──

    def act(self, name: str) -> None:
        """A verb's button, key or menu entry."""
        action = BY_NAME[name]
        if action.text_mode:
            self._choose(name)
            self.line.setFocus(Qt.FocusReason.ShortcutFocusReason)
        elif self._desk.face(action).verb is Verb.HAND_BACK and self._desk.face(action).enabled:
            if self._mode == NOTE:
                self._send_line(False)
            else:
                self._choose(NOTE)
                self.line.setFocus(Qt.FocusReason.ShortcutFocusReason)
        else:
            self._desk.do(name)

    def _choose(self, mode: str) -> None:
        if mode == NOTE and self._mode != NOTE:
            self._keep_draft()
            self.line.clear()
        elif mode != NOTE and self._mode == NOTE:
            self.line.setText(self._draft().text)
        self._mode = mode
        shown = {
            "whisper": self.tr("Tell the AI something the caller will not hear…"),
            "ask": self.tr("What shall the AI say, in its own words?"),
            "say": self.tr("Exactly these words will be spoken to the caller…"),
            "keys": self.tr("Keys to press: 0-9, * and #. The other side hears the tones."),
            NOTE: self.tr("Note for the AI, if you like. Enter hands back, Esc keeps the floor."),
        }[mode]
        self.line.setPlaceholderText(shown)
        self.line.setAccessibleDescription(shown)
        for name, button in self.modes.items():
            button.setChecked(name == mode)
        if mode != NOTE:
            self._draft().mode = mode

    def _send_line(self, cut_in: bool) -> None:
        text = self.line.text().strip()
        if self._mode == NOTE:
            self._choose(self._draft().mode)
            self._desk.do("take_over", text=text)
            self._leave_line()
            return
        if not text:
            return
        now = self._desk.face(BY_NAME[self._mode])
        if now.enabled:
            self.line.clear()
        self._desk.do(self._mode, text=text, cut_in=cut_in and self._mode == "ask")

    def _leave_line(self) -> None:
        if self._mode == NOTE:
            self._choose(self._draft().mode)
        self._keep_draft()
        self.line.clearFocus()

    # ── drafts: words are for the call they were written for ──

    def show_call(self, call_id: str) -> None:
        """Another call is selected: its words come back, the other one's are kept."""
        if self._mode == NOTE:
            self._choose(self._draft().mode)
        self._keep_draft()
        self._call_id = call_id
        draft = self._draft()
        self.line.setText(draft.text)
        self._choose(draft.mode)
        self._forget_refusal()
        self.refresh()

    def _draft(self) -> Draft:
        return self._drafts.setdefault(self._call_id, Draft())

    def _keep_draft(self) -> None:
        if self._mode != NOTE:
            self._draft().text = self.line.text()

    def _on_done(self, call_id: str, verb: str, text: str) -> None:
        if call_id == self._call_id:
            self._forget_refusal()

    def _on_refused(self, call_id: str, verb: str, reason: str, text: str) -> None:
        if text and verb != Verb.HAND_BACK:
            # The words come back to the call they were for, unless others have been begun since.
            if call_id == self._call_id and self._mode != NOTE:
                if not self.line.text():
                    self.line.setText(text)
            elif not self._drafts.setdefault(call_id, Draft()).text:
                self._drafts[call_id].text = text
        if call_id != self._call_id:
            return
        view = self._desk.view
        title = QCoreApplication.translate(CONTEXT, verb_title(Verb(verb), view)) if verb else self.tr("Rehearsal")
        self._refusal = f"{title}: {reason}"
        self._refusal_over.start()
        self.refresh()

    def _forget_refusal(self) -> None:
        self._refusal = ""
        self._refusal_over.stop()
        self.refresh()

    # ── looks ──

    def refresh(self) -> None:
        """Show the call as the bridge last told it; cheap when nothing changed."""
        desk, view = self._desk, self._desk.view
        ending = view is not None and view.phase is Phase.ENDING
        if self._mode == NOTE and not desk.has_floor():
            self._choose(self._draft().mode)
        for action in BUTTONS:
            button = self.buttons[action.name]
            now = desk.face(action)
            hanging_up = action.name == "hang_up" and ending
            pending = hanging_up or desk.pending(desk.selected, *action.verbs) is not None
            title = self.tr("Hanging up…") if hanging_up else QCoreApplication.translate(CONTEXT, now.title)
            button.set_face(title, action.key, self._tooltip(action, now.tooltip, now.why_not))
            button.setEnabled(now.enabled)
            button.set_pending(pending)
        for action in TEXT_MODES:
            now = desk.face(action)
            button = self.modes[action.name]
            tooltip = self._tooltip(action, now.tooltip, now.why_not)
            button.set_face(QCoreApplication.translate(CONTEXT, now.title), action.key, tooltip)
            button.setEnabled(view is not None)
        if view is None and self.line.hasFocus():
            # Qt would pass the focus on to whatever comes next, and Space would press that.
            self.line.left.emit()
        self.line.setEnabled(view is not None)
        self._refresh_floor()
        self._refresh_status()

    def _refresh_floor(self) -> None:
        has_floor = self._desk.has_floor()
        if has_floor == self._had_floor:
            return
        self._had_floor = has_floor
        words = self.tr(
            "You have the floor: the AI is silent and keeps listening. "
            "The microphone arrives with the next version; until then the caller hears nothing from here."
        )
        self.floor_strip.setText(words)
        self.floor_strip.setVisible(has_floor)
        if has_floor:
            self._announce(words)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keys give way before words do, and words of the status move up before they are cut off."""
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        gaps = theme.px(8) * (len(self.buttons) + 1) + 2 * theme.px(20)
        room = self.width() - gaps - theme.px(60)
        key_shown = sum(button.whole_width() for button in self.buttons.values()) <= room
        for button in (*self.buttons.values(), *self.modes.values()):
            button.set_key_shown(key_shown)
        buttons = sum(button.sizeHint().width() for button in self.buttons.values())
        beside = self.width() - gaps - buttons >= theme.px(STATUS_PX)
        if beside != (self._verbs.indexOf(self.status) >= 0):
            if beside:
                self._verbs.insertWidget(self._verbs.count() - 1, self.status, 1)
            else:
                self._column.insertWidget(self._column.count() - 1, self.status)
        # An empty row would be a gap for nothing; beside the verbs nobody sees it.
        self.status.setVisible(beside or bool(self.status.text()))

    def _dress(self) -> None:
        colours = theme.current()
        self.floor_strip.setStyleSheet(
            f"background: {colours.soft('operator').name()}; border-radius: {theme.px(6)}px;"
            f" padding: {theme.px(6)}px {theme.px(10)}px;"
        )

    def _refresh_status(self) -> None:
        text, role = self._status()
        if (text, role) == self._told:
            return
        self._told = (text, role)
        theme.set_role(self.status, role)
        self.status.setText(text)
        self.status.setAccessibleName(text)
        self._arrange()
        if text:
            self._announce(text)

    def _status(self) -> tuple[str, str]:
        desk, view = self._desk, self._desk.view
        if self._refusal:
            return self._refusal, "danger"
        pending = desk.pending(desk.selected)
        if pending is not None and pending.verb is not None and pending.told(monotonic_ms()):
            title = QCoreApplication.translate(CONTEXT, verb_title(pending.verb, view))
            return self.tr("{verb}: waiting for the bridge…").format(verb=title), "operator"
        if view is not None and view.phase is Phase.ENDED and self.line.text():
            return self.tr("The call has ended; what you wrote was not sent."), "operator"
        if self._mode == NOTE:
            return self.tr("Enter hands back"), "operator"
        return "", "dim"

    def _tooltip(self, action: Action, tooltip: str, why_not: str) -> str:
        words = QCoreApplication.translate(CONTEXT, why_not or tooltip)
        keys = [key_words(key) for key in (action.key, action.ctrl_key) if key]
        return f"{words}  [{self.tr(' or ').join(keys)}]" if keys else words

    def _announce(self, words: str) -> None:
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, words))
