"""Rehearsed conversations: what a caller does, and what the AI answers to each thing the caller says.

The carrier plays the caller's steps; the AI has only the replies and must find out by ear which
one is asked for. Each reply belongs to a caller's line, not to a place in the script, so it fits
whenever the line comes: after a barge-in, a mute, or a talk with the operator.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from bridge.audio import FRAME_BYTES, SILENCE_BYTE
from bridge.rehearsal.clips import shipped
from bridge.wav import mulaw_from_wav

FOLDER = Path(__file__).resolve().parents[2] / "resources" / "scenarios"
FILE_CALLER_NUMBER = "+16285550199"
DEFAULT_NUMBER = "+16285550100"


class Wait(StrEnum):
    """What a caller waits for before a step.

    REPLY_END: the other side has spoken since the last step and been quiet for ``ms``.
    REPLY_MS: the other side has been speaking for ``ms`` (a barge-in).
    PAUSE: ``ms`` have passed since the last step ended.
    """

    REPLY_END = "reply_end"
    REPLY_MS = "reply_ms"
    PAUSE = "pause"


@dataclass(frozen=True)
class CallerStep:
    """One thing the caller does. After ``give_up_ms`` of waiting it is done anyway.

    audio: mu-law 8 kHz, whole frames; text: what it says, for logs and checks; digits: keys pressed.
    """

    wait: Wait
    ms: int
    audio: bytes = b""
    text: str = ""
    digits: str = ""
    hang_up: bool = False
    give_up_ms: int = 20000


@dataclass(frozen=True)
class ToolUse:
    """A tool the AI uses to answer a line.

    then: what it says with the result, ``{path|otherwise}`` filled in from the result's JSON;
    failed: what it says when the result tells of an error; without: when it has no such tool.
    """

    name: str
    arguments: dict[str, Any]
    then: str
    failed: str
    without: str


@dataclass(frozen=True)
class Reply:
    """What the AI answers to one line of the caller: words, a tool, or words and then a tool."""

    line: str
    audio: bytes = field(repr=False)
    says: str = ""
    tool: ToolUse | None = None


@dataclass(frozen=True)
class Scenario:
    """One rehearsed call. place: city, state, country of the other party."""

    name: str
    title: str
    direction: str
    caller_number: str
    our_number: str
    place: tuple[str, str, str]
    steps: tuple[CallerStep, ...]
    replies: tuple[Reply, ...] = ()


class _Tool(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    then: str
    arguments: dict[str, Any] = {}
    failed: str = "I am sorry, that did not work just now. A colleague will look into it and call you back."
    without: str = "I cannot look that up just now. A colleague will call you back about it."


class _Turn(msgspec.Struct, forbid_unknown_fields=True):
    ms: int
    wait: Wait = Wait.REPLY_END
    caller: str = ""
    digits: str = ""
    hang_up: bool = False
    give_up_ms: int = 20000
    reply: str = ""
    tool: _Tool | None = None


class Script(msgspec.Struct, forbid_unknown_fields=True):
    """A scenario as its file has it, before it has a voice."""

    title: str
    direction: str
    voice: str
    caller_number: str
    our_number: str
    place: tuple[str, str, str]
    turns: tuple[_Turn, ...]

    def caller_texts(self) -> list[str]:
        """All that the caller says, line by line."""
        return [turn.caller for turn in self.turns if turn.caller]

    def ai_texts(self) -> list[str]:
        """All that the AI may answer, templates as they are."""
        tools = [turn.tool for turn in self.turns if turn.tool]
        spoken = [turn.reply for turn in self.turns] + [
            t for tool in tools for t in (tool.then, tool.failed, tool.without)
        ]
        return [text for text in spoken if text]


def names() -> tuple[str, ...]:
    """The scenarios that ship, in a fixed order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def script(name: str) -> Script:
    """The scenario's text. Raises ValueError, in words, for a name that is none or a file that is wrong."""
    if name not in names():
        raise ValueError(f"there is no scenario called {name}: choose from {', '.join(names())}")
    try:
        return msgspec.convert(tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8")), Script)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{name}.toml: {error}") from error


def load(name: str) -> Scenario:
    """The scenario with its voices. Raises ValueError as `script` does, or when a line was never rendered."""
    text = script(name)
    steps, replies = [], []
    for turn in text.turns:
        audio = _voiced(name, text.voice, turn.caller) if turn.caller else b""
        steps.append(CallerStep(turn.wait, turn.ms, audio, turn.caller, turn.digits, turn.hang_up, turn.give_up_ms))
        if turn.caller and (turn.reply or turn.tool):
            replies.append(Reply(turn.caller, audio, turn.reply, _tool(turn.tool)))
    return Scenario(
        name=name,
        title=text.title,
        direction=text.direction,
        caller_number=text.caller_number,
        our_number=text.our_number,
        place=text.place,
        steps=tuple(steps),
        replies=tuple(replies),
    )


def from_wav(path: Path | str) -> Scenario:
    """A caller who listens to the greeting, plays the file, hears the answer and hangs up.

    Takes mono PCM, float or mu-law of any common rate. Raises OSError when the file cannot be read
    and ValueError, in words, when it is no such file. Slow for long files: call it off the loop.
    """
    path = Path(path)
    return Scenario(
        name="file",
        title=f"Caller from {path.name}",
        direction="inbound",
        caller_number=FILE_CALLER_NUMBER,
        our_number=DEFAULT_NUMBER,
        place=("", "", "US"),
        steps=(
            CallerStep(Wait.REPLY_END, 700, _whole_frames(mulaw_from_wav(path)), f"[{path.name}]"),
            CallerStep(Wait.REPLY_END, 1500, hang_up=True),
        ),
    )


def _voiced(name: str, voice: str, text: str) -> bytes:
    audio = shipped().get(voice, text)
    if audio is None:
        raise ValueError(f"{name}.toml: no clip for “{text}”: run python -m bridge.rehearsal.render")
    return _whole_frames(audio)


def _whole_frames(audio: bytes) -> bytes:
    return audio + bytes([SILENCE_BYTE]) * (-len(audio) % FRAME_BYTES)


def _tool(tool: _Tool | None) -> ToolUse | None:
    return ToolUse(tool.name, tool.arguments, tool.then, tool.failed, tool.without) if tool else None
