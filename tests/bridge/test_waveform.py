"""The waveform's columns."""

from __future__ import annotations

from bridge import waveform
from bridge.audio import SILENT_FRAME
from bridge.control import Party
from bridge.waveform import Waveform, heights

LOUD = b"\x00" * 160


def test_each_frame_is_one_column_as_tall_as_its_peak() -> None:
    assert heights(LOUD + SILENT_FRAME + SILENT_FRAME[:-1] + b"\x00" + LOUD[:8]) == bytes([255, 0, 255, 255])


def test_lanes_keep_one_length_and_silence_where_nothing_was() -> None:
    wave = Waveform()
    wave.add_caller(60, LOUD)
    wave.add_line(19.0, LOUD * 2, Party.AI)
    wave.add_line(100.0, LOUD, Party.OPERATOR)
    assert wave.caller == bytes([0, 0, 0, 255, 0, 0])
    assert wave.line == bytes([0, 255, 255, 0, 0, 255])
    assert wave.voice == bytes([0, 1, 1, 0, 0, 2])


def test_the_first_touched_column_is_told_once() -> None:
    wave = Waveform()
    assert wave.take_touched() is None
    wave.add_caller(200, LOUD)
    wave.add_line(40.0, LOUD, Party.AI)
    assert wave.take_touched() == 2
    assert wave.take_touched() is None


def test_what_was_never_heard_is_a_ghost() -> None:
    wave = Waveform()
    assert wave.add_ghost(400.0, LOUD) == (20, b"\xff")
    assert wave.ghosts == [(20, b"\xff")]
    assert wave.take_touched() is None


def test_columns_outside_any_call_are_refused() -> None:
    wave = Waveform()
    wave.add_caller(-40, LOUD)
    wave.add_caller(waveform.MAX_COLUMNS * 20, LOUD)
    wave.add_line(-40.0, LOUD, Party.AI)
    assert wave.caller == b""
