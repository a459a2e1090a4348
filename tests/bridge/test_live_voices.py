"""All live voices, against the rehearsal's vendors: what a cascade counts on, whoever speaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bridge.engines.speech import LiveVoice, VoiceFailed
from bridge.engines.speech.deepgram_voice import DeepgramVoice
from bridge.engines.speech.elevenlabs_voice import ElevenLabsVoice
from bridge.engines.speech.openai_live_voice import OpenAILiveVoice
from bridge.engines.speech.realtime_voice import RealtimeVoice
from bridge.rehearsal.mind import ARE_YOU_THERE, GO_ON, HELLO, NOT_KNOWN, THANKS
from bridge.rehearsal.model import Faults, Model
from tests.bridge.live_voice import at_work, spoken
from tests.bridge.realtime_client import KEY

LONG = f"{HELLO} {NOT_KNOWN[1]} {GO_ON} {ARE_YOU_THERE}"
NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Vendor:
    """One voice and what its vendor is seen to do.

    slowly: speak slower than real time; silent: never; asked: the texts so far, in order; finished,
    stopped: sentences spoken to their end, and those ended before.
    """

    make: Callable[..., LiveVoice]
    root: str
    slowly: Callable[[Model], None]
    silent: Callable[[Model], None]
    asked: Callable[[Model], list[str]]
    finished: Callable[[Model], int]
    stopped: Callable[[Model], int]
    silence: str = "did not answer in time"


def _faults(model: Model, **faults: Any) -> None:
    model.faults = replace(model.faults, **faults)


def _openai(**given: Any) -> LiveVoice:
    return OpenAILiveVoice(**{"model": "gpt-4o-mini-tts", "voice": "ash"} | given)


def _realtime_slowly(model: Model) -> None:
    model.speed = 0.5


def _read_out(model: Model) -> list[str]:
    created = (message for session in model.sessions for message in session.received)
    orders = [message["response"]["instructions"] for message in created if message["type"] == "response.create"]
    return [order.split('"', 1)[1].removesuffix('"') for order in orders]


def _sessions_sent(name: str) -> Callable[[Model], int]:
    return lambda model: sum(session.sent[name] for session in model.sessions)


def _cancelled(model: Model) -> int:
    return sum(message["type"] == "response.cancel" for session in model.sessions for message in session.received)


def _deepgram_told(name: str, field: str = "text") -> Callable[[Model], list[str]]:
    return lambda model: [
        message.get(field, "")
        for socket in model.deepgram.sockets
        for message in socket.received
        if message["type"] == name
    ]


VENDORS = {
    "deepgram": Vendor(
        make=DeepgramVoice,
        root="/deepgram",
        slowly=_realtime_slowly,
        silent=lambda model: _faults(model, deepgram_silent=True),
        asked=_deepgram_told("Speak"),
        finished=lambda model: len(model.deepgram.spoken),
        stopped=lambda model: len(_deepgram_told("Clear")(model)),
    ),
    "elevenlabs": Vendor(
        make=ElevenLabsVoice,
        root="/elevenlabs",
        slowly=lambda model: _faults(model, elevenlabs_pace=0.5),
        silent=lambda model: _faults(model, elevenlabs_silent=True),
        asked=lambda model: [asked.text for asked in model.elevenlabs.asked],
        finished=lambda model: model.elevenlabs.finished,
        stopped=lambda model: model.elevenlabs.cut_short,
    ),
    "elevenlabs by http": Vendor(
        make=lambda **given: ElevenLabsVoice(model="eleven_v3", **given),
        root="/elevenlabs",
        slowly=lambda model: _faults(model, elevenlabs_pace=0.5),
        silent=lambda model: _faults(model, elevenlabs_silent=True),
        asked=lambda model: [asked.text for asked in model.elevenlabs.asked],
        finished=lambda model: model.elevenlabs.finished,
        stopped=lambda model: model.elevenlabs.cut_short,
    ),
    "openai": Vendor(
        make=_openai,
        root="",
        slowly=lambda model: _faults(model, speech_pace=0.5),
        silent=lambda model: _faults(model, speech_delay_ms=60_000),
        asked=lambda model: [asked.input for asked in model.spoken],
        finished=lambda model: model.speech_finished,
        stopped=lambda model: model.speech_cut_short,
    ),
    "realtime": Vendor(
        make=RealtimeVoice,
        root="",
        slowly=_realtime_slowly,
        silent=lambda model: _faults(model, never_done=True),
        asked=_read_out,
        finished=lambda model: _sessions_sent("response.done")(model) - _cancelled(model),
        stopped=_cancelled,
    ),
}


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    return VENDORS[request.param]


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, speech_path="", model_delay_ms=0) as model:
        for text in (THANKS, LONG, NOT_KNOWN[0]):
            model.lines.learn(text, (await model.voice.speak(text)).audio)
        yield model


def http(model: Model) -> str:
    return model.url.replace("ws", "http", 1)


def speaking(vendor: Vendor, model: Model, **other: Any) -> AbstractAsyncContextManager[LiveVoice]:
    return at_work(vendor.make(**{"api_key": KEY, "base_url": http(model) + vendor.root} | other))


def heard(model: Model, sound: bytes) -> str:
    return " ".join(one.transcript for one in model.lines.recognise(sound))


async def test_the_words_come_out_as_sound_in_order(vendor: Vendor, model: Model) -> None:
    async with speaking(vendor, model) as voice:
        await voice.warm()
        sounds = [await spoken(voice, text) for text in (THANKS, LONG)]
    assert [heard(model, sound) for sound in sounds] == [THANKS, LONG]
    assert vendor.asked(model) == [THANKS, LONG]
    whole = len((await model.voice.speak(LONG)).audio)
    assert abs(len(sounds[1]) - whole) <= 40


async def test_it_speaks_without_having_been_warmed_and_may_be_warmed_twice(vendor: Vendor, model: Model) -> None:
    async with speaking(vendor, model) as voice:
        assert heard(model, await spoken(voice, THANKS)) == THANKS
        await voice.warm()
        await voice.warm()


async def test_the_first_sound_comes_before_the_last_was_made(vendor: Vendor, model: Model) -> None:
    vendor.slowly(model)
    async with speaking(vendor, model) as voice, aclosing(voice.speak(LONG)) as pieces:
        first = await anext(pieces)
        assert 0 < len(first) < len((await model.voice.speak(LONG)).audio) / 2
        assert vendor.finished(model) == 0


async def test_who_stops_listening_stops_the_vendor_at_once(vendor: Vendor, model: Model) -> None:
    vendor.slowly(model)
    async with speaking(vendor, model) as voice:
        async with aclosing(voice.speak(LONG)) as pieces:
            await anext(pieces)
        await model.until(lambda: vendor.stopped(model) == 1)
        assert vendor.finished(model) == 0
        model.speed, model.faults = 0, Faults()
        assert heard(model, await spoken(voice, THANKS)) == THANKS


async def test_who_leaves_before_the_first_sound_stops_it_too(vendor: Vendor, model: Model) -> None:
    vendor.slowly(model)
    async with speaking(vendor, model) as voice:
        await voice.warm()
        asked = asyncio.create_task(spoken(voice, LONG))
        await model.until(lambda: vendor.asked(model) == [LONG])
        asked.cancel()
        await asyncio.wait([asked])
        await model.until(lambda: vendor.stopped(model) == 1)
        model.speed, model.faults = 0, Faults()
        assert heard(model, await spoken(voice, THANKS)) == THANKS


async def test_two_at_a_time_do_not_mix(vendor: Vendor, model: Model) -> None:
    async with speaking(vendor, model) as voice:
        one, two = await asyncio.gather(spoken(voice, THANKS), spoken(voice, LONG))
    assert (heard(model, one), heard(model, two)) == (THANKS, LONG)


async def test_the_next_is_made_while_one_is_heard_and_one_may_be_left(vendor: Vendor, model: Model) -> None:
    async with (
        speaking(vendor, model) as voice,
        aclosing(voice.speak(LONG)) as left,
        aclosing(voice.speak(THANKS)) as kept,
    ):
        await anext(left)
        first = await anext(kept)
        await left.aclose()
        assert heard(model, first + b"".join([piece async for piece in kept])) == THANKS


async def test_many_at_a_time_all_get_their_turn(vendor: Vendor, model: Model) -> None:
    model.speed = 0
    _faults(model, elevenlabs_pace=0, elevenlabs_delay_ms=1)
    async with speaking(vendor, model) as voice:
        sounds = await asyncio.gather(*(spoken(voice, text) for text in [THANKS, NOT_KNOWN[0]] * 8))
    assert [heard(model, sound) for sound in sounds] == [THANKS, NOT_KNOWN[0]] * 8


async def test_a_wrong_key_is_told_and_fatal(vendor: Vendor, model: Model) -> None:
    async with speaking(vendor, model, api_key="sk-wrong") as voice:
        await voice.warm()
        with pytest.raises(VoiceFailed, match="refused the key") as told:
            await spoken(voice, THANKS)
    assert told.value.fatal
    assert "sk-wrong" not in str(told.value)


async def test_nobody_there_is_told_and_may_pass(vendor: Vendor, model: Model) -> None:
    async with speaking(vendor, model, base_url=NOWHERE) as voice:
        await voice.warm()
        with pytest.raises(VoiceFailed, match="be reached") as told:
            await spoken(voice, THANKS)
    assert not told.value.fatal


async def test_a_vendor_that_never_speaks_is_given_up(vendor: Vendor, model: Model) -> None:
    vendor.silent(model)
    async with speaking(vendor, model, patience_s=0.3) as voice:
        with pytest.raises(VoiceFailed, match=vendor.silence) as told:
            await spoken(voice, THANKS)
        assert not told.value.fatal
        model.faults = Faults()
        assert heard(model, await spoken(voice, THANKS)) == THANKS


async def test_closing_ends_what_is_being_spoken(vendor: Vendor, model: Model) -> None:
    vendor.slowly(model)
    async with speaking(vendor, model) as voice:
        async with aclosing(voice.speak(LONG)) as pieces:
            await anext(pieces)
            await voice.close()
            with pytest.raises(VoiceFailed):
                async for _ in pieces:
                    pass
        await voice.close()


async def test_closing_before_anything_was_said(vendor: Vendor, model: Model) -> None:
    async with speaking(vendor, model) as voice:
        pieces = voice.speak(THANKS)
        await voice.warm()
        await voice.close()
        with pytest.raises(VoiceFailed):
            await anext(pieces)
        await voice.warm()
