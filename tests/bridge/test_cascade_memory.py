"""What a cascade remembers: what was said, what was heard, what it was told, and what its tools found."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.chat import ChatCompletionMessageParam
from pydantic import TypeAdapter

from bridge.engines import Remembered, Role, cascade_memory
from bridge.engines.cascade_memory import STILL_RUNNING, Memory, Unheard

MESSAGES: TypeAdapter[Any] = TypeAdapter(list[ChatCompletionMessageParam])
SORRY = "I am so sorry about that. What is the order number, please?"


@pytest.fixture
def memory() -> Memory:
    return Memory("You answer for Northgate.")


def told(memory: Memory, **given: str) -> list[tuple[str, str]]:
    """Role and words of all but the prompt, in the shapes that the real one takes."""
    messages = memory.messages(**given)
    MESSAGES.validate_python(messages, strict=True)
    assert messages[0] == {"role": "system", "content": "You answer for Northgate."}
    return [(message["role"], message["content"]) for message in messages[1:]]


def says(memory: Memory, item_id: str, text: str, sound_ms: float = 6000) -> None:
    memory.spoke(item_id, text, 0)
    memory.spoke(item_id, "", sound_ms)
    memory.spoken(item_id)


def test_both_sides_are_remembered_in_order(memory: Memory) -> None:
    assert memory.is_empty
    memory.caller_said(" I was charged twice. ")
    memory.caller_said(" ")
    says(memory, "a", SORRY + " ")
    memory.note("The caller was on hold for 9 s.")
    assert told(memory) == [
        ("user", "I was charged twice."),
        ("assistant", SORRY),
        ("system", "The caller was on hold for 9 s."),
    ]
    assert not memory.is_empty


def test_guidance_is_told_in_the_words_of_every_engine(memory: Memory) -> None:
    memory.whisper("offer a refund")
    assert told(memory) == [("system", "Guidance from your supervisor, not to be read out: offer a refund")]


def test_words_of_one_reply_alone_are_not_kept(memory: Memory) -> None:
    assert told(memory, caller="And?", last="Be brief.") == [("user", "And?"), ("system", "Be brief.")]
    assert told(memory) == []


def test_what_was_said_before_is_recalled(memory: Memory) -> None:
    memory.recall(
        [
            Remembered(Role.CALLER, "Hello?"),
            Remembered(Role.AI, "Hello. This is Northgate."),
            Remembered(Role.OPERATOR, "One moment."),
            Remembered(Role.NOTE, "The caller pressed 1."),
            Remembered(Role.TOOL, '{"payments":2}', "find_payments", '{"order":"8841"}'),
            Remembered(Role.TOOL, "done", "refund"),
        ]
    )
    messages = memory.messages()
    MESSAGES.validate_python(messages, strict=True)
    assert [message["content"] for message in messages[1:5]] == [
        "Hello?",
        "Hello. This is Northgate.",
        'A human colleague said to the caller: "One moment."',
        "The caller pressed 1.",
    ]
    (call,), result = messages[5]["tool_calls"], messages[6]
    assert (call["function"], result["content"]) == (
        {"name": "find_payments", "arguments": '{"order":"8841"}'},
        '{"payments":2}',
    )
    assert call["id"] == result["tool_call_id"] != messages[8]["tool_call_id"]


# ── what was heard ──


def test_a_cut_leaves_the_words_that_were_heard(memory: Memory) -> None:
    says(memory, "a", SORRY)
    assert memory.cut("a", 2650) == [Unheard("a", "What is the order number, please?")]
    assert told(memory) == [("assistant", "I am so sorry about that.")]
    assert memory.cut("a", 0) == []


def test_what_was_made_after_the_item_in_play_was_never_said(memory: Memory) -> None:
    says(memory, "a", "One.")
    says(memory, "b", SORRY)
    memory.caller_said("Wait.")
    says(memory, "c", "Three.")
    assert memory.cut("b", 0) == [Unheard("b", SORRY), Unheard("c", "Three.")]
    assert told(memory) == [("assistant", "One."), ("user", "Wait.")]


def test_a_whole_item_stays_whole(memory: Memory) -> None:
    says(memory, "a", SORRY)
    assert memory.cut("a", 5990) == []
    assert told(memory) == [("assistant", SORRY)]


def test_what_was_heard_to_its_end_is_not_cut_any_more(memory: Memory) -> None:
    says(memory, "a", SORRY)
    memory.heard("a")
    assert memory.cut("a", 0) == [] and told(memory) == [("assistant", SORRY)]


def test_of_speech_in_the_making_the_share_counts_that_was_made(memory: Memory) -> None:
    memory.spoke("a", "I am so sorry ", 1000)
    assert memory.cut("a", 1000) == [Unheard("a", "")]
    assert told(memory) == [("assistant", "I am so sorry")]
    memory.spoke("b", "Soundless ", 0)
    assert memory.cut("b", 0) == [Unheard("b", "Soundless")]
    assert told(memory) == [("assistant", "I am so sorry")]


def test_items_that_nobody_knows_change_nothing(memory: Memory) -> None:
    memory.spoken("x")
    memory.heard("x")
    assert memory.cut("x", 0) == [] and memory.is_empty


# ── tools ──


def test_results_follow_their_calls_in_whatever_order_they_come(memory: Memory) -> None:
    memory.tools_called([("1", "find_payments", "{}"), ("2", "find_customer", "{}")])
    memory.tool_answered("2", "Ada")
    memory.caller_said("Well?")
    memory.tool_answered("1", "two")
    memory.tool_answered("1", "again")
    memory.tool_answered("7", "of nobody")
    assert told(memory) == [("assistant", None), ("tool", "two"), ("tool", "Ada"), ("user", "Well?")]


def test_words_and_tools_of_one_reply_are_one_message(memory: Memory) -> None:
    memory.spoke("a", "", 0)
    memory.tools_called([("1", "find_payments", "{}")])
    assert told(memory) == [("assistant", None), ("tool", STILL_RUNNING)]
    memory.spoke("a", "One moment.", 800)
    assert told(memory) == [("assistant", "One moment."), ("tool", STILL_RUNNING)]


def test_a_result_that_the_model_was_told_to_wait_for_comes_as_news(memory: Memory) -> None:
    memory.tools_called([("1", "find_payments", "{}")])
    memory.caller_said("Well?")
    assert told(memory) == [("assistant", None), ("tool", STILL_RUNNING), ("user", "Well?")]
    memory.tool_answered("1", "two")
    assert told(memory)[1:] == [
        ("tool", STILL_RUNNING),
        ("user", "Well?"),
        ("system", "The tool find_payments has finished. Its result: two"),
    ]


def test_the_oldest_is_forgotten_when_it_becomes_too_much(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cascade_memory, "MOST_CHARS", 30)
    memory.tools_called([("1", "find_payments", '{"order":"8841"}')])
    memory.tool_answered("1", "two")
    memory.caller_said("A short turn.")
    assert told(memory) == [("user", "A short turn.")]
    memory.note("x" * 100)
    assert told(memory) == [("system", "x" * 100)]
    monkeypatch.setattr(cascade_memory, "MOST_ENTRIES", 3)
    monkeypatch.setattr(cascade_memory, "MOST_CHARS", 1000)
    for number in range(5):
        memory.caller_said(str(number))
    assert [text for _, text in told(memory)] == ["2", "3", "4"]
