"""The left list: every call, most urgent first, with what happens in it now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import (
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QFocusEvent, QFont, QFontMetrics, QPainter, QPaintEvent, QPixmap, QRegion
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QGraphicsOpacityEffect,
    QLabel,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from bridge.control import CallView, Phase
from console import theme
from console.calls_model import ID_ROLE, SECTION_ROLE, CallsModel, dot_role
from console.desk import Desk
from console.names import activity
from console.store import Call
from console.telephone import spaced
from console.timeline import clock_text
from console.widgets.sparkline import newest_bars, paint_bars

ROW_PX = 78
HEADING_PX = 36
SIDE_PX = 15
TOP_PX = 9
LINE_PX = 20
SPARK_SIZE_PX = (84, 24)
ROW_EVERY_MS = 200.0
"""How often a row is painted for its clock and its waveform."""


KEPT_ROWS = 48
"""Pictures of rows; more than fit into any window."""

STALE_OPACITY = 0.45


class Look(NamedTuple):
    """How a row stands out. focused: the keyboard is there, for those who use it to get around."""

    selected: bool
    hovered: bool
    focused: bool


class CallDelegate(QStyledItemDelegate):
    """Paints headings and calls. Takes clocks from the desk, waveforms from the store.

    due: what the list has to paint now. Qt has every row painted that lies between two such places.
    """

    def __init__(self, desk: Desk, parent: QWidget) -> None:
        super().__init__(parent)
        self._desk = desk
        self.show_focus = False
        self.due = QRegion()
        # What moves least of each call's row, and all that it shows.
        self._pictures: dict[str, tuple[tuple[object, ...], QPixmap]] = {}

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        """Headings are low, calls have three lines."""
        heading = index.data(SECTION_ROLE) is not None
        return QSize(theme.px(200), theme.px(HEADING_PX if heading else ROW_PX))

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """One row."""
        rect = QRect(option.rect)
        if not self.due.intersects(rect):
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        call = self._desk.store.calls.get(str(index.data(ID_ROLE)))
        if call is None:
            self._paint_heading(painter, rect, str(index.data()))
        else:
            painter.drawPixmap(rect.topLeft(), self._picture(painter.device().devicePixelRatioF(), option, call))
            bars = newest_bars(call.caller, call.line, call.voice)
            spark = _spark(rect)
            paint_bars(painter, spark, bars, call.view.phase is not Phase.ENDED, theme.current())
        painter.restore()

    def _picture(self, ratio: float, option: QStyleOptionViewItem, call: Call) -> QPixmap:
        """A row without its waveform, which alone moves all the time. ratio: device pixels in a logical one."""
        size, view, look = option.rect.size(), call.view, self._look(option.state)
        clock = clock_text(self._desk.clock_ms(view.call_id))
        told = (view.number, view.needs, view.phase, view.profile, view.direction, view.activity, dot_role(view), clock)
        shows = (told, look, size, ratio, theme.current(), theme.scale(), self._desk.link.me)
        shown, picture = self._pictures.get(view.call_id, ((), QPixmap()))
        if shown != shows:
            picture = QPixmap(size * ratio)
            picture.setDevicePixelRatio(ratio)
            painter = QPainter(picture)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_call(painter, QRect(QPoint(), size), view, look, clock)
            painter.end()
            self._pictures.pop(view.call_id, None)
            self._pictures[view.call_id] = (shows, picture)
            if len(self._pictures) > KEPT_ROWS:
                del self._pictures[next(iter(self._pictures))]
        return picture

    def _look(self, state: QStyle.StateFlag) -> Look:
        selected = bool(state & QStyle.StateFlag.State_Selected)
        hovered = bool(state & QStyle.StateFlag.State_MouseOver)
        return Look(selected, hovered, selected and self.show_focus and bool(state & QStyle.StateFlag.State_HasFocus))

    def _paint_heading(self, painter: QPainter, rect: QRect, words: str) -> None:
        colours = theme.current()
        painter.fillRect(rect, colours.panel)
        font = theme.font(11, 600)
        font.setLetterSpacing(font.SpacingType.AbsoluteSpacing, 0.6)
        painter.setFont(font)
        painter.setPen(colours.dim)
        inner = rect.adjusted(theme.px(SIDE_PX), 0, -theme.px(SIDE_PX), 0)
        painter.drawText(inner, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, words.upper())
        painter.fillRect(QRect(rect.left(), rect.bottom(), rect.width(), 1), colours.line)

    def _paint_call(self, painter: QPainter, rect: QRect, view: CallView, look: Look, clock: str) -> None:
        colours = theme.current()
        back = colours.selected if look.selected else colours.hover if look.hovered else colours.panel
        painter.fillRect(rect, back)
        painter.fillRect(QRect(rect.left(), rect.bottom(), rect.width(), 1), colours.line)
        if look.selected:
            bar = colours.operator if view.needs and view.phase is not Phase.ENDED else colours.caller
            painter.fillRect(QRect(rect.left(), rect.top(), theme.px(3), rect.height() - 1), bar)
        if look.focused:
            painter.setPen(colours.caller)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(rect.adjusted(0, 0, -1, -2))
        side, line = theme.px(SIDE_PX), theme.px(LINE_PX)
        left, right, top = rect.left() + side, rect.right() - side, rect.top() + theme.px(TOP_PX)
        self._paint_title(painter, QRect(left, top, right - left, line), view, clock)
        room = right - left - theme.px(SPARK_SIZE_PX[0]) - theme.px(10)
        about = " · ".join(filter(None, (view.profile, self._direction(view.direction))))
        _text(painter, QRect(left, top + line, room, line), about, theme.font(12.5), colours.dim)
        self._paint_activity(painter, QRect(left, top + 2 * line, room, line), view)

    def _paint_title(self, painter: QPainter, box: QRect, view: CallView, clock: str) -> None:
        """Number, why it needs somebody, clock."""
        colours, gap, ended = theme.current(), theme.px(8), view.phase is Phase.ENDED
        room = box.width() - _text(painter, box, clock, theme.font(13, tabular=True), colours.dim, right=True) - gap
        number = spaced(view.number) or self.tr("Number withheld")
        colour = colours.dim if ended else colours.text
        width = _text(painter, QRect(box.left(), box.top(), room, box.height()), number, theme.font(13.5, 600), colour)
        if view.needs and not ended:
            left = box.left() + width + gap
            self._paint_badge(painter, QRect(left, box.top(), room - width - gap, box.height()), view.needs[0])

    def _paint_activity(self, painter: QPainter, box: QRect, view: CallView) -> None:
        """A dot, and in words what it stands for."""
        colours, role = theme.current(), dot_role(view)
        radius = theme.px(6.5) / 2
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colours.role(role))
        painter.drawEllipse(QPointF(box.left() + radius, box.center().y() + 0.5), radius, radius)
        words = colours.dim if role in ("dim", "faint") else colours.role(role)
        now = activity(view, self._desk.link.me)
        _text(painter, box.adjusted(theme.px(13), 0, 0, 0), now, theme.font(12.5), words)

    def _paint_badge(self, painter: QPainter, room: QRect, words: str) -> None:
        colours, font = theme.current(), theme.font(11)
        metrics = QFontMetrics(font)
        shown = metrics.elidedText(words, Qt.TextElideMode.ElideRight, room.width() - theme.px(16))
        if len(shown) < 4:
            return
        height = theme.px(17)
        width = metrics.horizontalAdvance(shown) + theme.px(16)
        box = QRect(room.left(), room.center().y() - height // 2, width, height)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.mixed(colours.panel, colours.operator, 0.2))
        painter.drawRoundedRect(box, height / 2, height / 2)
        painter.setFont(font)
        painter.setPen(colours.operator)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, shown)

    def _direction(self, direction: str) -> str:
        return {"inbound": self.tr("inbound"), "outbound": self.tr("outbound")}.get(direction, direction)


class CallList(QListView):
    """Rows of calls; letters stay the desk's keys instead of searching the list."""

    def paintEvent(self, event: QPaintEvent) -> None:
        """Those rows alone that have to be painted."""
        delegate = self.itemDelegate()
        if isinstance(delegate, CallDelegate):
            delegate.due = event.region()
        super().paintEvent(event)

    def keyboardSearch(self, search: str) -> None:
        """Typing selects nothing here: there is a filter for that."""

    def dataChanged(
        self,
        first: QModelIndex | QPersistentModelIndex,
        last: QModelIndex | QPersistentModelIndex,
        roles: Sequence[int] = (),
    ) -> None:
        """Paint these rows. A QListView lays all of them out anew, but whatever is in one, it stays as high."""
        QAbstractItemView.dataChanged(self, first, last, roles)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """A ring shows where the keyboard is, for those who use it to get around."""
        delegate = self.itemDelegate()
        if isinstance(delegate, CallDelegate):
            delegate.show_focus = event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)
        super().focusInEvent(event)


