"""The top bar: product, health chips, how many calls, the filter, and another rehearsal call."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import QCoreApplication, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QKeyEvent, QPainter, QPixmap, QPolygonF, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from bridge.control import HealthPart, HealthState, HealthView
from console import theme
from console.actions import BY_NAME, CONTEXT
from console.desk import Desk
from console.link import LinkState
from console.telephone import spaced
from console.widgets.key_button import KeyButton, key_words
from console.widgets.own_keys_line import OwnKeysLine
from console.widgets.push_button import PushButton
from console.widgets.vendor_table import VendorTable

COST_FROM_PX = 1240
WORDS_FROM_PX = 1000
STATE_ROLES = {HealthState.GREEN: "fine", HealthState.AMBER: "operator", HealthState.RED: "danger"}


def state_icon(state: HealthState) -> QIcon:
    """A light that also differs in shape: disc works, triangle with a catch, square does not work."""
    size = theme.px(8)
    ratio = 2
    pixmap = QPixmap(QSize(size + theme.px(2), size) * ratio)
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.current().role(STATE_ROLES[state]))
    match state:
        case HealthState.GREEN:
            painter.drawEllipse(QRectF(0.5, 0.5, size - 1, size - 1))
        case HealthState.AMBER:
            painter.drawPolygon(QPolygonF([QPointF(size / 2, 0), QPointF(size, size), QPointF(0, size)]))
        case HealthState.RED:
            painter.drawRect(QRectF(0.5, 0.5, size - 1, size - 1))
    painter.end()
    return QIcon(pixmap)


class HealthChip(PushButton):
    """One part's light and word; a click opens the reason and the fix, and ``more`` below them."""

    def __init__(self, part: HealthPart, more: QWidget | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.part = part
        self.setProperty("role", "chip")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._health: HealthView | None = None
        self._word = ""
        self._word_shown = True
        self.popup = QFrame(self, Qt.WindowType.Popup)
        self.popup.setProperty("role", "card")
        self._title, self._reason, self._fix = QLabel(), QLabel(), QLabel()
        self._build_popup(more)
        self.clicked.connect(self._open)

    def show_health(self, health: HealthView) -> None:
        """The newest word, reason and fix; cheap when nothing changed."""
        if health != self._health:
            self._health = health
            self._dress(health)

    def _dress(self, health: HealthView) -> None:
        part, state = self._part_words(), self._state_words(health.state)
        number, space, rest = health.word.partition(" ")
        word = spaced(number) + space + rest
        self._word = spaced(number) if self.part is HealthPart.NUMBER and number.startswith("+") else word
        self._show_word()
        self.setIcon(state_icon(health.state))
        self.setIconSize(QSize(theme.px(10), theme.px(8)))
        self.setAccessibleName(f"{part}: {word}, {state}")
        title = f"{part}: {state if word == part else word}"
        self.setToolTip(" · ".join(filter(None, (title, health.reason))))
        self._title.setText(title)
        theme.set_role(self._title, STATE_ROLES[health.state])
        self._reason.setText(health.reason or state.capitalize() + ".")
        self._fix.setText(health.fix)
        self._fix.setVisible(bool(health.fix))

    def set_word_shown(self, word_shown: bool) -> None:
        """Where there is little room, a part that works is a light alone; its word is in the tooltip."""
        self._word_shown = word_shown
        self._show_word()

    def _show_word(self) -> None:
        works = self._health is not None and self._health.state is HealthState.GREEN
        self.setText(self._word if self._word_shown or not works else "")

    def refresh_look(self) -> None:
        """After a change of theme."""
        if self._health is not None:
            self._dress(self._health)

    def _build_popup(self, more: QWidget | None) -> None:
        column = QVBoxLayout(self.popup)
        column.setContentsMargins(*(theme.px(14),) * 4)
        column.setSpacing(theme.px(6))
        column.setSizeConstraint(QVBoxLayout.SizeConstraint.SetFixedSize)
        for label in (self._title, self._reason, self._fix):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            label.setFixedWidth(theme.px(320))
            column.addWidget(label)
        self._fix.setProperty("role", "strong")
        if more is not None:
            column.addWidget(more)

    def _open(self) -> None:
        if self._health is None:
            return
        self.popup.adjustSize()
        place = self.mapToGlobal(QPoint(0, self.height() + theme.px(4)))
        room_px = self.screen().availableGeometry().right() - self.popup.width()
        self.popup.move(max(0, min(place.x(), room_px)), place.y())
        self.popup.show()

    def _part_words(self) -> str:
        return {
            HealthPart.BRIDGE: self.tr("Bridge"),
            HealthPart.TUNNEL: self.tr("Tunnel"),
            HealthPart.NUMBER: self.tr("Number"),
            HealthPart.ENGINE: self.tr("AI engine"),
        }[self.part]

    def _state_words(self, state: HealthState) -> str:
        return {
            HealthState.GREEN: self.tr("works"),
            HealthState.AMBER: self.tr("works with a catch, or is not yet known"),
            HealthState.RED: self.tr("does not work"),
        }[state]


class FilterLine(OwnKeysLine):
    """The filter; Esc empties and leaves it, Return chooses what it found and leaves it."""

    left = Signal()
    chosen = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc and Return are ways out; Shift+Esc is the desk's."""
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        match event.key():
            case Qt.Key.Key_Escape if not shift:
                self.clear()
                self.left.emit()
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self.chosen.emit()
                self.left.emit()
            case _:
                super().keyPressEvent(event)


class TopPanel(QFrame):
    """filtered(text), rehearsal_wanted(), real_line_wanted()."""

    filtered = Signal(str)
    rehearsal_wanted = Signal()
    real_line_wanted = Signal()

    def __init__(self, desk: Desk, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "panel")
        self._desk = desk
        self.vendors = VendorTable()
        self.chips = {part: HealthChip(part, self._more(part)) for part in HealthPart}
        self.rehearsal = PushButton(self.tr("Rehearsal"))
        self.counts = QLabel()
        self.filter = FilterLine()
        self.call_button = KeyButton("primary")
        self._told: object = None
        self._build()
        theme.notifier().changed.connect(self._dress)
        desk.selection_changed.connect(self._tell_vendors)
        self._dress()
        self.refresh()

    def _more(self, part: HealthPart) -> QWidget | None:
        return self.vendors if part is HealthPart.ENGINE else None

    def _build(self) -> None:
        name = QLabel("Cordboard")
        name.setFont(theme.font(15.5, 600))
        name.setObjectName("product")
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.px(16), theme.px(7), theme.px(16), theme.px(7))
        row.setSpacing(theme.px(2))
        row.addWidget(name)
        row.addSpacing(theme.px(6))
        for chip in self.chips.values():
            chip.hide()
            row.addWidget(chip)
        self.rehearsal.setProperty("role", "chip")
        self.rehearsal.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.rehearsal.setToolTip(self.tr("Everything is simulated here; nobody is billed. Click for more."))
        self.rehearsal.clicked.connect(self.real_line_wanted)
        row.addWidget(self.rehearsal)
        row.addStretch(2)
        self.counts.setTextFormat(Qt.TextFormat.RichText)
        self.counts.setProperty("role", "dim")
        row.addWidget(self.counts)
        row.addSpacing(theme.px(14))
        self.filter.setPlaceholderText(self.tr("Filter calls   {key}").format(key=BY_NAME["filter"].key))
        self.filter.setToolTip(QCoreApplication.translate(CONTEXT, BY_NAME["filter"].look.tooltip))
        self.filter.setAccessibleName(self.tr("Filter calls"))
        self.filter.setClearButtonEnabled(True)
        self.filter.setMinimumWidth(theme.px(64))
        self.filter.setMaximumWidth(theme.px(210))
        self.filter.textChanged.connect(self.filtered)
        row.addWidget(self.filter, 1)
        row.addSpacing(theme.px(12))
        action = BY_NAME["rehearse"]
        self.call_button.set_compact()
        keys = " or ".join(key_words(key) for key in (action.key, action.ctrl_key))
        self.call_button.set_face(self.tr("Rehearsal call"), action.key, f"{action.look.tooltip}  [{keys}]")
        self.call_button.clicked.connect(self.rehearsal_wanted)
        row.addWidget(self.call_button)

    def refresh(self) -> None:
        """Show the desk as it is; cheap when nothing changed."""
        store, link = self._desk.store, self._desk.link
        self._tell_vendors()
        rehearsal = store.attached is not None and store.attached.rehearsal
        told = (dict(store.health), store.live_count, store.needing_count, store.cost_usd, rehearsal, link.state)
        if told == self._told:
            return
        self._told = told
        for part, chip in self.chips.items():
            health = self._bridge_health() if part is HealthPart.BRIDGE and link.lost else store.health.get(part)
            chip.setVisible(health is not None)
            chip.setEnabled(part is HealthPart.BRIDGE or not link.lost)
            if health is not None:
                chip.show_health(health)
        self.rehearsal.setVisible(rehearsal)
        self.call_button.setVisible(rehearsal)
        self.call_button.setEnabled(not link.lost)
        self._count()

    def _tell_vendors(self) -> None:
        view = self._desk.view
        whose = (spaced(view.number) or self.tr("this call")) if view is not None else ""
        costs_usd = view.costs_usd if view is not None else {}
        self.vendors.show_figures(tuple(self._desk.store.vendors.values()), whose, costs_usd)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where it is narrow, the cost goes first (the right column has it too), then the words of what works.

        Calls that need somebody are told before those that are live.
        """
        super().resizeEvent(event)
        for chip in self.chips.values():
            chip.set_word_shown(self.width() >= theme.px(WORDS_FROM_PX))
        self.call_button.set_key_shown(self.width() >= theme.px(WORDS_FROM_PX))
        self._count()

    def _bridge_health(self) -> HealthView:
        link = self._desk.link
        match link.state:
            case LinkState.STARTING:
                state, word = HealthState.AMBER, self.tr("Bridge starting")
            case LinkState.FAILED:
                state, word = HealthState.RED, self.tr("Bridge not running")
            case _:
                state, word = HealthState.RED, self.tr("Bridge lost")
        fix = self.tr("Nothing to do: this window tries again by itself.")
        return HealthView(
            part=HealthPart.BRIDGE,
            state=state,
            word=word,
            reason=link.reason or self.tr("It has not answered yet."),
            fix="" if link.state is LinkState.FAILED else fix,
        )

    def _dress(self) -> None:
        self.rehearsal.setIcon(state_icon(HealthState.AMBER))
        self.rehearsal.setIconSize(QSize(theme.px(10), theme.px(8)))
        for chip in self.chips.values():
            chip.refresh_look()
        self._count()

    def _count(self) -> None:
        store, colours = self._desk.store, theme.current()
        parts = [escape(self.tr("{count} live").format(count=store.live_count))]
        if store.needing_count:
            need = self.tr("needs you") if store.needing_count == 1 else self.tr("need you")
            needing = f"{store.needing_count} {need}"
            parts.append(f'<span style="color:{colours.operator.name()};font-weight:600">{escape(needing)}</span>')
            if self.width() < theme.px(WORDS_FROM_PX):
                parts = parts[1:]
        if self.width() >= theme.px(COST_FROM_PX):
            parts.append(escape(self.tr("cost ${cost:.2f}").format(cost=store.cost_usd)))
        words = " · ".join(parts)
        if words != self.counts.text():
            self.counts.setText(words)
