"""24 kHz PCM as it comes in, to telephone sound.

numpy and samplerate are imported when the first stream is made: 12 MB that a bridge without such a
voice does not spend, and a tenth of a second that is not the loop's to wait (see `openai_live_voice`).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from bridge.audio import encode
from bridge.wav import TELEPHONE_HZ

STEP_BYTES = 9600
"""200 ms, of which a step takes about 0.6 ms."""


FILTER_US = 2375
"""What the resampler holds back."""


class PcmStream:
    """One sentence's. rate_hz: of 16-bit samples, little-endian, one channel. Adds 2.4 ms."""

    def __init__(self, rate_hz: int = 24_000) -> None:
        import numpy
        import samplerate

        self._numpy = numpy
        self._resampler = samplerate.Resampler("sinc_fastest", channels=1)
        self._ratio = TELEPHONE_HZ / rate_hz
        self._tail = bytes(2 * (rate_hz * FILTER_US // 1_000_000))
        self._odd = b""

    def take(self, pcm: bytes) -> Iterator[bytes]:
        """mu-law of each step of it. The half of a sample at its end waits for the other."""
        pcm = self._odd + pcm
        whole = len(pcm) // 2 * 2
        self._odd = pcm[whole:]
        for at in range(0, whole, STEP_BYTES):
            yield self._step(pcm[at : min(whole, at + STEP_BYTES)])

    def end(self) -> bytes:
        """What was still in the filter."""
        return self._step(self._tail)

    def _step(self, pcm: bytes) -> bytes:
        samples = self._numpy.frombuffer(pcm, "<i2").astype(self._numpy.float32)
        made = self._resampler.process(samples, self._ratio)
        return encode(array("h", made.clip(-32768, 32767).astype(self._numpy.int16).tobytes()))
