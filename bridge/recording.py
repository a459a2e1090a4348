"""Stereo recordings of calls: the caller left, what the caller heard right, mu-law at 8 kHz.

Audio comes in at its call time and is only put into memory; one thread writes for all calls. A
file is a whole, playable WAV at every instant: sound is written first and the header counts it
afterwards, in one piece, so that a kill at the worst moment loses half a second and breaks
nothing. The right side arrives later than the left, since it is told when it was heard: the newest
three seconds of every file are therefore written again with each round.

Format: RIFF WAVE, format tag 7 (mu-law), which asks for the longer format chunk and for a fact
chunk. Source: Microsoft, "Multimedia Data Standards Update", 1994.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bridge import control

log = logging.getLogger("cordboard.recording")

SAMPLES_PER_MS = 8
SILENCE = b"\xff"

SLACK_SAMPLES = 2 * SAMPLES_PER_MS
"""Times are whole milliseconds; audio that misses its neighbour by less is put right beside it."""

MAX_JUMP_SAMPLES = 60_000 * SAMPLES_PER_MS
MAX_PENDING_BYTES = 30_000 * SAMPLES_PER_MS
LATE_SAMPLES = 3_000 * SAMPLES_PER_MS
"""What was heard may be known that late: playout waits 2 s for a mark before it goes by the clock."""

ROUND_S = 0.5
MIN_FREE_BYTES = 200 * 2**20

HOLES = "The recording has holes: the disk was too slow, or audio came with impossible times."

_HEADER = struct.Struct("<4sI4s4sIHHIIHHH4sII4sI")
HEADER_BYTES = _HEADER.size


@dataclass(frozen=True)
class Finished:
    """How a recording ended: DONE or PARTIAL, and why in words for the operator ("" for DONE)."""

    path: Path
    state: control.Recording
    duration_ms: int
    words: str = ""


class Lane:
    """One side of a recording: where its sound belongs in time, and what is not yet written.

    `put` is called by the call, `take` by the writer; what they share is a deque, whose two ends
    need no lock, and counters that only one of them changes.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._began_s = now_s()
        self.end = 0
        self.pending: deque[tuple[int, bytes]] = deque()
        self.put_bytes = 0
        self.taken_bytes = 0
        self.dropped = 0
        self.other = self

    def put(self, at_ms: int, audio: bytes) -> None:
        """Sound that began at call time ``at_ms``; what overlaps earlier sound is dropped."""
        start = at_ms * SAMPLES_PER_MS
        off = start - self.end
        if off < -SLACK_SAMPLES:
            audio = audio[-off:]
            start = self.end
            if not audio:
                return
        elif off <= SLACK_SAMPLES:
            start = self.end
        elif off > MAX_JUMP_SAMPLES and start - max(self.other.end, self._now()) > MAX_JUMP_SAMPLES:
            self.dropped += 1
            return
        if self.put_bytes - self.taken_bytes > MAX_PENDING_BYTES:
            self.dropped += 1
            return
        self.end = start + len(audio)
        self.put_bytes += len(audio)
        self.pending.append((start, audio))

    def _now(self) -> int:
        """About how far the call is, whether or not anything of it was to be kept."""
        return int((self._now_s() - self._began_s) * 1000) * SAMPLES_PER_MS


