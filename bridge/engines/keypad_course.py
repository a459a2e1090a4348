"""One call's way through a keypad menu, and through the gate that may stand before it. Pure.

Keys, silence and tools' answers go in, and what is to be done comes out, in order. It knows no clock
and no sound: whoever drives it tells `Course.heard` when all that was to be said has reached the
caller, and `Course.silence` when nothing came for `Course.patience_ms` after that, or after a key.

The gate is a state before the first place. What it says never depends on which digits were pressed,
only on whether they were right, and nothing that comes out of it holds any of them. It opens for good
or not at all: a caller who was refused is not asked again on this call, and their keys stay masked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from bridge.engines import Because, Destination
from bridge.engines.keypad_menu import AGAIN, AI, HANG_UP, MAIN, OPERATOR, Action, Collect, Menu
from bridge.engines.pin_gate import Gate
from bridge.keypad import MASK, is_card
from bridge.templates import filled, result_told

DONE_KEY, CLEAR_KEY = "#", "*"
"""End an entry, and begin it again."""

MOST_PIN_DIGITS = 12
LEAVING_MS = 1500
"""How long the end is still put off when the words before it were cut short."""


@dataclass(frozen=True, slots=True)
class Speak:
    """Say this."""

    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """Run this tool. arguments: JSON text; shown: the same with masked entries, and cards' numbers, masked."""

    name: str
    arguments: str = field(repr=False)
    shown: str


@dataclass(frozen=True, slots=True)
class Leave:
    """The call goes on elsewhere. why: for the operator, "" if it is plain."""

    to: Destination
    why: str = ""


Act: TypeAlias = Speak | Run | Leave


