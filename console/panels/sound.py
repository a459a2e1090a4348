"""The sound devices: which ones, whether they work, and how one listens and speaks."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QHideEvent, QKeyEvent, QShowEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QRadioButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from console.hotkeys import Hotkey, Hotkeys
from console.on_air import OnAir, TalkMode
from console.settings import Settings
from console.sound import MicState, Sound, SpeakerState
from console.sound_states import HEADSET_ADVICE, loudspeaker_trouble, microphone_trouble, translated
from console.theme import px, set_role
from console.widgets.device_picker import DevicePicker
from console.widgets.key_button import KeyButton, key_words
from console.widgets.level import GOOD_FROM, QUIET_FROM, TOO_LOUD_FROM, Level
from console.widgets.push_button import PushButton

LOOK_MS = 33
"""Between two looks at the microphone's level, while it is open."""

HEARING = (MicState.ON_AIR, MicState.MUTED)
WIDTH_PX = 520


class SoundPanel(QDialog):
    """Open it with `show()`: the window goes on meanwhile. Esc closes it, and ends a check that still records.

    hotkeys: None where there is nothing to be said of them.
    """

    def __init__(
        self, sound: Sound, on_air: OnAir, hotkeys: Hotkeys | None, settings: Settings, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Sound"))
        self._sound, self._on_air, self._hotkeys, self._settings = sound, on_air, hotkeys, settings
        self._was_checking = ""
        self._loudest = 0
        self._toned = False
        self._checked = False
        self._speaker_lost = False
        self.microphone, self.loudspeaker = DevicePicker(), DevicePicker()
        self.level = Level()
        self.mic_words, self.check_words = _words(), _words()
        self.speaker_words, self.tone_words = _words(), _words()
        self.check, self.tone = PushButton(), PushButton(self.tr("&Test tone"))
        self.mixed = QRadioButton(self.tr("&Both mixed"))
        self.split = QRadioButton(self.tr("&Caller left, the others right"))
        self.open_line = QRadioButton(self.tr("&Open line: the caller hears all you say until you mute"))
        self.push_to_talk = QRadioButton(self.tr("&Push-to-talk: only while you hold the key"))
        self.keys = QCheckBox(self.tr("&Keys that work outside of this window too"))
        self.keys_words = _words()
        self._body = QFrame()
        self._looks = QTimer(self, interval=LOOK_MS)
        self._looks.timeout.connect(self.look)
        self._build()
        self._connect()
        self.refresh()

    def _build(self) -> None:
        body = self._body
        body.setProperty("role", "panel")
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        advice = _words(translated(HEADSET_ADVICE))
        sections: list[tuple[str, DevicePicker | None, list[QWidget | tuple[QWidget, QWidget]]]] = [
            (self.tr("&Microphone"), self.microphone, [self.level, self.mic_words, (self.check, self.check_words)]),
            (self.tr("&Loudspeaker"), self.loudspeaker, [self.speaker_words, (self.tone, self.tone_words), advice]),
            (self.tr("Listening"), None, [self.mixed, self.split]),
            (self.tr("Speaking"), None, [self.open_line, self.push_to_talk]),
        ]
        if self._hotkeys is not None:
            sections.append((self.tr("Outside of this window"), None, [self.keys, self.keys_words]))
        for title, picker, rows in sections:
            column.addLayout(self._section(title, picker, rows))
            line = QFrame()
            line.setProperty("role", "line")
            column.addWidget(line)
        column.addStretch(1)
        self._group(self.mixed, self.split)
        self._group(self.open_line, self.push_to_talk)
        self.level.setAccessibleName(self.tr("Microphone level"))
        self.area = QScrollArea()
        self.area.setWidget(body)
        self.area.setWidgetResizable(True)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.closing = KeyButton()
        self.closing.set_face(self.tr("Close"), "Esc")
        for button in (self.check, self.tone, self.closing):
            button.setAutoDefault(False)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, px(14))
        outer.setSpacing(px(14))
        outer.addWidget(self.area, 1)
        outer.addWidget(self.closing, 0, Qt.AlignmentFlag.AlignHCenter)
        self.setMinimumWidth(px(360))

    def _section(
        self, title: str, picker: DevicePicker | None, rows: list[QWidget | tuple[QWidget, QWidget]]
    ) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setContentsMargins(px(18), px(13), px(18), px(15))
        column.setSpacing(px(9))
        heading = QLabel(title)
        heading.setProperty("role", "heading")
        column.addWidget(heading)
        if picker is not None:
            heading.setBuddy(picker)
            picker.setAccessibleName(title.replace("&", ""))
            column.addWidget(picker)
        for row in rows:
            if isinstance(row, QWidget):
                column.addWidget(row)
                continue
            beside = QHBoxLayout()
            beside.setSpacing(px(12))
            beside.addWidget(row[0], 0, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
            beside.addWidget(row[1], 1, Qt.AlignmentFlag.AlignVCenter)
            column.addLayout(beside)
        return column

    def _group(self, *buttons: QRadioButton) -> None:
        group = QButtonGroup(self)
        for button in buttons:
            group.addButton(button)

    def _connect(self) -> None:
        sound, on_air = self._sound, self._on_air
        self.microphone.activated.connect(lambda _: sound.choose_input(self.microphone.currentData()))
        self.loudspeaker.activated.connect(self._choose_loudspeaker)
        self.check.clicked.connect(self._check)
        self.tone.clicked.connect(self._play_tone)
        self.mixed.clicked.connect(lambda: setattr(sound, "split", False))
        self.split.clicked.connect(lambda: setattr(sound, "split", True))
        self.open_line.clicked.connect(lambda: setattr(on_air, "mode", TalkMode.OPEN))
        self.push_to_talk.clicked.connect(lambda: setattr(on_air, "mode", TalkMode.PUSH))
        self.closing.clicked.connect(self.close)
        sound.changed.connect(self.refresh)
        on_air.changed.connect(self.refresh)
        if self._hotkeys is not None:
            self.keys.clicked.connect(lambda wanted: setattr(self._hotkeys, "on", wanted))
            self._hotkeys.changed.connect(self.refresh)

    # ── what a person does ──

    def toggle(self) -> None:
        """Open it, or close it."""
        if self.isVisible():
            self.close()
            return
        self.show()
        self.raise_()
        self.activateWindow()

    def _choose_loudspeaker(self) -> None:
        self._toned = self._checked = self._speaker_lost = False
        self._sound.choose_output(self.loudspeaker.currentData())
        self.refresh()

    def _play_tone(self) -> None:
        self._toned, self._checked, self._speaker_lost = True, False, False
        self._sound.play_tone()
        self.refresh()

    def _check(self) -> None:
        self._toned = self._checked = self._speaker_lost = False
        self._sound.check_microphone()
        self.refresh()

    # ── what is shown ──

    def refresh(self) -> None:
        """Show devices and choices as they are."""
        sound = self._sound
        self.microphone.show_devices(sound.inputs, self._settings.input_id)
        self.loudspeaker.show_devices(sound.outputs, self._settings.output_id)
        self._follow_check()
        if sound.speaker in (SpeakerState.LOST, SpeakerState.PLAYING):
            # One that fails for a tone is at once not wanted any more, and would have no trouble then.
            self._speaker_lost = sound.speaker is SpeakerState.LOST
        mic = sound.check_failed or sound.mic
        trouble = microphone_trouble(mic, bool(sound.inputs))
        self._say(self.mic_words, trouble or self._mic_words(), "danger" if trouble else self._mic_role())
        speaker = SpeakerState.LOST if self._speaker_lost else sound.speaker
        trouble = loudspeaker_trouble(speaker, bool(sound.outputs))
        self._say(self.speaker_words, trouble, "danger")
        self._show_check()
        self.tone.setEnabled(sound.speaker in (SpeakerState.OFF, SpeakerState.PLAYING, SpeakerState.LOST))
        toned = self._toned and not trouble
        words = self.tr("Hear nothing? Turn it up, or choose another loudspeaker.") if toned else ""
        self._say(self.tone_words, words, "quiet")
        (self.split if sound.split else self.mixed).setChecked(True)
        (self.push_to_talk if self._on_air.mode is TalkMode.PUSH else self.open_line).setChecked(True)
        self._show_keys()
        self._settle_looks()

    def look(self) -> None:
        """Show the newest level; called by a timer of its own."""
        self._loudest = max(self._loudest, self._sound.mic_level)
        self.level.show_level(self._sound.mic_level)

    def showEvent(self, event: QShowEvent) -> None:
        """Where the screen has that room, as high as all that is in it."""
        super().showEvent(event)
        self.refresh()
        if not event.spontaneous():
            self.microphone.setFocus()
            room = self.screen().availableGeometry()
            width = min(px(WIDTH_PX), room.width())
            below = self.closing.sizeHint().height() + 2 * px(14)
            wanted = self._body.heightForWidth(width) + below
            self.resize(width, min(wanted, room.height() - px(60)))
            # It was placed for the size that it had before.
            lowest = room.bottom() + 1 - px(14) - self.height()
            self.move(self.x(), max(room.top(), min(self.y(), lowest)))

    def event(self, event: QEvent) -> bool:
        """The desk's keys work here too, but for Space: that is for what has the focus."""
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.key() == Qt.Key.Key_Space
            and not event.modifiers()
        ):
            event.accept()
            return True
        return super().event(event)

    def hideEvent(self, event: QHideEvent) -> None:
        """Who closes it does not want to be recorded any more."""
        super().hideEvent(event)
        if self._sound.checking and not event.spontaneous():
            self._sound.check_microphone()
        self._settle_looks()

    def _follow_check(self) -> None:
        checking = self._sound.checking
        if checking == "recording" and self._was_checking != "recording":
            self._loudest = 0
        self._checked = self._checked or checking == "playing"
        self._was_checking = checking

    def _is_open(self) -> bool:
        return self._sound.checking == "recording" or self._sound.mic in HEARING

    def _settle_looks(self) -> None:
        if self._is_open() and self.isVisible():
            if not self._looks.isActive():
                self._looks.start()
        else:
            self._looks.stop()
            self.level.clear()

    def _mic_words(self) -> str:
        if self._sound.checking == "recording":
            return self.tr("Open for this check only. Nothing of it is sent.")
        if self._on_air.on_air:
            return self.tr("On air: the caller hears what you say.")
        match self._sound.mic:
            case MicState.MUTED if self._on_air.mode is TalkMode.PUSH:
                return self.tr("Open, but nothing is sent until you hold the push-to-talk key.")
            case MicState.MUTED:
                return self.tr("Open, but muted: nothing is sent.")
            case MicState.OPENING:
                return self.tr("Opening…")
            case _:
                return self.tr("Closed. It is open only while you are on air, or while you check it here.")

    def _mic_role(self) -> str:
        return "operator" if self._on_air.on_air or self._sound.checking == "recording" else "quiet"

    def _show_check(self) -> None:
        sound, button = self._sound, self.check
        button.setText(self.tr("&Stop") if sound.checking else self.tr("&Record and play back"))
        button.setEnabled(bool(sound.checking) or sound.mic is MicState.OFF)
        words, role = "", "quiet"
        match sound.checking:
            case "recording":
                words, role = self.tr("Recording for 3 seconds: say something."), "operator"
            case "playing":
                words = self.tr("Playing what you said…")
            case _ if sound.mic in (*HEARING, MicState.OPENING):
                words = self.tr("Not while you have a call's floor.")
            case _ if self._checked:
                words, role = self._verdict()
        self._say(self.check_words, words, role)

    def _verdict(self) -> tuple[str, str]:
        if self._loudest < QUIET_FROM:
            return self.tr("Nothing was heard. Is it muted, or is it another one?"), "danger"
        if self._loudest >= TOO_LOUD_FROM:
            return self.tr("Too loud: turn the microphone down."), "operator"
        if self._loudest < GOOD_FROM:
            return self.tr("Rather quiet: speak closer to it, or turn it up."), "operator"
        return self.tr("Good. If you heard yourself, a caller will hear you."), "fine"

    def _show_keys(self) -> None:
        hotkeys = self._hotkeys
        if hotkeys is None:
            return
        self.keys.setEnabled(hotkeys.available)
        self.keys.setChecked(hotkeys.on)
        words = self.tr("{talk} is push-to-talk, {panic} takes the selected call over at once.").format(
            talk=key_words(Hotkey.TALK.value), panic=key_words(Hotkey.PANIC.value)
        )
        failed = hotkeys.available and bool(hotkeys.why_not)
        self._say(self.keys_words, hotkeys.why_not or words, "operator" if failed else "quiet")

    def _say(self, label: QLabel, words: str, role: str) -> None:
        set_role(label, role)
        if label.text() == words:
            return
        label.setText(words)
        label.setVisible(bool(words))
        if words and self.isVisible() and role != "quiet":
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, words))


def _words(text: str = "") -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setProperty("role", "quiet")
    if not text:
        label.hide()
    return label