class CallsPanel(QFrame):
    """The list and its one selection, which is the desk's."""

    def __init__(self, desk: Desk, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "panel")
        self._desk = desk
        self.model = CallsModel(desk, self)
        self.list = CallList()
        self.nothing = QLabel()
        self._delegate = CallDelegate(desk, self.list)
        self._syncing = False
        self._painted_ms = 0.0
        self._next_row = 0
        self._build()
        self._faded = QGraphicsOpacityEffect(self)
        self._faded.setOpacity(STALE_OPACITY)
        self._faded.setEnabled(False)
        self.setGraphicsEffect(self._faded)
        desk.selection_changed.connect(self._show_selection)
        self.list.selectionModel().currentChanged.connect(self._on_current_changed)
        theme.notifier().changed.connect(self._on_theme_changed)

    def _build(self) -> None:
        self.list.setModel(self.model)
        self.list.setItemDelegate(self._delegate)
        self.list.setMouseTracking(True)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setFrameShape(QFrame.Shape.NoFrame)
        self.list.setAccessibleName(self.tr("Calls, most urgent first"))
        self.nothing.setText(self.tr("No calls yet"))
        self.nothing.setProperty("role", "dim")
        self.nothing.setContentsMargins(theme.px(SIDE_PX), theme.px(12), theme.px(SIDE_PX), theme.px(12))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.nothing)
        column.addWidget(self.list, 1)

    def set_filter(self, words: str) -> None:
        """Only the calls with these words. Which call is selected is not the filter's to change."""
        self._syncing = True
        self.model.set_filter(words)
        self._syncing = False
        self.nothing.setText(self.tr("No call has these words") if words else self.tr("No calls yet"))
        self._after_sync()

    def refresh(self) -> None:
        """Take the store's calls in their order."""
        self._syncing = True
        self.model.sync()
        self._syncing = False
        self._after_sync()

    def choose(self) -> None:
        """Select the first call in the list, unless the selected one is in it."""
        first = self.model.first_call()
        if first and self.model.row_of(self._desk.selected) < 0:
            self._desk.select(first)

    def tick(self, now_ms: float) -> None:
        """Clocks and waveforms: each row a few times a second, and never all at once, which would hold up sound."""
        rows = self.model.rowCount()
        due = min(rows, int((now_ms - self._painted_ms) * rows / ROW_EVERY_MS))
        if due > 0 or not rows:
            self._painted_ms = now_ms
        for _ in range(due):
            self._next_row = (self._next_row + 1) % rows
            self.list.update(self.model.index(self._next_row))

    def set_stale(self, stale: bool) -> None:
        """Greyed while the bridge is lost."""
        self._faded.setEnabled(stale)

    def _after_sync(self) -> None:
        self.nothing.setVisible(self.model.rowCount() == 0)
        self._show_selection()

    def _show_selection(self, _: str = "") -> None:
        """The desk's selection, wherever its row is now."""
        selection = self.list.selectionModel()
        place = self.model.row_of(self._desk.selected)
        if place < 0:
            selection.clear()
            return
        index = self.model.index(place)
        if selection.currentIndex() != index or not selection.isSelected(index):
            selection.setCurrentIndex(index, QItemSelectionModel.SelectionFlag.ClearAndSelect)
            self.list.scrollTo(index)

    def _on_current_changed(self, current: QModelIndex, _: QModelIndex) -> None:
        # Where a row went away, Qt makes its neighbour the current one; nobody has chosen that.
        call = None if self._syncing else self.model.call_at(current)
        if call is not None:
            self._desk.select(call.view.call_id)

    def _on_theme_changed(self) -> None:
        self.list.doItemsLayout()


def _spark(row: QRect) -> QRectF:
    """Where in a call's row its waveform stands."""
    width, height = (theme.px(length) for length in SPARK_SIZE_PX)
    top = row.top() + theme.px(TOP_PX) + theme.px(LINE_PX) + theme.px(4)
    return QRectF(row.right() - theme.px(SIDE_PX) - width, top, width, height)


def _text(painter: QPainter, rect: QRect, words: str, font: QFont, colour: QColor, right: bool = False) -> int:
    """Draws one line, shortened to fit; returns its width."""
    metrics = QFontMetrics(font)
    shown = metrics.elidedText(words, Qt.TextElideMode.ElideRight, rect.width())
    side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
    painter.setFont(font)
    painter.setPen(colour)
    painter.drawText(rect, Qt.AlignmentFlag.AlignVCenter | side, shown)
    return metrics.horizontalAdvance(shown)
