"""The selected call as sound: the caller above, whom the caller hears below, marks and time under them.

Only new bars are drawn; the rest of the picture is moved (`WaveRing`). The window's display timer
calls `tick`; when nothing has moved by a whole pixel, nothing is painted.
"""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import (
    QFocusEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from bridge.control import COLUMN_MS, Floor, MarkerView, Phase
from console import peaks, theme, timeline
from console.names import operator_word, speaker_word
from console.peaks import Voice
from console.store import Call, Store
from console.theme import px
from console.timeline import Ruler
from console.widgets.marks import ROW_PX, Mark, placed_marks
from console.widgets.wave_ring import WaveRing

PITCH_PX = 4
RECENT_COLUMNS = 250
STALE_OPACITY = 0.45


class WaveformPanel(QWidget):
    """Shows one call of the store; wheel with Ctrl, + and - zoom, wheel and arrows move, End is now."""

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._call: Call | None = None
        self._clock = timeline.CallClock()
        self._zoom_ms = timeline.DEFAULT_ZOOM_MS
        self._held_ms: float | None = None
        self._edge_ms = 0.0
        self._now_ms = 0.0
        self._columns = 0
        self._ring: WaveRing | None = None
        self._seen: tuple[int, tuple[bytes, ...]] = (0, (b"", b"", b"", b""))
        self._marks: list[Mark] = []
        self._markers: list[MarkerView] = []
        self._hover_x: float | None = None
        self._first_px = 0
        self._over = False
        self._stale = False
        self._by_key = False
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setAccessibleName(self.tr("Waveform"))
        theme.notifier().changed.connect(self._rebuild)

    def sizeHint(self) -> QSize:
        return QSize(px(700), px(170))

    def minimumSizeHint(self) -> QSize:
        return QSize(px(300), px(112))

    # ── what is shown ─────────────────────────────────────────────────────────────────────

    def show_call(self, call_id: str) -> None:
        """Show a call from its newest moment on; an ended one whole. An unknown id empties the panel."""
        self._call = self._store.calls.get(call_id)
        self._clock.reset()
        self._columns = 0
        self._held_ms = None
        self._over = self._ended
        self._zoom_ms = 0 if self._over else timeline.DEFAULT_ZOOM_MS
        self._rebuild()

    def refresh(self, call_id: str) -> None:
        """The store has changed something of this call."""
        call = self._store.calls.get(call_id)
        if self._call is None or call_id != self._call.view.call_id:
            return
        if call is not self._call:
            self.show_call(call_id)
            return
        if self._ended and not self._over:
            self._over = True
            self._held_ms = None
            self._zoom_ms = 0
            self._rebuild()
            return
        self._draw_changes()
        if len(call.markers) != len(self._markers) or list(call.markers.values()) != self._markers:
            self._place_marks()
            self.update()

    def tick(self, now_ms: float) -> None:
        """Move on to ``now_ms`` of any monotonic clock; cheap when that changes no pixel."""
        if self._call is None or self._stale:
            return
        self._now_ms = now_ms
        columns = len(self._call.caller)
        if columns != self._columns:
            self._columns = columns
            self._clock.heard(columns * COLUMN_MS, now_ms)
        self._move()

    def set_stale(self, stale: bool) -> None:
        """Grey and still, while the bridge is not there to tell more."""
        if stale != self._stale:
            self._stale = stale
            self._clock.reset()
            self._columns = 0
            self.update()

    @property
    def span_ms(self) -> float:
        """How much time is shown."""
        duration_ms = self._duration_ms
        if self._zoom_ms:
            return float(self._zoom_ms)
        return timeline.whole_span_ms(duration_ms, live=not self._ended)

    @property
    def edge_ms(self) -> float:
        """The newest moment that is drawn."""
        return self._edge_ms

    @property
    def _ended(self) -> bool:
        return self._call is not None and self._call.view.phase is Phase.ENDED

    @property
    def _duration_ms(self) -> float:
        if self._call is None:
            return 0.0
        columns_ms = len(self._call.caller) * COLUMN_MS
        return float(max(columns_ms, self._call.view.clock_ms)) if self._ended else float(columns_ms)

    # ── geometry ──────────────────────────────────────────────────────────────────────────

    @property
    def _strip(self) -> QRectF:
        """Where the lanes are, in logical pixels; its left edge is on a device pixel."""
        ratio = self.devicePixelRatioF()
        left = round(px(84) * ratio) / ratio
        below = px(ROW_PX) * self._mark_rows + px(24)
        return QRectF(
            left, px(8), max(px(40), self.width() - left - px(20)), max(px(30), self.height() - px(8) - below)
        )

    @property
    def _mark_rows(self) -> int:
        return 2 if self.height() >= px(150) else 1

    def _rebuild(self) -> None:
        """Draw everything anew: another call, size, zoom or theme."""
        strip, ratio = self._strip, self.devicePixelRatioF()
        ruler = Ruler(self.span_ms, max(1, int(strip.width() * ratio)), max(2, round(PITCH_PX * ratio)))
        self._ring = WaveRing(theme.current(), ruler, int(strip.height() * ratio), ratio)
        self._seen = (0, (b"", b"", b"", b""))
        self._place_marks()
        self._move()
        self._snapshot()
        self.update()

    def _move(self) -> None:
        """Work out the newest moment and what part of the ring shows it."""
        call, ring = self._call, self._ring
        if call is None or ring is None:
            return
        was = self._first_px, self._edge_ms
        if self._ended:
            self._edge_ms = self._duration_ms
        elif self._columns:
            newest_ms = self._columns * COLUMN_MS
            edge_ms = self._clock.at(self._now_ms) - timeline.DISPLAY_DELAY_MS
            self._edge_ms = max(0.0, min(edge_ms, newest_ms + timeline.STALL_MS))
        else:
            self._edge_ms = max(0.0, len(call.caller) * COLUMN_MS - timeline.DISPLAY_DELAY_MS)
        if self.span_ms != ring.ruler.span_ms:
            self._rebuild()
            return
        ruler = ring.ruler
        right_ms = self._edge_ms if self._held_ms is None else min(self._held_ms, self._edge_ms)
        self._first_px = 0 if not self._zoom_ms else ruler.px(right_ms) - ruler.width_px
        if self._ended and self._first_px < 0:
            self._first_px = 0
        last_px = self._first_px + ruler.width_px
        last_bar = min(last_px // ruler.pitch_px, ruler.bar(max(0.0, self._edge_ms - 1e-6)))
        drawn = ring.reach(call, self._first_px // ruler.pitch_px, last_bar, self._resting)
        if drawn or (self._first_px, int(self._edge_ms // 1000)) != (was[0], int(was[1] // 1000)):
            strip = self._strip
            self.update(int(strip.left()) - 1, 0, self.width() - int(strip.left()) + 1, self.height())

    def _draw_changes(self) -> None:
        """Redraw the bars whose columns came late or were put right."""
        call, ring = self._call, self._ring
        if call is None or ring is None:
            return
        first, lanes = self._seen
        changes = [
            changed
            for old, new in zip(lanes, (call.caller, call.line, call.voice, call.ghost), strict=True)
            if (changed := peaks.first_change(old, new[first:])) is not None
        ]
        if changes:
            ring.redraw(call, (first + min(changes)) * COLUMN_MS, self._resting)
            self._snapshot()
            if self._ended:
                self._move()
            self.update()

    def _snapshot(self) -> None:
        call, ring = self._call, self._ring
        if call is not None and ring is not None:
            first = int(ring.first_bar * ring.ruler.bar_ms / COLUMN_MS)
            self._seen = first, tuple(bytes(lane[first:]) for lane in (call.caller, call.line, call.voice, call.ghost))

    @property
    def _resting(self) -> Voice:
        """Whose the lower lane is now."""
        if self._call is None:
            return Voice.AI
        if self._ended:
            # Nobody holds it any more.
            return Voice.AI
        if self._call.view.floor is Floor.OPERATOR:
            return Voice.OPERATOR
        return peaks.last_voice(self._call.voice[-RECENT_COLUMNS:]) or Voice.AI

    def _place_marks(self) -> None:
        call, ring = self._call, self._ring
        self._markers = list(call.markers.values()) if call is not None else []
        end_ms = self._duration_ms if self._ended else None
        ratio = self.devicePixelRatioF()
        self._marks = placed_marks(self._markers, ring.ruler.px, ratio, self._mark_rows, end_ms) if ring else []

    # ── painting ──────────────────────────────────────────────────────────────────────────

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = theme.current()
        painter = QPainter(self)
        painter.fillRect(event.rect(), colours.panel)
        if self._call is not None and self._ring is not None:
            if self._stale:
                painter.setOpacity(STALE_OPACITY)
            strip = self._strip
            self._paint_names(painter, strip)
            self._paint_lanes(painter, strip)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_marks(painter, strip)
            self._paint_axis(painter, strip)
            self._paint_hover(painter, strip)
        if self.hasFocus() and self._by_key:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(colours.caller)
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def _paint_names(self, painter: QPainter, strip: QRectF) -> None:
        colours = theme.current()
        lower, role = self.lower_name
        painter.setFont(theme.font(12, 600))
        for word, name, top in ((self.tr("Caller"), "caller", 0.0), (lower, role, strip.height() / 2)):
            painter.setPen(colours.role(name))
            box = QRectF(px(20), strip.top() + top, strip.left() - px(24), strip.height() / 2)
            flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextWordWrap
            if not box.contains(painter.boundingRect(box, int(flags), word)):
                word = painter.fontMetrics().elidedText(word, Qt.TextElideMode.ElideRight, int(box.width()))
            painter.drawText(box, int(flags), word)
        painter.setFont(theme.font(11, tabular=True))
        painter.setPen(colours.dim)
        painter.drawText(QPointF(px(20), self.height() - px(9)), self._zoom_word)

    @property
    def lower_name(self) -> tuple[str, str]:
        """What the lower lane is called, and its colour role."""
        assert self._call is not None
        view = self._call.view
        if view.floor is Floor.HOLD and not self._ended:
            return self.tr("On hold"), "dim"
        if self._resting is Voice.OPERATOR:
            return self._operator_name, "operator"
        if view.ai_muted and not self._ended:
            return self.tr("AI muted"), "ai"
        return speaker_word(view.engine), "ai"

    @property
    def _operator_name(self) -> str:
        assert self._call is not None
        ours = self._store.attached.console if self._store.attached is not None else ""
        return operator_word(self._call.view.floor_holder, ours)

    @property
    def _zoom_word(self) -> str:
        if not self._zoom_ms:
            return self.tr("Whole")
        return timeline.span_text(self._zoom_ms).replace(" 00 s", "")

    def _paint_lanes(self, painter: QPainter, strip: QRectF) -> None:
        assert self._ring is not None
        self._ring.blit(painter, strip.left(), strip.top(), self._first_px, self._ring.ruler.width_px)

    def _x(self, strip: QRectF, at_px: int) -> float:
        return strip.left() + (at_px - self._first_px) / self.devicePixelRatioF()

    def _paint_marks(self, painter: QPainter, strip: QRectF) -> None:
        painter.save()
        painter.setClipRect(QRectF(strip.left(), 0, strip.width(), self.height()), Qt.ClipOperation.IntersectClip)
        painter.setFont(theme.font(11))
        for mark in self._marks_seen():
            mark.paint(painter, self._x(strip, mark.at_px), strip.bottom() + px(8))
        painter.restore()

    def _marks_seen(self) -> Iterator[Mark]:
        assert self._ring is not None
        first, last = self._first_px - px(320), self._first_px + self._ring.ruler.width_px
        return (mark for mark in self._marks if first <= mark.at_px <= last and mark.marker.at_ms <= self._edge_ms)

    def words_at(self, point: QPointF) -> str:
        """What the mark at a point of this widget says, "" where none is."""
        if self._call is None or self._ring is None:
            return ""
        strip = self._strip
        found = (
            mark.words
            for mark in self._marks_seen()
            if mark.holds(point, self._x(strip, mark.at_px), strip.bottom() + px(8))
        )
        return next(found, "")

    def _paint_axis(self, painter: QPainter, strip: QRectF) -> None:
        assert self._ring is not None
        ruler, ratio = self._ring.ruler, self.devicePixelRatioF()
        painter.setFont(theme.font(11, tabular=True))
        painter.setPen(theme.current().dim)
        metrics = painter.fontMetrics()
        base = self.height() - px(9)
        first_ms, last_ms = ruler.ms(self._first_px), ruler.ms(self._first_px + ruler.width_px)
        end = strip.right()
        if self._held_ms is None and not self._ended:
            now = self.tr("now")
            wide = metrics.horizontalAdvance(now)
            edge_x = self._x(strip, ruler.px(self._edge_ms)) if not self._zoom_ms else strip.right()
            painter.drawText(QPointF(max(strip.left(), edge_x - wide), base), now)
            end = edge_x - wide - px(8)
        apart = max(metrics.horizontalAdvance("0:00:00"), min(px(120), strip.width() / 4))
        ms_per_px = ruler.bar_ms * ratio / ruler.pitch_px
        for at_ms in timeline.ticks_ms(first_ms, min(last_ms, self._edge_ms), ms_per_px, apart):
            x = self._x(strip, ruler.px(at_ms))
            word = timeline.clock_text(at_ms)
            if strip.left() - 1 <= x and x + metrics.horizontalAdvance(word) <= end:
                painter.drawText(QPointF(x, base), word)

    def _paint_hover(self, painter: QPainter, strip: QRectF) -> None:
        at_ms = self.moment_at(self._hover_x) if self._hover_x is not None else None
        if at_ms is None or self._hover_x is None:
            return
        colours = theme.current()
        x = round(self._hover_x)
        painter.fillRect(QRectF(x, strip.top(), 1, strip.height()), colours.faint)
        painter.setFont(theme.font(11, 500, tabular=True))
        word = timeline.fine_clock_text(at_ms)
        wide = painter.fontMetrics().horizontalAdvance(word) + px(10)
        left = x + px(4) if x + px(4) + wide <= strip.right() else x - px(4) - wide
        box = QRectF(left, strip.top(), wide, px(18))
        painter.setPen(colours.line)
        painter.setBrush(colours.raised)
        painter.drawRoundedRect(box, px(4), px(4))
        painter.setPen(colours.text)
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), word)

    def moment_at(self, x: float) -> float | None:
        """The moment under a logical x of this widget; None beside the recording."""
        strip = self._strip
        if self._call is None or self._ring is None or not strip.left() <= x <= strip.right():
            return None
        at_ms = self._ring.ruler.ms(self._first_px + (x - strip.left()) * self.devicePixelRatioF())
        return at_ms if 0 <= at_ms <= self._edge_ms else None

    # ── hands ─────────────────────────────────────────────────────────────────────────────

    def zoom(self, steps: int) -> None:
        """Closer (positive) or wider."""
        wanted = timeline.zoomed(self._zoom_ms, steps, self._duration_ms)
        if wanted != self._zoom_ms:
            self._zoom_ms = wanted
            if not wanted:
                self._held_ms = None
            self._rebuild()

    def pan(self, share: float) -> None:
        """Move by a share of what is shown: negative is back in time, and stops following the call."""
        if not self._zoom_ms:
            return
        right_ms = self._edge_ms if self._held_ms is None else self._held_ms
        right_ms = max(min(self.span_ms, self._edge_ms), right_ms + share * self.span_ms)
        self._held_ms = None if right_ms >= self._edge_ms else right_ms
        self._move()
        self.update()

    def wheelEvent(self, event: QWheelEvent) -> None:
        turn = event.angleDelta()
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.zoom(1 if turn.y() > 0 else -1 if turn.y() < 0 else 0)
        else:
            self.pan(-(turn.x() or turn.y()) / 120 * 0.1)
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Plus | Qt.Key.Key_Equal:
                self.zoom(1)
            case Qt.Key.Key_Minus:
                self.zoom(-1)
            case Qt.Key.Key_Left:
                self.pan(-0.2)
            case Qt.Key.Key_Right:
                self.pan(0.2)
            case Qt.Key.Key_Home:
                self.pan(-1e9)
            case Qt.Key.Key_End:
                self.pan(1e9)
            case _:
                super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        """A tooltip tells the whole of the mark under the mouse."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self.words_at(QPointF(event.pos())), self)
            return True
        return super().event(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hover_x = event.position().x()
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._hover_x = None
        self.update()

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._by_key = event.reason() in theme.KEY_REASONS
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.update()

    def resizeEvent(self, event: QEvent) -> None:
        self._rebuild()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.DevicePixelRatioChange, QEvent.Type.FontChange):
            self._rebuild()
