"""nova's messages: what goes out, and the words that come of what comes in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.audio import BYTES_PER_MS, silence
from bridge.engines import KEPT_MS
from bridge.engines.speech.deepgram_wire import KEEP_ALIVE_MS, KEPT_NAMES, PAUSE_MS, NovaWire
from tests.bridge.deepgram_desk import DeepgramDesk
from tests.bridge.deepgram_shapes import NOVA, NOVA_CLIENT, WIRE, checked, sample

VOICE = bytes([0x90, 0x10] * (10 * BYTES_PER_MS))
"""20 ms."""


class Desk(DeepgramDesk[NovaWire]):
    """A socket, and what it told."""

    def __init__(self, *, is_open: bool = True) -> None:
        super().__init__(NovaWire("dg"))
        if is_open:
            assert self.wire.open(0) == []

    def speaks(self, length_ms: int, at_ms: int) -> None:
        for late_ms in range(0, length_ms, 20):
            assert self.wire.hear(VOICE, at_ms + late_ms) == VOICE

    def results(self, text: str = "", **fields: Any) -> None:
        channel = {"alternatives": [{"transcript": text, "confidence": 1.0, "words": []}]}
        self.gets(json.dumps({"type": "Results", "channel": channel, "start": 0.0, "duration": 1.0, **fields}))


def test_a_turn_grows_by_final_pieces_until_the_speaker_pauses() -> None:
    desk = Desk()
    desk.speaks(9000, 30_000)
    desk.gets(*sample("nova_turn", NOVA))
    assert desk.told == [
        ("started", "dg-1", 30_960),
        ("heard", "dg-1", "I'd like"),
        ("heard", "dg-1", "I'd like a table,"),
        ("heard", "dg-1", "I'd like a table, for"),
        ("final", "dg-1", "I'd like a table, for two."),
        ("ended", "dg-1", 33_200),
    ]
    assert (desk.wire.unknown, desk.wire.malformed) == ({}, 0)


def test_where_the_pause_is_not_heard_the_gap_between_words_ends_the_turn() -> None:
    desk = Desk()
    desk.speaks(9000, 0)
    desk.gets(*sample("nova_without_endpoint", NOVA))
    assert desk.told[-2:] == [("final", "dg-1", "I'd like a table, for two."), ("ended", "dg-1", 3200)]


def test_what_has_no_words_was_no_speech_and_ends_as_such() -> None:
    desk = Desk()
    desk.speaks(9000, 0)
    desk.gets(*sample("nova_noise", NOVA))
    assert desk.told == [("started", "dg-1", 1000), ("final", "dg-1", ""), ("ended", "dg-1", 1000)]


def test_words_begin_a_turn_where_speech_was_not_announced() -> None:
    desk = Desk()
    desk.speaks(2000, 500)
    desk.results(start=0.0)
    desk.results("Hi.", start=0.3, duration=0.7)
    desk.results("Hi.", start=0.3, duration=0.7)
    desk.gets('{"type":"SpeechStarted","timestamp":0.9}')
    assert desk.told == [("started", "dg-1", 800), ("heard", "dg-1", "Hi.")]


def test_a_turn_has_its_times_in_the_call_also_after_a_gap() -> None:
    desk = Desk()
    desk.speaks(1000, 5000)
    desk.speaks(1000, 20_000)
    desk.results("Yes.", start=1.2, duration=0.4, is_final=True, speech_final=True)
    assert desk.told == [("started", "dg-1", 20_200), ("final", "dg-1", "Yes."), ("ended", "dg-1", 20_600)]


def test_the_peer_owes_words_as_long_as_somebody_speaks() -> None:
    desk = Desk()
    desk.speaks(1000, 0)
    assert not desk.wire.in_turn
    desk.gets('{"type":"SpeechStarted","timestamp":0.2}')
    assert desk.wire.in_turn
    desk.results("Yes.", start=0.2, duration=0.4, is_final=True, speech_final=True)
    assert not desk.wire.in_turn


def test_the_end_of_an_utterance_does_not_end_the_next_turn() -> None:
    desk = Desk()
    desk.speaks(9000, 0)
    desk.gets('{"type":"UtteranceEnd","last_word_end":1.0}')
    desk.results("Go on", start=3.0, duration=1.0)
    desk.gets('{"type":"UtteranceEnd","last_word_end":2.5}')
    assert [told[0] for told in desk.told] == ["started", "heard"]
    desk.gets('{"type":"UtteranceEnd","last_word_end":-1}')
    assert desk.told[2:] == [("final", "dg-1", "Go on"), ("ended", "dg-1", 4000)]


def test_words_that_are_taken_back_are_no_words() -> None:
    desk = Desk()
    desk.speaks(3000, 0)
    desk.results("So", is_final=True)
    desk.results("um", start=1.0)
    desk.results("", start=1.0)
    desk.results("", start=1.0, is_final=True)
    assert desk.told[1:] == [("heard", "dg-1", "So"), ("heard", "dg-1", "So um"), ("heard", "dg-1", "So")]
    desk.gets('{"type":"Results","channel":{"alternatives":[]},"is_final":true,"speech_final":true}')
    assert desk.told[4:] == [("final", "dg-1", "So"), ("ended", "dg-1", 2000)]


# ── what goes out ─────────────────────────────────────────────────────────────────────────


def test_what_is_said_before_the_socket_is_open_is_kept_and_sent_then() -> None:
    desk = Desk(is_open=False)
    for at_ms in range(0, KEPT_MS + 1000, 20):
        assert desk.wire.hear(VOICE, at_ms) is None
    assert desk.wire.open(0) == [VOICE] * (KEPT_MS // 20)
    assert desk.wire.sent_ms == KEPT_MS
    desk.results("Hi.")
    assert desk.told[0] == ("started", "dg-1", 1000)


def test_an_empty_sound_is_not_sent_since_it_would_be_the_end() -> None:
    assert Desk().wire.hear(b"", 0) is None


def test_the_socket_is_kept_open_while_no_sound_comes() -> None:
    wire = Desk().wire
    assert wire.tick(KEEP_ALIVE_MS - 1) is None
    sent = wire.tick(KEEP_ALIVE_MS)
    assert isinstance(sent, str)
    assert checked(sent, NOVA_CLIENT)["type"] == "KeepAlive"
    assert wire.tick(KEEP_ALIVE_MS + 500) is None
    wire.hear(VOICE, 0)
    assert wire.tick(2 * KEEP_ALIVE_MS) is None
    assert wire.tick(3 * KEEP_ALIVE_MS - 1) is None
    assert wire.tick(3 * KEEP_ALIVE_MS) is not None


def test_where_the_sound_ends_in_a_turn_the_peer_hears_silence_once() -> None:
    desk = Desk()
    desk.speaks(1000, 0)
    desk.results("Well")
    assert desk.wire.tick(500) is None
    assert desk.wire.tick(499 + PAUSE_MS) is None
    assert desk.wire.tick(500 + PAUSE_MS) == silence(1200)
    assert desk.wire.tick(1000 + PAUSE_MS) is None
    assert desk.wire.sent_ms == 2200


def test_a_pause_has_the_peer_write_down_what_it_has() -> None:
    desk = Desk()
    assert desk.wire.pause() is None
    desk.speaks(1000, 0)
    desk.results("Well")
    finalize = desk.wire.pause()
    assert finalize is not None
    assert checked(finalize, NOVA_CLIENT)["type"] == "Finalize"
    desk.results("Well then.", is_final=True, from_finalize=True)
    assert desk.told[-2:] == [("final", "dg-1", "Well then."), ("ended", "dg-1", 1000)]


def test_the_end_is_told_to_the_peer() -> None:
    assert checked(Desk().wire.finish(), NOVA_CLIENT)["type"] == "CloseStream"


# ── peers as they are ─────────────────────────────────────────────────────────────────────


def test_what_is_known_of_a_turn_at_the_end_is_all_there_will_be() -> None:
    desk = Desk()
    desk.wire.give_up("lost", desk)
    assert desk.told == []
    desk.gets('{"type":"SpeechStarted","timestamp":0}')
    desk.wire.give_up("lost", desk)
    desk.results("Well")
    desk.wire.give_up("lost", desk)
    assert [told for told in desk.told if told[0] != "started"] == [
        ("failed", "dg-1", "lost"),
        ("heard", "dg-2", "Well"),
        ("final", "dg-2", "Well"),
    ]


@pytest.mark.parametrize("line", (WIRE / "malformed.jsonl").read_text().splitlines())
def test_what_cannot_be_read_harms_nothing(line: str) -> None:
    desk = Desk()
    desk.gets(line)
    assert desk.told == []
    assert desk.wire.malformed + desk.wire.unknown.total() == 1


def test_what_is_not_known_is_counted_under_a_few_names() -> None:
    desk = Desk()
    for number in range(2 * KEPT_NAMES):
        desk.gets(f'{{"type":"New{number}"}}')
    assert len(desk.wire.unknown) == KEPT_NAMES + 1
    assert desk.wire.unknown.total() == 2 * KEPT_NAMES


def test_complaints_are_counted_by_their_codes_alone() -> None:
    desk = Desk()
    desk.gets('{"type":"Error","variant":"SchemaError","description":"no","message":"secret"}')
    desk.gets('{"type":"Warning","code":"SLOW","description":"secret"}', '{"type":"Error"}')
    assert desk.wire.complaints == {"SchemaError": 1, "SLOW": 1, "no code": 1}
