"""What the console costs: CPU of one core while a call is watched, and the time that one more line takes.

Run it with ``python -m tests.benchmarks.console``. Offscreen (software rendering, real painting) a
window with the waveform at 60 fps, the transcript with thousands of lines and words streaming in,
the details, and five sparklines at 5 fps is fed like a bridge feeds it, for some seconds each at the
default zoom and at the closest. A text comes on stderr, the same as JSON on stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from PySide6.QtCore import QEventLoop, Qt, QTimer
from PySide6.QtWidgets import QApplication, QHBoxLayout, QVBoxLayout, QWidget

from bridge.control import COLUMN_MS, Party, PeaksAdded, TurnChanged, TurnState, TurnView
from console import theme
from console.panels.call_details import DetailsPanel
from console.panels.conversation import ConversationPanel
from console.panels.waveform import WaveformPanel
from console.widgets.sparkline import Sparkline
from tests.console.scene import CALL, CLOCK_MS, desk, speech, voices

FRAME_MS = 16
BATCH_MS = 100
WORDS_MS = 80
LINE_MS = 3000
SPARK_MS = 200
SPARKS = 5
TARGET_PERCENT = 15.0
TEXT = "I can see two payments of 48 dollars on the fourth of March, and I will send one of them back to your card. "


class Desk(QWidget):
    """The panels of one window, fed from a clock of its own."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self.store = desk()
        self.frames = 0
        self._fed_ms = {"batch": 0.0, "words": 0.0, "line": 0.0, "spark": 0.0}
        self._columns = CLOCK_MS // COLUMN_MS
        self._sound = speech(5000, 3)
        self._turn = 0
        self._spoken = 0
        for index in range(lines):
            self._say(f"old{index}", index * 30, TEXT[: 30 + index % 70], TurnState.FINAL, len(TEXT))
        self.waveform = WaveformPanel(self.store)
        self.conversation = ConversationPanel(self.store)
        self.details = DetailsPanel(self.store)
        self.sparks = [Sparkline() for _ in range(SPARKS)]
        left, middle = QVBoxLayout(), QVBoxLayout()
        for spark in self.sparks:
            left.addWidget(spark)
        middle.addWidget(self.waveform)
        middle.addWidget(self.conversation, 1)
        whole = QHBoxLayout(self)
        whole.addLayout(left)
        whole.addLayout(middle, 1)
        whole.addWidget(self.details)
        self.details.setFixedWidth(300)
        self.resize(1440, 900)
        for panel in (self.waveform, self.conversation, self.details):
            panel.show_call(CALL)

    def _say(self, turn_id: str, start_ms: int, text: str, state: TurnState, heard_chars: int) -> None:
        turn = TurnView(
            call_id=CALL,
            turn_id=turn_id,
            order=100 + len(turn_id),
            speaker=Party.AI,
            state=state,
            start_ms=start_ms,
            text=text,
            heard_chars=heard_chars,
        )
        self.store.apply(TurnChanged(turn=turn))

    def _refresh(self) -> None:
        for panel in (self.waveform, self.conversation, self.details):
            panel.refresh(CALL)

    def append(self) -> None:
        """One more line."""
        self._turn += 1
        self._spoken = 0
        self._say(f"new{self._turn}", CLOCK_MS + self._turn * LINE_MS, TEXT[:4], TurnState.SPEAKING, 0)
        self._refresh()

    def frame(self, now_ms: float) -> None:
        """What the display timer does: what has come since, then one step of the picture."""

        def due(what: str, every_ms: float) -> bool:
            if now_ms - self._fed_ms[what] < every_ms:
                return False
            self._fed_ms[what] = now_ms
            return True

        if due("line", LINE_MS):
            self.append()
        if due("words", WORDS_MS):
            self._spoken = min(self._spoken + 5, len(TEXT))
            start_ms = CLOCK_MS + self._turn * LINE_MS
            self._say(f"new{self._turn}", start_ms, TEXT[: self._spoken + 20], TurnState.SPEAKING, self._spoken)
            self._refresh()
        if due("batch", BATCH_MS):
            count = BATCH_MS // COLUMN_MS
            sound = self._sound[self._columns % 4000 :][:count]
            peaks = PeaksAdded(
                call_id=CALL, first_column=self._columns, caller=sound, line=sound[::-1], voice=voices(sound)
            )
            self._columns += count
            self.store.apply(peaks)
            self._refresh()
        if due("spark", SPARK_MS):
            call = self.store.calls[CALL]
            for shift, spark in enumerate(self.sparks):
                end = len(call.caller) - shift * 20
                first = max(0, end - 300)
                spark.set_columns(call.caller[first:end], call.line[first:end], call.voice[first:end], True)
        self.waveform.tick(now_ms)
        self.frames += 1


