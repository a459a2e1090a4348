"""Where Deepgram's services are, with what they are asked for."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from bridge.engines.speech.deepgram_messages import AURA, NOVA, Problem, aura_url, flux_model, flux_url, nova_url

BASE = "https://api.deepgram.com"


def query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def test_nova_listens_to_telephone_sound_and_tells_early_and_finds_pauses() -> None:
    url = nova_url(BASE, NOVA, "en")
    assert url.startswith("wss://api.deepgram.com/v1/listen?")
    assert query(url) == {
        "model": "nova-3",
        "language": "en",
        "encoding": "mulaw",
        "sample_rate": "8000",
        "channels": "1",
        "interim_results": "true",
        "endpointing": "300",
        "utterance_end_ms": "1000",
        "vad_events": "true",
        "smart_format": "true",
        "punctuate": "true",
    }
    assert query(nova_url(BASE, "nova-2-phonecall", "de"))["model"] == "nova-2-phonecall"


@pytest.mark.parametrize(
    ("language", "model", "hint"),
    [
        ("en", "flux-general-en", None),
        ("en-GB", "flux-general-en", None),
        ("de", "flux-general-multi", "de"),
        ("multi", "flux-general-multi", None),
    ],
)
def test_flux_is_the_one_that_knows_the_language(language: str, model: str, hint: str | None) -> None:
    asked = query(flux_url(BASE, flux_model(language), language, eager=False))
    assert (asked["model"], asked.get("language_hint")) == (model, hint)
    assert (asked["encoding"], asked["sample_rate"]) == ("mulaw", "8000")


def test_flux_tells_that_a_turn_may_end_where_that_is_wanted() -> None:
    assert "eager_eot_threshold" not in flux_url(BASE, flux_model("en"), "en", eager=False)
    eager = query(flux_url(BASE, flux_model("en"), "en", eager=True))
    assert 0.3 <= float(eager["eager_eot_threshold"]) < float(eager["eot_threshold"]) <= 0.9


def test_aura_speaks_as_a_telephone_does() -> None:
    url = aura_url("http://127.0.0.1:9/v1/deepgram", AURA)
    assert url.startswith("ws://127.0.0.1:9/v1/deepgram/v1/speak?")
    assert query(url) == {"model": "aura-2-thalia-en", "encoding": "mulaw", "sample_rate": "8000"}


def test_a_problem_is_called_by_its_code_or_its_kind() -> None:
    assert [Problem("A").name, Problem(None, "B").name, Problem("A", "B").name, Problem().name] == [
        *("A", "B", "A", "no code")
    ]
    assert len(Problem("x" * 1000).name) == 60
