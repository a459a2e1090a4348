"""mu-law arithmetic against the figures of G.711."""

from __future__ import annotations

from array import array

from bridge import audio


def test_known_codes_decode_as_the_standard_says() -> None:
    assert audio.LINEAR[0xFF] == 0
    assert audio.LINEAR[0x7F] == 0
    assert audio.LINEAR[0x00] == -32124
    assert audio.LINEAR[0x80] == 32124


def test_decoding_then_encoding_changes_only_negative_zero() -> None:
    codes = bytes(range(256))
    again = audio.encode(audio.decode(codes))
    assert [code for code in codes if again[code] != code] == [0x7F]
    assert again[0x7F] == audio.SILENCE_BYTE


def test_the_loudest_samples_are_clipped_not_wrapped() -> None:
    assert audio.encode(array("h", [32767, -32768])) == bytes([0x80, 0x00])


def test_encoding_is_never_further_off_than_half_a_step() -> None:
    samples = array("h", range(-32635, 32636, 37))
    for sample, code in zip(samples, audio.encode(samples), strict=True):
        exponent = ((~code & 0xFF) >> 4) & 7
        assert abs(audio.LINEAR[code] - sample) <= 1 << (exponent + 2)


def test_peak_sees_a_single_click() -> None:
    assert audio.peak(audio.SILENT_FRAME) == 0
    assert audio.peak(audio.SILENT_FRAME[:-1] + b"\x00") == 255


def test_silence_is_eight_bytes_a_millisecond() -> None:
    assert audio.silence(20) == audio.SILENT_FRAME
    assert len(audio.silence(3)) == 24
