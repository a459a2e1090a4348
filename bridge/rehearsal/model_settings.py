"""The settings of one session of the rehearsal AI: the effective whole, and what may change when."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from bridge.rehearsal.ear import Vad
from bridge.rehearsal.model_wire import (
    FunctionTool,
    Refused,
    SemanticVad,
    ServerVad,
    SessionSettings,
    TranscriptionSettings,
    TurnDetection,
)

PCMU = {"type": "audio/pcmu"}
_PCM = {"type": "audio/pcm", "rate": 24000}
_MERGED = ("audio", "input", "output")
_SEMANTIC_MS = {"low": (1000, 8000), "medium": (600, 4000), "auto": (600, 4000), "high": (350, 2000)}
"""By eagerness: silence after a sentence, and after what sounds unfinished."""

_REASONS = re.compile(r"gpt-realtime-2(\.|-mini|$)")
_WITHOUT_TURNS = ("gpt-live-transcribe", "gpt-realtime-whisper")
"""Transcribers for which the client finds the turns."""

_INSTRUCTIONS = "You are a helpful assistant on the telephone. Be brief and friendly."


class Settings:
    """What `session.created` and `session.updated` show. ``value``: the session object as JSON has it.

    mulaw: whether telephone sound is taken, and else none at all.
    """

    def __init__(self, session_id: str, model: str, expires_at: int) -> None:
        self.value: dict[str, Any] = {
            "type": "realtime",
            "object": "realtime.session",
            "id": session_id,
            "model": model,
            "output_modalities": ["audio"],
            "instructions": _INSTRUCTIONS,
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "tracing": None,
            "truncation": "auto",
            "prompt": None,
            "expires_at": expires_at,
            "include": None,
            "audio": {
                "input": {
                    "format": dict(_PCM),
                    "transcription": None,
                    "noise_reduction": None,
                    "turn_detection": msgspec.to_builtins(ServerVad()),
                },
                "output": {"format": dict(_PCM), "voice": "marin", "speed": 1.0},
            },
        }
        self.turns: TurnDetection | None = ServerVad()
        self.mulaw = True

    def update(self, sent: SessionSettings | TranscriptionSettings, *, has_spoken: bool, is_speaking: bool) -> None:
        """Takes over what was sent; the rest stays. All or nothing: raises Refused and changes nothing.

        has_spoken: assistant audio exists; is_speaking: a response is under way.
        """
        if isinstance(sent, TranscriptionSettings):
            problem = "Passing a transcription session update event to a realtime session is not allowed."
            raise Refused("invalid_value", problem, "session.type")
        new = _merged(self.value, msgspec.to_builtins(sent))
        output, was = new["audio"]["output"], self.value["audio"]["output"]
        if new["model"] != self.value["model"]:
            raise Refused("invalid_value", "The model of a session cannot be changed.", "session.model")
        if "reasoning" in new and not _REASONS.match(new["model"]):
            problem = f"Unsupported parameter: 'session.reasoning' is not supported with '{new['model']}'."
            raise Refused("unsupported_parameter", problem, "session.reasoning")
        if len(new["output_modalities"]) != 1:
            problem = "Invalid modalities: supported combinations are ['text'] and ['audio']."
            raise Refused("invalid_value", problem, "session.output_modalities")
        if has_spoken and output["voice"] != was["voice"]:
            problem = "Cannot update a conversation's voice if assistant audio is present."
            raise Refused("cannot_update_voice", problem, "session.audio.output.voice")
        if is_speaking and output["speed"] != was["speed"]:
            problem = "The speed can only be changed between responses."
            raise Refused("invalid_value", problem, "session.audio.output.speed")
        for side in ("input", "output"):
            self._check_format(new, side)
        self.value = new
        self.turns = msgspec.convert(new["audio"]["input"]["turn_detection"], TurnDetection | None)

    def _check_format(self, new: dict[str, Any], side: str) -> None:
        given = new["audio"][side]["format"]
        if given != self.value["audio"][side]["format"] and not (self.mulaw and given == PCMU):
            problem = f"This rehearsal AI speaks {'audio/pcmu' if self.mulaw else 'audio/pcm'} only."
            raise Refused("invalid_value", problem, f"session.audio.{side}.format")

    def check_audio(self, side: str) -> None:
        """Raises Refused unless this side ("input", "output") was set to mu-law."""
        if self.value["audio"][side]["format"] != PCMU:
            problem = "This rehearsal AI speaks audio/pcmu only: set it with session.update first."
            raise Refused("invalid_value", problem, f"session.audio.{side}.format")

    @property
    def vad(self) -> Vad | None:
        """How turns are found; None when the client finds them."""
        match self.turns:
            case ServerVad() as turns:
                return Vad(turns.threshold, turns.prefix_padding_ms, turns.silence_duration_ms)
            case SemanticVad() as turns:
                silence_ms, unfinished_ms = _SEMANTIC_MS[turns.eagerness]
                return Vad(silence_duration_ms=silence_ms, unfinished_ms=unfinished_ms)
            case _:
                return None

    @property
    def writes_live(self) -> bool:
        """Whether words are told as they are spoken, not turn by turn."""
        return False

    @property
    def idle_timeout_ms(self) -> int | None:
        """Silence after a reply that makes the AI speak again."""
        return self.turns.idle_timeout_ms if isinstance(self.turns, ServerVad) else None

    def tools(self, given: list[FunctionTool] | UnsetType, choice: object) -> set[str]:
        """Names of the tools that a response may use. given, choice: the response's own, or unset."""
        names = {tool["name"] for tool in self.value["tools"]} if given is UNSET else {tool.name for tool in given}
        wanted = self.value["tool_choice"] if choice is UNSET else msgspec.to_builtins(choice)
        if wanted == "none":
            return set()
        return names & {wanted["name"]} if isinstance(wanted, dict) else names


