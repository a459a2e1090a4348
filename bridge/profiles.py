"""Who answers: each profile is one AI with its voice, its task, its tools and its numbers.

A profile is one TOML file in `resources/profiles`, named after the file. The one called
``default`` answers the numbers that no other claims.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from bridge.errors import SettingsError

FOLDER = Path(__file__).resolve().parents[1] / "resources" / "profiles"
DEFAULT = "default"

_Text = Annotated[str, Meta(min_length=1)]
_Number = Annotated[str, Meta(pattern=r"^\+[1-9][0-9]{6,14}\Z")]


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One AI that can answer.

    title: as operators see it. numbers: ours that it answers (or calls from), E.164. first_line:
    opens every call, word for word; it must say that this is an AI and that the call is
    recorded. tools: names that `bridge.tools` knows.
    """

    name: str
    title: _Text
    numbers: tuple[_Number, ...] = ()
    engine: _Text = "openai"
    model: _Text = "gpt-realtime-2.1"
    voice: _Text = "marin"
    prompt: _Text
    first_line: _Text
    tools: tuple[_Text, ...] = ()


class Profiles:
    """All profiles, to be looked up by number or name."""

    def __init__(self, profiles: list[Profile]) -> None:
        self._by_name = {profile.name: profile for profile in profiles}
        self._by_number: dict[str, Profile] = {}
        if DEFAULT not in self._by_name:
            raise SettingsError(f"{DEFAULT}.toml", "is missing; it answers the numbers that no other profile claims")
        for profile in profiles:
            for number in profile.numbers:
                other = self._by_number.setdefault(number, profile)
                if other is not profile:
                    raise SettingsError(f"{profile.name}.toml", f"claims a number that {other.name}.toml claims too")

    @classmethod
    def load(cls, folder: Path = FOLDER) -> Profiles:
        """Read every profile of a folder. Raises SettingsError that names the file."""
        return cls([_read(path) for path in sorted(folder.glob("*.toml"))])

    def for_number(self, number: str) -> Profile:
        """The profile that answers this number of ours; the default one if none claims it."""
        return self._by_number.get(number) or self._by_name[DEFAULT]

    def named(self, name: str) -> Profile | None:
        """The profile of this name."""
        return self._by_name.get(name)

    def __iter__(self) -> Iterator[Profile]:
        return iter(self._by_name.values())


def _read(path: Path) -> Profile:
    try:
        given = tomllib.loads(path.read_text("utf-8"))
        return msgspec.convert({**given, "name": path.stem}, Profile)
    except msgspec.ValidationError as error:
        raise SettingsError(path.name, f"is not a profile: {error}") from error
    except (OSError, ValueError) as error:
        raise SettingsError(path.name, f"cannot be read: {error}") from error
