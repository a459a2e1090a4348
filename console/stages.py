"""The stages of one answer, as an operator is shown how long the caller waited. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bridge.control import AnswerView
from console.names import engine_word
from console.timeline import clock_text, span_text


class Stage(StrEnum):
    """The stages in their order. WORDS, TOKEN and VOICE are the MODEL's of an engine that tells them apart."""

    END_OF_SPEECH = "end of speech"
    WORDS = "words"
    TOKEN = "model's first token"
    VOICE = "voice"
    MODEL = "model"
    TOOL = "tool"
    EAR = "to the ear"


@dataclass(frozen=True)
class Part:
    """One stage of one answer."""

    stage: Stage
    ms: int


def total_ms(answer: AnswerView) -> int:
    """From the caller's silence until the answer was heard."""
    return answer.end_of_speech_ms + answer.model_ms + answer.tool_ms + answer.ear_ms


def parts(answer: AnswerView) -> tuple[Part, ...]:
    """The stages that took any time, in their order; they add up to `total_ms`."""
    told = [
        (Stage.END_OF_SPEECH, answer.end_of_speech_ms),
        *_model(answer),
        (Stage.TOOL, answer.tool_ms),
        (Stage.EAR, answer.ear_ms),
    ]
    return tuple(Part(stage, ms) for stage, ms in told if ms > 0)


def _model(answer: AnswerView) -> list[tuple[Stage, int]]:
    """The model's time, split where the engine tells its steps.

    The words may be final before the end of the speech was noticed, and a tool runs before the
    first token that is spoken: neither counts twice.
    """
    if not answer.token_ms:
        return [(Stage.MODEL, answer.model_ms)]
    begun = answer.end_of_speech_ms
    heard = begun + answer.model_ms
    words = min(max(begun, answer.words_ms), heard)
    token = min(max(words, answer.words_ms + answer.token_ms - answer.tool_ms), heard)
    return [(Stage.WORDS, words - begun), (Stage.TOKEN, token - words), (Stage.VOICE, heard - token)]


def filler_words(answer: AnswerView) -> str:
    """That something was played while the caller waited, "" if nothing was."""
    return f"filler heard after {span_text(answer.filler_ms)}, not counted" if answer.filler_ms else ""


def answer_lines(answer: AnswerView) -> list[str]:
    """When, how long and by whom; then a line for each stage, and one for a filler."""
    engine = f", by {engine_word(answer.engine)}" if answer.engine else ""
    head = f"{clock_text(answer.at_ms)}  {span_text(total_ms(answer))}{engine}"
    stages = [f"{part.stage} {span_text(part.ms)}" for part in parts(answer)]
    return [head, *stages, *filter(None, [filler_words(answer)])]


def answer_words(answer: AnswerView) -> str:
    """The same on one line."""
    head, *rest = answer_lines(answer)
    return f"{head}: {', '.join(rest)}"
