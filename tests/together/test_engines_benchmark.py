"""That the benchmark of the engines still measures."""

from __future__ import annotations

import pytest

from tests.benchmarks.engines import SUBJECTS, measure_all, row


async def test_answers_are_taken_apart() -> None:
    names = ("cascade: flux, elevenlabs", "naive: deepgram, elevenlabs")
    subjects = tuple(subject for subject in SUBJECTS if subject.name in names)
    for result in await measure_all(subjects, turns=1, calls=0, core=-1, hurry=True):
        (answer,) = result.answers
        assert answer.whole == pytest.approx(answer.vendors + answer.waited + answer.added)
        assert answer.vendors > 300 and min(answer.added, answer.way_in, answer.to_voice, answer.way_out) > 0
        assert result.subject.name in row(result)
