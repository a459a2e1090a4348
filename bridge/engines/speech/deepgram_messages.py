"""Deepgram's addresses, and what it says, as far as we read it.

Only fields that are used are declared, all others are skipped without being looked at: the peer may
add what it likes. Times are seconds of the sound that it was sent. Pure, like the wires it serves.
Source: deepgram-sdk 7.17 types, Deepgram's documentation (read 2026-11).
"""

from __future__ import annotations

from typing import TypeAlias
from urllib.parse import urlencode

import msgspec

NOVA = "nova-3"
FLUX_ENGLISH, FLUX_MANY = "flux-general-en", "flux-general-multi"
AURA = "aura-2-thalia-en"

ANY_LANGUAGE = "multi"
"""As a language: whichever is spoken."""

ENDPOINTING_MS = 300
"""Silence after which nova takes a stretch of speech to be over; less cuts sentences at their commas."""

UTTERANCE_END_MS = 1000
"""Without a new word for so long, nova's turn is over even if there was never silence: the least that it takes."""

END_CONFIDENCE = 0.7
EAGER_CONFIDENCE = 0.4
END_TIMEOUT_MS = 5000
"""How sure flux is to be that a turn is over, or may be; and after what silence it is over anyhow."""

_Query: TypeAlias = dict[str, str | int | float]
_SOUND: _Query = {"encoding": "mulaw", "sample_rate": 8000}


def nova_url(base_url: str, model: str, language: str) -> str:
    """Where nova listens. base_url: http or https, without a slash at its end."""
    query: _Query = {
        "model": model,
        "language": language,
        **_SOUND,
        "channels": 1,
        "interim_results": "true",
        "endpointing": ENDPOINTING_MS,
        "utterance_end_ms": UTTERANCE_END_MS,
        "vad_events": "true",
        "smart_format": "true",
        "punctuate": "true",
    }
    return _url(base_url, "v1/listen", query)


def flux_model(language: str) -> str:
    """The usual flux for a language."""
    return FLUX_ENGLISH if language.split("-")[0] == "en" else FLUX_MANY


def flux_url(base_url: str, model: str, language: str, *, eager: bool) -> str:
    """Where flux listens. language: a hint to the model that knows several."""
    query: _Query = {"model": model, **_SOUND, "eot_threshold": END_CONFIDENCE, "eot_timeout_ms": END_TIMEOUT_MS}
    if eager:
        query["eager_eot_threshold"] = EAGER_CONFIDENCE
    if model == FLUX_MANY and language != ANY_LANGUAGE:
        query["language_hint"] = language
    return _url(base_url, "v2/listen", query)


def aura_url(base_url: str, model: str) -> str:
    """Where aura speaks. model: voice and language in one."""
    return _url(base_url, "v1/speak", {"model": model, **_SOUND})


def _url(base_url: str, path: str, query: _Query) -> str:
    return f"ws{base_url.removeprefix('http')}/{path}?{urlencode(query)}"


class Named(msgspec.Struct, gc=False):
    """Any message, for its name alone."""

    type: str = ""


class Word(msgspec.Struct, gc=False):
    start: float | None = None
    end: float | None = None


class Alternative(msgspec.Struct):
    transcript: str = ""
    words: list[Word] = []


class Channel(msgspec.Struct):
    alternatives: list[Alternative] = []


class Results(msgspec.Struct):
    """What nova understood in a stretch of the stream.

    is_final: it will not change; speech_final: and the speaker has paused; from_finalize: we asked for it.
    """

    channel: Channel
    start: float = 0.0
    duration: float = 0.0
    is_final: bool | None = None
    speech_final: bool | None = None
    from_finalize: bool | None = None


class SpeechStarted(msgspec.Struct, gc=False):
    timestamp: float = 0.0


class UtteranceEnd(msgspec.Struct, gc=False):
    """last_word_end: below 0 where it is not known."""

    last_word_end: float = -1.0


class TurnInfo(msgspec.Struct):
    """Where flux's turn stands. transcript: of the whole turn so far."""

    event: str
    turn_index: int
    transcript: str = ""
    words: list[Word] = []
    audio_window_start: float = 0.0
    audio_window_end: float = 0.0


class Problem(msgspec.Struct):
    """An error or a warning. Nothing of its prose is shown: a caller's words may be quoted in it."""

    code: str | None = None
    variant: str | None = None

    @property
    def name(self) -> str:
        """Its code or category, cut short."""
        return (self.code or self.variant or "no code")[:60]
