"""How a GPT-Live session begins, what it is told in, and what its ends mean."""

from __future__ import annotations

import pytest

from bridge.engines import Remembered, Role
from bridge.engines.gpt_live_messages import (
    LONGEST_BYTES,
    MOST_BEFORE,
    MOST_BEFORE_BYTES,
    Config,
    ended,
    in_pieces,
    recalled,
    session,
)

CONFIG = Config("gpt-live-1", "marin", "You answer for Northgate.", "gpt-6-luna")


def begins_with(*texts: str) -> list[str]:
    before = [("developer", text) for text in texts]
    return [message["content"][0]["text"] for message in session(CONFIG, before)["input"]]


def test_a_session_begins_with_the_newest_that_it_takes() -> None:
    many = [str(number) for number in range(MOST_BEFORE + 5)]
    assert begins_with(*many) == many[5:]
    long = "é" * (MOST_BEFORE_BYTES // 4)
    assert begins_with("first", long, long) == [long, long]
    assert begins_with(long, long, "last") == [long, "last"]


def test_each_says_what_they_said() -> None:
    before = [("user", "Hello?"), ("assistant", "Northgate."), ("developer", "Be kind.")]
    kinds = [(one["role"], one["content"][0]["type"]) for one in session(CONFIG, before)["input"]]
    assert kinds == [("user", "input_text"), ("assistant", "output_text"), ("developer", "input_text")]


def test_what_is_recalled_is_whose_it_was() -> None:
    assert recalled(Remembered(Role.CALLER, "Hello?")) == ("user", "Hello?")
    assert recalled(Remembered(Role.AI, "Northgate.")) == ("assistant", "Northgate.")
    role, text = recalled(Remembered(Role.OPERATOR, "Anna here."))
    assert role == "developer" and text.endswith('"Anna here."')
    assert recalled(Remembered(Role.OPERATOR, ""))[1] == ""
    _, text = recalled(Remembered(Role.TOOL, '{"paid": true}', "find_payments", '{"order": 1}'))
    assert "find_payments" in text and '{"order": 1}' in text and '{"paid": true}' in text
    assert recalled(Remembered(Role.NOTE, "Two keys.")) == ("developer", "Two keys.")


def test_a_long_text_goes_in_pieces_between_words() -> None:
    assert in_pieces(" Short. ") == ["Short."]
    assert in_pieces(" ") == []
    text = " ".join(["Straße"] * 400)
    pieces = in_pieces(text)
    assert " ".join(pieces) == text and all(len(piece.encode()) <= LONGEST_BYTES for piece in pieces)
    assert in_pieces("ü" * LONGEST_BYTES) == ["ü" * (LONGEST_BYTES // 2)] * 2


@pytest.mark.parametrize(
    ("reason", "words"), [("expired", "longest time"), ("content", "safety filter"), ("remote_hangup", "remote_hangup")]
)
def test_an_end_is_told_in_a_sentence(reason: str, words: str) -> None:
    lost = ended(reason)
    assert words in str(lost) and not lost.fatal and lost.expired is (reason == "expired")
