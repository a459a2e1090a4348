"""The conversation of the selected call: words as they are spoken, tool cards in line.

Plain text only, selectable. Only lines that are seen are laid out; the others are estimated, so
that thousands of them cost nothing. The view stays at the bottom unless it was scrolled up.
"""

from __future__ import annotations

from PySide6.QtCore import QBasicTimer, QEvent, QPoint, QRect, Qt, QTimerEvent
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QContextMenuEvent,
    QFocusEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QFrame, QMenu, QWidget

from bridge.control import Phase, TurnState, TurnView
from console import theme
from console.names import YOU, operator_word
from console.store import Call, Store
from console.theme import px
from console.widgets.entry_layout import Look, utf16_slice
from console.widgets.line_column import LineColumn
from console.widgets.push_button import PushButton

STALE_OPACITY = 0.45
SCROLL_EVERY_MS = 40

Spot = tuple[str, int]
"""A place in the conversation: the key of a line, a position in its words."""


class ConversationPanel(QAbstractScrollArea):
    """Shows one call of the store."""

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._call: Call | None = None
        self._column = LineColumn(None, Look.for_width(px(600)), YOU, "", set(), False)
        self._stuck = True
        self._settling = False
        self._stale = False
        self._unfolded: set[str] = set()
        self._unfold_all = False
        self._anchor: Spot | None = None
        self._caret: Spot | None = None
        self._newest = ""
        self._by_key = False
        self._drag = QBasicTimer()
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setMouseTracking(True)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName(self.tr("Conversation"))
        self._jump = PushButton(self.tr("Jump to now"), self.viewport())
        self._jump.setProperty("role", "jump")
        self._jump.setCursor(Qt.CursorShape.PointingHandCursor)
        self._jump.hide()
        self._jump.clicked.connect(self.jump_to_now)
        theme.notifier().changed.connect(self._lay_out_anew)

    # ── what is shown ─────────────────────────────────────────────────────────────────────

    def show_call(self, call_id: str) -> None:
        """Show a call from its newest line; an unknown id empties the panel."""
        self._call = self._store.calls.get(call_id)
        self._unfolded.clear()
        self._anchor = self._caret = None
        self._stuck = True
        self._newest = ""
        number = self._call.view.number if self._call is not None else ""
        self.setAccessibleName(self.tr("Conversation with {0}").format(number) if number else self.tr("Conversation"))
        self._jump.setText(self.tr("Jump to the end") if self._ended else self.tr("Jump to now"))
        self._lay_out_anew()
        self._tell_newest()

    def refresh(self, call_id: str) -> None:
        """The store has changed something of this call."""
        if self._call is None or call_id != self._call.view.call_id:
            return
        call = self._store.calls.get(call_id)
        if call is not self._call:
            self.show_call(call_id)
            return
        if self._column.operator != self._operator_now:
            self._lay_out_anew()
            return
        bar = self.verticalScrollBar()
        anchor = self._top_spot()
        before = len(self._column), bar.value(), self._column.heights.total
        changed = self._column.take(call)
        if not changed:
            if not self._column:
                self.viewport().update()
            return
        self._settle(anchor)
        if before == (len(self._column), bar.value(), self._column.heights.total):
            for key in changed:
                self.viewport().update(self._rect(self._column.index[key]))
        else:
            self.viewport().update()
        self._tell_newest()

    def set_stale(self, stale: bool) -> None:
        """Grey, while the bridge is not there to tell more."""
        if stale != self._stale:
            self._stale = stale
            self.viewport().update()

    def jump_to_now(self) -> None:
        """To the newest line, and stay with it."""
        self._stuck = True
        self._settle()
        self.viewport().update()

    def selected_text(self) -> str:
        """What is marked, as plain text; several lines each with their time and party."""
        span = self._span()
        if span is None:
            return ""
        (first, start), (last, end) = span
        if first == last:
            return utf16_slice(self._column.entry(first).text, start, end).replace("\u2028", "  ")
        told = []
        for index in range(first, last + 1):
            entry = self._column.entry(index)
            if first < index < last:
                told.append(entry.plain)
                continue
            part = utf16_slice(entry.text, start if index == first else 0, end if index == last else 1 << 30)
            told.append(f"{entry.time}  {entry.who}: {part}".replace("\u2028", "  "))
        return "\n".join(told)

    @property
    def _ended(self) -> bool:
        return self._call is not None and self._call.view.phase is Phase.ENDED

    @property
    def _ours(self) -> str:
        return self._store.attached.console if self._store.attached is not None else ""

    @property
    def _operator_now(self) -> str:
        """Who has the floor, or whoever had it last."""
        if self._call is None:
            return YOU
        last = next(reversed(self._call.take_overs.values()), None)
        return operator_word(self._call.view.floor_holder or (last.console if last else ""), self._ours)

    # ── what is seen of it ────────────────────────────────────────────────────────────────

    def _lay_out_anew(self) -> None:
        """Another call, width or theme: nothing that was measured holds any more."""
        anchor = self._top_spot()
        look = Look.for_width(self.viewport().width())
        self._column = LineColumn(self._call, look, self._operator_now, self._ours, self._unfolded, self._unfold_all)
        self.verticalScrollBar().setSingleStep(px(30))
        self._settle(anchor)
        self.viewport().update()

    def _top_spot(self) -> tuple[str, float] | None:
        """The line at the top edge and how much of it is above; None while the view sticks to the bottom."""
        if self._stuck or not self._column.lines:
            return None
        y = self.verticalScrollBar().value()
        index = self._column.heights.at(y)
        return self._column.lines[index].key, y - self._column.heights.top(index)

    def _settle(self, anchor: tuple[str, float] | None = None) -> None:
        """Measure what will be seen, and set the scroll bar to it; ``anchor`` stays at the top edge."""
        bar, tall = self.verticalScrollBar(), self.viewport().height()
        heights, count = self._column.heights, len(self._column)
        if anchor is not None and anchor[0] in self._column.index:
            y = heights.top(self._column.index[anchor[0]]) + anchor[1]
        else:
            y = float(bar.value())
        if self._stuck:
            filled, index = 0.0, count - 1
            while index >= 0 and filled < tall:
                self._column.layout(index)
                filled += heights[index]
                index -= 1
            y = heights.total
        elif count:
            index = heights.at(y)
            above = y - heights.top(index)
            self._column.layout(index)
            y = heights.top(index) + min(above, heights[index])
            while index < count and heights.top(index) < y + tall:
                self._column.layout(index)
                index += 1
        self._settling = True
        bar.setRange(0, max(0, round(heights.total) - tall) if count else 0)
        bar.setPageStep(tall)
        bar.setValue(round(y))
        self._settling = False
        seen_px = bar.value()
        self._column.drop_all_but(heights.at(seen_px), heights.at(seen_px + tall))
        self._show_jump()

    def _rect(self, index: int) -> QRect:
        top = self._column.heights.top(index) - self.verticalScrollBar().value()
        return QRect(0, int(top) - 1, self.viewport().width(), int(self._column.heights[index]) + 3)

    def _show_jump(self) -> None:
        if self._stuck or not self._column.lines:
            self._jump.hide()
            return
        size = self._jump.sizeHint()
        area = self.viewport().rect()
        self._jump.setGeometry(
            QRect(QPoint((area.width() - size.width()) // 2, area.height() - size.height() - px(10)), size)
        )
        self._jump.show()

    def _tell_newest(self) -> None:
        """Let a screen reader know the newest settled line."""
        if not self._column.lines:
            self.setAccessibleDescription(self._empty_word)
            return
        source = self._column.source(self._column.lines[-1].key)
        if isinstance(source, TurnView) and source.state in (TurnState.INTERIM, TurnState.SPEAKING):
            return
        told = self._column.entry(len(self._column.lines) - 1).plain
        if told != self._newest:
            self._newest = told
            self.setAccessibleDescription(told)
            if QAccessible.isActive():
                QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, told))

    # ── painting ──────────────────────────────────────────────────────────────────────────

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        area = event.rect()
        painter.fillRect(area, self._column.look.theme.window)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._stale:
            painter.setOpacity(STALE_OPACITY)
        if not self._column.lines:
            self._paint_empty(painter)
        else:
            y = self.verticalScrollBar().value()
            span = self._span()
            for index in range(self._column.heights.at(y + area.top()), self._column.heights.at(y + area.bottom()) + 1):
                self._column.layout(index).draw(painter, self._column.heights.top(index) - y, self._marked(index, span))
        if self.hasFocus() and self._by_key:
            painter.setPen(self._column.look.theme.caller)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.viewport().rect().adjusted(0, 0, -1, -1))
        painter.end()

    @property
    def _empty_word(self) -> str:
        if self._call is None:
            return self.tr("No call is selected.")
        match self._call.view.phase:
            case Phase.RINGING:
                return self.tr("Ringing. Words appear here once the call is answered.")
            case Phase.CONNECTING:
                return self.tr("Connecting. Words appear here as they are spoken.")
            case Phase.ENDED:
                return self.tr("Nothing was said in this call.")
            case _:
                return self.tr("Nobody has spoken yet. Words appear here as they are spoken.")

    def _paint_empty(self, painter: QPainter) -> None:
        painter.setFont(theme.font(13))
        painter.setPen(self._column.look.theme.dim)
        area = self.viewport().rect().adjusted(px(20), 0, -px(20), 0)
        painter.drawText(area, int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap), self._empty_word)

    # ── selection ─────────────────────────────────────────────────────────────────────────

    def _span(self) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """What is marked, as (line, position) from first to end."""
        if self._anchor is None or self._caret is None or self._anchor == self._caret:
            return None
        if self._anchor[0] not in self._column.index or self._caret[0] not in self._column.index:
            return None
        ends = sorted((self._column.index[key], position) for key, position in (self._anchor, self._caret))
        return ends[0], ends[1]

    def _marked(self, index: int, span: tuple[tuple[int, int], tuple[int, int]] | None) -> tuple[int, int] | None:
        if span is None or not span[0][0] <= index <= span[1][0]:
            return None
        end = self._column.layout(index).text_length
        return (span[0][1] if index == span[0][0] else 0), (min(span[1][1], end) if index == span[1][0] else end)

    def _hit(self, point: QPoint) -> tuple[int, float, float] | None:
        """The line under a point of the viewport, and the point from that line's corner."""
        if not self._column.lines:
            return None
        y = point.y() + self.verticalScrollBar().value()
        index = self._column.heights.at(y)
        return index, float(point.x()), y - self._column.heights.top(index)

    def _spot(self, point: QPoint) -> Spot | None:
        hit = self._hit(point)
        if hit is None:
            return None
        index, x, y = hit
        return self._column.lines[index].key, self._column.layout(index).position_at(x, y)

    def select_all(self) -> None:
        """Mark everything."""
        if self._column.lines:
            self._anchor = self._column.lines[0].key, 0
            self._caret = self._column.lines[-1].key, self._column.layout(len(self._column.lines) - 1).text_length
            self.viewport().update()

    def copy(self) -> None:
        """Put what is marked on the clipboard, as plain text."""
        if told := self.selected_text():
            QApplication.clipboard().setText(told)

    def set_unfolded(self, unfolded: bool) -> None:
        """Show long values of all tool cards in full, or fold them again."""
        self._unfold_all = unfolded
        self._unfolded.clear()
        self._lay_out_anew()

    # ── hands ─────────────────────────────────────────────────────────────────────────────

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() is not Qt.MouseButton.LeftButton:
            return
        point = event.position().toPoint()
        hit = self._hit(point)
        if hit is not None and self._column.layout(hit[0]).on_link(hit[1], hit[2]):
            self._toggle(self._column.lines[hit[0]].key)
            return
        spot = self._spot(point)
        if not event.modifiers() & Qt.KeyboardModifier.ShiftModifier or self._anchor is None:
            self._anchor = spot
        self._caret = spot
        self.viewport().update()

    def _toggle(self, key: str) -> None:
        anchor = self._top_spot()
        self._column.toggle(key)
        self._settle(anchor)
        self.viewport().update()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        spot = self._spot(event.position().toPoint())
        if spot is not None:
            first, end = self._column.layout(self._column.index[spot[0]]).word_at(spot[1])
            self._anchor, self._caret = (spot[0], first), (spot[0], end)
            self.viewport().update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        point = event.position().toPoint()
        if event.buttons() & Qt.MouseButton.LeftButton and self._anchor is not None:
            self._caret = self._spot(point)
            outside = not 0 <= point.y() < self.viewport().height()
            if outside and not self._drag.isActive():
                self._drag.start(SCROLL_EVERY_MS, self)
            elif not outside:
                self._drag.stop()
            self.viewport().update()
            return
        hit = self._hit(point)
        link = hit is not None and self._column.layout(hit[0]).on_link(hit[1], hit[2])
        in_words = point.x() >= self._column.look.body_x and bool(self._column.lines)
        shape = Qt.CursorShape.PointingHandCursor if link else Qt.CursorShape.IBeamCursor
        self.viewport().setCursor(shape if link or in_words else Qt.CursorShape.ArrowCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._drag.stop()

    def timerEvent(self, event: QTimerEvent) -> None:
        if event.timerId() != self._drag.timerId():
            super().timerEvent(event)
            return
        point = self.viewport().mapFromGlobal(self.cursor().pos())
        beyond = point.y() if point.y() < 0 else max(0, point.y() - self.viewport().height())
        self.verticalScrollBar().setValue(self.verticalScrollBar().value() + beyond)
        self._caret = self._spot(point)
        self.viewport().update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        bar = self.verticalScrollBar()
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        elif event.matches(QKeySequence.StandardKey.SelectAll):
            self.select_all()
        elif event.key() == Qt.Key.Key_Home:
            bar.setValue(0)
        elif event.key() == Qt.Key.Key_End:
            self.jump_to_now()
        elif event.key() == Qt.Key.Key_Escape and self._span() is not None:
            self._anchor = self._caret = None
            self.viewport().update()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        copy = menu.addAction(self.tr("Copy"), QKeySequence(QKeySequence.StandardKey.Copy), self.copy)
        copy.setEnabled(self._span() is not None)
        menu.addAction(self.tr("Select all"), QKeySequence(QKeySequence.StandardKey.SelectAll), self.select_all)
        menu.addSeparator()
        whole = menu.addAction(self.tr("Show long values in full"))
        whole.setCheckable(True)
        whole.setChecked(self._unfold_all)
        whole.toggled.connect(self.set_unfolded)
        menu.popup(event.globalPos())

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._by_key = event.reason() in theme.KEY_REASONS
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.viewport().update()

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        if self._settling:
            return
        bar = self.verticalScrollBar()
        self._stuck = bar.value() >= bar.maximum() - px(4)
        self._settle(self._top_spot())
        self.viewport().update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self._lay_out_anew()
        else:
            self._settle(self._top_spot())

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._lay_out_anew()
