"""The control protocol's codec."""

from __future__ import annotations

import msgspec
import pytest

from bridge import control


def test_commands_and_events_survive_the_wire() -> None:
    command = control.Ask(id=3, call_id="c1", text="their order number", cut_in=True)
    assert control.decode_command(control.encode(command)) == command
    event = control.PeaksAdded(call_id="c1", first_column=2, caller=b"\x00\xff", line=b"12", voice=b"\x01\x02")
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
