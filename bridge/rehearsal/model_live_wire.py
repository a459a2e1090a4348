"""What a client may send to the rehearsal's GPT-Live, checked as strictly as the real one checks it.

The shapes are those of the official `openai` package, types/live; unknown fields are refused. Only what
this AI can truly do passes: telephone sound, and tasks for the Responses API or for nobody.
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bridge.rehearsal.model_wire import (
    MAX_APPEND_BYTES,
    ClientEvent,
    CustomVoice,
    FunctionTool,
    Refused,
    Shape,
    ToolChoice,
    explained,
)

FIXTURE_HZ = 24_000
_LONGEST_FIXTURE_S = 30
_CHARS_PER_TOKEN = 4
"""What the tokens of a text are reckoned by."""

_MOST_CONTENT_TOKENS = 500
_MOST_INSTRUCTION_TOKENS = 16_384
_MOST_INPUT_TOKENS = 8192
_MODEL = re.compile(r"gpt-live-1(-.+)?")
_PCMU = {"type": "audio/pcmu", "rate": 8000}

VoiceName: TypeAlias = Literal[
    "alloy", "ash", "ballad", "beacon", "bossa", "cedar", "cinder", "coral", "delta", "echo", "gleam", "marin",
    "meridian", "quartz", "ripple", "sage", "shida", "shimmer", "stone", "tempo", "verse", "vesper", "willow",
]  # fmt: skip


# ── session ───────────────────────────────────────────────────────────────────────────────


class Pcm(Shape, tag="audio/pcm", kw_only=True):
    rate: Literal[16000, 24000]


class Pcmu(Shape, tag="audio/pcmu", kw_only=True):
    rate: Literal[8000]


class Pcma(Shape, tag="audio/pcma", kw_only=True):
    rate: Literal[8000]


class Output(Shape, kw_only=True):
    voice: VoiceName | CustomVoice | UnsetType = UNSET


class Audio(Shape, kw_only=True):
    format: Pcm | Pcmu | Pcma | UnsetType = UNSET
    output: Output | UnsetType = UNSET


class Reasoning(Shape, kw_only=True):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | UnsetType | None = UNSET
    summary: Literal["concise", "detailed", "auto"] | UnsetType | None = UNSET


class Verbosity(Shape, kw_only=True):
    verbosity: Literal["low", "medium", "high"] | UnsetType | None = UNSET


class Responses(Shape, kw_only=True):
    model: str
    instructions: str | UnsetType = UNSET
    max_output_tokens: int | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    reasoning: Reasoning | UnsetType = UNSET
    service_tier: Literal["auto", "default", "flex", "priority"] | UnsetType = UNSET
    text: Verbosity | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    tools: list[FunctionTool] | UnsetType = UNSET


class ByResponses(Shape, tag="responses", kw_only=True):
    responses: Responses
    acknowledgement_delay_ms: Annotated[int, Meta(ge=0)] | UnsetType = UNSET


class ByClient(Shape, tag="client", kw_only=True):
    acknowledgement_delay_ms: Annotated[int, Meta(ge=0)] | UnsetType = UNSET


Delegation: TypeAlias = ByResponses | ByClient


class Text(Shape, kw_only=True):
    text: str
    type: Literal["input_text", "output_text", "text"] | UnsetType = UNSET


class Message(Shape, kw_only=True):
    """Of the history. A part's type is checked by `check`, for it goes by the role."""

    role: Literal["developer", "user", "assistant"]
    content: Annotated[list[Text], Meta(min_length=1, max_length=1)]
    type: Literal["message"] | UnsetType = UNSET
    id: str | UnsetType = UNSET
    status: Literal["incomplete", "completed"] | UnsetType = UNSET


class SessionConfig(Shape, kw_only=True):
    model: str
    audio: Audio | UnsetType = UNSET
    delegation: Delegation | UnsetType | None = UNSET
    input: Annotated[list[Message], Meta(max_length=128)] | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    safety_identifier: str | UnsetType = UNSET
    store: bool | UnsetType = UNSET


class ResponsesUpdate(Shape, kw_only=True):
    model: str | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    tools: list[FunctionTool] | UnsetType = UNSET


class ByResponsesUpdate(Shape, tag="responses", kw_only=True):
    responses: ResponsesUpdate


class SessionChange(Shape, kw_only=True):
    delegation: ByResponsesUpdate


# ── client events ─────────────────────────────────────────────────────────────────────────


class SessionStart(ClientEvent, tag="session.start", kw_only=True):
    session: SessionConfig


class SessionUpdate(ClientEvent, tag="session.update", kw_only=True):
    session: SessionChange


class Append(ClientEvent, tag="session.input_audio.append", kw_only=True):
    audio: str


class Mute(ClientEvent, tag="session.input_audio.mute", kw_only=True):
    pass


class Unmute(ClientEvent, tag="session.input_audio.unmute", kw_only=True):
    pass


class AppendText(ClientEvent, kw_only=True):
    """The ``delegation_id`` must be there, if only to be null."""

    content: str
    delegation_id: str | None


class Instructions(AppendText, tag="session.instructions.append", kw_only=True):
    pass


