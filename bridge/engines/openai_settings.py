"""How a Realtime session is set up for a call, in today's protocol. Pure.

Source: openai-python 3.52 types, OpenAI's Realtime guides (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

PREFIX_MS = 300
SILENCE_MS = 500
TRANSCRIBER = "gpt-transcribe"


@dataclass(frozen=True, slots=True)
class Config:
    """One session. tools: function declarations as the peer wants them (flat, with JSON Schema).

    turn_detection, noise_reduction: as in `Profile`.
    """

    model: str
    voice: str
    instructions: str
    tools: tuple[Mapping[str, Any], ...] = ()
    turn_detection: Literal["server", "semantic"] = "server"
    noise_reduction: Literal["near", "far", "off"] = "off"


def session(config: Config, *, answers: bool) -> dict[str, Any]:
    """The whole session object. answers: see `turns`."""
    hears: dict[str, Any] = {
        "format": {"type": "audio/pcmu"},
        "transcription": {"model": TRANSCRIBER},
        "turn_detection": _turn_detection(config, answers),
    }
    if config.noise_reduction != "off":
        hears["noise_reduction"] = {"type": f"{config.noise_reduction}_field"}
    whole: dict[str, Any] = {
        "type": "realtime",
        "instructions": config.instructions,
        "output_modalities": ["audio"],
        "audio": {"input": hears, "output": {"format": {"type": "audio/pcmu"}, "voice": config.voice}},
        "tools": list(config.tools),
        "tool_choice": "auto",
    }
    if config.model.startswith("gpt-realtime-2") and not config.model.startswith("gpt-realtime-20"):
        # Older models refuse the field, and those have dates in their names (-2025-08-28).
        whole["reasoning"] = {"effort": "low"}
    return whole


def turns(config: Config, *, answers: bool) -> dict[str, Any]:
    """The part of it that changes. answers: whether caller speech starts replies, and interrupts them."""
    return {"type": "realtime", "audio": {"input": {"turn_detection": _turn_detection(config, answers)}}}


def _turn_detection(config: Config, answers: bool) -> dict[str, Any]:
    reactions = {"create_response": answers, "interrupt_response": answers}
    if config.turn_detection == "semantic":
        return {"type": "semantic_vad", "eagerness": "auto", **reactions}
    waits = {"prefix_padding_ms": PREFIX_MS, "silence_duration_ms": SILENCE_MS}
    return {"type": "server_vad", **waits, **reactions}
