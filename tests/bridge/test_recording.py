"""Recordings are aligned to the millisecond and playable whatever happens."""

from __future__ import annotations

import errno
import os
import queue
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import recording
from bridge.control import Recording
from bridge.recording import HEADER_BYTES, Finished, Lane, Recorder, Writer, adopt, header, repair

FRAME = 160
ROOT = Path(__file__).resolve().parents[2]


class Watched(Recorder):
    """A recorder that can be waited for."""

    rounds = threading.Condition()

    def _round(self) -> bool:
        try:
            return super()._round()
        finally:
            with self.rounds:
                self.rounds.notify_all()

    def reaches(self, duration_ms: int) -> None:
        """Wait until so much is in the file."""
        with self.rounds:
            assert self.rounds.wait_for(lambda: self.duration_ms >= duration_ms, timeout=5)


class Studio:
    """A writer, and the ends of the recordings made with it."""

    def __init__(self, folder: Path, **settings: float) -> None:
        self.folder = folder
        self.writer = Writer(round_s=0.01, **settings)  # type: ignore[arg-type]
        self.ends: queue.Queue[Finished] = queue.Queue()

    def recorder(self, name: str = "call.wav", now_s: Callable[[], float] = time.monotonic) -> Watched:
        return Watched(self.folder / name, self.writer, self.ends.put, now_s)

    def finished(self, recorder: Recorder) -> Finished:
        recorder.close()
        return self.ends.get(timeout=5)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    studio = Studio(tmp_path / "recordings", min_free_bytes=0)
    yield studio
    assert studio.writer.close()


def strictly_read(path: Path) -> tuple[bytes, bytes]:
    """Both sides, as a reader would have it that forgives nothing but sound behind the end."""
    content = path.read_bytes()
    riff, riff_size, wave = struct.unpack_from("<4sI4s", content)
    assert (riff, wave) == (b"RIFF", b"WAVE")
    assert riff_size + 8 <= len(content)
    at, chunks = 12, {}
    while at < riff_size + 8:
        name, size = struct.unpack_from("<4sI", content, at)
        chunks[name] = content[at + 8 : at + 8 + size]
        assert len(chunks[name]) == size
        at += 8 + size
    assert list(chunks) == [b"fmt ", b"fact", b"data"]
    assert struct.unpack("<HHIIHHH", chunks[b"fmt "]) == (7, 2, 8000, 16000, 2, 8, 0)
    data = chunks[b"data"]
    assert struct.unpack("<I", chunks[b"fact"]) == (len(data) // 2,)
    return data[0::2], data[1::2]


def frames(symbol: int, count: int = 1) -> bytes:
    return bytes([symbol]) * (FRAME * count)


# ── where sound goes ──


def test_caller_left_what_was_heard_right_and_silence_between(studio: Studio) -> None:
    recorder = studio.recorder()
    recorder.caller(0, frames(1))
    recorder.caller(20, frames(2))
    recorder.caller(100, frames(3))
    recorder.line(40, frames(4))

    finished = studio.finished(recorder)

    left, right = strictly_read(finished.path)
    assert left == frames(1) + frames(2) + frames(0xFF, 3) + frames(3)
    assert right == frames(0xFF, 2) + frames(4) + frames(0xFF, 3)
    assert (finished.state, finished.duration_ms, finished.words) == (Recording.DONE, 120, "")


def test_duplicates_and_overlaps_are_dropped(studio: Studio) -> None:
    recorder = studio.recorder()
    recorder.caller(0, frames(1, 3))
    recorder.caller(20, frames(2))
    recorder.caller(40, frames(3, 2))
    left, _ = strictly_read(studio.finished(recorder).path)
    assert left == frames(1, 3) + frames(3)


def test_rounding_to_milliseconds_leaves_no_clicks(studio: Studio) -> None:
    recorder = studio.recorder()
    for at_ms in (0, 21, 39, 60, 81):
        recorder.caller(at_ms, frames(1))
    left, _ = strictly_read(studio.finished(recorder).path)
    assert left == frames(1, 5)


def test_what_was_heard_may_come_seconds_late(studio: Studio) -> None:
    recorder = studio.recorder()
    for at_ms in range(0, 5000, 20):
        recorder.caller(at_ms, frames(1))
        if at_ms >= 3000:
            recorder.line(at_ms - 3000, frames(2))
        if at_ms == 3500:
            recorder.reaches(3000)
    finished = studio.finished(recorder)
    left, right = strictly_read(finished.path)
    assert left == frames(1, 250)
    assert right == frames(2, 100) + frames(0xFF, 150)
    assert finished.state is Recording.DONE


def test_what_comes_later_still_is_lost_and_said(studio: Studio) -> None:
    recorder = studio.recorder()
    recorder.caller(0, frames(1, 200))
    recorder.reaches(4000)
    recorder.line(0, frames(2, 200))
    finished = studio.finished(recorder)
    _, right = strictly_read(finished.path)
    assert right == frames(0xFF, 50) + frames(2, 150)
    assert finished.state is Recording.PARTIAL and "holes" in finished.words


def test_a_line_that_was_silent_for_minutes_is_heard_again(studio: Studio) -> None:
    recorder = studio.recorder()
    for at_ms in range(0, 130_000, 10_000):
        recorder.caller(at_ms, frames(1, 500))
        recorder.reaches(at_ms + 10_000)
    recorder.line(129_980, frames(2))
    _, right = strictly_read(studio.finished(recorder).path)
    assert right[-FRAME:] == frames(2)
    assert set(right[:-FRAME]) == {0xFF}


def test_an_impossible_jump_is_refused(studio: Studio) -> None:
    recorder = studio.recorder()
    recorder.caller(0, frames(1))
    recorder.caller(60_021, frames(2))
    recorder.caller(20, frames(3))
    finished = studio.finished(recorder)
    left, _ = strictly_read(finished.path)
    assert left == frames(1) + frames(3)
    assert finished.state is Recording.PARTIAL


def test_a_privacy_hold_of_any_length_is_silence_on_both_sides(studio: Studio) -> None:
    clock_s = 0.0
    recorder = studio.recorder(now_s=lambda: clock_s)
    recorder.caller(0, frames(1))
    recorder.line(0, frames(2))
    for at_ms in (70_000, 70_020, 700_000):
        clock_s = at_ms / 1000
        recorder.caller(at_ms, frames(3))
        recorder.line(at_ms, frames(4))
        recorder.reaches(at_ms + 20)
    finished = studio.finished(recorder)
    left, right = strictly_read(finished.path)
    for side, before, after in ((left, 1, 3), (right, 2, 4)):
        assert side[:FRAME] == frames(before)
        assert set(side[FRAME : 70_000 * 8]) == {0xFF}
        assert side[70_000 * 8 : 70_040 * 8] == frames(after, 2)
        assert side[-FRAME:] == frames(after)
    assert (finished.state, finished.duration_ms) == (Recording.DONE, 700_020)


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 400), st.booleans()), max_size=30))
def test_any_order_of_sound_keeps_both_sides_in_time(pieces: list[tuple[int, int, bool]]) -> None:
    lane = Lane()
    for at_ms, size, _ in pieces:
        lane.put(at_ms, b"x" * size)
    end = 0
    for start, audio in lane.pending:
        assert start >= end
        end = start + len(audio)
    assert lane.end == end


