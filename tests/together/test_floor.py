"""Hold, keypad, privacy hold and listening, on whole calls over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import websockets

from bridge import control, hold_sound, keypad
from bridge.audio import FRAME_BYTES
from bridge.control import Floor, Party, Phase, Recording, Side, TurnKind

from .house import House, clip, is_loud, open_house, speaking
from .sound import read_wav
from .test_calls import live


@pytest.fixture
async def house(home: Path) -> AsyncIterator[House]:
    async with open_house(home) as opened:
        yield opened


async def test_a_caller_on_hold_hears_the_hold_and_the_ai_goes_on_afterwards(house: House) -> None:
    async with house.desk() as desk, house.desk("Bob") as other:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.Hold, call_id=call_id, held=True) == ""
        await other.until(lambda store: other.call().view.floor is Floor.HOLD)
        sound = hold_sound.loop()[: 25 * FRAME_BYTES]
        await line.until(lambda line: sound in bytes(line.heard))
        assert "Ann put the caller on hold" in await other.do(control.Hold, call_id=call_id, held=False)
        said = len(house.ai.said)
        assert await desk.do(control.Hold, call_id=call_id, held=False) == ""
        await house.model.until(lambda: len(house.ai.said) > said)
        assert any("was on hold for" in str(item) for item in house.ai.received)
        line.hang_up()
        await line.ended
        assert not line.errors


async def test_a_take_over_tells_how_fast_it_was(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        await desk.talk(bytes([0x20]) * FRAME_BYTES)
        call = desk.call()
        (timed,) = await desk.until(
            lambda store: [t for t in call.take_overs.values() if t.silent_ms is not None and t.voice_ms is not None]
        )
        assert (timed.console, timed.take_over_id) == ("Ann", "1")
        line.hang_up()
        await line.ended


async def test_keys_go_both_ways(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        assert await desk.do(control.PressKeys, call_id=call_id, keys="1#") == ""
        await line.until(lambda line: keypad.tones("1#") in bytes(line.heard))
        assert "at most" in await desk.do(control.PressKeys, call_id=call_id, keys="x")
        line.press("42")
        await desk.until(lambda store: "42" in desk.texts(TurnKind.KEYS))
        await house.model.until(lambda: any("keypad: 4 2" in str(item) for item in house.ai.received))
        line.press("4111111111111111")
        await desk.until(lambda store: "\u2022" * 16 in desk.texts(TurnKind.KEYS))
        line.hang_up()
        await line.ended
    assert "4 1 1 1" not in str(house.ai.received)


async def test_nothing_of_a_privacy_hold_is_kept_or_passed_on(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        assert await desk.do(control.Privacy, call_id=call_id, private=True) == ""
        await desk.until(lambda store: desk.call().view.recording is Recording.PAUSED)
        heard_bytes = house.ai.appended_bytes
        secret = clip(0)
        before = len(line.said)
        line.say(secret.audio, secret.text)
        line.press("1234")
        await line.until(lambda line: secret.audio in bytes(line.said[before:]))
        await desk.until(lambda store: "\u2022" * 4 in desk.texts(TurnKind.KEYS))
        assert house.ai.appended_bytes == heard_bytes
        assert await desk.do(control.Privacy, call_id=call_id, private=False) == ""
        line.say(clip(1).audio, clip(1).text)
        await desk.until(lambda store: clip(1).text in desk.texts())
        assert secret.text not in desk.texts()
        line.hang_up()
        await line.ended
        await desk.until(lambda store: desk.call().view.recording is Recording.DONE)
        sound = read_wav(Path(desk.call().view.recording_path))
        assert secret.audio[4000:8000] not in sound.caller
        assert clip(1).audio[4000:8000] in sound.caller


async def test_a_call_that_ends_in_a_privacy_hold_has_a_recording_as_long_as_itself(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        assert await desk.do(control.Privacy, call_id=call_id, private=True) == ""
        began_ms = desk.call().view.clock_ms
        await desk.until(lambda store: desk.call().view.clock_ms > began_ms + 2000)
        line.hang_up()
        await line.ended
        await desk.until(lambda store: desk.call().view.recording is Recording.DONE)
        sound = read_wav(Path(desk.call().view.recording_path))
        assert len(sound.caller) > (began_ms + 1500) * 8
        assert not any(is_loud(sound.caller[(began_ms + 300) * 8 :]))


async def test_a_window_that_comes_back_goes_on_listening_when_its_old_line_is_given_up(house: House) -> None:
    line = await house.call()
    token = {"Authorization": f"Bearer {house.bridge.token}"}
    url = house.bridge.control_url
    async with (
        house.desk() as desk,
        websockets.connect(url, additional_headers=token, compression=None) as old,
        websockets.connect(url, additional_headers=token, compression=None) as new,
    ):
        call_id = await live(desk)
        for number, socket in enumerate((old, new), 1):
            await socket.send(control.encode(control.Attach(id=1, version=control.VERSION, console="Bob")))
            await socket.send(control.encode(control.Listen(id=7, call_id=call_id)))
            await house.model.until(lambda n=number: len(house.bridge.switchboard.sessions[call_id].ears) == n)
        await old.close()
        await house.model.until(lambda: len(house.bridge.switchboard.watchers) == 2)
        line.say(clip(0).audio, clip(0).text)
        heard = b""
        async with asyncio.timeout(30):
            while clip(0).audio[4000:8000] not in heard:
                message = await new.recv()
                if isinstance(message, bytes) and control.decode_heard(message).side is Side.CALLER:
                    heard += control.decode_heard(message).audio
    line.hang_up()
    await line.ended


async def test_who_listens_hears_both_sides_but_not_themselves(house: House) -> None:
    line = await house.call()
    token = {"Authorization": f"Bearer {house.bridge.token}"}
    async with (
        house.desk() as desk,
        websockets.connect(house.bridge.control_url, additional_headers=token, compression=None) as socket,
    ):
        call_id = await live(desk)
        await socket.send(control.encode(control.Attach(id=1, version=control.VERSION, console="Bob")))
        await socket.send(control.encode(control.Listen(id=7, call_id=call_id)))
        sides = {Side.CALLER: b"", Side.LINE: b""}
        line.say(clip(0).audio, clip(0).text)
        wanted = clip(0).audio[4000:8000]
        async with asyncio.timeout(30):
            while wanted not in sides[Side.CALLER] or len(sides[Side.LINE]) < 8000:
                message = await socket.recv()
                if isinstance(message, bytes):
                    frame = control.decode_heard(message)
                    assert frame.listen_id == 7
                    sides[frame.side] += frame.audio
        answer = sides[Side.LINE][-1600:]
        await line.until(lambda line: answer in bytes(line.heard))
        await socket.send(control.encode(control.Listen(id=8, call_id="")))
        await socket.send(control.encode(control.TakeOver(id=9, call_id=call_id)))
        await desk.until(lambda store: desk.call().view.floor_holder == "Bob")
        assert desk.call().view.phase is Phase.LIVE
        assert not house.bridge.switchboard.sessions[call_id].ears
        assert any(turn.speaker is Party.AI for turn in desk.call().turns.values())
    line.hang_up()
    await line.ended
