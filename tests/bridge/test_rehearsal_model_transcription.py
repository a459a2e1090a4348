"""Sessions of the rehearsal AI that only write down: what they take, and what they refuse as the real ones do."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.audio import decode, encode, silence
from bridge.rehearsal import scenario
from bridge.rehearsal.child import open_rehearsal
from bridge.rehearsal.model import Model
from tests.bridge.realtime_client import KEY, PCMU, SESSION, Client
from tests.bridge.speech_program import wav

REPLY = scenario.load("billing").replies[0]
TEXT = "conversation.item.input_audio_transcription"
VAD = {"type": "server_vad"}


def transcription(**sound: Any) -> dict[str, Any]:
    given = PCMU | {"transcription": {"model": "gpt-transcribe"}, "turn_detection": VAD} | sound
    return {"type": "transcription", "audio": {"input": given}}


LANGUAGE = "session.audio.input.transcription.language"


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, transcript_delay_ms=(0, 0)) as model:
        yield model


async def refusal(client: Client) -> dict[str, Any]:
    return dict((await client.next("error"))["error"])


async def test_it_writes_down_and_never_speaks(model: Model) -> None:
    async with Client(model, name="", intent="transcription") as client:
        assert (await client.next("session.created"))["session"]["type"] == "transcription"
        await client.send("session.update", session=transcription())
        await client.next("session.updated")
        await client.say(REPLY.audio)
        done = await client.next("conversation.item.input_audio_transcription.completed")
        assert done["transcript"] == REPLY.line
        await client.send("input_audio_buffer.clear")
        await client.next("input_audio_buffer.cleared")
        assert "response.created" not in client.names()


async def test_some_models_write_while_one_speaks_and_are_told_of_pauses(model: Model) -> None:
    live = {"transcription": {"model": "gpt-live-transcribe", "language": "en"}, "turn_detection": None}
    async with Client(model, name="", intent="transcription") as client:
        await client.next("session.created")
        await client.send("session.update", session=transcription(**live))
        await client.next("session.updated")
        half = len(REPLY.audio) // 320 * 160
        await client.speak(silence(400) + REPLY.audio[:half])
        first = await client.next(f"{TEXT}.delta")
        assert REPLY.line.startswith(first["delta"])
        await client.speak(REPLY.audio[half:] + silence(400))
        await client.send("input_audio_buffer.commit")
        assert (await client.next("input_audio_buffer.committed"))["item_id"] == first["item_id"]
        done = await client.next(f"{TEXT}.completed")
        assert (done["item_id"], done["transcript"]) == (first["item_id"], REPLY.line)
        deltas = [event["delta"] for event in client.all(f"{TEXT}.delta")]
        assert len(deltas) > 3 and "".join(deltas) == REPLY.line
        assert "input_audio_buffer.speech_started" not in client.names()
        await client.speak(REPLY.audio[:half])
        again = await client.next(f"{TEXT}.delta")
        await client.send("input_audio_buffer.clear")
        await client.next("input_audio_buffer.cleared")
        await client.speak(REPLY.audio[:half])
        assert (await client.next(f"{TEXT}.delta"))["item_id"] not in (first["item_id"], again["item_id"])


async def test_it_knows_what_an_operator_says_through_a_microphone(model: Model) -> None:
    model.lines.learn("I will look into it myself.", REPLY.audio)
    softer = encode(array("h", (sample // 3 for sample in decode(REPLY.audio)[5:])))
    async with Client(model, name="", intent="transcription") as client:
        await client.send("session.update", session=transcription())
        await client.next("session.updated")
        await client.say(softer)
        done = await client.next("conversation.item.input_audio_transcription.completed")
        assert done["transcript"] == "I will look into it myself."


async def test_a_model_in_the_address_makes_a_conversation_which_refuses(model: Model) -> None:
    async with Client(model, intent="transcription") as client:
        await client.next("session.created")
        await client.send("session.update", session=transcription())
        assert (await refusal(client))["param"] == "session.type"


async def test_a_conversations_settings_are_refused(model: Model) -> None:
    async with Client(model, name="", intent="transcription") as client:
        await client.next("session.created")
        await client.send("session.update", session=SESSION)
        assert (await refusal(client))["param"] == "session.type"
        await client.send("response.create")
        assert "response.create" in (await refusal(client))["message"]


@pytest.mark.parametrize(
    ("sound", "param"),
    [
        ({"transcription": {"model": "gpt-live-transcribe"}}, "session.audio.input.turn_detection"),
        ({"transcription": {"model": "gpt-transcribe", "language": "en-US"}}, LANGUAGE),
        ({"format": {"type": "audio/pcma"}}, "session.audio.input.format"),
    ],
)
async def test_what_it_cannot_do_is_refused(model: Model, sound: dict[str, Any], param: str) -> None:
    async with Client(model, name="", intent="transcription") as client:
        await client.next("session.created")
        await client.send("session.update", session=transcription(**sound))
        assert (await refusal(client))["param"] == param


async def test_sound_before_its_format_is_set_is_refused(model: Model) -> None:
    async with Client(model, name="", intent="transcription") as client:
        await client.next("session.created")
        await client.speak(REPLY.audio[:160])
        assert (await refusal(client))["param"] == "session.audio.input.format"


async def test_the_rehearsals_process_learns_an_operators_lines_from_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "line.wav").write_bytes(wav(1, 1, 8000, 16, decode(REPLY.audio).tobytes()))
    (tmp_path / "line.txt").write_text("I will look into it myself.\n", "utf-8")
    monkeypatch.setenv("CORDBOARD_REHEARSAL_LINES", str(tmp_path))
    async with open_rehearsal() as rehearsal:
        address, key = rehearsal.model_url, rehearsal.api_key
        async with Client(address, key=key, name="", intent="transcription") as client:
            await client.send("session.update", session=transcription())
            await client.next("session.updated")
            await client.say(encode(array("h", (sample // 3 for sample in decode(REPLY.audio)[5:]))))
            done = await client.next("conversation.item.input_audio_transcription.completed")
            assert done["transcript"] == "I will look into it myself."
