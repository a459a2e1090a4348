"""Speech is told from silence and noise on this machine, with the voices that ship."""

from __future__ import annotations

from array import array
from random import Random

import msgspec
import pytest

from bridge.audio import FRAME_BYTES, SILENT_FRAME, encode
from bridge.engines.local_vad import SILENT_DB, LocalVad, level_db
from bridge.rehearsal.clips import FOLDER, LIST_FILE, Entry, shipped

ENTRIES = msgspec.json.decode((FOLDER / LIST_FILE).read_bytes(), type=list[Entry])


def frames(mulaw: bytes) -> list[bytes]:
    return [mulaw[at : at + FRAME_BYTES] for at in range(0, len(mulaw) - FRAME_BYTES + 1, FRAME_BYTES)]


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.length > 8000][:40], ids=lambda e: f"{e.voice}-{e.offset}")
def test_most_of_a_voice_is_speech_and_what_is_around_it_is_not(entry: Entry) -> None:
    vad = LocalVad()
    before = [vad.is_speech(SILENT_FRAME) for _ in range(25)]
    audio = shipped().get(entry.voice, entry.text)
    assert audio is not None
    during = [vad.is_speech(frame) for frame in frames(audio)]
    after = [vad.is_speech(SILENT_FRAME) for _ in range(50)]
    assert not any(before)
    assert sum(during) > 0.6 * len(during)
    assert not any(after[15:])


def test_faint_noise_of_the_line_is_no_speech() -> None:
    random, vad = Random(1), LocalVad(3)
    noise = [bytes(random.choice(b"\xff\x7f\xfe\x7e\xfd\x7d") for _ in range(FRAME_BYTES)) for _ in range(100)]
    assert not any([vad.is_speech(frame) for frame in noise][25:])


def test_a_torn_frame_is_no_speech() -> None:
    assert not LocalVad().is_speech(b"\x00" * 100)
    assert not LocalVad().is_speech(b"")


def test_levels_are_in_db_below_full_scale() -> None:
    assert level_db(encode(array("h", [0, 32_124, 0]))) == 0.0
    assert level_db(encode(array("h", [0, -3212]))) == pytest.approx(-20.0, abs=0.5)
    assert level_db(SILENT_FRAME) == level_db(b"") == SILENT_DB
