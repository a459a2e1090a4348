"""Lines of the conversation as words with a look: what a turn or a tool card says on screen. Pure.

Text from a call or a tool is shown as it is: nothing in it is markup, characters that turn the
reading direction or control a terminal are shown by their code, and secrets are masked.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any

from bridge.control import Party, ToolState, ToolView, TurnKind, TurnState, TurnView
from console.names import YOU, speaker_word, told
from console.timeline import clock_text, span_text

MASK = "••••"
HIDDEN_KEY = "•"
"""Stands for a key that nobody may see. How many there were is nobody's business either."""

FOLD_CHARS = 96
"""Longer values fold."""

FOLD_RESULT_CHARS = 160
FOLD_ITEM_CHARS = 96
FOLD_ITEMS = 3
"""Of a list of objects so many are shown, each on a line of its own."""

ONE_LINE_CHARS = 80
"""A call and its result stand on one line when they are no longer than this together."""

BREAK = "\u2028"
INDENT = "  "

SECRET_WORDS = frozenset(
    [
        "token",
        "password",
        "passwd",
        "passcode",
        "secret",
        "pin",
        "card",
        "cvv",
        "cvc",
        "ssn",
        "iban",
        "otp",
        "pwd",
        "credential",
        "credentials",
        "authorization",
    ]
)
SECRET_RUNS = ("apikey", "accesskey", "privatekey", "creditcard", "cardnumber", "securitycode", "accountnumber")

_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_SPACES = re.compile(r"[\t\r\n\u2028\u2029]+")
_BROKEN_PAIR = re.compile(r'"(?P<key>[^"\\]{1,80})"\s*:\s*(?:"(?:[^"\\]|\\.)*"?|[^\s,}\]]+)')


class Ink(StrEnum):
    """How a run of characters looks."""

    PLAIN = "plain"
    DIM = "dim"
    INTERIM = "interim"
    STRUCK = "struck"
    LABEL = "label"
    CODE = "code"
    NAME = "name"
    LINK = "link"


@dataclass(frozen=True)
class Run:
    """Characters of one look."""

    text: str
    ink: Ink


class CardState(Enum):
    """How a tool card is framed."""

    CALM = "line"
    WAITING = "operator"
    FAILED = "danger"


@dataclass(frozen=True)
class Card:
    """The frame of a tool call. status: its state in words, with the time it took; role: its colour."""

    status: str
    role: str
    frame: CardState


@dataclass(frozen=True)
class Entry:
    """One line of the conversation.

    who, role: the party's word and its colour role. runs: the words; a LINK run comes last and
    folds or unfolds. pill: a remark after the words. italic: words of the operator to the AI.
    """

    time: str
    who: str
    role: str
    runs: tuple[Run, ...]
    pill: str = ""
    pill_role: str = "dim"
    italic: bool = False
    card: Card | None = None

    @property
    def text(self) -> str:
        """The words without what folds them."""
        return "".join(run.text for run in self.runs if run.ink is not Ink.LINK)

    @property
    def plain(self) -> str:
        """The whole line as it is copied."""
        words = self.text.replace(BREAK, "  ")
        tail = f" [{self.pill}]" if self.pill else ""
        state = f" [{self.card.status}]" if self.card is not None else ""
        return f"{self.time}  {self.who}: {words}{state}{tail}"


def seen(text: str) -> str:
    """A text with nothing hidden in it: line breaks become spaces, unseen characters their codes."""
    return _UNSEEN.sub(lambda match: f"[U+{ord(match.group()):04X}]", _SPACES.sub(" ", text))


# ── turns ─────────────────────────────────────────────────────────────────────────────────

_SPOKEN_BY = {
    Party.CALLER: ("Caller", "caller"),
    Party.AI: ("AI", "ai"),
    Party.OPERATOR: ("You", "operator"),
    Party.NOBODY: ("Note", "dim"),
}
_TO_AI = {TurnKind.WHISPER: "Whisper: ", TurnKind.ASK: "Ask: "}


