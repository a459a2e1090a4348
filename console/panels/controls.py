"""The bottom of the window: the text line with its modes, then the verbs.

Always visible, never covered. A button never changes itself: what it says and whether it is
enabled comes from the call as the bridge last told it; between a press and the bridge's answer it
is pending. Between line and buttons stands in words what was refused or came about, for a while,
and what is about to happen.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication, Qt, QTimer, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QFocusEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from bridge.control import MAX_TEXT_CHARS, CallView, Phase, Verb
from console import theme
from console.actions import BUTTONS, BY_NAME, CONTEXT, TEXT_MODES, Action, Face, Own, Role, face
from console.desk import Desk, verb_title
from console.link import monotonic_ms
from console.names import engine_word, is_rung
from console.on_air import OnAir
from console.widgets.flow_layout import FlowLayout
from console.widgets.key_button import KeyButton, key_words
from console.widgets.own_keys_line import OwnKeysLine

SAID_SHOWN_MS = 8000
GAP_PX = 7
"""Between two verbs."""

SIDE_PX = 20

ROLES = {Role.PLAIN: "", Role.PRIMARY: "operator", Role.DANGER: "danger"}
NOTE = "note"


@dataclass
class Draft:
    """What was being written for one call; note: for the hand-back, as long as this console has its floor."""

    mode: str = "whisper"
    text: str = ""
    note: str = ""


class TextLine(OwnKeysLine):
    """Where the operator writes. sent(cut_in): Return, with Shift or without; left(): Esc.

    writing(is_writing): there are words in it, and it has the focus.
    """

    sent = Signal(bool)
    left = Signal()
    writing = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.textChanged.connect(self._tell)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Words may stand in it already."""
        super().focusInEvent(event)
        self._tell()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """The words stay."""
        super().focusOutEvent(event)
        self._tell()

    def _tell(self) -> None:
        self.writing.emit(self.hasFocus() and bool(self.text()))

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
    """Text line and verbs of the selected call.

    keypad_wanted(): open the keypad, or close it; engines_wanted(): let an engine be chosen.
    """

    keypad_wanted = Signal()
    engines_wanted = Signal()

    def __init__(self, desk: Desk, on_air: OnAir, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "panel")
        self.setObjectName("controls")
        self._desk = desk
        self._on_air = on_air
        self._mode = "whisper"
        self._call_id = desk.selected
        self._drafts: dict[str, Draft] = {}
        self._told: tuple[str, str] = ("", "")
        self._arranged: tuple[object, ...] = ()
        self._said_over = QTimer(self, singleShot=True, interval=SAID_SHOWN_MS)
        self._said_over.timeout.connect(self._unsay)
        self._said = ("", "")
        self._coming = ""
        self.modes: dict[str, KeyButton] = {}
        self.line = TextLine()
        self.buttons: dict[str, KeyButton] = {}
        self.status = QLabel()
        self._build()
        self.line.writing.connect(desk.set_writing)
        desk.pending_changed.connect(self.refresh)
        desk.refused.connect(self._on_refused)
        desk.done.connect(self._on_done)
        on_air.changed.connect(self.refresh)
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
        self._verbs = FlowLayout(theme.px(GAP_PX), ends=True)
        for action in BUTTONS:
            button = KeyButton(ROLES[action.role])
            button.clicked.connect(lambda _=False, name=action.name: self._do(name))
            self.buttons[action.name] = button
            self._verbs.addWidget(button)
        # The clock of a take-over starts when the button goes down.
        self.buttons["take_over"].pressed.connect(self._on_air.key_pressed)
        self.status.setObjectName("status")
        self.status.setWordWrap(True)
        self.status.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(*(theme.px(side) for side in (SIDE_PX, 12, SIDE_PX, 12)))
        column.setSpacing(theme.px(11))
        column.addLayout(writing)
        column.addWidget(self.status)
        column.addLayout(self._verbs)
        self.line.setAccessibleName(self.tr("What to tell the AI"))

    # ── intents ──

    def face(self, action: Action) -> Face:
        """How an action looks now."""
        desk, on_air = self._desk, self._on_air
        own = Own(on_air.listening_to, on_air.queue, on_air.has_floor_of, on_air.muted)
        return face(action, desk.view, desk.link.me, desk.link.lost, own)

    def act(self, name: str) -> None:
        """A verb's key or menu entry."""
        if name == "take_over":
            self._on_air.key_pressed()
        self._do(name)

    def _do(self, name: str) -> None:
        action = BY_NAME[name]
        now = self.face(action)
        if action.text_mode:
            self._choose(name)
            self.line.setFocus(Qt.FocusReason.ShortcutFocusReason)
        elif now.verb is Verb.HAND_BACK and now.enabled:
            if self._mode == NOTE:
                self._send_line(False)
            else:
                self._choose(NOTE)
                self.line.setFocus(Qt.FocusReason.ShortcutFocusReason)
        elif now.verb is Verb.KEYS:
            self.keypad_wanted.emit()
        elif now.verb is Verb.SWAP and now.enabled:
            self._unsay()
            self.engines_wanted.emit()
        elif now.verb is not None:
            self._desk.do(name)
        elif not now.enabled:
            self._refuse(now.title, QCoreApplication.translate(CONTEXT, now.why_not))
        else:
            self._unsay()
            self._own(name)

    def _own(self, name: str) -> None:
        """What this window does by itself, or by another row's verb."""
        match name:
            case "listen":
                self._on_air.toggle_listen()
            case "listen_next":
                self._on_air.toggle_queue()
            case "mute_microphone":
                self._on_air.toggle_mute()
            case "hand_back_now":
                if self._mode == NOTE:
                    self._leave_line()
                self._desk.do("take_over")

    def _choose(self, mode: str) -> None:
        if mode == NOTE and self._mode != NOTE:
            self._keep_draft()
            self.line.setText(self._draft().note)
        elif mode != NOTE and self._mode == NOTE:
            self._keep_draft()
            self.line.setText(self._draft().text)
        self._mode = mode
        shown = {
            "whisper": self.tr("Tell the AI something the caller will not hear…"),
            "ask": self.tr("What shall the AI say, in its own words?"),
            "say": self.tr("Exactly these words will be spoken to the caller…"),
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
            self._draft().note = ""
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
        self._coming = ""
        self._unsay()

    def _draft(self) -> Draft:
        return self._drafts.setdefault(self._call_id, Draft())

    def _keep_draft(self) -> None:
        if self._mode == NOTE:
            self._draft().note = self.line.text()
        else:
            self._draft().text = self.line.text()

    def _on_done(self, call_id: str, verb: str, text: str) -> None:
        if call_id == self._call_id:
            self._unsay()

    def _on_refused(self, call_id: str, verb: str, reason: str, text: str) -> None:
        if text and verb == Verb.HAND_BACK:
            self._drafts.setdefault(call_id, Draft()).note = text
        elif text and verb not in (Verb.KEYS, Verb.SWAP):
            # The words come back to the call they were for, unless others have been begun since.
            if call_id == self._call_id and self._mode != NOTE:
                if not self.line.text():
                    self.line.setText(text)
            elif not self._drafts.setdefault(call_id, Draft()).text:
                self._drafts[call_id].text = text
        if call_id != self._call_id:
            return
        self._refuse(verb_title(Verb(verb), self._desk.view) if verb else "Rehearsal call", reason)

    def _refuse(self, title: str, reason: str) -> None:
        self._say(f"{QCoreApplication.translate(CONTEXT, title)}: {reason}", "danger")

    def _say(self, text: str, role: str) -> None:
        self._said = (text, role)
        self._said_over.start()
        self.refresh()

    def _unsay(self) -> None:
        self._said = ("", "")
        self._said_over.stop()
        self.refresh()

    def _watch_swap(self, view: CallView | None) -> None:
        """Say it when the engine that was to come has come."""
        came, self._coming = self._coming, view.coming if view is not None else ""
        if came and view is not None and not view.coming and view.engine == came:
            self._say(self.tr("{engine} has the call now.").format(engine=engine_word(came)), "ai")

    # ── looks ──

    def refresh(self) -> None:
        """Show the call as the bridge last told it; cheap when nothing changed."""
        desk, view = self._desk, self._desk.view
        ending = view is not None and view.phase is Phase.ENDING
        self._watch_swap(view)
        if self._call_id == desk.selected and not desk.has_floor():
            if self._mode == NOTE:
                self._choose(self._draft().mode)
            self._draft().note = ""
        for action in BUTTONS:
            button = self.buttons[action.name]
            now = self.face(action)
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
        self._refresh_status()
        self._arrange()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keys give way before a second line is begun, the longest first, and then the space beside words."""
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        now = (self.width(), theme.scale(), *(button.text() for button in self.buttons.values()))
        if now == self._arranged:
            return
        self._arranged = now
        room = self.width() - 2 * theme.px(SIDE_PX) - theme.px(GAP_PX) * (len(self.buttons) - 1)
        too_much = sum(button.whole_width() for button in self.buttons.values()) - room
        for button in sorted(self.buttons.values(), key=KeyButton.key_width, reverse=True):
            button.set_key_shown(too_much <= 0)
            if too_much > 0:
                too_much -= button.key_width()
        for button in self.buttons.values():
            button.set_tight(too_much > 0)
        for button in self.modes.values():
            button.set_key_shown(too_much <= 0)

    def _refresh_status(self) -> None:
        text, role = self._status()
        if (text, role) == self._told:
            return
        self._told = (text, role)
        theme.set_role(self.status, role)
        self.status.setText(text)
        self.status.setAccessibleName(text)
        self.status.setVisible(bool(text))
        if text:
            self._announce(text)

    def _status(self) -> tuple[str, str]:
        desk, view = self._desk, self._desk.view
        if self._said[0]:
            return self._said
        pending = desk.pending(desk.selected)
        if pending is not None and pending.verb is not None and pending.told(monotonic_ms()):
            title = QCoreApplication.translate(CONTEXT, verb_title(pending.verb, view))
            return self.tr("{verb}: waiting for the bridge…").format(verb=title), "operator"
        if view is not None and view.phase is Phase.ENDED and self.line.text():
            return self.tr("The call has ended; what you wrote was not sent."), "operator"
        if self._mode == NOTE:
            return self.tr("Enter hands back"), "operator"
        return self._ahead(view) if view is not None else ("", "dim")

    def _ahead(self, view: CallView) -> tuple[str, str]:
        """What is about to happen."""
        if view.coming:
            words = self.tr(
                "{engine} takes over at the next quiet moment. If there is none for 4 s, the AI is cut off."
            )
            return words.format(engine=engine_word(view.coming)), "ai"
        if is_rung(view):
            words = self.tr("No AI is left, and the caller hears the hold sound. Take over ({key}), or the call ends.")
            return words.format(key=BY_NAME["take_over"].key), "danger"
        return "", "dim"

    def _tooltip(self, action: Action, tooltip: str, why_not: str) -> str:
        words = QCoreApplication.translate(CONTEXT, why_not or tooltip)
        keys = [key_words(key) for key in (action.key, action.ctrl_key) if key]
        return f"{words}  [{self.tr(' or ').join(keys)}]" if keys else words

    def _announce(self, words: str) -> None:
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, words))
