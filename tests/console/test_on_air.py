"""Taking over by voice and listening in, against a bridge on a real socket and a sound desk without devices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytestqt.qtbot import QtBot

from bridge import control
from bridge.control import Floor, Phase, TakeOverView, Verb
from console.bridge_process import Address, read_lock
from console.desk import Desk
from console.link import Link
from console.on_air import FAILED_STATES, OnAir, TalkMode
from console.settings import Settings
from console.sound import MicState
from console.store import Store
from tests.console.conftest import until
from tests.console.fake_bridge import FakeBridge, ended_call, held_call, live_call, taken_call
from tests.console.fake_sound import HEADSET, WEBCAM, FakeSound

SPEECH = bytes(range(160))
ONE_DAY_S = 86_400.0


class Operator:
    """A desk, its link and its sound, at a bridge."""

    def __init__(self, home: Path, bridge: FakeBridge, patience_s: float = ONE_DAY_S) -> None:
        async def find() -> Address:
            address = read_lock(home)
            if address is None:
                raise OSError("no lock")
            return address

        self.bridge = bridge
        self.told: list[str] = []
        self.link = Link(Store(), "me", find)
        self.desk = Desk(self.link.store, self.link)
        self.settings = Settings(home / "console.ini")
        self.sound = FakeSound(self.settings)
        self.on_done: Callable[[str], None] = lambda verb: None
        self.desk.done.connect(lambda call_id, verb, text: self.on_done(verb))
        self.on_air = OnAir(self.desk, self.sound, self.settings, patience_s=patience_s)  # type: ignore[arg-type]
        self.desk.refused.connect(lambda call_id, verb, reason, text: self.told.append(reason))

    @property
    def view(self) -> control.CallView | None:
        return self.desk.view

    @property
    def is_answered(self) -> bool:
        """The bridge owes no answer for the first call."""
        return self.desk.pending("c1") is None

    async def sees(self, floor: Floor, call_id: str = "c1") -> None:
        """Until the store has it and no verb of the call waits."""
        calls = self.link.store.calls
        await until(
            lambda: calls[call_id].view.floor is floor and self.desk.pending(call_id) is None,
            self.link.call_changed,
            self.desk.pending_changed,
        )

    async def takes_over(self, call_id: str = "c1") -> None:
        self.desk.select(call_id)
        self.on_air.key_pressed()
        self.desk.do("take_over")
        await self.sees(Floor.OPERATOR, call_id)

    async def hands_back(self, call_id: str = "c1") -> None:
        self.desk.hand_back_now(call_id)
        await self.sees(Floor.AI, call_id)

    async def ends_hold(self, call_id: str = "c1") -> None:
        self.desk.select(call_id)
        self.desk.do("hold")
        await until(lambda: self.link.store.calls[call_id].view.floor is not Floor.HOLD, self.link.call_changed)
        await until(lambda: self.desk.pending(call_id) is None, self.desk.pending_changed)

    async def sees_view(self, view: control.CallView) -> None:
        """The bridge tells of a change by itself."""
        self.bridge.put_call(view)
        await until(lambda: self.link.store.calls[view.call_id].view == view, self.link.call_changed)

    async def listens(self, count: int) -> control.Listen:
        """The count-th wish to listen, once it was answered."""
        heard = await self.bridge.heard(control.Listen, count)
        await self.hears()
        return heard

    async def hears(self) -> None:
        """Until all that the bridge sent has come."""
        await self.link.send(control.Watch, call_id="c1")


@asynccontextmanager
async def at_the_desk(home: Path, *views: control.CallView, patience_s: float = ONE_DAY_S) -> AsyncIterator[Operator]:
    async with FakeBridge(home) as bridge:
        bridge.put_call(*(views or (live_call("c1"), live_call("c2", started_unix_ms=1_800_000_000_000))))
        operator = Operator(home, bridge, patience_s)
        running = asyncio.create_task(operator.link.run())
        try:
            await until(lambda: not operator.link.lost, operator.link.state_changed)
            await until(lambda: bool(operator.desk.selected), operator.desk.selection_changed)
            operator.desk.select("c1")
            yield operator
        finally:
            operator.on_air.close()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


@pytest.fixture(autouse=True)
def qt(qtbot: QtBot) -> None:
    """Signals need an application."""


# ── the microphone and the floor ──


async def test_taking_over_opens_the_microphone_once_the_bridge_says_so(home: Path) -> None:
    async with at_the_desk(home) as me:
        me.bridge.holds = True
        me.desk.do("take_over")
        await me.bridge.heard(control.TakeOver)
        assert not me.sound.is_open
        assert not me.on_air.on_air
        me.bridge.answer_held()
        await me.sees(Floor.OPERATOR)
        assert me.sound.opened == ["headset"]
        assert me.on_air.on_air
        assert me.on_air.has_floor_of == "c1"
        assert not me.on_air.muted
        me.sound.speak(SPEECH)
        await me.bridge.talked(1)
        assert me.bridge.talk == [SPEECH]


async def test_handing_back_closes_it_with_the_key(home: Path) -> None:
    async with at_the_desk(home) as me:
        await me.takes_over()
        me.bridge.holds = True
        me.desk.do("take_over", text="Refund agreed.")
        assert me.sound.mic is MicState.OFF
        assert not me.on_air.on_air
        assert (await me.bridge.heard(control.HandBack)).note == "Refund agreed."
        me.on_air.toggle_mute()
        assert me.sound.mic is MicState.OFF
        me.bridge.holds = False
        me.bridge.answer_held()
        await me.sees(Floor.AI)
        assert me.on_air.has_floor_of == ""


async def test_handing_back_at_once_has_no_note_and_is_sent_once(home: Path) -> None:
    async with at_the_desk(home) as me:
        await me.takes_over()
        me.desk.select("c2")
        me.desk.hand_back_now("c1")
        me.desk.hand_back_now("c1")
        await me.sees(Floor.AI)
        backs = [command for command in me.bridge.commands if isinstance(command, control.HandBack)]
        assert [(back.call_id, back.note) for back in backs] == [("c1", "")]


async def test_a_refused_hand_back_leaves_the_floor_here_and_the_microphone_closed(home: Path) -> None:
    async with at_the_desk(home) as me:
        await me.takes_over()
        me.bridge.refuses[control.HandBack] = "The AI is gone."
        me.desk.hand_back_now("c1")
        await until(lambda: bool(me.told), me.desk.refused)
        assert me.told == ["The AI is gone."]
        assert me.on_air.has_floor_of == "c1"
        assert me.on_air.muted
        assert not me.sound.is_open
        me.on_air.toggle_mute()
        assert me.on_air.on_air


async def test_a_refused_take_over_opens_nothing(home: Path) -> None:
    async with at_the_desk(home) as me:
        me.bridge.refuses[control.TakeOver] = "tom (window 7) already has the floor."
        me.desk.do("take_over")
        await until(lambda: bool(me.told), me.desk.refused)
        assert me.sound.opened == []
        assert me.on_air.listening_to == ""
        assert me.on_air.timing == (None, None)


async def test_a_floor_that_this_process_did_not_ask_for_stays_muted(home: Path) -> None:
    """As after a window's restart: the bridge still knows its name, but nobody in this window pressed a key."""
    async with at_the_desk(home, taken_call("c1", "me")) as me:
        assert me.on_air.has_floor_of == "c1"
        assert me.on_air.muted
        assert me.sound.opened == []
        me.on_air.toggle_mute()
        assert me.on_air.on_air
        assert not me.on_air.muted
        assert me.on_air.listening_to == "c1"


