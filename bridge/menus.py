"""Which keypad menus there are: each is one TOML file in `resources/menus`, named after the file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bridge import tools
from bridge.engines.keypad_menu import Menu
from bridge.errors import SettingsError

FOLDER = Path(__file__).resolve().parents[1] / "resources" / "menus"

FALLBACK, APOLOGY = "fallback", "apology"
"""Ship with the bridge: what follows when no AI may or can go on, and when nobody can."""


def load(folder: Path = FOLDER) -> dict[str, Menu]:
    """Every menu of a folder, by name. Raises SettingsError that names the file, and the place in it.

    Tools are looked up too: a menu must not find out on a call that one is missing.
    """
    return {path.stem: _read(path) for path in sorted(folder.glob("*.toml"))}


def _read(path: Path) -> Menu:
    try:
        menu = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Menu)
    except msgspec.ValidationError as error:
        raise SettingsError(path.name, f"is not a menu: {error}") from error
    except (OSError, ValueError) as error:
        raise SettingsError(path.name, f"cannot be read: {error}") from error
    for fault in _tool_faults(menu):
        raise SettingsError(path.name, fault)
    return menu


def _tool_faults(menu: Menu) -> Iterator[str]:
    for place, use in menu.tools():
        try:
            (declared,) = tools.declarations([use.name])
        except SettingsError as error:
            yield f"places.{place}: {error.hint}"
            continue
        known, needed = declared["parameters"]["properties"], declared["parameters"]["required"]
        for name in use.arguments:
            if name not in known:
                yield f"places.{place}: {use.name} has no argument called {name}"
        for name in needed:
            if name not in use.arguments:
                yield f"places.{place}: {use.name} needs the argument {name}"
