"""What a caller or an operator cuts off ends everywhere, and noise and assent cut off nothing for long."""

from __future__ import annotations

from bridge.engines import CallerStarted, CallerWords, ReplyDone, ReplyStarted, ReplyWords, ReplyWordsDone
from bridge.engines.cascade_memory import FALSE_INTERRUPTION
from bridge.rehearsal.model import Faults
from tests.bridge.cascade_parts import CHARGED, HELLO, MS_PER_CHAR, Desk, asked_with, greeted


async def test_the_caller_cuts_in(desk: Desk) -> None:
    desk.engine.greet(HELLO)
    words = await desk.told(ReplyWordsDone)
    desk.in_play = (words.item_id, 20 * MS_PER_CHAR)
    desk.says(CHARGED.line)
    started = await desk.told(CallerStarted)
    assert started.speech_ms == 500
    await desk.told(ReplyWordsDone, 2)
    assert desk.model.chat.requests[-1].messages[1:] == [
        {"role": "assistant", "content": "Hello. This is"},
        {"role": "user", "content": CHARGED.line},
    ]


async def test_what_the_caller_cuts_off_ends_at_every_vendor(desk: Desk) -> None:
    desk.model.chat.tokens_per_s = 20
    desk.says(CHARGED.line)
    await desk.until(lambda: bool(desk.sound_ms))
    item_id = next(iter(desk.sound_ms))
    desk.voice.holds = lambda text: True
    await desk.until(lambda: len(desk.voice.said) > 1)
    desk.in_play = (item_id, 700)
    desk.says("No, wait.", ends=False)
    done = await desk.told(ReplyDone)
    assert (done.status, done.spoke) == ("cancelled", True) and done.tokens > 0
    await desk.model.until(lambda: desk.model.chat.requests[0].left)
    await desk.until(lambda: bool(desk.voice.cancelled))
    sounded = dict(desk.sound_ms)
    desk.voice.let_go.set()
    desk.engine.played(item_id)
    assert desk.sound_ms == sounded


async def test_an_answer_in_the_making_is_stopped_too(desk: Desk) -> None:
    desk.model.faults = Faults(chat_silent=True, chat_times=1)
    desk.says(CHARGED.line)
    await desk.model.until(lambda: len(desk.model.chat.requests) == 1)
    desk.says("It was in March.")
    assert (await desk.told(ReplyDone)).status == "cancelled"
    await desk.told(ReplyWordsDone)
    assert asked_with(desk) == [("user", CHARGED.line), ("user", "It was in March.")]


async def test_assent_interrupts_nothing_but_is_written_down(desk: Desk) -> None:
    await greeted(desk)
    desk.says("Mm-hm.", ms=300)
    assert desk.all(CallerWords)[-1].text == "Mm-hm." and desk.all(CallerWords)[-1].final
    desk.silent(3000)
    assert not desk.all(CallerStarted) and not desk.model.chat.requests


async def test_after_a_false_interruption_it_goes_on_where_it_was(desk: Desk) -> None:
    item_id = await greeted(desk)
    desk.in_play = (item_id, 30 * MS_PER_CHAR)
    desk.sounds(700)
    await desk.told(CallerStarted)
    desk.silent(2000)
    words = await desk.told(ReplyWordsDone, 2)
    assert words.text == "assistant, an AI. This call is recorded."
    assert desk.all(CallerWords)[-1].text == "" and desk.all(CallerWords)[-1].final
    assert not desk.model.chat.requests


async def test_and_thinks_again_what_was_not_thought_to_its_end(desk: Desk) -> None:
    desk.model.chat.tokens_per_s = 20
    desk.says(CHARGED.line)
    await desk.until(lambda: bool(desk.sound_ms))
    desk.in_play = (next(iter(desk.sound_ms)), 10_000)
    desk.sounds(700)
    await desk.told(ReplyDone)
    desk.model.chat.tokens_per_s = 0
    desk.silent(2000)
    words = await desk.told(ReplyWordsDone)
    assert asked_with(desk)[-1] == ("system", FALSE_INTERRUPTION)
    assert words.text.startswith("As I was saying.")


async def test_an_answer_that_noise_kept_from_being_begun_is_given_after_all(desk: Desk) -> None:
    desk.model.faults = Faults(chat_silent=True, chat_times=1)
    desk.says(CHARGED.line)
    await desk.model.until(lambda: len(desk.model.chat.requests) == 1)
    desk.sounds(300)
    assert (await desk.told(ReplyDone)).status == "cancelled"
    desk.silent(2000)
    assert (await desk.told(ReplyWordsDone)).text == CHARGED.says


async def test_an_operator_cuts_and_nothing_comes_after(desk: Desk) -> None:
    item_id = await greeted(desk)
    desk.voice.holds = lambda text: True
    desk.engine.say("One moment.", "say-request")
    desk.engine.say("Another moment.", "say-request-2")
    await desk.told(ReplyStarted, 2)
    desk.engine.cut(item_id, 0, by_caller=False)
    assert desk.all(ReplyDone)[-1].status == "cancelled"
    desk.voice.let_go.set()
    desk.voice.holds = lambda text: False
    desk.engine.answer_now()
    await desk.told(ReplyDone, 3)
    assert asked_with(desk) == [] and len(desk.all(ReplyStarted)) == 3


async def test_a_cut_with_nothing_in_play_leaves_what_was_heard(desk: Desk) -> None:
    desk.voice.holds = lambda text: "recorded" in text
    desk.engine.greet(HELLO)
    await desk.until(lambda: "".join(event.delta for event in desk.all(ReplyWords)).endswith("an AI. "))
    desk.engine.cut("", 0, by_caller=False)
    desk.engine.answer_now()
    await desk.told(ReplyDone, 2)
    assert asked_with(desk) == [("assistant", "Hello. This is Northgate's assistant, an AI.")]
