"""What OpenAI's GPT-Live says, as far as we read it, what its ends mean, and how a session begins. Pure.

Only fields that are used are declared, all others are skipped without being looked at.
Source: openai-python 3.52 types/live (read 2026-11).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from bridge.engines import EngineLost, Remembered, Role, notes
from bridge.engines.openai_messages import QUOTED_CHARS, Problem

LONGEST_BYTES = 1000
"""Of one text that is added to a running session: it takes 500 tokens, and a token may be two bytes."""

MOST_BEFORE = 120
MOST_BEFORE_BYTES = 16_000
"""Of what a session begins with: it takes 128 messages and 8192 tokens."""

STANDING = (
    "You speak on the telephone. The call's opening words are spoken for you, so never greet the caller by yourself:"
    " wait until they have said something. When you need a tool, delegate, and tell the caller what came of it."
)
"""What every session is told beside its profile."""


@dataclass(frozen=True, slots=True)
class Config:
    """One session. backend: the model that uses the tools. tools: as in `openai_settings.Config`."""

    model: str
    voice: str
    instructions: str
    backend: str
    tools: tuple[Mapping[str, Any], ...] = ()


def session(config: Config, before: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The whole session object. before: role (developer, user, assistant) and text of what was, in order."""
    responses = {
        "model": config.backend,
        "instructions": config.instructions,
        "tools": list(config.tools),
        "tool_choice": "auto",
        "parallel_tool_calls": False,
    }
    return {
        "model": config.model,
        "instructions": f"{config.instructions}\n\n{STANDING}",
        "audio": {"format": {"type": "audio/pcmu", "rate": 8000}, "output": {"voice": config.voice}},
        "delegation": {"type": "responses", "responses": responses},
        "input": [_message(role, text) for role, text in _fitting(before)],
        "store": False,
    }


def _message(role: str, text: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"role": role, "content": [{"type": kind, "text": text}]}


def _fitting(before: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The newest of it that a session takes."""
    kept: deque[tuple[str, str]] = deque()
    left = MOST_BEFORE_BYTES
    for role, text in reversed(list(before)):
        left -= len(text.encode())
        if left < 0 or len(kept) == MOST_BEFORE:
            break
        kept.appendleft((role, text))
    return list(kept)


def recalled(turn: Remembered) -> tuple[str, str]:
    """Role and text of something that was said before; no text when nothing was."""
    match turn.role:
        case Role.CALLER:
            return "user", turn.text
        case Role.AI:
            return "assistant", turn.text
        case Role.OPERATOR:
            return "developer", turn.text and notes.colleague_said(turn.text)
        case Role.TOOL:
            return "developer", f"The tool {turn.name} was used with {turn.arguments} and answered: {turn.text}"
        case _:
            return "developer", turn.text


def in_pieces(text: str) -> list[str]:
    """A text in pieces that a running session takes, between words where there are any."""
    pieces: list[str] = []
    rest = text.strip()
    while len(rest.encode()) > LONGEST_BYTES:
        most = rest.encode()[:LONGEST_BYTES].decode(errors="ignore")
        piece = most.rpartition(" ")[0] or most
        pieces.append(piece)
        rest = rest[len(piece) :].strip()
    return [*pieces, rest] if rest else pieces


# ── incoming ──────────────────────────────────────────────────────────────────────────────


class Delta(msgspec.Struct, gc=False):
    """Any message, read for what a piece of sound or of words has."""

    type: str = ""
    delta: str | None = None
    start_ms: int = 0
    end_ms: int = 0


class Session(msgspec.Struct, gc=False):
    """expires_at: unix seconds."""

    model: str | None = None
    expires_at: int | None = None


class Started(msgspec.Struct):
    session: Session


class Seconds(msgspec.Struct, gc=False):
    seconds: float = 0.0


class UsageTold(msgspec.Struct):
    """How much there was of the session by now."""

    usage: Seconds


class ClosedTold(msgspec.Struct):
    reason: str = ""
    usage: Seconds | None = None


class Item(msgspec.Struct, gc=False):
    type: str = ""
    call_id: str = ""
    name: str = ""
    arguments: str = "{}"


class CachedTokens(msgspec.Struct, gc=False):
    cached_tokens: int | None = None


class Tokens(msgspec.Struct):
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    input_tokens_details: CachedTokens | None = None


class Response(msgspec.Struct):
    usage: Tokens | None = None
    error: Problem | None = None


class Nested(msgspec.Struct):
    """An event of the backend's."""

    type: str = ""
    item: Item | None = None
    response: Response | None = None


class NestedTold(msgspec.Struct):
    event: Nested
    delegation_id: str | None = None


class Echo(msgspec.Struct, gc=False):
    """An answer to a message of ours, by its event_id."""

    client_event_id: str | None = None


class LiveProblem(Problem):
    client_event_id: str | None = None


class ErrorTold(msgspec.Struct):
    error: LiveProblem


# ── ends ──────────────────────────────────────────────────────────────────────────────────


def ended(reason: str) -> EngineLost:
    """The peer closed the session for this reason, which was not that we asked for it."""
    match reason:
        case "expired":
            text = "The AI's session reached the longest time OpenAI allows; a new one is needed."
            return EngineLost(text, fatal=False, expired=True)
        case "content":
            return EngineLost("OpenAI's safety filter ended the AI's session.", fatal=False)
        case _:
            return EngineLost(f"OpenAI ended the AI's session ({reason[:QUOTED_CHARS] or 'no reason'}).", fatal=False)
