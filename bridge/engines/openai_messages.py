"""What OpenAI's Realtime peer says, as far as we read it, what it costs, and what its errors mean.

Only fields that are used are declared, all others are skipped without being looked at: the peer
may add what it likes. Pure, like `openai_wire`, which it serves.
Source: openai-python 3.52 types, OpenAI's pricing and error pages (read 2026-11).
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from bridge.engines import EngineLost
from bridge.engines.prices import Rates, minutes_usd, tokens_usd

QUOTED_CHARS = 200
"""How much of a peer's own words goes into a sentence for the operator."""


# ── incoming ──────────────────────────────────────────────────────────────────────────────


class Delta(msgspec.Struct, gc=False):
    """Any message, read for what an audio delta has; the only thing decoded on the audio path."""

    type: str = ""
    item_id: str | None = None
    response_id: str | None = None
    delta: str | None = None


class Named(msgspec.Struct, gc=False):
    """Any message, for its name alone."""

    type: str = ""


class Problem(msgspec.Struct, gc=False):
    """An error, wherever it stands. event_id: of our message that caused it."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None
    event_id: str | None = None

    @property
    def name(self) -> str:
        """Its code, or its type when it has none."""
        return self.code or self.type or "error"

    @property
    def words(self) -> str:
        """What the peer wrote, cut short, or the name when it wrote nothing."""
        return (self.message or self.name)[:QUOTED_CHARS]


class ErrorTold(msgspec.Struct):
    error: Problem


class Session(msgspec.Struct, gc=False):
    """expires_at: unix seconds, when the peer says it. The others are what only the beta's has."""

    model: str | None = None
    expires_at: int | None = None
    modalities: Any = None
    input_audio_format: Any = None
    output_audio_format: Any = None
    input_audio_transcription: Any = None


class SessionTold(msgspec.Struct):
    session: Session


class CallerEdge(msgspec.Struct, gc=False):
    """The caller began or stopped. Both times are ms of the audio that we sent."""

    item_id: str
    audio_start_ms: int = 0
    audio_end_ms: int = 0


class TranscriptUsage(msgspec.Struct):
    """Billed by tokens or by seconds of audio."""

    total_tokens: int = 0
    seconds: float = 0.0
    output_tokens: int = 0
    input_token_details: InputTokens | None = None


class CallerText(msgspec.Struct):
    """More, all, or none of the caller's words."""

    item_id: str
    delta: str | None = None
    transcript: str | None = None
    usage: TranscriptUsage | None = None
    error: Problem | None = None


class Part(msgspec.Struct, gc=False):
    """About one item of a reply: more words, all words, or the end of its audio."""

    response_id: str
    item_id: str
    delta: str | None = None
    transcript: str | None = None


class Item(msgspec.Struct, gc=False):
    type: str = ""
    status: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None


class ItemTold(msgspec.Struct):
    item: Item
    response_id: str | None = None


class ItemGone(msgspec.Struct, gc=False):
    item_id: str


class CachedTokens(msgspec.Struct, gc=False):
    text_tokens: int | None = None
    audio_tokens: int | None = None


class InputTokens(msgspec.Struct):
    text_tokens: int | None = None
    audio_tokens: int | None = None
    cached_tokens_details: CachedTokens | None = None


class OutputTokens(msgspec.Struct, gc=False):
    text_tokens: int | None = None
    audio_tokens: int | None = None


class Usage(msgspec.Struct):
    """Details have two names: today's, and one that beta servers use."""

    total_tokens: int | None = None
    input_token_details: InputTokens | None = None
    output_token_details: OutputTokens | None = None
    input_tokens_details: InputTokens | None = None
    output_tokens_details: OutputTokens | None = None


class StatusDetails(msgspec.Struct):
    reason: str | None = None
    error: Problem | None = None


class Response(msgspec.Struct):
    """conversation_id: None (not UNSET) says that the reply is outside the conversation."""

    id: str
    status: str | None = None
    status_details: StatusDetails | None = None
    metadata: dict[str, Any] | None = None
    conversation_id: str | UnsetType | None = UNSET
    usage: Usage | None = None


