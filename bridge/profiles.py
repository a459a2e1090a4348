"""Who answers: each profile is one AI with its voice, its task, its tools and its numbers.

A profile is one TOML file in `resources/profiles`, named after the file. The one called
``default`` answers the numbers that no other claims.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from bridge.errors import SettingsError

FOLDER = Path(__file__).resolve().parents[1] / "resources" / "profiles"
DEFAULT = "default"

EngineName: TypeAlias = Literal["openai", "gpt-live", "cascade", "keypad"]

_Text = Annotated[str, Meta(min_length=1)]
_Number = Annotated[str, Meta(pattern=r"^\+[1-9][0-9]{6,14}\Z")]


class CascadeProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who listens, thinks and speaks in a cascade.

    transcriber: deepgram, flux or openai; chat: openai, or another server by CORDBOARD_CHAT_URL;
    speaker: elevenlabs, deepgram, openai or realtime. A model or voice of "" is the vendor's usual one.
    eager: begin to think when the caller's turn may be about to end, where the transcriber tells.
    """

    transcriber: Literal["deepgram", "flux", "openai"] = "deepgram"
    transcriber_model: str = ""
    language: _Text = "en"
    chat_model: str = ""
    speaker: Literal["elevenlabs", "deepgram", "openai", "realtime"] = "elevenlabs"
    speaker_model: str = ""
    voice: str = ""
    eager: bool = True


class LiveProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The models of the gpt-live engine: the one that hears and speaks, and the one that uses its tools."""

    model: _Text = "gpt-live-1"
    backend: _Text = "gpt-6-luna"


class PinGate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number that the caller must enter before the AI comes.

    setting: the environment variable that holds it, so that no profile file does. attempts: for one call.
    lockout_s: how long a caller's number that used them up is turned away.
    """

    setting: Annotated[str, Meta(pattern=r"^CORDBOARD_PIN_[A-Z0-9_]+\Z")]
    attempts: Annotated[int, Meta(ge=1, le=10)] = 3
    lockout_s: Annotated[int, Meta(ge=1, le=86_400)] = 900


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One AI that can answer.

    title: as operators see it. numbers: ours that it answers (or calls from), E.164. first_line:
    opens every call, word for word; it must say that this is an AI and that the call is
    recorded. tools: names that `bridge.tools` knows.
    engine: openai, gpt-live, cascade or keypad; then: what follows in this order when it is lost. model:
    of the openai engine; voice: of it and gpt-live. menu: a file of `resources/menus`, for the keypad engine.
    turn_detection: server (a pause ends the caller's turn) or semantic (the sense of the words
    does). noise_reduction: near (a handset), far (a room) or off; both of the openai engine.
    budget_usd: the most that one call's AI may cost; then its menu goes on, if it is one of the engines,
    or a person.
    """

    name: str
    title: _Text
    numbers: tuple[_Number, ...] = ()
    engine: EngineName = "openai"
    then: tuple[EngineName, ...] = ("keypad",)
    model: _Text = "gpt-realtime-2.1"
    voice: _Text = "marin"
    prompt: _Text
    first_line: _Text
    tools: tuple[_Text, ...] = ()
    turn_detection: Literal["server", "semantic"] = "server"
    noise_reduction: Literal["near", "far", "off"] = "off"
    cascade: CascadeProfile = CascadeProfile()
    live: LiveProfile = LiveProfile()
    menu: _Text = "fallback"
    pin: PinGate | None = None
    budget_usd: Annotated[float, Meta(ge=0.01, le=10_000)] | None = None


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
