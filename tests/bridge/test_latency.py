"""How long vendors take."""

from __future__ import annotations

from bridge.latency import KEPT_TURNS, Latency


def test_the_middle_and_the_slow_end_are_told_by_vendor_and_step() -> None:
    latency = Latency()
    for ms in range(1, 101):
        view = latency.add("deepgram", "words", float(ms))
    assert (view.p50_ms, view.p95_ms, view.turns) == (51, 96, 100)
    assert latency.add("deepgram", "sound", 7.4).p95_ms == 7
    assert [(view.vendor, view.step) for view in latency.views()] == [("deepgram", "words"), ("deepgram", "sound")]


def test_only_the_newest_turns_count() -> None:
    latency = Latency()
    for _ in range(KEPT_TURNS):
        latency.add("slow", "token", 900)
    for _ in range(KEPT_TURNS):
        view = latency.add("slow", "token", 10)
    assert (view.p50_ms, view.p95_ms, view.turns) == (10, 10, KEPT_TURNS)
