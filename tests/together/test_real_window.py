"""The real window by real keys: taken over in the middle of an AI sentence, spoken into a microphone, handed back."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bridge.audio import decode
from bridge.control import Floor, Party, Phase, Recording, TurnKind, TurnState, TurnView
from bridge.rehearsal.clips import AI_VOICE, shipped

from .desk import Desk
from .real_window import missing, open_window
from .sound import read_wav

pytestmark = [pytest.mark.real_time, pytest.mark.skipif(bool(missing()), reason=missing() or "all programs are here")]

RATE_HZ = 8000
PIECE = RATE_HZ // 2
LINE = "Good morning. Yes, please. I would like a check-up, some time next week if you can."
"""A caller's of another scenario; nobody on this call has that voice."""

GREETING = "I am an AI assistant, and this call is recorded."
FOUND = 0.8
LOUD = 300
CUT_MS = 150
"""What was on its way to the caller may be heard for so long after the cut."""

Samples = npt.NDArray[np.float64]


def samples(mulaw: bytes) -> Samples:
    return np.array(decode(mulaw), np.float64)


def clip(voice: str, text: str) -> Samples:
    mulaw = shipped().get(voice, text)
    assert mulaw is not None
    return samples(mulaw)


def is_in(sound: Samples, line: Samples) -> bool:
    """Whether half a second of a line is in a sound, sample by sample: 1 is the same, other speech stays below 0.7."""
    energy = np.concatenate([[0.0], np.cumsum(sound**2)])
    loudness = np.sqrt(np.maximum(energy[PIECE:] - energy[:-PIECE], PIECE * 10_000.0))
    size = 1 << (len(sound) + PIECE).bit_length()
    spectrum = np.fft.rfft(sound, size)
    for at in range(0, len(line) - PIECE, PIECE):
        piece = line[at : at + PIECE]
        alike = np.fft.irfft(spectrum * np.conj(np.fft.rfft(piece, size)), size)[: len(loudness)]
        if (alike / (loudness * np.sqrt((piece**2).sum()))).max() > FOUND:
            return True
    return False


def is_loud(sound: Samples) -> bool:
    return bool(len(sound)) and bool(np.abs(sound).max() > LOUD)


def turns(desk: Desk, speaker: Party, kind: TurnKind = TurnKind.SPEECH) -> list[TurnView]:
    """In the order in which they began."""
    found = [t for call in desk.store.calls.values() for t in call.turns.values()]
    return sorted((t for t in found if t.speaker is speaker and t.kind is kind), key=lambda t: (t.start_ms, t.order))


def save_line(folder: Path) -> Path:
    """As a WAV file, with its words beside it."""
    folder.mkdir()
    path = folder / "line.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(clip("awb", LINE).astype("<i2").tobytes())
    path.with_suffix(".txt").write_text(LINE)
    return path


async def test_taken_over_in_the_middle_of_a_sentence_and_handed_back_by_keys(tmp_path: Path) -> None:
    line = save_line(tmp_path / "lines")
    async with open_window(tmp_path, line.parent) as window:
        desk = window.desk
        await desk.until(lambda store: any(turn.heard_ms > 1500 for turn in turns(desk, Party.AI)))
        await window.press("t")
        await desk.until(lambda store: desk.call().view.floor is Floor.OPERATOR)
        await desk.until(lambda store: any(taken.voice_ms is not None for taken in desk.call().take_overs.values()))
        assert await window.server.is_recorded()
        await window.server.play_into_microphone(line)
        await desk.until(lambda store: any(t.state is TurnState.FINAL for t in turns(desk, Party.OPERATOR)))
        assert desk.call().view.floor is Floor.OPERATOR
        before = len(turns(desk, Party.AI))
        await window.press("shift+t")
        await desk.until(lambda store: desk.call().view.floor is Floor.AI)
        await desk.until(lambda store: any(turn.heard_ms > 1000 for turn in turns(desk, Party.AI)[before:]))
        assert not await window.server.is_recorded()
        await window.press("shift+Escape")
        await desk.until(lambda store: desk.call().view.phase is Phase.ENDED)
        await desk.until(lambda store: desk.call().view.recording is Recording.DONE)
        call = desk.call()
        heard = samples(read_wav(Path(call.view.recording_path)).line)

    assert turns(desk, Party.AI)[0].state is TurnState.CUT
    taken, handed_back = (turn.start_ms for turn in turns(desk, Party.OPERATOR, TurnKind.NOTE))
    first, *_ = turns(desk, Party.OPERATOR)
    operator = heard[(taken + CUT_MS) * RATE_HZ // 1000 : handed_back * RATE_HZ // 1000]
    assert is_loud(heard[: taken * RATE_HZ // 1000])
    assert not is_loud(operator[: max(0, first.start_ms - taken - 2 * CUT_MS) * RATE_HZ // 1000])
    assert is_in(operator, clip("awb", LINE))
    assert not is_in(operator, clip(AI_VOICE, GREETING))
    assert is_loud(heard[handed_back * RATE_HZ // 1000 :])


async def test_who_listens_by_key_hears_what_the_caller_hears(tmp_path: Path) -> None:
    line = save_line(tmp_path / "lines")
    async with open_window(tmp_path, line.parent) as window:
        desk = window.desk
        await desk.until(lambda store: any(turn.heard_ms > 500 for turn in turns(desk, Party.AI)))
        async with window.server.record_speaker() as recording:
            await window.press("l")
            await desk.until(lambda store: any(turn.state is TurnState.FINAL for turn in turns(desk, Party.AI)))
            await desk.until(lambda store: any(turn.end_ms > turn.start_ms for turn in turns(desk, Party.CALLER)))
        left = np.frombuffer(bytes(recording.sound), np.int16).astype(np.float64).reshape(-1, 2)[:, 0]
        every = len(left) // (48_000 // RATE_HZ)
        heard = left[: every * 6].reshape(every, 6).mean(axis=1)
        await window.press("shift+Escape")
        await desk.until(lambda store: desk.call().view.phase is Phase.ENDED)
    assert is_in(heard, clip(AI_VOICE, GREETING))
