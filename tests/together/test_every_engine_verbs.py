"""What an operator's verbs do, in the same way on every engine. See `test_every_engine`."""

from __future__ import annotations

from pathlib import Path

from bridge import control, hold_sound
from bridge.audio import FRAME_BYTES
from bridge.control import Floor, Party, TurnKind, TurnState

from .every_engine import KEYPAD, Way, each_ai, each_kind, talk
from .house import clip

VOICE = bytes(0x20 + index % 90 for index in range(25 * FRAME_BYTES))


@each_ai
async def test_a_whisper_reaches_the_next_answer_and_an_ask_and_a_say_the_caller(home: Path, way: Way) -> None:
    async with talk(home, way) as call:
        await call.past_the_greeting()
        await call.do(control.Whisper, text="offer a full refund")
        call.says(1)
        await call.heard("I can offer you a full refund", 0)
        await call.heard("Thank you.", 0)
        assert call.turns(Party.OPERATOR, "offer a full refund")[0].kind is TurnKind.WHISPER
        await call.do(control.Ask, text="ask for the order number", cut_in=True)
        asked = await call.heard("order number", 300)
        assert asked.text.startswith("Of course.")
        await call.do(control.Say, text="One moment, please.")
        said = await call.heard_whole("One moment, please.", Party.OPERATOR)
        assert (said.kind, said.remark, said.heard_chars) == (TurnKind.SAY, "", len("One moment, please."))
        assert call.greetings() == 1


@each_ai
async def test_a_muted_ai_listens_and_answers_once_it_may(home: Path, way: Way) -> None:
    async with talk(home, way) as call:
        await call.begun()
        await call.do(control.MuteAI, muted=True)
        await call.line.until(lambda line: bool(line.stream.clear_ms))
        call.says(1)
        await call.until(lambda: call.turns(Party.CALLER, clip(1).text))
        assert call.wire.since_clear == 0 and call.view.ai_muted
        assert len(call.spoken) == 1
        await call.do(control.MuteAI, muted=False)
        await call.heard("two payments")
        assert call.greetings() == 1


@each_kind
async def test_who_takes_over_is_heard_alone_and_hands_back_to_one_who_knows(home: Path, way: Way) -> None:
    async with talk(home, way) as call:
        await call.begun()
        await call.do(control.TakeOver)
        await call.line.until(lambda line: bool(line.stream.clear_ms))
        if way is not KEYPAD:
            call.says(1)
            await call.until(lambda: call.turns(Party.CALLER, clip(1).text))
        assert call.wire.since_clear == 0
        await call.desk.talk(VOICE)
        await call.line.until(lambda line: VOICE in bytes(line.heard))
        assert len(call.spoken) == 1
        await call.do(control.HandBack, note="They get the money back.")
        if way is not KEYPAD:
            # The note is in the AI's first words, and what the caller told the colleague is not asked for again.
            await call.heard("They get the money back.", 0)
            assert "human colleague took over" in call.mind.told
        await call.until(lambda: len(call.spoken) == 2 and call.spoken[1].heard_ms > 300)
        assert call.greetings() == 1


@each_kind
async def test_a_caller_on_hold_hears_the_hold_and_is_gone_on_with(home: Path, way: Way) -> None:
    async with talk(home, way) as call:
        await call.begun()
        await call.do(control.Hold, held=True)
        sound = hold_sound.loop()[: 25 * FRAME_BYTES]
        await call.line.until(lambda line: sound in bytes(line.heard))
        assert call.view.floor is Floor.HOLD and len(call.spoken) == 1
        await call.do(control.Hold, held=False)
        await call.heard("Press 1" if way is KEYPAD else "Thanks for waiting.")
        assert call.greetings() == 1


@each_kind
async def test_an_interrupt_stops_the_words_that_play_and_those_that_wait(home: Path, way: Way) -> None:
    async with talk(home, way) as call:
        await call.begun()
        await call.do(control.Say, text="One moment, please.")
        await call.do(control.Interrupt)
        await call.line.until(lambda line: bool(line.stream.clear_ms))
        greeting = await call.until(lambda: next((t for t in call.turns(Party.AI) if t.state is TurnState.CUT), None))
        assert greeting.cut_by is Party.OPERATOR and greeting.heard_ms > 0
        if way is KEYPAD:
            call.line.press("1")
            await call.heard("A colleague is being called")
        else:
            call.says(1)
            await call.heard("two payments")
        assert call.view.operator_interruptions == 1 and call.greetings() == 1
