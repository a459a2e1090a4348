"""Vendors that fail in the middle of a call, on every engine: the caller is answered. See `test_every_engine`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from bridge.control import Party, Phase
from bridge.rehearsal.deepgram_flux import FluxSocket
from bridge.rehearsal.deepgram_nova import NovaSocket
from bridge.rehearsal.deepgram_socket import Socket
from bridge.rehearsal.deepgram_speak import AuraSocket
from bridge.rehearsal.model import HALF_OPEN, Faults
from bridge.rehearsal.scenario import CallerStep, Wait

from .every_engine import AURA, FLUX, KEYPAD, LIVE, NOVA, OPENAI, REALTIME, Talk, Way, open_way, talk, talks, ways
from .house import House, is_loud

LONGEST_SILENCE_MS = 3000
Fault: TypeAlias = Callable[[House], Awaitable[None]]
"""Makes something fail in the midst of a call, and returns once it has."""


# ── ways to fail ──────────────────────────────────────────────────────────────────────────


async def realtime_drops(house: House) -> None:
    """The newest Realtime session, whether it is an AI or a voice."""
    await house.ai.leave(1011, "it fell over")


async def live_drops(house: House) -> None:
    await house.model.live_sessions[-1].leave(1011, "it fell over")


async def scribe_drops(house: House) -> None:
    await house.scribe.leave(1011, "it fell over")


def deepgram_drops(kind: type[Socket]) -> Fault:
    async def fail(house: House) -> None:
        await [one for one in house.model.deepgram.sockets if isinstance(one, kind)][-1].abandon(1011, "it fell over")

    return fail


def deepgram_freezes(kind: type[Socket]) -> Fault:
    async def fail(house: House) -> None:
        [one for one in house.model.deepgram.sockets if isinstance(one, kind)][-1].freeze()

    return fail


async def elevenlabs_drops(house: House) -> None:
    house.model.faults = Faults(elevenlabs_cut_after=house.model.elevenlabs.sent_pieces + 3)


async def realtime_freezes(house: House) -> None:
    """It takes everything, and says nothing any more."""
    session = house.ai
    house.model.faults = Faults(end_after=session.events + 1, end_with=HALF_OPEN)
    await session.emit("rate_limits.updated", rate_limits=[])
    house.model.faults = Faults()


async def elevenlabs_freezes(house: House) -> None:
    asked = len(house.model.elevenlabs.asked)
    house.model.faults = Faults(elevenlabs_silent=True)
    await house.model.until(lambda: len(house.model.elevenlabs.asked) > asked)
    house.model.faults = Faults()


def faults(**fields: Any) -> Fault:
    """Faults of the house's vendors from now on."""

    async def fail(house: House) -> None:
        house.model.faults = Faults(**fields)

    return fail


def cases(*given: tuple[str, Way, Fault]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("way", "fail"), [case[1:] for case in given], ids=[case[0] for case in given])


# ── what the caller must not notice ───────────────────────────────────────────────────────


async def answered(call: Talk, fail: Fault) -> None:
    """Something fails while the caller speaks. They are answered, and until then do not hear nothing for long."""
    before = len(call.spoken)
    call.says(1)
    await call.until(lambda: call.turns(Party.CALLER))
    await fail(call.house)
    turn = await call.until(lambda: next((t for t in call.spoken[before:] if "two payments" in t.text), None))
    await call.until(lambda: any(t.heard_ms > 300 for t in call.spoken[before:] if "two payments" in t.text))
    assert longest_silence_ms(call, turn.start_ms) < LONGEST_SILENCE_MS
    assert call.view.phase is Phase.LIVE and call.greetings() == 1


def longest_silence_ms(call: Talk, to_ms: int) -> int:
    """How long neither the caller nor anybody else was heard, before a moment of the call."""
    line = call.line
    quiet = longest = 0
    for heard, said in zip(
        is_loud(bytes(line.heard[: to_ms * 8])), is_loud(bytes(line.said[: to_ms * 8])), strict=False
    ):
        quiet = 0 if heard or said else quiet + 20
        longest = max(longest, quiet)
    return longest


