"""The engines that a call could be given to, to choose one."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Signal
from PySide6.QtWidgets import QLabel, QMenu, QWidget, QWidgetAction

from console import theme
from console.desk import Desk
from console.names import engine_word, money


class EngineMenu(QMenu):
    """Opened with `open_at`; arrows and Return choose, Esc leaves. chosen(engine): one was taken."""

    chosen = Signal(str)

    def __init__(self, desk: Desk, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Engines"))
        self._desk = desk
        self._opener = parent
        desk.selection_changed.connect(self.close)

    def open_at(self, place: QPoint, above: bool = False) -> None:
        """Offer the selected call's engines below a place of the screen, or above it, within the window's sides."""
        view = self._desk.view
        if view is None or not view.engines:
            return
        self.clear()
        self._words(self.tr("Who goes on with this call?"), "strong")
        for engine in view.engines:
            action = self.addAction(engine_word(engine))
            action.triggered.connect(lambda _=False, engine=engine: self.chosen.emit(engine))
        if view.budget_usd is not None and view.cost_usd >= view.budget_usd:
            spent = self.tr("The AI's budget of {budget} is spent; an AI goes on without one.")
            self._words(spent.format(budget=money(view.budget_usd)), "operator")
        self._words(self.tr("At the next quiet moment. If there is none for 4 s, the AI is cut off."), "dim")
        size, window = self.sizeHint(), self._opener.window()
        right_px = window.mapToGlobal(window.rect().topRight()).x() - theme.px(8)
        left_px = max(0, min(place.x(), right_px - size.width()))
        self.popup(QPoint(left_px, place.y() - (size.height() if above else 0)))
        self.setActiveAction(self.actions()[1])

    def _words(self, text: str, role: str) -> None:
        """A line to read, not to choose."""
        label = QLabel(text)
        label.setProperty("role", role)
        label.setContentsMargins(*(theme.px(side) for side in (12, 6, 12, 6)))
        line = QWidgetAction(self)
        line.setDefaultWidget(label)
        line.setText(text)
        line.setEnabled(False)
        self.addAction(line)
