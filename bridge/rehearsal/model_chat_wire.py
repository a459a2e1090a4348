"""What may be asked of the rehearsal AI's chat completions, checked as strictly as the real one checks it.

Stricter where this one can do less: it streams, and gives one choice.
Shape: the official `openai` package, types/chat/completion_create_params.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bridge.rehearsal.model_wire import Refused, Shape, explained

MODELS = ("gpt-6-luna", "gpt-6-sol", "gpt-6-astra", "gpt-4.1-mini", "gpt-4o-mini")


class TextPart(Shape, tag="text", kw_only=True):
    text: str


Content: TypeAlias = str | list[TextPart]


class Function(Shape, kw_only=True):
    name: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}\Z")]
    arguments: str


class Call(Shape, kw_only=True):
    id: Annotated[str, Meta(min_length=1, max_length=64)]
    type: Literal["function"]
    function: Function


class System(Shape, tag_field="role", tag="system", kw_only=True):
    content: Content
    name: str | UnsetType = UNSET


class Developer(Shape, tag_field="role", tag="developer", kw_only=True):
    content: Content
    name: str | UnsetType = UNSET


class User(Shape, tag_field="role", tag="user", kw_only=True):
    content: Content
    name: str | UnsetType = UNSET


class Assistant(Shape, tag_field="role", tag="assistant", kw_only=True):
    content: Content | UnsetType | None = UNSET
    refusal: str | UnsetType | None = UNSET
    name: str | UnsetType = UNSET
    tool_calls: Annotated[list[Call], Meta(min_length=1)] | UnsetType = UNSET


class Tool(Shape, tag_field="role", tag="tool", kw_only=True):
    content: Content
    tool_call_id: str


Message: TypeAlias = System | Developer | User | Assistant | Tool


class Declared(Shape, kw_only=True):
    name: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}\Z")]
    description: str | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET
    strict: bool | UnsetType | None = UNSET


class Declaration(Shape, kw_only=True):
    type: Literal["function"]
    function: Declared


class Chosen(Shape, kw_only=True):
    name: str


class Choice(Shape, kw_only=True):
    type: Literal["function"]
    function: Chosen


class StreamOptions(Shape, kw_only=True):
    include_usage: bool | UnsetType = UNSET
    include_obfuscation: bool | UnsetType = UNSET


class Asked(Shape, kw_only=True):
    """One request."""

    model: str
    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool = False
    stream_options: StreamOptions | UnsetType | None = UNSET
    tools: Annotated[list[Declaration], Meta(min_length=1, max_length=128)] | UnsetType = UNSET
    tool_choice: Literal["none", "auto", "required"] | Choice | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    temperature: Annotated[float, Meta(ge=0, le=2)] | UnsetType | None = UNSET
    top_p: Annotated[float, Meta(ge=0, le=1)] | UnsetType | None = UNSET
    max_completion_tokens: Annotated[int, Meta(ge=1)] | UnsetType | None = UNSET
    max_tokens: Annotated[int, Meta(ge=1)] | UnsetType | None = UNSET
    n: Literal[1] | UnsetType | None = UNSET
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | UnsetType | None = UNSET
    seed: int | UnsetType | None = UNSET
    user: str | UnsetType = UNSET
    store: bool | UnsetType | None = UNSET
    metadata: dict[str, str] | UnsetType | None = UNSET


_decoder = msgspec.json.Decoder(Asked)


def decode_asked(body: bytes, refuses: Sequence[str] = ()) -> Asked:
    """A request's body. refuses: parameters that this server knows not. Raises Refused."""
    try:
        given = msgspec.json.decode(body)
        for name in given if isinstance(given, dict) else ():
            if name in refuses:
                raise Refused("unsupported_parameter", f"Unsupported parameter: '{name}' is not supported.", name)
            if name not in Asked.__struct_fields__:
                raise Refused("unknown_parameter", f"Unknown parameter: '{name}'.", name)
        asked: Asked = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise explained(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused("invalid_json", f"Could not parse the body as JSON: {error}") from error
    if asked.model not in MODELS:
        problem = f"The model `{asked.model}` does not exist or you do not have access to it."
        raise Refused("model_not_found", problem, "model")
    if not asked.stream:
        raise Refused("invalid_value", "This rehearsal AI streams only.", "stream")
    if asked.tools is UNSET and (asked.tool_choice is not UNSET or asked.parallel_tool_calls is not UNSET):
        name = "tool_choice" if asked.tool_choice is not UNSET else "parallel_tool_calls"
        raise Refused("invalid_value", f"'{name}' is only allowed when 'tools' are specified.", name)
    if asked.reasoning_effort not in (UNSET, None) and not asked.model.startswith("gpt-6"):
        raise Refused("unsupported_parameter", "Unsupported parameter: 'reasoning_effort'.", "reasoning_effort")
    _check_order(asked.messages)
    return asked


def _check_order(messages: Sequence[Message]) -> None:
    """Tool results come right after the calls they belong to, all of them. Raises Refused."""
    open_calls: set[str] = set()
    for at, message in enumerate(messages):
        if isinstance(message, Tool):
            if message.tool_call_id not in open_calls:
                problem = (
                    f"Invalid parameter: messages[{at}] with role 'tool' must be a response to a preceding message"
                    " with 'tool_calls'."
                )
                raise Refused("invalid_value", problem, f"messages[{at}].role")
            open_calls.remove(message.tool_call_id)
            continue
        if open_calls:
            problem = (
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each"
                f" 'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(open_calls)}"
            )
            raise Refused("invalid_value", problem, f"messages[{at}].role")
        if isinstance(message, Assistant):
            if message.tool_calls is not UNSET:
                open_calls = {call.id for call in message.tool_calls}
            elif not message.content:
                problem = f"Invalid value for 'content' of messages[{at}]: expected a string, got null."
                raise Refused("invalid_value", problem, f"messages[{at}].content")
    if open_calls:
        problem = f"The following tool_call_ids did not have response messages: {', '.join(open_calls)}"
        raise Refused("invalid_value", problem, "messages")


def text_of(content: Content | UnsetType | None) -> str:
    """The words of a message."""
    if isinstance(content, list):
        return "".join(part.text for part in content)
    return content or ""
