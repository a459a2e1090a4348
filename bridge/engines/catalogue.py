"""Every engine by its name, made for one call's profile: here vendors, settings and menus meet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from msgspec.structs import replace

from bridge import menus, tools
from bridge.engines import Because, Engine, gpt_live_messages
from bridge.engines import cascade as cascades
from bridge.engines.chat import Chat
from bridge.engines.gpt_live import GptLive
from bridge.engines.keypad import Keypad, gate
from bridge.engines.keypad_menu import Menu
from bridge.engines.openai import OpenAIRealtime, load_prices
from bridge.engines.openai_settings import Config
from bridge.engines.pin_gate import Lockouts
from bridge.engines.prices import is_priced
from bridge.engines.speech import (
    LiveVoice,
    MakeTranscriber,
    Voice,
    deepgram_messages,
    elevenlabs_wire,
    openai_transcriber_wire,
    realtime_voice,
)
from bridge.engines.speech.deepgram_transcriber import DeepgramTranscriber, FluxTranscriber
from bridge.engines.speech.deepgram_voice import DeepgramVoice
from bridge.engines.speech.elevenlabs_voice import ElevenLabsVoice
from bridge.engines.speech.openai_live_voice import OpenAILiveVoice
from bridge.engines.speech.openai_transcriber import OpenAITranscriber
from bridge.engines.speech.realtime_voice import RealtimeVoice
from bridge.engines.speech.recorded import recorded
from bridge.errors import SettingsError
from bridge.profiles import CascadeProfile, Profile
from bridge.settings import CHAT_URL, OPENAI_URL, Settings

PATIENCE_S = 2.5
"""How long an engine may take until it is ready: a caller waits for it on an open line."""

VENDORS = {"deepgram": "deepgram", "flux": "deepgram", "openai": "openai"}
"""Whose each transcriber is."""

KEYS = {
    **{"deepgram": "DEEPGRAM_API_KEY", "flux": "DEEPGRAM_API_KEY", "elevenlabs": "ELEVENLABS_API_KEY"},
    **{"openai": "OPENAI_API_KEY", "realtime": "OPENAI_API_KEY"},
}
"""What each transcriber and speaker needs."""


class Catalogue:
    """What this bridge can answer calls with. Raises SettingsError for a menu that is none."""

    def __init__(self, settings: Settings, voice: Voice, shipped: Mapping[str, Menu] | None = None) -> None:
        """voice: speaks what no AI does. shipped: the menus by name, those of `menus.load` if None."""
        self._settings = settings
        self._voice = voice
        self._menus = menus.load() if shipped is None else shipped
        # Read now: the first menu must not wait for a file of megabytes.
        recorded("")
        self._lockouts = Lockouts()
        self._chats: dict[str, Chat] = {}

    def fitted(self, profile: Profile) -> Profile:
        """The profile with the engines that it can have here: those whose vendors' keys are set.

        `Settings.engine` comes first where one is given and the profile is an AI's. Raises
        SettingsError, naming the file or the setting, for what is named and there is not, and for a
        first engine that cannot be had.
        """
        if profile.menu not in self._menus:
            raise SettingsError(f"{profile.name}.toml", f"names a menu that there is not: {profile.menu}")
        wants_ai = profile.engine != "keypad"
        first = (self._settings.engine if wants_ai else None) or profile.engine
        if lacking := self._lacking(profile, first):
            raise SettingsError(lacking, f"is not set; {profile.name}.toml answers with the {first} engine")
        wanted = dict.fromkeys((first, profile.engine, *profile.then))
        return replace(
            profile, engine=first, then=tuple(n for n in wanted if n != first and not self._lacking(profile, n))
        )

    def turns_away(self, profile: Profile) -> str:
        """Why this profile's gate lets nobody in, a sentence for the operator; "" when it may."""
        if profile.pin is None or profile.pin.setting in self._settings.pins:
            return ""
        return f"Callers of {profile.title} are turned away: {profile.pin.setting}, their PIN, is not set."

    def uncounted(self, profile: Profile) -> str:
        """Which of this profile's models spend nothing of its budget since no price is known, a sentence, or ""."""
        cascade, engines = profile.cascade, (profile.engine, *profile.then)
        models = [profile.model] if "openai" in engines else []
        if "gpt-live" in engines:
            models += [profile.live.model, *([profile.live.backend] if profile.tools else [])]
        if "cascade" in engines:
            # What vendors' files name themselves is in the list that ships.
            named = cascade.transcriber_model, cascade.chat_model or self._settings.chat_model, cascade.speaker_model
            models += [model for model in named if model]
        prices = load_prices()
        unknown = ", ".join(model for model in models if not is_priced(model, prices))
        if profile.budget_usd is None or not unknown:
            return ""
        return (
            f"The budget of {profile.title} does not count {unknown}: its price is not known. "
            "Enter it in resources/prices.toml, if only as free, and restart the bridge."
        )

    def _lacking(self, profile: Profile, name: str) -> str:
        """The setting without which this engine cannot be had, "" when all are there."""
        settings, cascade = self._settings, profile.cascade
        keys = {
            "OPENAI_API_KEY": settings.openai_api_key or settings.openai_base_url != OPENAI_URL,
            "DEEPGRAM_API_KEY": settings.deepgram_api_key,
            "ELEVENLABS_API_KEY": settings.elevenlabs_api_key,
            "CORDBOARD_CHAT_KEY": settings.chat_key or settings.chat_url != CHAT_URL,
        }
        needed = {
            "openai": ["OPENAI_API_KEY"],
            "gpt-live": ["OPENAI_API_KEY"],
            "cascade": [KEYS[cascade.transcriber], "CORDBOARD_CHAT_KEY", KEYS[cascade.speaker]],
        }
        return next((key for key in needed.get(name, []) if not keys[key]), "")

    def engine(self, profile: Profile, name: str, number: str, because: Because | None = None) -> Engine:
        """A new engine for one call. name: of the profile's engines, or ``pin``. number: the caller's.

        because: why it comes instead of another; None if it was its turn.
        """
        match name:
            case "openai":
                return self._openai(profile)
            case "gpt-live":
                return self._gpt_live(profile)
            case "cascade":
                return self._cascade(profile)
            case "keypad":
                return Keypad(self._menus[profile.menu], voice=self._voice, because=because)
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

    def _gpt_live(self, profile: Profile) -> Engine:
        live, declared = profile.live, tuple(tools.declarations(profile.tools))
        config = gpt_live_messages.Config(live.model, profile.voice, profile.prompt, live.backend, declared)
        return GptLive(
            config,
            voice=self._voice,
            api_key=self._settings.openai_api_key,
            base_url=self._settings.openai_base_url,
            patience_s=PATIENCE_S,
        )

    def _cascade(self, profile: Profile) -> Engine:
        wanted = profile.cascade
        listens = wanted.transcriber_model or _usual_model(wanted)
        config = cascades.Config(
            profile.prompt,
            tuple(tools.declarations(profile.tools)),
            language=wanted.language,
            transcriber=VENDORS[wanted.transcriber],
            transcriber_model=listens,
            vendor_knows=wanted.transcriber == "flux",
            commits=listens.startswith(openai_transcriber_wire.WITHOUT_TURNS),
            eager=wanted.eager,
        )
        return cascades.Cascade(
            config,
            transcriber=self._transcriber(wanted, listens),
            chat=self._chat(wanted),
            voice=self._live_voice(wanted),
        )

    def _transcriber(self, wanted: CascadeProfile, model: str) -> MakeTranscriber:
        settings, language = self._settings, wanted.language
        key, base_url = settings.deepgram_api_key, settings.deepgram_url
        match wanted.transcriber:
            case "deepgram":
                return partial(DeepgramTranscriber, api_key=key, base_url=base_url, model=model, language=language)
            case "flux":
                flux = partial(FluxTranscriber, api_key=key, base_url=base_url, model=model, language=language)
                return partial(flux, eager=wanted.eager)
            case "openai":
                key, base_url = settings.openai_api_key, settings.openai_base_url
                return partial(OpenAITranscriber, api_key=key, base_url=base_url, model=model, language=language)

    def _chat(self, wanted: CascadeProfile) -> Chat:
        """One for all calls with this model: its connections stay warm."""
        settings = self._settings
        model = wanted.chat_model or settings.chat_model
        if model not in self._chats:
            self._chats[model] = Chat(base_url=settings.chat_url, api_key=settings.chat_key, model=model)
        return self._chats[model]

    def _live_voice(self, wanted: CascadeProfile) -> LiveVoice:
        settings, model, voice = self._settings, wanted.speaker_model, wanted.voice
        key, base_url = settings.openai_api_key, settings.openai_base_url
        match wanted.speaker:
            case "elevenlabs":
                return ElevenLabsVoice(
                    api_key=settings.elevenlabs_api_key,
                    base_url=settings.elevenlabs_url,
                    model=model or elevenlabs_wire.MODEL,
                    voice=voice or elevenlabs_wire.VOICE,
                )
            case "deepgram":
                # Deepgram's voices are models of theirs.
                model = voice or model
                key, base_url = settings.deepgram_api_key, settings.deepgram_url
                return DeepgramVoice(api_key=key, base_url=base_url, model=model, patience_s=PATIENCE_S)
            case "realtime":
                return RealtimeVoice(
                    api_key=key,
                    base_url=base_url,
                    model=model or realtime_voice.MODEL,
                    voice=voice or realtime_voice.VOICE,
                )
            case "openai":
                return OpenAILiveVoice(
                    api_key=key,
                    base_url=base_url,
                    model=model or settings.openai_speech_model,
                    voice=voice or settings.openai_speech_voice,
                )

    async def warm(self, profiles: Iterable[Profile]) -> None:
        """Load what takes a second, where a call would wait for it."""
        for profile in profiles:
            if profile.engine == "cascade":
                await self._chat(profile.cascade).warm()

    async def close(self) -> None:
        """Let go of what calls share."""
        for chat in self._chats.values():
            await chat.close()


def _usual_model(wanted: CascadeProfile) -> str:
    """What a transcriber listens with unless the profile says otherwise, by its vendor's own file."""
    match wanted.transcriber:
        case "deepgram":
            return deepgram_messages.NOVA
        case "flux":
            return deepgram_messages.flux_model(wanted.language)
        case "openai":
            # Of a vendor's models the one that writes while the caller speaks.
            return openai_transcriber_wire.LIVE
