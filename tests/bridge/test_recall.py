"""Lines known again after what a microphone, other rates and a buffer do to them."""

from __future__ import annotations

import logging
import math
import struct
from array import array
from pathlib import Path
from random import Random

import pytest

from bridge.audio import FRAME_BYTES, decode, encode, silence
from bridge.rehearsal import recall, scenario
from bridge.rehearsal.recall import Recall, load_lines
from tests.bridge.speech_program import wav

LINES = {reply.line: reply.audio for name in scenario.names() for reply in scenario.load(name).replies}
STORY, OTHER = sorted(LINES, key=lambda line: len(LINES[line]))[-2:]


def through_a_microphone(
    mulaw: bytes, *, gain: float = 0.5, noise: float = 60, drift_ppm: float = 200, lost_frames: int = 0
) -> bytes:
    """Played and taken up again: other samples, another level, another clock, noise, gaps."""
    chance, samples, out = Random(7), decode(mulaw), array("h")
    for index in range(int((len(samples) - 2) / (1 + drift_ppm / 1e6))):
        at = 0.4 + index * (1 + drift_ppm / 1e6)
        whole, part = int(at), at - int(at)
        value = samples[whole] * (1 - part) + samples[whole + 1] * part
        out.append(max(-32768, min(32767, round(gain * value + chance.gauss(0, noise)))))
    heard = encode(out)
    for number in range(lost_frames):
        at = len(heard) * (2 * number + 1) // (2 * lost_frames)
        heard = heard[:at] + heard[at + FRAME_BYTES :]
    return silence(317) + heard + silence(500)


@pytest.fixture(scope="module")
def known() -> Recall:
    known = Recall()
    for text, audio in LINES.items():
        known.learn(text, audio)
    return known


@pytest.mark.parametrize(
    "damage",
    [{}, {"gain": 0.2, "noise": 30}, {"gain": 1.0, "noise": 200}, {"drift_ppm": -200}, {"lost_frames": 1}],
)
def test_a_line_is_known_again(known: Recall, damage: dict[str, float]) -> None:
    for text in (STORY, OTHER):
        assert known.recognise(through_a_microphone(LINES[text], **damage)) == text


def test_lines_said_in_one_breath_are_all_known(known: Recall) -> None:
    assert known.recognise(through_a_microphone(LINES[STORY] + silence(200) + LINES[OTHER])) == f"{STORY} {OTHER}"


def test_of_half_a_line_half_the_words_are_known(known: Recall) -> None:
    half = known.recognise(through_a_microphone(LINES[STORY][: len(LINES[STORY]) // 2]))
    assert half and STORY.startswith(half) and 0.3 < len(half) / len(STORY) < 0.7


def test_what_nobody_taught_is_not_known() -> None:
    known = Recall()
    for text, audio in LINES.items():
        if text not in (STORY, OTHER):
            known.learn(text, audio)
    for text in (STORY, OTHER):
        assert known.recognise(through_a_microphone(LINES[text])) == ""


def test_noise_tones_and_silence_are_no_lines(known: Recall) -> None:
    chance = Random(1)
    hiss = encode(array("h", (round(chance.gauss(0, 3000)) for _ in range(16000))))
    hum = encode(array("h", (round(8000 * math.sin(index / 3)) for index in range(16000))))
    assert [known.recognise(sound) for sound in (hiss, hum, silence(2000), b"")] == ["", "", "", ""]


def test_a_sound_too_short_to_tell_is_not_learned() -> None:
    known = Recall()
    known.learn("Yes.", LINES[STORY][:1600])
    assert known.recognise(LINES[STORY][:1600]) == ""


def test_the_oldest_line_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "MOST_LINES", 1)
    known = Recall()
    known.learn(STORY, LINES[STORY])
    known.learn(OTHER, LINES[OTHER])
    assert (known.recognise(LINES[STORY]), known.recognise(LINES[OTHER])) == ("", OTHER)


def test_a_folder_holds_lines_and_their_words(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    samples = decode(LINES[STORY])
    (tmp_path / "story.wav").write_bytes(wav(1, 1, 8000, 16, samples.tobytes()))
    (tmp_path / "story.txt").write_text("I will look\ninto it. ", "utf-8")
    (tmp_path / "wordless.wav").write_bytes(wav(1, 1, 8000, 16, samples.tobytes()))
    (tmp_path / "broken.wav").write_bytes(b"RIFF" + struct.pack("<I", 0))
    (tmp_path / "broken.txt").write_text("No.", "utf-8")
    with caplog.at_level(logging.WARNING):
        assert list(load_lines(tmp_path)) == [("I will look into it.", encode(samples))]
    assert [record.getMessage().count(".wav is no line") for record in caplog.records] == [1, 1]
