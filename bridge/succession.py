"""Which engine has a call, and which follows one that is lost or has become too dear. Pure: time comes in.

The profile's engines are rungs of a ladder. A lost one is tried once more at once, unless that is
pointless; then comes the next rung. An engine that served for `SERVED_MS` since its last loss has
earned its second try again. Once the call's budget is spent the AIs are no rungs any more: the menu
is all that is left. Below the last rung operators are rung (`call.EngineGone`). Nothing climbs back
by itself: an operator may, by a swap.
"""

from __future__ import annotations

from collections.abc import Sequence

SERVED_MS = 30_000

PIN = "pin"
"""The engine that lets a caller in by their number; it comes before the profile's own."""

MENU = "keypad"
WITHOUT_AI = (PIN, MENU)
"""What costs nothing."""


class Succession:
    """One call's engines.

    current: the one that has the call or is being opened, "" before the first and after the last.
    is_spent: whether no AI may have the call any more.
    """

    def __init__(self, engines: Sequence[str]) -> None:
        """engines: at least one, in the order of preference; twice the same is tried twice as often."""
        self.engines = tuple(engines)
        self.current = ""
        self.is_spent = False
        self._rung = 0
        self._may_retry = True
        self._ready_ms: float | None = None

    @property
    def ai(self) -> str:
        """The first AI that may have the call, "" for none."""
        return "" if self.is_spent else next((name for name in self.engines if name not in WITHOUT_AI), "")

    @property
    def menu(self) -> str:
        """The engine that goes on without an AI, "" where the ladder has none."""
        return MENU if MENU in self.engines else ""

    def begin(self) -> str:
        """The first engine to be opened."""
        return self._take(0)

    def ready(self, now_ms: float) -> None:
        """The current engine has begun to serve."""
        self._ready_ms = now_ms

    def lost(self, fatal: bool, now_ms: float) -> str:
        """The current engine is lost; the one to be opened now, "" when none is left."""
        if self.is_spent:
            self.current = self.menu if self.current != MENU else ""
            return self.current
        if self._ready_ms is not None and now_ms - self._ready_ms >= SERVED_MS:
            self._may_retry = True
        self._ready_ms = None
        if not fatal and self._may_retry:
            self._may_retry = False
            return self.current
        return self._take(self._rung + 1)

    def spent(self) -> str:
        """The call's budget is spent; the engine that is to go on, "" when none is left."""
        self.is_spent = True
        return self.menu

    def lifted(self) -> None:
        """The call has no budget any more."""
        self.is_spent = False

    def handed_on(self, name: str, now_ms: float) -> None:
        """Another engine of the ladder has the call now, by an operator's wish or because one handed on."""
        self.current = name
        if name in self.engines:
            self._rung = self.engines.index(name)
        self._may_retry, self._ready_ms = True, now_ms

    def _take(self, rung: int) -> str:
        self._rung, self._may_retry = rung, True
        self.current = self.engines[rung] if rung < len(self.engines) else ""
        return self.current
