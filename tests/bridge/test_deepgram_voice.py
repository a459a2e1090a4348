"""Deepgram's voice over real sockets, against the strict rehearsal and against worse peers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from bridge.engines.speech import VoiceFailed, utterance
from bridge.engines.speech.deepgram_voice import MOST_SOCKETS, DeepgramVoice
from bridge.engines.speech.deepgram_voice_wire import MOST_CHARACTERS, MOST_FLUSHES
from bridge.rehearsal.model import Faults, Model
from tests.bridge.live_voice import at_work, spoken
from tests.bridge.test_deepgram_transcriber import KEY, address

HELLO, MORE, BYE = "Hello. How can I help you?", "How else can I help you?", "Are you still there?"


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, aura_delay_ms=(0, 0), speed=0) as model:
        yield model
        await model.until(lambda: model.deepgram.open_sockets == 0)


def voice_of(url: str, **given: Any) -> AbstractAsyncContextManager[DeepgramVoice]:
    return at_work(DeepgramVoice(api_key=given.pop("key", KEY), base_url=url, **given))


async def sound_of(model: Model, text: str) -> bytes:
    return (await model.voice.speak(text)).audio


async def test_sentences_are_spoken_as_they_come_on_one_warm_socket(model: Model) -> None:
    async with voice_of(address(model)) as voice:
        assert (voice.vendor, voice.model) == ("deepgram", "aura-2-thalia-en")
        await voice.warm()
        await voice.warm()
        await model.until(lambda: model.deepgram.open_sockets == 1)
        pieces = [piece async for piece in voice.speak(HELLO)]
        assert len(pieces) > 1
        assert b"".join(pieces) == await sound_of(model, HELLO)
        assert await spoken(voice, MORE) == await sound_of(model, MORE)
        assert await spoken(voice, "  ") == b""
        assert model.deepgram.total_sockets == 1
        assert model.deepgram.spoken == [HELLO, MORE]


async def test_sentences_that_are_asked_for_together_do_not_mix(model: Model) -> None:
    model.speed = 40.0
    async with voice_of(address(model)) as voice:
        sounds = await asyncio.gather(*(spoken(voice, text) for text in (HELLO, MORE, BYE, HELLO)))
        assert sounds == [await sound_of(model, text) for text in (HELLO, MORE, BYE, HELLO)]
        assert 1 < model.deepgram.total_sockets <= MOST_SOCKETS


async def test_a_sentence_that_is_given_up_is_cancelled_and_leaves_the_others_alone(model: Model) -> None:
    model.speed = 5.0
    async with voice_of(address(model)) as voice:
        other = asyncio.create_task(spoken(voice, MORE))
        async with aclosing(voice.speak(HELLO)) as pieces:
            assert await anext(pieces)
        await model.until(lambda: any({"type": "Clear"} in socket.received for socket in model.deepgram.sockets))
        assert await other == await sound_of(model, MORE)
        assert await spoken(voice, BYE) == await sound_of(model, BYE)
        await model.until(lambda: BYE in model.deepgram.spoken)
        assert HELLO not in model.deepgram.spoken
        assert model.deepgram.total_sockets <= MOST_SOCKETS


async def test_a_sentence_that_is_given_up_before_it_began_costs_nothing(model: Model) -> None:
    async with voice_of(address(model)) as voice:
        sentence = asyncio.create_task(spoken(voice, HELLO))
        await asyncio.sleep(0)
        sentence.cancel()
        await asyncio.gather(sentence, return_exceptions=True)
        assert await spoken(voice, MORE) == await sound_of(model, MORE)
        assert model.deepgram.spoken == [MORE]


async def test_a_socket_that_has_spoken_a_lot_gives_way_to_others(model: Model) -> None:
    async with voice_of(address(model)) as voice:
        for _ in range(MOST_SOCKETS * MOST_FLUSHES + 1):
            assert await spoken(voice, BYE)
        assert model.deepgram.total_sockets == MOST_SOCKETS + 1
        assert all(socket.sent["Warning"] == 0 for socket in model.deepgram.sockets)


async def test_a_warm_socket_that_died_is_replaced_without_a_word(model: Model) -> None:
    async with voice_of(address(model)) as voice:
        await voice.warm()
        await model.until(lambda: bool(model.deepgram.sockets and model.deepgram.sockets[0].sent["Metadata"]))
        model.deepgram.sockets[0].start(model.deepgram.sockets[0].abandon(1011, "gone"))
        assert await spoken(voice, HELLO) == await sound_of(model, HELLO)
        await model.until(lambda: model.deepgram.open_sockets == 1)


async def test_sound_that_breaks_off_is_told(model: Model) -> None:
    model.faults = Faults(deepgram_end_after=3)
    async with voice_of(address(model)) as voice:
        with pytest.raises(VoiceFailed, match="Deepgram was lost") as failed:
            await spoken(voice, HELLO)
        assert not failed.value.fatal


async def test_a_refusal_says_what_to_do(model: Model) -> None:
    async with voice_of(address(model), key="dg-other") as voice:
        await voice.warm()
        with pytest.raises(VoiceFailed, match="DEEPGRAM_API_KEY") as failed:
            await spoken(voice, HELLO)
        assert failed.value.fatal
    async with voice_of(address(model), model="thalia") as voice:
        with pytest.raises(VoiceFailed, match="voice in the profile") as failed:
            await spoken(voice, HELLO)
        assert failed.value.fatal
    async with voice_of("http://127.0.0.1:9") as voice:
        with pytest.raises(VoiceFailed, match="cannot be reached") as failed:
            await spoken(voice, HELLO)
        assert not failed.value.fatal


async def test_a_voice_that_says_nothing_is_not_waited_for_longer_than_allowed(model: Model) -> None:
    model.faults = Faults(deepgram_silent=True)
    async with voice_of(address(model), patience_s=0.1) as voice:
        with pytest.raises(VoiceFailed, match="in time"):
            await spoken(voice, HELLO)


async def test_more_than_it_can_say_at_once_is_told(model: Model) -> None:
    model.faults = Faults(deepgram_silent=True)
    async with voice_of(address(model), patience_s=0.1) as voice:
        asked = await asyncio.gather(*(spoken(voice, HELLO) for _ in range(MOST_SOCKETS + 1)), return_exceptions=True)
        assert all(isinstance(failed, VoiceFailed) for failed in asked)


async def test_a_text_that_is_too_long_is_refused_here(model: Model) -> None:
    async with voice_of(address(model)) as voice:
        with pytest.raises(VoiceFailed, match="2000") as refused:
            await spoken(voice, "x" * (MOST_CHARACTERS + 1))
        assert refused.value.unspeakable
    assert model.deepgram.total_sockets == 0


async def test_once_closed_it_speaks_no_more(model: Model) -> None:
    async with voice_of(address(model)) as voice:
        model.faults = Faults(deepgram_silent=True)
        running = asyncio.create_task(spoken(voice, HELLO))
        await model.until(lambda: model.deepgram.open_sockets == 1)
        await voice.close()
        with pytest.raises(VoiceFailed):
            await running
        await voice.warm()
        with pytest.raises(VoiceFailed, match="closed"):
            await spoken(voice, HELLO)
    assert model.deepgram.total_sockets == 1


@asynccontextmanager
async def peer(handle: Callable[[ServerConnection], Any], **given: Any) -> AsyncIterator[DeepgramVoice]:
    async with serve(handle, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        async with voice_of(url, **given) as voice:
            yield voice


async def test_a_peer_that_takes_no_more_says_so() -> None:
    async def refuse(connection: ServerConnection) -> None:
        async for message in connection:
            if "Flush" in str(message):
                await connection.send('{"type":"Warning","code":"EXCESSIVE_FLUSH","description":""}')

    async with peer(refuse) as voice:
        with pytest.raises(VoiceFailed, match="fewer"):
            await spoken(voice, HELLO)


async def test_a_peer_that_sends_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def flood(connection: ServerConnection) -> None:
        async for message in connection:
            if "Flush" in str(message):
                for _ in range(4):
                    await connection.send(b"\x90" * 1000)

    monkeypatch.setattr(utterance, "MOST_BYTES", 3000)
    async with peer(flood) as voice:
        with pytest.raises(VoiceFailed, match="far more"):
            await spoken(voice, HELLO)


async def test_a_peer_that_does_not_stop_when_told_to_is_left() -> None:
    gone = asyncio.Event()

    async def go_on(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                if "Flush" in str(await connection.recv()):
                    await connection.send(b"\x90" * 1000)
        gone.set()

    async with peer(go_on) as voice:
        async with aclosing(voice.speak(HELLO)) as pieces:
            assert await anext(pieces)
        await gone.wait()