@pytest.mark.parametrize(
    "after",
    [
        live_call("c1"),
        taken_call("c1", "tom (window 7)"),
        held_call("c1", "me"),
        taken_call("c1", "me", phase=Phase.ENDING),
        ended_call("c1"),
    ],
    ids=["back with the AI", "with another", "on hold", "ending", "ended"],
)
async def test_losing_the_floor_closes_it(home: Path, after: control.CallView) -> None:
    async with at_the_desk(home) as me:
        await me.takes_over()
        await me.sees_view(after)
        assert me.sound.mic is MicState.OFF
        assert me.on_air.has_floor_of == ""
        me.sound.tell(MicState.ON_AIR)
        me.sound.speak(SPEECH)
        await me.sees_view(live_call("c2", activity="later"))
        assert me.bridge.talk == []


async def test_a_forgotten_call_closes_it(home: Path) -> None:
    async with at_the_desk(home) as me:
        await me.takes_over()
        me.bridge.forget_call("c1")
        await until(lambda: "c1" not in me.link.store.calls, me.link.call_changed)
        assert me.sound.mic is MicState.OFF
        assert me.on_air.listening_to == ""


async def test_a_lost_link_closes_it_and_the_floor_is_muted_when_it_is_back(home: Path) -> None:
    async with at_the_desk(home) as me:
        await me.takes_over()
        me.bridge.lose_consoles()
        await until(lambda: me.link.lost, me.link.state_changed)
        assert me.sound.mic is MicState.OFF
        assert me.on_air.has_floor_of == ""
        await until(lambda: not me.link.lost, me.link.state_changed)
        assert me.on_air.has_floor_of == "c1"
        assert me.on_air.muted
        assert not me.sound.is_open
        me.on_air.toggle_mute()
        assert me.on_air.on_air


