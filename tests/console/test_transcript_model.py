"""What a turn or a tool card says on screen."""

from __future__ import annotations

import pytest

from bridge.control import Party, ToolState, ToolView, TurnKind, TurnState, TurnView
from console.transcript_model import (
    MASK,
    CardState,
    Entry,
    Ink,
    is_secret,
    seen,
    tool_entry,
    turn_entry,
)


def turn(speaker: Party, text: str, **more: object) -> TurnView:
    return TurnView(call_id="c", turn_id="t", order=1, speaker=speaker, text=text, start_ms=151_000, **more)  # type: ignore[arg-type]


def tool(arguments: str = "", result: str = "", **more: object) -> ToolView:
    return ToolView(call_id="c", tool_id="t", order=1, name="find", arguments=arguments, result=result, **more)  # type: ignore[arg-type]


def inks(entry: Entry) -> list[tuple[str, Ink]]:
    return [(run.text, run.ink) for run in entry.runs]


def test_a_callers_words_are_in_full_colour() -> None:
    entry = turn_entry(turn(Party.CALLER, "Hello."))
    assert (entry.time, entry.who, entry.role) == ("02:31", "Caller", "caller")
    assert inks(entry) == [("Hello.", Ink.PLAIN)]
    assert inks(turn_entry(turn(Party.CALLER, "Hello", state=TurnState.SPEAKING))) == [("Hello", Ink.PLAIN)]


def test_interim_words_are_told_apart() -> None:
    assert inks(turn_entry(turn(Party.CALLER, "Can I", state=TurnState.INTERIM, heard_chars=5))) == [
        ("Can I…", Ink.INTERIM)
    ]
    assert inks(turn_entry(turn(Party.CALLER, "…", state=TurnState.INTERIM))) == [("…", Ink.INTERIM)]
    assert inks(turn_entry(turn(Party.OPERATOR, "I am here", state=TurnState.INTERIM, heard_chars=4))) == [
        ("I am", Ink.PLAIN),
        (" here…", Ink.INTERIM),
    ]


def test_the_ais_words_reach_full_colour_as_they_are_heard() -> None:
    entry = turn_entry(turn(Party.AI, "I can see it", state=TurnState.SPEAKING, heard_chars=5))
    assert inks(entry) == [("I can", Ink.PLAIN), (" see it", Ink.DIM)]


@pytest.mark.parametrize(("engine", "who"), [("keypad", "Keypad menu"), ("pin", "PIN"), ("cascade", "AI"), ("", "AI")])
def test_a_menus_words_are_no_ais(engine: str, who: str) -> None:
    assert turn_entry(turn(Party.AI, "Press 1.", engine=engine)).who == who


def test_words_that_were_cut_off_are_struck_out_with_the_reason() -> None:
    cut = turn(Party.AI, "I can see it", state=TurnState.CUT, heard_chars=5, heard_ms=1900, cut_by=Party.CALLER)
    entry = turn_entry(cut)
    assert inks(entry) == [("I can ", Ink.PLAIN), ("see it", Ink.STRUCK)]
    assert entry.pill == "cut off by caller · 1.9 s heard"
    assert entry.plain == "02:31  AI: I can see it [cut off by caller · 1.9 s heard]"


@pytest.mark.parametrize(
    ("by", "operator", "told"),
    [
        (Party.OPERATOR, "You", "cut off by you · nothing heard"),
        (Party.OPERATOR, "Maria", "cut off by Maria · nothing heard"),
        (Party.OPERATOR, "Your other window", "cut off by your other window · nothing heard"),
        (Party.NOBODY, "You", "cut off · nothing heard"),
    ],
)
def test_who_cut_it_off(by: Party, operator: str, told: str) -> None:
    assert turn_entry(turn(Party.AI, "Well", state=TurnState.CUT, cut_by=by), operator).pill == told


def test_guidance_reads_as_yours_to_the_ai() -> None:
    whisper = turn_entry(turn(Party.OPERATOR, "be kind", kind=TurnKind.WHISPER))
    assert (whisper.who, whisper.text, whisper.italic) == ("You → AI", "Whisper: be kind", True)
    ask = turn_entry(turn(Party.OPERATOR, "the date", kind=TurnKind.ASK), "Maria")
    assert (ask.who, ask.text) == ("Maria → AI", "Ask: the date")


