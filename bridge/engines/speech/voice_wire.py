"""What a vendor's protocol is to a live voice: messages out, sound in; see `voice_lines`."""

from __future__ import annotations

from typing import Protocol

from bridge.engines.speech import VoiceFailed


class Sound(Protocol):
    """One sentence's, on its way to whoever speaks it. begun: whether any came."""

    begun: bool

    def give(self, mulaw: bytes) -> None:
        """More of it."""

    def end(self, failure: VoiceFailed | None = None) -> None:
        """No more will come, and why when it should have."""


class VoiceWire(Protocol):
    """One socket's side of a protocol; what has a body here suits most of them, who inherit it.

    ready: whether sentences may be asked for. keep_alive: what to send after a minute without a sentence,
    b"" for nothing.
    """

    ready: bool
    keep_alive: bytes = b""

    @property
    def full(self) -> bool:
        """Whether the peer would take no further sentence now."""

    @property
    def wanted(self) -> bool:
        """Whether anybody waits for what the peer is at."""

    @property
    def unstoppable(self) -> bool:
        """Whether the peer goes on with what nobody wants, and only the socket's end would stop it."""
        return False

    @property
    def resting(self) -> bool:
        """Whether it is `full` with nothing under way, and a new socket would take a sentence sooner."""
        return False

    def open(self) -> list[bytes]:
        """The messages that configure the socket."""

    def speak(self, text: str, sound: Sound, speed: float) -> list[bytes]:
        """The messages that ask for a sentence, whose sound and end are given to ``sound``. speed: 1 is usual."""

    def leave(self, sound: Sound) -> list[bytes]:
        """Nobody wants this sound any more: the messages that stop it."""

    def receive(self, data: bytes) -> list[bytes]:
        """One message in, its answers out. Raises VoiceFailed or EngineLost when it means the socket's end."""

    def hear(self, mulaw: bytes) -> None:
        """One binary message in: sound that carries no name."""
        return

    def tick(self) -> None:
        """`TICK_S` have passed. Raises VoiceFailed when the peer took too long for something."""
        return

    def give_up(self, why: VoiceFailed) -> None:
        """The socket is gone: every sound ends with this."""
