"""Engines that are lost, swapped and renewed in the middle of a call: the caller loses nothing."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge import control, filler
from bridge import live as live_call
from bridge.audio import FRAME_BYTES
from bridge.call import EngineGone, HangUp
from bridge.control import Floor, HealthPart, MarkerKind, Party, Phase, TurnState, TurnView, Verb
from bridge.engines import Destination, HandedOn, Used
from bridge.line import HOLD
from bridge.profiles import PinGate
from bridge.rehearsal.line import Line
from bridge.rehearsal.model import HALF_OPEN, Faults
from bridge.rehearsal.tap import Tap

from .desk import Desk
from .house import House, clip, is_loud, open_house, speaking
from .test_faults import heard, live, settled, told

SOON = {"ring_s": 0.3}


@pytest.fixture
async def house(home: Path) -> AsyncIterator[House]:
    async with open_house(home) as opened:
        opened.model.transcript_delay_ms = (0, 10)
        yield opened


async def live_id(desk: Desk) -> str:
    await live(desk)
    return next(iter(desk.store.calls))


@asynccontextmanager
async def call(house: House) -> AsyncIterator[tuple[Desk, Line]]:
    """A call that is live, with an operator at the desk; in the end the caller hangs up."""
    async with house.desk() as desk:
        line = await house.call()
        await live(desk)
        yield desk, line
        line.hang_up()
        await settled(house, desk, line)


async def answered(house: House, desk: Desk, line: Line, number: int) -> None:
    """The caller says a line of theirs, and hears its whole answer."""
    said = len(house.ai.said)
    line.say(clip(number).audio)
    await house.model.until(lambda: len(house.ai.said) > said and house.ai.active is None)
    await desk.until(
        lambda store: desk.call().view.speaking is Party.NOBODY and desk.call().view.activity == "Listening"
    )


async def greeted(desk: Desk) -> None:
    """Until the caller has heard the whole greeting."""
    await desk.until(lambda store: any(turn.state is TurnState.FINAL for turn in desk.call().turns.values()))


def callers(desk: Desk) -> list[TurnView]:
    """What the caller said, as it is written down."""
    return [turn for turn in desk.call().turns.values() if turn.speaker is Party.CALLER]


def greetings(desk: Desk) -> int:
    return sum("you have reached" in text for text in desk.texts())


async def test_a_lost_ai_is_replaced_and_remembers(house: House) -> None:
    async with call(house) as (desk, line):
        await greeted(desk)
        await answered(house, desk, line, 0)
        former = house.ai
        await former.leave(1011, "the AI fell over")
        await house.model.until(lambda: house.ai is not former and house.ai.sent["session.updated"])
        assert desk.call().view.phase is Phase.LIVE
        await answered(house, desk, line, 1)
        assert greetings(desk) == 1
        items = [message["item"] for message in house.ai.received if message["type"] == "conversation.item.create"]
        assert [item.get("role") for item in items][:2] == ["assistant", "user"]
        assert items[1]["content"] == [{"type": "input_text", "text": clip(0).text}]


async def test_a_turn_in_which_the_ai_is_lost_is_heard_by_its_successor(house: House) -> None:
    async with call(house) as (desk, line):
        await greeted(desk)
        former = house.ai
        line.say(clip(0).audio[: 50 * FRAME_BYTES])
        await desk.until(lambda store: desk.call().view.activity == "Caller speaking")
        await former.leave(1011, "the AI fell over")
        await house.model.until(lambda: house.ai is not former and bool(house.ai.said))
        await desk.until(lambda store: all(turn.state is TurnState.FINAL for turn in callers(desk)))
        assert [(bool(turn.text), turn.remark) for turn in callers(desk)] == [(True, "")]


async def test_an_ai_lost_in_the_middle_of_its_answer_goes_on(house: House) -> None:
    house.model.speed = 1.0
    async with call(house) as (desk, _):
        await speaking(desk)
        former = house.ai
        await former.leave(1011, "the AI fell over")
        await house.model.until(lambda: house.ai is not former and bool(house.ai.said))


async def test_a_greeting_of_which_nothing_was_heard_is_said_by_the_successor(house: House) -> None:
    house.model.faults = Faults(silent=True)
    async with call(house) as (desk, _):
        await house.model.until(lambda: any(message["type"] == "response.create" for message in house.ai.received))
        house.model.faults = Faults()
        await house.ai.leave(1011, "the AI fell over")
        await greeted(desk)
        assert greetings(desk) == 1


async def test_a_successor_that_hears_nothing_of_the_lost_turn_asks_for_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_call, "LATELY_FRAMES", 1)
    async with call(house) as (desk, line):
        await greeted(desk)
        former = house.ai
        line.say(clip(0).audio)
        await desk.until(lambda store: desk.call().view.activity == "Caller speaking")
        await line.until(lambda line: line.caller.done)
        await former.leave(1011, "the AI fell over")
        await house.model.until(lambda: house.ai is not former and bool(house.ai.said))
        assert any("say it again" in str(message) for message in house.ai.received)
        await desk.until(lambda store: [turn.remark for turn in callers(desk)] == ["not transcribed"])


async def test_an_answer_that_stops_in_the_middle_is_no_silence(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filler, "SILENT_MS", 300.0)
    house.model.speed = 1.0
    async with call(house) as (desk, line):
        await speaking(desk)
        (session,) = house.bridge.switchboard.sessions.values()
        out = session.live.line
        assert out is not None
        house.model.faults = Faults(end_after=house.ai.events + 2, end_with=HALF_OPEN)
        await line.until(lambda _: out.playout.playing.startswith(HOLD))
        house.model.faults = Faults()


async def test_where_no_engine_is_left_operators_are_rung_and_the_caller_waits_on_hold(house: House) -> None:
    async with call(house) as (desk, line):
        await greeted(desk)
        house.model.faults = Faults(refuse_status=401)
        await house.ai.leave(1011, "the AI fell over")
        view = await desk.until(lambda store: desk.call().view.floor is Floor.HOLD and desk.call().view)
        assert "no AI is left: take over" in view.needs and Verb.TAKE_OVER in view.allowed
        heard_ms = line.heard_ms
        await heard(line, heard_ms + 1500)
        assert await desk.do(control.TakeOver, call_id=view.call_id) == ""
        assert desk.call().view.floor_holder == "Ann" and not desk.call().view.needs
        house.model.faults = Faults()


async def test_a_turn_that_no_engine_is_left_to_hear_is_said_to_be_lost(house: House) -> None:
    async with call(house) as (desk, line):
        await greeted(desk)
        line.say(clip(0).audio[: 50 * FRAME_BYTES])
        await desk.until(lambda store: desk.call().view.activity == "Caller speaking")
        house.model.faults = Faults(refuse_status=401)
        await house.ai.leave(1011, "the AI fell over")
        await desk.until(lambda store: desk.call().view.floor is Floor.HOLD)
        assert [turn.remark for turn in callers(desk)] == ["not transcribed"]
        house.model.faults = Faults()


async def test_a_ring_that_nobody_answers_ends_with_the_apology(home: Path) -> None:
    async with open_house(home, **SOON) as house, house.desk() as desk:
        line = await house.call()
        await live(desk)
        house.model.faults = Faults(refuse_status=401)
        await house.ai.leave(1011, "the AI fell over")
        await line.ended
        (view,) = await settled(house, desk, line)
        assert view.end_cause == "no AI, and nobody took the call" and line.spoken


async def test_a_swap_by_hand_renews_the_engine_at_a_quiet_moment(house: House) -> None:
    async with call(house) as (desk, line):
        call_id = desk.call().view.call_id
        assert "Choose one of the engines shown" in await desk.do(control.Swap, call_id=call_id, engine="other")
        session = house.bridge.switchboard.sessions[call_id]
        session.picture.engines = ("openai", "openai again")
        former = house.ai
        session._seat.swap("openai")
        await house.model.until(lambda: house.ai is not former and house.ai.sent["session.updated"])
        await desk.until(lambda store: any(m.kind is MarkerKind.ENGINE for m in desk.call().markers.values()))
        await house.model.until(lambda: house.model.open_sessions == 1)
        await answered(house, desk, line, 0)
        assert greetings(desk) == 1


async def test_a_session_about_to_expire_is_renewed_without_a_gap(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.quiet.CALM_MS", 0)
    house.model.expires_s = 6.0
    async with call(house) as (desk, _):
        await speaking(desk)
        assert await desk.do(control.Interrupt, call_id=desk.call().view.call_id) == ""
        await desk.until(lambda store: any(m.label == "session renewed" for m in desk.call().markers.values()))
        former = house.model.total_sessions
        await desk.until(lambda store: sum(m.label == "session renewed" for m in desk.call().markers.values()) > 1)
        assert house.model.total_sessions > former
        await house.model.until(lambda: house.model.open_sessions == 1)
        assert greetings(desk) == 1 and not any(m.kind is MarkerKind.TROUBLE for m in desk.call().markers.values())


async def test_a_caller_who_waits_for_long_hears_that_somebody_is_there(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filler, "SILENT_MS", 300.0)
    async with call(house) as (desk, line):
        await greeted(desk)
        house.model.faults = Faults(first_byte_delay_ms=1500)
        line.say(clip(0).audio)
        answer = await desk.until(lambda store: next(iter(desk.call().answers.values()), None))
        assert 300 <= answer.filler_ms < answer.model_ms + answer.end_of_speech_ms
    assert any(is_loud(bytes(line.heard)))


async def test_a_menu_takes_over_where_the_ai_cannot_be_had(home: Path) -> None:
    async with open_house(home, ("openai", "keypad")) as house, house.desk() as desk:
        house.model.faults = Faults(refuse_status=401)
        line = await house.call()
        await live(desk)
        await desk.until(lambda store: any("Press 1 to wait for a person" in text for text in desk.texts()))
        assert (desk.call().view.engine, desk.call().view.phase) == ("keypad", Phase.LIVE)
        await desk.until(lambda store: any("cannot be reached" in text for text in desk.texts()))
        line.press("1")
        await desk.until(lambda store: desk.call().view.floor is Floor.HOLD)
        assert await desk.do(control.TakeOver, call_id=desk.call().view.call_id) == ""
        line.hang_up()
        await settled(house, desk, line)


async def test_a_menu_takes_over_in_the_middle_of_a_call_and_the_ai_can_come_back(home: Path) -> None:
    async with open_house(home, ("openai", "keypad")) as house, call(house) as (desk, line):
        call_id = desk.call().view.call_id
        await greeted(desk)
        house.model.faults = Faults(refuse_status=401)
        await house.ai.leave(1011, "the AI fell over")
        await desk.until(lambda store: any("cannot be reached" in text for text in desk.texts()))
        spoken = [turn for turn in desk.call().turns.values() if turn.speaker is Party.AI]
        assert [turn.engine for turn in spoken] == ["openai", "keypad"]
        house.model.faults = Faults()
        assert await desk.do(control.Swap, call_id=call_id, engine="openai") == ""
        await desk.until(lambda store: desk.call().view.engine == "openai")
        await answered(house, desk, line, 0)
        assert greetings(desk) == 1


async def test_a_menu_that_an_operator_calls_blames_nobody(home: Path) -> None:
    async with open_house(home, ("openai", "keypad")) as house, call(house) as (desk, _):
        call_id = desk.call().view.call_id
        await greeted(desk)
        word = desk.store.health[HealthPart.ENGINE].word
        seat = house.bridge.switchboard.sessions[call_id]._seat
        former = seat._sitter
        assert former is not None
        assert await desk.do(control.Swap, call_id=call_id, engine="keypad") == ""
        await desk.until(lambda store: any("keys of your telephone from here on" in text for text in desk.texts()))
        assert not any("sorry" in text for text in desk.texts())
        assert desk.store.health[HealthPart.ENGINE].word == word != "keypad"
        seat.told(former, Used(cost_usd=0.5))
        costs_usd = await desk.until(lambda store: desk.call().view.cost_usd > 0.5 and desk.call().view.costs_usd)
        assert costs_usd["openai"] > 0.5 and not costs_usd.get("keypad")


async def test_after_a_failed_swap_from_a_pin_that_was_right_the_ai_comes_all_the_same(home: Path) -> None:
    pin = PinGate(setting="CORDBOARD_PIN_TEST")
    pins = {"CORDBOARD_PIN_TEST": "4711"}
    async with open_house(home, ("openai", "cascade"), pin=pin, pins=pins) as house, call(house) as (desk, _):
        house.model.faults = Faults(deepgram_refuse_status=401)
        call_id = desk.call().view.call_id
        await desk.until(lambda store: desk.call().view.engine == "pin" and desk.texts())
        seat = house.bridge.switchboard.sessions[call_id]._seat
        assert seat._sitter is not None
        seat.told(seat._sitter, HandedOn(Destination.AI))
        seat.swap("cascade")
        await told(desk, "The call goes on with openai.", call_id)
        await desk.until(lambda store: desk.call().view.engine == "openai" and greetings(desk) == 1)


async def test_no_ai_is_called_into_a_call_that_ends(home: Path) -> None:
    pin = PinGate(setting="CORDBOARD_PIN_TEST")
    async with open_house(home, pin=pin, pins={"CORDBOARD_PIN_TEST": "4711"}) as house, house.desk() as desk:
        line = await house.call()
        call_id = await live_id(desk)
        await desk.until(lambda store: desk.call().view.engine == "pin" and desk.texts())
        session = house.bridge.switchboard.sessions[call_id]
        assert session._seat._sitter is not None
        session.apply(HangUp())
        session._seat.told(session._seat._sitter, HandedOn(Destination.AI))
        assert session._seat._coming is None
        await line.ended
        await desk.until(lambda store: desk.call().view.phase is Phase.ENDED)
    assert house.model.total_sessions == 0


async def test_a_pin_is_asked_for_before_the_ai_and_stands_nowhere(home: Path) -> None:
    pin = PinGate(setting="CORDBOARD_PIN_TEST")
    async with open_house(home, pin=pin, pins={"CORDBOARD_PIN_TEST": "4711"}) as house, house.desk() as desk:
        line = await house.call()
        await live(desk)
        await desk.until(lambda store: desk.call().view.engine == "pin" and desk.texts())
        line.press("0815")
        await desk.until(lambda store: any("•" in text for text in desk.texts()))
        await desk.until(lambda store: any("not the right PIN" in text for text in desk.texts()))
        line.press("4711")
        await desk.until(lambda store: desk.call().view.engine == "openai" and greetings(desk) == 1)
        assert house.ai.settings.value["type"] == "realtime"
        line.hang_up()
        await settled(house, desk, line)
        assert house.bridge.switchboard.house.journal.flush()
        kept = b"".join(path.read_bytes() for path in home.rglob("*.sqlite*"))
        assert b"4711" not in kept and b"0815" not in kept


async def test_who_knew_the_pin_is_not_asked_again_when_the_ai_cannot_be_had(home: Path) -> None:
    pin = PinGate(setting="CORDBOARD_PIN_TEST")
    pins = {"CORDBOARD_PIN_TEST": "4711"}
    async with open_house(home, ("openai", "keypad"), pin=pin, pins=pins) as house, call(house) as (desk, line):
        house.model.faults = Faults(refuse_status=401)
        await desk.until(lambda store: desk.call().view.engine == "pin" and desk.texts())
        line.press("4711")
        await desk.until(lambda store: desk.call().view.engine == "keypad")
        await desk.until(lambda store: any("cannot be reached" in text for text in desk.texts()))


async def test_operators_are_rung_when_nobody_can_follow_the_pin(home: Path) -> None:
    pin = PinGate(setting="CORDBOARD_PIN_TEST")
    async with open_house(home, pin=pin, pins={"CORDBOARD_PIN_TEST": "4711"}) as house, call(house) as (desk, line):
        house.model.faults = Faults(refuse_status=401)
        await desk.until(lambda store: desk.call().view.engine == "pin" and desk.texts())
        line.press("4711")
        await desk.until(lambda store: desk.call().view.floor is Floor.HOLD)


async def test_keys_are_shown_again_once_another_engine_than_the_pins_has_the_call(home: Path) -> None:
    pin = PinGate(setting="CORDBOARD_PIN_TEST")
    async with open_house(home, pin=pin, pins={"CORDBOARD_PIN_TEST": "4711"}) as house, call(house) as (desk, line):
        call_id = desk.call().view.call_id
        assert await desk.do(control.Swap, call_id=call_id, engine="openai") == ""
        await desk.until(lambda store: desk.call().view.engine == "openai" and greetings(desk) == 1)
        line.press("5")
        await desk.until(lambda store: "5" in desk.texts())


async def coming_is_ready(house: House, desk: Desk, call_id: str) -> None:
    """An operator's swap waits for a quiet moment."""
    seat = house.bridge.switchboard.sessions[call_id]._seat
    seat.swap("openai")
    await desk.until(lambda store: house.model.open_sessions == 2)
    await house.model.until(lambda: house.ai.sent["session.updated"] > 0)
    await desk.until(lambda store: seat._coming is None or seat._coming.is_ready)