def test_said_words_are_yours_and_follow_what_was_heard() -> None:
    say = turn_entry(turn(Party.OPERATOR, "Goodbye now", kind=TurnKind.SAY, state=TurnState.SPEAKING, heard_chars=7))
    assert (say.who, say.role) == ("You", "operator")
    assert inks(say) == [("Say: ", Ink.PLAIN), ("Goodbye", Ink.PLAIN), (" now", Ink.DIM)]


def test_notes_and_operators_speech() -> None:
    note = turn_entry(turn(Party.NOBODY, "You took over", kind=TurnKind.NOTE))
    assert (note.who, inks(note)) == ("Note", [("You took over", Ink.DIM)])
    took_over = turn(Party.NOBODY, "maria (window 4) took over", kind=TurnKind.NOTE)
    assert turn_entry(took_over, ours="maria (window 4)").text == "You took over"
    assert turn_entry(took_over, ours="anna (window 5)").text == "maria took over"
    assert turn_entry(turn(Party.OPERATOR, "Hello"), "Maria").who == "Maria"


def test_a_remark_is_a_pill_that_asks_for_attention() -> None:
    entry = turn_entry(turn(Party.AI, "Hi", remark="not word for word"))
    assert (entry.pill, entry.pill_role) == ("not word for word", "operator")


def test_what_hides_in_a_text_is_shown() -> None:
    assert seen("a\u202eb\x07c") == "a[U+202E]b[U+0007]c"
    assert seen("one\r\n\ttwo\u2028three") == "one two three"
    assert seen("<b>\ud800") == "<b>[U+D800]"


# ── tools ─────────────────────────────────────────────────────────────────────────────────


def test_a_tool_card_has_name_arguments_result_and_how_long_it_took() -> None:
    entry = tool_entry(
        tool('{"order": "8841", "n": 2}', '"2 payments"', state=ToolState.DONE, start_ms=163_000, duration_ms=212)
    )
    assert (entry.time, entry.who, entry.role) == ("02:43", "Tool", "fine")
    assert inks(entry) == [("find", Ink.NAME), ('\u2028order="8841", n=2 → 2 payments', Ink.CODE)]
    assert entry.card is not None
    assert (entry.card.status, entry.card.frame) == ("done · 212 ms", CardState.CALM)
    assert entry.plain == '02:43  Tool: find  order="8841", n=2 → 2 payments [done · 212 ms]'


@pytest.mark.parametrize(
    ("state", "word", "frame"),
    [
        (ToolState.ASKED, "asked", CardState.CALM),
        (ToolState.WAITING, "needs you", CardState.WAITING),
        (ToolState.RUNNING, "running…", CardState.CALM),
        (ToolState.FAILED, "failed", CardState.FAILED),
        (ToolState.DENIED, "denied", CardState.CALM),
        (ToolState.EXPIRED, "timed out", CardState.FAILED),
    ],
)
def test_every_state_of_a_tool_has_a_word(state: ToolState, word: str, frame: CardState) -> None:
    card = tool_entry(tool(state=state)).card
    assert card is not None
    assert (card.status, card.frame) == (word, frame)


def test_a_result_alone_and_structures() -> None:
    assert tool_entry(tool(result="[1, 2]")).text == "find\u2028→ [1, 2]"
    assert tool_entry(tool(result='{"a": {"b": null}, "c": ["d", true]}')).text == (
        'find\u2028→ a={"b": null}, c=["d", true]'
    )
    assert tool_entry(tool(arguments="  ")).text == "find"
    assert tool_entry(tool("{}", "{}")).text == "find"


def test_what_does_not_fit_on_one_line_has_the_result_on_its_own() -> None:
    asked = '{"time": "2026-11-26 10:00", "name": "Angus Whitfield"}'
    told = tool_entry(tool(asked, '{"booked": "2026-11-26 10:00", "reference": "R-304"}')).text
    assert told.split("\u2028") == [
        "find",
        'time="2026-11-26 10:00", name="Angus Whitfield"',
        '→ booked="2026-11-26 10:00", reference="R-304"',
    ]