async def test_hold_closes_it_with_the_key_and_its_end_opens_it_again(home: Path) -> None:
    async with at_the_desk(home) as me:
        await me.takes_over()
        me.bridge.holds = True
        me.desk.hold("c1")
        me.desk.hold("c1")
        assert me.sound.mic is MicState.OFF
        me.bridge.holds = False
        me.bridge.answer_held()
        await me.sees(Floor.HOLD)
        assert me.on_air.has_floor_of == ""
        assert me.on_air.listening_to == "c1"
        await me.ends_hold()
        assert me.on_air.on_air
        await me.hands_back()
        assert me.on_air.listening_to == ""
        assert sum(isinstance(command, control.Hold) for command in me.bridge.commands) == 2


async def test_the_end_of_a_hold_that_began_with_the_ai_opens_nothing(home: Path) -> None:
    async with at_the_desk(home) as me:
        me.desk.hold("c1")
        await me.sees(Floor.HOLD)
        await me.ends_hold()
        assert me.view is not None
        assert me.view.floor is Floor.AI
        assert me.sound.opened == []


async def test_with_two_floors_nothing_is_said_to_either(home: Path) -> None:
    async with at_the_desk(home) as me:
        await me.takes_over()
        await me.sees_view(taken_call("c2", "me"))
        assert me.on_air.muted
        assert not me.sound.is_open
        me.on_air.toggle_mute()
        assert not me.sound.is_open
        await me.sees_view(live_call("c2"))
        me.on_air.toggle_mute()
        assert me.on_air.on_air


async def test_the_panic_key_takes_over_and_never_hands_back(home: Path) -> None:
    async with at_the_desk(home) as me:
        me.on_air.panic()
        me.on_air.panic()
        await me.sees(Floor.OPERATOR)
        assert me.on_air.on_air
        me.on_air.panic()
        assert me.on_air.on_air
        me.desk.select("")
        await me.hands_back()
        me.on_air.panic()
        kinds = [type(command) for command in me.bridge.commands]
        assert kinds.count(control.TakeOver) == 1
        assert kinds.count(control.HandBack) == 1


async def test_closing_the_window_closes_it(home: Path) -> None:
    async with at_the_desk(home) as me:
        await me.takes_over()
        me.on_air.close()
        assert me.sound.mic is MicState.OFF
        assert not me.sound.is_listening


# ── open line and push-to-talk ──


async def test_muting(home: Path) -> None:
    async with at_the_desk(home) as me:
        me.on_air.toggle_mute()
        await me.takes_over()
        assert me.on_air.on_air
        me.on_air.toggle_mute()
        assert me.on_air.muted
        me.sound.speak(b"\x01" * 160)
        me.sound.mic_level = 200
        assert me.on_air.talking_while_muted
        me.on_air.toggle_mute()
        assert not me.on_air.talking_while_muted
        me.sound.speak(SPEECH)
        await me.bridge.talked(1)
        assert me.bridge.talk == [SPEECH]
        assert me.sound.opened == ["headset"]


async def test_a_new_take_over_is_not_muted(home: Path) -> None:
    async with at_the_desk(home) as me:
        await me.takes_over()
        me.on_air.toggle_mute()
        await me.hands_back()
        await me.takes_over()
        assert me.on_air.on_air