def turn_entry(turn: TurnView, operator: str = YOU, ours: str = "") -> Entry:
    """One turn as a line.

    operator: the word for whoever holds the desk's side of this call. ours: this console's name.
    """
    time = clock_text(turn.start_ms)
    who, role = _SPOKEN_BY[turn.speaker]
    if turn.speaker is Party.OPERATOR:
        who = operator
    elif turn.speaker is Party.AI:
        who = speaker_word(turn.engine)
    pill, pill_role = _pill(turn, operator)
    match turn.kind:
        case TurnKind.WHISPER | TurnKind.ASK:
            words = _TO_AI[turn.kind] + seen(turn.text)
            runs: tuple[Run, ...] = (Run(words, Ink.PLAIN),)
            return Entry(time, f"{operator} → AI", "operator", runs, pill, pill_role, italic=True)
        case TurnKind.SAY:
            runs = Run("Say: ", Ink.PLAIN), *_words(turn)
            return Entry(time, operator, "operator", runs, pill, pill_role, italic=True)
        case TurnKind.KEYS:
            hidden = set(turn.text) == {HIDDEN_KEY}
            runs = (Run("pressed " + (MASK if hidden else seen(turn.text)), Ink.DIM),)
            return Entry(time, who, role, runs, pill or ("hidden" if hidden else ""), pill_role)
        case TurnKind.NOTE:
            return Entry(time, "Note", "dim", (Run(seen(told(turn.text, ours)), Ink.DIM),), pill, pill_role)
        case _:
            return Entry(time, who, role, _words(turn), pill, pill_role)


def _words(turn: TurnView) -> tuple[Run, ...]:
    runs: tuple[Run, ...]
    heard, rest = turn.text[: turn.heard_chars], turn.text[turn.heard_chars :]
    match turn.state:
        case TurnState.INTERIM:
            # Of the caller's words none is settled before the transcription is complete.
            if turn.speaker is Party.CALLER:
                heard, rest = "", turn.text
            more = rest if rest.endswith("…") else rest + "…"
            runs = Run(seen(heard), Ink.PLAIN), Run(seen(more), Ink.INTERIM)
        case TurnState.SPEAKING if turn.speaker is not Party.CALLER:
            runs = Run(seen(heard), Ink.PLAIN), Run(seen(rest), Ink.DIM)
        case TurnState.CUT:
            space = len(rest) - len(rest.lstrip())
            runs = Run(seen(heard + rest[:space]), Ink.PLAIN), Run(seen(rest[space:]), Ink.STRUCK)
        case _:
            runs = (Run(seen(turn.text), Ink.PLAIN),)
    return tuple(run for run in runs if run.text)


def _within(operator: str) -> str:
    """The word for an operator inside a sentence."""
    return operator[0].lower() + operator[1:] if operator.startswith(YOU) else operator


def _pill(turn: TurnView, operator: str) -> tuple[str, str]:
    words = []
    if turn.state is TurnState.CUT:
        by = {Party.CALLER: " by caller", Party.OPERATOR: f" by {_within(operator)}"}
        heard = f"{turn.heard_ms / 1000:.1f} s heard" if turn.heard_ms else "nothing heard"
        words.append(f"cut off{by.get(turn.cut_by, '')} · {heard}")
    if turn.remark:
        words.append(seen(turn.remark))
    return " · ".join(words), "operator" if turn.remark else "dim"


# ── tools ─────────────────────────────────────────────────────────────────────────────────

_STATUS: dict[ToolState, tuple[str, str, CardState]] = {
    ToolState.ASKED: ("asked", "dim", CardState.CALM),
    ToolState.WAITING: ("needs you", "operator", CardState.WAITING),
    ToolState.RUNNING: ("running…", "dim", CardState.CALM),
    ToolState.DONE: ("done", "dim", CardState.CALM),
    ToolState.FAILED: ("failed", "danger", CardState.FAILED),
    ToolState.DENIED: ("denied", "danger", CardState.CALM),
    ToolState.EXPIRED: ("timed out", "danger", CardState.FAILED),
}


