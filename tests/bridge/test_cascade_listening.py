"""A cascade hears by one transcriber after the other, and its turns do not notice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.engines import EngineLost
from bridge.engines import cascade_listening as listening_module
from bridge.engines.cascade_listening import (
    AGAIN_AFTER_S,
    BEFORE_MS,
    DEAF_MS,
    FRESH_MS,
    GAP_MS,
    KEPT_FRAMES,
    KEPT_PARTS,
    Listening,
    beyond,
    left_of,
)
from bridge.engines.speech import Words
from tests.bridge.cascade_parts import ScriptedTranscriber

FRAME = bytes(160)


class Heard(Words):
    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def started(self, turn_id: str, at_ms: int) -> None:
        self.told.append(("started", turn_id, at_ms))

    def heard(self, turn_id: str, text: str, final: bool) -> None:
        self.told.append(("heard", turn_id, text, final))

    def failed(self, turn_id: str, reason: str) -> None:
        self.told.append(("failed", turn_id))

    def may_end(self, turn_id: str) -> None:
        self.told.append(("may_end", turn_id))

    def goes_on(self, turn_id: str) -> None:
        self.told.append(("goes_on", turn_id))

    def ended(self, turn_id: str, at_ms: int) -> None:
        self.told.append(("ended", turn_id, at_ms))


class Room:
    def __init__(self) -> None:
        self.heard = Heard()
        self.transcribers: list[ScriptedTranscriber] = []
        self.listening = Listening(self._make, self.heard)
        self.running = asyncio.ensure_future(self.listening.run())

    def _make(self) -> ScriptedTranscriber:
        self.transcribers.append(ScriptedTranscriber())
        return self.transcribers[-1]

    async def words(self, number: int = 1) -> Words:
        """Of the transcriber of this number, as soon as it is at work."""
        while len(self.transcribers) < number or self.transcribers[number - 1].words is None:  # noqa: ASYNC110
            await asyncio.sleep(0)
        words = self.transcribers[number - 1].words
        assert words is not None
        return words


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    room = Room()
    yield room
    await room.listening.close()
    await asyncio.gather(room.running, return_exceptions=True)


LOST = EngineLost("gone", fatal=False)


async def test_all_that_a_transcriber_tells_is_passed_on(room: Room) -> None:
    words = await room.words()
    words.started("a", 20)
    words.heard("a", "Hel", False)
    words.may_end("a")
    words.goes_on("a")
    words.heard("a", "Hello.", True)
    words.ended("a", 400)
    words.failed("b", "unclear")
    assert room.heard.told == [
        ("started", "0.a", 20),
        ("heard", "0.a", "Hel", False),
        ("may_end", "0.a"),
        ("goes_on", "0.a"),
        ("heard", "0.a", "Hello.", True),
        ("ended", "0.a", 400),
        ("failed", "0.b"),
    ]


async def test_the_next_one_hears_the_newest_again_and_only_new_words_count(room: Room) -> None:
    words = await room.words()
    for number in range(KEPT_FRAMES + 10):
        room.listening.hear(FRAME, number * 20)
    words.heard("a", "It is order eighty-eight", False)
    words.started("b", 900)
    room.transcribers[0].lose(LOST)
    words = await room.words(2)
    assert [at_ms for _, at_ms in room.transcribers[1].frames] == [
        number * 20 for number in range(10, KEPT_FRAMES + 10)
    ]
    words.heard("a", "Eighty-eight forty", False)
    words.heard("a", "Eighty-eight forty-one.", True)
    words.heard("c", "Eighty-eight.", True)
    assert room.heard.told[1:] == [
        ("started", "0.b", 900),
        ("heard", "0.a", "It is order eighty-eight", True),
        ("failed", "0.b"),
        ("heard", "1.a", "forty", False),
        ("heard", "1.a", "forty-one.", True),
        ("heard", "1.c", "Eighty-eight.", True),
    ]
    room.listening.pause()
    assert (room.transcribers[0].pauses, room.transcribers[1].pauses, room.listening.replaced) == (0, 1, 1)


async def test_one_that_is_lost_long_after_another_is_replaced_too(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening_module, "STEADY_S", 0.0)
    losses = len(AGAIN_AFTER_S) + 1
    for number in range(1, losses + 1):
        await room.words(number)
        room.transcribers[number - 1].lose(LOST)
    await room.words(losses + 1)
    assert room.listening.replaced == losses


async def test_many_lost_in_a_row_are_too_many(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening_module, "AGAIN_AFTER_S", (0.0, 0.01))
    for number in (1, 2, 3):
        await room.words(number)
        room.transcribers[number - 1].lose(LOST)
    with pytest.raises(EngineLost, match="gone"):
        await room.running
    assert room.listening.replaced == 2


async def test_one_that_cannot_be_had_is_not_tried_for_long(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening_module, "AGAIN_FOR_S", 0.0)
    for number in (1, 2):
        await room.words(number)
        room.transcribers[number - 1].lose(LOST)
    with pytest.raises(EngineLost, match="gone"):
        await room.running


async def test_what_the_first_lost_one_knew_is_not_heard_twice_though_the_second_is_lost_too(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening_module, "AGAIN_AFTER_S", (0.0, 0.0))
    words = await room.words()
    for number in range(10):
        room.listening.hear(FRAME, number * 20)
    words.heard("a", "It is order", False)
    room.transcribers[0].lose(LOST)
    await room.words(2)
    room.transcribers[1].lose(LOST)
    words = await room.words(3)
    assert [at_ms for _, at_ms in room.transcribers[2].frames] == [number * 20 for number in range(10)]
    words.heard("a", "It is order eighty-eight.", True)
    assert room.heard.told[1:] == [("heard", "0.a", "It is order", True), ("heard", "2.a", "eighty-eight.", True)]


async def test_a_refusal_is_no_loss(room: Room) -> None:
    await room.words()
    room.transcribers[0].lose(EngineLost("bad key", fatal=True))
    with pytest.raises(EngineLost, match="bad key"):
        await room.running
    room.listening.pause()
    room.listening.hear(FRAME, 0)


async def test_what_is_forgotten_is_not_told_any_more(room: Room) -> None:
    words = await room.words()
    room.listening.hear(FRAME, 0)
    words.heard("a", "My card number is", False)
    told = len(room.heard.told)
    room.listening.forget()
    words.started("a", 0)
    words.heard("a", "My card number is 4242.", True)
    words.may_end("a")
    words.goes_on("a")
    words.ended("a", 900)
    words.failed("a", "unclear")
    assert len(room.heard.told) == told
    room.transcribers[0].lose(LOST)
    await room.words(2)
    assert room.transcribers[1].frames == []


async def test_turns_that_never_end_are_forgotten_in_time(room: Room) -> None:
    words = await room.words()
    for number in range(KEPT_PARTS + 1):
        words.started(str(number), 0)
    room.transcribers[0].lose(LOST)
    await room.words(2)
    assert ("failed", "0.0") not in room.heard.told and ("failed", "0.1") in room.heard.told


@pytest.mark.parametrize(
    ("known", "text", "more"),
    [
        ("It is order eighty-eight", "eighty-eight forty-one.", "forty-one."),
        ("It is order", "Order. Eighty-eight", "Eighty-eight"),
        ("It is order", "eighty-eight", "eighty-eight"),
        ("It is order", "– order 88", "88"),
        ("It is", "It is", ""),
        ("It is order eighty-eight", "is order", ""),
        ("", "It is", "It is"),
        ("It is", "", ""),
    ],
)
def test_what_two_heard_is_taken_once(known: str, text: str, more: str) -> None:
    assert beyond(known, text) == more


@pytest.mark.parametrize(
    ("known", "text", "left"),
    [
        ("It is order eighty-eight", "It is", "order eightyeight"),
        ("It is order", "it is order.", ""),
        ("It is order", "It is order eighty", ""),
        ("It is order", "something else", ""),
    ],
)
def test_what_is_known_and_still_to_be_heard_again(known: str, text: str, left: str) -> None:
    assert "".join(left_of(known, text).split()) == "".join(left.split())


def speaks(room: Room, from_ms: int, to_ms: int) -> None:
    """The caller speaks from then until then."""
    for at_ms in range(from_ms, to_ms, 20):
        room.listening.hear(FRAME, at_ms)
        room.listening.speaks(at_ms)


async def test_a_long_sentence_is_heard_again_whole_and_what_was_written_before_is_not(room: Room) -> None:
    words = await room.words()
    speaks(room, 0, 2000)
    words.started("a", 0)
    words.heard("a", "Hello there.", True)
    words.ended("a", 2000)
    speaks(room, 3000, 10_000)
    words.started("b", 3200)
    words.heard("b", "It is about my order of last", False)
    room.transcribers[0].lose(LOST)
    await room.words(2)
    heard = [at_ms for _, at_ms in room.transcribers[1].frames]
    assert (heard[0], heard[-1]) == (3000, 9980) and 3200 - BEFORE_MS < 3000
    assert room.listening.replayed_bytes == len(heard) * len(FRAME)


async def test_what_is_written_by_the_next_pause_is_not_heard_again_either(room: Room) -> None:
    words = await room.words()
    speaks(room, 0, 2000)
    words.started("a", 0)
    room.listening.pause()
    words.heard("a", "Hello there.", True)
    speaks(room, 2000, 3000)
    room.transcribers[0].lose(LOST)
    await room.words(2)
    assert [at_ms for _, at_ms in room.transcribers[1].frames] == list(range(2000, 3000, 20))


async def test_words_that_a_lost_one_gave_up_are_not_told_twice(room: Room) -> None:
    words = await room.words()
    speaks(room, 0, 1000)
    words.started("a", 0)
    words.heard("a", "It is order", True)
    room.transcribers[0].lose(LOST)
    words = await room.words(2)
    assert len(room.transcribers[1].frames) == 50
    words.started("a", 0)
    words.heard("a", "It is", True)
    words.started("b", 600)
    words.heard("b", "Order eighty-eight.", True)
    words.heard("c", "Order.", True)
    assert room.heard.told == [
        ("started", "0.a", 0),
        ("heard", "0.a", "It is order", True),
        ("started", "1.a", 0),
        ("heard", "1.a", "", True),
        ("started", "1.b", 600),
        ("heard", "1.b", "eighty-eight.", True),
        ("heard", "1.c", "Order.", True),
    ]


async def test_what_is_said_after_the_loss_is_new_whatever_it_is(room: Room) -> None:
    words = await room.words()
    speaks(room, 0, 1000)
    words.started("a", 0)
    words.heard("a", "Yes I do", False)
    room.transcribers[0].lose(LOST)
    words = await room.words(2)
    words.started("b", 1000)
    words.heard("b", "Yes.", True)
    assert room.heard.told[-1] == ("heard", "1.b", "Yes.", True)


async def test_one_that_tells_nothing_of_a_caller_who_speaks_is_replaced(room: Room) -> None:
    await room.words()
    speaks(room, 0, FRESH_MS + DEAF_MS)
    words = await room.words(2)
    assert room.listening.replaced == 1
    assert [at_ms for _, at_ms in room.transcribers[1].frames] == list(range(0, FRESH_MS + DEAF_MS, 20))
    words.started("a", 0)
    words.heard("a", "It is order", True)
    assert room.heard.told == [("started", "1.a", 0), ("heard", "1.a", "It is order", True)]


async def test_coughs_and_whoever_writes_are_no_reason(room: Room) -> None:
    words = await room.words()
    for number in range(9):
        speaks(room, number * 4000, number * 4000 + DEAF_MS - 100)
    speaks(room, 40_000, 40_600)
    words.started("a", 40_000)
    speaks(room, 40_600, 50_000)
    words.heard("a", "Well", True)
    speaks(room, 50_000, 50_000 + DEAF_MS - 20)
    assert not room.listening._doubted and GAP_MS < 4000 - DEAF_MS


async def test_noise_costs_one_transcriber_until_there_are_words_again(room: Room) -> None:
    await room.words()
    speaks(room, 0, FRESH_MS + DEAF_MS)
    words = await room.words(2)
    speaks(room, 10_000, 30_000)
    assert room.listening._doubt is not None and not room.listening._doubt.done()
    words.started("a", 30_000)
    words.heard("a", "Sorry.", True)
    speaks(room, 40_000, 40_000 + DEAF_MS)
    await room.words(3)
    assert room.listening.replaced == 2


async def test_one_in_doubt_may_be_closed(room: Room) -> None:
    await room.words()
    speaks(room, 0, FRESH_MS + DEAF_MS)
    await room.listening.close()
    await room.running
    assert len(room.transcribers) == 1
