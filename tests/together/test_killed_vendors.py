"""Calls whose vendors die, and one whose AI is renewed again and again: what the benchmarks run for long, run shortly.

On a clock that jumps over the time in which nothing happens, so with engines that start no processes.
"""

from __future__ import annotations

from pathlib import Path

from bridge.profiles import CascadeProfile
from tests.benchmarks import failover, long_call
from tests.benchmarks.hurried_loop import run_hurried
from tests.benchmarks.vendor_relay import Death

POSTS = [(("openai", "openai", "keypad"), CascadeProfile())] * 2


def test_callers_whose_ai_dies_are_answered_and_not_greeted_again(home: Path) -> None:
    tally = run_hurried(failover.measure(4, 3, POSTS, home))
    assert not (tally.greeted_twice or tally.broken)
    assert len([turn for turn in tally.turns if turn.words != "greeting"]) == 4
    assert {kill.death for turn in tally.turns for kill in turn.kills} <= set(Death)
    assert all(turn.answered for turn in tally.turns)
    assert len(failover.table(tally)) > 8


def test_a_renewed_ai_loses_no_turn_and_no_frame(home: Path) -> None:
    seen = run_hurried(long_call.measure(60.0, 0.04, 1, home))
    assert not seen.failures(least_renewals=2)
    assert len(long_call.report(seen)) > 8