def watch(app: QApplication, desk_: Desk, seconds: float) -> tuple[float, float]:
    """Let it run in real time; returns (percent of one core, frames a second)."""
    timer, loop = QTimer(), QEventLoop()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    started = time.monotonic()

    def frame() -> None:
        now = time.monotonic()
        desk_.frame(now * 1000)
        if now - started >= seconds:
            loop.quit()

    timer.timeout.connect(frame)
    app.processEvents()
    desk_.frames = 0
    started, cpu = time.monotonic(), time.process_time()
    timer.start(FRAME_MS)
    loop.exec()
    timer.stop()
    took = time.monotonic() - started
    return 100 * (time.process_time() - cpu) / took, desk_.frames / took


def appending(app: QApplication, desk_: Desk, times: int = 50) -> list[float]:
    """Milliseconds from a new line in the store until it is painted."""
    took = []
    for _ in range(times):
        started = time.perf_counter()
        desk_.append()
        desk_.conversation.viewport().repaint()
        took.append((time.perf_counter() - started) * 1000)
        app.processEvents()
    return sorted(took)


def main() -> None:
    """Measure, print, and end with 1 when the target is missed."""
    options = argparse.ArgumentParser(description="CPU cost of the console, offscreen.")
    options.add_argument("--seconds", type=float, default=8.0, help="how long to watch each zoom")
    options.add_argument("--lines", type=int, default=5000, help="lines in the transcript")
    wanted = options.parse_args()
    app = QApplication([])
    theme.apply(app, "dark")
    started = time.perf_counter()
    desk_ = Desk(wanted.lines)
    desk_.show()
    app.processEvents()
    opened_ms = (time.perf_counter() - started) * 1000
    plain_percent, frames = watch(app, desk_, wanted.seconds)
    desk_.waveform.zoom(2)
    close_percent, close_frames = watch(app, desk_, wanted.seconds)
    appended = appending(app, desk_)
    told = {
        "lines": wanted.lines,
        "opened_ms": round(opened_ms, 1),
        "cpu_percent_40_s": round(plain_percent, 1),
        "frames_per_second_40_s": round(frames, 1),
        "cpu_percent_10_s": round(close_percent, 1),
        "frames_per_second_10_s": round(close_frames, 1),
        "append_ms_p50": round(appended[len(appended) // 2], 2),
        "append_ms_max": round(appended[-1], 2),
        "target_percent": TARGET_PERCENT,
    }
    desk_.close()
    print(f"one call watched, {wanted.lines} lines, {SPARKS} sparklines, {app.platformName()}", file=sys.stderr)
    print(f"  zoom 40 s   {plain_percent:5.1f} % of one core at {frames:.0f} fps", file=sys.stderr)
    print(f"  zoom 10 s   {close_percent:5.1f} % of one core at {close_frames:.0f} fps", file=sys.stderr)
    print(f"  a new line  {told['append_ms_p50']} ms, at most {told['append_ms_max']} ms", file=sys.stderr)
    print(f"  target      {TARGET_PERCENT:5.1f} %", file=sys.stderr)
    print(json.dumps(told))
    sys.exit(0 if plain_percent < TARGET_PERCENT else 1)


if __name__ == "__main__":
    main()
