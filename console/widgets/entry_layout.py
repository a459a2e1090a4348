"""One line of the conversation laid out for one width: measured once, then only drawn."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QTextCharFormat, QTextLayout, QTextOption

from console import theme
from console.theme import Theme, px
from console.transcript_model import Entry, Ink

NARROW_PX = 430
MONO_INKS = (Ink.CODE, Ink.NAME)


def utf16_length(text: str) -> int:
    """How many positions a text takes in Qt, which counts UTF-16 units."""
    return len(text.encode("utf-16-le", "replace")) // 2


def utf16_slice(text: str, first: int, end: int) -> str:
    """The characters between two positions of Qt."""
    return text.encode("utf-16-le", "replace")[2 * first : 2 * end].decode("utf-16-le", "replace")


def _number(told: object) -> float:
    """PySide gives a C++ value by reference back as (value, argument)."""
    first = told[0] if isinstance(told, tuple) else told
    assert isinstance(first, (int, float))
    return float(first)


@dataclass(frozen=True)
class Look:
    """What all lines of one width share: columns in logical pixels, fonts and colours."""

    theme: Theme
    stacked: bool
    time_x: float
    who_x: float
    body_x: float
    right_x: float
    small: QFont
    clock: QFont
    who: QFont
    body: QFont
    code: QFont
    name: QFont

    @classmethod
    def for_width(cls, width: float) -> Look:
        """The columns of a viewport this wide, in the theme in use.

        In a narrow one the words stand under time and party, not beside them.
        """
        stacked = width < px(NARROW_PX)
        body_x = px(20) if stacked else px(160)
        return cls(
            theme=theme.current(),
            stacked=stacked,
            time_x=px(20),
            who_x=px(72),
            body_x=body_x,
            right_x=max(width - px(20), body_x + px(120)),
            small=theme.font(11, tabular=True),
            clock=theme.font(12, tabular=True),
            who=theme.font(12, 600),
            body=theme.font(14),
            code=theme.font(11.5, mono=True),
            name=theme.font(12, 700, mono=True),
        )

    def colour(self, ink: Ink) -> QColor:
        match ink:
            case Ink.PLAIN | Ink.NAME:
                return self.theme.text
            case Ink.LINK:
                return self.theme.caller
            case _:
                return self.theme.dim


def _formats(entry: Entry, look: Look) -> list[QTextLayout.FormatRange]:
    ranges = []
    start = 0
    for run in entry.runs:
        style = QTextCharFormat()
        if run.ink in MONO_INKS:
            style.setFont(look.code if run.ink is Ink.CODE else look.name)
        elif entry.card is not None:
            style.setFont(look.clock)
        if entry.italic or run.ink is Ink.INTERIM:
            style.setFontItalic(True)
        if run.ink is Ink.STRUCK:
            style.setFontStrikeOut(True)
        style.setForeground(look.colour(run.ink))
        made = QTextLayout.FormatRange()
        made.start = start
        made.length = utf16_length(run.text)
        made.format = style
        start += made.length
        ranges.append(made)
    return ranges


class EntryLayout:
    """Where everything of an entry is, from its own top left corner."""

    def __init__(self, entry: Entry, look: Look) -> None:
        self.entry = entry
        self._look = look
        self.text_length = utf16_length(entry.text)
        self._text = QTextLayout("".join(run.text for run in entry.runs), look.body)
        option = QTextOption(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignAbsolute)
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        option.setTextDirection(Qt.LayoutDirection.LayoutDirectionAuto)
        self._text.setTextOption(option)
        self._text.setCacheEnabled(True)
        self._formats = _formats(entry, look)
        self._text.setFormats(self._formats)
        inner_x, inner_y = (px(13), px(9)) if entry.card is not None else (0, 0)
        above = px(22) if look.stacked else 0
        self._origin = QPointF(look.body_x + inner_x, px(4) + above + inner_y)
        self._status = QPointF()
        bottom = self._break_lines(look.right_x - look.body_x - 2 * inner_x)
        self._pill = QRectF()
        bottom = max(bottom, self._place_pill(bottom), float(px(19)))
        self._card = QRectF()
        if entry.card is not None:
            bottom += 2 * inner_y
            self._card = QRectF(look.body_x, px(4) + above, look.right_x - look.body_x, bottom)
        self.height = bottom + above + px(8 if entry.card is None else 10)

    def _break_lines(self, width: float) -> float:
        entry, look = self.entry, self._look
        status, beside = 0.0, False
        if entry.card is not None:
            status = QFontMetricsF(look.clock).horizontalAdvance(entry.card.status)
            name = QFontMetricsF(look.name).horizontalAdvance(entry.runs[0].text)
            beside = name + px(14) + status <= width
        least = px(20) if entry.card is None else px(18)
        y = 0.0
        self._text.beginLayout()
        while (line := self._text.createLine()).isValid():
            line.setLineWidth(max(px(40), width - (status + px(14) if beside and y == 0.0 else 0.0)))
            spare = max(0.0, least - line.height())
            line.setPosition(QPointF(0, y + spare / 2))
            y += line.height() + spare
        self._text.endLayout()
        if entry.card is None:
            return y
        if beside:
            self._status = QPointF(width - status, self._first_ascent())
            return y
        self._status = QPointF(0, y + px(14))
        return y + px(18)

    def _place_pill(self, bottom: float) -> float:
        if not self.entry.pill:
            return bottom
        metrics = QFontMetricsF(self._look.small)
        room = self._look.right_x - self._origin.x()
        width = min(metrics.horizontalAdvance(self.entry.pill) + px(14), room)
        height = float(px(17))
        x, y = 0.0, bottom
        if count := self._text.lineCount():
            line = self._text.lineAt(count - 1)
            if line.naturalTextWidth() + px(8) + width <= room:
                x = line.naturalTextWidth() + (px(8) if line.naturalTextWidth() else 0)
                y = line.y() + (line.height() - height) / 2
        self._pill = QRectF(self._origin.x() + x, self._origin.y() + y, width, height)
        return y + height

    # ── drawing ───────────────────────────────────────────────────────────────────────────

    def draw(self, painter: QPainter, top: float, selected: tuple[int, int] | None) -> None:
        """Paint with the entry's top at ``top``; ``selected``: positions first and end, or None."""
        look, entry = self._look, self.entry
        if entry.card is not None:
            self._draw_card(painter, top)
        baseline = top + (px(18) if look.stacked else self._origin.y() + self._first_ascent())
        painter.setFont(look.clock)
        painter.setPen(look.theme.dim)
        painter.drawText(QPointF(look.time_x, baseline), entry.time)
        painter.setFont(look.who)
        painter.setPen(look.theme.role(entry.role))
        room = (look.right_x if look.stacked else look.body_x - px(6)) - look.who_x
        who = QFontMetricsF(look.who).elidedText(entry.who, Qt.TextElideMode.ElideRight, room)
        painter.drawText(QPointF(look.who_x, baseline), who)
        marked = []
        if selected is not None and selected[1] > selected[0]:
            over = QTextLayout.FormatRange()
            over.start, over.length = selected[0], selected[1] - selected[0]
            style = QTextCharFormat()
            style.setBackground(look.theme.selection)
            over.format = style
            marked.append(over)
        self._text.draw(painter, QPointF(self._origin.x(), top + self._origin.y()), marked)
        if entry.pill:
            self._draw_pill(painter, top)

    def _first_ascent(self) -> float:
        if not self._text.lineCount():
            return QFontMetricsF(self._look.body).ascent()
        line = self._text.lineAt(0)
        return line.y() + line.ascent()

    def _draw_card(self, painter: QPainter, top: float) -> None:
        card, colours = self.entry.card, self._look.theme
        assert card is not None
        box = self._card.translated(0, top)
        painter.setPen(colours.role(card.frame.value))
        painter.setBrush(colours.raised)
        painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), px(7), px(7))
        painter.setFont(self._look.clock)
        painter.setPen(colours.role(card.role))
        painter.drawText(self._origin + self._status + QPointF(0, top), card.status)

    def _draw_pill(self, painter: QPainter, top: float) -> None:
        look = self._look
        box = self._pill.translated(0, top)
        painter.setPen(look.theme.line)
        painter.setBrush(look.theme.raised)
        painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), box.height() / 2, box.height() / 2)
        painter.setFont(look.small)
        painter.setPen(look.theme.role(self.entry.pill_role))
        word = QFontMetricsF(look.small).elidedText(self.entry.pill, Qt.TextElideMode.ElideRight, box.width() - px(12))
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), word)

    # ── finding ───────────────────────────────────────────────────────────────────────────

    def position_at(self, x: float, y: float) -> int:
        """The position in the words nearest to a point."""
        x, y = x - self._origin.x(), y - self._origin.y()
        if y < 0:
            return 0
        for index in range(self._text.lineCount()):
            line = self._text.lineAt(index)
            if y < line.y() + line.height():
                return min(line.xToCursor(x), self.text_length)
        return self.text_length

    def on_link(self, x: float, y: float) -> bool:
        """Whether a point is on the word that folds."""
        if not self.entry.runs or self.entry.runs[-1].ink is not Ink.LINK:
            return False
        line = self._text.lineForTextPosition(self.text_length + 2)
        left = _number(line.cursorToX(self.text_length + 2))
        right = line.naturalTextWidth()
        box = QRectF(self._origin.x() + left, self._origin.y() + line.y(), right - left, line.height())
        return box.adjusted(-4, -3, 4, 3).contains(QPointF(x, y))

    def word_at(self, position: int) -> tuple[int, int]:
        """The word around a position."""
        first = self._text.previousCursorPosition(position + 1, QTextLayout.CursorMode.SkipWords)
        end = self._text.nextCursorPosition(first, QTextLayout.CursorMode.SkipWords)
        return min(first, self.text_length), min(end, self.text_length)