def tool_entry(tool: ToolView, unfolded: bool = False) -> Entry:
    """One tool call as a card: its name, then ``key=value`` of its arguments, then → its result."""
    word, role, frame = _STATUS[tool.state]
    took = f" · {span_text(tool.duration_ms)}" if tool.duration_ms else ""
    arguments, folds = _shown(tool.arguments, unfolded, FOLD_CHARS)
    result, folds_too = _shown(tool.result, unfolded, FOLD_RESULT_CHARS)
    runs = [Run(seen(tool.name), Ink.NAME)]
    lines = [*arguments, *([f"→ {result[0]}", *result[1:]] if result else [])]
    if len(arguments) == len(result) == 1 and len(" ".join(lines)) <= ONE_LINE_CHARS:
        lines = [" ".join(lines)]
    runs += [Run(BREAK + line, Ink.CODE) for line in lines]
    if folds or folds_too:
        runs.append(Run("  less" if unfolded else "  more", Ink.LINK))
    who_role = {CardState.CALM: "fine", CardState.WAITING: "operator", CardState.FAILED: "danger"}[frame]
    return Entry(clock_text(tool.start_ms), "Tool", who_role, tuple(runs), card=Card(word + took, role, frame))


def _shown(text: str, unfolded: bool, fold_chars: int) -> tuple[list[str], bool]:
    """A JSON text as lines for reading, and whether anything in it is long enough to fold.

    What is simple stands on the first line as ``key=value``; each list of objects follows as its
    name, how many there are, and one line an object.
    """
    text = text.strip()
    if not text:
        return [], False
    folds = False

    def folded(words: str, chars: int) -> str:
        nonlocal folds
        if len(words) <= chars:
            return words
        folds = True
        return words if unfolded else words[: chars - 1] + "…"

    def table(name: str, items: list[dict[str, Any]]) -> list[str]:
        nonlocal folds
        shown = items if unfolded else items[:FOLD_ITEMS]
        folds = folds or len(items) > FOLD_ITEMS
        rows = [folded(_pairs(item), FOLD_ITEM_CHARS) for item in shown]
        more = [f"… and {len(items) - len(shown)} more"] if len(items) > len(shown) else []
        return [f"{name} ({len(items)})", *(INDENT + row for row in (*rows, *more))]

    try:
        value = _masked(json.loads(text))
        if _is_table(value):
            return table("items", value), folds
        if not isinstance(value, dict):
            return [folded(seen(value) if isinstance(value, str) else _value(value), fold_chars)], folds
        tables = {key: item for key, item in value.items() if _is_table(item)}
        simple = [f"{seen(key)}={folded(_value(item), fold_chars)}" for key, item in value.items() if key not in tables]
        lines = [", ".join(simple)] if simple else []
        for key, items in tables.items():
            lines += table(seen(key), items)
        return lines, folds
    except (ValueError, RecursionError):
        return [folded(seen(_masked_text(text)), fold_chars)], folds


def _is_table(value: Any) -> bool:
    """Whether a value is a list of objects, which reads badly on one line."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _pairs(item: dict[str, Any]) -> str:
    return ", ".join(f"{seen(key)}={_value(part)}" for key, part in item.items())


def _value(value: Any) -> str:
    return MASK if value == MASK else seen(json.dumps(value, ensure_ascii=False))


def is_secret(key: str) -> bool:
    """Whether a value under this name must not be seen on a screen."""
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", key).lower())
    run = "".join(words)
    return any(word in SECRET_WORDS or word.rstrip("s") in SECRET_WORDS for word in words) or any(
        secret in run for secret in (*SECRET_RUNS, "password", "token", "secret")
    )


def _masked(value: Any) -> Any:
    match value:
        case dict():
            return {key: MASK if is_secret(key) else _masked(item) for key, item in value.items()}
        case list():
            return [_masked(item) for item in value]
        case str():
            return _masked_text(value)
        case _:
            return value


def _masked_text(text: str) -> str:
    """The same inside plain words, or in JSON that was cut short: only pairs can be told there."""
    return _BROKEN_PAIR.sub(lambda pair: f'"{pair["key"]}": {MASK}' if is_secret(pair["key"]) else pair.group(), text)
