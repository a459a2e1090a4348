"""What a call by keypad says, and what each key does: the content of a menu's file. Pure.

A menu is made of places. Each has words, and either keys that do something, an entry of several
digits, or where it goes by itself. `keypad_course` is one call's way through it; the files are in
`resources/menus`, and `bridge.menus` reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from bridge.engines import Because
from bridge.templates import SLOT

MAIN = "main"
AGAIN: Final = "again"
AI: Final = "ai"
OPERATOR: Final = "operator"
HANG_UP: Final = "hang_up"
WAYS = (AGAIN, AI, OPERATOR, HANG_UP)
"""Where one can go besides places: here again, on to the AI, on to a person, away."""

_Text = Annotated[str, Meta(min_length=1)]
_Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*\Z")]
_Key = Annotated[str, Meta(pattern=r"^[0-9*#]\Z")]
_Seconds = Annotated[float, Meta(ge=1, le=60)]
_Ending: TypeAlias = Literal["operator", "hang_up"]


class ToolUse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tool that is run. arguments: texts in them may hold ``{entered.NAME|otherwise}``.

    then, failed: said with its answer, as `bridge.templates.result_told` has it.
    """

    name: _Text
    arguments: dict[str, Any] = {}
    then: _Text
    failed: _Text = "I am sorry, that did not work just now."


class Action(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done: something is said, a tool is run, and the call goes on at a place or one of `WAYS`."""

    say: str = ""
    tool: ToolUse | None = None
    go: _Text = AGAIN


class Collect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of several digits. It ends with #, with a pause, or with the last of ``most`` digits; * clears it.

    masked: nobody may see it, so it is never spoken and only tools are given it; it ends with # or a
    pause alone, so that a digit too many is not taken for the next key.
    """

    name: _Name
    least: Annotated[int, Meta(ge=1)] = 1
    most: Annotated[int, Meta(ge=1, le=40)]
    masked: bool = False
    then: Action


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a caller can be: words, and either keys, an entry, or where it goes by itself after them."""

    say: _Text
    keys: dict[_Key, Action] = {}
    collect: Collect | None = None
    go: str = ""

    def actions(self) -> list[Action]:
        """All that can be done here."""
        return [*self.keys.values(), *([self.collect.then] if self.collect else [])]


class Farewell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last words, and where the call goes then."""

    say: _Text = "I am sorry that I could not help you. Please call again later. Goodbye."
    go: _Ending = HANG_UP


class PinWords(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the gate says.

    closed: there is no PIN to compare with. locked: this number was wrong too often on other calls.
    refused: it was so on this one. go: where a call goes that is not let in.
    """

    greeting: _Text = "Hello. This is an automated service, and this call is recorded."
    ask: _Text = "Please enter your PIN, and then press the hash key."
    wrong: _Text = "That is not the right PIN."
    right: _Text = "Thank you. One moment, please."
    refused: _Text = "I am sorry, that was not right either. For your safety this line is closed for a while. Goodbye."
    locked: _Text = "I am sorry, too many wrong PINs were entered from your number. Please call again later. Goodbye."
    closed: _Text = "I am sorry, this service is not available at the moment. Please call again later. Goodbye."
    go: _Ending = HANG_UP


class Menu(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole menu. It begins at the place called main; what is wrong in it is a ValueError that names the place.

    greeting: opens a call, "" for the profile's first line. taking_over: said instead when it comes
    into a running call. because: what else the caller hears then, by why it comes instead of another
    engine; before taking_over, and behind a greeting. rounds: how often in a row nothing, or a wrong key,
    may come before the last words. help: to a caller who speaks instead. Seconds count from the moment
    the words were heard.
    """

    title: _Text
    greeting: str = ""
    taking_over: str = ""
    because: dict[Because, _Text] = {}
    places: dict[_Name, Place]
    wrong: _Text = "I am sorry, that is not what I asked for."
    help: _Text = "I am sorry, I cannot hear you. I only understand the keys of your telephone."
    rounds: Annotated[int, Meta(ge=1, le=10)] = 3
    no_input_s: _Seconds = 6.0
    key_s: _Seconds = 4.0
    last: Farewell = Farewell()
    pin: PinWords = PinWords()

    def __post_init__(self) -> None:
        if MAIN not in self.places:
            raise ValueError(f"there is no place called {MAIN}, where it begins")
        for name, place in self.places.items():
            for fault in self._faults(name, place):
                raise ValueError(f"places.{name}: {fault}")

    def texts(self) -> list[str]:
        """All that it may say, slots as they are."""
        actions = [action for place in self.places.values() for action in place.actions()]
        spoken = [
            self.greeting,
            self.taking_over,
            *self.because.values(),
            *(place.say for place in self.places.values()),
        ]
        spoken += [action.say for action in actions]
        spoken += [text for action in actions if action.tool for text in (action.tool.then, action.tool.failed)]
        pin = [str(getattr(self.pin, name)) for name in PinWords.__struct_fields__ if name != "go"]
        return [text for text in (*spoken, self.wrong, self.help, self.last.say, *pin) if text]

    def tools(self) -> Iterator[tuple[str, ToolUse]]:
        """Each use of a tool, with the name of its place."""
        for name, place in self.places.items():
            yield from ((name, action.tool) for action in place.actions() if action.tool)

    def entries(self) -> dict[str, Collect]:
        """All entries, by name."""
        return {place.collect.name: place.collect for place in self.places.values() if place.collect}

    def _faults(self, name: str, place: Place) -> Iterator[str]:
        if name in WAYS:
            yield f"a place cannot be called {name}"
        if sum((bool(place.keys), place.collect is not None, bool(place.go))) != 1:
            yield "it must have one of keys, collect and go"
        if place.collect is not None and place.collect.least > place.collect.most:
            yield "collect.least is more than collect.most"
        for go in (*(action.go for action in place.actions()), *([place.go] if place.go else [])):
            if go not in WAYS and go not in self.places:
                yield f"there is no place called {go}"
        if place.go == AGAIN or (place.go and self._circles(name)):
            yield "it leads back to itself without a key"
        for text in (place.say, *(action.say for action in place.actions())):
            yield from self._slot_faults(text, spoken=True)
        for action in place.actions():
            for text in _texts_in(action.tool.arguments if action.tool else {}):
                yield from self._slot_faults(text, spoken=False)

    def _circles(self, start: str) -> bool:
        """Whether places that go on by themselves lead from one back to it."""
        at = self.places[start].go
        for _ in self.places:
            if at == start:
                return True
            at = self.places[at].go if at in self.places else ""
        return False

    def _slot_faults(self, text: str, *, spoken: bool) -> Iterator[str]:
        entries = self.entries()
        for path, _ in SLOT.findall(text):
            entry = entries.get(path.removeprefix("entered."))
            if entry is None or not path.startswith("entered."):
                yield f"{{{path}|…}} is no entry of this menu"
            elif entry.masked and spoken:
                yield f"{{{path}|…}} is masked and must not be spoken"


def _texts_in(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for one in value.values():
                yield from _texts_in(one)
        case list():
            for one in value:
                yield from _texts_in(one)
