"""What a call needs of the house around it, as narrow interfaces."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from bridge import engines
from bridge.control import CallView, ToolView, TurnView
from bridge.engines.speech import MakeTranscriber, Voice
from bridge.profiles import Profile


class Stream(Protocol):
    """The carrier's media socket, past its checks."""

    stream_sid: str

    def send(self, text: str) -> None:
        """Queue one message; returns at once."""

    def close(self, code: int = 1000) -> None:
        """Close the socket; returns at once."""


class Recorder(Protocol):
    """The call's recording."""

    def caller(self, at_ms: int, audio: bytes) -> None:
        """What the caller said."""

    def line(self, at_ms: int, audio: bytes) -> None:
        """What the caller heard."""

    def close(self) -> None:
        """No more will come."""


class Journal(Protocol):
    """What is written down as it happens."""

    def call(self, view: CallView) -> None: ...

    def turn(self, view: TurnView) -> None: ...

    def tool(self, view: ToolView) -> None: ...

    def entry(self, call_id: str, at_ms: int, kind: str, body: dict[str, Any]) -> None: ...


class ToolResult(Protocol):
    """ok, and the text for the AI."""

    @property
    def ok(self) -> bool: ...

    @property
    def text(self) -> str: ...


@dataclass(frozen=True)
class House:
    """What a session needs of the house around it.

    engine: makes one, for a profile, by its name, for a caller of this number, and why it comes instead
    of another (None if it was its turn). hang_up: asks the carrier to end the call; returns "" or why it
    could not be confirmed. spawn: runs work that must outlive the call's own tasks. notice: tells every
    operator a text, about a call_id or "". engine_ready, engine_lost: an AI's model, or why it was lost.
    is_watched: whether any operator could come; ring_s: how long they are rung where no engine is left.
    transcriber: writes down what an operator says; None where nothing can. voice: speaks what an operator
    types; None where nothing can.
    """

    journal: Journal
    engine: Callable[[Profile, str, str, engines.Because | None], engines.Engine]
    recorder: Callable[[str], tuple[Recorder, str] | None]
    hang_up: Callable[[str], Coroutine[Any, Any, str]]
    limit_time: Callable[[str, int], Coroutine[Any, Any, None]]
    run_tool: Callable[[str, str], Coroutine[Any, Any, ToolResult]]
    spawn: Callable[[Coroutine[Any, Any, Any]], Any]
    notice: Callable[[str, str], None]
    engine_ready: Callable[[str], None]
    engine_lost: Callable[[str], None]
    time_limit_s: int
    is_watched: Callable[[], bool] = lambda: True
    ring_s: float = 30.0
    transcriber: MakeTranscriber | None = None
    voice: Voice | None = None