async def test_push_to_talk_sends_only_while_the_key_is_held(home: Path) -> None:
    async with at_the_desk(home) as me:
        me.on_air.mode = TalkMode.PUSH
        await me.takes_over()
        assert me.sound.mic is MicState.MUTED
        assert me.on_air.muted
        me.sound.speak(b"\x01" * 160)
        me.on_air.toggle_mute()
        me.on_air.talk(True)
        assert me.on_air.on_air
        me.sound.speak(SPEECH)
        me.on_air.talk(False)
        assert not me.on_air.on_air
        me.sound.speak(b"\x02" * 160)
        me.on_air.mode = TalkMode.OPEN
        assert me.on_air.on_air
        me.sound.speak(SPEECH)
        await me.bridge.talked(2)
        assert me.bridge.talk == [SPEECH, SPEECH]
        assert OnAir(me.desk, me.sound, me.settings).mode is TalkMode.OPEN


async def test_the_key_held_over_a_hand_back_is_not_held_in_the_next_take_over(home: Path) -> None:
    async with at_the_desk(home) as me:
        me.on_air.mode = TalkMode.PUSH
        await me.takes_over()
        me.on_air.talk(True)
        await me.hands_back()
        await me.takes_over()
        assert me.sound.mic is MicState.MUTED


async def test_the_talk_key_is_an_act_too_for_a_floor_that_came_back(home: Path) -> None:
    async with at_the_desk(home, taken_call("c1", "me")) as me:
        me.on_air.talk(True)
        assert me.sound.opened == []
        me.on_air.talk(False)
        me.on_air.mode = TalkMode.PUSH
        me.on_air.talk(True)
        assert me.on_air.on_air
        me.on_air.talk(False)
        assert me.on_air.muted


async def test_the_talk_key_without_a_floor_does_nothing(home: Path) -> None:
    async with at_the_desk(home) as me:
        me.on_air.mode = TalkMode.PUSH
        me.on_air.talk(True)
        me.on_air.talk(False)
        assert me.sound.opened == []


# ── how fast it was ──


async def test_each_take_over_is_measured_from_its_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_ms = 1_000_000.0
    monkeypatch.setattr("console.on_air.monotonic_ms", lambda: now_ms)
    async with at_the_desk(home) as me:

        async def timed(id: str, at_ms: int, console: str = "me", **more: float) -> None:
            view = TakeOverView(call_id="c1", take_over_id=id, console=console, at_ms=at_ms, **more)
            me.bridge.tell(control.TakeOverTimed(take_over=view))
            await until(lambda: me.link.store.calls["c1"].take_overs.get(id) == view, me.link.call_changed)

        await timed("1", 500, silent_ms=1.0, voice_ms=1.0)
        me.on_air.key_pressed()
        now_ms += 5
        me.bridge.holds = True
        me.desk.do("take_over")
        await me.bridge.heard(control.TakeOver)
        now_ms += 15
        me.bridge.holds = False
        me.bridge.answer_held()
        await me.sees(Floor.OPERATOR)
        assert me.on_air.timing == (None, None)
        await timed("2", 9000)
        assert me.on_air.timing == (None, None)
        await timed("2", 9000, silent_ms=30.0)
        assert me.on_air.timing == (50.0, None)
        await timed("3", 9500, console="tom (window 7)", silent_ms=1.0, voice_ms=1.0)
        await timed("2", 9000, silent_ms=30.0, voice_ms=90.0)
        assert me.on_air.timing == (50.0, 110.0)
        await me.hands_back()
        assert me.on_air.timing == (50.0, 110.0)
        # By the menu, long after a key that led to nothing.
        me.on_air.key_pressed()
        now_ms += 5000
        me.desk.do("take_over")
        await me.sees(Floor.OPERATOR)
        await timed("4", 20000, silent_ms=7.0, voice_ms=8.0)
        assert me.on_air.timing == (7.0, 8.0)


