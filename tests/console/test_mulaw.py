"""The console's mu-law is the bridge's: what one writes the other reads, and both draw the same."""

from __future__ import annotations

from array import array

import numpy as np

from bridge import audio
from console.mulaw import decode, encode, height

EVERY_CODE = bytes(range(256))


def test_every_code_is_read_as_the_bridge_reads_it() -> None:
    assert decode(EVERY_CODE).tolist() == list(audio.LINEAR)


def test_every_sample_is_written_as_the_bridge_writes_it() -> None:
    samples = range(-32768, 32768)
    assert encode(np.array(samples, np.int16)) == audio.encode(array("h", samples))


def test_every_code_is_drawn_as_tall_as_the_bridge_draws_it() -> None:
    for code in EVERY_CODE:
        assert height(decode(bytes([code]))) == audio.LOUDNESS[code]


def test_the_loudest_sample_counts_and_nothing_is_taller_than_full() -> None:
    assert height(np.array([0, -32768, 5], np.int16)) == 255
    assert height(np.array([], np.int16)) == 0
