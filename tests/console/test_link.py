"""The link: attaches, mirrors, tells what changed, and never gives up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from bridge import control
from bridge.control import Party, Phase
from console.bridge_process import Address, BridgeFailed, read_lock
from console.link import Link, LinkLost, LinkState, Refused
from console.store import Store
from tests.console.conftest import until
from tests.console.fake_bridge import FakeBridge, live_call, turn


@pytest.fixture
def link(qtbot: QtBot, home: Path) -> Link:
    async def find() -> Address:
        address = read_lock(home)
        if address is None:
            raise OSError("no lock")
        return address

    return Link(Store(), "me", find)


@asynccontextmanager
async def running(link: Link) -> AsyncIterator[None]:
    task = asyncio.create_task(link.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_attaching_gives_the_whole_state_at_once(link: Link, home: Path) -> None:
    changes: list[str] = []
    link.call_changed.connect(changes.append)
    async with FakeBridge(home) as bridge, running(link):
        bridge.put_call(live_call("c1"), live_call("c2"))
        bridge.put(control.TurnChanged(turn=turn("t1", Party.CALLER, "Hello?")))
        await until(lambda: "c2" in changes, link.call_changed)
        assert link.state is LinkState.ATTACHED
        assert link.me == "me"
        assert link.store.calls["c1"].turns["t1"].text == "Hello?"
        attach = await bridge.heard(control.Attach)
        assert (attach.version, attach.console) == (control.VERSION, "me")


async def test_a_batch_of_events_is_told_once_for_each_call(link: Link, home: Path) -> None:
    changes: list[str] = []
    async with FakeBridge(home) as bridge, running(link):
        bridge.put_call(live_call("c1"))
        await until(lambda: "c1" in link.store.calls, link.call_changed)
        link.call_changed.connect(changes.append)
        frames = [turn(f"t{n}", Party.AI, "word") for n in range(200)]
        for line in frames:
            bridge.put(control.TurnChanged(turn=line))
        await until(lambda: len(link.store.calls["c1"].turns) == 200, link.call_changed)
        assert len(changes) < 100


async def test_a_lost_bridge_leaves_the_last_state_and_is_found_again(link: Link, home: Path) -> None:
    states: list[LinkState] = []
    link.state_changed.connect(lambda: states.append(link.state))
    async with FakeBridge(home) as bridge, running(link):
        bridge.put_call(live_call("c1"))
        await until(lambda: "c1" in link.store.calls, link.call_changed)
        bridge.lose_consoles()
        await until(lambda: link.state is LinkState.LOST, link.state_changed)
        assert link.lost
        assert link.reason
        assert "c1" in link.store.calls
        await bridge.attached(2)
        await until(lambda: link.state is LinkState.ATTACHED, link.state_changed)
        assert link.age_ms() >= 0


async def test_a_bridge_that_comes_back_elsewhere_is_found(link: Link, home: Path) -> None:
    async with running(link):
        async with FakeBridge(home) as bridge:
            bridge.put_call(live_call("c1"))
            await bridge.attached()
        await until(lambda: link.state is LinkState.LOST, link.state_changed)
        async with FakeBridge(home) as bridge:
            bridge.put_call(live_call("c2"))
            link.retry()
            await until(lambda: list(link.store.calls) == ["c2"], link.call_changed, link.state_changed)


async def test_calls_that_are_gone_after_a_re_attach_are_told_of(link: Link, home: Path) -> None:
    async with running(link):
        async with FakeBridge(home) as bridge:
            bridge.put_call(live_call("c1"))
            await until(lambda: "c1" in link.store.calls, link.call_changed)
        changes: list[str] = []
        link.call_changed.connect(changes.append)
        async with FakeBridge(home):
            await until(lambda: "c1" in changes, link.call_changed)
            assert not link.store.calls


async def test_commands_are_answered_done_or_refused(link: Link, home: Path) -> None:
    async with FakeBridge(home) as bridge, running(link):
        bridge.put_call(live_call("c1"))
        bridge.refuses[control.Ask] = "The AI is muted. Unmute it first."
        await until(lambda: not link.lost, link.state_changed)
        await link.send(control.Interrupt, call_id="c1")
        assert (await bridge.heard(control.Interrupt)).call_id == "c1"
        with pytest.raises(Refused, match="Unmute it first"):
            await link.send(control.Ask, call_id="c1", text="Why?")


async def test_a_command_to_a_bridge_that_goes_away_ends_as_lost(link: Link, home: Path) -> None:
    async with FakeBridge(home) as bridge, running(link):
        await until(lambda: not link.lost, link.state_changed)
        bridge.holds = True
        answer = link.send(control.HangUp, call_id="c1")
        await bridge.heard(control.HangUp)
        bridge.lose_consoles()
        with pytest.raises(LinkLost):
            await answer


async def test_without_a_link_nothing_is_sent(link: Link) -> None:
    with pytest.raises(LinkLost):
        await link.send(control.Interrupt, call_id="c1")
    assert not link.send_talk(b"\xff" * 160)
    assert link.me == "me"


async def test_operator_speech_goes_as_binary_frames(link: Link, home: Path) -> None:
    async with FakeBridge(home) as bridge, running(link):
        await until(lambda: not link.lost, link.state_changed)
        for n in range(40):
            assert link.send_talk(bytes([n]) * 160)
            await bridge.talked(n + 1)
        assert bridge.talk == [bytes([n]) * 160 for n in range(40)]


async def test_what_a_listening_window_hears_is_passed_on_and_other_binary_frames_are_not(
    link: Link, home: Path
) -> None:
    heard: list[control.HeardFrame] = []
    link.hears = heard.append
    async with FakeBridge(home) as bridge, running(link):
        await until(lambda: not link.lost, link.state_changed)
        await link.send(control.Listen, call_id="c1")
        bridge.tell_bytes(b"\x07what is this")
        bridge.tell_bytes(control.encode_heard(link.last_id, control.Side.LINE, 40, b"\xff" * 160))
        bridge.put_call(live_call("c1"))
        await until(lambda: "c1" in link.store.calls, link.call_changed)
        assert heard == [control.HeardFrame(link.last_id, control.Side.LINE, 40, b"\xff" * 160)]
        assert (await bridge.heard(control.Listen)).id == link.last_id


async def test_an_event_of_a_newer_bridge_is_passed_over(link: Link, home: Path) -> None:
    async with FakeBridge(home) as bridge, running(link):
        await until(lambda: not link.lost, link.state_changed)
        bridge.tell_text('{"type": "fireworks", "colour": "red"}')
        bridge.tell(control.Done(id=4711))
        bridge.put_call(live_call("c1"))
        await until(lambda: "c1" in link.store.calls, link.call_changed)
        bridge.forget_call("c1")
        await until(lambda: not link.store.calls, link.call_changed)
        assert not link.seen_ms


async def test_notices_and_health_are_told(link: Link, home: Path) -> None:
    notices: list[control.Notice] = []
    link.noticed.connect(notices.append)
    health = control.HealthView(part=control.HealthPart.TUNNEL, state=control.HealthState.RED, word="down")
    async with FakeBridge(home) as bridge, running(link):
        await until(lambda: not link.lost, link.state_changed)
        bridge.put(control.HealthChanged(health=health))
        bridge.tell(control.Notice(text="The disk is nearly full."))
        await until(lambda: bool(notices), link.noticed)
        await until(lambda: bool(link.store.health), link.desk_changed)
        assert notices[0].text == "The disk is nearly full."


async def test_a_bridge_of_another_version_says_so_and_waits_for_a_person(link: Link, home: Path) -> None:
    async with FakeBridge(home) as bridge, running(link):
        bridge.refuses[control.Attach] = "This bridge speaks version 2. Update the console."
        await until(lambda: link.state is LinkState.FAILED, link.state_changed)
        assert link.reason == "This bridge speaks version 2. Update the console."
        bridge.refuses.clear()
        link.retry()
        await until(lambda: link.state is LinkState.ATTACHED, link.state_changed)


async def test_a_bridge_that_cannot_be_had_waits_for_a_person(qtbot: QtBot, home: Path) -> None:
    attempts = 0

    async def find() -> Address:
        nonlocal attempts
        attempts += 1
        raise BridgeFailed("TWILIO_AUTH_TOKEN is missing.")

    link = Link(Store(), "me", find)
    async with running(link):
        await until(lambda: link.state is LinkState.FAILED, link.state_changed)
        assert link.reason == "TWILIO_AUTH_TOKEN is missing."
        link.retry()
        await until(lambda: attempts == 2 and link.state is LinkState.FAILED, link.state_changed)


async def test_a_wrong_token_is_told_apart_from_silence(qtbot: QtBot, home: Path) -> None:
    async with FakeBridge(home) as bridge:
        url = f"ws://127.0.0.1:{bridge.port}/control"

        async def find() -> Address:
            return Address(url, "a guess")

        link = Link(Store(), "me", find)
        async with running(link):
            await until(lambda: "401" in link.reason, link.state_changed)
            assert link.state is LinkState.STARTING
            assert link.store.calls == {}


async def test_clocks_know_when_a_view_was_seen(link: Link, home: Path) -> None:
    async with FakeBridge(home) as bridge, running(link):
        bridge.put_call(live_call("c1", phase=Phase.RINGING))
        await until(lambda: "c1" in link.store.calls, link.call_changed)
        assert link.seen_ms["c1"] > 0
