"""Microphone and loudspeaker: choose them, try them, and how one speaks and listens."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QCoreApplication, QSignalBlocker, Qt
from PySide6.QtGui import QCloseEvent, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from console import sound_words, theme
from console.actions import BY_NAME
from console.hotkeys import Hotkey, Hotkeys
from console.on_air import OnAir, TalkMode
from console.sound import Device, MicState, Sound
from console.widgets.key_button import KeyButton, key_words
from console.widgets.level import Level

USED = (MicState.OPENING, MicState.ON_AIR, MicState.MUTED)
"""The microphone is open for a call."""


class SoundPanel(QDialog):
    """Beside the window, which goes on working."""

    def __init__(self, on_air: OnAir, sound: Sound, hotkeys: Hotkeys, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Sound devices"))
        self._on_air = on_air
        self._sound = sound
        self._hotkeys = hotkeys
        self.input, self.output = QComboBox(), QComboBox()
        self.mic_level = Level("caller", self.tr("Microphone level"))
        self.mic_state, self.speaker_state = _words(), _words()
        self.check, self.tone = KeyButton(), KeyButton()
        self.mixed, self.split = KeyButton("segment"), KeyButton("segment")
        self.open_line, self.push = KeyButton("segment"), KeyButton("segment")
        self.hotkeys = QCheckBox()
        self.hotkeys_state = _words()
        self._build()
        sound.changed.connect(self.refresh)
        on_air.changed.connect(self.refresh)
        hotkeys.changed.connect(self.refresh)
        self.refresh()

    def _build(self) -> None:
        self.input.setAccessibleName(self.tr("Microphone"))
        self.output.setAccessibleName(self.tr("Loudspeaker"))
        self.input.activated.connect(lambda at: self._choose(self._sound.choose_input, self.input.itemData(at)))
        self.output.activated.connect(lambda at: self._choose(self._sound.choose_output, self.output.itemData(at)))
        self.check.clicked.connect(lambda: self._sound.check_microphone())
        self.tone.set_face(self.tr("Test tone"), "", self.tr("One second to the chosen loudspeaker."))
        self.tone.clicked.connect(lambda: self._sound.play_tone())
        self.hotkeys.setText(
            self.tr("{talk} speaks, {panic} takes over").format(
                talk=key_words(Hotkey.TALK), panic=key_words(Hotkey.PANIC)
            )
        )
        self.hotkeys.setAccessibleName(self.tr("Keys while another program has the keyboard"))
        self.hotkeys.clicked.connect(self._switch_hotkeys)
        advice = _words()
        advice.setText(
            self.tr("Use a headset: from a loudspeaker the caller's voice finds its way back into the microphone.")
        )
        body = QFrame()
        grid = QGridLayout(body)
        grid.setContentsMargins(*(theme.px(22),) * 4)
        grid.setHorizontalSpacing(theme.px(12))
        grid.setVerticalSpacing(theme.px(8))
        grid.setColumnStretch(0, 1)
        self._heading(grid, self.tr("Microphone"))
        self._row(grid, self.input, self.check)
        self._row(grid, self.mic_level)
        self._row(grid, self.mic_state)
        self._heading(grid, self.tr("Loudspeaker"))
        self._row(grid, self.output, self.tone)
        self._row(grid, self.speaker_state)
        self._row(grid, advice)
        self._heading(grid, self.tr("Listening"))
        self._row(
            grid,
            self._choice(
                (self.mixed, self.tr("Both in both ears"), lambda: self._set_split(False)),
                (self.split, self.tr("Caller left, AI and you right"), lambda: self._set_split(True)),
            ),
        )
        self._heading(grid, self.tr("Speaking"))
        hold = self.tr("Hold {key} to speak").format(key=key_words(BY_NAME["take_over"].key))
        self._row(
            grid,
            self._choice(
                (self.open_line, self.tr("Open line"), lambda: self._set_mode(TalkMode.OPEN)),
                (self.push, hold, lambda: self._set_mode(TalkMode.PUSH)),
            ),
        )
        self._heading(grid, self.tr("Keys while another program has the keyboard"))
        self._row(grid, self.hotkeys)
        self._row(grid, self.hotkeys_state)
        grid.setRowStretch(grid.rowCount(), 1)
        scroll = QScrollArea()
        scroll.setWidget(body)
        scroll.setWidgetResizable(True)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        close = KeyButton()
        close.set_face(self.tr("Close"), "Esc")
        close.clicked.connect(self.close)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, theme.px(14))
        column.addWidget(scroll, 1)
        column.addWidget(close, 0, Qt.AlignmentFlag.AlignHCenter)
        self._body = body

    def _heading(self, grid: QGridLayout, words: str) -> None:
        label = QLabel(words)
        label.setProperty("role", "heading")
        label.setContentsMargins(0, theme.px(8) if grid.count() else 0, 0, 0)
        grid.addWidget(label, grid.rowCount(), 0, 1, 2)

    def _row(self, grid: QGridLayout, widget: QWidget, beside: QWidget | None = None) -> None:
        row = grid.rowCount()
        if beside is None:
            grid.addWidget(widget, row, 0, 1, 2)
        else:
            grid.addWidget(widget, row, 0)
            grid.addWidget(beside, row, 1)

    def _choice(self, *choices: tuple[KeyButton, str, Callable[[], None]]) -> QWidget:
        segments = QFrame()
        segments.setProperty("role", "segments")
        row = QHBoxLayout(segments)
        row.setContentsMargins(1, 1, 1, 1)
        row.setSpacing(0)
        for button, words, choose in choices:
            button.set_compact()
            button.setCheckable(True)
            button.set_face(words)
            button.clicked.connect(lambda _=False, choose=choose: choose())
            row.addWidget(button, 1)
        return segments

    # ── intents ──

    def toggle(self) -> None:
        """Open it, or close it."""
        if self.isVisible():
            self.close()
            return
        self.refresh()
        window = self.parentWidget()
        room_px = window.height() - theme.px(60) if window is not None else theme.px(700)
        width = max(theme.px(540), self._body.minimumSizeHint().width())
        # Room for the sentences of whatever may fail while it is open.
        self.resize(width, min(room_px, self._body.heightForWidth(width) + theme.px(130)))
        self.show()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Nothing is recorded behind a closed dialog."""
        self._end_check()
        super().closeEvent(event)

    def reject(self) -> None:
        """Esc."""
        self._end_check()
        super().reject()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The key that opened it also closes it."""
        if QKeySequence(event.keyCombination()) == QKeySequence(BY_NAME["sound"].ctrl_key):
            self.close()
            return
        super().keyPressEvent(event)

    def _end_check(self) -> None:
        if self._sound.checking:
            self._sound.check_microphone()

    def _choose(self, choose: Callable[[str], None], id: str) -> None:
        if id:
            choose(id)

    def _set_split(self, wanted: bool) -> None:
        self._sound.split = wanted
        self.refresh()

    def _set_mode(self, mode: TalkMode) -> None:
        self._on_air.mode = mode
        self.refresh()

    def _switch_hotkeys(self, wanted: bool) -> None:
        self._hotkeys.on = wanted
        self.refresh()

    # ── looks ──

    def refresh(self) -> None:
        """Say what is there, what is chosen and what works."""
        sound = self._sound
        _fill(self.input, sound.inputs, sound.input, self.tr("No microphone"), self.tr("The chosen one is not there"))
        _fill(
            self.output, sound.outputs, sound.output, self.tr("No loudspeaker"), self.tr("The chosen one is not there")
        )
        words, role = self._mic_words()
        _say(self.mic_state, words, role)
        words, role = self._speaker_words()
        _say(self.speaker_state, words, role)
        self.mic_level.setVisible(sound.checking == "recording" or sound.mic in USED)
        used = sound.mic in USED
        why = self.tr("Not while you are on air.") if used else self.tr("Three seconds; they are sent nowhere.")
        self.check.set_face(self.tr("Stop") if sound.checking else self.tr("Record and play back"), "", why)
        self.check.setEnabled(bool(sound.checking) or (not used and sound.input is not None))
        self.tone.setEnabled(sound.output is not None)
        self.mixed.setChecked(not sound.split)
        self.split.setChecked(sound.split)
        self.open_line.setChecked(self._on_air.mode is TalkMode.OPEN)
        self.push.setChecked(self._on_air.mode is TalkMode.PUSH)
        self.hotkeys.setChecked(self._hotkeys.on)
        self.hotkeys.setEnabled(self._hotkeys.available)
        _say(self.hotkeys_state, self._hotkeys.why_not, "operator" if self._hotkeys.available else "dim")

    def tick(self) -> None:
        """Let the level follow; once a frame."""
        if self.isVisible() and not self.mic_level.isHidden():
            self.mic_level.set_level(self._sound.mic_level)

    def _mic_words(self) -> tuple[str, str]:
        sound = self._sound
        if trouble := sound_words.MIC_TROUBLES.get(sound.mic):
            return _told(trouble), "danger"
        match sound.checking:
            case "recording":
                return self.tr("Recording for three seconds: say something."), "operator"
            case "playing":
                return self.tr("Playing back what was recorded."), "operator"
        if sound.mic in USED:
            return self.tr("Open for the call that you have taken over."), "danger"
        if sound.input is None and sound.inputs:
            return self.tr("The chosen microphone is not there. Plug it in again, or choose another one."), "danger"
        if sound.input is None:
            return _told(sound_words.MIC_TROUBLES[MicState.NONE]), "danger"
        return self.tr("Closed. It is open only while you have a call's floor, or record here."), "dim"

    def _speaker_words(self) -> tuple[str, str]:
        sound = self._sound
        if trouble := sound_words.SPEAKER_TROUBLES.get(sound.speaker):
            return _told(trouble), "danger"
        if sound.output is None and sound.outputs:
            return self.tr("The chosen loudspeaker is not there. Plug it in again, or choose another one."), "danger"
        if sound.output is None:
            return self.tr("This computer has no loudspeaker. Plug one in; it is found by itself."), "danger"
        return "", "dim"


def _words() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setProperty("role", "dim")
    return label


def _say(label: QLabel, words: str, role: str) -> None:
    theme.set_role(label, role)
    label.setText(words)
    label.setVisible(bool(words))


def _told(trouble: sound_words.Trouble) -> str:
    words = (trouble.happened, trouble.remedy)
    return " ".join(QCoreApplication.translate(sound_words.CONTEXT, each) for each in words)


def _fill(box: QComboBox, devices: tuple[Device, ...], chosen: Device | None, none: str, absent: str) -> None:
    """The devices there are; a first row says why none of them is chosen."""
    rows = [(device.name, device.id) for device in devices]
    if chosen is None:
        rows.insert(0, (absent if devices else none, ""))
    if rows != [(box.itemText(at), box.itemData(at)) for at in range(box.count())]:
        with QSignalBlocker(box):
            box.clear()
            for name, id in rows:
                box.addItem(name, id)
    box.setCurrentIndex(0 if chosen is None else box.findData(chosen.id))
    box.setEnabled(bool(devices))
