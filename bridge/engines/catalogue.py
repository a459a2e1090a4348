"""Every engine by its name, made for one call's profile: here vendors, settings and prices meet."""

from __future__ import annotations

from bridge import tools
from bridge.engines import Engine
from bridge.engines.openai import OpenAIRealtime
from bridge.engines.openai_wire import Config
from bridge.engines.speech import Voice
from bridge.errors import SettingsError
from bridge.profiles import Profile
from bridge.settings import Settings


class Catalogue:
    """What this bridge can answer calls with."""

    def __init__(self, settings: Settings, voice: Voice) -> None:
        """voice: speaks what no AI does."""
        self._settings = settings
        self._voice = voice

    def engine(self, profile: Profile, name: str, number: str) -> Engine:
        """A new engine for one call. number: the caller's. Raises SettingsError for a name that is none."""
        match name:
            case "openai":
                return self._openai(profile)
        raise SettingsError(f"{profile.name}.toml", f"names an engine that there is not: {name}")

    def _openai(self, profile: Profile) -> Engine:
        config = Config(profile.model, profile.voice, profile.prompt, tuple(tools.declarations(profile.tools)))
        return OpenAIRealtime(config, api_key=self._settings.openai_api_key, base_url=self._settings.openai_base_url)
