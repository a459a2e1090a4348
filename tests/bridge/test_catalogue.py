"""Which engines a profile can have, and that each is made as its profile says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bridge.engines.cascade import Cascade
from bridge.engines.catalogue import Catalogue
from bridge.engines.gpt_live import GptLive
from bridge.engines.keypad import Keypad
from bridge.engines.openai import OpenAIRealtime
from bridge.engines.speech.deepgram_transcriber import DeepgramTranscriber, FluxTranscriber
from bridge.engines.speech.first_that_speaks import FirstThatSpeaks
from bridge.engines.speech.openai_transcriber_wire import LIVE
from bridge.errors import SettingsError
from bridge.profiles import CascadeProfile, LiveProfile, PinGate, Profile, Profiles
from bridge.settings import Settings

KEYS = {"openai_api_key": "sk", "chat_key": "sk", "deepgram_api_key": "dg", "elevenlabs_api_key": "el"}


def catalogue(**settings: Any) -> Catalogue:
    return Catalogue(Settings(home=Path("home"), **settings), FirstThatSpeaks([]))


def profile(**fields: Any) -> Profile:
    shipped = Profiles.load().named("default")
    assert shipped is not None
    return replace(shipped, **fields)


def test_a_profile_has_only_the_engines_whose_keys_are_set() -> None:
    wanted = profile(then=("cascade", "keypad"))
    assert catalogue(**KEYS).fitted(wanted).then == ("cascade", "keypad")
    for key in ("deepgram_api_key", "elevenlabs_api_key", "chat_key"):
        assert catalogue(**{**KEYS, key: ""}).fitted(wanted).then == ("keypad",)
    own = profile(then=("cascade",), cascade=CascadeProfile(transcriber="openai", speaker="realtime"))
    assert catalogue(openai_api_key="sk", chat_url="http://127.0.0.1:11434/v1").fitted(own).then == ("cascade",)


def test_a_first_engine_that_cannot_be_had_is_said_with_the_key_it_lacks() -> None:
    for engine, key in (("openai", "OPENAI_API_KEY"), ("gpt-live", "OPENAI_API_KEY"), ("cascade", "DEEPGRAM_API_KEY")):
        with pytest.raises(SettingsError) as raised:
            catalogue().fitted(profile(engine=engine))
        assert raised.value.key == key and engine in raised.value.hint
    assert catalogue(openai_base_url="ws://127.0.0.1:1/v1").fitted(profile()).engine == "openai"


def test_a_setting_puts_another_engine_first_and_the_profiles_own_behind_it() -> None:
    fitted = catalogue(**KEYS, engine="cascade").fitted(profile(then=("keypad",)))
    assert (fitted.engine, fitted.then) == ("cascade", ("openai", "keypad"))
    assert catalogue(**KEYS, engine="cascade").fitted(profile(engine="keypad", then=())).engine == "keypad"


def test_what_a_profile_names_and_there_is_not_is_said_with_its_file() -> None:
    with pytest.raises(SettingsError, match="menu") as raised:
        catalogue(**KEYS).fitted(profile(menu="nowhere"))
    assert raised.value.key == "default.toml"
    gated = profile(pin=PinGate(setting="CORDBOARD_PIN_BILLING"))
    assert "CORDBOARD_PIN_BILLING" in catalogue(**KEYS).turns_away(gated)
    assert not catalogue(pins={"CORDBOARD_PIN_BILLING": "4711"}).turns_away(gated)
    assert not catalogue().turns_away(profile())
    with pytest.raises(SettingsError, match="engine"):
        catalogue(**KEYS).engine(profile(), "pin", "")


def test_a_budget_that_a_model_spends_nothing_of_is_told() -> None:
    own = profile(
        engine="openai", then=("cascade", "keypad"), budget_usd=1.0, cascade=CascadeProfile(chat_model="llama-9")
    )
    told = catalogue(**KEYS).uncounted(own)
    assert told.startswith("The budget of Front desk does not count llama-9: ") and "prices.toml" in told
    assert not catalogue(**KEYS).uncounted(replace(own, budget_usd=None))
    assert not catalogue(**KEYS).uncounted(replace(own, cascade=CascadeProfile()))
    of = replace(own, cascade=CascadeProfile(transcriber_model="ear-9", speaker_model="mouth-9"))
    assert "ear-9, mouth-9" in catalogue(**KEYS).uncounted(of)
    live = profile(engine="gpt-live", live=LiveProfile(model="gpt-live-9", backend="llama-9"), budget_usd=1.0)
    assert "gpt-live-9, llama-9" in catalogue(**KEYS).uncounted(replace(live, tools=("find_payments",)))
    assert "gpt-live-9:" in catalogue(**KEYS).uncounted(replace(live, tools=()))
    assert "gpt-next" in catalogue(**KEYS).uncounted(profile(model="gpt-next", then=("keypad",), budget_usd=1.0))


async def test_every_engine_is_made_as_its_profile_says() -> None:
    kinds = catalogue(**KEYS, pins={"CORDBOARD_PIN_BILLING": "4711"})
    assert isinstance(kinds.engine(profile(), "openai", ""), OpenAIRealtime)
    assert isinstance(kinds.engine(profile(), "gpt-live", ""), GptLive)
    assert isinstance(kinds.engine(profile(), "keypad", ""), Keypad)
    gated = profile(pin=PinGate(setting="CORDBOARD_PIN_BILLING"))
    assert isinstance(kinds.engine(gated, "pin", "+16285550199"), Keypad)
    for transcriber in ("deepgram", "flux", "openai"):
        for speaker in ("elevenlabs", "deepgram", "openai", "realtime"):
            of = profile(cascade=CascadeProfile(transcriber=transcriber, speaker=speaker))
            engine = kinds.engine(of, "cascade", "")
            assert isinstance(engine, Cascade)
            await engine.close()
    await kinds.close()


@pytest.mark.parametrize(
    ("transcriber", "language", "model"),
    [
        ("flux", "en-GB", "flux-general-en"),
        ("flux", "de", "flux-general-multi"),
        ("deepgram", "de", "nova-3"),
        ("openai", "de", "gpt-live-transcribe"),
    ],
)
async def test_who_listens_is_the_vendors_usual_one_for_the_language(
    transcriber: Any, language: str, model: str
) -> None:
    kinds = catalogue(**KEYS)
    engine = kinds.engine(profile(cascade=CascadeProfile(transcriber=transcriber, language=language)), "cascade", "")
    assert isinstance(engine, Cascade)
    assert engine._config.transcriber_model == model
    made = engine._listening._make()
    assert (made.model if isinstance(made, DeepgramTranscriber | FluxTranscriber) else LIVE) == model
    await kinds.close()
