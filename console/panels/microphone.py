"""A microphone that fails in a take-over: what happened, what the caller hears, and three ways on."""

from __future__ import annotations

import math

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from console import sound_states, theme
from console.desk import Desk
from console.link import monotonic_ms
from console.names import silent_word
from console.on_air import PATIENCE_S, OnAir
from console.sound import Sound
from console.widgets.flow_layout import FlowLayout
from console.widgets.key_button import KeyButton
from console.widgets.on_air_sign import OnAirSign, Shape


class MicrophoneBanner(QFrame):
    """Shown from the failure to a person's choice; without one the caller is soon put on hold.

    typing_wanted(): the person stays and types to the caller whose floor it is.
    """

    typing_wanted = Signal()

    def __init__(self, desk: Desk, on_air: OnAir, sound: Sound, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("microphone")
        self._desk = desk
        self._on_air = on_air
        self._sound = sound
        self.sign = OnAirSign()
        self.words = QLabel()
        self.until_hold = QLabel()
        self.use = KeyButton("primary")
        self.hold = KeyButton()
        self.hand_back = KeyButton()
        self._build()
        on_air.changed.connect(self.refresh)
        theme.notifier().changed.connect(self._dress)
        self._dress()
        self.hide()

    def _build(self) -> None:
        self.words.setProperty("role", "danger")
        self.words.setWordWrap(True)
        self.until_hold.setProperty("role", "strong")
        self.use.clicked.connect(self._use)
        self.hold.clicked.connect(lambda: self._desk.hold(self._on_air.has_floor_of))
        self.hand_back.clicked.connect(lambda: self._desk.hand_back_now(self._on_air.has_floor_of))
        self.hold.set_face(
            self.tr("Put on hold"), "", self.tr("The caller hears a pleasant sound and that it goes on.")
        )
        self.hand_back.set_face(self.tr("Hand back"), "", self.tr("The AI goes on and is told what was said."))
        choices = FlowLayout(theme.px(8))
        for widget in (self.use, self.hold, self.hand_back, self.until_hold):
            choices.addWidget(widget)
        told = QHBoxLayout()
        told.setSpacing(theme.px(12))
        told.addWidget(self.sign, 0, Qt.AlignmentFlag.AlignTop)
        told.addWidget(self.words, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(16), theme.px(9), theme.px(16), theme.px(10))
        column.setSpacing(theme.px(8))
        column.addLayout(told)
        column.addLayout(choices)

    def refresh(self) -> None:
        """Shown exactly while the microphone fails."""
        if self._on_air.lost_since_ms is None:
            self.hide()
            return
        trouble = sound_states.MICROPHONE.get(self._sound.mic)
        if trouble is not None:
            self.sign.set(sound_states.translated(trouble.title), Shape.TRIANGLE)
            happened = sound_states.translated(trouble.happened)
            words = self.tr("{happened} {who} hears silence, and {ai} is silent too. Choose what to do:")
            floor = self._on_air.has_floor_of
            who, ai = self._desk.caller(floor, begins=True), silent_word(self._desk.engine(floor))
            self.words.setText(words.format(happened=happened, who=who, ai=ai))
        other = self._on_air.other_input
        if other is not None:
            self.use.set_face(self.tr("Use {name}").format(name=other.name))
        else:
            words = self.tr("The floor stays yours: what you type with Say is spoken to the caller.")
            self.use.set_face(self.tr("Stay, and type with Say"), "", words)
        fresh = self.isHidden()
        self.show()
        self.tick()
        if fresh:
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, self.words.text()))

    def _use(self) -> None:
        if self._on_air.other_input is not None:
            self._on_air.use_other_input()
        else:
            self._on_air.stay()
            self._desk.select(self._on_air.has_floor_of)
            self.typing_wanted.emit()

    def tick(self) -> None:
        """Count down."""
        since_ms = self._on_air.lost_since_ms
        if self.isHidden() or since_ms is None:
            return
        left_s = math.ceil(max(0.0, PATIENCE_S - (monotonic_ms() - since_ms) / 1000))
        words = self.tr("On hold in {seconds} s").format(seconds=left_s) if left_s else self.tr("Putting on hold…")
        if words != self.until_hold.text():
            self.until_hold.setText(words)

    def _dress(self) -> None:
        colours = theme.current()
        self.setStyleSheet(
            f"QFrame#microphone {{ background: {colours.soft('danger').name()};"
            f" border-bottom: 1px solid {colours.danger.name()}; }}"
        )
