"""The mirror: whatever order events come in, the newest object stands at its place."""

from __future__ import annotations

from bridge import control
from bridge.control import (
    AnswerView,
    CallView,
    HealthPart,
    HealthState,
    HealthView,
    MarkerKind,
    MarkerView,
    MessageView,
    Party,
    Phase,
    TakeOverView,
    ToolState,
    ToolView,
    TurnView,
    VendorView,
)
from console.store import KEPT_MESSAGES, Line, Store


def a_store(*views: CallView) -> Store:
    store = Store()
    for view in views or (CallView(call_id="c1"),):
        store.apply(control.CallChanged(call=view))
    return store


def a_turn(turn_id: str, start_ms: int, order: int = 0, text: str = "") -> control.TurnChanged:
    view = TurnView(call_id="c1", turn_id=turn_id, order=order, speaker=Party.CALLER, start_ms=start_ms, text=text)
    return control.TurnChanged(turn=view)


def a_tool(tool_id: str, start_ms: int, state: ToolState = ToolState.ASKED) -> control.ToolChanged:
    return control.ToolChanged(
        tool=ToolView(call_id="c1", tool_id=tool_id, order=9, name="find_payments", state=state, start_ms=start_ms)
    )


def peaks(first: int, caller: bytes) -> control.PeaksAdded:
    return control.PeaksAdded(
        call_id="c1", first_column=first, caller=caller, line=bytes(len(caller)), voice=bytes(len(caller))
    )


def test_a_call_is_announced_then_replaced() -> None:
    store = a_store()
    call = store.calls["c1"]
    assert store.apply(control.CallChanged(call=CallView(call_id="c1", phase=Phase.LIVE))) == "c1"
    assert store.calls["c1"] is call
    assert call.view.phase is Phase.LIVE


def test_lines_stand_in_the_order_in_which_they_began_not_in_which_they_came() -> None:
    store = a_store()
    for event in (a_turn("late", 3000), a_tool("lookup", 2000), a_turn("early", 1000)):
        assert store.apply(event) == "c1"
    assert [line.key for line in store.calls["c1"].lines] == ["turn:early", "tool:lookup", "turn:late"]


def test_a_line_that_learns_a_better_start_moves_and_is_never_doubled() -> None:
    store = a_store()
    for event in (a_turn("a", 1000), a_turn("b", 2000), a_turn("b", 500, text="now earlier"), a_turn("a", 1000)):
        store.apply(event)
    call = store.calls["c1"]
    assert call.lines == [Line(500, 0, "turn:b"), Line(1000, 0, "turn:a")]
    assert call.turns["b"].text == "now earlier"


def test_a_tool_card_is_replaced_in_place() -> None:
    store = a_store()
    store.apply(a_tool("lookup", 2000))
    store.apply(a_tool("lookup", 2000, ToolState.DONE))
    assert len(store.calls["c1"].lines) == 1
    assert store.calls["c1"].tools["lookup"].state is ToolState.DONE


def test_waveform_columns_go_to_their_place_and_a_gap_is_silence() -> None:
    store = a_store()
    store.apply(peaks(0, b"\x01\x02"))
    store.apply(peaks(4, b"\x05"))
    store.apply(peaks(1, b"\x09"))
    call = store.calls["c1"]
    assert bytes(call.caller) == b"\x01\x09\x00\x00\x05"
    assert len(call.line) == len(call.voice) == 5
    assert store.apply(control.GhostAdded(call_id="c1", first_column=1, peaks=b"\x07")) == "c1"
    assert bytes(call.ghost) == b"\x00\x07"


def test_markers_answers_and_messages_belong_to_their_call() -> None:
    store = a_store()
    marker = MarkerView(call_id="c1", marker_id="m", at_ms=5, kind=MarkerKind.BARGE_IN, label="barge-in")
    answer = AnswerView(call_id="c1", answer_id="a", at_ms=5, end_of_speech_ms=1, model_ms=2, tool_ms=3, ear_ms=4)
    message = MessageView(call_id="c1", number=1, at_ms=5, peer="carrier", outbound=False, name="start")
    take_over = TakeOverView(call_id="c1", take_over_id="t", console="me", at_ms=5)
    assert store.apply(control.TakeOverTimed(take_over=take_over)) == "c1"
    assert store.calls["c1"].take_overs == {"t": take_over}
    assert store.apply(control.MarkerChanged(marker=marker)) == "c1"
    assert store.apply(control.AnswerTimed(answer=answer)) == "c1"
    assert store.apply(control.MessageSeen(message=message)) == "c1"
    call = store.calls["c1"]
    assert (call.markers, call.answers, list(call.messages)) == ({"m": marker}, {"a": answer}, [message])
    assert call.messages.maxlen == KEPT_MESSAGES


