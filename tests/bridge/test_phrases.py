"""What a caller's words say about whether they listen, are done, or will go on."""

# ruff: noqa: RUF001 - the signs are meant as they are

from __future__ import annotations

import pytest

from bridge.engines.phrases import Finish, finish_of, is_assent, words_of


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Mm-hm."),
        ("en", "Uh-huh, yeah."),
        ("en-US", "Okay."),
        ("en", "Yeah, that makes sense. Thank you so much!"),
        ("de", "Ja, genau."),
        ("de-CH", "Ach so, alles klar."),
        ("fr", "D’accord, oui."),
        ("es", "Sí, claro."),
        ("multi", "Okay, ja, oui, sí."),
    ],
)
def test_assent_is_known_in_each_language(language: str, text: str) -> None:
    assert is_assent(text, language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Yeah, but wait."),
        ("en", "No."),
        ("en", "Stop."),
        ("en", "Okay, listen to me."),
        ("en", "Thank the driver."),
        ("de", "Nein."),
        ("en", "genau"),
        ("en", ""),
        ("en", "..."),
    ],
)
def test_what_says_more_is_no_assent(language: str, text: str) -> None:
    assert not is_assent(text, language)


@pytest.mark.parametrize(
    ("language", "text", "finish"),
    [
        ("en", "Where is my order?", Finish.COMPLETE),
        ("en", "A table for two, please.", Finish.COMPLETE),
        ("en", "Thank you, goodbye", Finish.COMPLETE),
        ("en", "Yes.", Finish.COMPLETE),
        ("en", "I know what it is.", Finish.COMPLETE),
        ("de", "Das war's.", Finish.COMPLETE),
        ("fr", "Au revoir.", Finish.COMPLETE),
        ("es", "Por favor.", Finish.COMPLETE),
        ("ja", "お元気ですか？", Finish.COMPLETE),
        ("en", "I want to book a table.", Finish.OPEN),
        ("en", "", Finish.OPEN),
        ("en", "I was born in 1984", Finish.OPEN),
        ("en", "At 5", Finish.OPEN),
        ("en", "My number is 555 123 4567.", Finish.OPEN),
        ("en", "I want a table and", Finish.UNFINISHED),
        ("en", "My number is.", Finish.UNFINISHED),
        ("en", "Well,", Finish.UNFINISHED),
        ("en", "I want to reset the... uh...", Finish.UNFINISHED),
        ("de", "Ich hätte gern ein", Finish.UNFINISHED),
        ("fr", "Je voudrais réserver pour", Finish.UNFINISHED),
        ("es", "Mi número es", Finish.UNFINISHED),
        ("en", "My number is 555", Finish.DICTATING),
        ("en", "5 5 5, 1 2", Finish.DICTATING),
        ("en", "It's five five five", Finish.DICTATING),
        ("de", "Null acht neun", Finish.DICTATING),
    ],
)
def test_how_finished_a_turn_looks(language: str, text: str, finish: Finish) -> None:
    assert finish_of(text, language) is finish


# What callers had said when other systems cut them off: MCERQUA/OpenVoiceUI#79.
@pytest.mark.parametrize("text", ["never try to get a", "I want to go to the", "I need it because"])
def test_what_others_took_for_the_end_is_waited_for(text: str) -> None:
    assert finish_of(text, "en") is Finish.UNFINISHED


def test_words_are_compared_without_case_and_punctuation() -> None:
    assert words_of("Mm-hm, D’accord!") == ["mm", "hm", "d'accord"]
