"""Every engine by its name, made for one call's profile: here vendors, settings and menus meet."""

from __future__ import annotations

from collections.abc import Mapping

from bridge import menus, tools
from bridge.engines import Engine
from bridge.engines.keypad import Keypad, gate
from bridge.engines.keypad_menu import Menu
from bridge.engines.openai import OpenAIRealtime
from bridge.engines.openai_settings import Config
from bridge.engines.pin_gate import Lockouts
from bridge.engines.speech import Voice
from bridge.errors import SettingsError
from bridge.profiles import Profile
from bridge.settings import Settings

PATIENCE_S = 2.5
"""How long an engine may take until it is ready: a caller waits for it on an open line."""


class Catalogue:
    """What this bridge can answer calls with. Raises SettingsError for a menu that is none."""

    def __init__(self, settings: Settings, voice: Voice, shipped: Mapping[str, Menu] | None = None) -> None:
        """voice: speaks what no AI does. shipped: the menus by name, those of `menus.load` if None."""
        self._settings = settings
        self._voice = voice
        self._menus = menus.load() if shipped is None else shipped
        self._lockouts = Lockouts()

    def check(self, profile: Profile) -> None:
        """Raises SettingsError, naming the profile's file, for what it names and there is not."""
        if profile.menu not in self._menus:
            raise SettingsError(f"{profile.name}.toml", f"names a menu that there is not: {profile.menu}")
        if profile.pin is not None and profile.pin.setting not in self._settings.pins:
            # The gate would turn everybody away; better said now than to callers.
            raise SettingsError(profile.pin.setting, f"is not set; {profile.name}.toml asks callers for it")

    def engine(self, profile: Profile, name: str, number: str) -> Engine:
        """A new engine for one call. name: of the profile's engines, or ``pin``. number: the caller's."""
        match name:
            case "openai":
                return self._openai(profile)
            case "keypad":
                return Keypad(self._menus[profile.menu], voice=self._voice)
            case "pin" if profile.pin is not None:
                asked = gate(profile.pin, self._settings.pins, number, self._lockouts)
                return Keypad(self._menus[profile.menu], voice=self._voice, gate=asked)
        raise SettingsError(f"{profile.name}.toml", f"names an engine that there is not: {name}")

    def _openai(self, profile: Profile) -> Engine:
        config = Config(
            profile.model,
            profile.voice,
            profile.prompt,
            tuple(tools.declarations(profile.tools)),
            profile.turn_detection,
            profile.noise_reduction,
        )
        return OpenAIRealtime(
            config,
            api_key=self._settings.openai_api_key,
            base_url=self._settings.openai_base_url,
            patience_s=PATIENCE_S,
        )
