"""How long vendors take for the steps of an answer, and what each costs in one call, as two small tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from bridge.control import VendorView
from console.names import dearest_first, money, vendor_word
from console.theme import px
from console.timeline import span_text

STEPS = {"answer": "whole answer", "words": "words", "token": "first token", "sound": "voice"}
"""The steps in their order, with their words."""


class VendorTable(QWidget):
    """Figures over the newest turns of all calls, and the costs of the selected one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._told: object = None
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, px(8), 0, 0)
        self._column.setSpacing(px(6))
        self._body = QWidget()
        self._column.addWidget(self._body)

    def show_figures(self, vendors: Sequence[VendorView], whose: str, costs_usd: Mapping[str, float]) -> None:
        """Show these; whose: the number of the call that the costs are of, "" when none is selected."""
        told = (tuple(vendors), whose, tuple(costs_usd.items()))
        if told == self._told:
            return
        self._told = told
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(px(6))
        column.addWidget(_label(self.tr("From the caller's silence, step by step"), "heading"))
        if vendors:
            column.addLayout(self._times(vendors))
        else:
            column.addWidget(_label(self.tr("No answer has been timed yet. Figures come with the first one."), "dim"))
        column.addSpacing(px(6))
        column.addWidget(_label(self.tr("Cost of {0}").format(whose or self.tr("the selected call")), "heading"))
        if costs := dearest_first(costs_usd):
            column.addLayout(self._costs(costs))
        else:
            words = self.tr("Nothing used yet.") if whose else self.tr("No call is selected.")
            column.addWidget(_label(words, "dim"))
        self._column.replaceWidget(self._body, body)
        body.show()
        self._body.hide()
        self._body.deleteLater()
        self._body = body

    def _times(self, vendors: Sequence[VendorView]) -> QGridLayout:
        grid = _grid()
        heads = (
            ("", ""),
            ("", ""),
            ("p50", self.tr("Half of the turns were no slower")),
            ("p95", self.tr("All but one turn in twenty were no slower")),
            (self.tr("turns"), self.tr("Of how many of the newest turns, of all calls")),
        )
        for column, (word, tooltip) in enumerate(heads):
            head = _label(word, "faint", right=True)
            head.setToolTip(tooltip)
            grid.addWidget(head, 0, column)
        steps = list(STEPS)
        ordered = sorted(vendors, key=lambda one: steps.index(one.step) if one.step in STEPS else len(STEPS))
        for row, one in enumerate(ordered, start=1):
            grid.addWidget(_label(vendor_word(one.vendor, one.step)), row, 0)
            grid.addWidget(_label(self.tr(STEPS.get(one.step, one.step)), "dim"), row, 1)
            for column, figure in enumerate((span_text(one.p50_ms), span_text(one.p95_ms), str(one.turns)), start=2):
                grid.addWidget(_label(figure, "dim" if column == 4 else "", right=True), row, column)
        return grid

    def _costs(self, costs: Sequence[tuple[str, float]]) -> QGridLayout:
        grid = _grid()
        for row, (vendor, cost_usd) in enumerate(costs):
            grid.addWidget(_label(vendor_word(vendor)), row, 0)
            grid.addWidget(_label(money(cost_usd), right=True), row, 1)
        return grid


def _grid() -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(px(14))
    grid.setVerticalSpacing(px(3))
    grid.setColumnStretch(0, 1)
    return grid


def _label(text: str, role: str = "", right: bool = False) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    if right:
        label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    if role:
        label.setProperty("role", role)
    return label