async def test_an_ai_lost_while_its_successor_waits_for_quiet_is_followed_by_it_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.seat.SWAP_PATIENCE_MS", 60_000)
    house.model.speed = 1.0
    async with call(house) as (desk, _):
        call_id = desk.call().view.call_id
        await speaking(desk)
        former = house.ai
        await coming_is_ready(house, desk, call_id)
        await former.leave(1011, "the AI fell over")
        await house.model.until(lambda: house.ai is not former and bool(house.ai.said))


class AIsEar(Tap):
    """All sound that AIs were sent, one behind the other."""

    def __init__(self) -> None:
        self.audio = bytearray()

    def came(self, service: str, data: str | bytes) -> None:
        message = json.loads(data)
        if message["type"] == "input_audio_buffer.append":
            self.audio += b64decode(message["audio"])


def opening(audio: bytes) -> bytes:
    """The first of it that can be heard, 60 ms."""
    start = is_loud(audio).index(True) * FRAME_BYTES
    return audio[start : start + 3 * FRAME_BYTES]


async def test_a_swap_in_the_middle_of_the_callers_turn_lets_the_successor_hear_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.seat.SWAP_PATIENCE_MS", 0)
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live_id(desk)
        await greeted(desk)
        former = house.ai
        heard = house.model.tap = AIsEar()
        line.say(clip(0).audio[: 50 * FRAME_BYTES])
        await desk.until(lambda store: desk.call().view.activity == "Caller speaking")
        house.bridge.switchboard.sessions[call_id]._seat.swap("openai")
        await house.model.until(lambda: house.ai is not former and bool(house.ai.said))
        assert heard.audio.count(opening(clip(0).audio)) == 2
        await desk.until(lambda store: all(turn.state is TurnState.FINAL for turn in callers(desk)))
        assert [(bool(turn.text), turn.remark) for turn in callers(desk)] == [(True, "")]
        line.hang_up()
        await settled(house, desk, line)


