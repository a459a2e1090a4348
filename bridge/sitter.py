"""One engine of a call, in the AI's seat or on its way to it."""

from __future__ import annotations

from typing import Protocol

from bridge import engines


class Told(Protocol):
    """Who hears of all sitters: the seat."""

    def told(self, sitter: Sitter, event: engines.Event) -> None:
        """An event of this engine's."""

    def message(self, sitter: Sitter, outbound: bool, name: str, text: str) -> None:
        """A wire message of this engine's."""

    def unheard(self, item_id: str, payload: str) -> None:
        """Sound of an engine that is not seated."""


class Sitter:
    """See above (`engines.Listener`). takes_keys: known once it is_ready."""

    def __init__(self, seat: Told, name: str, engine: engines.Engine) -> None:
        self.name = name
        self.engine = engine
        self.is_ready = False
        self.takes_keys = False
        self.wanted_ms: float | None = None
        """When an operator asked for it."""

        self.has_handed_on = False
        """Whether it has done its part, and another engine is to go on."""

        self._seat = seat
        self.on_speech = seat.unheard
        """Set to the AI's own while seated: the hot path has no step to spare."""

    def on_event(self, event: engines.Event) -> None:
        """Anything but audio."""
        self._seat.told(self, event)

    def on_message(self, outbound: bool, name: str, text: str) -> None:
        """A wire message went by."""
        self._seat.message(self, outbound, name, text)
