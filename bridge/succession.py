"""Which engine has a call, and which follows one that is lost. Pure: time comes in.

The profile's engines are rungs of a ladder. A lost one is tried once more at once, unless that is
pointless; then comes the next rung. An engine that served for `SERVED_MS` since its last loss has
earned its second try again. Below the last rung operators are rung (`call.EngineGone`). Nothing
climbs back by itself: an operator may, by a swap.
"""

from __future__ import annotations

from collections.abc import Sequence

SERVED_MS = 30_000


class Succession:
    """One call's engines.

    current: the one that has the call or is being opened, "" before the first and after the last.
    """

    def __init__(self, engines: Sequence[str]) -> None:
        """engines: at least one, in the order of preference; twice the same is tried twice as often."""
        self.engines = tuple(engines)
        self.current = ""
        self._rung = 0
        self._may_retry = True
        self._ready_ms: float | None = None

    def begin(self) -> str:
        """The first engine to be opened."""
        return self._take(0)

    def ready(self, now_ms: float) -> None:
        """The current engine has begun to serve."""
        self._ready_ms = now_ms

    def lost(self, fatal: bool, now_ms: float) -> str:
        """The current engine is lost; the one to be opened now, "" when none is left."""
        if self._ready_ms is not None and now_ms - self._ready_ms >= SERVED_MS:
            self._may_retry = True
        self._ready_ms = None
        if not fatal and self._may_retry:
            self._may_retry = False
            return self.current
        return self._take(self._rung + 1)

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