async def test_an_ai_lost_before_it_said_a_word_is_followed_by_one_that_greets(house: House) -> None:
    house.model.faults = Faults(silent=True)
    async with call(house) as (desk, _):
        await house.model.until(lambda: any(m["type"] == "response.create" for m in house.ai.received))
        house.model.faults = Faults()
        await house.ai.leave(1011, "the AI fell over")
        await desk.until(lambda store: greetings(desk) == 1)


async def test_who_takes_over_is_not_hung_up_on_by_the_engine_that_had_the_call(house: House) -> None:
    house.model.speed = 1.0
    async with call(house) as (desk, _):
        call_id = desk.call().view.call_id
        await speaking(desk)
        seat = house.bridge.switchboard.sessions[call_id]._seat
        assert seat._sitter is not None
        seat.told(seat._sitter, HandedOn(Destination.HANG_UP, "the menu ended the call"))
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        until_ms = desk.call().view.clock_ms + 1000
        await desk.until(lambda store: desk.call().view.clock_ms > until_ms)
        assert desk.call().view.phase is Phase.LIVE


async def test_an_engine_that_is_not_wanted_any_more_before_it_came_is_closed(house: House) -> None:
    house.model.speed = 1.0
    async with call(house) as (desk, _):
        call_id = desk.call().view.call_id
        await speaking(desk)
        await coming_is_ready(house, desk, call_id)
        seat = house.bridge.switchboard.sessions[call_id]._seat
        assert seat._sitter is not None
        seat.told(seat._sitter, HandedOn(Destination.AI))
        await house.model.until(lambda: house.model.total_sessions == 3 and house.model.open_sessions <= 2)
        assert await desk.do(control.Interrupt, call_id=call_id) == ""
        await house.model.until(lambda: house.model.open_sessions == 1)


