"""Whatever order callers, operators, tools and carriers act in, a cascade keeps to the rules of both its sides."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from bridge.engines import ReplyDone, ReplyStarted, ReplyWords, ReplyWordsDone, SpeechDone, ToolAsked
from bridge.rehearsal import scenario
from bridge.rehearsal.model import Faults, Model
from tests.bridge.cascade_parts import KEY, Desk, at_work

LINES = [reply.line for reply in scenario.load("billing").replies] + ["Mm-hm.", "Wait.", "My number is 555"]
STEPS = 120


class Act:
    """One thing after the other, by chance."""

    def __init__(self, desk: Desk, chance: Random) -> None:
        self.desk, self.chance = desk, chance
        self.open = ""
        self.answered: set[str] = set()
        self.cut_off: dict[str, float] = {}

    def say(self) -> None:
        self.desk.says(self.chance.choice(LINES), ms=self.chance.choice((100, 300, 700)))

    def begin(self) -> None:
        self.open = self.desk.says(self.chance.choice(LINES), ms=self.chance.choice((100, 700)), ends=False)
        if self.chance.random() < 0.6:
            self.desk.words.may_end(self.open)

    def end(self) -> None:
        if self.open:
            self.desk.words.heard(self.open, self.chance.choice(LINES), True)
            self.desk.words.ended(self.open, self.desk.clock_ms)

    def noise(self) -> None:
        self.desk.sounds(self.chance.choice((60, 300, 700)))
        self.desk.silent(self.chance.choice((100, 2000)))

    def cut(self) -> None:
        items = [*self.desk.sound_ms, ""]
        item_id = self.chance.choice(items[-2:])
        self.desk.engine.cut(item_id, self.chance.randrange(4000), by_caller=False)
        self.cut_off = dict(self.desk.sound_ms)

    def in_play(self) -> None:
        if self.desk.sound_ms:
            self.desk.in_play = (list(self.desk.sound_ms)[-1], self.chance.randrange(4000))

    def play(self) -> None:
        for event in self.desk.all(SpeechDone):
            self.desk.engine.played(event.item_id)

    def answer_tools(self) -> None:
        for event in self.desk.all(ToolAsked):
            if event.tool_id not in self.answered and self.chance.random() < 0.7:
                self.answered.add(event.tool_id)
                self.desk.engine.answer_tool(event.tool_id, '{"amount":48.0}')

    def operate(self) -> None:
        engine = self.desk.engine
        match self.chance.randrange(7):
            case 0:
                engine.say("One moment, please.", "say")
            case 1:
                engine.ask("We open at nine.", "ask", cut_in=False)
            case 2:
                engine.whisper("offer a refund")
            case 3:
                engine.tell("The caller pressed 1.")
            case 4:
                engine.unhear()
            case 5:
                engine.may_answer(False)
            case _:
                engine.may_answer(True)
                engine.answer_now()


@pytest.mark.parametrize("seed", range(8))
async def test_any_order_keeps_the_rules(seed: int) -> None:
    chance = Random(seed)
    async with Model(api_key=KEY, seed=seed) as model:
        model.chat.delay_ms, model.chat.tokens_per_s = (0, 3), 5000
        async with at_work(Desk(model)) as desk:
            act = Act(desk, chance)
            acts = (
                act.say,
                act.begin,
                act.end,
                act.noise,
                act.cut,
                act.in_play,
                act.play,
                act.answer_tools,
                act.operate,
            )
            for step in range(STEPS):
                if step % 30 == 15:
                    model.faults = Faults(chat_cut_after=chance.randrange(1, 5), chat_times=1)
                chance.choice(acts)()
                assert desk.sound_ms.keys() >= act.cut_off.keys()
                for _ in range(chance.randrange(12)):
                    await asyncio.sleep(0)
                assert all(desk.sound_ms[item_id] == made_ms for item_id, made_ms in act.cut_off.items())
            assert not desk.running.done()
            desk.engine.may_answer(False)
            desk.engine.cut("", 0, by_caller=False)
    assert model.chat.refusals == []
    started = [event.reply_id for event in desk.all(ReplyStarted)]
    assert [event.reply_id for event in desk.all(ReplyDone)] == started and len(started) == len(set(started)) > 3
    whole = {event.item_id: event.text for event in desk.all(ReplyWordsDone)}
    for item_id, text in whole.items():
        said = "".join(event.delta for event in desk.all(ReplyWords) if event.item_id == item_id)
        assert said.split() == text.split()
    assert {event.item_id for event in desk.all(SpeechDone)} == set(whole)
