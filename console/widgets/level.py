"""How loud something is right now: a row of segments, with a tick where it was loudest lately."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, QTimer
from PySide6.QtGui import QColor, QHideEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from console import theme
from console.theme import Theme, mixed, px

FULL = 255
QUIET_FROM, GOOD_FROM, LOUD_FROM, TOO_LOUD_FROM = 16, 64, 200, 240
"""Where levels begin to be more than silence, to be speech, to be loud, and to be distorted."""

STEP_MS = 33
FALL = 14
"""By how much the level falls in a step: from the top to silence in six tenths of a second."""

HELD_STEPS = 36
"""How long the tick stays before it falls too."""

SEGMENT_PX, GAP_PX, HEIGHT_PX = 4, 2, 9
DIM_SHARE = 0.16


class Level(QWidget):
    """Rises at once and falls smoothly; paints only when a segment changes.

    role: the colour of what is neither loud nor too loud. Beyond these it is told by words in the accessible
    description and by place, not by colour alone.
    """

    def __init__(self, role: str = "fine", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._role = role
        self._heard = 0
        self._level = 0
        self._peak = 0
        self._held = 0
        self._picture = (0, 0)
        self._steps = QTimer(self, interval=STEP_MS)
        self._steps.timeout.connect(self.step)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._tell()
        theme.notifier().changed.connect(self._restyle)

    @property
    def level(self) -> int:
        """0..255, what the segments stand for."""
        return self._level

    @property
    def peak(self) -> int:
        """0..255, where the tick stands."""
        return self._peak

    @property
    def is_moving(self) -> bool:
        """Something still falls."""
        return self._steps.isActive()

    def show_level(self, value: int) -> None:
        """0..255, a peak as the bridge draws it. Call it as often as there is a new one."""
        self._heard = min(max(value, 0), FULL)
        self._level = max(self._level, self._heard)
        if self._heard >= self._peak:
            self._peak, self._held = self._heard, HELD_STEPS
        if not self.isVisible():
            self._settle()
        elif not (self._level == self._peak == self._heard or self._steps.isActive()):
            self._steps.start()
        self._tell()

    def clear(self) -> None:
        """Show silence at once: nothing is measured any more."""
        self._heard = 0
        self._settle()
        self._tell()

    def step(self) -> None:
        """Fall a little; called by a timer of its own."""
        self._level = max(self._heard, self._level - FALL)
        self._held -= 1
        if self._held < 0:
            self._peak = max(self._level, self._peak - FALL)
        if self._level == self._peak == self._heard:
            self._steps.stop()
        self._tell()

    def sizeHint(self) -> QSize:
        return QSize(px(180), px(HEIGHT_PX))

    def minimumSizeHint(self) -> QSize:
        return QSize(px(48), px(HEIGHT_PX))

    def hideEvent(self, event: QHideEvent) -> None:
        """Nobody looks: nothing moves."""
        super().hideEvent(event)
        self._settle()
        self._tell()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._tell()

    def paintEvent(self, event: QPaintEvent) -> None:
        colours = theme.current()
        count = self._count()
        lit, tick = self._picture
        painter = QPainter(self)
        for segment in range(count):
            colour = self._colour(colours, segment, count)
            if segment >= lit and segment != tick - 1:
                colour = mixed(colours.line, colour, DIM_SHARE) if segment * FULL >= LOUD_FROM * count else colours.line
            painter.fillRect(QRectF(segment * self._pitch(), 0, px(SEGMENT_PX), self.height()), colour)
        painter.end()

    def _settle(self) -> None:
        self._steps.stop()
        self._level = self._peak = self._heard

    def _restyle(self) -> None:
        self.updateGeometry()
        self._tell()
        self.update()

    def _tell(self) -> None:
        """Bring picture and words in line with the level; cheap when both are."""
        picture = (self._segments(self._level), self._segments(self._peak))
        if picture != self._picture:
            self._picture = picture
            self.update()
        words = self._words()
        if words != self.accessibleDescription():
            self.setAccessibleDescription(words)

    def _words(self) -> str:
        # Of the peak, so that the words stand long enough to be read out.
        if self._peak >= TOO_LOUD_FROM:
            return self.tr("too loud")
        if self._peak >= GOOD_FROM:
            return self.tr("good")
        return self.tr("quiet") if self._peak >= QUIET_FROM else self.tr("silent")

    def _pitch(self) -> int:
        return px(SEGMENT_PX) + px(GAP_PX)

    def _count(self) -> int:
        return max(1, (self.width() + px(GAP_PX)) // self._pitch())

    def _segments(self, level: int) -> int:
        """How many are lit: none only for silence, all only from too loud on."""
        count = self._count()
        if level < QUIET_FROM:
            return 0
        return count if level >= TOO_LOUD_FROM else max(1, min(count - 1, level * count // FULL))

    def _colour(self, colours: Theme, segment: int, count: int) -> QColor:
        if segment == count - 1:
            return colours.danger
        return colours.operator if segment * FULL >= LOUD_FROM * count else colours.role(self._role)
