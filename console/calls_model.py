"""The call list as a Qt model: sections and calls, most urgent first.

Rows keep their identity: when the order changes, rows move, so that the selection, the scroll
position and a screen reader's place stay with their call.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from bridge.control import CallView, Party, Phase
from console.desk import Desk
from console.names import activity
from console.store import Call
from console.telephone import spaced
from console.timeline import clock_text

SECTION_ROLE = int(Qt.ItemDataRole.UserRole) + 1
ID_ROLE = int(Qt.ItemDataRole.UserRole) + 2


class Section(StrEnum):
    """The headings, in their order."""

    LIVE = "live"
    RINGING = "ringing"
    ENDED = "ended"


def section_of(view: CallView) -> Section:
    """Under which heading a call stands."""
    match view.phase:
        case Phase.RINGING:
            return Section.RINGING
        case Phase.ENDED:
            return Section.ENDED
        case _:
            return Section.LIVE


def dot_role(view: CallView) -> str:
    """The colour role of what happens in a call now; the words beside it say the same."""
    if view.phase in (Phase.ENDED, Phase.RINGING, Phase.CONNECTING, Phase.ENDING):
        return "faint" if view.phase is Phase.ENDED else "dim"
    if view.floor == "operator" or view.needs:
        return "operator"
    return {Party.CALLER: "caller", Party.AI: "ai", Party.OPERATOR: "operator"}.get(view.speaking, "dim")


def matches(call: Call, words: str) -> bool:
    """Whether a call has all these words in what is shown of it or was said in it."""
    view = call.view
    shown = f"{view.number} {spaced(view.number)} {view.place} {view.profile} {view.direction} {view.activity}"
    text = " ".join([shown, *view.needs, view.summary, *(turn.text for turn in call.turns.values())]).casefold()
    return all(word in text for word in words.casefold().split())


@dataclass(frozen=True)
class Row:
    """A heading (no call_id) or a call."""

    section: Section
    call_id: str = ""


class CallsModel(QAbstractListModel):
    """Rows of the list; `sync` brings them up to date with the store."""

    def __init__(self, desk: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self._rows: list[Row] = []
        self._views: dict[str, CallView] = {}
        self._filter = ""

    def set_filter(self, words: str) -> None:
        """Show only the calls that match; "" shows all."""
        self._filter = words
        self.sync()

    def sync(self) -> None:
        """Take the store's calls in their order, moving as few rows as possible."""
        target: list[Row] = []
        shown: list[Call] = []
        for call in self._desk.store.most_urgent_first():
            if self._filter and not matches(call, self._filter):
                continue
            section = section_of(call.view)
            if not target or target[-1].section is not section:
                target.append(Row(section))
            target.append(Row(section, call.view.call_id))
            shown.append(call)
        self._arrange(target)
        for place, row in enumerate(self._rows):
            view = self._desk.store.calls[row.call_id].view if row.call_id else None
            if view is not None and view is not self._views.get(row.call_id):
                index = self.index(place)
                self.dataChanged.emit(index, index)
        self._views = {call.view.call_id: call.view for call in shown}

    def _arrange(self, target: list[Row]) -> None:
        """Removes, moves and inserts until the rows are the target's. A call keeps its row across sections."""

        def key(row: Row) -> str:
            return row.call_id or f"section:{row.section}"

        wanted = {key(row) for row in target}
        for place in reversed(range(len(self._rows))):
            if key(self._rows[place]) not in wanted:
                self.beginRemoveRows(QModelIndex(), place, place)
                del self._rows[place]
                self.endRemoveRows()
        for place, row in enumerate(target):
            keys = [key(known) for known in self._rows[place:]]
            if key(row) not in keys:
                self.beginInsertRows(QModelIndex(), place, place)
                self._rows.insert(place, row)
                self.endInsertRows()
                continue
            at = place + keys.index(key(row))
            if at != place:
                self.beginMoveRows(QModelIndex(), at, at, QModelIndex(), place)
                self._rows.insert(place, self._rows.pop(at))
                self.endMoveRows()
            self._rows[place] = row

    def row_of(self, call_id: str) -> int:
        """Where a call stands, -1 when it is not shown."""
        return next((place for place, row in enumerate(self._rows) if row.call_id == call_id and call_id), -1)

    def first_call(self) -> str:
        """The topmost call's id, "" when none is shown."""
        return next((row.call_id for row in self._rows if row.call_id), "")

    def call_at(self, index: QModelIndex | QPersistentModelIndex) -> Call | None:
        """The call of a row; None for a heading."""
        row = self._rows[index.row()] if 0 <= index.row() < len(self._rows) else None
        return self._desk.store.calls.get(row.call_id) if row is not None else None

    # ── Qt's side ──

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Headings and calls."""
        return 0 if parent.isValid() else len(self._rows)

    def flags(self, index: QModelIndex | QPersistentModelIndex) -> Qt.ItemFlag:
        """Headings cannot be selected."""
        if self.call_at(index) is None:
            return Qt.ItemFlag.ItemIsEnabled
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """The words of a row, which are also what a screen reader says."""
        if not 0 <= index.row() < len(self._rows):
            return None
        row = self._rows[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.AccessibleTextRole:
                call = self._desk.store.calls.get(row.call_id)
                return self._call_words(call.view) if call is not None else self._section_words(row.section)
            case _ if role == SECTION_ROLE:
                return None if row.call_id else row.section
            case _ if role == ID_ROLE:
                return row.call_id
            case _:
                return None

    def _section_words(self, section: Section) -> str:
        return {
            Section.LIVE: self.tr("Live — most urgent first"),
            Section.RINGING: self.tr("Ringing"),
            Section.ENDED: self.tr("Ended"),
        }[section]

    def _call_words(self, view: CallView) -> str:
        needs = self.tr("needs you: {why}").format(why=view.needs[0]) if view.needs else ""
        clock = clock_text(self._desk.clock_ms(view.call_id))
        number = spaced(view.number) or self.tr("Number withheld")
        now = activity(view, self._desk.link.me)
        return ", ".join(filter(None, (number, needs, view.profile, view.direction, now, clock)))