class Recorder:
    """The recording of one call.

    told: called once with the end of it, from the writer's thread. Whatever happens to the disk,
    nothing is raised here: the call goes on, and `told` says what was lost. now_s: any clock that
    goes on with the call. Where no audio comes, on either side and for however long, there is silence.
    """

    def __init__(
        self,
        path: Path,
        writer: Writer,
        told: Callable[[Finished], None],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._caller = Lane(now_s)
        self._line = Lane(now_s)
        self._caller.other, self._line.other = self._line, self._caller
        self.caller = self._caller.put
        """Audio of the caller (mu-law bytes) that began at call time ``at_ms``. Returns at once."""
        self.line = self._line.put
        """Audio that the caller heard, at most 3 s after it was heard. Returns at once."""
        self._writer = writer
        self._told = told
        self._file: BinaryIO | None = None
        self._tail = bytearray()
        self._tail_start = 0
        self._written = 0
        self._late = False
        self._closing = False
        self._finished = False
        writer._add(self)

    @property
    def duration_ms(self) -> int:
        """How much is safely in the file."""
        return self._written // SAMPLES_PER_MS

    def close(self) -> None:
        """No more audio will come; `told` hears of the end soon. Safe to call more than once."""
        self._closing = True
        self._writer._wake()

    @property
    def _presses(self) -> bool:
        """Whether its turn is now: it is new, or closed."""
        return self._closing or self._file is None

    # ── in the writer's thread ──

    def _round(self) -> bool:
        """Write what came since the last round; False when the recording is over."""
        closing = self._closing
        try:
            if self._file is None:
                self._open()
            self._write(max(self._caller.end, self._line.end))
        except OSError as error:
            log.warning("a recording ended early: %s", error.strerror)
            self._finish(f"The recording stopped: {_in_words(error)}. The call goes on without it.")
            return False
        if closing:
            lost = self._caller.dropped + self._line.dropped
            self._finish(HOLES if lost or self._late else "")
        return not closing

    def _open(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if shutil.disk_usage(self.path.parent).free < self._writer.min_free_bytes:
            raise OSError(0, "too little disk space is left to begin one")
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        self._file.write(header(0))

    def _write(self, end: int) -> None:
        assert self._file is not None
        self._tail.extend(SILENCE * (2 * (end - self._tail_start) - len(self._tail)))
        fresh = self._lay(self._caller, 0, end) | self._lay(self._line, 1, end)
        if not fresh and end == self._written:
            return
        _write_all(self._file, HEADER_BYTES + 2 * self._tail_start, self._tail)
        _write_all(self._file, 0, header(end))
        self._written = end
        settled = max(0, end - LATE_SAMPLES - self._tail_start)
        del self._tail[: 2 * settled]
        self._tail_start += settled

    def _lay(self, lane: Lane, side: int, end: int) -> bool:
        """Put a lane's pending sound into the tail, as far as ``end``."""
        fresh = False
        while lane.pending and lane.pending[0][0] < end:
            start, audio = lane.pending.popleft()
            lane.taken_bytes += len(audio)
            if start < self._tail_start:
                self._late = True
                audio = audio[self._tail_start - start :]
                start = self._tail_start
            if start + len(audio) > end:
                lane.pending.appendleft((end, audio[end - start :]))
                lane.taken_bytes -= start + len(audio) - end
                audio = audio[: end - start]
            first = 2 * (start - self._tail_start) + side
            self._tail[first : first + 2 * len(audio) : 2] = audio
            fresh = True
        return fresh

    def _finish(self, words: str) -> None:
        if self._finished:
            return
        self._finished = True
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.truncate(HEADER_BYTES + 2 * self._written)
            with contextlib.suppress(OSError):
                self._file.close()
        for lane in (self._caller, self._line):
            lane.pending.clear()
        state = control.Recording.PARTIAL if words else control.Recording.DONE
        self._told(Finished(self.path, state, self.duration_ms, words))


class Writer:
    """The one thread that writes all recordings.

    min_free_bytes: no new recording is begun with less free space than this. round_s: how often
    each is written. They are written one by one, evenly over that time: in one burst they would
    keep the calls waiting for the interpreter.
    """

    def __init__(self, min_free_bytes: int = MIN_FREE_BYTES, round_s: float = ROUND_S) -> None:
        self.min_free_bytes = min_free_bytes
        self._round_s = round_s
        self._recorders: deque[Recorder] = deque()
        self._news = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="recordings", daemon=True)
        self._thread.start()

    def close(self, patience_s: float = 5.0) -> bool:
        """Finish all recordings, then the thread; False when the disk did not let it in time."""
        for recorder in list(self._recorders):
            recorder.close()
        self._stopping = True
        self._news.set()
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def _add(self, recorder: Recorder) -> None:
        if self._stopping:
            recorder._finish("It could not be recorded: the bridge is stopping.")
            return
        self._recorders.append(recorder)
        self._news.set()

    def _wake(self) -> None:
        self._news.set()

    def _work(self) -> None:
        while self._recorders or not self._stopping:
            pause_s = self._round_s / len(self._recorders) if self._recorders else None
            if self._news.wait(pause_s):
                self._news.clear()
                due = [recorder for recorder in list(self._recorders) if recorder._presses]
            else:
                due = [self._recorders[0]]
                self._recorders.rotate(-1)
            for recorder in due:
                if not self._goes_on(recorder):
                    self._recorders.remove(recorder)

    def _goes_on(self, recorder: Recorder) -> bool:
        try:
            return recorder._round()
        except Exception:
            log.exception("a recording failed")
            recorder._finish("The recording stopped by a fault of the bridge. The call goes on without it.")
            return False


# ── files ─────────────────────────────────────────────────────────────────────────────────


def header(samples: int) -> bytes:
    """The head of a recording that is ``samples`` long (per side): all that comes before the sound."""
    size = 2 * samples
    return _HEADER.pack(
        *(b"RIFF", HEADER_BYTES - 8 + size, b"WAVE"),
        *(b"fmt ", 18, 7, 2, 8000, 16000, 2, 8, 0),
        *(b"fact", 4, samples),
        *(b"data", size),
    )


def repair(path: Path) -> int | None:
    """Make the header count all the sound there is in the file; returns the length in ms.

    None when the file is not one of our recordings. Its times stay as they were.
    """
    with path.open("r+b", buffering=0) as file:
        head = file.read(HEADER_BYTES)
        times = os.stat(file.fileno())
        if len(head) < HEADER_BYTES or head[:4] + head[8:36] != _FIXED or head[50:54] != b"data":
            return None
        samples = (times.st_size - HEADER_BYTES) // 2
        if head != header(samples) or times.st_size % 2:
            file.truncate(HEADER_BYTES + 2 * samples)
            _write_all(file, 0, header(samples))
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return samples // SAMPLES_PER_MS


_FIXED = header(0)[:4] + header(0)[8:36]


def adopt(folder: Path) -> tuple[tuple[Path, int], ...]:
    """At start: put right what a killed bridge left behind. Returns what was changed, with ms.

    A file without even a header was begun and never written to: it is removed.
    """
    changed: list[tuple[Path, int]] = []
    for path in sorted(folder.rglob("*.wav")):
        if path.is_symlink() or not path.is_file():
            continue
        try:
            size = path.stat().st_size
            if size == 0:
                path.unlink()
                continue
            with path.open("rb") as file:
                sound = file.read(HEADER_BYTES)
            if sound != header((size - HEADER_BYTES) // 2) and (duration_ms := repair(path)) is not None:
                changed.append((path, duration_ms))
        except (OSError, struct.error) as error:
            log.warning("a recording left behind could not be put right: %s", error)
    return tuple(changed)


def _write_all(file: BinaryIO, at: int, content: bytes | bytearray) -> None:
    file.seek(at)
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


def _in_words(error: OSError) -> str:
    return "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or str(error)).lower()
