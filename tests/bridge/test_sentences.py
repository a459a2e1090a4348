"""A model's text is cut into sentences as it comes, however it is dealt out, and in many languages."""

# ruff: noqa: RUF001 - the stops of all scripts are meant as they are

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.engines.sentences import LONGEST_CHARS, Sentences

NO_CLAUSES = 10_000


def cut(text: str, *, language: str = "en", first_clause_chars: int = NO_CLAUSES, step: int = 1) -> list[str]:
    """All pieces of a text that comes `step` letters at a time."""
    sentences = Sentences(first_clause_chars=first_clause_chars, language=language)
    pieces = [piece for at in range(0, len(text), step) for piece in sentences.add(text[at : at + step])]
    return pieces + sentences.finish()


# Where a text is to be cut, it says |.
ENGLISH = [
    "Hello there.| How are you?| I am fine!",
    "It costs $1,299.50 a year.| That is 3.5 % more.",
    "J. R. R. Tolkien wrote it.| C. S. Lewis did not.",
    "Dr. Smith and Mrs. Jones are in.| Prof. Lee is out.",
    "Take No. 5 and no. 12.| No.| I mean it.",
    "Use fruit, e.g. apples, i.e. The red ones.| Good.",
    "We open at 9 a.m.| The door is on the left.",
    "We open at 9 a.m. Monday to Friday.| Come in.",
    "She lives in the U.S. Army base.| It is in the U.S.| We know.",
    "Apples, pears, etc. are here.| Plums, etc.| They are ripe.",
    "He works at Acme Inc. in Boston.| So does Sam Jr.| He said so.",
    "Well... let me see.| Hmm...| All right.| Wait…| There it is.",
    'He said "Stop."| Then he left.| (She stayed.)| “Why?”| Nobody knows.',
    '"Really?" she asked.| Yahoo! mail is old.',
    "See https://example.com/a.b?c=d.e!f for more.| Write to j.r.smith@mail.example.com.| Thanks.",
    "Visit example.com.| It has all.| Use Node.js today.",
    "Version 2.0.1 is out.| It took 3.5 hours.| It is 5.| The rest is 6.",
    "It leaves at 5:30.| The next at 6.15 p.m.| We wait.",
    "You have these: 1. Apples 2. Pears 3. Plums.| Which one?",
    "It was 5.| 7. Seven was next.",
    "1. Open the app.\n|2. Tap Pay.\n|3. Done.",
    "**1.** Open it.| **2.** Close it.",
    "- apples\n|- pears\n|* plums",
    "# Your order\n|It is on its way.",
    "Read [Dr. No. The film](https://example.com/x) now.| Good.",
    "A [b. ]c.| This [never closes. And " + "so on " * 16 + "now.| Well.",
    "**Note.| It is bold.**| Right.",
    "Great!| 😊 Let me look.| Fine.😊| Bye!",
    "What?!| No way!!| Stop.",
    "Call tel. (555) 0100 or ext. 12.| Jan. 5 is fine.| So is Feb.| They agree.",
    "I like plan B.| It is cheap.",
    "He waited.     |Then he left.",
    "The end.\r\n|Really.",
    "That is all, etc.",
    "Ask Dr.",
]
OTHERS = [
    ("de", "Am 5. Mai um 10.30 Uhr kommt Hr. Müller.| Das kostet 1.299,50 €.| Gut, z. B. Montag."),
    ("de-CH", "Das ist die 3. Frage.| Wir nehmen z.B. Äpfel, d.h. Obst.| Um 5:30.| Danach nicht."),
    ("fr", "M. Dupont et Mme. Durand sont là.| Il est 10 heures.| « Oui ! »| « Non.»| Voilà."),
    ("es", "La Sra. López llega a las 5 p.m. ¿Puede usted venir?| ¡Sí!| Claro."),
    ("zh", "你好。|今天怎么样？|很好！|“可以。”|我们走吧。"),
    ("zh", "好的!|我来看看。|价格是3.5元。|OK。"),
    ("ja", "こんにちは。|「はい。」|お元気ですか？|はい｡|では"),
    ("hi", "नमस्ते।| आप कैसे हैं?| मैं ठीक हूँ।|अच्छा॥"),
    ("ar", "مرحبا بك.| كيف حالك؟| أنا بخير!| شكرا"),
    ("ur", "سلام۔| آپ کیسے ہیں؟| ٹھیک"),
    ("ko", "안녕하세요.| 잘 지내세요?| 네."),
    ("ru", "Привет.| Как дела?| Всё хорошо."),
]


@pytest.mark.parametrize("marked", ENGLISH)
def test_english_is_cut_where_its_sentences_end(marked: str) -> None:
    pieces = [piece.strip() for piece in marked.split("|")]
    assert cut(marked.replace("|", "")) == pieces