async def test_a_menu_that_ends_a_ring_says_its_words_once(home: Path) -> None:
    async with open_house(home, ("openai", "keypad")) as house, call(house) as (desk, _):
        call_id = desk.call().view.call_id
        await greeted(desk)
        house.bridge.switchboard.sessions[call_id].apply(EngineGone("no AI"))
        assert desk.call().view.phase is Phase.LIVE
        assert await desk.do(control.Swap, call_id=call_id, engine="keypad") == ""
        await desk.until(lambda store: desk.call().view.engine == "keypad" and desk.call().view.floor is Floor.AI)
        await desk.until(lambda store: any("still recorded" in text for text in desk.texts()))
        await desk.until(lambda store: desk.call().view.activity == "Listening")
        assert sum("still recorded" in text for text in desk.texts()) == 1 and not desk.call().view.needs


async def test_typed_words_are_heard_at_once_where_a_filler_plays(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filler, "SILENT_MS", 300.0)
    async with call(house) as (desk, line):
        call_id = desk.call().view.call_id
        await greeted(desk)
        house.model.faults = Faults(silent=True)
        playout = house.bridge.switchboard.sessions[call_id].live.line.playout
        line.say(clip(0).audio)
        await desk.until(lambda store: playout.playing == "hold-filler-2")
        until_ms = desk.call().view.clock_ms + 10_000
        assert await desk.do(control.Say, call_id=call_id, text="I am with you in a moment.") == ""
        await desk.until(lambda store: playout.playing.startswith("say-"))
        assert desk.call().view.clock_ms < until_ms
