"""The transcript: order by speech, words by what was heard."""

from __future__ import annotations

from bridge.control import Party, TurnKind, TurnState
from bridge.transcript import Transcript, spoken_words

SECOND = 8000


def new() -> Transcript:
    return Transcript("c1")


def texts(transcript: Transcript) -> list[str]:
    return [view.text for view in transcript.views()]


def test_the_callers_words_appear_as_they_come() -> None:
    lines = new()
    assert lines.began(Party.CALLER, "u1", 1000) == ["u1"]
    assert lines.began(Party.CALLER, "u1", 1000) == []
    lines.words(Party.CALLER, "u1", "Can I", False, 1500)
    assert lines.view("u1").state is TurnState.INTERIM
    assert lines.ended("u1", 2000) == ["u1"]
    lines.words(Party.CALLER, "u1", "Can I speak to someone?", True, 2600)
    view = lines.view("u1")
    assert (view.state, view.start_ms, view.end_ms) == (TurnState.FINAL, 1000, 2000)
    assert view.heard_chars == len("Can I speak to someone?")


def test_lines_are_ordered_by_when_speech_began_not_by_arrival() -> None:
    lines = new()
    lines.began(Party.CALLER, "u1", 1000)
    lines.reply_words("a1", "Sure.", 2500)
    lines.heard("a1", 2600, 800)
    lines.words(Party.CALLER, "u1", "Hello?", True, 4000)
    lines.words(Party.CALLER, "u0", "Early words", True, 500)
    assert texts(lines) == ["Early words", "Hello?", "Sure."]


def test_unknown_items_of_the_caller_are_ignored_when_they_stop() -> None:
    assert new().ended("nobody", 10) == []


def test_a_cough_is_a_line_without_words() -> None:
    lines = new()
    lines.words(Party.CALLER, "u1", " ", True, 100)
    assert lines.view("u1").remark == "no words"


def test_a_failed_transcription_says_so_and_keeps_what_there_was() -> None:
    lines = new()
    lines.began(Party.CALLER, "u1", 100)
    lines.words(Party.CALLER, "u1", "half a", False, 200)
    lines.words_failed(Party.CALLER, "u1", 300)
    assert (lines.view("u1").text, lines.view("u1").remark) == ("half a", "not transcribed")
    lines.words_failed(Party.CALLER, "u2", 300)
    assert lines.view("u2").remark == "not transcribed"


def test_a_turn_that_another_engine_hears_again_stays_one_line() -> None:
    lines = new()
    lines.began(Party.CALLER, "u1", 100)
    lines.words(Party.CALLER, "u1", "half a", False, 200)
    lines.words_failed(Party.CALLER, "u1", 300)
    assert lines.taken_up("u1", "v1") == ["u1"]
    assert (lines.view("u1").state, lines.view("u1").remark) == (TurnState.INTERIM, "")
    assert lines.began(Party.CALLER, "v1", 120) == []
    assert lines.taken_up("v1", "w1") == ["u1"] and lines.ended("w1", 900) == ["u1"]
    assert lines.words(Party.CALLER, "w1", "half a turn", True, 1000) == ["u1"]
    view = lines.view("u1")
    assert (texts(lines), view.start_ms, view.end_ms, view.remark) == (["half a turn"], 100, 900, "")
    assert lines.words_failed(Party.CALLER, "w1", 1100) == ["u1"]


def test_a_turn_that_nobody_knows_is_not_taken_up() -> None:
    lines = new()
    assert lines.taken_up("u1", "v1") == []
    assert lines.began(Party.CALLER, "v1", 120) == ["v1"]


def test_the_ais_lines_name_the_engine_that_spoke_them() -> None:
    lines = new()
    lines.engine = "cascade"
    lines.reply_words("a1", "One moment.", 0)
    lines.engine = "keypad"
    lines.reply_words("a1", " Please.", 0)
    lines.reply_words("a2", "Press 1.", 10)
    lines.began(Party.CALLER, "u1", 20)
    assert [(view.text, view.engine) for view in lines.views()] == [
        ("One moment. Please.", "cascade"),
        ("Press 1.", "keypad"),
        ("", ""),
    ]


def test_keys_stand_before_what_was_said_to_them_at_once() -> None:
    lines = new()
    order = lines.next_order()
    lines.reply_words("a1", "Nobody has that number.", 500)
    lines.keys("k1", Party.CALLER, "0", 500, order)
    lines.keys("k2", Party.CALLER, "1", 500)
    assert texts(lines) == ["0", "Nobody has that number.", "1"]


