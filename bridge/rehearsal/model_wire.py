"""What a client may send to the rehearsal AI, checked as strictly as the real one checks it.

The shapes are those of the official `openai` package's realtime types (GA); unknown fields are
refused. Only what this AI can truly do passes; the rest is refused in words.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

MODELS = (
    "gpt-realtime",
    "gpt-realtime-1.5",
    "gpt-realtime-2",
    "gpt-realtime-2.1",
    "gpt-realtime-2.1-mini",
    "gpt-realtime-2025-08-28",
    "gpt-realtime-mini",
    "gpt-realtime-mini-2025-10-06",
    "gpt-realtime-mini-2025-12-15",
)
MAX_APPEND_BYTES = 15 * 1024 * 1024

VoiceName: TypeAlias = Literal["alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"]
Modalities: TypeAlias = list[Literal["audio", "text"]]
MaxTokens: TypeAlias = Annotated[int, Meta(ge=1, le=4096)] | Literal["inf"]
Effort: TypeAlias = Literal["minimal", "low", "medium", "high", "xhigh"]


class Refused(Exception):
    """The client asked for what the protocol does not allow; sent back as an `error` event."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param


class Shape(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A JSON object with these fields and no others. In a union its ``tag`` is the "type"; one that
    stands alone declares its type, or it could be left out.
    """


# ── session ───────────────────────────────────────────────────────────────────────────────


class Pcm(Shape, tag="audio/pcm", kw_only=True):
    rate: Literal[24000] | UnsetType = UNSET


class Pcmu(Shape, tag="audio/pcmu", kw_only=True):
    pass


class Pcma(Shape, tag="audio/pcma", kw_only=True):
    pass


Format: TypeAlias = Pcm | Pcmu | Pcma


class NoiseReduction(Shape, kw_only=True):
    type: Literal["near_field", "far_field"] | UnsetType = UNSET
    strength: Annotated[float, Meta(ge=0)] | UnsetType = UNSET


class Transcription(Shape, kw_only=True):
    model: (
        Literal[
            "whisper-1",
            "gpt-transcribe",
            "gpt-live-transcribe",
            "gpt-4o-transcribe",
            "gpt-4o-mini-transcribe",
            "gpt-4o-transcribe-diarize",
            "gpt-realtime-whisper",
        ]
        | UnsetType
    ) = UNSET
    language: Annotated[str, Meta(pattern=r"^[a-z]{2,3}$")] | UnsetType = UNSET
    languages: list[str] | UnsetType = UNSET
    keywords: list[str] | UnsetType = UNSET
    prompt: str | UnsetType = UNSET
    delay: Effort | UnsetType = UNSET


class ServerVad(Shape, tag="server_vad", kw_only=True):
    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.5
    prefix_padding_ms: Annotated[int, Meta(ge=0)] = 300
    silence_duration_ms: Annotated[int, Meta(ge=0)] = 500
    create_response: bool = True
    interrupt_response: bool = True
    idle_timeout_ms: Annotated[int, Meta(ge=5000, le=30000)] | None = None


class SemanticVad(Shape, tag="semantic_vad", kw_only=True):
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection: TypeAlias = ServerVad | SemanticVad


class AudioInput(Shape, kw_only=True):
    format: Format | UnsetType = UNSET
    noise_reduction: NoiseReduction | UnsetType | None = UNSET
    transcription: Transcription | UnsetType | None = UNSET
    turn_detection: TurnDetection | UnsetType | None = UNSET


class CustomVoice(Shape, kw_only=True):
    id: str


class AudioOutput(Shape, kw_only=True):
    format: Format | UnsetType = UNSET
    voice: VoiceName | CustomVoice | UnsetType = UNSET
    speed: Annotated[float, Meta(ge=0.25, le=1.5)] | UnsetType = UNSET


class Audio(Shape, kw_only=True):
    input: AudioInput | UnsetType = UNSET
    output: AudioOutput | UnsetType = UNSET


class FunctionTool(Shape, kw_only=True):
    type: Literal["function"]
    name: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET


class FunctionChoice(Shape, kw_only=True):
    type: Literal["function"]
    name: str


ToolChoice: TypeAlias = Literal["none", "auto", "required"] | FunctionChoice


class Reasoning(Shape, kw_only=True):
    effort: Effort | UnsetType = UNSET


class TokenLimits(Shape, kw_only=True):
    post_instructions: int | UnsetType = UNSET


class RetentionRatio(Shape, kw_only=True):
    type: Literal["retention_ratio"]
    retention_ratio: Annotated[float, Meta(ge=0, le=1)]
    token_limits: TokenLimits | UnsetType = UNSET


class Tracing(Shape, kw_only=True):
    workflow_name: str | UnsetType = UNSET
    group_id: str | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET


Include: TypeAlias = list[Literal["item.input_audio_transcription.logprobs"]] | UnsetType | None


class SessionSettings(Shape, tag="realtime", kw_only=True):
    model: str | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    output_modalities: Modalities | UnsetType = UNSET
    audio: Audio | UnsetType = UNSET
    tools: list[FunctionTool] | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    max_output_tokens: MaxTokens | UnsetType = UNSET
    reasoning: Reasoning | UnsetType = UNSET
    truncation: Literal["auto", "disabled"] | RetentionRatio | UnsetType = UNSET
    include: Include = UNSET
    tracing: Literal["auto"] | Tracing | UnsetType | None = UNSET


class TranscriptionAudio(Shape, kw_only=True):
    input: AudioInput | UnsetType = UNSET


class TranscriptionSettings(Shape, tag="transcription", kw_only=True):
    audio: TranscriptionAudio | UnsetType = UNSET
    include: Include = UNSET


# ── items and responses ───────────────────────────────────────────────────────────────────


class Content(Shape, kw_only=True):
    type: Literal["input_text", "output_text", "input_audio", "output_audio", "input_image"]
    text: str | UnsetType = UNSET
    audio: str | UnsetType = UNSET
    transcript: str | UnsetType = UNSET
    image_url: str | UnsetType = UNSET
    detail: Literal["auto", "low", "high"] | UnsetType = UNSET


class ItemFields(Shape, kw_only=True):
    id: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    object: Literal["realtime.item"] | UnsetType = UNSET
    status: Literal["completed", "incomplete", "in_progress"] | UnsetType = UNSET


class MessageItem(ItemFields, tag="message", kw_only=True):
    role: Literal["system", "user", "assistant"]
    content: list[Content]


class FunctionCallItem(ItemFields, tag="function_call", kw_only=True):
    name: str
    arguments: str
    call_id: str | UnsetType = UNSET


class FunctionOutputItem(ItemFields, tag="function_call_output", kw_only=True):
    call_id: str
    output: str


class ItemReference(Shape, tag="item_reference", kw_only=True):
    id: str


Item: TypeAlias = MessageItem | FunctionCallItem | FunctionOutputItem


class ResponseAudioOutput(Shape, kw_only=True):
    format: Format | UnsetType = UNSET
    voice: VoiceName | CustomVoice | UnsetType = UNSET


class ResponseAudio(Shape, kw_only=True):
    output: ResponseAudioOutput | UnsetType = UNSET


class ResponseSettings(Shape, kw_only=True):
    audio: ResponseAudio | UnsetType = UNSET
    conversation: Literal["auto", "none"] = "auto"
    input: list[Item | ItemReference] | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    max_output_tokens: MaxTokens | UnsetType = UNSET
    metadata: Annotated[dict[str, str], Meta(max_length=16)] | UnsetType | None = UNSET
    output_modalities: Modalities | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    reasoning: Reasoning | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    tools: list[FunctionTool] | UnsetType = UNSET


# ── client events ─────────────────────────────────────────────────────────────────────────


class ClientEvent(Shape, kw_only=True):
    event_id: str | UnsetType = UNSET


class SessionUpdate(ClientEvent, tag="session.update", kw_only=True):
    session: SessionSettings | TranscriptionSettings


class Append(ClientEvent, tag="input_audio_buffer.append", kw_only=True):
    audio: str


class Commit(ClientEvent, tag="input_audio_buffer.commit", kw_only=True):
    pass


class ClearInput(ClientEvent, tag="input_audio_buffer.clear", kw_only=True):
    pass


class ItemCreate(ClientEvent, tag="conversation.item.create", kw_only=True):
    item: Item
    previous_item_id: str | UnsetType | None = UNSET


class ItemTruncate(ClientEvent, tag="conversation.item.truncate", kw_only=True):
    item_id: str
    content_index: int
    audio_end_ms: Annotated[int, Meta(ge=0)]


class ItemDelete(ClientEvent, tag="conversation.item.delete", kw_only=True):
    item_id: str


class ItemRetrieve(ClientEvent, tag="conversation.item.retrieve", kw_only=True):
    item_id: str


class ResponseCreate(ClientEvent, tag="response.create", kw_only=True):
    NOTHING: ClassVar[ResponseSettings] = ResponseSettings()
    response: ResponseSettings | UnsetType = UNSET


class ResponseCancel(ClientEvent, tag="response.cancel", kw_only=True):
    response_id: str | UnsetType = UNSET


Client: TypeAlias = (
    SessionUpdate
    | Append
    | Commit
    | ClearInput
    | ItemCreate
    | ItemTruncate
    | ItemDelete
    | ItemRetrieve
    | ResponseCreate
    | ResponseCancel
)

_client = msgspec.json.Decoder(Client)
_UNKNOWN = re.compile(r"unknown field `(.+?)`")
_MISSING = re.compile(r"missing required field `(.+?)`")
_TYPE = re.compile(r"Expected `(.+?)`, got `(.+?)`")
_PLACE = re.compile(r" - at `\$\.?(.*?)`$")


def decode(text: str) -> Client:
    """One client event. Raises Refused with the real API's code, words and parameter name."""
    try:
        message: Client = _client.decode(text)
    except msgspec.ValidationError as error:
        raise explained(str(error)) from error
    except msgspec.DecodeError as error:
        raise Refused("invalid_json", f"Could not parse the message as JSON: {error}") from error
    return message


def event_id_of(text: str) -> str | None:
    """The id a client gave to a message, however wrong the rest of it is."""
    try:
        message = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    found = message.get("event_id") if isinstance(message, dict) else None
    return found if isinstance(found, str) else None


def explained(text: str) -> Refused:
    """msgspec's words for what is wrong as the real API has them."""
    place = _PLACE.search(text)
    where = place[1] if place else ""

    def param(name: str) -> str:
        return f"{where}.{name}" if where else name

    if unknown := _UNKNOWN.search(text):
        name = param(unknown[1])
        return Refused("unknown_parameter", f"Unknown parameter: '{name}'.", name)
    if missing := _MISSING.search(text):
        name = param(missing[1])
        return Refused("missing_required_parameter", f"Missing required parameter: '{name}'.", name)
    if wrong := _TYPE.search(text):
        message = f"Invalid type for '{where}': expected {wrong[1]}, but got {wrong[2]} instead."
        return Refused("invalid_type", message, where or None)
    return Refused("invalid_value", f"Invalid value for '{where}': {_PLACE.sub('', text)}.", where or None)
