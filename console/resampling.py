"""Between a device's sound and the telephone's: sample formats, channels, rates. Pure.

A device speaks 16-bit integers or floats, any number of channels, at a rate of its own; the telephone
is 8 kHz. The conversion adds 2.5 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from samplerate import Resampler

from console.mulaw import PIECE_BYTES, RATE_HZ, Samples, encode

QUALITY = "sinc_fastest"


@dataclass(frozen=True)
class Format:
    """Of a device's sound. floats: 32-bit, -1 to 1; else 16-bit integers. Channels are interleaved."""

    rate_hz: int
    channels: int
    floats: bool = False

    @property
    def frame_bytes(self) -> int:
        """One sample of each channel."""
        return self.channels * (4 if self.floats else 2)


class ToTelephone:
    """A microphone's sound, mixed to one channel, in pieces of 20 ms of mu-law."""

    def __init__(self, format: Format) -> None:
        self._format = format
        self._resampler = Resampler(QUALITY, channels=1)
        self._rest = b""
        self._mulaw = bytearray()

    def take(self, sound: bytes) -> list[bytes]:
        """The pieces that are complete with this sound."""
        sound = self._rest + sound
        whole = len(sound) - len(sound) % self._format.frame_bytes
        self._rest = sound[whole:]
        if whole:
            samples = _floats(sound[:whole], self._format).mean(axis=1)
            self._mulaw += encode(_integers(self._resampler.process(samples, RATE_HZ / self._format.rate_hz)))
        pieces = []
        while len(self._mulaw) >= PIECE_BYTES:
            pieces.append(bytes(self._mulaw[:PIECE_BYTES]))
            del self._mulaw[:PIECE_BYTES]
        return pieces


class FromTelephone:
    """Left and right at 8 kHz, as a loudspeaker wants them."""

    def __init__(self, format: Format) -> None:
        self._format = format
        self._resampler = Resampler(QUALITY, channels=2)

    def make(self, left: Samples, right: Samples) -> bytes:
        """Both of one length. One channel gets both mixed; further ones than two are silent."""
        both = np.stack([left, right], axis=1).astype(np.float32) / np.float32(32768)
        both = self._resampler.process(both, self._format.rate_hz / RATE_HZ)
        sound = np.zeros((len(both), self._format.channels), np.float32)
        if self._format.channels == 1:
            sound[:, 0] = both.mean(axis=1)
        else:
            sound[:, :2] = both
        return sound.clip(-1, 1).tobytes() if self._format.floats else _integers(sound).tobytes()


def _floats(sound: bytes, format: Format) -> npt.NDArray[np.float32]:
    """Shape (samples, channels)."""
    if format.floats:
        samples = np.frombuffer(sound, np.float32)
    else:
        samples = np.frombuffer(sound, np.int16).astype(np.float32) / np.float32(32768)
    return samples.reshape(-1, format.channels)


def _integers(samples: npt.NDArray[np.float32]) -> Samples:
    return (samples * 32768).clip(-32768, 32767).astype(np.int16)
