"""ElevenLabs as a voice: what is its own beside what all live voices do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from typing import Any

import pytest

from bridge.engines.speech import VoiceFailed, voice_lines
from bridge.engines.speech.elevenlabs_voice import ElevenLabsVoice
from bridge.rehearsal.mind import ARE_YOU_THERE, GO_ON, THANKS
from bridge.rehearsal.model import Faults, Model
from tests.bridge.live_voice import at_work, spoken
from tests.bridge.realtime_client import KEY


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, speech_path="") as model:
        model.faults = Faults(elevenlabs_delay_ms=1)
        yield model


def speaking(rehearsal: Model, **given: Any) -> AbstractAsyncContextManager[ElevenLabsVoice]:
    root = rehearsal.url.replace("ws", "http", 1)
    return at_work(ElevenLabsVoice(**{"api_key": KEY, "base_url": f"{root}/elevenlabs"} | given))


async def test_sentences_share_one_socket_that_was_opened_ahead(model: Model) -> None:
    async with speaking(model) as voice:
        await voice.warm()
        assert model.elevenlabs.open_sockets == 1
        assert [await spoken(voice, text) for text in (THANKS, GO_ON)] == [
            (await model.voice.speak(text)).audio for text in (THANKS, GO_ON)
        ]
    assert model.elevenlabs.total_sockets == 1
    await model.until(lambda: not model.elevenlabs.open_sockets)


async def test_the_pace_goes_with_each_sentence(model: Model) -> None:
    async with speaking(model, speed=0.9) as voice:
        await spoken(voice)
        voice.speed = 0.7
        await spoken(voice)
    assert [asked.speed for asked in model.elevenlabs.asked] == [0.9, 0.7]


async def test_a_socket_that_the_peer_closed_is_replaced(model: Model) -> None:
    model.elevenlabs.idle_scale = 1000
    async with speaking(model) as voice:
        await voice.warm()
        await model.until(lambda: not model.elevenlabs.open_sockets)
        model.elevenlabs.idle_scale = 1
        await voice.warm()
        assert await spoken(voice)
    assert model.elevenlabs.total_sockets == 2


async def test_a_sentence_on_which_the_socket_ended_is_asked_for_once_more(model: Model) -> None:
    model.faults = Faults(elevenlabs_error="system_busy")
    async with speaking(model) as voice:
        await voice.warm()
        with pytest.raises(VoiceFailed, match="too busy") as told:
            await spoken(voice)
    assert not told.value.fatal
    assert model.elevenlabs.total_sockets == 2


async def test_a_fatal_refusal_is_not_asked_again(model: Model) -> None:
    model.faults = Faults(elevenlabs_error="quota_exceeded")
    async with speaking(model) as voice:
        with pytest.raises(VoiceFailed, match="no credit left") as told:
            await spoken(voice)
    assert told.value.fatal
    assert model.elevenlabs.total_sockets == 1


@pytest.mark.parametrize(
    ("given", "words"), [({"voice": "nobody"}, "no such voice"), ({"model": "m"}, "no such model")]
)
async def test_a_wrong_choice_is_named(model: Model, given: dict[str, str], words: str) -> None:
    async with speaking(model, **given) as voice:
        with pytest.raises(VoiceFailed, match=words) as told:
            await spoken(voice)
    assert told.value.fatal


async def test_a_socket_that_is_cut_amid_a_sentence_fails_it_and_the_next_is_spoken(model: Model) -> None:
    model.faults = Faults(elevenlabs_cut_after=3)
    async with speaking(model) as voice:
        with pytest.raises(VoiceFailed, match="was lost"):
            await spoken(voice)
        assert await spoken(voice)


async def test_messages_that_nobody_knows_change_nothing(model: Model) -> None:
    model.faults = Faults(elevenlabs_inject=("no json", '{"news":1}', '{"audio":"AAAA","contextId":"77"}'))
    async with speaking(model) as voice:
        assert await spoken(voice) == (await model.voice.speak(THANKS)).audio


async def test_six_sentences_at_a_time_take_a_second_socket(model: Model) -> None:
    model.faults = Faults(elevenlabs_delay_ms=1, elevenlabs_pace=0.5)
    async with speaking(model) as voice, AsyncExitStack() as stack:
        for text in [THANKS, GO_ON, ARE_YOU_THERE] * 2:
            await anext(await stack.enter_async_context(aclosing(voice.speak(text))))
        assert model.elevenlabs.open_sockets == 2


async def test_one_that_is_left_while_another_is_wanted_lets_the_socket_be(model: Model) -> None:
    model.faults = Faults(elevenlabs_delay_ms=1, elevenlabs_pace=2)
    async with speaking(model) as voice, aclosing(voice.speak(GO_ON)) as kept:
        first = await anext(kept)
        async with aclosing(voice.speak(GO_ON)) as left:
            await anext(left)
        assert first + b"".join([piece async for piece in kept]) == (await model.voice.speak(GO_ON)).audio
        assert model.elevenlabs.total_sockets == 1


async def test_where_no_socket_is_let_through_sentences_come_by_http(model: Model) -> None:
    async with speaking(model) as voice:
        model.faults = Faults(elevenlabs_refuse_status=405)
        await voice.warm()
        with pytest.raises(VoiceFailed, match="405"):
            await spoken(voice)
        model.faults = Faults()
        assert await spoken(voice) == (await model.voice.speak(THANKS)).audio
    assert [asked.by_http for asked in model.elevenlabs.asked] == [True]
    assert model.elevenlabs.total_sockets == 0


async def test_a_socket_is_kept_alive_while_nothing_is_said(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice_lines, "KEEP_ALIVE_TICKS", 1)
    async with speaking(model) as voice:
        await voice.warm()
        await model.until(lambda: model.elevenlabs.keep_alives > 0)
        assert await spoken(voice)


async def test_a_defect_of_ours_ends_the_sentence_and_not_the_call(
    model: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with speaking(model) as voice:
        await voice.warm()
        monkeypatch.setattr("bridge.engines.speech.elevenlabs_wire.ElevenLabsWire.receive", lambda *_: 1 // 0)
        with pytest.raises(VoiceFailed, match="within Cordboard"):
            await spoken(voice)
    assert "ZeroDivisionError" in caplog.text
    assert THANKS not in caplog.text
