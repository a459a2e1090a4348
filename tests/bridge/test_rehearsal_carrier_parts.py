"""The parts of the simulated telephone company that need no socket: TwiML, playing, listening, the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import pairwise
from types import SimpleNamespace

import pytest

from bridge.audio import FRAME_BYTES, SILENT_FRAME
from bridge.rehearsal import ticker as ticker_module
from bridge.rehearsal.caller import SILENCE, Caller, frames_of
from bridge.rehearsal.playback import BUFFER_BYTES, Playback, Underrun
from bridge.rehearsal.scenario import CallerStep, Wait
from bridge.rehearsal.ticker import Ticker
from bridge.rehearsal.twiml import TwimlError, check_content_type, read
from tests.bridge.rehearsal_carrier_customer import TONE, connect

LOUD = TONE[:FRAME_BYTES]
FAINT = b"\xf0" * FRAME_BYTES
CLIP = bytes(range(200))


# ── TwiML ─────────────────────────────────────────────────────────────────────────────────


def faults(twiml: str) -> list[tuple[int, str]]:
    return [tuple(fault) for fault in read(twiml)[1]]


def test_what_twilio_takes_is_read() -> None:
    verbs, found = read(connect('action="/after" method="POST"', tail="<Pause/><Reject reason='busy'/>"))
    assert found == [] and [verb.name for verb in verbs] == ["Connect", "Pause", "Reject"]
    [stream] = verbs[0].children
    assert stream.get("url") == "ws://{host}/media" and stream.children[0].get("value") == "one-time"
    assert verbs[1].number("length", 1) == 1


@pytest.mark.parametrize(
    ("twiml", "code"),
    [
        ("", 12100),
        ("<Response>", 12100),
        ("<Reply/>", 12100),
        ("\ud800", 12100),
        ('<!DOCTYPE r [<!ENTITY e "x">]><Response>&e;</Response>', 12100),
        (f"<Response><Say>{'x' * 70_000}</Say></Response>", 11750),
    ],
)
def test_what_is_no_twiml_ends_the_call(twiml: str, code: int) -> None:
    with pytest.raises(TwimlError) as caught:
        read(twiml)
    assert caught.value.fault.code == code


@pytest.mark.parametrize(
    ("inside", "fault"),
    [
        ("words", (12200, "<Response> takes no text")),
        ("<Shout/>", (12200, "<Shout> is unknown")),
        ("<hangup/>", (12200, "<hangup> is unknown")),
        ("<Gather/>", (12200, "<Gather> is Twilio's, but the rehearsal does not perform it")),
        ("<Number/>", (12200, "<Number> does not belong into <Response>")),
        ("<Hangup now='1'/>", (12200, "<Hangup> has no attribute now")),
        ("<Pause length='x'/>", (12200, "length of <Pause> must be a whole number")),
        ("<Reject reason='tired'/>", (12200, "reason of <Reject> must be one of busy, rejected")),
        ("<Connect/>", (12200, "<Connect> needs one <Stream>, not 0")),
        ("<Connect><Stream/></Connect>", (12200, "<Stream> needs url")),
        (
            "<Connect><Stream url='u' track='both_tracks'/></Connect>",
            (31941, "a two-way stream has the inbound_track only"),
        ),
        (
            f"<Connect><Stream url='u'><Parameter name='n' value='{'x' * 499}'/></Stream></Connect>",
            (12200, "name and value of <Parameter> must be under 500 characters together"),
        ),
    ],
)
def test_what_twilio_does_not_know_is_said_and_left_out(inside: str, fault: tuple[int, str]) -> None:
    assert faults(f"<Response>{inside}</Response>") == [fault]


def test_only_xml_is_xml() -> None:
    check_content_type("Text/XML; charset=utf-8")
    for kind in ("", "application/json", "text/plain; x=text/xml"):
        with pytest.raises(TwimlError) as caught:
            check_content_type(kind)
        assert caught.value.fault.code == 12300


# ── playing ───────────────────────────────────────────────────────────────────────────────


def test_marks_come_back_when_the_audio_before_them_was_played() -> None:
    playback = Playback(heard := bytearray())
    assert playback.mark("nothing before")
    playback.push(LOUD + LOUD[:10])
    assert not playback.mark("a") and not playback.mark("b")
    assert playback.tick() == (LOUD, [])
    assert playback.tick() == (LOUD[:10] + SILENT_FRAME[10:], [])
    assert playback.tick() == (SILENT_FRAME, ["a", "b"])
    assert playback.mark("nothing before again")
    assert heard == LOUD + LOUD[:10] + SILENT_FRAME[10:] + SILENT_FRAME
    assert playback.played_bytes == FRAME_BYTES + 10 and playback.position_ms == 60


def test_a_mark_waits_for_the_frame_being_played() -> None:
    playback = Playback(None)
    playback.push(LOUD)
    playback.tick()
    assert not playback.mark("a")
    assert playback.tick() == (SILENT_FRAME, ["a"])


def test_clear_forgets_but_does_not_recall() -> None:
    playback = Playback(heard := bytearray())
    playback.push(LOUD * 3)
    playback.mark("a")
    playback.tick()
    assert playback.clear() == ["a"] and playback.buffered_bytes == 0 and playback.clear() == []
    playback.tick()
    playback.push(LOUD)
    playback.tick()
    assert heard == LOUD + SILENT_FRAME + LOUD and playback.underruns == []


def test_a_gap_in_the_midst_of_speech_is_an_underrun() -> None:
    playback = Playback(None)
    playback.tick()
    playback.push(LOUD + LOUD[:80])
    for _ in range(4):
        playback.tick()
    playback.push(LOUD)
    playback.tick()
    assert playback.underruns == [Underrun(100, 50)]
    for _ in range(40):
        playback.tick()
    playback.push(LOUD)
    playback.tick()
    assert len(playback.underruns) == 1


def test_ten_minutes_are_the_most() -> None:
    playback = Playback(None)
    assert playback.push(bytes(BUFFER_BYTES)) and not playback.push(b"x")
    assert playback.buffered_bytes == BUFFER_BYTES


# ── listening and speaking ────────────────────────────────────────────────────────────────


def someone(*steps: CallerStep) -> tuple[Caller, list[str]]:
    told: list[str] = []
    return Caller(steps, lambda kind, text: told.append(f"{kind} {text}")), told


def hear(caller: Caller, frame: bytes, ms: int) -> bytes:
    return b"".join(caller.tick(frame).audio for _ in range(ms // 20))


def spoke(audio: bytes) -> bool:
    return audio.strip(b"\xff") != b""


def test_a_clip_is_cut_from_its_first_byte() -> None:
    first, last = frames_of(CLIP)
    assert first.audio == CLIP[:160] and last.audio == CLIP[160:] + SILENT_FRAME[40:]
    assert SILENCE.audio == SILENT_FRAME and frames_of(b"") == ()


def test_a_pause_is_waited_for() -> None:
    caller, told = someone(CallerStep(Wait.PAUSE, 100, CLIP, "hello"))
    assert not spoke(hear(caller, SILENT_FRAME, 80)) and not caller.done
    assert hear(caller, SILENT_FRAME, 40) == CLIP + SILENT_FRAME[40:]
    assert caller.done and told == ["speaks hello"] and not caller.is_speaking


def test_a_reply_must_come_and_end() -> None:
    caller, _ = someone(CallerStep(Wait.REPLY_END, 300, CLIP))
    assert not spoke(hear(caller, SILENT_FRAME, 1000))
    assert not spoke(hear(caller, FAINT, 1000))
    assert not spoke(hear(caller, LOUD, 40) + hear(caller, SILENT_FRAME, 1000))  # a click
    assert not spoke(hear(caller, LOUD, 500) + hear(caller, SILENT_FRAME, 200))
    assert not spoke(hear(caller, LOUD, 500) + hear(caller, SILENT_FRAME, 280))
    assert spoke(hear(caller, SILENT_FRAME, 40))


def test_the_end_of_what_was_spoken_over_is_no_reply() -> None:
    over, answer = CallerStep(Wait.REPLY_MS, 200, CLIP), CallerStep(Wait.REPLY_END, 300, CLIP)
    caller, _ = someone(over, answer)
    assert spoke(hear(caller, LOUD, 240))
    assert not spoke(hear(caller, LOUD, 200) + hear(caller, SILENT_FRAME, 900))
    assert not spoke(hear(caller, LOUD, 200) + hear(caller, SILENT_FRAME, 280))
    assert spoke(hear(caller, SILENT_FRAME, 40))


def test_whoever_carries_on_regardless_has_replied() -> None:
    caller, _ = someone(CallerStep(Wait.REPLY_MS, 200, CLIP), CallerStep(Wait.REPLY_END, 300, CLIP))
    hear(caller, LOUD, 1400)
    assert spoke(hear(caller, SILENT_FRAME, 320))


def test_a_barge_in_counts_speech_and_not_its_echo() -> None:
    caller, _ = someone(CallerStep(Wait.REPLY_MS, 400, CLIP))
    assert not spoke(hear(caller, LOUD, 300) + hear(caller, SILENT_FRAME, 700))
    assert not spoke(hear(caller, LOUD, 380))
    assert spoke(hear(caller, LOUD, 40))


def test_waiting_ends() -> None:
    caller, told = someone(CallerStep(Wait.REPLY_END, 300, CLIP, "hello?", give_up_ms=500))
    assert not spoke(hear(caller, SILENT_FRAME, 480))
    assert spoke(hear(caller, SILENT_FRAME, 40))
    assert caller.gave_up == [0] and told == ["gave-up step 0: waited 500 ms for reply_end", "speaks hello?"]


def test_keys_are_pressed_one_after_the_other() -> None:
    caller, _ = someone(CallerStep(Wait.PAUSE, 0, digits="12"), CallerStep(Wait.PAUSE, 0, hang_up=True))
    hear(caller, SILENT_FRAME, 20)
    assert caller.digits == "1" and not caller.wants_to_hang_up
    hear(caller, SILENT_FRAME, 200)
    assert caller.digits == "12"
    hear(caller, SILENT_FRAME, 40)
    assert caller.wants_to_hang_up and caller.done


def test_only_to_hang_up_is_as_good_as_done() -> None:
    assert someone(CallerStep(Wait.PAUSE, 0, hang_up=True))[0].done
    assert not someone(CallerStep(Wait.PAUSE, 0, CLIP, hang_up=True))[0].done


def test_a_new_stream_begins_with_new_ears() -> None:
    caller, _ = someone(CallerStep(Wait.PAUSE, 0, CLIP * 10), CallerStep(Wait.REPLY_END, 300, CLIP))
    hear(caller, LOUD, 200)
    caller.begin_again()
    assert not spoke(hear(caller, SILENT_FRAME, 1000))
    caller.then(CallerStep(Wait.PAUSE, 0))
    assert spoke(hear(caller, LOUD, 100) + hear(caller, SILENT_FRAME, 320))


# ── the clock ─────────────────────────────────────────────────────────────────────────────


def nothing_fails(error: Exception) -> None:
    raise AssertionError from error


class Counter:
    """Counts its ticks and ends a wait at the tenth."""

    def __init__(self) -> None:
        self.count = 0
        self.tenth = asyncio.Event()

    def tick(self) -> None:
        self.count += 1
        if self.count == 10:
            self.tenth.set()


async def all_of(counters: Iterable[Counter]) -> None:
    for counter in counters:
        await counter.tenth.wait()


async def test_all_lines_tick_alike() -> None:
    ticker, counters = Ticker(), [Counter() for _ in range(45)]
    for counter in counters:
        ticker.add(counter.tick, nothing_fails)
    await all_of(counters)
    assert max(c.count for c in counters) - min(c.count for c in counters) <= 1
    for counter in counters:
        ticker.remove(counter.tick)
        ticker.remove(counter.tick)


class Clock:
    """An event loop's clock and one timer, wound by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.at_s = 0.0
        self.call: Callable[[], None] | None = None

    def time(self) -> float:
        return self.now_s

    def call_at(self, at_s: float, call: Callable[[], None]) -> Clock:
        self.at_s, self.call = at_s, call
        return self

    def cancel(self) -> None:
        self.call = None

    def run_until(self, now_s: float) -> None:
        """Fires the timer whenever it is due."""
        while self.call is not None and self.at_s <= now_s:
            self.now_s = self.at_s
            self.call()
        self.now_s = now_s

    def stall_until(self, now_s: float) -> None:
        """Fires the timer once, late."""
        self.now_s = now_s
        assert self.call is not None
        self.call()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(ticker_module, "asyncio", SimpleNamespace(get_running_loop=lambda: clock))
    return clock