@pytest.mark.parametrize(("language", "marked"), OTHERS)
def test_other_languages_are_cut_where_their_sentences_end(language: str, marked: str) -> None:
    pieces = [piece.strip() for piece in marked.split("|")]
    assert cut(marked.replace("|", ""), language=language) == pieces


def test_the_first_clause_leaves_early_and_later_ones_do_not() -> None:
    text = "I have found your order, and it will arrive on Monday, so please be at home. It is heavy, too."
    assert cut(text, first_clause_chars=20) == [
        "I have found your order,",
        "and it will arrive on Monday, so please be at home.",
        "It is heavy, too.",
    ]


def test_a_first_clause_too_short_to_bridge_the_gap_waits() -> None:
    assert cut("Sure, I can do that, of course.", first_clause_chars=15) == ["Sure, I can do that,", "of course."]


def test_a_comma_within_a_number_is_no_clause() -> None:
    assert cut("The whole price is $1,299.50 today.", first_clause_chars=10) == ["The whole price is $1,299.50 today."]


def test_chinese_clauses_need_fewer_letters_as_each_takes_longer_to_say() -> None:
    assert cut("我已经找到您的订单，它会在星期一到。", first_clause_chars=24) == [
        "我已经找到您的订单，",
        "它会在星期一到。",
    ]


def test_a_stop_is_decided_only_by_what_follows() -> None:
    sentences = Sentences()
    assert sentences.add("It costs $3.") == []
    assert sentences.add("50 today.") == []
    assert sentences.add(" ") == []
    assert sentences.add("T") == ["It costs $3.50 today."]
    assert sentences.finish() == ["T"]


def test_a_clause_is_decided_only_by_what_follows() -> None:
    sentences = Sentences(first_clause_chars=5)
    assert sentences.add("It costs $1,") == []
    assert sentences.add("299,") == []
    assert sentences.add(" and") == ["It costs $1,299,"]


def test_after_the_end_a_new_text_begins_with_an_early_clause() -> None:
    sentences = Sentences(first_clause_chars=5)
    assert sentences.add("Well then, yes") == ["Well then,"]
    assert sentences.finish() == ["yes"]
    assert sentences.add("Well then, no") == ["Well then,"]


def test_nothing_comes_of_nothing() -> None:
    assert cut("") == cut("  \n \n ") == []


def test_a_text_without_an_end_is_cut_after_a_clause() -> None:
    text = "and then we went on, " * 40
    pieces = cut(text)
    assert len(pieces) > 1
    assert all(piece.endswith("on,") and len(piece) <= LONGEST_CHARS for piece in pieces)


def test_a_text_without_an_end_or_a_clause_is_cut_between_words() -> None:
    pieces = cut("Stop, " + "word " * 200)
    assert all(piece.endswith("word") and len(piece) <= LONGEST_CHARS for piece in pieces)


def test_a_text_without_any_blank_is_cut_all_the_same() -> None:
    pieces = cut("x" * 1000)
    assert "".join(pieces) == "x" * 1000
    assert max(map(len, pieces)) == LONGEST_CHARS


def test_a_text_that_comes_at_once_is_cut_as_well() -> None:
    text = "One is here. Two is there. " * 100
    assert cut(text, step=len(text)) == ["One is here.", "Two is there."] * 100


PARTS = [
    *"abcTh5.,!?…\n \"')(]*:-",
    *("Dr.", "e.g.", "U.S.", " The ", " the ", ". ", "... ", "1. ", "2. ", "No. ", "etc. ", "    ", "$1,299.50"),
    *("[", "[link. Text](http://x.y) ", "word" * 9, "。", "，", "？", "」", "।", "«", " »", "😊"),
]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=40).map("".join)


@given(TEXTS, st.lists(st.integers(0, 1200), max_size=30), st.sampled_from(["en", "de"]))
def test_pieces_do_not_depend_on_how_the_text_is_dealt_out(text: str, at: list[int], language: str) -> None:
    sentences = Sentences(longest_chars=40, first_clause_chars=8, language=language)
    bounds = sorted({0, len(text), *(place for place in at if place < len(text))})
    dealt = [piece for begin, end in pairwise(bounds) for piece in sentences.add(text[begin:end])] + sentences.finish()
    whole = Sentences(longest_chars=40, first_clause_chars=8, language=language)
    assert dealt == whole.add(text) + whole.finish()


@given(TEXTS | st.text())
def test_nothing_is_lost_no_piece_is_empty_and_none_is_too_long(text: str) -> None:
    pieces = cut(text, first_clause_chars=8)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(piece == piece.strip() and 0 < len(piece) <= LONGEST_CHARS + 8 for piece in pieces)


@given(TEXTS)
def test_nothing_waits_for_ever(text: str) -> None:
    sentences = Sentences(longest_chars=40)
    left = sum(len(piece) for piece in sentences.add(text))
    held = len(text.strip()) - left - sum(character.isspace() for character in text)
    assert held <= 40 + 25