class Transcribing(Settings):
    """The same for a session that only writes down: no model, no voice, no replies."""

    def __init__(self, session_id: str, expires_at: int) -> None:
        super().__init__(session_id, "", expires_at)
        self.value = {
            "type": "transcription",
            "object": "realtime.transcription_session",
            "id": session_id,
            "expires_at": expires_at,
            "include": None,
            "audio": {"input": self.value["audio"]["input"]},
        }

    def update(
        self, sent: SessionSettings | TranscriptionSettings, *, has_spoken: bool = False, is_speaking: bool = False
    ) -> None:
        """See `Settings.update`; nothing here ever speaks."""
        if isinstance(sent, SessionSettings):
            problem = "Passing a realtime session update event to a transcription session is not allowed."
            raise Refused("invalid_value", problem, "session.type")
        new = _merged(self.value, msgspec.to_builtins(sent))
        sound = new["audio"]["input"]
        self._check_format(new, "input")
        transcriber = _transcriber(sound)
        if sound["turn_detection"] is not None and transcriber in _WITHOUT_TURNS:
            problem = f"Turn detection is not supported with '{transcriber}': set it to null."
            raise Refused("invalid_value", problem, "session.audio.input.turn_detection")
        self.value = new
        self.turns = msgspec.convert(sound["turn_detection"], TurnDetection | None)

    @property
    def writes_live(self) -> bool:
        """See `Settings.writes_live`."""
        return _transcriber(self.value["audio"]["input"]) in _WITHOUT_TURNS


def _transcriber(sound: dict[str, Any]) -> str | None:
    return (sound["transcription"] or {}).get("model")


def _merged(old: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
    new = deepcopy(old)
    for key, value in sent.items():
        if key in _MERGED:
            new[key] = _merged(old[key], value)
        elif key == "noise_reduction" and value is not None:
            new[key] = {"strength": 1.0} | (old[key] or {}) | value
        else:
            new[key] = value
    return new
