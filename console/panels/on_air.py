"""On air: whether a caller hears this room, and what this room hears. Above everything, whichever call is selected."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from bridge.control import Phase
from console import sound_states, theme
from console.actions import BY_NAME
from console.desk import Desk
from console.link import monotonic_ms
from console.names import WITHOUT_AI, silent_word, speaker_word
from console.on_air import OnAir, TalkMode
from console.sound import MicState, Sound
from console.widgets.flow_layout import FlowLayout
from console.widgets.flowing_label import FlowingLabel
from console.widgets.key_button import KeyButton, key_words
from console.widgets.level import Level
from console.widgets.on_air_sign import OnAirSign, Shape

TALKING_SHOWN_MS = 2000.0
"""How long somebody who speaks into a muted microphone is told so after the last loud sound."""


class OnAirPanel(QFrame):
    """Always in its place: nothing moves when a microphone opens. act_wanted(name): a row of the actions was pressed.

    idle: the words that stand there while this window neither has a floor nor listens.
    """

    act_wanted = Signal(str)

    def __init__(self, desk: Desk, on_air: OnAir, sound: Sound, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("on_air")
        self._desk = desk
        self._on_air = on_air
        self._sound = sound
        self._told = ""
        self._dressed = ("", False)
        self._is_talking = False
        self._talking_until_ms = 0.0
        self.idle = QLabel()
        self.sign = OnAirSign()
        self.words = FlowingLabel("strong")
        self.microphone = QLabel()
        self.mic_level = Level("danger")
        self.timing = FlowingLabel("dim")
        self.mute = KeyButton()
        self.show_call = KeyButton()
        self.heard = FlowingLabel("strong")
        self.caller_level = Level("caller")
        self.line_level = Level("ai")
        self.queue = FlowingLabel("dim")
        self.stop = KeyButton()
        for level, name in (
            (self.mic_level, self.tr("Microphone level")),
            (self.caller_level, self.tr("Caller's level")),
            (self.line_level, self.tr("Level of what the caller hears")),
        ):
            level.setAccessibleName(name)
            level.setFixedWidth(theme.px(84))
        self._build()
        on_air.changed.connect(self.refresh)
        sound.changed.connect(self.refresh)
        theme.notifier().changed.connect(self.update)
        self.refresh()

    def _build(self) -> None:
        self.microphone.setProperty("role", "dim")
        for button in (self.mute, self.show_call, self.stop):
            button.set_compact()
        self.mute.clicked.connect(lambda: self.act_wanted.emit("mute_microphone"))
        self.stop.clicked.connect(self._stop_listening)
        self.show_call.clicked.connect(lambda: self._desk.select(self._on_air.has_floor_of))
        self._device = _together(self.microphone, self.mic_level)
        self._caller = _together(_dim(self.tr("Caller")), self.caller_level)
        self._line = _together(_dim(self.tr("Line")), self.line_level)
        self.idle.setProperty("role", "dim")
        self.idle.setMinimumHeight(self.sign.sizeHint().height())
        flow = FlowLayout(theme.px(10))
        flow.addWidget(self.idle)
        self._speaking: tuple[QWidget, ...] = (
            *(self.sign, self._device, self.mute, self.words, self.show_call, self.timing),
        )
        self._listening: tuple[QWidget, ...] = (self.heard, self._caller, self._line, self.queue, self.stop)
        for widget in (*self._speaking, *self._listening):
            flow.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(*(theme.px(side) for side in (16, 5, 16, 5)))
        column.addLayout(flow)
        # As high as with its sign, so that nothing moves, and nothing is laid out anew, when that comes.
        self.setMinimumHeight(self.sign.sizeHint().height() + theme.px(10))

    # ── looks ──

    def refresh(self) -> None:
        """Say what holds now; cheap when nothing changed."""
        floor, listens = self._on_air.has_floor_of, self._on_air.listening_to
        for widget in (*(() if floor else self._speaking), *(() if listens else self._listening)):
            widget.hide()
        self.idle.setVisible(not floor and not listens and not self._on_air.queue)
        self.idle.setText(self._idle_words())
        if floor:
            self._refresh_speaking(floor)
        if listens:
            self._refresh_listening(listens, floor)
        elif self._on_air.queue:
            words = self.tr("Waiting to be listened to: {calls}. They follow when the call you listen to ends.")
            self.queue.say(words.format(calls=self._queued()))
        self._dress()
        # A microphone that fails has a banner of its own.
        self.setVisible(self._on_air.lost_since_ms is None)

    def tick(self) -> None:
        """Let the meters follow; once a frame."""
        if self.isHidden():
            return
        now_ms = monotonic_ms()
        self._on_air.watch()
        if self._on_air.talking_while_muted:
            self._talking_until_ms = now_ms + TALKING_SHOWN_MS
        if (now_ms < self._talking_until_ms) is not self._is_talking:
            self._is_talking = not self._is_talking
            self.refresh()
        self.mic_level.show_level(self._sound.mic_level if self._sound.mic in LIVE else 0)
        self.caller_level.show_level(self._sound.caller_level)
        self.line_level.show_level(self._sound.line_level)

    def _refresh_speaking(self, floor: str) -> None:
        sign, shape, words = self._state(floor)
        self.sign.set(sign, shape)
        self.sign.show()
        self.words.say(words)
        live = self._sound.mic in LIVE
        device = self._sound.input
        self.microphone.setText(device.name if device is not None and live else "")
        self._device.setVisible(live)
        silent_ms, voice_ms = self._on_air.timing
        told = self.tr("{ai} silent after {silent} · your voice after {voice}")
        ai = speaker_word(self._desk.engine(floor))
        self.timing.say(told.format(ai=ai, silent=_ms(silent_ms), voice=_ms(voice_ms)))
        action = BY_NAME["mute_microphone"]
        look = action.other if self._on_air.muted and action.other is not None else action.look
        self.mute.set_face(
            QCoreApplication.translate("actions", look.title),
            action.key,
            QCoreApplication.translate("actions", look.tooltip),
        )
        # With push-to-talk the key is the mute; only a microphone that was closed has to be asked for.
        push = self._on_air.mode is TalkMode.PUSH
        self.mute.setVisible((live and not push) or self._sound.mic is MicState.OFF)
        self.show_call.set_face(self.tr("Show the call"))
        self.show_call.setVisible(floor != self._desk.selected)
        if sign != self._told:
            self._told = sign
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, f"{sign}. {words}"))

    def _idle_words(self) -> str:
        view = self._desk.view
        if self._desk.link.lost or view is None or view.phase is Phase.ENDED:
            return self.tr("Your microphone is off.")
        keys = {name: key_words(BY_NAME[name].key) for name in ("take_over", "listen")}
        words = self.tr("Your microphone is off. {take_over} takes the selected call over, {listen} listens to it.")
        return words.format(**keys)

    def _state(self, floor: str) -> tuple[str, Shape, str]:
        """The sign's words and shape, and the sentence beside it."""
        on_air, mic = self._on_air, self._sound.mic
        caller, key = self._desk.caller(floor), key_words(BY_NAME["mute_microphone"].key)
        engine = self._desk.engine(floor)
        # Most sentences begin with it.
        who = self._desk.caller(floor, begins=True)
        if mic in sound_states.MICROPHONE:
            title = sound_states.translated(sound_states.MICROPHONE[mic].title)
            words = self.tr("{who} hears nothing from you, and {ai} is silent.")
            return title, Shape.TRIANGLE, words.format(who=who, ai=silent_word(engine))
        if mic is MicState.OPENING:
            words = self.tr("{who} hears nothing from you until your microphone is open.")
            return self.tr("Opening the microphone…"), Shape.RING, words.format(who=who)
        if on_air.on_air and not on_air.arrives:
            words = self.tr("The bridge has fallen silent: {who} may not hear you until it is back.")
            return self.tr("Not arriving"), Shape.RING, words.format(who=caller)
        if on_air.on_air:
            call = self._desk.store.calls.get(floor)
            if call is not None and call.view.private:
                words = self.tr("{who} hears you, {ai} does not. Nothing is kept.")
            elif call is not None and not engine:
                words = self.tr("{who} hears you. There is no AI on this call any more.")
            elif engine in WITHOUT_AI:
                words = self.tr("{who} hears you. The keypad menu waits.")
            else:
                words = self.tr("{who} hears you. The AI only listens.")
            return self.tr("ON AIR"), Shape.DISC, words.format(who=who, ai=silent_word(engine))
        if mic is MicState.OFF:
            words = self.tr("You have the floor of {who}, and your microphone is closed. Press {key} to speak.")
            return self.tr("Microphone closed"), Shape.CROSSED, words.format(who=caller, key=key)
        if on_air.mode is TalkMode.PUSH:
            held = key_words(BY_NAME["take_over"].key)
            words = self.tr("{who} hears nothing from you while the key is up, and {ai} is silent.")
            words = words.format(who=who, ai=silent_word(engine))
            return self.tr("Hold {key} to speak").format(key=held), Shape.RING, words
        if self._is_talking:
            words = self.tr("You speak, and {who} does not hear it. Press {key} to unmute.").format(who=caller, key=key)
        else:
            words = self.tr("{who} hears nothing from you. Press {key} to speak.").format(who=who, key=key)
        return self.tr("Muted"), Shape.CROSSED, words

    def _refresh_listening(self, listens: str, floor: str) -> None:
        trouble = sound_states.LOUDSPEAKER.get(self._sound.speaker)
        self._caller.setVisible(trouble is None)
        # While one speaks, the line is one's own voice.
        self._line.setVisible(trouble is None and not floor)
        if trouble is not None:
            theme.set_role(self.heard, "danger")
            happened = sound_states.translated(trouble.happened)
            key = key_words(BY_NAME["sound"].ctrl_key)
            meanwhile = sound_states.translated(trouble.meanwhile)
            told = self.tr("{happened} {meanwhile} {key} says what to do.")
            self.heard.say(told.format(happened=happened, meanwhile=meanwhile, key=key))
        else:
            theme.set_role(self.heard, "strong")
            words = self.tr("Listening to {who}").format(who=self._desk.caller(listens))
            self.heard.say("" if listens == floor else words)
        names = self._queued()
        self.queue.say(self.tr("then {calls}").format(calls=names) if names else "")
        here = listens == self._desk.selected
        self.stop.set_face(self.tr("Stop listening"), BY_NAME["listen"].key if here else "")
        self.stop.setVisible(listens != floor)

    def _queued(self) -> str:
        return ", ".join(self._desk.caller(call_id) for call_id in self._on_air.queue)

    def _stop_listening(self) -> None:
        self._desk.select(self._on_air.listening_to)
        self.act_wanted.emit("listen")

    def _dress(self) -> None:
        floor = bool(self._on_air.has_floor_of)
        role = self.sign.role if floor else "caller" if self._on_air.listening_to else ""
        if (role, floor) != self._dressed:
            self._dressed = (role, floor)
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Painted, not styled: a style sheet that changes is paid for with every widget in the panel."""
        colours, (role, floor) = theme.current(), self._dressed
        painter = QPainter(self)
        painter.fillRect(self.rect(), colours.soft(role) if floor else colours.panel)
        if role:
            painter.fillRect(0, 0, theme.px(5), self.height(), colours.role(role))
        painter.fillRect(0, self.height() - 1, self.width(), 1, colours.line)
        painter.end()


LIVE = (MicState.ON_AIR, MicState.MUTED)
"""The microphone is open and gives a level."""


def _together(*widgets: QWidget) -> QWidget:
    """Widgets that stay in one line."""
    pair = QWidget()
    row = QHBoxLayout(pair)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(theme.px(6))
    for widget in widgets:
        row.addWidget(widget)
    return pair


def _dim(words: str) -> QLabel:
    label = QLabel(words)
    label.setProperty("role", "dim")
    return label


def _ms(took_ms: float | None) -> str:
    return "…" if took_ms is None else f"{took_ms:.0f} ms"