def test_objects_of_a_call_that_was_never_announced_are_ignored() -> None:
    store = Store()
    marker = MarkerView(call_id="c1", marker_id="m", at_ms=5, kind=MarkerKind.TOOL, label="")
    answer = AnswerView(call_id="c1", answer_id="a", at_ms=5, end_of_speech_ms=1, model_ms=2, tool_ms=3, ear_ms=4)
    message = MessageView(call_id="c1", number=1, at_ms=5, peer="carrier", outbound=False, name="start")
    for event in (
        a_turn("a", 0),
        a_tool("t", 0),
        peaks(0, b"\x01"),
        control.GhostAdded(call_id="c1", first_column=0, peaks=b"\x01"),
        control.MarkerChanged(marker=marker),
        control.AnswerTimed(answer=answer),
        control.MessageSeen(message=message),
        control.TakeOverTimed(take_over=TakeOverView(call_id="c1", take_over_id="t", console="me", at_ms=5)),
    ):
        assert store.apply(event) == "c1"
    assert not store.calls


def test_the_desk_itself_has_health_notices_and_an_attachment() -> None:
    store = a_store()
    health = HealthView(part=HealthPart.TUNNEL, state=HealthState.RED, word="down")
    attached = control.Attached(version=1, console="me", rehearsal=True, bridge_pid=1, home="/h")
    notice = control.Notice(text="disk nearly full")
    assert store.apply(control.HealthChanged(health=health)) == ""
    assert store.apply(attached) == ""
    assert store.apply(notice) == ""
    assert store.apply(control.Done(id=1)) == ""
    assert store.apply(control.Refused(id=2, reason="no")) == ""
    assert store.health == {HealthPart.TUNNEL: health}
    assert store.attached is attached
    assert list(store.notices) == [notice]


def test_a_new_snapshot_forgets_the_old_state() -> None:
    store = a_store()
    store.apply(control.HealthChanged(health=HealthView(part=HealthPart.BRIDGE, state=HealthState.GREEN, word="ok")))
    store.begin_snapshot()
    assert not store.calls
    assert not store.health
    assert store.attached is None


def test_a_forgotten_call_is_gone() -> None:
    store = a_store()
    assert store.apply(control.CallForgotten(call_id="c1")) == "c1"
    assert store.apply(control.CallForgotten(call_id="c1")) == "c1"
    assert not store.calls


def test_calls_stand_most_urgent_first() -> None:
    def view(call_id: str, phase: Phase, started: int, *needs: str) -> CallView:
        return CallView(call_id=call_id, phase=phase, started_unix_ms=started, needs=needs, cost_usd=0.5)

    store = a_store(
        view("old ended", Phase.ENDED, 1, "asked for a person"),
        view("new ended", Phase.ENDED, 2),
        view("ringing", Phase.RINGING, 3),
        view("connecting", Phase.CONNECTING, 4),
        view("calm", Phase.LIVE, 5),
        view("urgent", Phase.LIVE, 6, "asked for a person"),
    )
    order = [call.view.call_id for call in store.most_urgent_first()]
    assert order == ["urgent", "connecting", "calm", "ringing", "new ended", "old ended"]
    assert store.live_count == 3
    assert store.needing_count == 1
    assert store.cost_usd == 3.0


def test_what_is_no_event_changes_nothing() -> None:
    store = a_store()
    store.apply(control.Shutdown(id=1))  # type: ignore[arg-type]
    assert list(store.calls) == ["c1"]


def test_the_newest_figures_of_a_vendors_step_stand() -> None:
    store = a_store()
    first = VendorView(vendor="deepgram", step="words", p50_ms=400, p95_ms=500, turns=1)
    second = VendorView(vendor="deepgram", step="words", p50_ms=410, p95_ms=520, turns=2)
    for view in (first, second):
        assert store.apply(control.VendorTimed(vendor=view)) == ""
    assert store.vendors == {("deepgram", "words"): second}
    store.begin_snapshot()
    assert not store.vendors
