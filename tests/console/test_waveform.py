"""The selected call as sound."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from msgspec.structs import replace
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QHelpEvent, QImage, QWheelEvent
from PySide6.QtWidgets import QApplication, QToolTip
from pytestqt.qtbot import QtBot

from bridge.control import (
    COLUMN_MS,
    CallChanged,
    CallForgotten,
    Floor,
    GhostAdded,
    MarkerChanged,
    MarkerKind,
    MarkerView,
    PeaksAdded,
    Phase,
)
from console import theme
from console.panels.waveform import WaveformPanel
from console.store import Store
from console.timeline import DISPLAY_DELAY_MS, STALL_MS
from console.widgets.marks import placed_marks
from tests.console.scene import CALL, CLOCK_MS, billing_view, desk, lane, voices

NEWEST_MS = CLOCK_MS - DISPLAY_DELAY_MS


@pytest.fixture
def store(qapp: QApplication) -> Store:
    theme.apply(qapp, "dark", 1.0)
    return desk()


@pytest.fixture
def panel(store: Store, qtbot: QtBot) -> Iterator[WaveformPanel]:
    panel = WaveformPanel(store)
    qtbot.addWidget(panel)
    panel.resize(824, 170)
    panel.show()
    panel.show_call(CALL)
    panel.tick(1000.0)
    yield panel


def picture(panel: WaveformPanel) -> QImage:
    return panel.grab().toImage()


def has(image: QImage, colour: QColor, left: int, right: int) -> bool:
    """Whether a colour is anywhere between two x."""
    return any(image.pixelColor(x, y).rgb() == colour.rgb() for x in range(left, right) for y in range(image.height()))


def x_of(panel: WaveformPanel, at_ms: float) -> int:
    """Where a moment is."""
    return min(range(84, 804), key=lambda x: abs((panel.moment_at(x) or -1e9) - at_ms))


def add(store: Store, first_ms: int, caller: bytes, line: bytes, voice: bytes) -> None:
    store.apply(PeaksAdded(call_id=CALL, first_column=first_ms // COLUMN_MS, caller=caller, line=line, voice=voice))


def test_it_shows_the_last_forty_seconds_a_little_behind(panel: WaveformPanel) -> None:
    assert panel.span_ms == 40_000
    assert panel.edge_ms == pytest.approx(NEWEST_MS)
    assert panel.moment_at(803) == pytest.approx(NEWEST_MS, abs=200)
    assert panel.moment_at(84) == pytest.approx(NEWEST_MS - 40_000, abs=200)
    assert panel.moment_at(20) is None


def test_the_lower_lane_is_called_after_who_speaks_there_now(panel: WaveformPanel, store: Store) -> None:
    def called(**now: object) -> tuple[str, str]:
        store.apply(CallChanged(call=billing_view(**now)))
        panel.refresh(CALL)
        return panel.lower_name

    assert called() == ("AI", "ai")
    assert called(engine="keypad") == ("Keypad menu", "ai")
    assert called(ai_muted=True) == ("AI muted", "ai")
    assert called(floor=Floor.HOLD) == ("On hold", "dim")
    assert called(floor=Floor.OPERATOR) == ("You", "operator")
    assert called(floor=Floor.OPERATOR, phase=Phase.ENDED) == ("AI", "ai")


def test_each_lane_has_its_partys_colour_and_unheard_speech_is_a_ghost(panel: WaveformPanel) -> None:
    colours, image = theme.current(), picture(panel)
    caller, ai, cut = x_of(panel, 156_000), x_of(panel, 165_000), x_of(panel, 172_500)
    assert has(image, colours.caller, caller, caller + 8) and not has(image, colours.ai, caller, caller + 8)
    assert has(image, colours.ai, ai, ai + 8)
    assert has(image, theme.mixed(colours.panel, colours.ai, 0.26), cut, cut + 8)
    assert not has(image, colours.ai, cut, cut + 8)


def test_it_moves_with_the_clock_between_messages_but_not_past_what_is_known(panel: WaveformPanel) -> None:
    panel.tick(1100.0)
    assert panel.edge_ms == pytest.approx(NEWEST_MS + 100)
    panel.tick(60_000.0)
    assert panel.edge_ms == pytest.approx(CLOCK_MS + STALL_MS)


def test_it_never_jerks_when_columns_come_in_uneven_batches(panel: WaveformPanel, store: Store) -> None:
    arrivals = {1080: 100, 1210: 100, 1260: 100, 1390: 100, 1500: 100, 1590: 100}
    known_ms, edges = CLOCK_MS, []
    for now_ms in range(1000, 1600, 10):
        if now_ms in arrivals:
            columns = bytes([90]) * (arrivals[now_ms] // COLUMN_MS)
            add(store, known_ms, columns, columns, columns)
            known_ms += arrivals[now_ms]
            panel.refresh(CALL)
        panel.tick(float(now_ms))
        edges.append(panel.edge_ms)
    steps = [after - before for before, after in pairwise(edges)]
    assert all(0 <= step <= 30 for step in steps)


def test_new_columns_are_drawn_where_they_belong(panel: WaveformPanel, store: Store) -> None:
    operator = bytes([200]) * 50
    add(store, CLOCK_MS, bytes(50), operator, bytes([2]) * 50)
    store.apply(CallChanged(call=billing_view(floor=Floor.OPERATOR)))
    panel.refresh(CALL)
    panel.tick(1000.0)
    panel.tick(2000.0)
    assert has(picture(panel), theme.current().operator, x_of(panel, CLOCK_MS + 400), 804)


def test_columns_that_are_put_right_are_drawn_anew(panel: WaveformPanel, store: Store) -> None:
    silent = lane(CLOCK_MS)
    add(store, 0, silent, silent, voices(silent))
    panel.refresh(CALL)
    x = x_of(panel, 156_000)
    assert not has(picture(panel), theme.current().caller, x, x + 8)


def test_a_ghost_inside_an_older_one_is_drawn(panel: WaveformPanel, store: Store) -> None:
    store.apply(GhostAdded(call_id=CALL, first_column=171_000 // COLUMN_MS, peaks=bytes(90)))
    panel.refresh(CALL)
    ghost = theme.mixed(theme.current().panel, theme.current().ai, 0.26)
    x = x_of(panel, 171_400)
    assert not has(picture(panel), ghost, x, x + 8)


def test_a_tick_that_moves_nothing_paints_nothing(panel: WaveformPanel, qtbot: QtBot) -> None:
    painted = []
    panel.paintEvent = lambda event: painted.append(event)  # type: ignore[method-assign]
    QApplication.processEvents()
    painted.clear()
    panel.tick(1000.5)
    QApplication.processEvents()
    assert painted == []


def test_zoom_by_wheel_and_keys_from_ten_seconds_to_the_whole_call(panel: WaveformPanel, qtbot: QtBot) -> None:
    for _ in range(4):
        qtbot.keyClick(panel, Qt.Key.Key_Plus)
    assert panel.span_ms == 10_000
    for _ in range(9):
        wheel(panel, -120, Qt.KeyboardModifier.ControlModifier)
    assert panel.span_ms >= CLOCK_MS
    assert panel.moment_at(84) == pytest.approx(0, abs=500)
    assert panel.moment_at(803) is None
    assert has(picture(panel), theme.current().caller, 84, 804)
    wheel(panel, 120, Qt.KeyboardModifier.ControlModifier)
    assert panel.span_ms == 160_000


def wheel(panel: WaveformPanel, turn: int, keys: Qt.KeyboardModifier) -> None:
    place = QPointF(300, 60)
    event = QWheelEvent(
        place, place, QPoint(), QPoint(0, turn), Qt.MouseButton.NoButton, keys, Qt.ScrollPhase.NoScrollPhase, False
    )
    QApplication.sendEvent(panel, event)


def test_moving_back_holds_the_picture_until_end_is_pressed(panel: WaveformPanel, qtbot: QtBot) -> None:
    qtbot.keyClick(panel, Qt.Key.Key_Left)
    held = panel.moment_at(400)
    panel.tick(1200.0)
    assert panel.moment_at(400) == held
    assert held == pytest.approx(NEWEST_MS - 8000 - 40_000 * 404 / 720, abs=300)
    qtbot.keyClick(panel, Qt.Key.Key_Home)
    assert panel.moment_at(84) == pytest.approx(0, abs=200)
    qtbot.keyClick(panel, Qt.Key.Key_Right)
    wheel(panel, -120, Qt.KeyboardModifier.NoModifier)
    qtbot.keyClick(panel, Qt.Key.Key_End)
    assert panel.moment_at(803) == pytest.approx(NEWEST_MS + 200, abs=200)
    qtbot.keyClick(panel, Qt.Key.Key_F9)


def test_a_short_call_grows_from_the_right(store: Store, qtbot: QtBot) -> None:
    panel = WaveformPanel(store)
    qtbot.addWidget(panel)
    panel.resize(824, 170)
    store.apply(CallChanged(call=replace(billing_view(), call_id="young", clock_ms=0)))
    panel.show_call("young")
    panel.tick(5.0)
    assert panel.edge_ms == 0
    loud = bytes([200]) * 100
    store.apply(PeaksAdded(call_id="young", first_column=0, caller=loud, line=bytes(100), voice=bytes(100)))
    panel.refresh("young")
    panel.tick(1000.0)
    assert panel.moment_at(300) is None
    assert panel.moment_at(800) == pytest.approx(2000 - DISPLAY_DELAY_MS, abs=300)
    image = picture(panel)
    assert has(image, theme.current().caller, 780, 804) and not has(image, theme.current().caller, 84, 600)


def test_an_ended_call_is_shown_whole(panel: WaveformPanel, store: Store) -> None:
    store.apply(CallChanged(call=billing_view(phase=Phase.ENDED, floor=Floor.NOBODY)))
    panel.refresh(CALL)
    panel.tick(2000.0)
    assert panel.span_ms == CLOCK_MS
    assert panel.moment_at(84) == pytest.approx(0, abs=500)
    assert panel.moment_at(802) == pytest.approx(CLOCK_MS, abs=1000)
    add(store, CLOCK_MS, bytes([9]), bytes([9]), bytes([1]))
    panel.refresh(CALL)
    assert panel.edge_ms == CLOCK_MS + COLUMN_MS
    panel.zoom(1)
    panel.refresh(CALL)
    assert panel.span_ms == 160_000
    picture(panel)


def test_marks_have_their_word_and_colour(panel: WaveformPanel, store: Store) -> None:
    marker = MarkerView(call_id=CALL, marker_id="x", at_ms=160_000, kind=MarkerKind.TROUBLE, label="stream lost")
    x = x_of(panel, 160_000)
    assert not has(picture(panel), theme.current().danger, x, x + 60)
    store.apply(MarkerChanged(marker=marker))
    store.apply(MarkerChanged(marker=replace(marker, marker_id="y", at_ms=161_500, kind=MarkerKind.DTMF, label="5")))
    panel.refresh(CALL)
    assert has(picture(panel), theme.current().danger, x, x + 60)


def test_a_mark_tells_the_whole_of_itself_under_the_mouse(panel: WaveformPanel, store: Store) -> None:
    cause = "barge-in · 0.4 s, -12 dB, “wait no”"
    marker = MarkerView(call_id=CALL, marker_id="x", at_ms=160_000, kind=MarkerKind.BARGE_IN, label=cause)
    for more in ({}, {"marker_id": "y", "at_ms": 160_400}, {"marker_id": "z", "at_ms": 160_800}):
        store.apply(MarkerChanged(marker=replace(marker, **more)))
    panel.refresh(CALL)
    picture(panel)
    x = x_of(panel, 160_000)
    told = [panel.words_at(QPointF(x + 3, y)) for y in range(panel.height())]
    assert f"02:40  {cause}" in told
    assert panel.words_at(QPointF(x, 5)) == ""
    at = QPoint(x + 3, told.index(f"02:40  {cause}"))
    QApplication.sendEvent(panel, QHelpEvent(QEvent.Type.ToolTip, at, panel.mapToGlobal(at)))
    assert QToolTip.text() == f"02:40  {cause}"
    QToolTip.hideText()
    panel.show_call("nobody's")
    assert panel.words_at(QPointF(at)) == ""


def test_a_marks_cause_gives_way_before_its_name(qapp: QApplication) -> None:
    theme.apply(qapp, "dark", 1.0)
    label = "barge-in · 0.4 s, -12 dB, “wait no”"
    markers = [
        MarkerView(call_id=CALL, marker_id=str(at), at_ms=at, kind=MarkerKind.BARGE_IN, label=label)
        for at in (0, 120, 260, 600)
    ]
    words = [mark.text.text() for mark in placed_marks(markers, int, 1.0, 1, None) if mark.text is not None]
    assert words[-1] == label
    assert words[-2] == label
    assert words[:2] == ["barge-in", "barge-in"]
    keys = MarkerView(call_id=CALL, marker_id="k", at_ms=0, kind=MarkerKind.DTMF, label="keys ••••••")
    assert placed_marks([keys], int, 1.0, 1, None)[0].words == "00:00  keys ••••"
    swapped = MarkerView(call_id=CALL, marker_id="e", at_ms=0, kind=MarkerKind.ENGINE, label="engine: cascade")
    assert placed_marks([swapped], int, 1.0, 1, None)[0].words == "00:00  engine: Cascade"


def test_hovering_tells_the_time(panel: WaveformPanel, qtbot: QtBot) -> None:
    plain = picture(panel)
    qtbot.mouseMove(panel, QPoint(400, 60))
    qtbot.waitUntil(lambda: picture(panel) != plain)
    qtbot.mouseMove(panel, QPoint(800, 60))
    QApplication.sendEvent(panel, QEvent(QEvent.Type.Leave))
    assert picture(panel) == plain


@pytest.mark.parametrize(
    "changes",
    [
        {"floor": Floor.HOLD},
        {"ai_muted": True},
        {"floor": Floor.OPERATOR, "floor_holder": "Maria"},
        {"floor": Floor.OPERATOR, "floor_holder": "desk"},
    ],
)
def test_the_lower_lane_says_whom_the_caller_hears(
    panel: WaveformPanel, store: Store, changes: dict[str, object]
) -> None:
    plain = picture(panel).copy(0, 80, 84, 40)
    store.apply(CallChanged(call=billing_view(**changes)))
    panel.refresh(CALL)
    panel.update()
    assert picture(panel).copy(0, 80, 84, 40) != plain


def test_a_stale_picture_is_grey_and_still(panel: WaveformPanel) -> None:
    panel.set_stale(True)
    panel.set_stale(True)
    edge_ms = panel.edge_ms
    panel.tick(5000.0)
    assert panel.edge_ms == edge_ms
    x = x_of(panel, 156_000)
    assert not has(picture(panel), theme.current().caller, x, x + 8)
    panel.set_stale(False)
    panel.tick(9000.0)
    assert has(picture(panel), theme.current().caller, x, x + 8)


def test_no_call_or_one_that_is_gone_is_an_empty_panel(panel: WaveformPanel, store: Store, qtbot: QtBot) -> None:
    panel.refresh("another")
    store.apply(CallForgotten(call_id=CALL))
    panel.refresh(CALL)
    panel.show_call(CALL)
    panel.tick(1.0)
    assert not has(picture(panel), theme.current().caller, 0, 824)
    assert panel.moment_at(400) is None
    panel.zoom(1)
    qtbot.keyClick(panel, Qt.Key.Key_Left)


def test_a_new_snapshot_replaces_the_call_under_it(panel: WaveformPanel, store: Store) -> None:
    store.begin_snapshot()
    for event in (CallChanged(call=billing_view(clock_ms=1000)),):
        store.apply(event)
    panel.refresh(CALL)
    panel.tick(1.0)
    assert panel.edge_ms == 0


def test_it_is_drawn_anew_in_another_theme_and_size(panel: WaveformPanel, qapp: QApplication) -> None:
    theme.apply(qapp, "light", 1.0)
    assert has(picture(panel), theme.current().caller, 84, 804)
    panel.resize(500, 112)
    assert has(picture(panel), theme.current().caller, 84, 480)
    theme.apply(qapp, "dark", 1.0)


def test_who_comes_by_key_sees_where_they_are(panel: WaveformPanel) -> None:
    panel.setFocus(Qt.FocusReason.MouseFocusReason)
    plain = picture(panel)
    panel.clearFocus()
    panel.activateWindow()
    panel.setFocus(Qt.FocusReason.TabFocusReason)
    QApplication.sendEvent(panel, QEvent(QEvent.Type.FontChange))
    assert panel.hasFocus() == (picture(panel) != plain)
