"""The right column and the small widgets."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from PySide6.QtCore import QEvent, QPoint, QSize
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QToolTip
from pytestqt.qtbot import QtBot

from bridge.control import CallChanged, CallForgotten, Floor, MarkerKind, Phase, Recording
from console import theme
from console.panels.call_details import DetailsPanel
from console.stages import Stage
from console.store import Store
from console.theme import px
from console.widgets.answer_bars import LOOKS, AnswerBars
from console.widgets.marks import ROLES
from console.widgets.sparkline import Sparkline
from console.widgets.state_chip import StateChip
from tests.console.scene import CALL, CLOCK_MS, billing_view, desk, lane, voices


@pytest.fixture
def store(qapp: QApplication) -> Store:
    theme.apply(qapp, "dark", 1.0)
    return desk()


@pytest.fixture
def panel(store: Store, qtbot: QtBot) -> DetailsPanel:
    panel = DetailsPanel(store)
    qtbot.addWidget(panel)
    panel.resize(300, 800)
    panel.show()
    panel.show_call(CALL)
    return panel


def words(panel: DetailsPanel) -> list[str]:
    """All that can be read, in no special order."""
    return [label.text() for label in panel.findChildren(QLabel) if label.isVisible()]


def copy(panel: DetailsPanel) -> QPushButton:
    buttons = panel.findChildren(QPushButton)
    return next(button for button in buttons if button.accessibleName() == "Copy the path of the recording")


def test_it_says_which_engine_has_the_call_and_which_comes(panel: DetailsPanel, store: Store, qtbot: QtBot) -> None:
    assert panel.engine.text() == "Cascade"
    assert panel.engine.accessibleName() == "Engine: Cascade"
    assert "Next engine" not in words(panel)
    store.apply(CallChanged(call=billing_view(coming="openai")))
    panel.refresh(CALL)
    assert "OpenAI Realtime, when it is quiet" in words(panel)
    with qtbot.waitSignal(panel.swap_wanted):
        panel.engine.click()


@pytest.mark.parametrize(
    ("view", "word"),
    [
        ({"engine": "pin"}, "Caller enters a PIN"),
        ({"engine": "", "floor": Floor.HOLD}, "none is left"),
        ({"phase": Phase.ENDED}, "Cascade"),
    ],
)
def test_the_engines_word(panel: DetailsPanel, store: Store, view: dict[str, object], word: str) -> None:
    store.apply(CallChanged(call=billing_view(**view)))
    panel.refresh(CALL)
    assert (panel.engine.text(), panel.engine.isEnabled()) == (word, view.get("phase") is not Phase.ENDED)


def test_the_cost_is_told_by_vendor(panel: DetailsPanel) -> None:
    cost = next(label for label in panel.findChildren(QLabel) if label.text() == "$0.27")
    assert cost.toolTip().splitlines()[1:] == ["ElevenLabs $0.15", "Chat model $0.08", "Deepgram $0.04"]


@pytest.mark.parametrize(
    ("view", "words", "role"),
    [
        ({"cost_usd": 0.0, "tokens": 0}, "$0.00 of $0.50", ""),
        ({"cost_usd": 0.39}, "$0.39 of $0.50", ""),
        ({"cost_usd": 0.40}, "$0.40 of $0.50", "operator"),
        ({"cost_usd": 0.51, "phase": Phase.ENDED}, "$0.51 of $0.50", ""),
    ],
)
def test_the_cost_is_told_beside_the_budget(
    panel: DetailsPanel, store: Store, view: dict[str, object], words: str, role: str
) -> None:
    store.apply(CallChanged(call=billing_view(budget_usd=0.50, **view)))
    panel.refresh(CALL)
    cost = next(label for label in panel.findChildren(QLabel) if label.text() == words)
    assert (cost.property("role") or "") == role and "estimate" in cost.toolTip()


def test_nothing_of_it_is_cut_off_in_the_narrowest_column(panel: DetailsPanel, store: Store) -> None:
    panel.resize(240, 800)
    store.apply(CallChanged(call=billing_view(engine="openai")))
    panel.refresh(CALL)
    panel.grab()
    assert panel.engine.mapTo(panel, panel.engine.rect().topRight()).x() == 240 - 1 - px(16)


def test_it_says_why_the_call_needs_someone(panel: DetailsPanel) -> None:
    told = next(
        label for label in panel.findChildren(QLabel) if label.text() == "refund to approve\nasked for a person"
    )
    assert told.property("role") == "operator"
    assert {"2 caller · 0 you", "$0.27"} <= set(words(panel))
    assert any(word.startswith("Caller disputes") for word in words(panel))


def test_a_call_that_needs_nobody(panel: DetailsPanel, store: Store) -> None:
    quiet = billing_view(needs=(), cost_usd=0.0, tokens=0, session_expires_ms=None, summary="", recording=Recording.OFF)
    store.apply(CallChanged(call=quiet))
    panel.refresh("another")
    panel.refresh(CALL)
    told = words(panel)
    assert "nothing" in told
    assert not {"Session renews within", "Cost so far", "Plan so far", "Recording"} & set(told)


def test_the_time_until_the_session_rolls_over_counts_down(panel: DetailsPanel, store: Store) -> None:
    assert any(word in ("52:10", "52:09") for word in words(panel))
    store.apply(CallChanged(call=billing_view(session_expires_ms=CLOCK_MS + 61_000)))
    panel.refresh(CALL)
    soon = next(label for label in panel.findChildren(QLabel) if label.text() in ("01:01", "01:00"))
    assert soon.property("role") == "operator"
    panel._second.timeout.emit()


def test_each_answer_has_a_bar_and_its_words(panel: DetailsPanel) -> None:
    bars = panel.findChild(AnswerBars)
    assert bars.isVisible()
    assert bars.words.splitlines() == [
        "02:36  820 ms: end of speech 120 ms, model 640 ms, to the ear 60 ms",
        "02:43  1.4 s, by Cascade: end of speech 120 ms, words 90 ms, model's first token 350 ms, voice 280 ms, "
        "tool 260 ms, to the ear 300 ms",
        "02:58  690 ms: end of speech 120 ms, model 500 ms, to the ear 70 ms",
        "03:04  2.7 s, by Cascade: end of speech 120 ms, words 70 ms, model's first token 2.2 s, voice 220 ms, "
        "to the ear 90 ms, filler heard after 2.3 s, not counted",
    ]
    assert bars.heightForWidth(100) > bars.heightForWidth(400)
    assert bars.words_at(5).splitlines()[1] == "end of speech 120 ms"
    assert bars.words_at(10_000) == bars.words


def test_the_bar_under_the_mouse_is_told_in_words(panel: DetailsPanel) -> None:
    bars = panel.findChild(AnswerBars)
    help_at = QHelpEvent(QEvent.Type.ToolTip, QPoint(40, 30), bars.mapToGlobal(QPoint(40, 30)))
    QApplication.sendEvent(bars, help_at)
    assert QToolTip.text().startswith("02:43  1.4 s, by Cascade")
    QToolTip.hideText()


def test_a_filler_is_drawn_apart_from_the_answer(panel: DetailsPanel) -> None:
    bars = panel.findChild(AnswerBars)
    told = list(panel._store.calls[CALL].answers.values())
    bars.setFixedSize(bars.sizeHint())
    height, with_filler = bars.sizeHint().height(), bars.grab().toImage()
    bars.set_answers([replace(answer, filler_ms=0) for answer in told])
    assert bars.sizeHint().height() < height
    assert bars.grab().toImage() != with_filler
    bars.set_answers([])
    assert bars.sizeHint().height() < px(21)


def test_no_two_stages_look_alike() -> None:
    for one in Stage:
        for other in Stage:
            if one is not other and {one, other} != {Stage.MODEL, Stage.TOKEN}:
                assert LOOKS[one] != LOOKS[other]


def test_the_path_of_the_recording_can_be_copied(panel: DetailsPanel) -> None:
    copy(panel).click()
    assert QApplication.clipboard().text() == billing_view().recording_path


def test_an_ended_call_says_how_it_ended(panel: DetailsPanel, store: Store) -> None:
    ended = billing_view(phase=Phase.ENDED, end_cause="caller hung up", recording=Recording.DONE)
    store.apply(CallChanged(call=ended))
    panel.refresh(CALL)
    told = set(words(panel))
    assert {"caller hung up", "Recorded"} <= told
    assert not {"Why it needs you", "Session renews within"} & told


def test_no_call(panel: DetailsPanel, store: Store) -> None:
    store.apply(CallForgotten(call_id=CALL))
    panel.refresh(CALL)
    assert words(panel) == ["Choose a call to see how it is going."]
    copy(panel).click()


def test_stale_is_grey_and_another_theme_is_taken_up(panel: DetailsPanel, qapp: QApplication) -> None:
    plain = panel.grab().toImage()
    panel.set_stale(True)
    panel.set_stale(True)
    assert panel.grab().toImage() != plain
    panel.set_stale(False)
    theme.apply(qapp, "light", 1.0)
    assert "$0.27" in words(panel)
    theme.apply(qapp, "dark", 1.0)
    panel.hide()


def test_nothing_is_cut_off_at_twice_the_font_size(store: Store, qtbot: QtBot, qapp: QApplication) -> None:
    theme.apply(qapp, "dark", 2.0)
    panel = DetailsPanel(store)
    qtbot.addWidget(panel)
    panel.resize(600, 900)
    panel.show()
    panel.show_call(CALL)
    qtbot.waitUntil(lambda: panel.widget().width() == panel.viewport().width())
    assert panel.widget().minimumSizeHint().width() <= panel.viewport().width()
    theme.apply(qapp, "dark", 1.0)


# ── small widgets ─────────────────────────────────────────────────────────────────────────


def test_a_chip_has_a_word_and_a_role(qtbot: QtBot, store: Store) -> None:
    chip = StateChip("AI has the floor", "ai")
    qtbot.addWidget(chip)
    before = chip.grab().toImage()
    chip.set("You have the floor", "operator")
    chip.set("You have the floor", "operator")
    assert (chip.text, chip.role, chip.accessibleName()) == ("You have the floor", "operator", "You have the floor")
    assert chip.grab().toImage() != before
    assert chip.minimumSizeHint().width() < chip.sizeHint().width()
    chip.set("", "dim")
    chip.grab()


def test_a_sparkline_shows_the_newest_seconds_and_paints_only_what_is_new(qtbot: QtBot, store: Store) -> None:
    spark = Sparkline()
    qtbot.addWidget(spark)
    spark.resize(spark.sizeHint())
    assert spark.sizeHint() == QSize(84, 24)
    silent = spark.grab().toImage()
    caller, line = lane(60_000, (55_000, 57_000)), lane(60_000, (57_000, 60_000))
    spark.set_columns(caller, line, voices(line, operator_from_ms=58_500), True)
    live = spark.grab().toImage()
    spark.set_columns(caller, line, voices(line, operator_from_ms=58_500), False)
    over = spark.grab().toImage()
    seen = {live.pixelColor(x, 12).name() for x in range(84)}
    colours = theme.current()
    assert {colours.caller.name(), colours.ai.name(), colours.operator.name()} <= seen
    assert silent != live != over
    spark.set_columns(caller, line, bytes(len(line)), True)
    assert spark.grab().toImage() != live


def test_every_kind_of_mark_has_a_colour(store: Store) -> None:
    assert set(ROLES) == set(MarkerKind)
