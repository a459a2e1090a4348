"""How long the caller waited, stage by stage."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bridge.control import AnswerView
from console.stages import Stage, answer_lines, answer_words, filler_words, parts, total_ms

REALTIME = AnswerView(
    call_id="c1", answer_id="1", at_ms=156_000, end_of_speech_ms=120, model_ms=640, tool_ms=0, ear_ms=60
)
CASCADE = replace(REALTIME, engine="cascade", model_ms=700, tool_ms=300, words_ms=200, token_ms=650, sound_ms=270)


def lengths(answer: AnswerView) -> dict[Stage, int]:
    assert sum(part.ms for part in parts(answer)) == total_ms(answer)
    return {part.stage: part.ms for part in parts(answer)}


def test_an_engine_that_tells_no_steps_has_one_stage_for_its_model() -> None:
    assert lengths(REALTIME) == {Stage.END_OF_SPEECH: 120, Stage.MODEL: 640, Stage.EAR: 60}
    assert list(lengths(REALTIME)) == sorted(lengths(REALTIME), key=list(Stage).index)


def test_a_cascades_model_is_split_and_a_tool_counts_once() -> None:
    assert lengths(CASCADE) == {
        Stage.END_OF_SPEECH: 120,
        Stage.WORDS: 80,
        Stage.TOKEN: 350,
        Stage.VOICE: 270,
        Stage.TOOL: 300,
        Stage.EAR: 60,
    }


@pytest.mark.parametrize(
    ("steps", "split"),
    [
        ({"words_ms": 50, "token_ms": 500}, (0, 130, 570)),
        ({"words_ms": 5000, "token_ms": 500}, (700, 0, 0)),
        ({"words_ms": 200, "token_ms": 9000}, (80, 620, 0)),
        ({"words_ms": 200, "token_ms": 100}, (80, 0, 620)),
    ],
)
def test_steps_that_do_not_fit_the_whole_give_way(steps: dict[str, int], split: tuple[int, ...]) -> None:
    told = lengths(replace(CASCADE, **steps))
    assert tuple(told.get(stage, 0) for stage in (Stage.WORDS, Stage.TOKEN, Stage.VOICE)) == split


def test_an_answer_in_words() -> None:
    assert answer_words(REALTIME) == "02:36  820 ms: end of speech 120 ms, model 640 ms, to the ear 60 ms"
    assert answer_words(replace(CASCADE, tool_ms=0, filler_ms=0)).startswith("02:36  880 ms, by Cascade: end of speech")


def test_an_answer_line_by_line() -> None:
    assert answer_lines(replace(REALTIME, engine="openai")) == [
        "02:36  820 ms, by OpenAI Realtime",
        "end of speech 120 ms",
        "model 640 ms",
        "to the ear 60 ms",
    ]


def test_filler_is_told_apart() -> None:
    assert filler_words(REALTIME) == ""
    assert answer_words(replace(REALTIME, model_ms=3000, filler_ms=2300)) == (
        "02:36  3.2 s: end of speech 120 ms, model 3.0 s, to the ear 60 ms, filler heard after 2.3 s, not counted"
    )
