"""The rehearsed conversations as the carrier gets them."""

from __future__ import annotations

import re
import struct
import tomllib
from pathlib import Path

import msgspec
import pytest

from bridge import tools
from bridge.audio import FRAME_BYTES
from bridge.rehearsal import scenario
from bridge.rehearsal.clips import AI_VOICE, Clips, shipped
from bridge.rehearsal.scenario import CallerStep, Wait

PROFILES = Path(scenario.__file__).resolve().parents[2] / "resources" / "profiles"
NUMBERS = {"billing": "01", "booking": "02", "person": "03", "reminder": "04", "keypad": "05", "pin": "06"}
TALKS = [name for name in scenario.names() if name not in ("keypad", "pin")]
"""Those without keys, which are talk from end to end."""


def test_the_scenarios_are_there() -> None:
    assert scenario.names() == ("billing", "booking", "keypad", "person", "pin", "reminder")


@pytest.mark.parametrize("name", scenario.names())
def test_a_scenario_is_whole(name: str) -> None:
    found = scenario.load(name)
    assert found.name == name
    assert found.our_number == f"+162855501{NUMBERS[name]}"
    assert re.fullmatch(r"\+1\d{3}55501\d\d", found.caller_number)
    assert found.direction == ("outbound" if name == "reminder" else "inbound")
    assert len(found.place) == 3 and all(found.place)
    assert found.steps[-1].hang_up and not any(step.hang_up for step in found.steps[:-1])
    for step in found.steps[:-1]:
        assert bool(step.audio) == bool(step.text) != bool(step.digits)
        assert len(step.audio) % FRAME_BYTES == 0
        assert step.give_up_ms > step.ms


@pytest.mark.parametrize("name", scenario.names())
def test_every_line_has_an_answer(name: str) -> None:
    found = scenario.load(name)
    answers = {reply.line for reply in found.replies}
    assert answers == {step.text for step in found.steps if step.text}


@pytest.mark.parametrize("name", TALKS)
def test_a_scenario_lasts_forty_to_ninety_seconds(name: str) -> None:
    script = scenario.script(name)
    said = sum(len(step.audio) for step in scenario.load(name).steps)
    for whole in (text for turn in script.turns for text in (turn.reply, turn.tool.then if turn.tool else "")):
        plain = re.sub(r"\{[^|}]*\|([^}]*)\}", r"\1", whole)
        said += sum(len(shipped().get(AI_VOICE, part) or b"") for part in re.split(r"(?<=[.!?])\s+", plain))
    assert 30 < said / 8000 < 80, "speech alone; pauses and thinking come on top"


def test_the_caller_of_the_billing_dispute_cuts_in() -> None:
    assert [step.wait for step in scenario.load("billing").steps].count(Wait.REPLY_MS) == 1


def test_callers_and_the_ai_have_voices_of_their_own() -> None:
    voices = [scenario.script(name).voice for name in scenario.names()]
    assert len({*voices, AI_VOICE}) == 7


@pytest.mark.parametrize("name", scenario.names())
async def test_the_tools_that_are_used_exist_and_take_these_arguments(name: str) -> None:
    found = scenario.load(name)
    used = [reply.tool for reply in found.replies if reply.tool]
    profile = next(
        read
        for path in PROFILES.glob("*.toml")
        if found.our_number in (read := tomllib.loads(path.read_text("utf-8")))["numbers"]
    )
    assert {tool.name for tool in used} <= set(profile["tools"])
    for tool in used:
        result = await tools.run(tool.name, msgspec.json.encode(tool.arguments).decode())
        assert result.ok, result.text


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="billing, booking, keypad, person, pin, reminder"):
        scenario.load("banking")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = ", "odd.toml"),
        ('title = "x"', "missing required field"),
        ('title = "x"\nsurprise = 1', "unknown field"),
    ],
)
def test_a_file_that_is_wrong_is_told_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    (tmp_path / "odd.toml").write_text(text, "utf-8")
    monkeypatch.setattr(scenario, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"odd\.toml") as told:
        scenario.load("odd")
    assert words in str(told.value)


def test_a_line_that_nobody_rendered_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (scenario.FOLDER / "billing.toml").read_text("utf-8").replace("charged twice", "charged thrice")
    (tmp_path / "billing.toml").write_text(text, "utf-8")
    monkeypatch.setattr(scenario, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"charged thrice.*bridge\.rehearsal\.render"):
        scenario.load("billing")


def test_clips_are_found_by_voice_and_exact_text() -> None:
    clips = Clips()
    assert len(clips) > 50
    assert clips.get(AI_VOICE, "Goodbye.")
    assert clips.get(AI_VOICE, "goodbye") is None


def test_any_wav_file_can_be_a_caller(tmp_path: Path) -> None:
    path = tmp_path / "hello.wav"
    data = b"\x90\x10" * 500
    form = struct.pack("<HHIIHH", 7, 1, 8000, 8000, 1, 8)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    found = scenario.from_wav(str(path))
    speaks, hangs_up = found.steps
    assert speaks.audio == data + b"\xff" * 120
    assert (speaks.wait, hangs_up) == (Wait.REPLY_END, CallerStep(Wait.REPLY_END, 1500, hang_up=True))
    assert found.our_number == "+16285550100"


def test_a_file_that_is_no_wav_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(b"ID3 something else")
    with pytest.raises(ValueError, match=r"song\.wav is not a WAV file"):
        scenario.from_wav(path)
