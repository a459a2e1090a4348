"""The picture of a call: what an operator sees, and what they are told changed."""

from __future__ import annotations

import pytest

from bridge import call as calls
from bridge import control, picture
from bridge.control import Floor, MarkerKind, Party, Phase, ToolState, ToolView, TurnKind, TurnState, Verb
from bridge.engines import Step
from bridge.picture import CALL, Key, Picture

LOUD = b"\x00" * 160


def new(told: list[Key] | None = None) -> Picture:
    return Picture(
        call_id="c1",
        call_sid="CA1",
        direction="inbound",
        number="+14155550142",
        place="San Francisco",
        profile="Billing",
        ring_unix_ms=1000,
        tell=(told if told is not None else []).append,
    )


def live(told: list[Key] | None = None) -> Picture:
    seen = new(told)
    seen.call.apply(calls.StreamStarted())
    seen.call.apply(calls.EngineReady())
    return seen


def tool(tool_id: str = "t1", state: ToolState = ToolState.RUNNING) -> ToolView:
    return ToolView(call_id="c1", tool_id=tool_id, order=1, name="find_payments", state=state)


def test_a_ringing_call_says_so_and_offers_only_to_hang_up() -> None:
    view = new().view()
    assert (view.phase, view.activity, view.allowed) == (Phase.RINGING, "Ringing", (Verb.HANG_UP,))
    assert "still ringing" in view.why_not[Verb.SAY]
    assert view.started_unix_ms == 1000


def test_what_happens_now_is_told_in_words() -> None:
    seen = new()
    seen.call.apply(calls.StreamStarted())
    assert seen.activity() == "Connecting the AI"
    seen.call.apply(calls.EngineReady())
    assert seen.activity() == "Listening"
    seen.thinking = True
    assert seen.activity() == "AI thinking"
    seen.tool(tool())
    assert seen.activity() == "Running find_payments"
    seen.line_voice = Party.AI
    assert (seen.activity(), seen.speaking) == ("AI speaking", Party.AI)
    seen.caller_speaking = True
    assert (seen.activity(), seen.speaking) == ("Caller speaking", Party.CALLER)
    seen.call.apply(calls.TakeOver("Ann"))
    assert seen.activity() == "Ann has the floor"
    seen.call.apply(calls.HangUp())
    assert seen.activity() == "Ending"
    seen.call.apply(calls.StreamStopped("x"))
    assert seen.activity() == "Ended · you hung up"
    assert seen.view().end_cause == "you hung up"


def test_a_muted_ai_is_told() -> None:
    seen = live()
    seen.call.apply(calls.MuteAI(True))
    view = seen.view()
    assert (view.ai_muted, view.activity, view.floor) == (True, "AI muted", Floor.NOBODY)


def test_needs_come_and_go_and_are_told_once() -> None:
    told: list[Key] = []
    seen = live(told)
    seen.need("person", "asks for a person")
    seen.need("person", "asks for a person")
    assert told == [CALL]
    assert seen.view().needs == ("asks for a person",)
    seen.met("silent")
    assert told == [CALL]
    seen.met("person", "silent")
    assert told == [CALL, CALL]
    assert seen.view().needs == ()


def test_an_ended_call_needs_nobody() -> None:
    seen = live()
    seen.need("person", "asks for a person")
    seen.call.apply(calls.StreamStopped("x"))
    assert seen.view().needs == ()


@pytest.mark.parametrize(
    ("words", "wants"),
    [
        ("Can I please speak to a real person about this?", True),
        ("Let me talk to your... talk to a supervisor", True),
        ("I would like to speak with someone", True),
        ("Is there an actual human there?", True),
        ("I spoke to him in person yesterday", False),
        ("Book it for one person", False),
    ],
)
def test_a_wish_for_a_person_is_heard(words: str, wants: bool) -> None:
    seen = live()
    seen.caller_said(words)
    assert bool(seen.needs) is wants


def test_who_has_a_person_on_the_line_needs_none() -> None:
    seen = live()
    seen.call.apply(calls.TakeOver("Ann"))
    seen.caller_said("I would really like to talk to somebody.")
    assert seen.view().needs == ()


def test_repeated_barge_ins_need_a_person() -> None:
    seen = live()
    for count in (1, 2, 3):
        seen.barge_in(count * 1000)
        assert bool(seen.needs) is (count == 3)
    assert seen.view().caller_interruptions == 3
    assert [marker.label for marker in seen.markers.values()] == ["barge-in"] * 3


def test_a_cut_is_counted_for_whoever_made_it() -> None:
    told: list[Key] = []
    seen = live(told)
    seen.transcript.reply_words("a1", "one two", 0)
    seen.cut(("a1",), Party.CALLER, 500)
    assert (seen.caller_interruptions, seen.operator_interruptions) == (1, 0)
    assert ("turn", "a1") in told
    seen.transcript.reply_words("a2", "three", 600)
    seen.cut(("a2",), Party.OPERATOR, 700)
    assert (seen.caller_interruptions, seen.operator_interruptions) == (1, 1)
    seen.cut(("",), Party.OPERATOR, 800)
    assert seen.operator_interruptions == 1


