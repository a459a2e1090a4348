"""A Realtime session that reads out sentences: its messages, read and written."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec
import pytest
from openai.types.realtime.response_cancel_event import ResponseCancelEvent
from openai.types.realtime.response_create_event import ResponseCreateEvent
from openai.types.realtime.session_update_event import SessionUpdateEvent

from bridge.engines.openai_messages import Rates
from bridge.engines.speech import VoiceFailed
from bridge.engines.speech.realtime_voice_wire import OTHER_WORDS, RealtimeVoiceWire, strays
from tests.bridge.heard import Heard


def told(name: str, **fields: Any) -> bytes:
    return msgspec.json.encode({"type": name, "event_id": "event_1", **fields})


def begun(number: int = 1, **fields: Any) -> bytes:
    response = {"id": f"resp_{number}", "status": "in_progress", "metadata": {"sentence": str(number)}}
    return told("response.created", response=response | fields)


def done(number: int = 1, status: str = "completed", **fields: Any) -> bytes:
    return told("response.done", response={"id": f"resp_{number}", "status": status, **fields})


def part(name: str, number: int = 1, **fields: Any) -> bytes:
    return told(f"response.{name}", response_id=f"resp_{number}", item_id="item_1", **fields)


def sound(mulaw: bytes, number: int = 1) -> bytes:
    return part("output_audio.delta", number, delta=b64encode(mulaw).decode())


def ready(prices: dict[str, Rates] | None = None) -> RealtimeVoiceWire:
    wire = RealtimeVoiceWire("gpt-realtime-2.1-mini", "marin", prices)
    [configured] = wire.open()
    update = SessionUpdateEvent.model_validate_json(configured)
    assert update.session.type == "realtime"
    assert not wire.ready
    assert wire.receive(told("session.created", session={})) == []
    assert wire.receive(told("session.updated", session={})) == []
    assert wire.ready
    return wire


def reading(text: str = "Hello there.", wire: RealtimeVoiceWire | None = None) -> tuple[RealtimeVoiceWire, Heard]:
    wire, heard = wire or ready(), Heard()
    wire.speak(text, heard, 1.0)
    wire.receive(begun())
    return wire, heard


def test_a_sentence_is_a_response_beside_the_conversation() -> None:
    wire = ready()
    [message] = wire.speak("Hello there.", Heard(), 1.0)
    event = ResponseCreateEvent.model_validate_json(message)
    assert event.response is not None
    assert (event.response.conversation, event.response.input, event.response.tool_choice) == ("none", [], "none")
    assert event.response.instructions == 'Say exactly, word for word, nothing else: "Hello there."'
    assert wire.full and wire.wanted and not wire.unstoppable


def test_its_sound_is_passed_on_until_its_end() -> None:
    wire, heard = reading()
    for message in (
        part("output_audio_transcript.delta", delta="Hello the"),
        sound(b"one"),
        sound(b"foreign", number=7),
        part("output_audio_transcript.delta", number=7, delta="Sure, well"),
        part("audio.delta", delta=b64encode(b"two").decode()),
        part("output_audio_transcript.done", transcript="Hello there!"),
        told("response.done", response={"id": "resp_7", "status": "completed"}),
    ):
        assert wire.receive(message) == []
    assert (heard.mulaw, heard.over) == (b"onetwo", False)
    wire.receive(done())
    assert (heard.over, heard.failure, wire.full, wire.wanted, wire.other_words) == (True, None, False, False, 0)
    wire.receive(sound(b"late"))
    wire.receive(part("output_audio_transcript.delta", delta="late"))
    wire.receive(part("output_audio_transcript.done", transcript="late"))
    assert heard.mulaw == b"onetwo"


def test_the_pace_is_changed_between_sentences_and_only_then_told() -> None:
    wire, _ = reading()
    wire.receive(done())
    slower, asked = wire.speak("Two.", Heard(), 0.1)
    assert msgspec.json.decode(slower)["session"]["audio"]["output"] == {"speed": 0.25}
    assert SessionUpdateEvent.model_validate_json(slower)
    wire.receive(begun(2))
    wire.receive(done(2))
    assert len(wire.speak("Three.", Heard(), 0.2)) == 1
    assert asked


def test_who_leaves_cancels_the_response() -> None:
    wire, heard = reading()
    assert wire.leave(Heard()) == []
    [message] = wire.leave(heard)
    assert ResponseCancelEvent.model_validate_json(message).response_id == "resp_1"
    assert wire.full and not wire.wanted
    wire.receive(sound(b"late"))
    wire.receive(part("output_audio_transcript.delta", delta="Hello"))
    wire.receive(part("output_audio_transcript.done", transcript="Hel"))
    wire.receive(done(status="cancelled"))
    assert (heard.mulaw, heard.over, wire.full, wire.other_words) == (b"", False, False, 0)
    assert wire.leave(heard) == []


def test_who_leaves_before_the_response_began_cancels_it_then() -> None:
    wire, heard = ready(), Heard()
    wire.speak("Hello.", heard, 1.0)
    assert wire.receive(told("response.created", response={"id": "resp_9", "metadata": None})) == []
    assert wire.leave(heard) == []
    [message] = wire.receive(begun())
    assert msgspec.json.decode(message) == {"type": "response.cancel", "response_id": "resp_1"}
    wire.receive(done(status="cancelled"))
    assert wire.receive(begun()) == []


def test_other_words_are_not_passed_on_if_that_is_known_in_time() -> None:
    wire, heard = reading()
    assert wire.receive(part("output_audio_transcript.delta", delta="Sure")) == []
    [message] = wire.receive(part("output_audio_transcript.delta", delta=", here"))
    assert msgspec.json.decode(message)["type"] == "response.cancel"
    assert str(heard.failure) == OTHER_WORDS
    wire.receive(sound(b"late"))
    wire.receive(part("output_audio_transcript.delta", delta=" it is"))
    wire.receive(part("output_audio_transcript.done", transcript="Sure, here it is"))
    wire.receive(done(status="cancelled"))
    assert (heard.mulaw, wire.other_words, wire.full) == (b"", 1, False)


def test_other_words_that_were_passed_on_are_counted_once() -> None:
    wire, heard = reading()
    for message in (
        sound(b"sure"),
        part("output_audio_transcript.delta", delta="Sure, here it is"),
        part("output_audio_transcript.done", transcript="Sure, here it is."),
        done(),
    ):
        assert wire.receive(message) == []
    assert (heard.failure, wire.other_words) == (None, 1)


@pytest.mark.parametrize(
    ("text", "said", "wrong"),
    [
        ("Hello there.", "Sure", False),
        ("Hello there.", "Sure, I", True),
        ("Hello there.", "Hello th", False),
        ("I am here.", "I'm here", False),
        ("It’s 3 pm.", "Three pm it", False),
    ],
)
def test_what_is_taken_for_other_words(text: str, said: str, wrong: bool) -> None:
    assert strays(text, said) is wrong


@pytest.mark.parametrize(
    ("response", "words", "fatal"),
    [
        ({"status": "failed", "status_details": {"error": {"code": "insufficient_quota"}}}, "no credit", True),
        ({"status": "failed", "status_details": {"error": {"code": "server_error"}}}, "server_error", False),
        ({"status": "failed"}, "broke off .failed.", False),
        ({"status": "incomplete", "status_details": {"reason": "content_filter"}}, "broke off .incomplete.", False),
    ],
)
def test_a_response_that_fails_is_told_in_words(response: dict[str, Any], words: str, fatal: bool) -> None:
    wire, heard = reading()
    wire.receive(done(**response))
    assert heard.failure is not None
    assert heard.failure.fatal is fatal
    assert heard.failure.unspeakable is (response["status"] == "incomplete")
    assert words.replace(".", "") in str(heard.failure).replace("(", "").replace(")", "")
    assert not wire.full


def test_an_error_about_the_sentence_fails_it_and_any_other_does_not() -> None:
    wire, heard = ready(), Heard()
    wire.receive(told("error", error={"code": "invalid_value", "event_id": None}))
    wire.speak("Hello.", heard, 1.0)
    wire.receive(told("error", error={"code": "response_cancel_not_active", "event_id": None}))
    assert wire.full
    problem = {"type": "invalid_request_error", "code": "invalid_value", "event_id": "sentence-1"}
    wire.receive(told("error", error=problem))
    assert not wire.full
    assert heard.failure is not None and "invalid_value" in str(heard.failure) and heard.failure.unspeakable


def test_errors_that_end_the_session() -> None:
    with pytest.raises(VoiceFailed, match="longest time") as expired:
        ready().receive(told("error", error={"code": "session_expired"}))
    assert not expired.value.fatal
    unsettled = RealtimeVoiceWire("gpt-realtime-2.1-mini", "hal")
    with pytest.raises(VoiceFailed, match="does not take this voice: no hal") as refused:
        unsettled.receive(told("error", error={"code": "invalid_value", "message": "no hal"}))
    assert refused.value.fatal


def test_what_it_cost_is_added_up() -> None:
    wire, _ = reading(wire=ready({"gpt-realtime-2.1-mini": Rates(audio_out=20.0)}))
    wire.receive(done(usage={"total_tokens": 150, "output_token_details": {"audio_tokens": 100}}))
    assert (wire.tokens, wire.cost_usd) == (150, pytest.approx(0.002))


def test_what_cannot_be_read_and_what_is_not_known_is_counted() -> None:
    wire, heard = reading()
    for text in (b"no json", b'{"type":"response.done"}', sound(b"")[:-3], part("output_audio.delta", delta="a")):
        wire.receive(text)
    assert wire.malformed == 4
    wire.receive(part("output_audio.delta"))
    for name in ("one.new", "one.new", "rate_limits.updated", *(f"name.{n}" for n in range(120))):
        wire.receive(told(name))
    assert wire.unknown["one.new"] == 2
    assert wire.unknown["(others)"] == 21
    assert not heard.over


def test_the_end_of_the_session_ends_the_sentence() -> None:
    wire, heard = reading()
    wire.give_up(VoiceFailed("gone"))
    assert str(heard.failure) == "gone"
    ready().give_up(VoiceFailed("gone"))
    left, unwanted = reading()
    left.leave(unwanted)
    left.give_up(VoiceFailed("gone"))
    assert not unwanted.over
