"""The raw messages of the selected call: what went over the wire, audio left out, secrets masked."""

from __future__ import annotations

import json
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QPlainTextEdit,
    QSplitter,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from bridge.control import MessageView
from console import theme
from console.desk import Desk
from console.store import KEPT_MESSAGES
from console.timeline import fine_clock_text

Index = QModelIndex | QPersistentModelIndex
COLUMNS = 4


class MessagesModel(QAbstractTableModel):
    """Newest last; the oldest fall out."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._messages: list[MessageView] = []

    def clear(self) -> None:
        """For another call."""
        self.beginResetModel()
        self._messages.clear()
        self.endResetModel()

    def take(self, messages: list[MessageView]) -> bool:
        """Adds those that are newer than what is here; returns whether any were."""
        last = self._messages[-1].number if self._messages else -1
        fresh = [message for message in messages if message.number > last]
        if not fresh:
            return False
        surplus = len(self._messages) + len(fresh) - KEPT_MESSAGES
        if surplus >= len(self._messages) > 0:
            self.clear()
        elif surplus > 0:
            self.beginRemoveRows(QModelIndex(), 0, surplus - 1)
            del self._messages[:surplus]
            self.endRemoveRows()
        first = len(self._messages)
        self.beginInsertRows(QModelIndex(), first, first + len(fresh) - 1)
        self._messages += fresh
        self.endInsertRows()
        return True

    def message(self, row: int) -> MessageView | None:
        """The message of a row."""
        return self._messages[row] if 0 <= row < len(self._messages) else None

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Messages held."""
        return 0 if parent.isValid() else len(self._messages)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Time, way, name, how many."""
        return COLUMNS

    def data(self, index: Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Words only."""
        message = self.message(index.row())
        if message is None:
            return None
        match role:
            case Qt.ItemDataRole.DisplayRole:
                way = f"→ {message.peer}" if message.outbound else f"← {message.peer}"
                count = f"\u00d7 {message.count}" if message.count > 1 else ""
                return (fine_clock_text(message.at_ms), way, message.name, count)[index.column()]
            case Qt.ItemDataRole.ForegroundRole:
                colours = theme.current()
                return (colours.dim, colours.ai if message.outbound else colours.caller, colours.text, colours.dim)[
                    index.column()
                ]
            case _:
                return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = int(Qt.ItemDataRole.DisplayRole)
    ) -> Any:
        """Column titles."""
        if role != Qt.ItemDataRole.DisplayRole or orientation is not Qt.Orientation.Horizontal:
            return None
        return (self.tr("Time"), self.tr("Way"), self.tr("Message"), self.tr("Count"))[section]


class MessagesPanel(QWidget):
    """List on the left, the chosen message's text on the right. Follows the newest while at the end."""

    def __init__(self, desk: Desk, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self.model = MessagesModel(self)
        self.table = QTableView()
        self.detail = QPlainTextEdit()
        self._build()

    def _build(self) -> None:
        table = self.table
        table.setModel(self.model)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setShowGrid(False)
        table.setTabKeyNavigation(False)
        table.setFont(theme.font(11.5, mono=True))
        table.setStyleSheet(f"QTableView::item {{ padding-left: {theme.px(5)}px; }}")
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(theme.px(21))
        table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        table.horizontalHeader().setHighlightSections(False)
        table.horizontalHeader().setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        for column, width in ((0, 82), (1, 100), (3, 60)):
            table.setColumnWidth(column, theme.px(width))
        table.setAccessibleName(self.tr("Raw messages"))
        table.selectionModel().currentRowChanged.connect(self._show_message)
        self.detail.setReadOnly(True)
        self.detail.setFont(theme.font(11.5, mono=True))
        self.detail.setPlaceholderText(self.tr("Select a message to read it"))
        self.detail.setAccessibleName(self.tr("Message text"))
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(table)
        splitter.addWidget(self.detail)
        splitter.setSizes([theme.px(560), theme.px(560)])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(splitter)

    def show_call(self, call_id: str) -> None:
        """Another call's messages."""
        self.model.clear()
        self.detail.clear()
        self.refresh(call_id)

    def refresh(self, call_id: str) -> None:
        """Add what is new; nothing while hidden."""
        call = self._desk.store.calls.get(call_id)
        if call is None or not self.isVisible():
            return
        bar = self.table.verticalScrollBar()
        at_end = bar.value() >= bar.maximum() - 4
        if self.model.take(list(call.messages)) and at_end:
            self.table.scrollToBottom()

    def _show_message(self, current: QModelIndex, _: QModelIndex) -> None:
        message = self.model.message(current.row())
        if message is None:
            self.detail.clear()
            return
        try:
            self.detail.setPlainText(json.dumps(json.loads(message.text), indent=2, ensure_ascii=False))
        except ValueError:
            self.detail.setPlainText(message.text)
