"""Vendors that have a bad moment: the call, its words and its bill are none the worse. See `every_engine`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bridge import control
from bridge.control import Party, ToolState
from bridge.picture import CALL
from bridge.rehearsal import model_scribe
from bridge.rehearsal.model import Faults
from bridge.session import Session
from bridge.tools import ToolResult
from bridge.transcript import spoken_words
from tests.together.every_engine import FLUX, NOVA, OPENAI, REALTIME, Talk, Way, open_way, talk, talks, ways
from tests.together.house import STAYS, clip

PAYMENTS = '{"payments":[{"payment":"pi_1","amount":48.0},{"payment":"pi_2","amount":48.0}]}'


def session_of(call: Talk) -> Session:
    """The call at work in the bridge."""
    return call.house.bridge.switchboard.sessions[call.view.call_id]


async def test_a_chat_that_holds_back_twice_in_every_turn_does_not_cost_the_engine(home: Path) -> None:
    async with talk(home, NOVA, then=("keypad",)) as call:
        await call.past_the_greeting()
        for number, words in ((0, "sorry"), (1, "two payments")):
            call.house.model.faults = Faults(chat_status=429, chat_code="rate_limit_exceeded", chat_times=2)
            call.says(number)
            await call.heard_whole(words)
        assert call.view.engine == "cascade"
        assert call.house.model.deepgram.total_sockets == 1


async def test_a_sentence_that_the_voice_refuses_is_left_out_and_an_operator_is_told(home: Path) -> None:
    async with talk(home, OPENAI, then=("keypad",)) as call:
        await call.past_the_greeting()
        call.house.model.faults = Faults(unspeakable="two payments")
        call.says(1)
        await call.until(lambda: any("left a sentence out" in notice.text for notice in call.desk.store.notices))
        await call.until(lambda: len([turn for turn in call.spoken if turn.heard_ms > 300]) > 1)
        assert call.view.engine == "cascade"
        assert not call.turns(Party.AI, "two payments")
        call.house.model.faults = Faults()
        call.says(0)
        await call.heard("sorry")
        assert "two payments" not in str(call.house.model.chat.requests[-1].messages)


async def test_the_last_words_are_waited_for_however_late_they_are(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_scribe, "_LIVE_STEP_MS", 1500)
    async with talk(home, OPENAI) as call:
        call.house.model.transcript_delay_ms = (1200, 1300)
        await call.past_the_greeting()
        for number in (0, 1):
            call.says(number)
            asked = len(call.house.model.chat.requests)
            await call.house.model.until(lambda asked=asked: len(call.house.model.chat.requests) > asked)
            assert call.house.model.chat.requests[asked].messages[-1]["content"] == clip(number).text
            await call.heard("", 300)
            await call.do(control.Interrupt)


async def test_what_a_voice_counts_by_itself_is_on_the_bill_to_its_last_sentence(home: Path) -> None:
    async with open_way(home, FLUX) as house:
        async with talks(house, FLUX, STAYS) as (call,):
            await call.live()
            await call.heard_whole("you have reached")
            await call.until(lambda: call.view.costs_usd.get("realtime", 0.0) > 0)
            call.says(1)
            await call.heard("two payments", 600)
            session = session_of(call)
            engine = session.live.engine
            call.line.hang_up()
            await call.until(lambda: call.view.phase is control.Phase.ENDED)
        picture = session.picture
        assert picture.costs_usd["realtime"] == pytest.approx(engine._voice.cost_usd)  # type: ignore[union-attr]
        assert picture.cost_usd == pytest.approx(sum(picture.costs_usd.values()))


@ways(REALTIME, NOVA)
@pytest.mark.parametrize("ok", [True, False])
async def test_while_a_tool_is_looked_up_and_spoken_of_the_ai_is_never_idle(home: Path, way: Way, ok: bool) -> None:
    async def run(name: str, arguments: str) -> ToolResult:
        return ToolResult(ok, PAYMENTS)

    async with open_way(home, way) as house:
        switchboard = house.bridge.switchboard
        switchboard.house = replace(switchboard.house, run_tool=run)
        async with talks(house, way, STAYS) as (call,):
            await call.past_the_greeting()
            picture, seen = session_of(call).picture, list[str]()
            tell = picture.tell

            def changed(key: tuple[str, str]) -> None:
                if picture.tools and key == CALL:
                    seen.append(picture.activity())
                tell(key)

            picture.tell = changed
            call.says(1)
            await call.until(lambda: any(tool.state is not ToolState.RUNNING for tool in call.call.tools.values()))
            await call.until(lambda: len([turn for turn in call.spoken if turn.heard_ms > 300]) > 1)
            assert "Listening" not in seen[: seen.index("AI speaking")]
            assert call.view.needs == (() if ok else ("find_payments failed",))


@ways(NOVA, OPENAI)
async def test_a_long_sentence_is_heard_whole_and_once_though_the_transcriber_is_lost_at_its_end(
    home: Path, way: Way
) -> None:
    async with talk(home, way) as call:
        await call.past_the_greeting()
        first, second = clip(0), clip(1)
        call.line.say(first.audio + second.audio, f"{first.text} {second.text}")
        await call.until(lambda: call.turns(Party.CALLER))
        await call.line.until(lambda line: line.caller.done)
        if way is NOVA:
            await call.house.model.deepgram.sockets[-1].abandon(1011, "it fell over")
        else:
            await call.house.scribe.leave(1011, "it fell over")
        await call.house.model.until(lambda: bool(call.house.model.chat.requests))
        await call.heard("", 300)
        said = " ".join(m["content"] for m in call.house.model.chat.requests[-1].messages if m["role"] == "user")
        assert spoken_words(said) == spoken_words(f"{first.text} {second.text}")
