"""Deepgram's messages checked against the types of its own package, and nothing beyond them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deepgram.listen.v1 import types as nova
from deepgram.listen.v2 import types as flux
from deepgram.speak.v1 import types as aura
from pydantic import BaseModel

WIRE = Path(__file__).resolve().parents[1] / "wire" / "deepgram"

NOVA: dict[str, Any] = {
    "Results": nova.ListenV1Results,
    "SpeechStarted": nova.ListenV1SpeechStarted,
    "UtteranceEnd": nova.ListenV1UtteranceEnd,
    "Metadata": nova.ListenV1Metadata,
    "Error": nova.ListenV1Error,
}
FLUX: dict[str, Any] = {
    "Connected": flux.ListenV2Connected,
    "TurnInfo": flux.ListenV2TurnInfo,
    "Warning": flux.ListenV2Warning,
    "Error": flux.ListenV2FatalError,
}
AURA: dict[str, Any] = {
    "Metadata": aura.SpeakV1Metadata,
    "Flushed": aura.SpeakV1Flushed,
    "Cleared": aura.SpeakV1Cleared,
    "Warning": aura.SpeakV1Warning,
}
NOVA_CLIENT: dict[str, Any] = {
    "KeepAlive": nova.ListenV1KeepAlive,
    "Finalize": nova.ListenV1Finalize,
    "CloseStream": nova.ListenV1CloseStream,
}
FLUX_CLIENT: dict[str, Any] = {
    "ForceEndTurn": flux.ListenV2ForceEndTurn,
    "CloseStream": flux.ListenV2CloseStream,
}
AURA_CLIENT: dict[str, Any] = {
    "Speak": aura.SpeakV1Text,
    "Flush": aura.SpeakV1Flush,
    "Clear": aura.SpeakV1Clear,
    "Close": aura.SpeakV1Close,
}


def checked(text: str | bytes, shapes: dict[str, Any]) -> dict[str, Any]:
    """The message, which is one of these and has all that it must have and nothing that it may not."""
    message: dict[str, Any] = json.loads(text)
    shape: BaseModel = shapes[message["type"]].model_validate(message)
    _nothing_else(shape)
    return message


def sample(name: str, shapes: dict[str, Any]) -> list[str]:
    """The messages of a file in tests/wire/deepgram."""
    lines = (WIRE / f"{name}.jsonl").read_text().splitlines()
    for line in lines:
        checked(line, shapes)
    return lines


def _nothing_else(shape: object) -> None:
    if isinstance(shape, BaseModel):
        assert not shape.model_extra, f"{type(shape).__name__} has no {shape.model_extra}"
        for field in type(shape).model_fields:
            _nothing_else(getattr(shape, field))
    elif isinstance(shape, list):
        for one in shape:
            _nothing_else(one)
