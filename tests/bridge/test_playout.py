"""Playout: what leaves when, and what the caller has heard."""

from __future__ import annotations

from base64 import b64decode

import pytest

from bridge import playout
from bridge.playout import Cut, Heard, Playout


def speech(ms: int) -> bytes:
    return b"\x20" * (ms * 8)


def sent_ms(pieces: list[tuple[str, str]]) -> float:
    return sum(len(b64decode(payload)) for payload, _ in pieces) / 8


def marks(pieces: list[tuple[str, str]]) -> list[str]:
    return [name for _, name in pieces if name]


def heard_ms(heard: list[Heard]) -> float:
    return sum(len(piece.audio) for piece in heard) / 8


class Carrier:
    """Plays what it is sent in real time, ``lag_ms`` behind, and returns marks, which takes ``back_ms``.

    dry_ms: for how long it had nothing to play in between.
    """

    def __init__(self, out: Playout, lag_ms: float = 0.0, back_ms: float = 0.0) -> None:
        self.out, self.lag_ms, self.back_ms = out, lag_ms, back_ms
        self.dry_ms = 0.0
        self.end_ms = 0.0
        self.due_marks: list[tuple[float, str]] = []
        self.most_ahead_ms = 0.0
        self.played_ms = 0.0

    def tick(self, now_ms: float) -> None:
        while self.due_marks and self.due_marks[0][0] <= now_ms:
            assert self.out.marked(self.due_marks.pop(0)[1], now_ms)
        pieces, _ = self.out.due(now_ms)
        for payload, name in pieces:
            ms = len(b64decode(payload)) / 8
            if self.played_ms:
                self.dry_ms += max(0.0, now_ms + self.lag_ms - self.end_ms)
            self.played_ms += ms
            self.end_ms = max(self.end_ms, now_ms + self.lag_ms) + ms
            self.most_ahead_ms = max(self.most_ahead_ms, self.end_ms - now_ms)
            if name:
                self.due_marks.append((self.end_ms + self.back_ms, name))


def test_the_first_words_leave_at_once() -> None:
    out = Playout()
    out.push("a", speech(100))
    pieces, again_ms = out.due(1000)
    assert sent_ms(pieces) == 100
    assert again_ms is None


def test_a_long_reply_never_runs_further_ahead_than_the_lead() -> None:
    out = Playout()
    out.push("a", speech(10_000))
    carrier = Carrier(out)
    for now_ms in range(0, 11_000, 20):
        carrier.tick(now_ms)
    assert carrier.played_ms == 10_000
    assert carrier.most_ahead_ms <= playout.LEAD_MS


def test_the_next_look_is_when_there_is_room_for_a_top_up() -> None:
    out = Playout()
    out.push("a", speech(1000))
    pieces, again_ms = out.due(0)
    assert sent_ms(pieces) == playout.LEAD_MS
    assert again_ms == playout.TOP_UP_MS
    assert out.due(again_ms - 1)[0] == []
    pieces, _ = out.due(again_ms)
    assert sent_ms(pieces) == playout.TOP_UP_MS


def test_small_pieces_are_joined_once_there_is_a_lead() -> None:
    out = Playout()
    messages = 0
    for now_ms in range(0, 2000, 20):
        for _ in range(2):
            out.push("a", speech(20))
        messages += len(out.due(now_ms)[0])
    assert messages < 30


def test_a_piece_shorter_than_a_millisecond_leaves_where_there_is_room_for_it() -> None:
    out = Playout()
    out.push("a", speech(playout.LEAD_MS))
    out.due(0)
    out.push("b", b"\x20\x20")
    pieces, again_ms = out.due(0.5)
    assert (sent_ms(pieces), again_ms) == (0.25, None)


def test_marks_come_every_few_hundred_ms_and_at_the_end_not_per_piece() -> None:
    out = Playout()
    carrier = Carrier(out)
    names: list[str] = []
    for now_ms in range(0, 3100, 20):
        out.push("a", speech(20))
        carrier.tick(now_ms)
    names = [f"0:{number + 1}" for number in range(out._numbered)]
    assert 8 <= len(names) <= 11
    assert out.finish("a") == f"0:{len(names) + 1}"
    assert out.finish("a") == ""


