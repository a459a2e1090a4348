"""What one call's AI may cost, and what operators are told of it. Pure.

An estimate, as what it is compared with: vendors' usage figures by an editable list of prices. What was
begun is heard to its end, so a call may cost more by its last answer.
"""

from __future__ import annotations

from enum import Enum, auto

from bridge.control import NEARLY_SPENT


class Level(Enum):
    """How much of a budget is gone."""

    NEARLY = auto()
    """From `NEARLY_SPENT` of it on."""

    SPENT = auto()


class Budget:
    """One call's.

    most_usd: what may be spent; None for as much as it takes. has_menu: whether a menu goes on then.
    """

    def __init__(self, most_usd: float | None, has_menu: bool) -> None:
        self.most_usd = most_usd
        self.has_menu = has_menu
        self._told: Level | None = None

    def reached(self, cost_usd: float) -> Level | None:
        """The level that this cost is the first to reach, each once; None if it is nothing new."""
        if self.most_usd is None or self._told is Level.SPENT:
            return None
        if cost_usd >= self.most_usd:
            self._told = Level.SPENT
        elif cost_usd >= self.most_usd * NEARLY_SPENT and self._told is None:
            self._told = Level.NEARLY
        else:
            return None
        return self._told

    def words(self, level: Level, cost_usd: float) -> str:
        """For operators: how it stands, what happens and what to press."""
        budget = f"its budget of ${self.most_usd or 0:.2f}"
        if level is Level.NEARLY:
            stands, when = f"has cost ${cost_usd:.2f} of {budget}", "When that is spent"
        else:
            stands, when = f"has spent {budget}", "When it has said what it is saying"
        then = "the keypad menu goes on with the caller" if self.has_menu else "the caller is put on hold"
        return (
            f"This call's AI {stands}. {when}, {then}. "
            "Press G then to let the AI go on without a budget, or T to take over."
        )

    def lift(self) -> None:
        """Nothing more is spent of it: the call may cost what it takes."""
        self.most_usd = None
