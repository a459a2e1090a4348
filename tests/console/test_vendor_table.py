"""How long vendors take and what they cost, as tables."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from bridge.control import VendorView
from console import theme
from console.widgets.vendor_table import VendorTable


@pytest.fixture
def table(qapp: QApplication, qtbot: QtBot) -> VendorTable:
    theme.apply(qapp, "dark", 1.0)
    table = VendorTable()
    qtbot.addWidget(table)
    table.show()
    return table


def rows(table: VendorTable) -> list[str]:
    """The words of each line, from the top."""
    QApplication.processEvents()
    lines: dict[int, list[QLabel]] = {}
    for label in table.findChildren(QLabel):
        if label.isVisible() and label.text():
            lines.setdefault(label.mapTo(table, label.rect().center()).y(), []).append(label)
    ordered = [sorted(lines[y], key=lambda label: label.mapTo(table, label.pos()).x()) for y in sorted(lines)]
    return [" ".join(label.text() for label in line) for line in ordered]


def timed(vendor: str, step: str) -> VendorView:
    return VendorView(vendor=vendor, step=step, p50_ms=180, p95_ms=1310, turns=42)


def test_without_figures_it_says_when_they_come(table: VendorTable) -> None:
    table.show_figures((), "", {})
    assert rows(table) == [
        "From the caller's silence, step by step",
        "No answer has been timed yet. Figures come with the first one.",
        "Cost of the selected call",
        "No call is selected.",
    ]
    table.show_figures((), "+1 415 555 0142", {})
    assert rows(table)[2:] == ["Cost of +1 415 555 0142", "Nothing used yet."]


def test_whole_answers_come_first_then_their_steps(table: VendorTable) -> None:
    vendors = (timed("chat", "token"), timed("house", "other"), timed("openai", "words"), timed("openai", "answer"))
    table.show_figures(vendors, "+1 415 555 0142", {"deepgram": 0.004, "chat": 0.08})
    told = rows(table)
    table.show_figures(vendors, "+1 415 555 0142", {"deepgram": 0.004, "chat": 0.08})
    assert told == rows(table)
    assert told[1:] == [
        "p50 p95 turns",
        "OpenAI Realtime whole answer 180 ms 1.3 s 42",
        "OpenAI words 180 ms 1.3 s 42",
        "Chat model first token 180 ms 1.3 s 42",
        "house other 180 ms 1.3 s 42",
        "Cost of +1 415 555 0142",
        "Chat model $0.08",
        "Deepgram < $0.01",
    ]