def test_the_last_piece_of_a_finished_item_carries_a_mark() -> None:
    out = Playout()
    out.push("a", speech(250))
    out.push("b", speech(20))
    first, again_ms = out.due(0)
    assert marks(first) == []
    assert out.finish("a") == ""
    assert again_ms is not None
    rest, _ = out.due(again_ms)
    assert marks(rest) == ["0:1"]


def test_hearing_follows_the_clock_and_keeps_offsets() -> None:
    out = Playout()
    out.push("a", speech(200))
    out.due(1000)
    assert out.advance(1000) == []
    assert out.advance(1010) == []
    first = out.advance(1090)
    assert [(piece.item_id, piece.start_ms, piece.offset_ms, heard_ms([piece])) for piece in first] == [
        ("a", 1000, 0, 80)
    ]
    second = out.advance(2000)
    assert [(piece.start_ms, piece.offset_ms, heard_ms([piece])) for piece in second] == [(1080, 80, 120)]
    assert out.unheard_ms == 0
    assert out.playing == ""


def test_marks_read_after_a_stall_of_ours_say_nothing_about_the_ear() -> None:
    out = Playout()
    out.push("a", speech(2000))
    pieces, _ = out.due(0)
    sent = sent_ms(pieces)
    pieces, _ = out.due(sent - 100)
    (name,) = marks(pieces)
    sent += sent_ms(pieces)
    out.stalled()
    assert not out.marked(name, sent + 1000)
    assert heard_ms(out.advance(sent + 1000)) == sent
    pieces, _ = out.due(sent + 1000)
    assert sent_ms(pieces) == playout.LEAD_MS


def test_a_late_mark_moves_the_ear_back() -> None:
    out = Playout()
    carrier = Carrier(out, lag_ms=100)
    out.push("a", speech(2000))
    total_ms = 0.0
    for now_ms in range(0, 1000, 20):
        carrier.tick(now_ms)
        total_ms += heard_ms(out.advance(now_ms))
    assert 840 <= total_ms <= 900


@pytest.mark.parametrize(("lag_ms", "back_ms"), [(0, 0), (60, 40), (110, 80), (220, 120)])
def test_the_way_there_and_back_lets_nobody_run_dry(lag_ms: float, back_ms: float) -> None:
    out = Playout()
    carrier = Carrier(out, lag_ms, back_ms)
    out.push("a", speech(4000))
    for now_ms in range(0, 5000, 10):
        carrier.tick(now_ms)
    assert carrier.played_ms == 4000
    assert carrier.dry_ms == 0


def test_a_carrier_far_behind_is_let_catch_up() -> None:
    out = Playout()
    out.push("a", speech(5000))
    pieces, again_ms = out.due(0)
    assert again_ms is not None
    name = marks(pieces + out.due(again_ms)[0])[0]
    assert out.marked(name, 2000)
    sent = 0.0
    for now_ms in range(2000, 3000, 20):
        sent += sent_ms(out.due(now_ms)[0])
    assert sent <= playout.LEAD_MS


def test_a_carrier_that_never_returns_marks_makes_one_pause_and_no_more() -> None:
    out = Playout()
    carrier = Carrier(out, back_ms=10**9)
    out.push("a", speech(6000))
    for now_ms in range(0, 9000, 10):
        carrier.tick(now_ms)
    assert carrier.played_ms == 6000
    assert 0 < carrier.dry_ms <= playout.MARK_PATIENCE_MS
    name = carrier.due_marks[-1][1]
    assert out.marked(name, 9000)
    assert not out._unanswered


def test_an_overdue_mark_stops_the_ear_and_with_it_the_sending() -> None:
    out = Playout()
    out.push("a", speech(5000))
    sent = 0.0
    for now_ms in range(0, 2000, 20):
        sent += sent_ms(out.due(now_ms)[0])
    assert sent <= playout.MARK_MS * 2 + playout.LEAD_MS
    assert heard_ms(out.advance(2000)) <= 400


def test_marks_that_never_come_are_given_up_and_the_clock_decides() -> None:
    out = Playout()
    out.push("a", speech(400))
    _, again_ms = out.due(0)
    assert again_ms is not None
    out.due(again_ms)
    out.due(again_ms + 120)
    assert heard_ms(out.advance(5000)) == 400


