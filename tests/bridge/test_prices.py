"""What vendors charge, and what was used of it costs."""

from __future__ import annotations

import pytest

from bridge.engines.openai import load_prices
from bridge.engines.prices import Rates, is_priced, minutes_usd, rates_for, speech_usd, tokens_usd

PRICES = {"aura-2": Rates(characters=30), "flux": Rates(minute=0.6), "flux-general-multi": Rates(minute=0.9)}


def test_the_longest_name_decides() -> None:
    assert rates_for("flux-general-en", PRICES).minute == 0.6
    assert rates_for("flux-general-multi", PRICES).minute == 0.9
    assert rates_for("aura-2-thalia-en", PRICES).characters == 30


def test_what_nobody_priced_costs_nothing() -> None:
    assert rates_for("local", PRICES) == Rates()
    assert not is_priced("local", PRICES) and is_priced("local-7b", {"local": Rates()})
    assert tokens_usd(Rates(), text_in=1000, audio_out=1000) == 0


def test_cached_tokens_are_a_part_of_those_that_went_in() -> None:
    rates = Rates(text_in=4, text_cached=1, text_out=10, audio_in=30, audio_cached=3, audio_out=60)
    usd = tokens_usd(
        rates, text_in=500_000, text_cached=300_000, text_out=100_000, audio_in=200_000, audio_cached=100_000
    )
    assert usd == pytest.approx(0.2 * 4 + 0.3 * 1 + 0.1 * 10 + 0.1 * 30 + 0.1 * 3)
    assert tokens_usd(rates, audio_out=10_000) == pytest.approx(0.6)


def test_listening_is_paid_by_the_minute_and_speaking_by_the_character() -> None:
    assert minutes_usd(Rates(minute=0.006), 90) == pytest.approx(0.009)
    assert speech_usd(Rates(characters=50), 2000) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("model", "unit"),
    [
        ("gpt-realtime-2.1", "audio_out"),
        ("gpt-transcribe", "minute"),
        ("gpt-6-luna-2026-09-22", "text_out"),
        ("nova-3-general", "minute"),
        ("flux-general-en", "minute"),
        ("aura-2-thalia-en", "characters"),
        ("eleven_flash_v2_5", "characters"),
        ("gpt-4o-mini-tts", "characters"),
    ],
)
def test_the_table_that_ships_prices_every_vendor(model: str, unit: str) -> None:
    assert getattr(rates_for(model, load_prices()), unit) > 0
