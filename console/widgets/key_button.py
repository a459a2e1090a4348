"""A button with its key beside its words."""

from __future__ import annotations

from functools import cache

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeySequence, QPainter, QPaintEvent
from PySide6.QtWidgets import QStyle, QStyleOptionButton, QWidget

from console import theme
from console.widgets.push_button import PushButton

GAP_PX = 8
SIDE_PX, TIGHT_SIDE_PX = 11, 5


@cache
def key_words(key: str) -> str:
    """A key as the window writes it: "Shift Esc"."""
    native = QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)
    return native.replace("+", " ") if len(native) > 1 else native


class KeyButton(PushButton):
    """Its look follows the style sheet's role; a pending one is dashed until `set_pending(False)`.

    Takes the focus by Tab only, so that Space goes on meaning Interrupt after a click.
    """

    def __init__(self, role: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._key = ""
        self._key_shown = True
        self._side_px = SIDE_PX
        self._height_px = 35
        self._size_px = 13.0
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setProperty("pending", False)
        if role:
            self.setProperty("role", role)

    def set_face(self, text: str, key: str = "", tooltip: str = "") -> None:
        """Words, key in Qt's portable form, and tooltip; cheap when nothing changed."""
        shown = key_words(key)
        if (text, shown) != (self.text(), self._key):
            self._key = shown
            self.setText(text)
            self.setAccessibleName(text)
            self.updateGeometry()
            self.update()
        if tooltip != self.toolTip():
            self.setToolTip(tooltip)
            self.setAccessibleDescription(tooltip)

    def set_key_shown(self, key_shown: bool) -> None:
        """Where there is little room the key stands in the tooltip only."""
        if key_shown != self._key_shown:
            self._key_shown = key_shown
            self.updateGeometry()
            self.update()

    def set_tight(self, tight: bool) -> None:
        """Where there is less room still, the words stand closer to the button's sides."""
        side_px = TIGHT_SIDE_PX if tight else SIDE_PX
        if side_px != self._side_px:
            self._side_px = side_px
            self.updateGeometry()
            self.update()

    def whole_width(self) -> int:
        """How wide it would like to be, with its key and not tight."""
        return self._width(self._key) + 2 * (theme.px(SIDE_PX) - theme.px(self._side_px))

    def key_width(self) -> int:
        """How much narrower it is without its key."""
        return self._width(self._key) - self._width("")

    def set_compact(self) -> None:
        """The smaller measure, for a button inside a segmented choice or the top bar."""
        self._height_px, self._size_px = 29, 12.5
        self.updateGeometry()

    def set_pending(self, pending: bool) -> None:
        """Whether the bridge still owes the answer."""
        if self.property("pending") != pending:
            self.setProperty("pending", pending)
            self.style().unpolish(self)
            self.style().polish(self)
            self.update()

    def sizeHint(self) -> QSize:
        """Words, gap, key, and the sides."""
        return QSize(self._width(self._key if self._key_shown else ""), theme.px(self._height_px))

    def minimumSizeHint(self) -> QSize:
        """Never cut off."""
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The style's bevel, then words and key in the middle."""
        painter = QPainter(self)
        option = QStyleOptionButton()
        self.initStyleOption(option)
        option.text = ""
        self.style().drawControl(QStyle.ControlElement.CE_PushButton, option, painter, self)
        text_font, key_font = self._text_font(), self._key_font()
        text_width = QFontMetrics(text_font).horizontalAdvance(self.text())
        key = self._key if self._key_shown else ""
        key_width = QFontMetrics(key_font).horizontalAdvance(key) if key else 0
        gap = theme.px(GAP_PX) if key else 0
        left = (self.width() - text_width - gap - key_width) // 2
        colour = self._colour()
        painter.setFont(text_font)
        painter.setPen(colour)
        middle = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        painter.drawText(QRect(left, 0, text_width + 2, self.height()), middle, self.text())
        if key:
            painter.setFont(key_font)
            painter.setPen(self._key_colour(colour))
            key_left = left + text_width + gap
            painter.drawText(QRect(key_left, 0, key_width + 2, self.height()), middle, key)

    def _width(self, key: str) -> int:
        words = QFontMetrics(theme.font(self._size_px, 600)).horizontalAdvance(self.text())
        beside = theme.px(GAP_PX) + QFontMetrics(self._key_font()).horizontalAdvance(key) if key else 0
        return words + beside + 2 * theme.px(self._side_px) + 2

    def _text_font(self) -> QFont:
        weight = 500 if self.property("role") == "segment" and not self.isChecked() else 600
        return theme.font(self._size_px, weight)

    def _key_font(self) -> QFont:
        return theme.font(11, mono=True)

    def _colour(self) -> QColor:
        colours = theme.current()
        if not self.isEnabled():
            return colours.faint
        if self.property("pending"):
            return colours.dim
        if self.isChecked():
            return colours.operator
        match self.property("role"):
            case "primary" | "operator" | "fine":
                return colours.on_fill
            case "danger":
                return colours.danger
            case "segment":
                return colours.text if self.underMouse() else colours.dim
            case _:
                return colours.text

    def _key_colour(self, words: QColor) -> QColor:
        colours = theme.current()
        if words in (colours.text, colours.faint):
            return colours.dim if words == colours.text else colours.faint
        return words