@pytest.mark.parametrize("key", ["talk", "unmute"])
async def test_a_voice_that_waited_for_its_key_is_measured_from_that(
    home: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    now_ms = 1_000_000.0
    monkeypatch.setattr("console.on_air.monotonic_ms", lambda: now_ms)
    async with at_the_desk(home) as me:
        me.on_air.mode = TalkMode.PUSH if key == "talk" else TalkMode.OPEN
        await me.takes_over()
        if key == "unmute":
            me.on_air.toggle_mute()
        now_ms += 7000
        if key == "talk":
            me.on_air.talk(True)
        else:
            me.on_air.toggle_mute()
        now_ms += 80
        view = TakeOverView(call_id="c1", take_over_id="1", console="me", at_ms=500, silent_ms=30.0, voice_ms=7070.0)
        me.bridge.tell(control.TakeOverTimed(take_over=view))
        await until(lambda: bool(me.link.store.calls["c1"].take_overs), me.link.call_changed)
        assert me.on_air.timing == (30.0, 70.0)


async def test_the_talk_key_is_no_key_of_an_open_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_ms = 1_000_000.0
    monkeypatch.setattr("console.on_air.monotonic_ms", lambda: now_ms)
    async with at_the_desk(home) as me:
        await me.takes_over()
        now_ms += 50
        me.on_air.talk(True)
        view = TakeOverView(call_id="c1", take_over_id="1", console="me", at_ms=500, silent_ms=30.0, voice_ms=90.0)
        me.bridge.tell(control.TakeOverTimed(take_over=view))
        await until(lambda: bool(me.link.store.calls["c1"].take_overs), me.link.call_changed)
        assert me.on_air.timing == (30.0, 90.0)


# ── a microphone that fails ──


async def test_a_microphone_that_is_pulled_out_is_told_with_another_to_use(home: Path) -> None:
    async with at_the_desk(home) as me:
        await me.takes_over()
        assert me.on_air.lost_since_ms is None
        assert me.on_air.other_input is None
        me.sound.unplug(HEADSET)
        assert me.on_air.lost_since_ms is not None
        assert me.on_air.other_input == WEBCAM
        assert not me.on_air.on_air
        assert me.sound.opened == ["headset"]
        me.on_air.use_other_input()
        assert me.sound.opened == ["headset", "webcam"]
        assert me.settings.input_id == "webcam"
        assert me.on_air.on_air
        assert me.on_air.lost_since_ms is None


async def test_one_that_comes_back_is_used_again_only_by_a_click(home: Path) -> None:
    async with at_the_desk(home) as me:
        me.sound.choose_input("headset")
        await me.takes_over()
        me.sound.unplug(HEADSET)
        me.sound.plug(HEADSET)
        assert me.sound.opened == ["headset"]
        assert not me.sound.is_open
        assert me.on_air.other_input == HEADSET
        me.on_air.use_other_input()
        assert me.sound.opened == ["headset", "headset"]
        assert me.on_air.on_air


async def test_one_chosen_from_the_list_is_used_too(home: Path) -> None:
    async with at_the_desk(home) as me:
        await me.takes_over()
        me.sound.unplug(HEADSET)
        me.sound.choose_input("webcam")
        assert me.on_air.on_air


async def test_without_a_choice_the_caller_is_put_on_hold(home: Path) -> None:
    async with at_the_desk(home, patience_s=0.0) as me:
        await me.takes_over()
        me.sound.unplug(HEADSET)
        hold = await me.bridge.heard(control.Hold)
        assert (hold.call_id, hold.held) == ("c1", True)
        await me.sees(Floor.HOLD)
        assert me.on_air.lost_since_ms is None
        assert me.on_air.other_input is None
        assert me.sound.mic is MicState.OFF
        me.on_air.use_other_input()
        assert not me.sound.is_open


@pytest.mark.parametrize("state", [state for state in FAILED_STATES if state is not MicState.LOST])
async def test_a_take_over_whose_microphone_cannot_be_opened_ends_in_a_hold_too(home: Path, state: MicState) -> None:
    async with at_the_desk(home, patience_s=0.0) as me:
        me.sound.opens_as = state
        me.desk.do("take_over")
        await me.bridge.heard(control.Hold)
        await me.sees(Floor.HOLD)
        assert me.on_air.listening_to == "c1"


async def test_a_microphone_that_opens_for_too_long_ends_in_a_hold_too(home: Path) -> None:
    async with at_the_desk(home, patience_s=0.0) as me:
        me.sound.opens_as = MicState.OPENING
        me.desk.do("take_over")
        await me.bridge.heard(control.Hold)
        await me.sees(Floor.HOLD)
        assert me.sound.mic is MicState.OFF
        assert me.told == [
            "Your microphone gave no sound, so the caller was put on hold. Ending the hold tries it again."
        ]


async def test_a_microphone_that_opens_slowly_is_on_air_once_it_does(home: Path) -> None:
    async with at_the_desk(home) as me:
        me.sound.opens_as = MicState.OPENING
        await me.takes_over()
        assert not me.on_air.on_air
        assert me.on_air.lost_since_ms is None
        me.sound.tell(MicState.ON_AIR)
        assert me.on_air.on_air


async def test_going_on_without_a_microphone_keeps_the_floor(home: Path) -> None:
    async with at_the_desk(home, patience_s=0.0) as me:
        me.on_air.stay()
        await me.takes_over()
        me.sound.opens_as = MicState.NO_SERVER
        me.sound.unplug(HEADSET)
        me.on_air.stay()
        assert me.on_air.lost_since_ms is None
        assert me.on_air.muted
        assert me.sound.mic is MicState.OFF
        await me.sees_view(live_call("c2", activity="later"))
        assert not any(isinstance(command, control.Hold) for command in me.bridge.commands)
        me.on_air.toggle_mute()
        assert me.on_air.lost_since_ms is not None
        await me.bridge.heard(control.Hold)
        await me.sees(Floor.HOLD)


async def test_handing_back_from_a_lost_microphone_ends_the_wait(home: Path) -> None:
    async with at_the_desk(home) as me:
        await me.takes_over()
        me.sound.unplug(HEADSET)
        await me.hands_back()
        assert me.on_air.lost_since_ms is None
        me.sound.plug(HEADSET)
        assert not me.sound.is_open


async def test_another_one_that_does_not_open_either_is_told_again(home: Path) -> None:
    async with at_the_desk(home) as me:
        await me.takes_over()
        me.sound.opens_as = MicState.DENIED
        me.sound.unplug(HEADSET)
        me.on_air.use_other_input()
        assert me.sound.mic is MicState.DENIED
        assert me.on_air.lost_since_ms is not None


# ── listening ──


async def test_listening_to_the_selected_call(home: Path) -> None:
    async with at_the_desk(home) as me:
        me.on_air.toggle_listen()
        assert me.on_air.listening_to == "c1"
        assert me.sound.is_listening
        listen = await me.listens(1)
        assert listen.call_id == "c1"
        me.bridge.sound(listen.id, SPEECH, at_ms=40)
        await me.hears()
        assert me.sound.played == [control.HeardFrame(listen.id, control.Side.LINE, 40, SPEECH)]
        me.on_air.toggle_listen()
        assert (await me.listens(2)).call_id == ""
        assert me.on_air.listening_to == ""
        assert not me.sound.is_listening


async def test_late_sound_of_an_earlier_call_is_dropped(home: Path) -> None:
    async with at_the_desk(home) as me:
        me.on_air.toggle_listen()
        first = await me.listens(1)
        me.desk.select("c2")
        me.on_air.toggle_listen()
        third = await me.listens(3)
        me.bridge.sound(first.id, b"\x01" * 160)
        me.bridge.sound(third.id, SPEECH)
        await me.hears()
        assert [frame.audio for frame in me.sound.played] == [SPEECH]
        me.on_air.toggle_listen()
        me.bridge.sound(third.id, SPEECH)
        await me.hears()
        assert me.sound.played == []


async def test_selecting_another_call_stops_listening(home: Path) -> None:
    async with at_the_desk(home) as me:
        me.on_air.toggle_listen()
        me.desk.select("c2")
        assert me.on_air.listening_to == ""
        assert not me.sound.is_listening


async def test_a_refusal_is_told(home: Path) -> None:
    async with at_the_desk(home) as me:
        me.bridge.refuses[control.Listen] = "There is nothing to hear: the call is not up."
        me.on_air.toggle_listen()
        await until(lambda: bool(me.told), me.desk.refused)
        assert me.told == ["There is nothing to hear: the call is not up."]
        await until(lambda: not me.on_air.listening_to, me.on_air.changed)
        assert not me.sound.is_listening


async def test_a_late_refusal_does_not_stop_a_newer_listening(home: Path) -> None:
    async with at_the_desk(home) as me:
        me.bridge.refuses[control.Listen] = "There is nothing to hear: the call is not up."
        me.on_air.toggle_listen()
        await me.bridge.heard(control.Listen)
        me.bridge.refuses.clear()
        me.on_air.toggle_listen()
        me.on_air.toggle_listen()
        await me.listens(3)
        assert me.on_air.listening_to == "c1"


async def test_a_bridge_that_is_found_again_is_asked_again(home: Path) -> None:
    async with at_the_desk(home) as me:
        me.on_air.toggle_listen()
        await me.listens(1)
        me.bridge.lose_consoles()
        await until(lambda: me.link.lost, me.link.state_changed)
        await until(lambda: not me.link.lost, me.link.state_changed)
        listen = await me.listens(2)
        assert listen.call_id == "c1"
        me.bridge.sound(listen.id, SPEECH)
        await me.hears()
        assert me.sound.played


async def test_stopping_while_the_link_is_lost_needs_no_bridge(home: Path) -> None:
    async with at_the_desk(home) as me:
        me.on_air.toggle_listen()
        await me.listens(1)
        me.bridge.lose_consoles()
        await until(lambda: me.link.lost, me.link.state_changed)
        me.on_air.toggle_listen()
        assert me.on_air.listening_to == ""
        assert me.told == []


async def test_taking_over_listens_and_handing_back_returns_to_what_was_heard_before(home: Path) -> None:
    async with at_the_desk(home) as me:
        await me.takes_over()
        assert me.on_air.listening_to == "c1"
        await me.hands_back()
        assert me.on_air.listening_to == ""
        me.on_air.toggle_listen()
        await me.takes_over()
        await me.hands_back()
        assert me.on_air.listening_to == "c1"
        assert me.sound.is_listening


async def test_a_call_that_was_left_in_the_take_over_is_not_listened_to_after_it(home: Path) -> None:
    async with at_the_desk(home) as me:
        me.on_air.toggle_listen()
        await me.takes_over()
        me.desk.select("c2")
        await me.hands_back()
        assert me.on_air.listening_to == ""
        assert not me.sound.is_listening


async def test_the_call_whose_floor_is_ours_is_heard_whatever_is_selected(home: Path) -> None:
    async with at_the_desk(home) as me:
        await me.takes_over()
        me.desk.select("c2")
        assert me.on_air.listening_to == "c1"
        me.on_air.toggle_listen()
        assert me.on_air.listening_to == "c1"
        assert me.told == ["You have the floor of +1 415 555 0142, so you hear that call. Hand it back first."]


async def test_the_next_in_the_queue_is_selected_and_heard_when_a_call_ends(home: Path) -> None:
    calls = [live_call(f"c{n}", started_unix_ms=n) for n in range(1, 5)]
    async with at_the_desk(home, *calls) as me:
        for call_id in ("c2", "c3", "c4"):
            me.desk.select(call_id)
            me.on_air.toggle_queue()
        assert me.on_air.queue == ("c2", "c3", "c4")
        me.desk.select("c3")
        me.on_air.toggle_queue()
        assert me.on_air.queue == ("c2", "c4")
        me.desk.select("c1")
        me.on_air.toggle_listen()
        me.on_air.toggle_queue()
        assert me.on_air.queue == ("c2", "c4")
        await me.sees_view(ended_call("c2"))
        assert me.on_air.queue == ("c4",)
        await me.sees_view(ended_call("c1"))
        assert me.on_air.listening_to == me.desk.selected == "c4"
        assert me.on_air.queue == ()
        await me.sees_view(ended_call("c4"))
        assert me.on_air.listening_to == ""
        assert me.desk.selected == "c4"


async def test_a_queued_call_that_does_not_stand_yet_is_passed_over(home: Path) -> None:
    calls = [live_call("c1"), live_call("c2", phase=Phase.RINGING), live_call("c3")]
    async with at_the_desk(home, *calls) as me:
        for call_id in ("c2", "c3"):
            me.desk.select(call_id)
            me.on_air.toggle_queue()
        me.desk.select("c1")
        me.on_air.toggle_listen()
        await me.sees_view(ended_call("c1"))
        assert me.on_air.listening_to == "c3"
        assert me.on_air.queue == ("c2",)


async def test_listening_to_a_queued_call_takes_it_out(home: Path) -> None:
    async with at_the_desk(home) as me:
        me.on_air.toggle_queue()
        me.on_air.toggle_listen()
        assert me.on_air.queue == ()


async def test_without_a_call_there_is_nothing_to_listen_to(home: Path) -> None:
    async with at_the_desk(home) as me:
        me.desk.select("")
        me.on_air.toggle_listen()
        me.on_air.toggle_queue()
        assert me.on_air.listening_to == ""
        assert me.on_air.queue == ()


# ── any order ──

ACTS = ("take over", "hand back", "hold", "end hold", "mute", "talk", "mode", "unplug", "plug", "use other", "stay")
TELLS = ("back with the AI", "with another", "ended", "link lost")
STEPS = st.tuples(st.sampled_from((*ACTS, "take over", *TELLS)), st.booleans())
"""What happens, and whether it has come to rest before the next."""


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=3, max_size=12))
def test_an_open_microphone_means_a_floor_that_a_person_here_asked_for(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, bool]]
) -> None:
    asyncio.run(any_order(tmp_path_factory.mktemp("order"), [("take over", True), *steps]))


