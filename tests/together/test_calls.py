"""Whole calls, from the ring to the journal, as a caller, an AI and an operator meet them."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge import control, journal, switchboard
from bridge.audio import FRAME_BYTES
from bridge.control import Floor, Party, Phase, Recording, TurnKind, TurnState, Verb
from bridge.rehearsal import scenario as scenarios
from bridge.rehearsal.model import Faults
from bridge.rehearsal.scenario import CallerStep, Wait

from .house import STAYS, House, clip, is_loud, open_house, speaking


@pytest.fixture
async def house(home: Path) -> AsyncIterator[House]:
    async with open_house(home) as opened:
        yield opened


async def live(desk: object) -> str:
    """The id of the one live call, once it is."""
    call_id: str = await desk.until(  # type: ignore[attr-defined]
        lambda store: next((c.view.call_id for c in store.calls.values() if c.view.phase is Phase.LIVE), "")
    )
    return call_id


async def test_a_caller_is_greeted_barges_in_and_hangs_up(house: House) -> None:
    steps = (
        CallerStep(Wait.REPLY_MS, 1500, clip(0).audio, clip(0).text),
        CallerStep(Wait.REPLY_MS, 1200, hang_up=True),
    )
    async with house.desk() as desk:
        line = await house.call(steps)
        await line.ended
        assert line.complete, (line.errors, line.events)
        call = await desk.until(lambda store: next((c for c in store.calls.values() if c.view.end_cause), None))
        await desk.until(lambda store: desk.call().view.recording is Recording.DONE)
        assert call.view.end_cause == "caller hung up"
        assert call.view.caller_interruptions == 1
        greeting, caller, answer = [call.turns[place.key[5:]] for place in call.lines]
        assert (greeting.speaker, greeting.state, greeting.cut_by) == (Party.AI, TurnState.CUT, Party.CALLER)
        assert 0 < greeting.heard_chars < len(greeting.text)
        assert (caller.speaker, caller.text) == (Party.CALLER, clip(0).text)
        assert answer.speaker is Party.AI
        (truncated,) = house.ai.truncations
        assert abs(truncated.audio_end_ms - greeting.heard_ms) <= 20
        assert line.stream.clear_ms
        (timed,) = call.answers.values()
        assert timed.at_ms > 1500
        assert any(marker.label.startswith("barge-in · -") for marker in call.markers.values())
        assert call.ghost
    assert house.model.open_sessions == 0


async def test_what_is_recorded_is_what_was_said_and_heard(house: House) -> None:
    line = await house.call(
        (
            CallerStep(Wait.REPLY_MS, 1000, clip(0).audio, clip(0).text),
            CallerStep(Wait.REPLY_MS, 800, hang_up=True),
        )
    )
    async with house.desk() as desk:
        await line.ended
        await desk.until(lambda store: desk.call().view.recording is Recording.DONE)
        path = Path(desk.call().view.recording_path)
    body = path.read_bytes()
    sound = body[body.index(b"data") + 8 :]
    caller, heard = sound[0::2], sound[1::2]
    assert clip(0).audio in caller
    assert sum(is_loud(heard)) == pytest.approx(sum(is_loud(bytes(line.heard))), abs=8)
    assert path.stat().st_mode & 0o777 == 0o600


async def test_every_word_and_act_is_in_the_journal(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.Interrupt, call_id=call_id) == ""
        assert await desk.do(control.HangUp, call_id=call_id) == ""
        await line.ended
        await desk.until(lambda store: desk.call().view.phase is Phase.ENDED)
    house.bridge.switchboard.house.journal.flush()
    with sqlite3.connect(house.home / "journal.sqlite") as database:
        tables = ("calls", "turns", "entries")
        told = " ".join(str(row) for name in tables for row in database.execute(f"SELECT * FROM {name}"))
    database.close()
    for word in ("StreamStarted", "Interrupt", "HangUp", "you hung up", "AI assistant"):
        assert word in told


async def test_interrupt_stops_the_ai_and_its_memory(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.Interrupt, call_id=call_id) == ""
        cut = await desk.until(
            lambda store: next((t for t in desk.call().turns.values() if t.state is TurnState.CUT), None)
        )
        assert cut.cut_by is Party.OPERATOR
        await house.model.until(lambda: bool(house.ai.truncations))
        assert abs(house.ai.truncations[0].audio_end_ms - cut.heard_ms) <= 20
        assert desk.call().view.operator_interruptions == 1
        assert desk.call().view.floor is Floor.AI
        line.hang_up()
        await line.ended


async def test_a_muted_ai_listens_and_answers_when_it_may(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.MuteAI, call_id=call_id, muted=True) == ""
        await desk.until(lambda store: desk.call().view.ai_muted)
        line.say(clip(0).audio, clip(0).text)
        await desk.until(lambda store: clip(0).text in desk.texts())
        said = len(house.ai.said)
        assert "Unmute" in await desk.do(control.Ask, call_id=call_id, text="their name")
        assert await desk.do(control.MuteAI, call_id=call_id, muted=False) == ""
        await house.model.until(lambda: len(house.ai.said) > said)
        assert desk.call().view.floor is Floor.AI
        line.hang_up()
        await line.ended


async def test_whisper_ask_and_say_reach_the_ai_and_the_caller(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.Whisper, call_id=call_id, text="offer a full refund") == ""
        assert await desk.do(control.Say, call_id=call_id, text="One moment, please.") == ""
        say = await desk.until(
            lambda store: next(
                (t for t in desk.call().turns.values() if t.kind is TurnKind.SAY and t.state is TurnState.FINAL), None
            )
        )
        assert (say.speaker, say.text, say.remark) == (Party.OPERATOR, "One moment, please.", "")
        assert say.heard_chars == len(say.text)
        assert await desk.do(control.Ask, call_id=call_id, text="ask for the order number") == ""
        await house.model.until(lambda: any("order number" in said for said in house.ai.said))
        hidden = [item for item in house.ai.received if "offer a full refund" in str(item)]
        assert hidden and "system" in str(hidden[0])
        assert desk.texts(TurnKind.WHISPER, TurnKind.ASK, TurnKind.SAY) == [
            "offer a full refund",
            "One moment, please.",
            "ask for the order number",
        ]
        for empty in ("", "   "):
            assert "nothing to send" in await desk.do(control.Say, call_id=call_id, text=empty)
        assert "too long" in await desk.do(control.Whisper, call_id=call_id, text="x" * 2001)
        line.hang_up()
        await line.ended


async def test_an_operator_takes_over_speaks_and_hands_back(house: House) -> None:
    async with house.desk() as desk, house.desk("Bob") as other:
        line = await house.call()
        call_id = await live(desk)
        await speaking(desk)
        greetings = len(house.ai.said)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        await desk.until(lambda store: desk.call().view.floor_holder == "Ann")
        assert "Ann already has the floor" in await other.do(control.TakeOver, call_id=call_id)
        before = len(line.heard)
        voice = bytes(0x20 + index % 90 for index in range(50 * FRAME_BYTES))
        await desk.talk(voice)
        await line.until(lambda line: voice in bytes(line.heard[before:]))
        line.say(clip(0).audio, clip(0).text)
        await desk.until(lambda store: clip(0).text in desk.texts())
        assert len(house.ai.said) == greetings
        assert "only they can hand it back" in await other.do(control.HandBack, call_id=call_id)
        assert await desk.do(control.HandBack, call_id=call_id, note="Refund agreed") == ""
        await house.model.until(lambda: len(house.ai.said) > greetings)
        memory = [str(item) for item in house.ai.received if "human colleague took over" in str(item)]
        assert len(memory) == 1 and "Refund agreed" in memory[0]
        assert "this call is recorded" not in house.ai.said[-1]
        line.hang_up()
        await line.ended
        assert not line.errors


async def test_the_floor_comes_back_when_the_operators_window_is_lost(home: Path) -> None:
    async with open_house(home, floor_return_ms=50) as house, house.desk("Bob") as other:
        line = await house.call()
        async with house.desk() as desk:
            call_id = await live(desk)
            assert await desk.do(control.TakeOver, call_id=call_id) == ""
            await other.until(lambda store: other.call().view.floor_holder == "Ann")
        await other.until(lambda store: other.call().view.floor is Floor.AI)
        assert any("Ann was lost" in text for text in other.texts())
        line.hang_up()
        await line.ended


async def test_a_window_that_comes_back_sees_everything_and_keeps_its_floor(house: House) -> None:
    line = await house.call()
    async with house.desk() as desk:
        call_id = await live(desk)
        await speaking(desk)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        await desk.until(lambda store: desk.call().view.floor is Floor.OPERATOR)
        known = desk.texts()
    async with house.desk() as desk:
        assert desk.store.attached is not None
        assert desk.call().view.floor_holder == "Ann"
        assert [text for text in desk.texts() if text in known] == known
        assert len(desk.call().caller) > 20
        assert await desk.do(control.HandBack, call_id=call_id) == ""
    line.hang_up()
    await line.ended


async def test_the_operator_hangs_up_and_the_caller_hears_no_apology(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        assert await desk.do(control.HangUp, call_id=call_id) == ""
        await line.ended
        call = await desk.until(lambda store: desk.call() if desk.call().view.phase is Phase.ENDED else None)
        assert call.view.end_cause == "you hung up"
        assert line.spoken == []
        assert "has ended" in await desk.do(control.HangUp, call_id=call_id)
        assert call.view.allowed == ()
        assert set(call.view.why_not) == set(Verb)


async def test_an_ai_that_refuses_the_key_ends_the_call_with_an_apology(house: House) -> None:
    house.model.faults = Faults(refuse_status=401)
    async with house.desk() as desk:
        line = await house.call(STAYS)
        await line.ended
        assert line.spoken
        await desk.until(lambda store: store.calls and desk.call().view.end_cause == "the AI was lost")
        engine = desk.store.health[control.HealthPart.ENGINE]
        assert engine.state is control.HealthState.RED and "401" in engine.reason
        assert any("401" in notice.text for notice in desk.store.notices)


async def test_a_lost_ai_leaves_the_operator_on_the_line(house: House) -> None:
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        assert await desk.do(control.TakeOver, call_id=call_id) == ""
        house.model.faults = Faults(refuse_status=401)
        await house.ai.leave(1011, "the AI fell over")
        await desk.until(lambda store: "the AI is gone; you have the floor" in desk.call().view.needs)
        assert desk.call().view.phase is Phase.LIVE
        assert "The AI is gone" in await desk.do(control.HandBack, call_id=call_id)
        voice = bytes(0x20 + index % 90 for index in range(10 * FRAME_BYTES))
        await desk.talk(voice)
        await line.until(lambda line: voice in bytes(line.heard))
        assert await desk.do(control.HangUp, call_id=call_id) == ""
        await line.ended


async def test_three_calls_at_once_and_a_fault_in_one_touches_no_other(house: House) -> None:
    async with house.desk() as desk:
        lines = [await house.call() for _ in range(3)]
        await desk.until(lambda store: sum(c.view.phase is Phase.LIVE for c in store.calls.values()) == 3)
        first, *others = house.bridge.switchboard.sessions.values()
        first._ai.on_event = None  # type: ignore[assignment, method-assign]
        lines[0].say(clip(0).audio, clip(0).text)
        await lines[0].ended
        assert lines[0].spoken
        assert all(other.call.phase is Phase.LIVE for other in others)
        await desk.until(lambda store: any("the bridge had a fault" in notice.text for notice in store.notices))
        for line in lines[1:]:
            line.hang_up()
            await line.ended


async def test_a_fault_in_one_call_keeps_no_other_up_when_all_are_to_end_and_none_comes_after(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.desk() as desk:
        lines = [await house.call() for _ in range(2)]
        await desk.until(lambda store: sum(c.view.phase is Phase.LIVE for c in store.calls.values()) == 2)
        first = next(iter(house.bridge.switchboard.sessions.values()))
        monkeypatch.setattr(first, "apply", None)
        house.bridge.switchboard.end_all("the bridge was stopped")
        for line in lines:
            await line.ended
        late = await house.call()
        await late.ended
        assert late.spoken and not late.streams


async def test_words_that_come_when_their_call_is_forgotten_are_in_the_journal(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switchboard, "KEPT_ENDED", 0)
    async with house.desk() as desk:
        line = await house.call()
        call_id = await live(desk)
        picture = house.bridge.switchboard.sessions[call_id].picture
        line.hang_up()
        await line.ended
        await desk.until(lambda store: store.calls[call_id].view.phase is Phase.ENDED)
        another = await house.call()
        await desk.until(lambda store: call_id not in store.calls)
        picture.lines(picture.transcript.words(Party.OPERATOR, "talk-1:late", "Goodbye.", True, 5000))
        another.hang_up()
        await another.ended
        written = house.bridge.switchboard.house.journal
        assert isinstance(written, journal.Journal) and written.flush()
    record = journal.read(house.home / "journal.sqlite", call_id)
    assert record is not None and "Goodbye." in [turn.text for turn in record.turns]


async def test_a_bridge_that_is_full_apologises(home: Path) -> None:
    async with open_house(home, max_calls=1) as house, house.desk() as desk:
        line = await house.call()
        await live(desk)
        turned_away = await house.call()
        await turned_away.ended
        assert turned_away.spoken and not turned_away.streams
        await desk.until(lambda store: any("lines are in use" in notice.text for notice in store.notices))
        line.hang_up()
        await line.ended


async def test_the_rehearsed_conversations_come_to_their_natural_ends(house: House) -> None:
    async with house.desk() as desk:
        # Those with keys are for menus: see test_keypad_calls.
        talks = [scenarios.load(name) for name in scenarios.names() if name not in ("keypad", "pin")]
        lines = [await house.company.place_call(talk) for talk in talks]
        for line in lines:
            await line.ended
            assert line.complete, (line.scenario.name, line.errors, line.events)
        await desk.until(lambda store: all(call.view.end_cause for call in store.calls.values()))
        for call in desk.store.calls.values():
            assert call.view.end_cause == "caller hung up"
            assert call.tools
            assert not [tool for tool in call.tools.values() if tool.state != "done"]
            assert not [turn for turn in call.turns.values() if turn.state in ("interim", "speaking")]
    assert house.model.open_sessions == 0
