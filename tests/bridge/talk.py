"""A conversation as turn taking sees it, on a clock of its own."""

from __future__ import annotations

from collections.abc import Iterable

from bridge.engines.turn_taking import Ended, Outcome, TurnTaking


class Talk:
    """A conversation as it goes by: what is heard, what the AI does, and all that was told, each with its time."""

    def __init__(self, turns: TurnTaking | None = None) -> None:
        self.turns = TurnTaking() if turns is None else turns
        self.now_ms = 0
        self.told: list[tuple[int, Outcome]] = []

    def note(self, outcomes: Iterable[Outcome]) -> None:
        self.told += [(self.now_ms, outcome) for outcome in outcomes]

    def sound(self, ms: int, *, level_db: float = -20.0) -> None:
        """The caller makes sound for so long."""
        for _ in range(ms // 20):
            self.now_ms += 20
            self.note(self.turns.frame(True, level_db, self.now_ms - 20))

    def quiet(self, ms: int) -> None:
        """The line is silent for so long."""
        for _ in range(ms // 20):
            self.now_ms += 20
            self.note(self.turns.frame(False, -60.0, self.now_ms - 20))

    def wait(self, ms: int) -> None:
        """Time passes without frames, ticked only when due."""
        until_ms = self.now_ms + ms
        while (due_ms := self.turns.next_at_ms()) is not None and due_ms <= until_ms:
            self.now_ms = max(due_ms, self.now_ms)
            self.note(self.turns.tick(self.now_ms))
        self.now_ms = until_ms

    def words(self, text: str, part: str = "a", *, final: bool = False) -> None:
        self.note(self.turns.words(part, text, final, self.now_ms))

    def ended(self, part: str = "a") -> None:
        self.note(self.turns.ended(part, self.now_ms))

    def ai_speaks(self) -> None:
        self.note(self.turns.thinks(self.now_ms))
        self.note(self.turns.speaks(self.now_ms))

    def played(self) -> None:
        self.note(self.turns.played(self.now_ms))

    def heard(self, kind: type[Outcome]) -> list[Outcome]:
        return [outcome for _, outcome in self.told if isinstance(outcome, kind)]

    def when(self, kind: type[Outcome]) -> int:
        """When the last of these was told."""
        return next(at_ms for at_ms, outcome in reversed(self.told) if isinstance(outcome, kind))

    @property
    def texts(self) -> list[str]:
        """The words of the turns that are over."""
        return [outcome.text for _, outcome in self.told if isinstance(outcome, Ended)]
