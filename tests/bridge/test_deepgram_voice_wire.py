"""aura's messages: one text at a time, and no sound of one that was given up."""

from __future__ import annotations

import pytest

from bridge.engines.speech import VoiceFailed
from bridge.engines.speech.deepgram_voice_wire import CLEAR_TICKS, FLUSHES_WITHIN_TICKS, MOST_FLUSHES, AuraWire
from bridge.engines.speech.deepgram_wire import KEPT_NAMES
from tests.bridge.deepgram_shapes import AURA, AURA_CLIENT, WIRE, checked, sample
from tests.bridge.heard import Heard

SOUND = b"\x90" * 480
METADATA, FLUSHED, CLEARED, WARNING = (line.encode() for line in sample("aura", AURA))


def opened() -> AuraWire:
    wire = AuraWire()
    assert not wire.ready
    assert wire.open() == []
    assert wire.ready
    return wire


def speaking(wire: AuraWire) -> Heard:
    heard = Heard()
    wire.speak("Hello.", heard, 1.0)
    return heard


def test_a_text_is_spoken_until_it_is_flushed() -> None:
    wire, heard = opened(), Heard()
    assert wire.receive(METADATA) == []
    assert not wire.full
    speak, flush = (checked(message, AURA_CLIENT) for message in wire.speak('Say "yes".', heard, 1.0))
    assert speak["text"] == 'Say "yes".'
    assert flush["type"] == "Flush"
    assert wire.full and wire.wanted
    wire.hear(SOUND)
    assert (heard.mulaw, heard.over) == (SOUND, False)
    assert wire.receive(FLUSHED) == []
    assert heard.over and heard.failure is None
    assert not (wire.full or wire.wanted or wire.unknown)


def test_nothing_comes_of_a_text_that_was_given_up() -> None:
    wire = opened()
    heard = speaking(wire)
    assert wire.leave(Heard()) == []
    [clear] = wire.leave(heard)
    assert checked(clear, AURA_CLIENT)["type"] == "Clear"
    wire.hear(SOUND)
    wire.receive(FLUSHED)
    assert not (heard.begun or heard.over)
    assert wire.full and wire.clearing and not (wire.wanted or wire.unstoppable or wire.resting)
    assert wire.leave(heard) == []
    wire.receive(CLEARED)
    wire.receive(CLEARED)
    assert not (wire.full or wire.unknown)


def test_a_peer_that_does_not_clear_a_text_is_not_waited_for() -> None:
    wire = opened()
    for _ in range(CLEAR_TICKS):
        wire.tick()
    wire.leave(speaking(wire))
    for _ in range(CLEAR_TICKS - 1):
        wire.tick()
    with pytest.raises(VoiceFailed, match="did not stop") as failed:
        wire.tick()
    assert not failed.value.fatal


def test_a_socket_that_has_spoken_a_lot_rests() -> None:
    wire = opened()
    for _ in range(MOST_FLUSHES):
        assert not (wire.full or wire.resting)
        speaking(wire)
        assert not wire.resting
        wire.receive(FLUSHED)
    for _ in range(FLUSHES_WITHIN_TICKS):
        wire.tick()
        assert wire.full and wire.resting
    wire.tick()
    assert not (wire.full or wire.resting)


def test_a_text_that_the_peer_does_not_take_is_cleared_there_and_not_spoken_with_the_next() -> None:
    wire = opened()
    assert wire.receive(WARNING) == []
    heard = speaking(wire)
    assert wire.receive(b'{"type":"Warning","code":"SLOW","description":""}') == []
    [clear] = wire.receive(WARNING)
    assert checked(clear, AURA_CLIENT)["type"] == "Clear"
    assert "fewer" in str(heard.failure)
    assert wire.full
    wire.receive(CLEARED)
    assert not wire.full
    assert wire.complaints == {"EXCESSIVE_FLUSH": 2, "SLOW": 1}


def test_the_end_of_the_socket_ends_what_it_spoke() -> None:
    wire, why = opened(), VoiceFailed("It is gone.")
    wire.give_up(why)
    heard = speaking(wire)
    wire.give_up(why)
    assert heard.failure is why


@pytest.mark.parametrize("line", (WIRE / "malformed.jsonl").read_text().splitlines())
def test_what_cannot_be_read_harms_nothing(line: str) -> None:
    wire = opened()
    heard = speaking(wire)
    assert wire.receive(line.encode()) == []
    assert wire.malformed + wire.unknown.total() == 1
    assert not heard.over


def test_what_is_not_known_is_counted_under_a_few_names() -> None:
    wire = opened()
    for number in range(2 * KEPT_NAMES):
        wire.receive(f'{{"type":"New{number}"}}'.encode())
    assert len(wire.unknown) == KEPT_NAMES + 1