def test_words_are_heard_in_step_with_their_audio_and_to_the_end_of_a_word() -> None:
    lines = new()
    lines.reply_words("a1", "one two ", 0)
    assert lines.view("a1").heard_chars == 0
    lines.reply_words("a1", "three four", 0)
    lines.speech_received("a1", SECOND, 0)
    lines.heard("a1", 500, SECOND // 2)
    view = lines.view("a1")
    assert view.text[: view.heard_chars] == "one two"
    assert (view.start_ms, view.heard_ms, view.state) == (500, 500, TurnState.SPEAKING)
    lines.heard("a1", 1000, SECOND // 4)
    assert (lines.view("a1").start_ms, lines.view("a1").end_ms) == (500, 1250)


def test_a_reply_is_final_once_all_of_it_was_heard() -> None:
    lines = new()
    lines.reply_words("a1", "one two", 0)
    lines.speech_received("a1", SECOND, 0)
    assert lines.speech_done("a1") == []
    assert lines.unfinished() == ["a1"]
    lines.heard("a1", 0, SECOND)
    assert lines.view("a1").state is TurnState.FINAL
    assert lines.view("a1").heard_chars == len("one two")
    assert lines.unfinished() == []


def test_a_reply_heard_before_its_end_is_announced_is_final_then() -> None:
    lines = new()
    lines.reply_words("a1", "one two", 0)
    lines.speech_received("a1", SECOND, 0)
    lines.heard("a1", 0, SECOND)
    assert lines.view("a1").state is TurnState.SPEAKING
    assert lines.speech_done("a1") == ["a1"]
    assert lines.speech_done("unknown") == []


def test_a_cut_strikes_out_what_was_not_heard() -> None:
    lines = new()
    lines.reply_words("a1", "I can see two payments. One of them was express.", 0)
    lines.speech_received("a1", 4 * SECOND, 0)
    lines.heard("a1", 0, 2 * SECOND)
    assert lines.cut("a1", Party.CALLER) == ["a1"]
    view = lines.view("a1")
    assert (view.state, view.cut_by, view.heard_ms) == (TurnState.CUT, Party.CALLER, 2000)
    assert view.text[: view.heard_chars] == "I can see two payments."
    assert lines.cut("a1", Party.OPERATOR) == []
    assert lines.cut("unknown", Party.OPERATOR) == []


def test_late_words_after_a_cut_stay_unheard() -> None:
    lines = new()
    lines.reply_words("a1", "one two", 0)
    lines.speech_received("a1", SECOND, 0)
    lines.heard("a1", 0, SECOND)
    lines.cut("a1", Party.CALLER)
    lines.reply_words_done("a1", "one two three four", 10)
    lines.speech_received("a1", SECOND, 10)
    view = lines.view("a1")
    assert view.text[: view.heard_chars] == "one two"


def test_hearing_of_an_item_without_words_is_nothing_to_show() -> None:
    assert new().heard("unknown", 0, 160) == []


def test_what_the_operator_says_shows_as_theirs_and_is_checked() -> None:
    lines = new()
    lines.operator_line("op1", TurnKind.SAY, "We'll refund it today.", 1000)
    assert lines.view("op1").state is TurnState.INTERIM
    lines.say_begins("op1", "a7")
    assert lines.reply_words("a7", "We’ll ", 1200) == ["op1"]
    lines.speech_received("a7", SECOND, 1200)
    lines.heard("a7", 1300, SECOND)
    lines.speech_done("a7")
    lines.reply_words_done("a7", "We’ll refund it, today", 1400)
    view = lines.view("op1")
    assert (view.speaker, view.state, view.remark) == (Party.OPERATOR, TurnState.FINAL, "")
    assert view.heard_chars == len("We’ll refund it, today")


def test_words_that_differ_from_what_was_asked_are_remarked() -> None:
    lines = new()
    lines.operator_line("op1", TurnKind.SAY, "We will refund it.", 0)
    lines.say_begins("op1", "a7")
    lines.reply_words_done("a7", "We may refund it.", 10)
    assert lines.view("op1").remark == "not word for word"


def test_a_say_that_is_heard_before_its_words_come_is_already_speaking() -> None:
    lines = new()
    lines.operator_line("op1", TurnKind.SAY, "Hello.", 0)
    lines.say_begins("op1", "a7")
    lines.speech_received("a7", SECOND, 0)
    lines.heard("a7", 50, SECOND // 2)
    assert lines.view("op1").state is TurnState.SPEAKING
    assert lines.cut("a7", Party.OPERATOR) == ["op1"]


def test_a_say_that_was_never_asked_is_the_ais_own() -> None:
    lines = new()
    lines.say_begins("op9", "a7")
    assert lines.reply_words("a7", "Hi", 0) == ["a7"]
    assert lines.view("a7").speaker is Party.AI


def test_whispers_and_notes_are_whole_at_once() -> None:
    lines = new()
    lines.operator_line("op1", TurnKind.WHISPER, "offer a refund", 100)
    view = lines.view("op1")
    assert (view.state, view.heard_chars) == (TurnState.FINAL, len("offer a refund"))
    lines.remark("op1", "too late for this turn")
    assert lines.view("op1").remark == "too late for this turn"


def test_the_conversation_holds_only_what_was_said_and_heard() -> None:
    lines = new()
    lines.reply_words("a1", "Good day to you", 0)
    lines.speech_received("a1", SECOND, 0)
    lines.heard("a1", 0, SECOND // 2)
    lines.cut("a1", Party.CALLER)
    lines.words(Party.CALLER, "u1", "I want my money", True, 600)
    lines.operator_line("op1", TurnKind.WHISPER, "hidden", 700)
    lines.reply_words("a2", "Never heard", 800)
    assert lines.conversation() == [(Party.AI, "Good"), (Party.CALLER, "I want my money")]


def test_words_are_compared_without_case_and_punctuation() -> None:
    assert spoken_words("Don’t — PANIC!") == ["don't", "panic"]


def test_keys_are_a_line_of_their_own() -> None:
    transcript = new()
    assert transcript.keys("keys-1", Party.CALLER, "12", 700) == ["keys-1"]
    view = transcript.view("keys-1")
    assert (view.speaker, view.kind, view.text, view.start_ms) == (Party.CALLER, TurnKind.KEYS, "12", 700)