def test_a_cut_tells_what_was_heard_and_what_was_not() -> None:
    out = Playout()
    out.push("a", speech(500))
    out.push("b", speech(100))
    out.push("c", speech(60))
    out.due(0)
    heard, cut = out.cut(100)
    assert heard_ms(heard) == 100
    assert cut.item_id == "a"
    assert cut.heard_ms == 100
    assert len(cut.unheard) / 8 == 560
    assert cut.needs_clear
    assert cut.dropped == ("b", "c")
    assert out.due(100) == ([], None)
    assert out.advance(10_000) == []


def test_marks_of_before_a_cut_say_nothing() -> None:
    out = Playout()
    out.push("a", speech(320))
    (pieces, again_ms) = out.due(0)
    assert again_ms is not None
    pieces += out.due(again_ms)[0]
    name = marks(pieces)[0]
    out.cut(150)
    assert not out.marked(name, 151)
    assert not out.marked("nonsense", 151)
    assert out.generation == 1


def test_a_cut_with_nothing_in_play_needs_no_clear() -> None:
    out = Playout()
    assert out.cut(10) == ([], Cut("", 0, b"", False))


def test_a_cut_before_anything_was_sent_heard_nothing() -> None:
    out = Playout()
    out.push("a", speech(100))
    assert out.playing == "a"
    _, cut = out.cut(10)
    assert (cut.item_id, cut.heard_ms, cut.needs_clear) == ("a", 0, False)


def test_a_cut_while_the_carrier_may_still_hold_the_last_piece_clears_it() -> None:
    out = Playout()
    out.push("a", speech(100))
    out.due(0)
    name = out.finish("a")
    assert name
    out.advance(100)
    _, cut = out.cut(101)
    assert cut.needs_clear
    assert cut.item_id == ""


def test_marks_may_come_back_several_at_once() -> None:
    out = Playout()
    out.push("a", speech(700))
    names: list[str] = []
    for now_ms in range(0, 700, 20):
        names += marks(out.due(now_ms)[0])
    assert len(names) == 2
    assert out.marked(names[1], 650)
    assert not out.marked(names[0], 651)


def test_more_than_can_wait_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playout, "MAX_WAITING_BYTES", 1000)
    out = Playout()
    out.push("a", speech(100))
    out.push("a", speech(100))
    assert out.overflow_bytes == 800
    assert out.unheard_ms == 100


def test_only_of_the_newest_items_it_is_known_how_much_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playout, "KEPT_ITEMS", 2)
    out = Playout()
    offsets_ms = []
    for number, item_id in enumerate(("a", "b", "b", "c", "b", "a")):
        out.push(item_id, speech(20))
        out.due(number * 100)
        offsets_ms += [heard.offset_ms for heard in out.advance(number * 100 + 50)]
    assert offsets_ms == [0, 0, 20, 0, 40, 0]


@pytest.mark.parametrize("cut_ms", range(0, 2200, 20))
def test_heard_never_exceeds_received_at_any_cut(cut_ms: int) -> None:
    out = Playout()
    carrier = Carrier(out, lag_ms=30)
    out.push("a", speech(2000))
    total_ms = 0.0
    for now_ms in range(0, cut_ms, 20):
        carrier.tick(now_ms)
        total_ms += heard_ms(out.advance(now_ms))
    heard, cut = out.cut(cut_ms)
    total_ms += heard_ms(heard)
    assert total_ms + len(cut.unheard) / 8 == 2000
    if cut.item_id:
        assert cut.heard_ms == total_ms


def test_how_far_ahead_the_carrier_is() -> None:
    out = Playout()
    assert out.ahead_ms(0) == 0
    out.push("a", speech(500))
    assert out.ahead_ms(0) == 500
    out.due(0)
    assert out.ahead_ms(100) == 400


def test_an_item_is_held_until_all_of_it_was_heard() -> None:
    out = Playout()
    out.push("a", speech(1000))
    out.push("b", speech(20))
    out.due(0)
    assert out.holds("a") and out.holds("b") and not out.holds("c")
    carrier, now_ms = Carrier(out), 0
    while out.holds("a"):
        now_ms += 20
        carrier.tick(now_ms)
        out.advance(now_ms)
    assert 1000 <= now_ms <= 1040 and out.holds("b")
    out.cut(now_ms)
    assert not out.holds("b")
