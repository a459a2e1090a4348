"""The conversation on screen: order, sticking to now, marking and copying, folding."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QContextMenuEvent, QImage, QMouseEvent
from PySide6.QtWidgets import QApplication, QMenu, QPushButton
from pytestqt.qtbot import QtBot

from bridge.control import (
    CallChanged,
    CallForgotten,
    CallView,
    Floor,
    Party,
    Phase,
    TakeOverTimed,
    TakeOverView,
    ToolChanged,
    ToolState,
    ToolView,
    TurnChanged,
    TurnState,
    TurnView,
)
from console import theme
from console.panels.conversation import ConversationPanel
from console.store import Store
from console.widgets.entry_layout import EntryLayout, Look
from console.widgets.line_column import KEPT_LAYOUTS
from tests.console.scene import CALL, billing_view, desk


@pytest.fixture
def store(qapp: QApplication) -> Store:
    theme.apply(qapp, "dark", 1.0)
    return desk()


@pytest.fixture
def panel(store: Store, qtbot: QtBot) -> ConversationPanel:
    panel = ConversationPanel(store)
    qtbot.addWidget(panel)
    panel.resize(824, 500)
    panel.show()
    panel.show_call(CALL)
    return panel


def say(store: Store, number: int, text: str, start_ms: int | None = None, **more: object) -> None:
    turn = TurnView(
        call_id=CALL,
        turn_id=f"s{number}",
        order=100 + number,
        speaker=Party.CALLER,
        text=text,
        start_ms=200_000 + number * 1000 if start_ms is None else start_ms,
    )
    store.apply(TurnChanged(turn=replace(turn, **more)))


def talk(panel: ConversationPanel, store: Store, lines: int = 200) -> None:
    """A long conversation."""
    for number in range(lines):
        say(store, number, f"Line {number}. " + "And more words to fill it. " * (number % 5))
    panel.refresh(CALL)


def picture(panel: ConversationPanel) -> QImage:
    return panel.viewport().grab().toImage()


def pull(panel: ConversationPanel, start: QPoint, end: QPoint) -> None:
    """Press at one point of the viewport, move to another, release."""
    left = Qt.MouseButton.LeftButton
    steps = (
        (QEvent.Type.MouseButtonPress, start, left, left),
        (QEvent.Type.MouseMove, end, Qt.MouseButton.NoButton, left),
        (QEvent.Type.MouseButtonRelease, end, left, Qt.MouseButton.NoButton),
    )
    for kind, point, button, held in steps:
        place = QPointF(point)
        event = QMouseEvent(kind, place, place, button, held, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(panel.viewport(), event)


def at_bottom(panel: ConversationPanel) -> bool:
    return panel.verticalScrollBar().value() == panel.verticalScrollBar().maximum()


def jump(panel: ConversationPanel) -> QPushButton:
    return panel.findChild(QPushButton)


def lines_seen(panel: ConversationPanel) -> list[str]:
    panel.select_all()
    return panel.selected_text().split("\n")


def test_lines_stand_in_the_order_in_which_they_began(panel: ConversationPanel, store: Store) -> None:
    say(store, 1, "late but first", start_ms=1000)
    panel.refresh(CALL)
    told = lines_seen(panel)
    assert told[0] == "00:01  Caller: late but first"
    assert told[1].startswith("02:31  Caller: I was charged twice")
    assert told[-1].startswith("03:08  Caller: Can I please")


def test_a_line_that_learns_when_it_began_moves(panel: ConversationPanel, store: Store) -> None:
    say(store, 1, "hello")
    panel.refresh(CALL)
    say(store, 1, "hello", start_ms=10)
    panel.refresh(CALL)
    assert lines_seen(panel)[0] == "00:00  Caller: hello"


def test_markup_is_words(panel: ConversationPanel, store: Store) -> None:
    say(store, 1, "<b>bold</b> \u202egnp")
    panel.refresh(CALL)
    assert lines_seen(panel)[-1].endswith("<b>bold</b> [U+202E]gnp")


def test_it_stays_with_the_newest_line(panel: ConversationPanel, store: Store) -> None:
    talk(panel, store)
    assert at_bottom(panel) and not jump(panel).isVisible()
    say(store, 500, "the newest " * 60)
    panel.refresh(CALL)
    assert at_bottom(panel)


def test_it_stays_where_it_was_scrolled_to_and_jumps_to_now(
    panel: ConversationPanel, store: Store, qtbot: QtBot
) -> None:
    talk(panel, store)
    panel.verticalScrollBar().setValue(1500)
    assert jump(panel).isVisible()
    before = picture(panel).copy(0, 0, 780, 440)
    say(store, 500, "the newest")
    panel.refresh(CALL)
    assert picture(panel).copy(0, 0, 780, 440) == before
    say(store, 0, "an old line that has grown a lot " * 20)
    say(store, 600, "found late", start_ms=5)
    panel.refresh(CALL)
    assert picture(panel).copy(0, 0, 780, 440) == before
    qtbot.mouseClick(jump(panel), Qt.MouseButton.LeftButton)
    assert at_bottom(panel) and not jump(panel).isVisible()


def test_every_line_can_be_scrolled_to_though_heights_were_estimated(
    panel: ConversationPanel, store: Store, qtbot: QtBot
) -> None:
    talk(panel, store, KEPT_LAYOUTS + 100)
    bar = panel.verticalScrollBar()
    qtbot.keyClick(panel, Qt.Key.Key_Home)
    assert bar.value() == 0
    picture(panel)
    presses = 0
    while not at_bottom(panel):
        qtbot.keyClick(panel, Qt.Key.Key_PageDown)
        picture(panel)
        presses += 1
        assert presses < 200
    assert not jump(panel).isVisible()
    qtbot.keyClick(panel, Qt.Key.Key_Up)
    assert jump(panel).isVisible()
    qtbot.keyClick(panel, Qt.Key.Key_End)
    assert not jump(panel).isVisible()


def test_only_what_changed_is_painted(panel: ConversationPanel, store: Store) -> None:
    areas = []
    QApplication.processEvents()
    paint = panel.paintEvent
    panel.paintEvent = lambda event: (areas.append(event.rect()), paint(event))  # type: ignore[method-assign]
    panel.refresh(CALL)
    QApplication.processEvents()
    assert areas == []
    turn = store.calls[CALL].turns["t7"]
    store.apply(TurnChanged(turn=replace(turn, text=turn.text + "ng")))
    panel.refresh(CALL)
    QApplication.processEvents()
    assert [area.height() < 60 for area in areas] == [True]


def test_words_that_are_heard_come_to_full_colour(panel: ConversationPanel, store: Store) -> None:
    say(store, 1, "I can see two payments", speaker=Party.AI, state=TurnState.SPEAKING, heard_chars=0)
    panel.refresh(CALL)
    before = picture(panel)
    say(store, 1, "I can see two payments", speaker=Party.AI, state=TurnState.SPEAKING, heard_chars=13)
    panel.refresh(CALL)
    assert picture(panel) != before


# ── marking and copying ───────────────────────────────────────────────────────────────────


def test_marked_by_mouse_and_copied_as_plain_text(panel: ConversationPanel, qtbot: QtBot) -> None:
    plain = picture(panel)
    pull(panel, QPoint(160, 24), QPoint(800, 24))
    assert picture(panel) != plain
    qtbot.keyClick(panel, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.clipboard().text() == "I was charged twice for the March order, and nobody called me back."
    assert not QApplication.clipboard().mimeData().hasHtml()
    qtbot.keyClick(panel, Qt.Key.Key_Escape)
    assert panel.selected_text() == "" and picture(panel) == plain


def test_several_lines_are_copied_with_time_and_party(panel: ConversationPanel) -> None:
    pull(panel, QPoint(10, 24), QPoint(300, 52))
    first, second = panel.selected_text().split("\n")
    assert first == "02:31  Caller: I was charged twice for the March order, and nobody called me back."
    assert second.startswith("02:36  AI: I'm sorry") and len(second) < 60
    forwards = panel.selected_text()
    pull(panel, QPoint(300, 52), QPoint(10, 24))
    assert panel.selected_text() == forwards


def test_everything_can_be_marked_and_what_comes_later_is_not(
    panel: ConversationPanel, store: Store, qtbot: QtBot
) -> None:
    qtbot.keyClick(panel, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    marked = panel.selected_text()
    assert "find_payments" in marked and "[cut off by caller · 1.9 s heard]" in marked and "4711" not in marked
    say(store, 1, "early", start_ms=0)
    say(store, 2, "late")
    panel.refresh(CALL)
    assert panel.selected_text() == marked
    picture(panel)


def test_a_double_click_marks_a_word_and_shift_adds_to_it(panel: ConversationPanel, qtbot: QtBot) -> None:
    qtbot.mouseDClick(panel.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(190, 24))
    assert panel.selected_text().strip() in ("was", "charged")
    qtbot.mouseClick(panel.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier, QPoint(800, 24))
    assert panel.selected_text().endswith("me back.")


def test_characters_beyond_the_basic_plane_are_marked_whole(panel: ConversationPanel, store: Store) -> None:
    say(store, 1, "so 😀 glad", start_ms=0)
    panel.refresh(CALL)
    pull(panel, QPoint(160, 24), QPoint(800, 24))
    assert panel.selected_text() == "so 😀 glad"


def test_marking_beyond_the_edge_scrolls(panel: ConversationPanel, store: Store, qtbot: QtBot) -> None:
    talk(panel, store)
    panel.verticalScrollBar().setValue(1000)
    picture(panel)
    before = panel.verticalScrollBar().value()
    left, place = Qt.MouseButton.LeftButton, QPointF(300, 100)
    viewport = panel.viewport()
    for kind, y in ((QEvent.Type.MouseButtonPress, 100.0), (QEvent.Type.MouseMove, -40.0)):
        place = QPointF(300, y)
        QApplication.sendEvent(viewport, QMouseEvent(kind, place, place, left, left, Qt.KeyboardModifier.NoModifier))
    panel.cursor().setPos(viewport.mapToGlobal(QPoint(300, -40)))
    qtbot.waitUntil(lambda: panel.verticalScrollBar().value() < before - 100)
    release = QMouseEvent(
        QEvent.Type.MouseButtonRelease, place, place, left, Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(viewport, release)
    assert panel.selected_text()


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)
def test_the_menu_copies_and_unfolds(panel: ConversationPanel, store: Store, qtbot: QtBot) -> None:
    long = ToolView(call_id=CALL, tool_id="long", order=900, name="look", arguments='{"text": "' + "x" * 300 + '"}')
    store.apply(ToolChanged(tool=replace(long, start_ms=190_000)))
    panel.refresh(CALL)
    panel.select_all()
    point = QPoint(200, 30)
    event = QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, point, panel.mapToGlobal(point))
    QApplication.sendEvent(panel.viewport(), event)
    menu = panel.findChild(QMenu)
    copy, everything, _, whole = menu.actions()
    copy.trigger()
    everything.trigger()
    assert "x" * 300 not in QApplication.clipboard().text()
    whole.trigger()
    assert "x" * 300 in "\n".join(lines_seen(panel))
    menu.close()


# ── tool cards ────────────────────────────────────────────────────────────────────────────


def test_more_unfolds_one_card_and_less_folds_it(panel: ConversationPanel, store: Store, qtbot: QtBot) -> None:
    long = '{"text": "' + "x" * 300 + '"}'
    store.apply(
        ToolChanged(
            tool=ToolView(call_id=CALL, tool_id="long", order=900, name="look", arguments=long, state=ToolState.FAILED)
        )
    )
    panel.refresh(CALL)
    link = next(
        QPoint(x, y)
        for y in range(0, 120, 4)
        for x in range(160, 800, 4)
        if cursor_at(panel, QPoint(x, y)) is Qt.CursorShape.PointingHandCursor
    )
    qtbot.mouseClick(panel.viewport(), Qt.MouseButton.LeftButton, pos=link)
    assert "x" * 300 in "\n".join(lines_seen(panel))
    layout = EntryLayout(panel._column.entry(0), Look.for_width(300))
    assert layout.height > 100


def cursor_at(panel: ConversationPanel, point: QPoint) -> Qt.CursorShape:
    place = QPointF(point)
    none = Qt.MouseButton.NoButton
    event = QMouseEvent(QEvent.Type.MouseMove, place, place, none, none, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(panel.viewport(), event)
    return panel.viewport().cursor().shape()


# ── states ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("phase", "word"),
    [
        (Phase.RINGING, "Ringing"),
        (Phase.CONNECTING, "Connecting"),
        (Phase.LIVE, "Nobody has spoken yet"),
        (Phase.ENDED, "Nothing was said"),
    ],
)
def test_an_empty_conversation_says_why(panel: ConversationPanel, store: Store, phase: Phase, word: str) -> None:
    store.apply(CallChanged(call=CallView(call_id="empty", phase=phase)))
    panel.show_call("empty")
    assert panel.accessibleDescription().startswith(word)
    panel.refresh("empty")
    picture(panel)


def test_no_call(panel: ConversationPanel, store: Store, qtbot: QtBot) -> None:
    store.apply(CallForgotten(call_id=CALL))
    panel.refresh("another")
    panel.refresh(CALL)
    assert panel.accessibleDescription() == "No call is selected."
    assert panel.accessibleName() == "Conversation"
    pull(panel, QPoint(200, 20), QPoint(400, 90))
    qtbot.mouseDClick(panel.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(190, 24))
    panel.select_all()
    panel.copy()
    assert cursor_at(panel, QPoint(300, 30)) is Qt.CursorShape.ArrowCursor
    assert panel.selected_text() == ""


def test_the_newest_settled_line_is_there_for_screen_readers(panel: ConversationPanel, store: Store) -> None:
    assert panel.accessibleName() == "Conversation with +14155550142"
    say(store, 1, "Thank you.")
    panel.refresh(CALL)
    assert panel.accessibleDescription() == "03:21  Caller: Thank you."


def test_another_operators_name_is_taken_up(panel: ConversationPanel, store: Store) -> None:
    store.apply(CallChanged(call=billing_view(floor=Floor.OPERATOR, floor_holder="Maria")))
    panel.refresh(CALL)
    assert any("Maria → AI: Whisper" in line for line in lines_seen(panel))


def test_another_operators_lines_stay_theirs_when_they_have_the_floor_no_more(
    panel: ConversationPanel, store: Store
) -> None:
    store.apply(TakeOverTimed(take_over=TakeOverView(call_id=CALL, take_over_id="1", console="Maria", at_ms=0)))
    store.apply(CallChanged(call=billing_view(floor=Floor.AI)))
    panel.refresh(CALL)
    assert any("Maria → AI: Whisper" in line for line in lines_seen(panel))


def test_stale_is_grey(panel: ConversationPanel) -> None:
    plain = picture(panel)
    panel.set_stale(True)
    panel.set_stale(True)
    assert picture(panel) != plain
    panel.set_stale(False)
    assert picture(panel) == plain


def test_a_narrow_or_magnified_view_puts_words_under_their_party(
    panel: ConversationPanel, store: Store, qapp: QApplication
) -> None:
    talk(panel, store, 30)
    panel.resize(380, 300)
    picture(panel)
    assert at_bottom(panel)
    theme.apply(qapp, "light", 2.0)
    picture(panel)
    assert at_bottom(panel) and panel._column.look.stacked
    panel.resize(380, 320)
    assert at_bottom(panel)
    theme.apply(qapp, "dark", 1.0)


def test_who_comes_by_key_sees_where_they_are(panel: ConversationPanel) -> None:
    panel.activateWindow()
    panel.setFocus(Qt.FocusReason.MouseFocusReason)
    plain = picture(panel)
    panel.clearFocus()
    panel.setFocus(Qt.FocusReason.TabFocusReason)
    QApplication.sendEvent(panel, QEvent(QEvent.Type.FontChange))
    assert panel.hasFocus() == (picture(panel) != plain)