def test_ticks_neither_drift_nor_bunch(clock: Clock) -> None:
    ticker, times = Ticker(), [list[float]() for _ in range(3)]
    for mine in times:
        ticker.add(lambda mine=mine: mine.append(round(clock.now_s, 4)), nothing_fails)
    clock.run_until(1.0)
    assert [len(mine) for mine in times] == [51, 50, 50]
    assert len({mine[7] for mine in times}) == 3
    assert all(round(b - a, 4) == 0.02 for mine in times for a, b in pairwise(mine))
    assert ticker.latest_ms == 0
    ticker.close()
    assert clock.call is None


def test_a_short_stall_is_caught_up_with(clock: Clock) -> None:
    ticker, counter = Ticker(), Counter()
    ticker.add(counter.tick, nothing_fails)
    clock.stall_until(0.5)
    assert counter.count == 26 and ticker.latest_ms == 500
    clock.run_until(1.0)
    assert counter.count == 51


def test_a_process_that_slept_goes_on_from_now(clock: Clock) -> None:
    ticker, counter = Ticker(), Counter()
    ticker.add(counter.tick, nothing_fails)
    clock.stall_until(3600.0)
    assert counter.count == 1
    clock.run_until(3600.1)
    assert counter.count == 6


def test_a_line_may_leave_from_within_a_tick(clock: Clock) -> None:
    ticker, counter = Ticker(), Counter()

    def leave() -> None:
        counter.tick()
        ticker.remove(leave)

    ticker.add(leave, nothing_fails)
    clock.run_until(1.0)
    assert counter.count == 1 and clock.call is None
    ticker.add(counter.tick, nothing_fails)
    clock.run_until(1.1)
    assert counter.count == 7


async def test_a_line_that_breaks_is_taken_off_and_the_others_go_on() -> None:
    ticker, counter = Ticker(), Counter()
    failures: list[Exception] = []

    def broken() -> None:
        raise RuntimeError("a defect")

    ticker.add(broken, failures.append)
    ticker.add(counter.tick, nothing_fails)
    await counter.tenth.wait()
    ticker.close()
    assert [str(failure) for failure in failures] == ["a defect"]