class ResponseTold(msgspec.Struct):
    response: Response


# ── cost ──────────────────────────────────────────────────────────────────────────────────


def _tokens_usd(rates: Rates, tokens: InputTokens | None, text_out: int, audio_out: int) -> float:
    """Cached tokens are a part of the input tokens."""
    tokens = tokens or InputTokens()
    cached = tokens.cached_tokens_details or CachedTokens()
    return tokens_usd(
        rates,
        text_in=tokens.text_tokens or 0,
        text_cached=cached.text_tokens or 0,
        text_out=text_out,
        audio_in=tokens.audio_tokens or 0,
        audio_cached=cached.audio_tokens or 0,
        audio_out=audio_out,
    )


def reply_cost(usage: Usage | None, rates: Rates) -> tuple[int, float]:
    """Tokens and USD of one reply."""
    if usage is None:
        return 0, 0.0
    read = usage.input_token_details or usage.input_tokens_details
    out = usage.output_token_details or usage.output_tokens_details or OutputTokens()
    cost_usd = _tokens_usd(rates, read, out.text_tokens or 0, out.audio_tokens or 0)
    return usage.total_tokens or 0, cost_usd


def transcript_cost(usage: TranscriptUsage, rates: Rates) -> tuple[int, float]:
    """Tokens and USD of one transcribed turn. Where only tokens are told, ten of audio are taken for a second."""
    tokens = usage.input_token_details or InputTokens()
    seconds = usage.seconds or (tokens.audio_tokens or 0) / 10
    cost_usd = _tokens_usd(rates, tokens, usage.output_tokens, 0)
    return usage.total_tokens, cost_usd + minutes_usd(rates, seconds)


# ── errors ────────────────────────────────────────────────────────────────────────────────

EXPECTED_CODES = frozenset({"response_cancel_not_active"})
"""Errors that are the ordinary end of a race: a cancel that came after the reply's end."""

OUR_CODES = frozenset(
    {
        "input_audio_buffer_commit_empty",
        "invalid_tool_call_id",
        "invalid_type",
        "invalid_value",
        "item_create_duplicate_item_id",
        "item_create_invalid_item_id",
        "item_delete_invalid_item_id",
        "item_truncate_invalid_item_id",
        "unknown_parameter",
    }
)
"""Errors about our bookkeeping: recorded, but nothing an operator could act on."""

BUSY_CODE = "conversation_already_has_active_response"

RATE_CODE = "rate_limit_exceeded"

PASSING = frozenset({RATE_CODE, "rate_limit_error", "server_error", "server_overloaded", "service_unavailable"})
"""Codes and types of errors that another try may not meet."""

NO_TELEPHONE_SOUND = (
    "The server at OPENAI_BASE_URL takes no telephone sound (G.711 mu-law). Use one that does, or another engine in"
    " the profile."
)

_FATAL = {
    "invalid_api_key": "OpenAI refused the key. Put a valid key into OPENAI_API_KEY and start the bridge again.",
    "model_not_found": "OpenAI does not offer this model to this key. Choose another model in the call's profile.",
    "insufficient_quota": "The OpenAI account has no credit left. Add credit at OpenAI; calls need it from then on.",
    "billing_hard_limit_reached": "The OpenAI account reached its spending limit. Raise the limit at OpenAI.",
    "billing_not_active": "The OpenAI account is not active. Check its billing at OpenAI.",
    "account_deactivated": "The OpenAI account is deactivated. Use the key of another account.",
    "unsupported_country_region_territory": "OpenAI does not serve the country of this machine. Use another engine.",
    "beta_api_shape_disabled": "This address speaks an older protocol. Check OPENAI_BASE_URL.",
    "model_load_error": "The server at OPENAI_BASE_URL could not load the model. Check it, and the profile's model.",
}

