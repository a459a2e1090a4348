"""What a cascade consumes is told by vendor, once, and costs what the table says."""

from __future__ import annotations

import pytest

from bridge.engines import Used
from bridge.engines.cascade_bill import Bill
from bridge.engines.prices import Rates

PRICES = {
    "nova-3": Rates(minute=0.6),
    "gpt-6-luna": Rates(text_in=1, text_cached=0.1, text_out=10),
    "aura-2": Rates(characters=30),
}


@pytest.fixture
def bill() -> Bill:
    return Bill(
        PRICES, transcriber=("deepgram", "nova-3"), chat=("openai", "gpt-6-luna"), voice=("deepgram", "aura-2-thalia")
    )


def test_everything_is_told_once_and_by_vendor(bill: Bill) -> None:
    assert bill.take() == []
    bill.heard_bytes += 8000 * 6
    bill.spoken_chars += 1000
    bill.throw_away(10, 0.5)
    bill.throw_away(1, 0.25)
    assert bill.take() == [
        Used(0, pytest.approx(0.06), "deepgram"),
        Used(11, 0.75, "openai"),
        Used(0, pytest.approx(0.03), "deepgram"),
    ]
    assert bill.take() == []


def test_a_reply_costs_what_the_model_counted(bill: Bill) -> None:
    assert bill.reply((1000, 500, 100), [], "") == (1100, pytest.approx(0.00155))


def test_or_about_that_when_it_was_cut_short(bill: Bill) -> None:
    asked = [{"role": "system", "content": "x" * 400}, {"role": "assistant", "content": None}]
    assert bill.reply(None, asked, "y" * 40) == (110, pytest.approx(0.0002))


def test_words_that_no_model_made_are_free(bill: Bill) -> None:
    assert bill.reply(None, [], "Hello. This is Northgate.") == (0, 0.0)


def test_a_voice_that_counts_by_itself_is_believed() -> None:
    spent = [0.0]
    bill = Bill({}, transcriber=("", ""), chat=("", ""), voice=("realtime", "x"), voice_usd=lambda: spent[0])
    assert bill.take() == []
    spent[0] = 0.25
    assert bill.take() == [Used(0, 0.25, "realtime")]
    spent[0] = 0.75
    bill.spoken_chars += 10
    assert bill.take() == [Used(0, 0.5, "realtime")]
    assert bill.take() == []