class Thinking(AppendText, tag="session.thinking.append", kw_only=True):
    pass


class Commentary(AppendText, tag="session.commentary.append", kw_only=True):
    pass


class FixturePlay(ClientEvent, tag="session.output_audio.fixture.play", kw_only=True):
    audio: str


class FunctionOutput(Shape, tag="function_call_output", kw_only=True):
    call_id: str
    output: str
    id: str | UnsetType = UNSET
    status: Literal["in_progress", "completed", "incomplete"] | UnsetType = UNSET


class UserMessage(Shape, tag="message", kw_only=True):
    role: Literal["user", "system", "developer"]
    content: str


class ItemCreate(ClientEvent, tag="response.item.create", kw_only=True):
    item: FunctionOutput | UserMessage


class ResponseCreate(ClientEvent, tag="response.create", kw_only=True):
    pass


class Close(ClientEvent, tag="session.close", kw_only=True):
    pass


Client: TypeAlias = (
    SessionStart
    | SessionUpdate
    | Append
    | Mute
    | Unmute
    | Instructions
    | Thinking
    | Commentary
    | FixturePlay
    | ItemCreate
    | ResponseCreate
    | Close
)

_client = msgspec.json.Decoder(Client)


def decode(text: str) -> Client:
    """One client event. Raises Refused with the API's code, words and parameter name."""
    try:
        message: Client = _client.decode(text)
    except msgspec.ValidationError as error:
        raise explained(str(error)) from error
    except msgspec.DecodeError as error:
        raise Refused("invalid_json", f"Could not parse the message as JSON: {error}") from error
    return message


def resource(config: SessionConfig, session_id: str, expires_at: int) -> dict[str, Any]:
    """The session as `session.started` shows it. Raises Refused for what cannot be had."""
    if not _MODEL.fullmatch(config.model):
        problem = f"The model '{config.model}' does not exist or you do not have access to it."
        raise Refused("model_not_found", problem, "session.model")
    told: dict[str, Any] = msgspec.to_builtins(config)
    if told.get("audio", {}).get("format") != _PCMU:
        raise Refused("invalid_value", "This rehearsal AI speaks audio/pcmu only.", "session.audio.format")
    told["audio"].setdefault("output", {}).setdefault("voice", "marin")
    if _tokens(told.get("instructions", "")) > _MOST_INSTRUCTION_TOKENS:
        problem = f"The instructions are longer than {_MOST_INSTRUCTION_TOKENS} tokens."
        raise Refused("string_above_max_length", problem, "session.instructions")
    history = told.get("input", [])
    for index, message in enumerate(history):
        fits = ("text", "output_text") if message["role"] == "assistant" else ("input_text",)
        if message["content"][0].get("type", fits[0]) not in fits:
            raise Refused("invalid_value", f"Supported values are {fits}.", f"session.input[{index}].content[0].type")
    if sum(_tokens(message["content"][0]["text"]) for message in history) > _MOST_INPUT_TOKENS:
        raise Refused("invalid_value", f"The input is longer than {_MOST_INPUT_TOKENS} tokens.", "session.input")
    return told | {"id": session_id, "expires_at": expires_at, "status": "active"}


def check_content(message: AppendText, *, by_responses: bool) -> None:
    """Raises Refused for an appended text that is empty, too long, or belongs to nothing."""
    if not message.content.strip():
        raise Refused("invalid_value", "The content is empty.", "content")
    if _tokens(message.content) > _MOST_CONTENT_TOKENS:
        raise Refused("string_above_max_length", f"The content exceeds {_MOST_CONTENT_TOKENS} tokens.", "content")
    if message.delegation_id is not None:
        problem = "is not accepted with Responses delegation" if by_responses else "is of no delegation"
        raise Refused("invalid_value", f"'{message.delegation_id}' {problem}.", "delegation_id")


def sound(text: str) -> bytes:
    """Audio of an append. Raises Refused."""
    audio = _from_base64(text)
    if len(audio) > MAX_APPEND_BYTES:
        raise Refused("invalid_value", "The audio is longer than 15 MiB.", "audio")
    return audio


def fixture(text: str) -> bytes:
    """PCM16 at `FIXTURE_HZ` that is to be played. Raises Refused."""
    pcm = _from_base64(text)
    if not pcm or len(pcm) % 2:
        raise Refused("invalid_value", "A fixture is whole samples of PCM16, at least one.", "audio")
    if len(pcm) > 2 * FIXTURE_HZ * _LONGEST_FIXTURE_S:
        raise Refused("invalid_value", f"The fixture is longer than {_LONGEST_FIXTURE_S} seconds.", "audio")
    if pcm.startswith(b"RIFF"):
        raise Refused("invalid_value", "A fixture has no header.", "audio")
    return pcm


def _from_base64(text: str) -> bytes:
    try:
        return a2b_base64(text, strict_mode=True)
    except Base64Error as error:
        raise Refused("invalid_value", f"Invalid base64 audio: {error}.", "audio") from error


def _tokens(text: str) -> int:
    return -(-len(text) // _CHARS_PER_TOKEN)