_REFUSED = {
    401: "OpenAI refused the key (401). Put a valid key into OPENAI_API_KEY and start the bridge again.",
    402: "The OpenAI account has no credit left (402). Add credit at OpenAI; calls need it from then on.",
    403: "OpenAI does not let this key use the voice models (403). Check the key's project and region at OpenAI.",
    404: "There is no such model or address at OpenAI (404). Check the model in the profile and OPENAI_BASE_URL.",
    429: "OpenAI turned the call down (429): out of credit or over the rate limit. Check the account's limits.",
}

_PASSING_STATUSES = frozenset({408, 409, 425})

_POINTLESS_CLOSES = frozenset({1003, 1007, 1008, 1010})
"""Close codes that say that what we sent, or who we are, is not acceptable. All others may pass."""

_OWN_CLOSES = range(3000, 5000)
"""Close codes whose meaning is in the reason's words."""


def refused(status: int, body: str = "") -> EngineLost:
    """The handshake was answered with this HTTP status instead of 101 (0: not in HTTP), and these words."""
    if 400 < status < 500 and status != 401:
        for name, text in _FATAL.items():
            if name in body:
                return EngineLost(text, fatal=True)
    if status == 429 and "rate_limit" in body:
        return EngineLost("OpenAI's rate limit turned the call down (429). It may pass; try again.", fatal=False)
    if status in _REFUSED:
        return EngineLost(_REFUSED[status], fatal=True)
    if status < 400:
        text = "What answered is not OpenAI's voice service. Check OPENAI_BASE_URL and the network's sign-in page."
        return EngineLost(text, fatal=False)
    if status < 500 and status not in _PASSING_STATUSES:
        return EngineLost(f"OpenAI refused the connection ({status}). Check OPENAI_BASE_URL.", fatal=True)
    return EngineLost(f"OpenAI could not take the connection ({status}). It may pass; try again.", fatal=False)


def closed(code: int, reason: str) -> EngineLost:
    """The peer closed the socket with this code and reason (1006: without a word)."""
    for name, text in _FATAL.items():
        if name in reason:
            return EngineLost(text, fatal=True)
    if "session_expired" in reason or "maximum duration" in reason:
        return _expired()
    if code in _POINTLESS_CLOSES or (code in _OWN_CLOSES and "invalid_request_error" in reason):
        text = f"OpenAI does not accept the session ({code}). Check the model and the voice in the profile."
        return EngineLost(text, fatal=True)
    return EngineLost(f"The connection to OpenAI was lost ({code}).", fatal=False)


def ended_by(problem: Problem) -> EngineLost | None:
    """The end of the engine, if this error means that; else None and the session goes on."""
    for name in (problem.code, problem.type):
        if name in _FATAL:
            return EngineLost(_FATAL[name], fatal=True)
    if problem.code == "session_expired" or "maximum duration" in (problem.message or ""):
        return _expired()
    return None


def unconfigured(problem: Problem) -> EngineLost:
    """The session's settings were refused with this error."""
    if about_sound(problem):
        return EngineLost(NO_TELEPHONE_SOUND, fatal=True)
    if PASSING.isdisjoint((problem.code, problem.type)):
        return EngineLost(f"OpenAI did not accept the call's profile: {problem.words}", fatal=True)
    return EngineLost(f"OpenAI could not begin the session: {problem.words}", fatal=False)


def about_sound(problem: Problem) -> bool:
    """Whether the peer does not take the form of our sound."""
    return bool(re.search(r"audio_format|audio\.(in|out)put\.format", f"{problem.param} {problem.message}"))


def _expired() -> EngineLost:
    text = "The AI's session reached the longest time OpenAI allows; a new one is needed."
    return EngineLost(text, fatal=False, expired=True)


def retry_delay_ms(problem: Problem) -> int:
    """How long a rate limit asks to wait ("try again in 1.5s", "in 300ms"), 2 s if it does not say, at most 10 s."""
    hint = re.search(r"try again in (\d+(?:\.\d+)?)(ms|s)", problem.message or "")
    if hint is None:
        return 2000
    return min(10_000, int(float(hint[1]) * (1000 if hint[2] == "s" else 1)))
