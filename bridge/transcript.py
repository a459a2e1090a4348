"""Who said what, when it started, and which words were heard. Pure.

Lines are ordered by when speech began, never by arrival: the caller's words may be transcribed
long after the answer has started. Of the AI's words those were heard whose share of the item's
audio was heard; a cut leaves the rest as text that never reached the caller.

Every method returns the ids of the lines it changed; `view` gives a line as it now is.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.audio import BYTES_PER_MS
from bridge.control import Party, TurnKind, TurnState, TurnView

WHOLE_MS = 40
"""An item heard to within this of its end was heard whole."""


@dataclass(slots=True)
class _Turn:
    turn_id: str
    order: int
    speaker: Party
    kind: TurnKind
    state: TurnState
    start_ms: int
    end_ms: int
    text: str = ""
    wanted: str = ""
    received_ms: float = 0.0
    heard_ms: float = 0.0
    begun: bool = False
    complete: bool = False
    cut_by: Party = Party.NOBODY
    remark: str = ""
    engine: str = ""

    @property
    def is_played(self) -> bool:
        """Whether it is sound of ours, heard as far as it was played."""
        return self.kind is TurnKind.SAY or (self.kind is TurnKind.SPEECH and self.speaker is Party.AI)

    @property
    def heard_chars(self) -> int:
        """How much of the text was heard, to the end of a word."""
        if not self.is_played:
            return len(self.text)
        return heard_chars(self.text, self.heard_ms, self.received_ms, complete=self.complete)


def heard_chars(text: str, heard_ms: float, received_ms: float, *, complete: bool) -> int:
    """How much of a text was heard, to the end of a word, when so much of its sound was.

    received_ms: of the sound that was made so far; complete: that is all of it.
    """
    if complete and heard_ms >= received_ms - WHOLE_MS:
        return len(text)
    if not received_ms:
        return 0
    reached = int(len(text) * min(1.0, heard_ms / received_ms))
    return max(text.rfind(" ", 0, reached + 1), 0)


def spoken_words(text: str) -> list[str]:
    """The words of a text without case or punctuation, to compare what was asked with what was said."""
    plain = text.casefold().replace("\u2019", "'")
    return "".join(letter if letter.isalnum() or letter == "'" else " " for letter in plain).split()


class Transcript:
    """The lines of one call. engine: the one that has it, whose words the AI's new lines are."""

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        self.engine = ""
        self._turns: dict[str, _Turn] = {}
        self._says: dict[str, str] = {}
        self._taken_up: dict[str, str] = {}
        self._order = 0

    def next_order(self) -> int:
        """A number for one more line or tool card; ties in time are broken by it."""
        self._order += 1
        return self._order

    def _add(self, turn_id: str, speaker: Party, kind: TurnKind, state: TurnState, at_ms: int) -> _Turn:
        turn = _Turn(turn_id, self.next_order(), speaker, kind, state, at_ms, at_ms)
        self._turns[turn_id] = turn
        return turn

    def view(self, turn_id: str) -> TurnView:
        """One line. Raises KeyError for an id that was never returned."""
        turn = self._turns[turn_id]
        return TurnView(
            call_id=self.call_id,
            turn_id=turn.turn_id,
            order=turn.order,
            speaker=turn.speaker,
            kind=turn.kind,
            state=turn.state,
            start_ms=turn.start_ms,
            end_ms=turn.end_ms,
            text=turn.text,
            heard_chars=turn.heard_chars,
            heard_ms=round(turn.heard_ms),
            cut_by=turn.cut_by,
            remark=turn.remark,
            engine=turn.engine,
        )

    def views(self) -> list[TurnView]:
        """All lines in order."""
        ordered = sorted(self._turns.values(), key=lambda turn: (turn.start_ms, turn.order))
        return [self.view(turn.turn_id) for turn in ordered]

    # ── the caller, and an operator who speaks with them ──

    def began(self, speaker: Party, item_id: str, at_ms: int) -> list[str]:
        """A person began to speak."""
        if self._taken_up.get(item_id, item_id) in self._turns:
            return []
        self._add(item_id, speaker, TurnKind.SPEECH, TurnState.INTERIM, at_ms)
        return [item_id]

    def ended(self, item_id: str, at_ms: int) -> list[str]:
        """They fell silent."""
        turn = self._turns.get(self._taken_up.get(item_id, item_id))
        if turn is None:
            return []
        turn.end_ms = at_ms
        return [turn.turn_id]

    def words(self, speaker: Party, item_id: str, text: str, final: bool, at_ms: int) -> list[str]:
        """All the words of a person's turn known so far. ``at_ms`` places a turn never announced.

        A turn whose final text is empty (a cough) is a line without words, not a lost one.
        """
        turn = self._turns.get(self._taken_up.get(item_id, item_id))
        if turn is None:
            turn = self._add(item_id, speaker, TurnKind.SPEECH, TurnState.INTERIM, at_ms)
        turn.text = text
        if final:
            turn.state = TurnState.FINAL
            turn.remark = "" if text.strip() else "no words"
        return [turn.turn_id]

    def words_failed(self, speaker: Party, item_id: str, at_ms: int) -> list[str]:
        """A person's turn will never have its words."""
        turn_id = self._taken_up.get(item_id, item_id)
        text = self._turns[turn_id].text if turn_id in self._turns else ""
        changed = self.words(speaker, turn_id, text, True, at_ms)
        self._turns[turn_id].remark = "not transcribed"
        return changed

    def taken_up(self, former: str, item_id: str) -> list[str]:
        """``item_id`` is a turn that began as ``former``, heard again by another: its words go to the same line."""
        turn = self._turns.get(self._taken_up.get(former, former))
        if turn is None or item_id in self._turns:
            return []
        self._taken_up[item_id] = turn.turn_id
        turn.state, turn.remark = TurnState.INTERIM, ""
        return [turn.turn_id]

    # ── the AI ──

    def say_begins(self, request: str, item_id: str) -> None:
        """``item_id`` speaks what the operator asked to be said as ``request``."""
        if request in self._turns:
            self._says[item_id] = request

    def _spoken(self, item_id: str, at_ms: int) -> _Turn:
        turn = self._turns.get(self._says.get(item_id, item_id))
        if turn is None:
            turn = self._add(item_id, Party.AI, TurnKind.SPEECH, TurnState.SPEAKING, at_ms)
            turn.engine = self.engine
        return turn

    def reply_words(self, item_id: str, delta: str, at_ms: int) -> list[str]:
        """More words of what the AI speaks."""
        turn = self._spoken(item_id, at_ms)
        if turn.wanted and turn.state is TurnState.INTERIM:
            turn.text = ""
            turn.state = TurnState.SPEAKING
        turn.text += delta
        return [turn.turn_id]

    def reply_words_done(self, item_id: str, text: str, at_ms: int) -> list[str]:
        """The whole text of what the AI speaks; an operator's words are checked against it."""
        turn = self._spoken(item_id, at_ms)
        turn.text = text
        if turn.wanted and spoken_words(turn.wanted) != spoken_words(text):
            turn.remark = "not word for word"
        return [turn.turn_id]

    def speech_received(self, item_id: str, audio_bytes: int, at_ms: int) -> None:
        """Audio of an item came in; it shows only once it is heard."""
        self._spoken(item_id, at_ms).received_ms += audio_bytes / BYTES_PER_MS

    def speech_done(self, item_id: str) -> list[str]:
        """No more audio will come for this item."""
        turn = self._turns.get(self._says.get(item_id, item_id))
        if turn is None:
            return []
        turn.complete = True
        return self._settle(turn)

    def heard(self, item_id: str, start_ms: float, audio_bytes: int) -> list[str]:
        """Audio of an item reached the caller at ``start_ms``."""
        turn = self._turns.get(self._says.get(item_id, item_id))
        if turn is None:
            return []
        if not turn.begun:
            turn.begun = True
            turn.start_ms = round(start_ms)
            if turn.state is TurnState.INTERIM:
                turn.state = TurnState.SPEAKING
        turn.heard_ms += audio_bytes / BYTES_PER_MS
        turn.end_ms = round(start_ms + audio_bytes / BYTES_PER_MS)
        return self._settle(turn) or [turn.turn_id]

    def _settle(self, turn: _Turn) -> list[str]:
        whole = turn.complete and turn.heard_ms >= turn.received_ms - WHOLE_MS
        if turn.state is not TurnState.SPEAKING or not whole:
            return []
        turn.state = TurnState.FINAL
        return [turn.turn_id]

    def cut(self, item_id: str, by: Party) -> list[str]:
        """What was not heard of this item never will be."""
        turn = self._turns.get(self._says.get(item_id, item_id))
        if turn is None or turn.state not in (TurnState.SPEAKING, TurnState.INTERIM):
            return []
        turn.state, turn.cut_by = TurnState.CUT, by
        return [turn.turn_id]

    def unfinished(self) -> list[str]:
        """What is still to be heard or completed, oldest first (all are over when a call ends)."""
        return [
            turn.turn_id
            for turn in self._turns.values()
            if turn.is_played and turn.state in (TurnState.SPEAKING, TurnState.INTERIM)
        ]

    # ── the operator ──

    def operator_line(self, turn_id: str, kind: TurnKind, text: str, at_ms: int) -> list[str]:
        """A whisper or ask (to the AI), a say (INTERIM until it is spoken) or a note."""
        state = TurnState.INTERIM if kind is TurnKind.SAY else TurnState.FINAL
        turn = self._add(turn_id, Party.OPERATOR, kind, state, at_ms)
        turn.text = text
        turn.wanted = text if kind is TurnKind.SAY else ""
        return [turn_id]

    def keys(self, turn_id: str, speaker: Party, keys: str, at_ms: int, order: int | None = None) -> list[str]:
        """Keypad keys that the caller or the operator pressed. order: `next_order` of then, if that was earlier."""
        turn = self._add(turn_id, speaker, TurnKind.KEYS, TurnState.FINAL, at_ms)
        turn.text, turn.order = keys, turn.order if order is None else order
        return [turn_id]

    def remark(self, turn_id: str, remark: str) -> list[str]:
        """A short word beside a line."""
        self._turns[turn_id].remark = remark
        return [turn_id]

    def conversation(self) -> list[tuple[Party, str]]:
        """What the caller said and heard, in order: the memory an AI would need to go on."""
        said = []
        for view in self.views():
            if view.kind in (TurnKind.SPEECH, TurnKind.SAY):
                text = view.text[: view.heard_chars].strip()
                if text:
                    said.append((view.speaker, text))
        return said
