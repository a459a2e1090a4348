"""flux's messages: what goes out, and the turns that come of what comes in."""

from __future__ import annotations

import json

import pytest

from bridge.audio import BYTES_PER_MS, silence
from bridge.engines import EngineLost
from bridge.engines.speech.deepgram_flux_wire import FluxWire
from bridge.engines.speech.deepgram_wire import KEEP_ALIVE_MS, PAUSE_MS
from tests.bridge.deepgram_desk import DeepgramDesk
from tests.bridge.deepgram_shapes import FLUX, FLUX_CLIENT, WIRE, checked, sample


class Desk(DeepgramDesk[FluxWire]):
    """An open socket, and what it told."""

    def __init__(self) -> None:
        super().__init__(FluxWire("fx"))
        self.wire.open(0)

    def turn(self, event: str, index: int, text: str, start: float = 0.0, end: float = 1.0) -> None:
        window = {"audio_window_start": start, "audio_window_end": end}
        self.gets(
            json.dumps(
                {"type": "TurnInfo", "event": event, "turn_index": index, "transcript": text, "words": []} | window
            )
        )


def test_turns_begin_grow_may_end_go_on_and_end() -> None:
    desk = Desk()
    desk.wire.hear(bytes(14_000 * BYTES_PER_MS), 30_000)
    desk.gets(*sample("flux_turns", FLUX))
    assert desk.told == [
        ("started", "fx-0", 31_000),
        ("heard", "fx-0", "I'd"),
        ("heard", "fx-0", "I'd like"),
        ("heard", "fx-0", "I'd like a table,"),
        ("may_end", "fx-0"),
        ("goes_on", "fx-0"),
        ("heard", "fx-0", "I'd like a table, for"),
        ("heard", "fx-0", "I'd like a table, for two."),
        ("may_end", "fx-0"),
        ("final", "fx-0", "I'd like a table, for two."),
        ("ended", "fx-0", 33_200),
        ("started", "fx-1", 38_000),
        ("heard", "fx-1", "Hello?"),
        ("final", "fx-1", "Hello?"),
        ("ended", "fx-1", 38_400),
    ]
    assert (desk.wire.unknown, desk.wire.malformed) == ({}, 0)


def test_a_turn_that_never_had_words_ends_without() -> None:
    desk = Desk()
    desk.wire.hear(bytes(2000 * BYTES_PER_MS), 0)
    desk.turn("StartOfTurn", 0, "", start=0.5)
    desk.turn("EagerEndOfTurn", 0, "")
    desk.turn("EndOfTurn", 0, "")
    assert desk.told == [("started", "fx-0", 500), ("final", "fx-0", ""), ("ended", "fx-0", 500)]


def test_a_turn_whose_beginning_or_end_is_not_told_has_both() -> None:
    desk = Desk()
    desk.turn("Update", 3, "So")
    desk.turn("Update", 4, "Now")
    desk.turn("EndOfTurn", 4, "")
    assert [told[:2] for told in desk.told] == [
        ("started", "fx-3"),
        ("heard", "fx-3"),
        ("final", "fx-3"),
        ("ended", "fx-3"),
        ("started", "fx-4"),
        ("heard", "fx-4"),
        ("final", "fx-4"),
        ("ended", "fx-4"),
    ]
    assert desk.told[6] == ("final", "fx-4", "Now")


def test_what_is_told_of_turns_that_are_over_is_passed_over() -> None:
    desk = Desk()
    desk.turn("Update", 1, "So")
    desk.turn("TurnResumed", 1, "So")
    desk.turn("Update", 0, "Late")
    desk.turn("EndOfTurn", 1, "So.")
    so_far = list(desk.told)
    desk.turn("Update", 1, "So..")
    desk.turn("EndOfTurn", 1, "So..")
    assert desk.told == so_far
    assert [told[0] for told in so_far] == ["started", "heard", "final", "ended"]


def test_that_a_turn_may_end_is_told_once() -> None:
    desk = Desk()
    desk.turn("EagerEndOfTurn", 0, "So")
    desk.turn("EagerEndOfTurn", 0, "So")
    assert [told[0] for told in desk.told] == ["started", "heard", "may_end"]


# ── what goes out ─────────────────────────────────────────────────────────────────────────


def test_the_socket_is_kept_open_with_silence() -> None:
    wire = Desk().wire
    assert wire.tick(KEEP_ALIVE_MS) == silence(100)
    assert wire.sent_ms == 100


def test_where_the_sound_ends_in_a_turn_it_is_over() -> None:
    desk = Desk()
    desk.turn("Update", 0, "So")
    end = desk.wire.tick(PAUSE_MS)
    assert isinstance(end, str)
    assert checked(end, FLUX_CLIENT)["type"] == "ForceEndTurn"
    assert desk.wire.tick(PAUSE_MS + 500) is None


def test_pauses_are_its_own_to_judge() -> None:
    desk = Desk()
    desk.turn("Update", 0, "So")
    desk.wire.pause()
    assert [told[0] for told in desk.told] == ["started", "heard"]
    assert checked(desk.wire.finish(), FLUX_CLIENT)["type"] == "CloseStream"


# ── peers as they are ─────────────────────────────────────────────────────────────────────


def test_an_error_is_the_end() -> None:
    desk = Desk()
    desk.gets('{"type":"Warning","code":"SLOW","description":"secret"}')
    with pytest.raises(EngineLost, match="INTERNAL_SERVER_ERROR") as lost:
        desk.gets('{"type":"Error","sequence_id":4,"code":"INTERNAL_SERVER_ERROR","description":"secret"}')
    assert not lost.value.fatal
    assert "secret" not in str(lost.value)
    assert desk.wire.complaints == {"SLOW": 1, "INTERNAL_SERVER_ERROR": 1}


@pytest.mark.parametrize("line", (WIRE / "malformed.jsonl").read_text().splitlines())
def test_what_cannot_be_read_harms_nothing(line: str) -> None:
    desk = Desk()
    desk.gets(line)
    assert desk.told == []
    assert desk.wire.malformed + desk.wire.unknown.total() == 1


def test_events_that_are_not_known_are_counted() -> None:
    desk = Desk()
    desk.turn("TurnPraised", 0, "So")
    assert desk.wire.unknown == {"TurnInfo TurnPraised": 1}
    assert desk.told == []