def test_an_answer_on_its_way_to_the_ear_is_no_idleness() -> None:
    seen = live()
    seen.wait_begins(1000, 1200)
    assert seen.activity() == "Listening"
    seen.first_audio("a1", 1500)
    assert seen.activity() == "AI thinking"
    seen.first_heard("a1", 1600)
    assert seen.activity() == "Listening" and len(seen.answers) == 1


def test_but_one_that_was_cut_before_it_was_heard_is_over() -> None:
    seen = live()
    seen.wait_begins(1000, 1200)
    seen.first_audio("a1", 1500)
    seen.cut(("a1",), Party.OPERATOR, 1550)
    assert seen.activity() == "Listening" and not seen.waited_ms(2000)


def test_what_waits_to_be_said_survives_a_barge_in_but_not_the_operators_own_cut() -> None:
    seen = live()
    request = seen.operator_line(TurnKind.SAY, "One moment.", 100)
    seen.cut((), Party.CALLER, 200)
    assert seen.transcript.view(request).state is TurnState.INTERIM
    seen.cut((), Party.OPERATOR, 300)
    assert seen.transcript.view(request).state is TurnState.CUT


def test_operator_acts_are_lines_and_markers() -> None:
    seen = live()
    seen.operator_line(TurnKind.WHISPER, "offer a refund", 100)
    seen.note("Ann took over", "took over", 200)
    assert [turn.text for turn in seen.transcript.views()] == ["offer a refund", "Ann took over"]
    assert [(m.kind, m.label) for m in seen.markers.values()] == [
        (MarkerKind.OPERATOR, "whisper"),
        (MarkerKind.OPERATOR, "took over"),
    ]


def test_the_end_of_a_call_closes_what_was_under_way() -> None:
    seen = live()
    seen.transcript.reply_words("a1", "never heard", 0)
    seen.tool(tool())
    seen.tool(tool("t2", ToolState.DONE))
    seen.finish()
    assert seen.transcript.view("a1").state is TurnState.CUT
    assert seen.tools["t1"].state is ToolState.EXPIRED
    assert seen.tools["t2"].state is ToolState.DONE


def test_the_wait_for_an_answer_is_told_in_stages_that_add_up() -> None:
    seen = live()
    assert seen.waited_ms(100) == 0
    seen.wait_begins(1000, 1500)
    assert seen.waited_ms(1700) == 700
    seen.tool_took(200)
    seen.first_audio("a1", 2000)
    assert seen.waited_ms(9000) == 0
    seen.tool_took(500)
    seen.first_audio("a2", 2100)
    seen.first_heard("a0", 2005)
    seen.first_heard("a1", 2020)
    (answer,) = seen.answers.values()
    assert (answer.at_ms, answer.end_of_speech_ms, answer.model_ms, answer.tool_ms, answer.ear_ms) == (
        1000,
        500,
        300,
        200,
        20,
    )
    seen.first_heard("a1", 2040)
    assert len(seen.answers) == 1


def test_the_steps_of_an_answer_are_told_for_it_and_for_each_vendor() -> None:
    seen = live()
    timed: list[tuple[str, str, float]] = []
    seen.timed = lambda vendor, step, ms: timed.append((vendor, step, ms))
    seen.engine = "cascade"
    seen.reached(Step.WORDS, "deepgram", 900)
    seen.filler_heard(950)
    seen.wait_begins(1000, 1120)
    seen.reached(Step.WORDS, "deepgram", 1200)
    seen.reached(Step.WORDS, "deepgram", 1300)
    seen.reached(Step.TOKEN, "chat", 1600)
    seen.filler_heard(3300)
    seen.filler_heard(5600)
    seen.reached(Step.SOUND, "elevenlabs", 6000)
    seen.first_audio("item", 6010)
    seen.first_heard("item", 6100)
    (answer,) = seen.answers.values()
    assert (answer.words_ms, answer.token_ms, answer.sound_ms, answer.filler_ms) == (200, 400, 4400, 2300)
    assert answer.engine == "cascade"
    assert timed == [
        ("deepgram", "words", 200),
        ("chat", "token", 400),
        ("elevenlabs", "sound", 4400),
        ("cascade", "answer", 5010),
    ]


def test_nobody_waits_once_the_caller_speaks_again() -> None:
    seen = live()
    seen.wait_begins(1000, 1500)
    seen.wait_ends()
    seen.tool_took(10)
    seen.first_audio("a1", 2000)
    seen.first_heard("a1", 2020)
    assert seen.answers == {}
    seen.wait_begins(1000, 1500)
    seen.first_heard("a1", 1600)
    assert seen.answers == {}


def test_raw_messages_are_kept_cut_and_counted() -> None:
    told: list[Key] = []
    seen = live(told)
    seen.message(10, "twilio", True, "clear", "")
    seen.message(20, "twilio", True, "clear", "")
    seen.message(30, "openai", False, "session.updated", "x" * 5000)
    first, second = seen.messages
    assert (first.count, first.number) == (2, 1)
    assert second.text.endswith("(5000 characters)")
    assert seen.event(("message", "1")) == control.MessageSeen(message=first)
    assert seen.event(("message", "99")) is None
    assert told == [("message", "1"), ("message", "1"), ("message", "2")]


