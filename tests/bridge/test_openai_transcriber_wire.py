"""The transcription session's messages: what goes out, and the words that come of what comes in."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

import pytest
from openai.types.realtime import RealtimeClientEvent
from pydantic import TypeAdapter

from bridge.audio import BYTES_PER_MS, silence
from bridge.engines import KEPT_MS, EngineLost
from bridge.engines.speech import Words
from bridge.engines.speech.openai_transcriber_wire import KEPT_TURNS, NO_WORDS, TranscriberWire

CLIENT: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)
TEXT = "conversation.item.input_audio_transcription"


def voice(ms: int) -> bytes:
    return bytes([0x90, 0x10] * (ms * BYTES_PER_MS // 2))


class Desk(Words):
    """A session, and what it told."""

    def __init__(self, *, ready: bool = True, model: str = "") -> None:
        self.wire = TranscriberWire(model)
        self.told: list[tuple[Any, ...]] = []
        if ready:
            self.hears("session.updated", session={})

    def started(self, turn_id: str, at_ms: int) -> None:
        self.told.append(("started", turn_id, at_ms))

    def heard(self, turn_id: str, text: str, final: bool) -> None:
        self.told.append(("heard", turn_id, text, final))

    def failed(self, turn_id: str, reason: str) -> None:
        self.told.append(("failed", turn_id, reason))

    def ended(self, turn_id: str, at_ms: int) -> None:
        self.told.append(("ended", turn_id, at_ms))

    def hears(self, name: str, **fields: Any) -> list[bytes]:
        return self.wire.receive(json.dumps({"type": name, **fields}).encode(), self)

    def turn(self, item_id: str, start_ms: int = 0) -> None:
        self.hears("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=start_ms)

    def error(self, code: str, message: str = "No.") -> None:
        self.hears("error", error={"type": "invalid_request_error", "code": code, "message": message})


def sent(message: bytes | None) -> dict[str, Any]:
    assert message is not None
    CLIENT.validate_json(message)
    return dict(json.loads(message))


def test_the_session_is_configured_for_telephone_sound_and_finds_turns_by_itself() -> None:
    session = sent(TranscriberWire().open())["session"]
    assert session["type"] == "transcription"
    assert session["audio"]["input"]["format"] == {"type": "audio/pcmu"}
    assert session["audio"]["input"]["transcription"] == {"model": "gpt-transcribe"}
    assert session["audio"]["input"]["turn_detection"]["type"] == "server_vad"


@pytest.mark.parametrize(("language", "told"), [("", None), ("en", "en"), ("de-AT", "de"), ("EN-us", "en")])
def test_the_language_is_told_if_it_is_known(language: str, told: str | None) -> None:
    transcription = sent(TranscriberWire("", language).open())["session"]["audio"]["input"]["transcription"]
    assert transcription.get("language") == told


def test_sound_goes_out_as_it_is() -> None:
    message = sent(Desk().wire.hear(voice(20), 500))
    assert b64decode(message["audio"]) == voice(20)
    assert b64decode(sent(Desk().wire.hear(b"", 500))["audio"]) == b""


def test_what_is_said_before_the_session_is_ready_is_kept_and_sent_then() -> None:
    desk = Desk(ready=False)
    for at_ms in range(0, KEPT_MS + 1000, 20):
        assert desk.wire.hear(voice(20), at_ms) is None
    assert not desk.wire.settled
    assert len(desk.hears("session.updated", session={})) == KEPT_MS // 20
    assert desk.hears("session.updated", session={}) == []
    desk.turn("a")
    assert desk.told == [("started", "a", 1000 + 300)]


def test_a_turn_has_its_time_in_the_call_also_after_a_gap() -> None:
    desk = Desk()
    desk.wire.hear(voice(1000), 5000)
    desk.wire.hear(voice(1000), 6010)
    desk.wire.hear(voice(1000), 20_000)
    desk.turn("a", 0)
    desk.turn("b", 1650)
    desk.turn("c", 9000)
    assert [at_ms for _, _, at_ms in desk.told] == [5300, 20_000, 21_000]


def test_a_turn_that_begins_with_the_sound_after_a_gap_has_the_time_after_it() -> None:
    desk = Desk()
    desk.wire.hear(voice(1000), 0)
    desk.wire.hear(voice(1000), 20_000)
    desk.turn("a", 1000 - 300 - 20)
    assert desk.told == [("started", "a", 20_000)]


def test_of_very_many_gaps_the_oldest_are_forgotten() -> None:
    desk = Desk()
    for number in range(200):
        desk.wire.hear(voice(200), number * 1000)
    desk.turn("a", 0)
    assert desk.told == [("started", "a", 300 + 72_000 - 72 * 200)]


def test_a_turn_before_any_sound_is_at_the_beginning() -> None:
    desk = Desk()
    desk.turn("a")
    assert desk.told == [("started", "a", 0)]


def test_words_grow_and_become_final_whatever_their_order() -> None:
    desk = Desk()
    desk.turn("a")
    desk.turn("b")
    desk.told.clear()
    desk.hears(f"{TEXT}.delta", item_id="b", delta="Yes")
    desk.hears(f"{TEXT}.delta", item_id="b", delta=", sure")
    desk.hears(f"{TEXT}.delta", item_id="b")
    desk.hears(f"{TEXT}.completed", item_id="b", transcript="Yes, sure.")
    desk.hears(f"{TEXT}.completed", item_id="a")
    assert desk.told == [
        ("heard", "b", "Yes", False),
        ("heard", "b", "Yes, sure", False),
        ("heard", "b", "Yes, sure.", True),
        ("heard", "a", "", True),
    ]
    assert desk.wire.settled


def test_words_of_a_turn_that_is_over_are_passed_over() -> None:
    desk = Desk()
    for event in ("delta", "completed", "failed"):
        desk.hears(f"{TEXT}.{event}", item_id="x", delta="a", transcript="a")
    assert desk.told == []


def test_a_turn_without_words_is_told() -> None:
    desk = Desk()
    desk.turn("a")
    desk.turn("b")
    desk.hears(f"{TEXT}.failed", item_id="a", error={"code": "x", "message": "Too loud."})
    desk.hears(f"{TEXT}.failed", item_id="b")
    assert desk.told[2:] == [("failed", "a", "Too loud."), ("failed", "b", "no reason was given")]


def test_turns_are_not_remembered_without_end() -> None:
    desk = Desk()
    for number in range(KEPT_TURNS + 1):
        desk.turn(str(number))
    assert ("failed", "0", NO_WORDS) in desk.told
    assert desk.told[-1] == ("started", str(KEPT_TURNS), 300 - 300)


def test_what_has_no_words_at_the_end_is_told() -> None:
    desk = Desk()
    desk.turn("a")
    desk.wire.give_up("the end", desk)
    assert desk.told[-1] == ("failed", "a", "the end")
    assert desk.wire.settled


# ── ends of turns ─────────────────────────────────────────────────────────────────────────


def test_a_turn_under_way_is_ended_by_hand() -> None:
    desk = Desk()
    desk.turn("a")
    assert sent(desk.wire.finish())["type"] == "input_audio_buffer.commit"
    desk.hears("input_audio_buffer.committed", item_id="a")
    assert not desk.wire.settled
    desk.hears(f"{TEXT}.completed", item_id="a", transcript="So.")
    assert desk.wire.settled
    assert [told[0] for told in desk.told] == ["started", "heard"]


def test_speech_that_the_peer_did_not_notice_yet_is_written_down_too() -> None:
    desk = Desk()
    desk.wire.hear(silence(1000), 0)
    desk.wire.hear(voice(100), 1000)
    desk.wire.hear(voice(100), 1100)
    assert desk.wire.finish() is not None
    desk.hears("input_audio_buffer.committed", item_id="a")
    assert desk.told == [("started", "a", 1000)]
    assert desk.wire.finish() is None


def test_where_nothing_was_said_nothing_is_to_be_written_down() -> None:
    desk = Desk()
    desk.wire.hear(silence(5000), 0)
    assert desk.wire.finish() is None
    assert desk.wire.settled
    assert Desk(ready=False).wire.finish() is None


def test_a_turn_that_ended_by_itself_just_then_keeps_its_words() -> None:
    desk = Desk()
    desk.turn("a")
    desk.wire.finish()
    desk.error("input_audio_buffer_commit_empty")
    desk.hears(f"{TEXT}.completed", item_id="a", transcript="So.")
    assert desk.wire.settled


def test_a_pause_without_sound_ends_a_turn() -> None:
    desk = Desk()
    assert desk.wire.muted() is None
    assert Desk(ready=False).wire.muted() is None
    desk.turn("a")
    assert desk.wire.pause() is None
    assert b64decode(sent(desk.wire.muted())["audio"]) == silence(600)


def test_the_end_of_a_turn_is_told_without_the_silence_that_showed_it() -> None:
    desk = Desk()
    desk.wire.hear(voice(3000), 10_000)
    desk.turn("a")
    desk.hears("input_audio_buffer.speech_stopped", item_id="a", audio_end_ms=2500)
    desk.hears("input_audio_buffer.speech_stopped", item_id="b", audio_end_ms=2500)
    assert desk.told == [("started", "a", 10_300), ("ended", "a", 12_000)]


# ── models that leave turns to others ─────────────────────────────────────────────────────


LIVE = "gpt-live-transcribe"


def test_a_model_that_finds_no_turns_is_not_asked_to() -> None:
    hears = sent(TranscriberWire(LIVE).open())["session"]["audio"]["input"]
    assert hears["transcription"] == {"model": LIVE}
    assert hears["turn_detection"] is None


def test_its_words_come_while_they_are_spoken_and_are_final_after_the_pause() -> None:
    desk = Desk(model=LIVE)
    desk.wire.hear(silence(500), 10_000)
    desk.wire.hear(voice(500), 10_500)
    desk.hears(f"{TEXT}.delta", item_id="a", delta="Two")
    desk.hears(f"{TEXT}.delta", item_id="a", delta=" tickets")
    assert sent(desk.wire.pause()) == {"type": "input_audio_buffer.commit"}
    assert desk.wire.pause() is None
    desk.hears("input_audio_buffer.committed", item_id="a")
    desk.hears(f"{TEXT}.completed", item_id="a", transcript="Two tickets.")
    desk.hears(f"{TEXT}.delta", item_id="a", delta="late")
    assert desk.told == [
        ("started", "a", 10_500),
        ("heard", "a", "Two", False),
        ("heard", "a", "Two tickets", False),
        ("heard", "a", "Two tickets.", True),
    ]
    assert desk.wire.settled


def test_words_that_come_only_after_the_pause_have_their_time_too() -> None:
    desk = Desk(model=LIVE)
    desk.wire.hear(voice(500), 1000)
    desk.wire.pause()
    desk.wire.hear(voice(500), 1500)
    desk.hears(f"{TEXT}.delta", item_id="a", delta="Two")
    desk.hears("input_audio_buffer.committed", item_id="a")
    desk.hears(f"{TEXT}.delta", item_id="b", delta="tickets")
    assert [told for told in desk.told if told[0] == "started"] == [("started", "a", 1000), ("started", "b", 1500)]
    assert desk.wire.pause() is not None


def test_a_faint_voice_is_known_by_its_words() -> None:
    desk = Desk(model=LIVE)
    desk.wire.hear(silence(500), 1000)
    assert desk.wire.muted() is None
    desk.hears(f"{TEXT}.delta", item_id="a")
    assert desk.told == []
    desk.hears(f"{TEXT}.delta", item_id="a", delta="Psst")
    assert desk.told[0] == ("started", "a", 1500)
    assert desk.wire.pause() is not None


def test_who_is_too_faint_for_us_is_judged_when_somebody_else_heard_them_pause() -> None:
    desk = Desk(model=LIVE)
    desk.wire.hear(silence(500), 1000)
    assert sent(desk.wire.pause()) == {"type": "input_audio_buffer.commit"}


def test_a_pause_while_another_is_judged_is_judged_after_it() -> None:
    desk = Desk(model=LIVE)
    desk.wire.hear(voice(500), 0)
    assert desk.wire.pause() is not None
    desk.wire.hear(voice(300), 500)
    assert desk.wire.pause() is None
    assert [sent(message) for message in desk.hears("input_audio_buffer.committed", item_id="a")] == [
        {"type": "input_audio_buffer.commit"}
    ]
    assert desk.hears("input_audio_buffer.committed", item_id="b") == []
    assert [told[:2] for told in desk.told] == [("started", "a"), ("started", "b")]
    assert desk.wire.pause() is None
    assert desk.hears("input_audio_buffer.committed", item_id="c") == []


def test_nothing_is_ended_where_nothing_or_hardly_anything_was_said() -> None:
    desk = Desk(model=LIVE)
    assert desk.wire.pause() is None
    assert Desk(ready=False, model=LIVE).wire.pause() is None
    desk.wire.hear(voice(80), 0)
    assert desk.wire.pause() is None
    desk.wire.hear(voice(20), 80)
    assert desk.wire.muted() is not None


def test_a_turn_that_the_peer_did_not_end_can_be_ended_again() -> None:
    desk = Desk(model=LIVE)
    desk.wire.hear(voice(500), 0)
    assert desk.wire.pause() is not None
    desk.error("server_error")
    desk.wire.hear(voice(500), 500)
    assert desk.wire.pause() is not None
    desk.hears("input_audio_buffer.committed", item_id="a")
    desk.hears(f"{TEXT}.failed", item_id="a")
    assert desk.told == [("started", "a", 500), ("failed", "a", "no reason was given")]
    assert desk.wire.finish() is None


# ── peers as they are ─────────────────────────────────────────────────────────────────────


def test_what_is_not_understood_is_counted_and_harms_nothing() -> None:
    desk = Desk()
    assert desk.wire.receive(b"{", desk) == []
    assert desk.hears("input_audio_buffer.speech_started", item_id=7) == []
    assert desk.wire.malformed == 2
    desk.hears("conversation.item.added", item={})
    desk.hears("session.was.praised")
    assert desk.wire.unknown == {"session.was.praised": 1}
    for number in range(200):
        desk.hears(f"new.{number}")
    assert len(desk.wire.unknown) == 101
    assert desk.told == []


def test_a_refused_configuration_is_the_end() -> None:
    with pytest.raises(EngineLost, match="not write down") as lost:
        Desk(ready=False).error("invalid_value", "Not here.")
    assert lost.value.fatal
    with pytest.raises(EngineLost, match="not write down") as lost:
        Desk(ready=False).error("server_error", "Sorry.")
    assert not lost.value.fatal


def test_no_credit_is_the_end_and_other_complaints_are_not() -> None:
    desk = Desk()
    desk.error("invalid_value")
    with pytest.raises(EngineLost):
        desk.error("insufficient_quota")