def payments(count: int) -> str:
    return ", ".join(f'{{"payment": "pi_{number}", "amount": 48.0}}' for number in range(count))


def test_a_list_of_objects_reads_line_by_line() -> None:
    told = tool_entry(tool('{"order": "8841"}', f'{{"payments": [{payments(2)}], "currency": "USD"}}'))
    assert told.text.split("\u2028") == [
        "find",
        'order="8841"',
        '→ currency="USD"',
        "payments (2)",
        '  payment="pi_0", amount=48.0',
        '  payment="pi_1", amount=48.0',
    ]
    assert told.runs[-1].ink is not Ink.LINK
    assert (
        tool_entry(tool(result=f"[{payments(1)}]")).text == 'find\u2028→ items (1)\u2028  payment="pi_0", amount=48.0'
    )


def test_a_long_list_of_objects_folds() -> None:
    long = tool(result=f'{{"payments": [{payments(5)}]}}')
    folded, whole = tool_entry(long), tool_entry(long, unfolded=True)
    assert folded.text.split("\u2028")[1:] == [
        "→ payments (5)",
        *(f'  payment="pi_{number}", amount=48.0' for number in range(3)),
        "  … and 2 more",
    ]
    assert "pi_4" in whole.text and "more" not in whole.text
    assert (folded.runs[-1].text.strip(), whole.runs[-1].text.strip()) == ("more", "less")
    wide = tool(result=f'[{{"text": "{"x" * 200}"}}]')
    assert "x" * 100 not in tool_entry(wide).text and "x" * 200 in tool_entry(wide, unfolded=True).text


def test_secrets_are_masked_wherever_they_are() -> None:
    told = tool_entry(
        tool('{"pin": "4711", "who": {"cardNumber": 411, "n": [{"api_key": "k"}]}}', '{"access_token": "abc"}')
    ).plain
    assert f"pin={MASK}" in told
    assert not any(secret in told for secret in ("4711", "411", '"k"', "abc"))


def test_secrets_are_masked_in_what_is_no_json_any_more() -> None:
    told = tool_entry(tool('{"password": "hunter2", "city": "Bern", "token": "abcd')).text
    assert "hunter2" not in told and "abcd" not in told and "Bern" in told
    nested = tool_entry(tool(result='"{\\"token\\": \\"abcd\\"}"')).text
    assert "abcd" not in nested


@pytest.mark.parametrize("key", ["PIN", "pin_code", "userPassword", "tokens", "card", "x-api-key", "creditCardNo"])
def test_names_of_secrets(key: str) -> None:
    assert is_secret(key)


@pytest.mark.parametrize("key", ["shipping", "pineapple", "discard", "order", "amount", ""])
def test_names_that_only_look_like_it(key: str) -> None:
    assert not is_secret(key)


def test_long_values_fold_and_unfold() -> None:
    long = tool('{"text": "' + "x" * 200 + '"}')
    folded, whole = tool_entry(long), tool_entry(long, unfolded=True)
    assert "x" * 100 not in folded.text and "…" in folded.text
    assert "x" * 200 in whole.text
    assert (folded.runs[-1].text.strip(), whole.runs[-1].text.strip()) == ("more", "less")
    assert folded.runs[-1].ink is Ink.LINK
    assert "more" not in folded.plain


def test_a_bottomless_value_is_shown_as_it_came() -> None:
    assert tool_entry(tool("[" * 9000), unfolded=True).text.endswith("[[[")


def test_keys_are_shown_as_pressed() -> None:
    shown = turn_entry(turn(Party.CALLER, "1 2 3", kind=TurnKind.KEYS))
    assert "".join(run.text for run in shown.runs) == "pressed 1 2 3"


def test_hidden_keys_are_said_to_be_and_not_how_many() -> None:
    shown = turn_entry(turn(Party.CALLER, "••••••", kind=TurnKind.KEYS))
    assert (shown.text, shown.pill) == ("pressed ••••", "hidden")