def test_a_writer_that_is_stuck_costs_at_most_half_a_minute_of_memory() -> None:
    lane = Lane()
    for at_ms in range(0, 60_000, 20):
        lane.put(at_ms, frames(1))
    assert sum(len(audio) for _, audio in lane.pending) <= recording.MAX_PENDING_BYTES + FRAME
    assert lane.dropped > 0


# ── disks and deaths ──


def test_the_file_is_for_its_owner_alone(studio: Studio) -> None:
    before = os.umask(0)
    try:
        path = studio.finished(studio.recorder()).path
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_no_file_is_ever_overwritten(studio: Studio) -> None:
    studio.folder.mkdir()
    (studio.folder / "call.wav").write_bytes(b"precious")
    finished = studio.finished(studio.recorder())
    assert finished.state is Recording.PARTIAL and "The call goes on" in finished.words
    assert (studio.folder / "call.wav").read_bytes() == b"precious"


def test_with_too_little_space_none_is_begun(tmp_path: Path) -> None:
    studio = Studio(tmp_path, min_free_bytes=2**60)
    finished = studio.ends.get(timeout=5) if studio.recorder() else None
    assert finished is not None and "too little disk space" in finished.words
    assert list(tmp_path.iterdir()) == []
    assert studio.writer.close()


def test_a_full_disk_ends_the_recording_and_nothing_else(studio: Studio) -> None:
    import resource  # not on every system, as little as the limit itself

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    recorder, other = studio.recorder(), studio.recorder("other.wav")
    recorder.caller(0, frames(1, 50))
    recorder.reaches(1000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        recorder.caller(1000, frames(1, 50))
        finished = studio.ends.get(timeout=5)
        recorder.caller(2000, frames(1, 50))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (finished.state, finished.duration_ms) == (Recording.PARTIAL, 1000)
    assert "The call goes on without it" in finished.words
    assert strictly_read(finished.path)[0] == frames(1, 50)
    other.caller(0, frames(2))
    assert studio.finished(other).state is Recording.DONE


def test_the_words_for_a_full_disk() -> None:
    assert recording._in_words(OSError(errno.ENOSPC, "No space left on device")) == "the disk is full"


def test_a_fault_in_one_recording_leaves_the_others(studio: Studio) -> None:
    recorder, other = studio.recorder("a.wav"), studio.recorder("b.wav")
    recorder.caller(0, "not bytes")  # type: ignore[arg-type]
    assert "fault of the bridge" in studio.ends.get(timeout=5).words
    other.caller(0, frames(2))
    assert studio.finished(other).state is Recording.DONE


def test_closing_the_writer_finishes_what_is_open(tmp_path: Path) -> None:
    studio = Studio(tmp_path, min_free_bytes=0)
    recorder = studio.recorder()
    recorder.caller(0, frames(1))
    assert studio.writer.close()
    assert studio.ends.get_nowait().duration_ms == 20
    studio.recorder("late.wav")
    assert "stopping" in studio.ends.get_nowait().words


def test_a_call_that_ends_need_not_wait_for_the_turn_of_its_recording(tmp_path: Path) -> None:
    studio = Studio(tmp_path, min_free_bytes=0)
    studio.writer._round_s = 10_000
    recorders = [studio.recorder(f"{number}.wav") for number in range(5)]
    recorders[3].caller(0, frames(1))
    assert studio.finished(recorders[3]).duration_ms == 20
    assert studio.writer.close()


def test_recordings_take_turns(tmp_path: Path) -> None:
    turns: queue.Queue[str] = queue.Queue()

    class Turn(Recorder):
        def _round(self) -> bool:
            goes_on = super()._round()
            turns.put(self.path.name)
            return goes_on

    writer = Writer(0, round_s=0.01)
    for name in "abc":
        Turn(tmp_path / name, writer, lambda finished: None)
    # It is opened at once; the next time is its turn, as that of all others.
    for _ in range(2):
        while turns.get(timeout=5) != "c":
            pass
    first, second = ([turns.get(timeout=5) for _ in range(3)] for _ in range(2))
    assert sorted(first) == ["a", "b", "c"]
    assert first == second
    assert writer.close()


RECORD_FOR_EVER = """
import sys, itertools
from pathlib import Path
from bridge.recording import Recorder, Writer
recorder = Recorder(Path(sys.argv[1]), Writer(0, round_s=0.001), print)
for number in itertools.count():
    recorder.caller(number * 20, bytes([number % 251]) * 160)
    if number % 3 == 0:
        recorder.line(number * 20, bytes([number % 251]) * 160)
    while number * 20 - recorder.duration_ms > 5000:
        pass
    if number % 100 == 0 and recorder.duration_ms:
        print(recorder.duration_ms, flush=True)
"""


@pytest.mark.parametrize("rounds", [1, 3, 9, 20])
def test_a_kill_at_any_moment_leaves_a_playable_file(tmp_path: Path, rounds: int) -> None:
    path = tmp_path / "call.wav"
    child = subprocess.Popen(
        [sys.executable, "-c", RECORD_FOR_EVER, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        safe_ms = [int(child.stdout.readline()) for _ in range(rounds)][-1]
        child.kill()

    left, right = strictly_read(path)

    assert len(left) == len(right) >= safe_ms * 8
    assert_counts_up(left)
    adopt(tmp_path)
    left, right = strictly_read(path)
    assert path.stat().st_size == HEADER_BYTES + 2 * len(left)
    assert_counts_up(left)


def assert_counts_up(left: bytes) -> None:
    for number in range(len(left) // FRAME):
        frame = left[number * FRAME : (number + 1) * FRAME]
        assert set(frame) <= {number % 251, 0xFF}


# ── repair ──


def test_repair_counts_the_sound_that_is_there_and_keeps_the_time(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(header(10) + bytes(1601))
    os.utime(path, (1000, 2000))
    assert repair(path) == 100
    assert strictly_read(path) == (bytes(800), bytes(800))
    assert path.stat().st_mtime == 2000


def test_adopting_changes_only_what_is_wrong(tmp_path: Path) -> None:
    whole, broken, empty, foreign = (tmp_path / name for name in ("1.wav", "2.wav", "3.wav", "4.wav"))
    whole.write_bytes(header(4) + bytes(8))
    broken.write_bytes(header(0) + bytes(160))
    empty.touch()
    foreign.write_bytes(b"RIFF" + bytes(100))
    (tmp_path / "link.wav").symlink_to(broken)

    assert adopt(tmp_path) == ((broken, 10),)

    assert whole.read_bytes() == header(4) + bytes(8)
    assert foreign.read_bytes() == b"RIFF" + bytes(100)
    assert not empty.exists()
    assert adopt(tmp_path) == ()
    assert adopt(tmp_path / "none") == ()


def test_a_head_cut_short_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(header(0)[:20])
    assert adopt(tmp_path) == ()
    assert repair(path) is None
