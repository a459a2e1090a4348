"""What vendors charge: the rates of `resources/prices.toml`, and the cost of what was used. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Rates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one model costs: USD per million tokens, per minute of audio heard, per million characters spoken."""

    text_in: float = 0.0
    text_cached: float = 0.0
    text_out: float = 0.0
    audio_in: float = 0.0
    audio_cached: float = 0.0
    audio_out: float = 0.0
    minute: float = 0.0
    characters: float = 0.0


def rates_for(model: str, prices: Mapping[str, Rates]) -> Rates:
    """The rates of the longest name that ``model`` begins with (dated versions); else all zero."""
    names = [name for name in prices if model.startswith(name)]
    return prices[max(names, key=len)] if names else Rates()


def is_priced(model: str, prices: Mapping[str, Rates]) -> bool:
    """Whether anything is known of what it costs, if only that it is nothing."""
    return any(model.startswith(name) for name in prices)


def tokens_usd(
    rates: Rates,
    *,
    text_in: int = 0,
    text_cached: int = 0,
    text_out: int = 0,
    audio_in: int = 0,
    audio_cached: int = 0,
    audio_out: int = 0,
) -> float:
    """Cost of tokens. Cached ones are a part of those that went in."""
    millionths = (
        (text_in - text_cached) * rates.text_in
        + text_cached * rates.text_cached
        + (audio_in - audio_cached) * rates.audio_in
        + audio_cached * rates.audio_cached
        + text_out * rates.text_out
        + audio_out * rates.audio_out
    )
    return millionths / 1_000_000


def minutes_usd(rates: Rates, seconds: float) -> float:
    """Cost of audio that was listened to."""
    return seconds / 60 * rates.minute


def speech_usd(rates: Rates, characters: int) -> float:
    """Cost of text that was spoken."""
    return characters * rates.characters / 1_000_000
