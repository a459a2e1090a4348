"""The Realtime protocol's beta, which some compatible servers still speak: our messages in its shape.

What they say is read under both names where it arrives (`openai_wire`); here is what we say. Only
local servers speak it today, so nothing is asked for that only OpenAI's own beta could do: no
semantic turns, no noise reduction, no reasoning.
Source: openai-python 1.x types (beta.realtime), the servers' own code (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.engines.openai_messages import Session

MULAW = "g711_ulaw"
TRANSCRIBER = "whisper-1"
_USUAL_TURNS = {"type": "server_vad", "prefix_padding_ms": 300, "silence_duration_ms": 500}
_TURNS = (*_USUAL_TURNS.keys() - {"type"}, "create_response", "interrupt_response")


def is_spoken(session: Session) -> bool:
    """Whether the peer's session has the beta's shape."""
    return session.input_audio_format is not None or session.modalities is not None


def carries_mulaw(session: Session) -> bool:
    """Whether the beta session takes and gives telephone sound, as far as it says."""
    return all(sound in (None, MULAW) for sound in (session.input_audio_format, session.output_audio_format))


def said(message: Mapping[str, Any], *, transcribes: bool) -> Mapping[str, Any]:
    """A message of ours in the beta's shape. transcribes: the peer has a transcriber of its own choice."""
    match message:
        case {"type": "session.update", "session": session}:
            return {**message, "session": _session(session, transcribes)}
        case {"item": {"type": "message", "role": "assistant", "content": content} as item}:
            parts = [{**part, "type": "text"} for part in content]
            return {**message, "item": {**item, "content": parts}}
        case _:
            return message


def _session(session: Mapping[str, Any], transcribes: bool) -> dict[str, Any]:
    """Flat, and without what this beta does not know."""
    flat = {name: session[name] for name in ("instructions", "tools", "tool_choice") if name in session}
    hears, speaks = session["audio"]["input"], session["audio"].get("output")
    turns = hears["turn_detection"]
    flat["turn_detection"] = _USUAL_TURNS | {name: turns[name] for name in turns if name in _TURNS}
    if speaks is not None:
        flat |= {
            "modalities": ["audio", "text"],
            "input_audio_format": MULAW,
            "output_audio_format": MULAW,
            "voice": speaks["voice"],
        }
        if not transcribes:
            flat["input_audio_transcription"] = {"model": TRANSCRIBER}
    return flat