class Course:
    """One call's way through a menu, and through a gate before it if there is one.

    Each method returns what is to be done, in order. masked: whether nobody may see the keys that are
    pressed now. leaving: whether the call goes on elsewhere as soon as the last words were heard.
    """

    def __init__(self, menu: Menu, gate: Gate | None = None, because: Because | None = None) -> None:
        """because: why it comes instead of another engine; None if it was its turn."""
        self._menu = menu
        self._because = menu.because.get(because, "") if because is not None else ""
        self._gate = gate
        self._refused = False
        self._begun = False
        self._place = MAIN
        self._digits = ""
        self._entered: dict[str, str] = {}
        self._rounds = 0
        self._asked: Action | None = None
        self._leaving: Leave | None = None
        self._left: Leave | None = None
        self._is_last_resort = False

    @property
    def masked(self) -> bool:
        """See the class."""
        collect = self._menu.places[self._place].collect
        return self._gate is not None or self._refused or (collect is not None and collect.masked)

    @property
    def patience_ms(self) -> float | None:
        """See the module; None when nothing is waited for."""
        if self._asked is not None or self._left is not None:
            return None
        if self._leaving is not None:
            return LEAVING_MS
        return 1000 * (self._menu.key_s if self._digits else self._menu.no_input_s)

    @property
    def takes_keys(self) -> bool:
        """Whether a key does anything now. Whoever waits for a person may choose something else meanwhile."""
        gone = self._left is not None and self._left.to is not Destination.OPERATOR
        return self._asked is None and not (self._refused or gone)

    # ── what happens ──

    def begin(self, first_line: str, now_ms: float) -> list[Act]:
        """Open the call; first_line: the profile's, for a menu that has no greeting of its own."""
        return self._begin(_joined(self._menu.greeting or first_line, self._because), now_ms)

    def again(self, now_ms: float) -> list[Act]:
        """Say once more what can be done here. The first time, the menu takes the call over."""
        if not self._begun:
            return self._begin(_joined(self._because, self._menu.taking_over), now_ms)
        if self._asked is not None:
            return []
        if self._leaving is not None:
            return self._leave()
        if self._left is not None and (self._refused or self._left.to is not Destination.OPERATOR):
            return [self._left]
        self._left = None
        return self._announce()

    def key(self, digit: str, now_ms: float) -> list[Act]:
        """The caller pressed a key."""
        self._begun = True
        if not self.takes_keys:
            return []
        if self._leaving is not None:
            if not self._is_last_resort:
                return self._leave()
            # There is somebody after all.
            self._leaving, self._is_last_resort = None, False
        self._left = None
        if self._gate is not None:
            return self._pin_key(digit, now_ms)
        place = self._menu.places[self._place]
        if place.collect is not None:
            return self._entry_key(place.collect, digit)
        action = place.keys.get(digit)
        if action is None:
            return self._fruitless(self._menu.wrong)
        self._rounds = 0
        return self._do(action)

    def silence(self, spoke: bool, now_ms: float) -> list[Act]:
        """Nothing was pressed for `patience_ms`. spoke: the caller said something instead."""
        if not self._begun:
            return self.again(now_ms)
        if self._leaving is not None:
            return self._leave()
        if self._asked is not None or self._left is not None:
            return []
        if self._digits and self._gate is not None:
            return self._pin_entered(self._gate, now_ms)
        collect = self._menu.places[self._place].collect
        if self._digits and collect is not None:
            return self._entry_ended(collect)
        return self._fruitless(self._menu.help if spoke else "")

    def heard(self) -> list[Act]:
        """All that was to be said has reached the caller."""
        return self._leave() if self._leaving is not None else []

    def tool_answered(self, output: str) -> list[Act]:
        """The tool's answer; one that nobody asked for is passed over."""
        action, self._asked = self._asked, None
        if action is None or action.tool is None:
            return []
        return self._go(action.go, result_told(action.tool.then, action.tool.failed, output))

    def forget_digits(self) -> None:
        """What was pressed of an entry so far is no more."""
        self._digits = ""

    # ── the menu ──

    def _begin(self, greeting: str, now_ms: float) -> list[Act]:
        self._begun = True
        if self._gate is None:
            return self._announce(greeting)
        words = self._menu.pin
        if not self._gate.pin:
            why = f"{self._gate.setting} holds no PIN, so nobody can be let in. Set it, and restart the bridge."
            return self._refuse(f"{words.greeting} {words.closed}", why)
        if not self._gate.left(now_ms):
            return self._refuse(
                f"{words.greeting} {words.locked}", "Too many wrong PINs came from the caller's number."
            )
        return self._announce(words.greeting)

    def _announce(self, before: str = "") -> list[Act]:
        self._digits = ""
        if self._gate is not None:
            return [Speak(_joined(before, self._menu.pin.ask))]
        place = self._menu.places[self._place]
        text = _joined(before, self._spoken(place.say))
        return self._go(place.go, text) if place.go else [Speak(text)]

    def _do(self, action: Action) -> list[Act]:
        text = self._spoken(action.say)
        if action.tool is None:
            return self._go(action.go, text)
        self._asked = action
        hidden = {name for name, entry in self._menu.entries().items() if entry.masked}
        hidden |= {name for name, digits in self._entered.items() if is_card(digits)}
        shown = {name: MASK * len(digits) if name in hidden else digits for name, digits in self._entered.items()}
        run = Run(
            action.tool.name,
            _json(_with(action.tool.arguments, self._entered)),
            _json(_with(action.tool.arguments, shown)),
        )
        return [Speak(text), run] if text else [run]

    def _go(self, go: str, text: str) -> list[Act]:
        if go in (AI, OPERATOR, HANG_UP):
            return self._go_away(Leave(Destination(go)), text)
        if go != AGAIN:
            self._place, self._rounds = go, 0
        return self._announce(text)

    def _go_away(self, leave: Leave, text: str) -> list[Act]:
        self._digits = ""
        self._leaving = leave
        return [Speak(text)] if text else self._leave()

    def _leave(self) -> list[Act]:
        assert self._leaving is not None
        self._left, self._leaving = self._leaving, None
        self._is_last_resort = False
        if self._left.to is Destination.AI:
            self._gate = None
        return [self._left]

    def _fruitless(self, text: str) -> list[Act]:
        self._rounds += 1
        if self._rounds < self._menu.rounds:
            return self._announce(text)
        last = self._menu.last
        self._rounds = 0
        self._is_last_resort = True
        go = self._menu.pin.go if self._gate is not None else last.go
        return self._go_away(Leave(Destination(go), "The caller pressed no key that helped."), last.say)

    def _spoken(self, text: str) -> str:
        """Digits are said one by one."""
        return filled(text, {"entered": {name: " ".join(digits) for name, digits in self._entered.items()}})

    # ── entries ──

    def _entry_key(self, collect: Collect, digit: str) -> list[Act]:
        if digit == CLEAR_KEY:
            self._digits = ""
        elif digit == DONE_KEY:
            return self._entry_ended(collect)
        else:
            self._digits = (self._digits + digit)[: collect.most + 1]
            if len(self._digits) == collect.most and not collect.masked:
                return self._entry_ended(collect)
        return []

    def _entry_ended(self, collect: Collect) -> list[Act]:
        digits, self._digits = self._digits, ""
        if not collect.least <= len(digits) <= collect.most:
            return self._fruitless(self._menu.wrong)
        self._rounds = 0
        self._entered[collect.name] = digits
        return self._do(collect.then)

    # ── the gate ──

    def _pin_key(self, digit: str, now_ms: float) -> list[Act]:
        assert self._gate is not None
        if digit == CLEAR_KEY:
            self._digits = ""
        elif digit == DONE_KEY:
            return self._pin_entered(self._gate, now_ms)
        else:
            # One more than any PIN has, so that what is too long stays wrong.
            self._digits = (self._digits + digit)[: MOST_PIN_DIGITS + 1]
        return []

    def _pin_entered(self, gate: Gate, now_ms: float) -> list[Act]:
        digits, self._digits = self._digits, ""
        words = self._menu.pin
        if not digits:
            return self._fruitless("")
        if gate.opens(digits, now_ms):
            return self._go_away(Leave(Destination.AI), words.right)
        if not gate.left(now_ms):
            return self._refuse(words.refused, "The caller did not enter the right PIN.")
        self._rounds = 0
        return self._announce(words.wrong)

    def _refuse(self, text: str, why: str) -> list[Act]:
        self._refused = True
        return self._go_away(Leave(Destination(self._menu.pin.go), why), text)


def _joined(*texts: str) -> str:
    return " ".join(text for text in texts if text)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _with(value: Any, entered: Mapping[str, str]) -> Any:
    """The same with its slots filled."""
    match value:
        case str():
            return filled(value, {"entered": entered})
        case dict():
            return {name: _with(one, entered) for name, one in value.items()}
        case list():
            return [_with(one, entered) for one in value]
        case _:
            return value
