"""aura's messages: one text at a time, and no sound of one that was given up."""

from __future__ import annotations

import pytest

from bridge.engines.speech.deepgram_voice_wire import FLUSHES_WITHIN_MS, MOST_FLUSHES, AuraWire, Said
from bridge.engines.speech.deepgram_wire import KEPT_NAMES
from tests.bridge.deepgram_shapes import AURA, AURA_CLIENT, WIRE, checked, sample

SOUND = b"\x90" * 480
METADATA, FLUSHED, CLEARED, WARNING = (line.encode() for line in sample("aura", AURA))


def test_a_text_is_spoken_until_it_is_flushed() -> None:
    wire = AuraWire()
    assert wire.receive(METADATA) is Said.NOTHING
    assert wire.may_speak(0)
    speak, flush = (checked(message, AURA_CLIENT) for message in wire.speak('Say "yes".', 0))
    assert speak["text"] == 'Say "yes".'
    assert flush["type"] == "Flush"
    assert not wire.may_speak(0)
    assert wire.sound(SOUND) == SOUND
    assert wire.receive(FLUSHED) is Said.ALL
    assert wire.may_speak(0)
    assert wire.unknown == {}


def test_nothing_comes_of_a_text_that_was_given_up() -> None:
    wire = AuraWire()
    assert wire.give_up() is None
    wire.speak("Hello.", 0)
    clear = wire.give_up()
    assert clear is not None
    assert checked(clear, AURA_CLIENT)["type"] == "Clear"
    assert wire.sound(SOUND) == b""
    assert wire.receive(FLUSHED) is Said.NOTHING
    assert not wire.may_speak(0)
    assert wire.give_up() is None
    assert wire.receive(CLEARED) is Said.CLEARED
    assert wire.receive(CLEARED) is Said.NOTHING
    assert wire.may_speak(0)


def test_a_socket_that_has_spoken_a_lot_rests() -> None:
    wire = AuraWire()
    for number in range(MOST_FLUSHES):
        assert wire.may_speak(number)
        wire.speak("Hello.", number)
        wire.receive(FLUSHED)
    assert not wire.may_speak(FLUSHES_WITHIN_MS - 1)
    assert wire.may_speak(FLUSHES_WITHIN_MS)


def test_a_text_that_the_peer_does_not_take_is_refused() -> None:
    wire = AuraWire()
    assert wire.receive(WARNING) is Said.NOTHING
    wire.speak("Hello.", 0)
    assert wire.receive(b'{"type":"Warning","code":"SLOW","description":""}') is Said.NOTHING
    assert wire.receive(WARNING) is Said.REFUSED
    assert not wire.speaking
    assert wire.complaints == {"EXCESSIVE_FLUSH": 2, "SLOW": 1}


@pytest.mark.parametrize("line", (WIRE / "malformed.jsonl").read_text().splitlines())
def test_what_cannot_be_read_harms_nothing(line: str) -> None:
    wire = AuraWire()
    wire.speak("Hello.", 0)
    assert wire.receive(line.encode()) is Said.NOTHING
    assert wire.malformed + wire.unknown.total() == 1


def test_what_is_not_known_is_counted_under_a_few_names() -> None:
    wire = AuraWire()
    for number in range(2 * KEPT_NAMES):
        wire.receive(f'{{"type":"New{number}"}}'.encode())
    assert len(wire.unknown) == KEPT_NAMES + 1