@cases(
    ("realtime", REALTIME, realtime_drops),
    ("gpt-live", LIVE, live_drops),
    ("nova", NOVA, deepgram_drops(NovaSocket)),
    ("elevenlabs", NOVA, elevenlabs_drops),
    ("chat", NOVA, faults(chat_cut_after=3, chat_times=1)),
    ("flux", FLUX, deepgram_drops(FluxSocket)),
    ("realtime voice", FLUX, realtime_drops),
    ("openai transcription", OPENAI, scribe_drops),
    ("aura", AURA, deepgram_drops(AuraSocket)),
)
async def test_a_peer_that_drops_is_done_without(home: Path, way: Way, fail: Fault) -> None:
    async with talk(home, way) as call:
        await call.past_the_greeting()
        await answered(call, fail)


@cases(
    ("elevenlabs", NOVA, elevenlabs_freezes),
    ("chat", NOVA, faults(chat_silent=True, chat_times=1)),
    ("nova", NOVA, deepgram_freezes(NovaSocket)),
    ("flux", FLUX, deepgram_freezes(FluxSocket)),
)
async def test_a_peer_that_answers_no_more_is_done_without(home: Path, way: Way, fail: Fault) -> None:
    async with talk(home, way) as call:
        await call.past_the_greeting()
        await answered(call, fail)


async def test_who_was_not_heard_by_a_session_that_froze_is_spoken_to(home: Path) -> None:
    """What they said is lost by the time it is noticed: the successor asks."""
    async with talk(home, REALTIME) as call:
        await call.past_the_greeting()
        call.says(1)
        await call.until(lambda: call.turns(Party.CALLER))
        await realtime_freezes(call.house)
        await call.until(lambda: len(call.spoken) == 2)
        assert call.view.phase is Phase.LIVE and call.greetings() == 1


@cases(
    ("realtime", REALTIME, faults(first_byte_delay_ms=3500)),
    ("gpt-live", LIVE, faults(first_byte_delay_ms=3500)),
    ("chat, elevenlabs", NOVA, faults(chat_delay_ms=1500, elevenlabs_delay_ms=2000)),
)
async def test_peers_that_take_3_5_s_leave_no_long_silence(home: Path, way: Way, fail: Fault) -> None:
    async with talk(home, way) as call:
        await call.past_the_greeting()
        await answered(call, fail)
        assert [answer for answer in call.call.answers.values() if answer.filler_ms]


NONSENSE = ("{", "[]", "null", '{"type":"novelty","x":1}', '{"type":7}', "\u0000", '{"message":"?","event":3}')


@cases(
    ("realtime", REALTIME, faults(inject_after="response.created", inject=NONSENSE)),
    ("gpt-live", LIVE, faults(inject_after="session.input_transcript.delta", inject=NONSENSE)),
    ("nova", NOVA, faults(deepgram_inject_after="Results", deepgram_inject=NONSENSE)),
    ("elevenlabs", NOVA, faults(elevenlabs_inject=NONSENSE)),
    ("flux", FLUX, faults(deepgram_inject_after="TurnInfo", deepgram_inject=NONSENSE)),
)
async def test_nonsense_from_a_peer_is_passed_over(home: Path, way: Way, fail: Fault) -> None:
    async with talk(home, way) as call:
        await call.past_the_greeting()
        await answered(call, fail)
        assert not any(marker.label == "AI reconnects" for marker in call.call.markers.values())


@ways(REALTIME, LIVE, NOVA, FLUX, OPENAI, AURA, KEYPAD)
async def test_a_caller_who_hangs_up_at_any_moment_leaves_nothing(home: Path, way: Way) -> None:
    moments = [(CallerStep(Wait.PAUSE, ms, hang_up=True),) for ms in range(0, 1600, 200)]
    async with open_way(home, way) as house, talks(house, way, *moments) as calls:
        for call in calls:
            await call.line.ended