def test_old_raw_messages_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = live()
    for number in range(picture.KEPT_MESSAGES + 5):
        seen.message(number, "openai", False, f"m{number}", "")
    assert len(seen.messages) == picture.KEPT_MESSAGES
    assert seen.event(("message", "1")) is None


def test_a_ghost_is_told_only_when_there_was_something_to_hear() -> None:
    told: list[Key] = []
    seen = live(told)
    seen.ghost(100, b"")
    assert told == []
    seen.ghost(100, LOUD)
    assert seen.event(told[0]) == control.GhostAdded(call_id="c1", first_column=5, peaks=b"\xff")


def test_a_snapshot_is_the_events_that_led_here() -> None:
    told: list[Key] = []
    seen = live(told)
    seen.transcript.words(Party.CALLER, "u1", "Hello", True, 100)
    seen.lines(["u1"])
    seen.tool(tool())
    seen.mark(200, MarkerKind.TOOL, "find_payments")
    seen.wait_begins(1, 2)
    seen.first_audio("a1", 3)
    seen.first_heard("a1", 4)
    seen.ghost(100, LOUD)
    assert [type(event) for event in seen.snapshot()] == [
        control.CallChanged,
        control.TurnChanged,
        control.ToolChanged,
        control.MarkerChanged,
        control.AnswerTimed,
        control.GhostAdded,
    ]
    assert {type(seen.event(key)) for key in told} == {type(event) for event in seen.snapshot()}
    seen.waveform.add_caller(0, LOUD * 3)
    assert list(seen.snapshot())[-1] == control.PeaksAdded(
        call_id="c1", first_column=0, caller=b"\xff" * 3, line=bytes(3), voice=bytes(3)
    )
    assert seen.peaks(2).caller == b"\xff"


def test_consumption_adds_up() -> None:
    seen = live()
    seen.used(100, 0.02)
    seen.used(50, 0.01)
    assert (seen.view().tokens, round(seen.view().cost_usd, 3)) == (150, 0.03)


def test_what_each_vendor_cost_is_told_apart() -> None:
    seen = live()
    seen.engine = "cascade"
    seen.used(100, 0.02)
    seen.used(0, 0.01, "deepgram")
    seen.used(0, 0.02, "deepgram")
    costs_usd = {vendor: round(cost_usd, 3) for vendor, cost_usd in seen.view().costs_usd.items()}
    assert costs_usd == {"cascade": 0.02, "deepgram": 0.03}


def test_an_engine_can_be_swapped_for_the_others_and_when_all_are_gone_for_any() -> None:
    seen = live()
    seen.engine, seen.engines, seen.coming = "openai", ("openai", "cascade"), "cascade"
    view = seen.view()
    assert (view.engine, view.engines, view.coming) == ("openai", ("cascade",), "cascade")
    seen.coming, seen.session_expires_ms = "", 3_600_000
    assert seen.view().session_expires_ms == 3_600_000
    seen.call.apply(calls.EngineGone("the AI was lost"))
    view = seen.view()
    assert (view.engine, view.engines, view.activity) == ("", ("openai", "cascade"), "No AI: take over")
    assert view.session_expires_ms is None
    assert {Verb.TAKE_OVER, Verb.SWAP} <= set(view.allowed)


def test_keys_and_take_overs_are_seen() -> None:
    told: list[Key] = []
    seen = live(told)
    seen.keys(Party.CALLER, "12", 500)
    view = control.TakeOverView(call_id="c1", take_over_id="1", console="Ann", at_ms=600)
    seen.take_over(view)
    events = [seen.event(key) for key in told]
    assert control.TakeOverTimed(take_over=view) in events
    assert control.TakeOverTimed(take_over=view) in list(seen.snapshot())
    assert any(isinstance(event, control.TurnChanged) and event.turn.text == "12" for event in events)


def test_a_privacy_hold_pauses_recording_and_messages() -> None:
    seen = live()
    seen.recording = control.Recording.ON
    seen.call.apply(calls.Privacy("Ann", True))
    seen.message(1, "twilio", False, "dtmf", "4")
    view = seen.view()
    assert (view.private, view.private_by, view.recording) == (True, "Ann", control.Recording.PAUSED)
    assert not seen.messages


def test_a_caller_on_hold_is_said_to_be() -> None:
    seen = live()
    seen.call.apply(calls.Hold("Ann"))
    assert seen.view().activity == "On hold"


def test_words_typed_in_a_privacy_hold_are_not_kept() -> None:
    seen = live()
    seen.call.apply(calls.Privacy("Ann", True))
    whisper = seen.operator_line(TurnKind.WHISPER, "the card ends in 1111", 100)
    note = seen.operator_line(TurnKind.NOTE, "A privacy hold began", 100)
    assert [seen.transcript.view(line).text for line in (whisper, note)] == [picture.NOT_KEPT, "A privacy hold began"]