async def any_order(home: Path, steps: list[tuple[str, bool]]) -> None:
    """What a person did here is counted apart from what the code remembers."""
    async with at_the_desk(home, live_call("c1")) as me:
        asked = False

        def told(call_id: str, verb: str) -> None:
            nonlocal asked
            if verb in (Verb.HAND_BACK, Verb.HOLD):
                asked = False

        def done(verb: str) -> None:
            nonlocal asked
            asked = asked or verb in (Verb.TAKE_OVER, Verb.UNHOLD)

        def check(*_: object) -> None:
            nonlocal asked
            view = me.view
            assert view is not None
            ours = view.floor is Floor.OPERATOR and view.floor_holder == "me" and view.phase is Phase.LIVE
            if not ours or me.link.lost:
                asked = False
            if me.sound.is_open or me.on_air.on_air:
                wrong.extend([] if asked else [f"open at {view.floor} of {view.floor_holder!r}, lost {me.link.lost}"])

        wrong: list[str] = []
        me.on_done = done
        me.desk.sent.connect(told)
        for signal in (me.link.call_changed, me.link.state_changed, me.on_air.changed, me.desk.pending_changed):
            signal.connect(check)
        for step, rests in steps:
            match step:
                case "take over" if not me.on_air.has_floor_of:
                    me.desk.do("take_over")
                case "hand back":
                    me.desk.hand_back_now("c1")
                case "hold":
                    me.desk.hold("c1")
                case "end hold":
                    if me.view is not None and me.view.floor is Floor.HOLD:
                        me.desk.do("hold")
                case "mute":
                    asked = asked or (me.on_air.muted and me.desk.pending("c1") is None)
                    me.on_air.toggle_mute()
                case "talk":
                    push = me.on_air.mode is TalkMode.PUSH
                    asked = asked or (push and me.on_air.muted and me.desk.pending("c1") is None)
                    me.on_air.talk(True)
                    me.on_air.talk(False)
                case "mode":
                    me.on_air.mode = TalkMode.PUSH if me.on_air.mode is TalkMode.OPEN else TalkMode.OPEN
                case "unplug":
                    me.sound.unplug(HEADSET)
                case "plug" if HEADSET not in me.sound.inputs:
                    me.sound.plug(HEADSET)
                case "use other":
                    me.on_air.use_other_input()
                case "stay":
                    me.on_air.stay()
                case "back with the AI":
                    await me.sees_view(live_call("c1"))
                case "with another":
                    await me.sees_view(taken_call("c1", "tom (window 7)"))
                case "ended":
                    await me.sees_view(ended_call("c1"))
                case "link lost":
                    me.bridge.lose_consoles()
                    await until(lambda: me.link.lost, me.link.state_changed)
                    await until(lambda: not me.link.lost, me.link.state_changed)
            if rests:
                await until(lambda: me.is_answered, me.desk.pending_changed)
            check()
        assert not wrong
