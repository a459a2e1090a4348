"""The control protocol's codec."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import control
from bridge.control import HeardFrame, Side, decode_heard, encode_heard

COMMANDS: tuple[control.Command, ...] = (
    control.Ask(id=3, call_id="c1", text="their order number", cut_in=True),
    control.Hold(id=4, call_id="c1", held=True),
    control.PressKeys(id=5, call_id="c1", keys="0123456789*#ABCD"),
    control.Privacy(id=6, call_id="c1", private=True),
    control.Listen(id=7, call_id=""),
)
EVENTS: tuple[control.Event, ...] = (
    control.PeaksAdded(call_id="c1", first_column=2, caller=b"\x00\xff", line=b"12", voice=b"\x03\x02"),
    control.TakeOverTimed(
        take_over=control.TakeOverView(call_id="c1", take_over_id="t1", console="Ann", at_ms=900, silent_ms=41.5)
    ),
    control.CallChanged(
        call=control.CallView(
            call_id="c1",
            floor=control.Floor.HOLD,
            floor_holder="Ann",
            private=True,
            private_by="Bob",
            recording=control.Recording.PAUSED,
            allowed=(control.Verb.UNHOLD, control.Verb.PRIVACY),
            why_not={control.Verb.KEYS: "The caller is on hold. Take them off hold first."},
        )
    ),
    control.TurnChanged(
        turn=control.TurnView(
            call_id="c1", turn_id="k1", order=2, speaker=control.Party.OPERATOR, kind=control.TurnKind.KEYS
        )
    ),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_commands_survive_the_wire(command: control.Command) -> None:
    assert control.decode_command(control.encode(command)) == command


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_survive_the_wire(event: control.Event) -> None:
    assert control.decode_event(control.encode(event)) == event


def test_an_event_is_no_command_and_nonsense_is_neither() -> None:
    with pytest.raises(msgspec.ValidationError):
        control.decode_command(control.encode(control.Done(id=1)))
    with pytest.raises(msgspec.DecodeError):
        control.decode_event("{")
    for nonsense in ('{"type":"say","deep":' + "[" * 60_000, b'{"type":"say","text":"\xff"}'):
        with pytest.raises(msgspec.DecodeError):
            control.decode_command(nonsense)
    with pytest.raises(msgspec.ValidationError):
        control.decode_command('{"type":"open_the_safe","id":1}')


@given(st.integers(0, 2**32 - 1), st.sampled_from(Side), st.integers(0, 2**32 - 1), st.binary(max_size=400))
def test_heard_audio_survives_the_wire(listen_id: int, side: Side, at_ms: int, audio: bytes) -> None:
    heard = HeardFrame(listen_id, side, at_ms, audio)
    assert decode_heard(encode_heard(*heard)) == heard


def test_audio_from_before_the_call_begins_with_it() -> None:
    assert decode_heard(encode_heard(1, Side.LINE, -20, b"a")).at_ms == 0


def test_nonsense_is_no_heard_audio() -> None:
    whole = encode_heard(1, Side.CALLER, 20, b"")
    assert decode_heard(whole).audio == b""
    for nonsense in (b"", whole[:-1], bytes([control.TALK]) + whole[1:], whole[:1] + b"\x07" + whole[2:]):
        with pytest.raises(ValueError):
            decode_heard(nonsense)
