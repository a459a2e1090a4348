"""The rehearsal AI in the shape of the Realtime protocol's beta, as some local servers still speak it.

What comes is put into today's shape, what goes into the beta's; in between nothing differs. As with
those servers, a reply does not give the metadata back that it was asked for with.
Shapes: the official `openai` package, types/beta/realtime.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from bridge.rehearsal import model_wire as wire
from bridge.rehearsal.model_wire import Modalities, Refused, Shape

Sound: TypeAlias = Literal["pcm16", "g711_ulaw", "g711_alaw"]

SOUNDS: dict[str, dict[str, Any]] = {
    "pcm16": {"type": "audio/pcm", "rate": 24000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}
SOUND_FIELDS = {"input_audio_format": "input", "output_audio_format": "output"}
_INPUT_FIELDS = {
    "input_audio_transcription": "transcription",
    "input_audio_noise_reduction": "noise_reduction",
    "turn_detection": "turn_detection",
}
_SAME = ("instructions", "tools", "tool_choice")
_EVENTS = {
    "conversation.item.added": "conversation.item.created",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
}
_CONTENT = {"output_text": "text", "output_audio": "audio"}


class BetaSettings(Shape, kw_only=True):
    """The flat session."""

    modalities: Modalities | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    voice: wire.VoiceName | UnsetType = UNSET
    input_audio_format: Sound | UnsetType = UNSET
    output_audio_format: Sound | UnsetType = UNSET
    input_audio_transcription: wire.Transcription | UnsetType | None = UNSET
    input_audio_noise_reduction: wire.NoiseReduction | UnsetType | None = UNSET
    turn_detection: wire.TurnDetection | UnsetType | None = UNSET
    tools: list[wire.FunctionTool] | UnsetType = UNSET
    tool_choice: Literal["none", "auto", "required"] | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    max_response_output_tokens: wire.MaxTokens | UnsetType = UNSET


class BetaUpdate(Shape, tag="session.update", kw_only=True):
    """What configures it."""

    session: BetaSettings
    event_id: str | UnsetType = UNSET


_update = msgspec.json.Decoder(BetaUpdate)


def decode(text: str) -> wire.Client:
    """One client event in today's shape. Raises Refused, as `model_wire.decode`."""
    try:
        message = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise Refused("invalid_json", f"Could not parse the message as JSON: {error}") from error
    match message:
        case {"type": "session.update"}:
            try:
                sent = _update.decode(text)
            except msgspec.ValidationError as error:
                raise wire.explained(str(error)) from error
            message["session"] = _todays(msgspec.to_builtins(sent.session))
        case {"type": "conversation.item.create", "item": {"role": "assistant", "content": [*parts]} as item}:
            if any(part.get("type") != "text" for part in parts):
                raise Refused("invalid_value", "Invalid value. Supported values are: 'text'.", "item.content[0].type")
            item["content"] = [part | {"type": "output_text"} for part in parts]
    return wire.decode(msgspec.json.encode(message).decode())


def _todays(flat: dict[str, Any]) -> dict[str, Any]:
    session = {name: flat[name] for name in _SAME if name in flat}
    if "modalities" in flat:
        session["output_modalities"] = ["audio" if "audio" in flat["modalities"] else "text"]
    if "max_response_output_tokens" in flat:
        session["max_output_tokens"] = flat["max_response_output_tokens"]
    audio: dict[str, dict[str, Any]] = {"input": {}, "output": {}}
    for name, side in SOUND_FIELDS.items():
        if name in flat:
            audio[side]["format"] = SOUNDS[flat[name]]
    audio["input"] |= {today: flat[name] for name, today in _INPUT_FIELDS.items() if name in flat}
    if "voice" in flat:
        audio["output"]["voice"] = flat["voice"]
    return session | {"type": "realtime", "audio": audio}


def told(event: dict[str, Any]) -> dict[str, Any] | None:
    """One of our events in the beta's shape; None for what the beta does not tell."""
    name = event["type"]
    if name == "conversation.item.done":
        return None
    event = event | {"type": _EVENTS.get(name, name)}
    match event:
        case {"session": session}:
            event["session"] = _flat(session)
        case {"item": item}:
            event["item"] = _item(item)
        case {"response": response}:
            event["response"] = _response(response)
    return event


def _flat(session: dict[str, Any]) -> dict[str, Any]:
    hears, speaks = session["audio"]["input"], session["audio"]["output"]
    sounds = {sound["type"]: name for name, sound in SOUNDS.items()}
    kept = {name: session[name] for name in ("id", "model", *_SAME, "expires_at")}
    return kept | {
        "object": "realtime.session",
        "modalities": _modalities(session["output_modalities"]),
        "voice": speaks["voice"],
        "input_audio_format": sounds[hears["format"]["type"]],
        "output_audio_format": sounds[speaks["format"]["type"]],
        "max_response_output_tokens": session["max_output_tokens"],
        **{name: hears[today] for name, today in _INPUT_FIELDS.items()},
        "turn_detection": _without(hears["turn_detection"], "idle_timeout_ms"),
    }


def _item(item: dict[str, Any]) -> dict[str, Any]:
    if "content" not in item:
        return item
    return item | {"content": [part | {"type": _CONTENT.get(part["type"], part["type"])} for part in item["content"]]}


def _response(response: dict[str, Any]) -> dict[str, Any]:
    usage = _without(response["usage"])
    if usage:
        usage["input_token_details"] = _without(usage["input_token_details"], "image_tokens", "cached_tokens_details")
    return _without(response, "audio", "output_modalities", "metadata") | {
        "modalities": _modalities(response["output_modalities"]),
        "output": [_item(item) for item in response["output"]],
        "usage": usage,
    }


def _without(value: dict[str, Any] | None, *names: str) -> dict[str, Any]:
    """A copy without these fields; of None an empty one."""
    return {name: field for name, field in (value or {}).items() if name not in names}


def _modalities(todays: list[str]) -> list[str]:
    return ["text", "audio"] if todays == ["audio"] else ["text"]
