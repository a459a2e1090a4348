"""The window: panels in their places, menus and keys from the table of actions, one display timer."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QPoint, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QIcon, QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QApplication,
    QDockWidget,
    QFrame,
    QLineEdit,
    QMainWindow,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from bridge.control import Notice, Phase, Verb
from console import theme
from console.actions import BY_NAME
from console.desk import Desk
from console.hotkeys import Hotkeys
from console.link import LinkState, monotonic_ms
from console.menus import Menus
from console.on_air import OnAir, TalkMode
from console.panels.call_details import DetailsPanel
from console.panels.calls import CallsPanel
from console.panels.controls import ControlsPanel
from console.panels.conversation import ConversationPanel
from console.panels.engine_menu import EngineMenu
from console.panels.header import HeaderPanel
from console.panels.keypad import Keypad
from console.panels.messages import MessagesPanel
from console.panels.microphone import MicrophoneBanner
from console.panels.on_air import OnAirPanel
from console.panels.shortcuts import ShortcutSheet
from console.panels.sound import SoundPanel
from console.panels.states import EmptyPanel, LostBanner, NoticeBanner
from console.panels.top import TopPanel
from console.panels.waveform import WaveformPanel
from console.settings import Settings
from console.sound import Sound
from console.telephone import spaced
from console.widgets.talk_key import TalkKey

FRAME_MS = 16
IDLE_FRAME_MS = 100
LIST_EVERY_MS = 100.0
SLOW_EVERY_MS = 200.0
SMALLEST_PX = QSize(1100, 700)
USUAL_PX = QSize(1440, 900)
FRAME_PX = QSize(4, 40)
"""What a window manager may put around the window; how much it is, is only known when it has."""
DETAILS_FROM_PX = 1240
"""The right column needs a window this wide; below it is the first to go."""

WAVEFORM_FROM_PX = 270
"""The waveform needs a centre this tall."""


class Window(QMainWindow):
    """quit_wanted(): somebody closed the window. again_wanted(): try the bridge again.

    about_wanted(), real_line_wanted(): open these texts. last_words: what a starting bridge printed last.
    """

    quit_wanted = Signal()
    again_wanted = Signal()
    about_wanted = Signal()
    real_line_wanted = Signal()

    def __init__(
        self,
        desk: Desk,
        on_air: OnAir,
        sound: Sound,
        hotkeys: Hotkeys,
        settings: Settings,
        last_words: Callable[[], str] = str,
    ) -> None:
        super().__init__()
        self.setObjectName("desk")
        self.setWindowTitle("Cordboard")
        self._desk = desk
        self._on_air = on_air
        self._settings = settings
        self._changed: set[str] = set()
        self._list_changed = True
        self._next_list_ms = self._next_slow_ms = 0.0
        self._may_close = False
        self._details_wanted = settings.details_wanted
        self.top = TopPanel(desk)
        self.lost = LostBanner(desk)
        self.notices = NoticeBanner()
        self.calls = CallsPanel(desk)
        self.empty = EmptyPanel(desk, last_words)
        self.header = HeaderPanel(desk)
        self.waveform = WaveformPanel(desk.store)
        self.conversation = ConversationPanel(desk.store)
        self.on_air = OnAirPanel(desk, on_air, sound)
        self.microphone = MicrophoneBanner(desk, on_air, sound)
        self.controls = ControlsPanel(desk, on_air)
        self.talk_key = TalkKey(BY_NAME["take_over"].key)
        self.details = DetailsPanel(desk.store)
        self.messages = MessagesPanel(desk)
        self.dock = QDockWidget(self.tr("Raw messages"))
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.centre = QStackedWidget()
        self._build()
        self.keypad = Keypad(desk, self)
        self.engines = EngineMenu(desk, self)
        self.sound = SoundPanel(sound, on_air, hotkeys, settings, self)
        self.menus = Menus(self, desk, self.controls.face, settings.theme)
        # The desk's keys work there too.
        self.sound.addActions(list(self.menus.actions.values()))
        self._handlers = self._build_handlers()
        self._connect()
        self._restore()
        self.frames = QTimer(self, interval=FRAME_MS, timerType=Qt.TimerType.PreciseTimer)
        self.frames.timeout.connect(self._tick)
        self.frames.start()
        self._show_selection(desk.selected)
        self._on_link_state()
        self._show_on_air()

    # ── construction ──

    def _build(self) -> None:
        call_page = QWidget()
        column = QVBoxLayout(call_page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        self._under_waveform = _line()
        for widget in (self.header, _line(), self.waveform, self._under_waveform):
            column.addWidget(widget)
        column.addWidget(self.conversation, 1)
        self._call_page = call_page
        self.centre.addWidget(self.empty)
        self.centre.addWidget(call_page)
        middle = QWidget()
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        # Where there is too little height, what is read gives way and not what is pressed.
        self.centre.setMinimumHeight(theme.px(40))
        column.addWidget(self.centre, 1)
        column.addWidget(_line())
        column.addWidget(self.controls)
        for panel in (self.calls, middle, self.details):
            self.splitter.addWidget(panel)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setHandleWidth(1)
        self.calls.setMinimumWidth(theme.px(190))
        self.details.setMinimumWidth(theme.px(240))
        self.splitter.setSizes([theme.px(316), theme.px(824), theme.px(300)])
        whole = QWidget()
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for widget in (self.top, _line(), self.lost, self.microphone, self.on_air, self.notices):
            column.addWidget(widget)
        column.addWidget(self.splitter, 1)
        self.setCentralWidget(whole)
        self.dock.setObjectName("messages")
        self.dock.setWidget(self.messages)
        self.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, self.dock)
        self.resizeDocks([self.dock], [theme.px(230)], Qt.Orientation.Vertical)
        self.dock.hide()
        self.details.hide()
        self.setMinimumSize(SMALLEST_PX.expandedTo(self.minimumSizeHint()))
        room = self.screen().availableGeometry().size() - FRAME_PX
        # The controls are at the bottom: below the screen's edge nobody could press them.
        self.resize(USUAL_PX.boundedTo(room) if SMALLEST_PX.boundedTo(room) == SMALLEST_PX else USUAL_PX)

    def _build_handlers(self) -> dict[str, Callable[[], object]]:
        """What becomes of a row of the actions that is no verb of the controls'."""
        return {
            "previous_call": lambda: self._desk.step(-1),
            "next_call": lambda: self._desk.step(1),
            "filter": self._focus_filter,
            "rehearse": self._rehearse,
            "quit": self.close,
            "details": self._toggle_details,
            "messages": self._toggle_messages,
            "shortcuts": self._open_shortcuts,
            "sound": self._toggle_sound,
            "take_over": self._take_over_key,
            "real_line": self.real_line_wanted.emit,
            "about": self.about_wanted.emit,
        }

    def _connect(self) -> None:
        desk, link = self._desk, self._desk.link
        link.call_changed.connect(self._on_call_changed)
        link.desk_changed.connect(self._on_desk_changed)
        link.state_changed.connect(self._on_link_state)
        link.noticed.connect(self.tell)
        desk.selection_changed.connect(self._show_selection)
        desk.refused.connect(self._on_refused)
        self.menus.wanted.connect(self._do)
        self.menus.scenario_wanted.connect(self._rehearse)
        self.menus.theme_wanted.connect(self.choose_theme)
        self.top.filtered.connect(self.calls.set_filter)
        self.top.filter.chosen.connect(self.calls.choose)
        self.top.filter.left.connect(self.calls.list.setFocus)
        self.top.rehearsal_wanted.connect(self._rehearse)
        self.top.real_line_wanted.connect(self.real_line_wanted)
        self.empty.rehearsal_wanted.connect(self._rehearse)
        self.empty.real_line_wanted.connect(self.real_line_wanted)
        self.empty.again_wanted.connect(self.again_wanted)
        self.lost.pressed.connect(self.again_wanted)
        self.notices.pressed.connect(lambda: desk.select(self.notices.call_id))
        self.controls.line.left.connect(self.calls.list.setFocus)
        self.controls.keypad_wanted.connect(self._toggle_keypad)
        self.keypad.left.connect(self.calls.list.setFocus)
        self.keypad.typed.connect(self.talk_key.spend)
        self.controls.engines_wanted.connect(self._open_engines)
        self.details.swap_wanted.connect(lambda: self.controls.act("swap"))
        self.engines.chosen.connect(lambda engine: desk.do("swap", text=engine))
        self.on_air.act_wanted.connect(self.controls.act)
        self.microphone.typing_wanted.connect(lambda: self.controls.act("say"))
        self._on_air.changed.connect(self._show_on_air)
        self.talk_key.talk.connect(self._on_air.talk)
        self.talk_key.tapped.connect(self._hand_back_tapped)
        self.dock.visibilityChanged.connect(self._on_dock_visible)

    # ── what is shown ──

    def tell(self, notice: Notice) -> None:
        """Something an operator should read."""
        self.notices.tell(notice)

    def choose_theme(self, name: str) -> None:
        """dark, light or system; remembered."""
        self._settings.theme = name
        app = QApplication.instance()
        if isinstance(app, QApplication):
            theme.apply(app, name)

    def _on_call_changed(self, call_id: str) -> None:
        self._changed.add(call_id)
        self._list_changed = True

    def _on_desk_changed(self) -> None:
        self._list_changed = True

    def _on_refused(self, call_id: str, verb: str, reason: str, text: str) -> None:
        if not verb:
            self.tell(Notice(text=reason))

    def _on_link_state(self) -> None:
        lost = self._desk.link.lost
        for panel in (self.waveform, self.conversation, self.details):
            panel.set_stale(lost and self._desk.link.state is not LinkState.STARTING)
        self.calls.set_stale(lost)
        self.header.set_stale(lost)
        self._list_changed = True
        self._next_list_ms = self._next_slow_ms = 0.0
        self.top.refresh()
        self.controls.refresh()
        self.empty.refresh()
        self.lost.refresh()

    def _show_selection(self, call_id: str) -> None:
        has_call = self._desk.call is not None
        self.centre.setCurrentWidget(self._call_page if has_call else self.empty)
        self.controls.show_call(call_id)
        if has_call:
            self.header.refresh()
            for panel in (self.waveform, self.conversation, self.details, self.messages):
                panel.show_call(call_id)
        else:
            self.empty.refresh()
        self._lay_out_details()

    def refresh_now(self) -> None:
        """Show everything as it is at this moment, without waiting for the next frames."""
        self._list_changed = True
        self._next_list_ms = self._next_slow_ms = 0.0
        self._changed.add(self._desk.selected)
        self._tick()

    def _tick(self) -> None:
        """The one display timer: what changed since the last frame, then what moves by itself."""
        now_ms = monotonic_ms()
        changed, self._changed = self._changed, set()
        selected, call = self._desk.selected, self._desk.call
        if call is not None and selected in changed:
            self.header.refresh()
            self.controls.refresh()
            self.keypad.refresh()
            for panel in (self.waveform, self.conversation, self.details, self.messages):
                panel.refresh(selected)
        if self.isVisible() and call is not None:
            self.waveform.tick(now_ms)
        self.calls.tick(now_ms)
        self.on_air.tick()
        if now_ms >= self._next_list_ms and self._list_changed:
            self._next_list_ms = now_ms + LIST_EVERY_MS
            self._list_changed = False
            self.calls.refresh()
            self.top.refresh()
            self.empty.refresh()
        if now_ms >= self._next_slow_ms:
            self._next_slow_ms = now_ms + SLOW_EVERY_MS
            self.header.tick()
            self.controls.refresh()
            self.lost.refresh()
            self.on_air.refresh()
            self.microphone.tick()
            self._lay_out_waveform()
            if self.centre.currentWidget() is self.empty:
                self.empty.refresh()
        moving = call is not None and call.view.phase is not Phase.ENDED and self.isVisible() and not self.isMinimized()
        interval = FRAME_MS if moving else IDLE_FRAME_MS
        if self.frames.interval() != interval:
            self.frames.setInterval(interval)

    def _show_on_air(self) -> None:
        """In the title and the icon, for whoever looks at another window."""
        on_air = self._on_air.on_air and self._on_air.arrives
        name = self.tr("Cordboard")
        call = self._desk.store.calls.get(self._on_air.has_floor_of)
        who = spaced(call.view.number) if call is not None else ""
        title = " · ".join(filter(None, (self.tr("● ON AIR"), who, name))) if on_air else name
        if title != self.windowTitle():
            self.setWindowTitle(title)
            self.setWindowIcon(QIcon(str(theme.RESOURCES / "icons" / ("on-air.svg" if on_air else "cordboard.svg"))))

    # ── intents ──

    def _do(self, name: str) -> None:
        if self.talk_key.repeats and not BY_NAME[name].repeats:
            return
        self.talk_key.spend()
        handler = self._handlers.get(name)
        if handler is not None:
            handler()
        else:
            self.controls.act(name)
        if isinstance(self.focusWidget(), QLineEdit) and self.sound.isActiveWindow():
            # The key asked for words, which are written here.
            self.activateWindow()

    def _take_over_key(self) -> None:
        """The key takes over, or hands back; with push-to-talk it is held to speak, from the take-over on."""
        takes = self.controls.face(BY_NAME["take_over"])
        speaks = bool(self._on_air.has_floor_of) and self._on_air.has_floor_of == self._desk.selected
        if self._on_air.mode is TalkMode.PUSH and self.talk_key.is_down and takes.enabled:
            self.talk_key.hold(may_tap=speaks)
            if speaks:
                return
        self.controls.act("take_over")

    def _hand_back_tapped(self) -> None:
        """The key was for the call that was selected when it went down; that may have ended meanwhile."""
        if self.controls.face(BY_NAME["take_over"]).verb is Verb.HAND_BACK:
            self.controls.act("take_over")

    def _toggle_keypad(self) -> None:
        self.keypad.toggle()
        self._place_keypad()

    def _place_keypad(self) -> None:
        self.keypad.stand_above(self.controls, self.controls.buttons["keys"])

    def _open_engines(self) -> None:
        """Under the engine's name where that is seen, else above the verbs."""
        button = self.details.engine
        if button.isVisible() and not button.visibleRegion().isEmpty():
            self.engines.open_at(button.mapToGlobal(button.rect().bottomLeft()))
        else:
            self.engines.open_at(self.controls.mapToGlobal(QPoint(theme.px(20), -theme.px(8))), above=True)

    def _focus_filter(self) -> None:
        self.top.filter.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.top.filter.selectAll()

    def _rehearse(self, scenario: str = "") -> None:
        attached = self._desk.store.attached
        if attached is not None and not attached.rehearsal:
            self.tell(Notice(text=self.tr("This bridge answers a real line; rehearsal calls are for a simulated one.")))
            return
        self._desk.rehearse(scenario)

    def _open_shortcuts(self) -> None:
        ShortcutSheet(self).open()

    def _toggle_sound(self) -> None:
        self.sound.toggle()
        handle = self.sound.windowHandle()
        if handle is not None:
            self.talk_key.watch(handle)

    def _toggle_messages(self) -> None:
        self.dock.setVisible(self.dock.isHidden())

    def _on_dock_visible(self, visible: bool) -> None:
        self.menus.actions["messages"].setChecked(not self.dock.isHidden())
        if visible:
            self.messages.refresh(self._desk.selected)
        elif self.dock.isHidden() and not isinstance(self.focusWidget(), QLineEdit):
            # Qt passes the focus of a dock that goes away on to whatever comes next.
            self.calls.list.setFocus()

    def _toggle_details(self) -> None:
        self._details_wanted = self.details.isHidden()
        self._settings.details_wanted = self._details_wanted
        if self._details_wanted and self.width() < self._details_from():
            self.resize(self._details_from(), self.height())
        self._lay_out_details()

    def _details_from(self) -> int:
        return theme.px(DETAILS_FROM_PX)

    def _lay_out_details(self) -> None:
        shown = self._details_wanted and self.width() >= self._details_from() and self._desk.call is not None
        self.details.setVisible(shown)
        self.menus.actions["details"].setChecked(shown)

    def _lay_out_waveform(self) -> None:
        """Where both do not fit, what is said matters more than how it looks."""
        for widget in (self.waveform, self._under_waveform):
            widget.setVisible(self.centre.height() >= theme.px(WAVEFORM_FROM_PX))

    # ── shape ──

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The right column goes first."""
        super().resizeEvent(event)
        self._lay_out_details()
        self._place_keypad()

    def showEvent(self, event: QShowEvent) -> None:
        """Keys work from the first moment."""
        super().showEvent(event)
        self.calls.list.setFocus()
        handle = self.windowHandle()
        if handle is not None:
            self.talk_key.watch(handle)

    def changeEvent(self, event: QEvent) -> None:
        """Back from the dock of the desktop: paint at full pace again."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.WindowStateChange:
            self._next_list_ms = self._next_slow_ms = 0.0
        elif event.type() == QEvent.Type.ActivationChange and not self.isActiveWindow():
            self.talk_key.let_go()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Closing is the app's decision: calls may be up."""
        if not self._may_close:
            event.ignore()
            self.quit_wanted.emit()
            return
        self.frames.stop()
        self.talk_key.let_go()
        self.sound.close()
        self._save()
        super().closeEvent(event)

    def close_now(self) -> None:
        """Close without asking."""
        self._may_close = True
        self.close()

    def _save(self) -> None:
        self._settings.set_blob("geometry", self.saveGeometry())
        self._settings.set_blob("state", self.saveState())
        self._settings.set_blob("splitter", self.splitter.saveState())
        self._settings.save()

    def _restore(self) -> None:
        geometry, state = self._settings.blob("geometry"), self._settings.blob("state")
        if not geometry.isEmpty():
            self.restoreGeometry(geometry)
        if not state.isEmpty():
            self.restoreState(state)
        splitter = self._settings.blob("splitter")
        if not splitter.isEmpty():
            self.splitter.restoreState(splitter)


def _line() -> QFrame:
    line = QFrame()
    line.setProperty("role", "line")
    return line
