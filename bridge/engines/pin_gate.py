"""The PIN before a call, and who may still try it. Pure."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

KEPT_NUMBERS = 10_000


class Lockouts:
    """Who entered wrong PINs, on all calls of a house: hanging up gives nobody another try.

    Times are in ms of one clock. A caller is forgotten as long after their last wrong PIN as their
    gate says.
    """

    def __init__(self) -> None:
        self._wrong: dict[str, tuple[int, float]] = {}

    def count(self, who: str, now_ms: float) -> int:
        """How many wrong PINs are remembered of them."""
        wrong, until_ms = self._wrong.get(who, (0, 0.0))
        return wrong if now_ms < until_ms else 0

    def add(self, who: str, now_ms: float, until_ms: float) -> None:
        """One more. Beyond `KEPT_NUMBERS` those that are over go, else the one that is over first."""
        self._wrong[who] = (self.count(who, now_ms) + 1, until_ms)
        if len(self._wrong) > KEPT_NUMBERS:
            self._wrong = {one: kept for one, kept in self._wrong.items() if now_ms < kept[1]}
        if len(self._wrong) > KEPT_NUMBERS:
            del self._wrong[min(self._wrong, key=lambda one: self._wrong[one][1])]

    def forgive(self, who: str) -> None:
        """They knew it."""
        self._wrong.pop(who, None)


@dataclass(frozen=True)
class Gate:
    """What one call's caller must enter. pin: "" lets nobody in. setting: the name of what holds it.

    number: the caller's; those who withhold theirs count as one. lockouts: the house's.
    """

    pin: str = field(repr=False)
    setting: str
    attempts: int
    lockout_ms: float
    number: str
    lockouts: Lockouts = field(repr=False)

    @property
    def _who(self) -> str:
        return f"{self.setting} {self.number}"

    def left(self, now_ms: float) -> int:
        """How often they may still try."""
        return max(0, self.attempts - self.lockouts.count(self._who, now_ms))

    def opens(self, digits: str, now_ms: float) -> bool:
        """Whether these are right; remembered if not. Takes as long for any digits."""
        if not self.pin or not self.left(now_ms):
            return False
        if hmac.compare_digest(digits.encode(), self.pin.encode()):
            self.lockouts.forgive(self._who)
            return True
        self.lockouts.add(self._who, now_ms, now_ms + self.lockout_ms)
        return False
