"""ElevenLabs' messages, read and written, as the vendor's own package knows them."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec
import pytest
from elevenlabs.types.audio_output_multi import AudioOutputMulti
from elevenlabs.types.close_context import CloseContext
from elevenlabs.types.final_output_multi import FinalOutputMulti
from elevenlabs.types.flush_context import FlushContext
from elevenlabs.types.initialise_context import InitialiseContext
from elevenlabs.types.realtime_voice_settings import RealtimeVoiceSettings

from bridge.engines.speech import VoiceFailed
from bridge.engines.speech import elevenlabs_wire as module
from bridge.engines.speech.elevenlabs_wire import MOST_CONTEXTS, ElevenLabsWire
from tests.bridge.heard import Heard


def opened() -> ElevenLabsWire:
    wire = ElevenLabsWire()
    assert not wire.ready
    assert wire.open() == []
    assert wire.ready
    return wire


def told(**fields: Any) -> bytes:
    return msgspec.json.encode(fields)


def sound(mulaw: bytes, context_id: str) -> bytes:
    """As the peer writes it; checked against its package."""
    fields = {"audio": b64encode(mulaw).decode(), "isFinal": None, "alignment": None, "contextId": context_id}
    assert AudioOutputMulti.model_validate(fields).context_id == context_id
    return told(**fields)


def final(context_id: str) -> bytes:
    fields = {"isFinal": True, "contextId": context_id}
    assert FinalOutputMulti.model_validate(fields).is_final is True
    return told(**fields)


def test_a_sentence_opens_fills_flushes_and_closes_a_context() -> None:
    wire = opened()
    first, second, third = (msgspec.json.decode(text) for text in wire.speak(" Hello there. ", Heard(), 1.0))
    assert InitialiseContext.model_validate(first).text == " "
    assert FlushContext.model_validate(second) == FlushContext(context_id="1", text="Hello there. ", flush=True)
    assert CloseContext.model_validate(third) == CloseContext(context_id="1", close_context=True)
    assert "voice_settings" not in first
    assert msgspec.json.decode(wire.speak("More.", Heard(), 1.0)[0])["context_id"] == "2"


@pytest.mark.parametrize(("asked", "said"), [(0.85, 0.85), (0.1, 0.7), (3.0, 1.2)])
def test_the_pace_is_within_what_the_peer_can_do(asked: float, said: float) -> None:
    settings = msgspec.json.decode(opened().speak("Hello.", Heard(), asked)[0])["voice_settings"]
    assert RealtimeVoiceSettings.model_validate(settings).speed == said


def test_sound_goes_to_whose_sentence_it_is() -> None:
    wire, one, two = opened(), Heard(), Heard()
    wire.speak("One.", one, 1.0)
    wire.speak("Two.", two, 1.0)
    for message in (sound(b"2a", "2"), sound(b"1a", "1"), sound(b"2b", "2"), final("2")):
        assert wire.receive(message) == []
    assert (one.mulaw, one.over, two.mulaw, two.over, two.failure) == (b"1a", False, b"2a2b", True, None)
    assert wire.wanted
    wire.receive(told(audio=b64encode(b"1b").decode(), is_final=True, context_id="1"))
    assert (one.mulaw, one.over) == (b"1a1b", True)
    assert not wire.wanted


def test_what_nobody_wants_is_dropped_and_counts_until_its_end() -> None:
    wire, left, kept = opened(), Heard(), Heard()
    wire.speak("One.", left, 1.0)
    assert not wire.unstoppable
    assert wire.leave(left) == []
    assert wire.unstoppable and not wire.wanted
    wire.speak("Two.", kept, 1.0)
    assert wire.leave(Heard()) == []
    assert wire.wanted
    wire.receive(sound(b"late", "1"))
    wire.receive(final("1"))
    assert (left.mulaw, left.over, wire.late, wire.unstoppable) == (b"", False, 1, False)


def test_it_is_full_with_as_many_as_the_peer_takes() -> None:
    wire = opened()
    for _ in range(MOST_CONTEXTS):
        assert not wire.full
        wire.speak("Hello.", Heard(), 1.0)
    assert wire.full
    wire.receive(final("3"))
    assert not wire.full


def test_what_cannot_be_read_and_what_is_not_known_is_counted() -> None:
    wire, heard = opened(), Heard()
    wire.speak("Hello.", heard, 1.0)
    for text in (b"no json", b"[]", b'{"audio":7}', b'{"audio":"a","contextId":"1"}', b"\xff"):
        wire.receive(text)
    assert wire.malformed == 5
    for text in (sound(b"?", "9"), told(news="something"), told(isFinal=True)):
        wire.receive(text)
    assert wire.unknown == 3
    assert not heard.over


def test_the_end_of_the_socket_ends_every_sentence() -> None:
    wire, left, kept, why = opened(), Heard(), Heard(), VoiceFailed("gone")
    wire.speak("One.", left, 1.0)
    wire.speak("Two.", kept, 1.0)
    wire.leave(left)
    wire.give_up(why)
    assert (left.over, kept.failure) == (False, why)
    assert not wire.full and not wire.wanted and not wire.unstoppable


@pytest.mark.parametrize(
    ("name", "words", "fatal"),
    [
        ("invalid_api_key", "refused the key", True),
        ("quota_exceeded", "no credit left", True),
        ("voice_id_does_not_exist", "no such voice", True),
        ("max_active_conversations", "fewer sentences", False),
        ("something_new", "could not speak that .something_new.", False),
    ],
)
def test_an_error_is_told_in_words_and_none_of_the_peers(name: str, words: str, fatal: bool) -> None:
    with pytest.raises(VoiceFailed, match=words) as failed:
        opened().receive(told(error=name, message="the caller's words", code=1008))
    assert failed.value.fatal is fatal
    assert "caller" not in str(failed.value)
    assert module.closed(1008, f"{name}: words").fatal is fatal


def test_a_closed_socket_is_told_by_its_code() -> None:
    assert "lost (1011)" in str(module.closed(1011, "whatever"))


@pytest.mark.parametrize(
    ("status", "body", "words", "fatal"),
    [
        (400, b'{"detail":{"status":"max_character_limit_exceeded"}}', "so many words", False),
        (400, b'{"detail":{"status":"whatever"}}', "could not speak that", False),
        (401, b'{"detail":{"status":"quota_exceeded"}}', "no credit", True),
        (401, b'{"detail":{"code":"missing_permissions"}}', "the right", True),
        (401, b"no", "refused the key", True),
        (404, b"{}", "no such voice", True),
        (422, b'{"detail":[]}', "HTTP status 422", False),
        (403, b"\xff", "HTTP status 403", True),
        (429, b"{}", "fewer", False),
        (500, b"{}", "HTTP status 500", False),
    ],
)
def test_a_refusal_is_told_in_words(status: int, body: bytes, words: str, fatal: bool) -> None:
    failed = module.refused(status, body)
    assert words in str(failed)
    assert failed.fatal is fatal
    assert failed.unspeakable is (status in (400, 422))
    assert module.turned_away(status, body).fatal is (fatal or failed.unspeakable)


def test_an_error_without_any_name() -> None:
    assert "no reason given" in str(module.failure(""))


def test_where_it_is_and_what_is_asked() -> None:
    assert module.socket_url("https://api.elevenlabs.io", "a/b", "m").startswith(
        "wss://api.elevenlabs.io/v1/text-to-speech/a%2Fb/multi-stream-input?model_id=m&output_format=ulaw_8000&"
    )
    assert module.clip_url("http://here", "v") == "http://here/v1/text-to-speech/v/stream?output_format=ulaw_8000"
    assert module.clip_asked("Hello.", "m", 1.0) == {"text": "Hello.", "model_id": "m"}
    assert module.clip_asked("Hello.", "m", 0.8)["voice_settings"] == {"speed": 0.8}
