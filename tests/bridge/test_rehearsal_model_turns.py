"""The rehearsal AI as a listener: turns, barge-in, transcripts, tools, idle callers, whole scenarios."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.audio import silence
from bridge.rehearsal import scenario
from bridge.rehearsal.mind import ARE_YOU_THERE, NOT_KNOWN
from bridge.rehearsal.model import Model
from bridge.rehearsal.speech import babble
from tests.bridge.realtime_client import GUIDANCE, KEY, PCMU, SAY, TOOLS, Client

BILLING = scenario.load("billing")
BOOKING = scenario.load("booking")
TWICE, ORDER, NO_EXPRESS, THAT_WAS_ALL = (step.audio for step in BILLING.steps if step.audio)
THURSDAY = BOOKING.steps[1].audio
THURSDAY_REPLY = "Thursday at ten it is. May I have your name, please?"
STRANGER = babble("Nobody has ever rehearsed what is being said here.")


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model(api_key=KEY, model_delay_ms=0, speed=0, transcript_delay_ms=(0, 0), speech_path="") as model:
        yield model


@pytest.fixture
async def client(model: Model) -> AsyncIterator[Client]:
    async with Client(model) as client:
        yield client


def turns(**settings: Any) -> dict[str, Any]:
    detection = {"turn_detection": {"type": "server_vad", **settings}}
    return {"input": PCMU | {"transcription": {"model": "gpt-transcribe"}} | detection, "output": PCMU}


async def configure(client: Client, **settings: Any) -> None:
    await client.send("session.update", session={"type": "realtime", "audio": turns(**settings)})
    await client.next("session.updated")


# ── one turn ──────────────────────────────────────────────────────────────────────────────


async def test_a_turn_is_found_transcribed_and_answered(model: Model, client: Client) -> None:
    await client.ready()
    await client.say(TWICE)
    assert (await client.reply()).startswith("I am so sorry about that.")
    names = client.names()
    order = [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    assert [name for name in names if name in order][: len(order)] == order
    started, stopped = (client.all(f"input_audio_buffer.speech_{what}")[0] for what in ("started", "stopped"))
    assert 100 <= started["audio_start_ms"] <= 200
    assert stopped["audio_end_ms"] - 500 <= 400 + len(TWICE) // 8 <= stopped["audio_end_ms"]
    assert stopped["item_id"] == started["item_id"] == client.all("input_audio_buffer.committed")[0]["item_id"]
    assert [heard.line for heard in model.sessions[0].heard] == [BILLING.steps[0].text]


async def test_the_transcript_names_the_turn_and_adds_up(client: Client) -> None:
    await client.ready()
    await client.say(TWICE)
    name = "conversation.item.input_audio_transcription"
    told = await client.next(f"{name}.completed")
    assert told["transcript"] == BILLING.steps[0].text
    assert "".join(event["delta"] for event in client.all(f"{name}.delta")) == told["transcript"]
    assert told["item_id"] == client.all("input_audio_buffer.committed")[0]["item_id"]
    assert told["usage"]["total_tokens"] == told["usage"]["input_tokens"] + told["usage"]["output_tokens"]


async def test_words_of_a_turn_may_come_after_the_answer_began(model: Model, client: Client) -> None:
    model.transcript_delay_ms = (60, 120)
    await client.ready()
    await client.say(TWICE)
    await client.next("conversation.item.input_audio_transcription.completed")
    names = client.names()
    assert names.index("response.created") < names.index("conversation.item.input_audio_transcription.delta")


async def test_without_transcription_there_are_no_words(client: Client) -> None:
    await client.ready(audio={"input": PCMU, "output": PCMU})
    await client.say(THURSDAY)
    assert await client.reply() == THURSDAY_REPLY
    await client.spoken(instructions=SAY.format("Goodbye."))
    assert not [name for name in client.names() if "transcription" in name]


async def test_unknown_speech_is_told_honestly(model: Model, client: Client) -> None:
    await client.ready()
    await client.say(STRANGER)
    assert await client.reply() == NOT_KNOWN[0]
    length_s = len(STRANGER) / 8000
    await model.until(lambda: len(model.sessions[0].heard) == 1)
    transcript = model.sessions[0].heard[0].transcript
    assert float(transcript.removeprefix("[speech, ").removesuffix(" s]")) == pytest.approx(length_s, abs=0.3)
    await client.say(STRANGER)
    assert await client.reply() == NOT_KNOWN[1]


async def test_a_line_is_known_wherever_it_begins_in_a_frame(client: Client) -> None:
    await client.ready()
    await client.speak(silence(405) + THURSDAY + silence(600))
    assert await client.reply() == THURSDAY_REPLY


async def test_half_a_line_has_half_its_words(client: Client) -> None:
    await client.ready()
    await client.say(TWICE[: len(TWICE) // 2])
    told = await client.next("conversation.item.input_audio_transcription.completed")
    assert BILLING.steps[0].text.startswith(told["transcript"])
    assert 3 < len(told["transcript"].split()) < 10


@pytest.mark.parametrize("sound", [silence(3000), silence(500) + b"\x80\x00" * 80 + silence(1500), b"\xf9\x79" * 12000])
async def test_silence_clicks_and_faint_noise_are_no_turn(client: Client, sound: bytes) -> None:
    await client.ready()
    await client.speak(sound)
    await client.say(THURSDAY)
    await client.reply()
    assert len(client.all("input_audio_buffer.speech_started")) == 1


async def test_a_longer_pause_may_be_allowed(client: Client) -> None:
    await client.ready()
    await configure(client, silence_duration_ms=1000, prefix_padding_ms=100)
    await client.speak(silence(400) + TWICE + silence(700) + ORDER + silence(1100))
    told = await client.next("conversation.item.input_audio_transcription.completed")
    assert told["transcript"] == f"{BILLING.steps[0].text} {BILLING.steps[1].text}"
    assert len(client.all("input_audio_buffer.speech_stopped")) == 1
    assert client.all("input_audio_buffer.speech_started")[0]["audio_start_ms"] >= 300


async def test_a_high_threshold_hears_only_loud_voices(client: Client) -> None:
    await client.ready()
    await configure(client, threshold=1.0)
    await client.say(b"".join(bytes([byte | 0x20]) for byte in THURSDAY))
    await configure(client)
    await client.say(THURSDAY)
    assert await client.reply() == THURSDAY_REPLY
    assert len(client.all("input_audio_buffer.speech_started")) == 1


async def test_semantic_turns_are_found_too(client: Client) -> None:
    detection = {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}}
    await client.ready(audio={"input": PCMU | detection, "output": PCMU})
    await client.say(THURSDAY, then_quiet_ms=400)
    assert await client.reply() == THURSDAY_REPLY


async def test_who_pauses_in_the_middle_of_a_sentence_is_waited_for_by_the_sense_of_it(client: Client) -> None:
    detection = {"transcription": {"model": "gpt-transcribe"}, "turn_detection": {"type": "semantic_vad"}}
    await client.ready(audio={"input": PCMU | detection, "output": PCMU})
    half = len(THURSDAY) // 320 * 160
    await client.speak(silence(400) + THURSDAY[:half] + silence(2000))
    await client.speak(THURSDAY[half:] + silence(700))
    assert await client.reply() == THURSDAY_REPLY
    await client.speak(THURSDAY[:half] + silence(3900))
    await client.send("input_audio_buffer.clear")
    await client.next("input_audio_buffer.cleared")
    assert len(client.all("input_audio_buffer.speech_stopped")) == 1
    await client.speak(THURSDAY[:half] + silence(4100))
    await client.next("input_audio_buffer.speech_stopped")


async def test_turns_by_hand(client: Client) -> None:
    await client.ready(audio={"input": PCMU | {"turn_detection": None}, "output": PCMU})
    await client.send("input_audio_buffer.commit")
    assert (await client.next("error"))["error"]["code"] == "input_audio_buffer_commit_empty"
    await client.say(TWICE)
    await client.send("input_audio_buffer.clear")
    await client.next("input_audio_buffer.cleared")
    await client.say(THURSDAY)
    await client.send("input_audio_buffer.commit")
    await client.next("input_audio_buffer.committed")
    assert await client.spoken() == THURSDAY_REPLY
    assert "input_audio_buffer.speech_started" not in client.names()


# ── who may speak ─────────────────────────────────────────────────────────────────────────


async def test_a_caller_who_cuts_in_stops_the_reply(model: Model, client: Client) -> None:
    model.speed = 2
    await client.ready()
    await client.send(
        "response.create", response={"instructions": SAY.format("You will see them in three to five working days.")}
    )
    await client.next("response.output_audio.delta")
    await client.speak(silence(200) + NO_EXPRESS)
    await client.next("input_audio_buffer.speech_started")
    done = await client.next("response.done")
    assert done["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    model.speed = 0
    await client.speak(silence(600))
    assert "the express delivery" not in await client.reply()


async def test_a_muted_ai_listens_and_answers_when_it_may_again(model: Model, client: Client) -> None:
    await client.ready()
    await configure(client, create_response=False, interrupt_response=False)
    await client.say(THURSDAY)
    told = await client.next("conversation.item.input_audio_transcription.completed")
    assert told["transcript"] == BOOKING.steps[1].text
    assert "response.created" not in client.names()
    await configure(client, create_response=True, interrupt_response=True)
    assert await client.spoken() == THURSDAY_REPLY


async def test_a_reply_that_must_not_be_interrupted_goes_on(model: Model, client: Client) -> None:
    model.speed = 2
    await client.ready()
    await configure(client, interrupt_response=False)
    await client.send(
        "response.create", response={"instructions": SAY.format("You will see them in three to five working days.")}
    )
    await client.next("response.output_audio.delta")
    await client.say(THURSDAY)
    await client.next("input_audio_buffer.committed")
    assert (await client.next("response.done"))["response"]["status"] == "completed"
    model.speed = 0
    assert await client.spoken() == THURSDAY_REPLY


async def test_what_was_said_to_the_operator_is_not_answered_again(client: Client) -> None:
    await client.ready()
    await configure(client, create_response=False, interrupt_response=False)
    await client.say(THURSDAY)
    await client.next("input_audio_buffer.committed")
    await client.note("A human colleague took over the line and spoke with the caller for 9 s.")
    said = await client.spoken()
    assert said.startswith("Thanks for waiting.") and THURSDAY_REPLY not in said


async def test_guidance_changes_the_answer_to_the_caller(client: Client) -> None:
    await client.ready()
    await client.note(GUIDANCE.format("the second charge is our mistake"))
    await client.say(THURSDAY)
    assert await client.reply() == (
        "Thursday at ten it is. I should add: the second charge is our mistake. May I have your name, please?"
    )


async def test_an_idle_caller_is_spoken_to_again(client: Client) -> None:
    await client.ready()
    await configure(client, idle_timeout_ms=5000)
    await client.send("response.create", response={"instructions": SAY.format("…")})
    await client.next("response.done")
    spoken_ms = len(babble("…")) // 8
    await client.speak(silence(5000 + spoken_ms + 20))
    told = await client.next("input_audio_buffer.timeout_triggered")
    assert 5000 + spoken_ms <= told["audio_end_ms"] <= 5020 + spoken_ms
    assert told["item_id"] == (await client.next("input_audio_buffer.committed"))["item_id"]
    assert await client.reply() == ARE_YOU_THERE


# ── tools ─────────────────────────────────────────────────────────────────────────────────


async def tool_call(client: Client) -> dict[str, Any]:
    done = await client.next("response.output_item.done", lambda event: event["item"]["type"] == "function_call")
    return dict(done["item"])


async def answer(client: Client, call: dict[str, Any], output: str) -> str:
    item = {"type": "function_call_output", "call_id": call["call_id"], "output": output}
    await client.send("conversation.item.create", item=item)
    return await client.spoken()


async def test_a_tool_is_asked_for_and_its_result_spoken_of(client: Client) -> None:
    await client.ready("find_payments")
    await client.say(ORDER)
    call = await tool_call(client)
    assert (call["name"], json.loads(call["arguments"])) == ("find_payments", {"order": "8841", "month": "2026-03"})
    deltas = client.all("response.function_call_arguments.delta")
    assert len(deltas) > 1
    assert "".join(event["delta"] for event in deltas) == call["arguments"]
    await client.next("response.done")
    payments = [{"id": name, "amount": 31.0} for name in ("pi_1", "pi_2", "pi_3")]
    said = await answer(client, call, json.dumps({"payments": payments}))
    assert said.startswith("Thank you. I can see three payments of 31 dollars")


async def test_words_and_a_tool_come_in_one_response(client: Client) -> None:
    await client.ready("refund_payment")
    await client.say(NO_EXPRESS)
    call = await tool_call(client)
    done = await client.next("response.done")
    assert [item["type"] for item in done["response"]["output"]] == ["message", "function_call"]
    assert (await answer(client, call, '{"ok":true}')).startswith("Done. The 48 dollars are on their way back")


@pytest.mark.parametrize(
    "output", ['{"error":"denied by the operator"}', "Refused: there is no such payment.", '{"ok":false}']
)
async def test_a_tool_that_failed_is_told_as_such(client: Client, output: str) -> None:
    await client.ready("refund_payment")
    await client.say(NO_EXPRESS)
    call = await tool_call(client)
    await client.next("response.done")
    assert (await answer(client, call, output)).startswith("I could not send it back just now.")


async def test_tools_that_were_not_declared_are_never_used(client: Client) -> None:
    await client.ready()
    await client.say(ORDER)
    assert "I can see two payments" in await client.reply()
    assert "response.function_call_arguments.done" not in client.names()


@pytest.mark.parametrize("choice", ["none", {"type": "function", "name": "book_appointment"}])
async def test_the_choice_of_tools_is_kept_to(client: Client, choice: Any) -> None:
    await client.ready(*TOOLS, tool_choice=choice)
    await client.say(ORDER)
    await client.reply()
    assert "response.function_call_arguments.done" not in client.names()


# ── whole scenarios ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", scenario.names())
async def test_every_line_of_every_scenario_gets_its_answer(model: Model, client: Client, name: str) -> None:
    await client.ready(*TOOLS)
    for reply in scenario.load(name).replies:
        await client.say(reply.audio)
        if reply.tool:
            call = await tool_call(client)
            assert call["name"] == reply.tool.name
            await client.next("response.done")
            said = await answer(client, call, "{}")
            assert said and said not in NOT_KNOWN
        else:
            assert await client.reply() == reply.says
    assert [heard.transcript for heard in model.sessions[0].heard] == [
        reply.line for reply in scenario.load(name).replies
    ]
