"""Twilio's media socket messages and TwiML, against samples of the real thing."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.carriers import twiml
from bridge.carriers.twilio import Connected, Dtmf, Mark, Media, MediaFormat, Outgoing, Start, Stop, Unknown, parse
from bridge.errors import PeerError

WIRE = Path(__file__).resolve().parents[1] / "wire" / "twilio"
ACCOUNT, STREAM, CALL = "AC" + "a" * 32, "MZ" + "b" * 32, "CA" + "c" * 32
SILENCE = base64.b64encode(b"\xff" * 16).decode()


def sample(name: str) -> list[str]:
    return (WIRE / f"{name}.jsonl").read_text("ascii").splitlines()


def test_a_whole_call_as_twilio_sends_it() -> None:
    start = Start(STREAM, ACCOUNT, CALL, MediaFormat("audio/x-mulaw", 8000, 1), {"token": "once-only"})
    assert [parse(text) for text in sample("inbound_call")] == [
        Connected(),
        start,
        Media(SILENCE, 64),
        Media("//5+/v7+fn7+/n5+/v7+/w==", 84),
        Dtmf("1"),
        Mark("g0:120"),
        Stop(CALL),
    ]
    assert start.speaks_mulaw


def test_numbers_may_be_numbers_and_optional_parts_missing() -> None:
    start, media, stop = (parse(text) for text in sample("numbers_as_numbers"))
    assert isinstance(start, Start) and start.speaks_mulaw and start.custom_parameters == {}
    assert media == Media(SILENCE, 64)
    assert stop == Stop("")


@pytest.mark.parametrize(
    "format", [MediaFormat(), MediaFormat("audio/x-l16", 8000), MediaFormat("audio/x-mulaw", 16000)]
)
def test_any_other_audio_is_recognised_as_such(format: MediaFormat) -> None:
    assert not Start(STREAM, ACCOUNT, CALL, format).speaks_mulaw


@pytest.mark.parametrize("text", sample("malformed"))
def test_what_makes_no_sense_is_the_peers_error(text: str) -> None:
    with pytest.raises(PeerError, match="Twilio sent a message that makes no sense"):
        parse(text)


def test_endless_nesting_and_halved_characters_are_the_peers_error() -> None:
    for text in ['{"event":"media","x":' + "[" * 50_000, '"\ud800']:
        with pytest.raises(PeerError, match="not readable"):
            parse(text)


def test_an_error_repeats_nothing_of_the_message() -> None:
    with pytest.raises(PeerError) as error:
        parse('{"event":"dtmf","dtmf":{"digit":"canary"}}')
    assert "canary" not in error.value.text


def test_unknown_kinds_are_named_but_not_at_length() -> None:
    assert parse('{"event":"video","video":{}}') == Unknown("video")
    assert parse(json.dumps({"event": "x" * 1000})) == Unknown("x" * 40)


@given(st.text() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_nothing_but_an_event_or_a_peer_error(text: str) -> None:
    try:
        event = parse(text)
    except PeerError:
        return
    assert isinstance(event, Unknown)


MESSAGES = st.fixed_dictionaries(
    {"event": st.sampled_from(["connected", "start", "media", "dtmf", "mark", "stop", "other"])},
    optional={
        "media": st.fixed_dictionaries(
            {}, optional={"payload": st.text() | st.integers(), "timestamp": st.integers() | st.integers().map(str)}
        ),
        "mark": st.fixed_dictionaries({}, optional={"name": st.text() | st.none()}),
        "dtmf": st.fixed_dictionaries({}, optional={"digit": st.text(max_size=2)}),
        "start": st.none() | st.dictionaries(st.sampled_from(["streamSid", "callSid", "mediaFormat"]), st.text()),
        "stop": st.none() | st.text(),
    },
)


@given(MESSAGES)
def test_odd_but_plausible_messages_give_an_event_or_a_peer_error(message: dict[str, object]) -> None:
    try:
        event = parse(json.dumps(message))
    except PeerError:
        return
    assert isinstance(event, Unknown if message["event"] == "other" else Connected | Start | Media | Dtmf | Mark | Stop)


@pytest.mark.parametrize("sid", [STREAM, 'MZ"}\u00e9'])
def test_what_we_send_is_what_twilio_accepts(sid: str) -> None:
    outgoing = Outgoing(sid)
    assert [json.loads(text) for text in (outgoing.media(SILENCE), outgoing.mark("g3:120"), outgoing.clear())] == [
        {"event": "media", "streamSid": sid, "media": {"payload": SILENCE}},
        {"event": "mark", "streamSid": sid, "mark": {"name": "g3:120"}},
        {"event": "clear", "streamSid": sid},
    ]


def test_answering_connects_the_stream_and_ends_without_us() -> None:
    document = ElementTree.fromstring(
        twiml.answer("wss://desk.example.org/twilio/media", "once", "https://desk.example.org/s", "Sorry.")
    )
    assert [verb.tag for verb in document] == ["Connect", "Say", "Hangup"]
    stream = document[0][0]
    assert stream.attrib == {
        "url": "wss://desk.example.org/twilio/media",
        "statusCallback": "https://desk.example.org/s",
    }
    assert [(each.tag, each.attrib) for each in stream] == [("Parameter", {"name": "token", "value": "once"})]
    assert document[1].text == "Sorry."


def test_turning_calls_away() -> None:
    assert [verb.tag for verb in ElementTree.fromstring(twiml.busy("All lines are busy."))] == ["Say", "Hangup"]
    assert [verb.tag for verb in ElementTree.fromstring(twiml.hang_up())] == ["Hangup"]
    assert ElementTree.fromstring(twiml.reject("busy"))[0].attrib == {"reason": "busy"}


@given(st.text())
def test_no_words_can_become_verbs(words: str) -> None:
    document = ElementTree.fromstring(twiml.answer("wss://h/m", "once", "https://h/s", words))
    assert [verb.tag for verb in document] == ["Connect", "Say", "Hangup"]
    said = document[1].text or ""
    assert set(said) <= set(words) | {"\n"} and len(document[1]) == 0
