"""What a model writes is turned into what a voice can say; plain prose is left alone."""

# ruff: noqa: RUF001 - the signs are meant as they are

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.engines.sentences import Sentences
from bridge.engines.speakable import speakable


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("**Bold**, *italic*, ***both***, __bold__ and _italic_.", "Bold, italic, both, bold and italic."),
        ("un**believ**able and ~~gone~~ `code`", "unbelievable and gone code"),
        ("**Note:**Then _“quoted”_.", "Note:Then “quoted”."),
        ("### Your order ###", "Your order"),
        ("- apples", "apples"),
        ("* [x] apples", "apples"),
        ("• apples", "apples"),
        ("1. Open it", "1. Open it"),
        ("> He said so.", "He said so."),
        ("See [our page](https://example.com/a_b) now.", "See our page now."),
        ('See [our page](https://example.com "A title") now.', "See our page now."),
        ("See [our page][1] and [2].", "See our page and [2]."),
        ("See [](https://example.com).", "See https://example.com."),
        ("See <https://example.com> or <mailto:a@b.example>.", "See https://example.com or a@b.example."),
        ("A picture ![of a cat](cat.png)![](dog.png).", "A picture of a catdog.png."),
        ("| Size | Price |", "Size, Price"),
        ("|---|:---:|", ""),
        ("---", ""),
        ("* * *", ""),
        ("```python", ""),
        ("```", ""),
        ("```\nprint(1)\n```", "print(1)"),
        ("One<br/>two <b>three</b>", "One two three"),
        (r"Not \*this\* one", "Not this one"),
        ("Great 😊! Yes 👍🏽👨‍👩‍👧 and 🇩🇪so", "Great! Yes and so"),
        ("1️⃣ Open it ✅", "1 Open it"),
        ("😊", ""),
        ("...", ""),
        ("", ""),
        ("Menu → Settings", "Menu, Settings"),
        ("[]( )", ""),
        ("--- 5 ---\n\nyes", "--- 5 ---\nyes"),
        ("snake_case, a@b_c.example and 5*3", "snake_case, a@b_c.example and 5 times 3"),
        ("-5 degrees", "-5 degrees"),
        ("<b words>", "<b words>"),
    ],
)
def test_markup_and_emoji_are_not_said(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Your order number is 4711.", "Your order number is 4 7 1 1."),
        ("Order #4711 left.", "Order number 4 7 1 1 left."),
        ("Order 2500 pieces.", "Order 2500 pieces."),
        ("Booking AB-1234, please.", "Booking A B, 1 2 3 4, please."),
        ("Invoice 123-4567890-12.", "Invoice 1 2 3, 4 5 6 7 8 9 0, 1 2."),
        ("Item #5 and number #6.", "Item number 5 and number 6."),
        ("Your PIN: 1234", "Your PIN: 1 2 3 4"),
        ("Extension 12.", "Extension 12."),
        ("The booking is 2026-11-26.", "The booking is 2026-11-26."),
        ("The code is 20.5 today.", "The code is 20.5 today."),
        ("Call +49 (89) 1234-567.", "Call plus 4 9, 8 9, 1 2 3 4, 5 6 7."),
        ("Call (555) 123-4567 or 1-800-555-0100.", "Call 5 5 5, 1 2 3, 4 5 6 7 or 1, 8 0 0, 5 5 5, 0 1 0 0."),
        ("Call 089/123456.", "Call 0 8 9, 1 2 3 4 5 6."),
        ("It is 12345678.", "It is 1 2 3 4 5 6 7 8."),
        ("About 2000000 people.", "About 2000000 people."),
        ("On 01/02/2026 and 01-02-26.", "On 01/02/2026 and 01-02-26."),
        ("On 2026-11-26 at 10:30, 26.11.2026.", "On 2026-11-26 at 10:30, 26.11.2026."),
        ("Between 1990-2000 and 10-12.", "Between 1990-2000 and 10-12."),
    ],
)
def test_numbers_that_are_names_are_read_digit_by_digit(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize(
    ("language", "written", "spoken"),
    [
        ("en", "€5 or 5 € or $1", "5 euros or 5 euros or 1 dollar"),
        ("en-US", "It is $1,299.50.", "It is 1,299 dollars and 50 cents."),
        ("en", "$0.50, $1.01, $3.00 and $0.00.", "50 cents, 1 dollar and 1 cent, 3 dollars and 0 dollars."),
        ("en", "£2.75 and ¥5.50", "2 pounds and 75 pence and 5.50 yen"),
        ("en", "$5 million, or $1.5 billion", "5 million dollars, or 1.5 billion dollars"),
        ("en", "$5-$10", "5 dollars to 10 dollars"),
        ("en", "$5k, US$5 and $1.2345", "$5k, US$5 and $1.2345"),
        ("en", "3.5 % of 100%.", "3.5 percent of 100 percent."),
        ("en", "You & me at AT&T &amp; co", "You and me at AT&T and co"),
        ("en", "3x a day, 1.5x, 2 x 4, 1920x1080, 0x1F", "3 times a day, 1.5 times, 2 by 4, 1920 by 1080, 0x1F"),
        ("de", "Das kostet 1.299,50 € (20 %).", "Das kostet 1.299 Euro und 50 Cent (20 Prozent)."),
        ("de-CH", "3x täglich & 5 Millionen €", "3 mal täglich und 5 Millionen Euro"),
        ("de", "Ihre Bestellnummer lautet 4711.", "Ihre Bestellnummer lautet 4 7 1 1."),
        ("fr", "1 299,50 € & 20 %", "1 299 euros et 50 centimes et 20 pour cent"),
        ("fr", "Au 01 23 45 67 89.", "Au 0 1, 2 3, 4 5, 6 7, 8 9."),
        ("es", "Son 1,01 € y 3x.", "Son 1 euro y 1 céntimo y 3 veces."),
        ("es", "El número de pedido 4711.", "El número de pedido 4 7 1 1."),
        ("pl", "5 € & 20 %, +48 123 456 789", "5 € & 20 %, +4 8, 1 2 3, 4 5 6, 7 8 9"),
    ],
)
def test_signs_are_written_out_in_the_language(language: str, written: str, spoken: str) -> None:
    assert speakable(written, language) == spoken


PROSE = [
    "Hello, how are you?",
    "It's 10:30 a.m., and the U.S. team (all 12 of them) isn't here; too bad!",
    "Oui ! C'est « très bien » : 15 h 30.",
    "Dr. J. R. R. Tolkien's e-mail is j.tolkien@mail.example, see https://example.com/a.b?c=d&e=f.",
    "She said: “No. 5 is 3.5 — not 1,299.50…”",
    "你好，今天怎么样？",
    "नमस्ते। क्‍या हाल है?",
    "مرحبا، كيف حالك؟",
    "In 2026 we sold 12,000 of them, 4 out of 5 in May.",
]


@pytest.mark.parametrize("prose", PROSE)
def test_plain_prose_stays_as_it_is(prose: str) -> None:
    assert speakable(prose) == prose


PLAIN_WORDS = st.text("abcyzABÄé'", min_size=1)


@given(st.lists(PLAIN_WORDS | st.tuples(PLAIN_WORDS, st.integers(0, 9999)), min_size=1), st.sampled_from(".!?…"))
def test_words_and_small_numbers_stay_as_they_are(words: list[str | tuple[str, int]], stop: str) -> None:
    prose = "Well, " + " ".join(word if isinstance(word, str) else f"{word[0]} {word[1]}" for word in words) + stop
    assert speakable(prose) == prose


@given(st.text("aB5 *_`~#>|[]()<>!-+\\&%€$.,\n😊:/@x=", max_size=80) | st.text(max_size=60))
def test_a_sentence_with_words_is_never_silenced(text: str) -> None:
    spoken = speakable(text)
    fences = [line for line in text.split("\n") if line.strip().startswith(("```", "~~~"))]
    if any(map(str.isalpha, text)) and not fences:
        assert any(map(str.isalnum, spoken))
    assert "😊" not in spoken
    assert "  " not in spoken
    assert spoken == spoken.strip()


def test_markup_torn_by_the_end_of_a_sentence_is_not_said_either() -> None:
    text = (
        "**Please note. It is late.** We *close\nsoon. Really* soon. See [our page. All of it](https://x.example). Bye."
    )
    sentences = Sentences()
    pieces = [piece for letter in text for piece in sentences.add(letter)] + sentences.finish()
    assert [speakable(piece) for piece in pieces] == [
        "Please note.",
        "It is late.",
        "We close",
        "soon.",
        "Really soon.",
        "See our page. All of it.",
        "Bye.",
    ]
