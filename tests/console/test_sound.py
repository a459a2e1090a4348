"""The sound desk: the microphone is open when it should be and at no other time, nothing is switched by itself,
and every trouble has a state of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication

from bridge.control import HeardFrame, Side
from console.devices import STEP_MS, Access, Device
from console.loudspeaker import AHEAD_MS, MOST_AHEAD_MS, STUCK_MS
from console.microphone import SILENT_MS, WAKING_MS
from console.mulaw import PIECE_BYTES, decode
from console.resampling import Format
from console.settings import Settings
from console.sound import MicState, Sound, SpeakerState
from tests.console.fake_devices import BUILT_IN, HEADSET, LOUD, SoundDesk

CALLER, LINE = b"\x90", b"\xa0"


@pytest.fixture
def desk(qapp: QApplication, home: Path) -> Iterator[SoundDesk]:
    desk = SoundDesk(home / "console.ini")
    yield desk
    desk.sound.close()
    assert desk.devices.capture is None and desk.devices.playback is None and desk.devices.closed


@pytest.fixture
def on_air(desk: SoundDesk) -> SoundDesk:
    """The microphone is open and hears somebody."""
    desk.sound.open_microphone()
    desk.pass_time(200, speaking=True)
    assert desk.sound.mic is MicState.ON_AIR
    return desk


def call(desk: SoundDesk, ms: int, *, caller: bytes = CALLER, line: bytes = LINE, at_ms: int = 0) -> int:
    """A call with both sides speaking is listened to; returns the call time at its end."""
    for at in range(at_ms, at_ms + ms, 20):
        desk.sound.play(HeardFrame(1, Side.CALLER, at, caller * PIECE_BYTES))
        desk.sound.play(HeardFrame(1, Side.LINE, at, line * PIECE_BYTES))
        desk.pass_time(20)
    return at_ms + ms


# ── the microphone ──


def test_off_air_no_device_is_open(desk: SoundDesk) -> None:
    desk.pass_time(1000)
    assert desk.sound.mic is MicState.OFF and desk.sound.speaker is SpeakerState.OFF
    assert desk.devices.opened == []
    assert desk.sound.input == desk.sound.output == HEADSET
    assert desk.sound.inputs == (HEADSET, BUILT_IN)


def test_on_air_what_is_said_goes_out_in_telephone_frames(on_air: SoundDesk) -> None:
    on_air.captured.clear()
    on_air.pass_time(1000, speaking=True)
    assert len(on_air.captured) == 50
    assert {len(piece) for piece in on_air.captured} == {PIECE_BYTES}
    assert decode(b"".join(on_air.captured)) == pytest.approx(LOUD, rel=0.05)
    assert on_air.sound.mic_level == pytest.approx(255 * (LOUD / 32124) ** 0.5, abs=5)


def test_it_is_opening_until_the_device_gives_something(desk: SoundDesk) -> None:
    desk.sound.open_microphone()
    assert desk.sound.mic is MicState.OPENING
    desk.pass_time(WAKING_MS - 500)
    assert desk.sound.mic is MicState.OPENING
    desk.pass_time(20, speaking=True)
    assert desk.sound.mic is MicState.ON_AIR


def test_closing_is_immediate(on_air: SoundDesk) -> None:
    capture = on_air.devices.capture
    assert capture is not None
    on_air.captured.clear()
    on_air.sound.close_microphone()
    assert on_air.sound.mic is MicState.OFF
    assert not capture.is_open
    capture.hear(200)
    on_air.pass_time(1000)
    assert on_air.captured == []
    assert on_air.sound.mic_level == 0


def test_who_gets_a_piece_may_close_the_microphone(on_air: SoundDesk) -> None:
    on_air.captured.clear()
    on_air.sound.captured.connect(on_air.sound.close_microphone)
    capture = on_air.devices.capture
    assert capture is not None
    capture.hear(500)
    assert len(on_air.captured) == 1


def test_a_muted_microphone_sends_nothing(on_air: SoundDesk) -> None:
    on_air.sound.muted = True
    assert on_air.sound.mic is MicState.MUTED and on_air.sound.muted
    on_air.captured.clear()
    on_air.pass_time(500, speaking=True)
    assert on_air.captured == []
    assert on_air.sound.mic_level > 0
    on_air.sound.muted = False
    on_air.pass_time(100, speaking=True)
    assert len(on_air.captured) == 5


def test_opening_twice_opens_once(on_air: SoundDesk) -> None:
    on_air.sound.open_microphone()
    assert on_air.devices.opened == [HEADSET.id]


def test_a_silent_room_is_no_loss(on_air: SoundDesk) -> None:
    for _ in range(100):
        assert on_air.devices.capture is not None
        on_air.devices.capture.hear(10, amplitude=0)
        on_air.pass_time(10)
    assert on_air.sound.mic is MicState.ON_AIR and on_air.sound.mic_level == 0


def test_a_window_that_was_busy_has_lost_nothing(on_air: SoundDesk) -> None:
    """The sound came in time; nobody had time to take it."""
    capture = on_air.devices.capture
    assert capture is not None
    on_air.captured.clear()
    on_air.devices.pass_time(SILENT_MS + 200)
    capture.hear(200, told=False)
    on_air.sound.look()
    assert on_air.sound.mic is MicState.ON_AIR
    capture.ask()
    assert len(on_air.captured) == 10


def test_once_closed_nothing_opens(on_air: SoundDesk) -> None:
    on_air.sound.start_listening()
    on_air.sound.close()
    assert on_air.devices.capture is None and on_air.devices.playback is None
    on_air.devices.opened.clear()
    on_air.sound.open_microphone()
    on_air.sound.start_listening()
    on_air.sound.play_tone()
    on_air.sound.check_microphone()
    assert on_air.devices.opened == []


# ── losing it ──


def unplugged(desk: SoundDesk) -> None:
    desk.devices.unplug(HEADSET.id)
    desk.pass_time(100, speaking=True)


def stopped(desk: SoundDesk) -> None:
    assert desk.devices.capture is not None
    desk.devices.capture.broken = True
    desk.pass_time(100, speaking=True)


def fell_silent(desk: SoundDesk) -> None:
    desk.pass_time(SILENT_MS + 100)


@pytest.mark.parametrize("how", [unplugged, stopped, fell_silent])
def test_a_microphone_that_is_lost_is_noticed_within_half_a_second(on_air: SoundDesk, how: object) -> None:
    assert callable(how)
    before = on_air.devices.now_ms()
    how(on_air)
    assert on_air.devices.now_ms() - before <= 500
    assert on_air.sound.mic is MicState.LOST
    assert on_air.devices.capture is None


def test_no_other_microphone_takes_its_place(on_air: SoundDesk) -> None:
    """BUILT_IN is now what the system would take."""
    unplugged(on_air)
    assert on_air.sound.inputs[0].is_default
    on_air.pass_time(3000)
    on_air.sound.open_microphone()
    on_air.pass_time(1000)
    assert on_air.sound.mic is MicState.NONE and on_air.sound.input is None
    assert on_air.devices.opened == [HEADSET.id]


def test_nor_does_it_come_back_by_itself(on_air: SoundDesk) -> None:
    unplugged(on_air)
    on_air.devices.plug(HEADSET)
    on_air.pass_time(3000)
    assert on_air.sound.mic is MicState.LOST and on_air.sound.input == HEADSET
    on_air.sound.open_microphone()
    on_air.pass_time(100, speaking=True)
    assert on_air.sound.mic is MicState.ON_AIR


def test_another_one_is_used_when_it_is_chosen(on_air: SoundDesk) -> None:
    unplugged(on_air)
    on_air.sound.choose_input(BUILT_IN.id)
    on_air.pass_time(100, speaking=True)
    assert on_air.sound.mic is MicState.ON_AIR
    assert on_air.devices.opened == [HEADSET.id, BUILT_IN.id]


def test_after_a_loss_closing_ends_it(on_air: SoundDesk) -> None:
    unplugged(on_air)
    on_air.sound.close_microphone()
    assert on_air.sound.mic is MicState.NONE
    on_air.sound.choose_input("")
    assert on_air.sound.mic is MicState.OFF and on_air.devices.capture is None


def test_one_that_never_gives_anything_is_lost_in_the_end(desk: SoundDesk) -> None:
    desk.sound.open_microphone()
    desk.pass_time(WAKING_MS + 100)
    assert desk.sound.mic is MicState.LOST


def test_a_device_that_cannot_be_opened_is_lost(desk: SoundDesk) -> None:
    desk.devices.fails = True
    desk.sound.open_microphone()
    desk.sound.start_listening()
    assert desk.sound.mic is MicState.LOST and desk.sound.speaker is SpeakerState.LOST


# ── choosing ──


def test_the_choice_is_remembered_and_not_replaced(desk: SoundDesk, home: Path) -> None:
    desk.sound.choose_input(BUILT_IN.id)
    desk.sound.choose_output(BUILT_IN.id)
    again = SoundDesk(home / "console.ini")
    assert again.sound.input == again.sound.output == BUILT_IN
    again.devices.unplug(BUILT_IN.id)
    again.pass_time(100)
    assert again.sound.input is None and again.sound.output is None
    assert again.sound.mic is MicState.NONE and again.sound.speaker is SpeakerState.NONE
    again.sound.close()


def test_choosing_while_on_air_switches_at_once(on_air: SoundDesk) -> None:
    on_air.sound.choose_input(BUILT_IN.id)
    on_air.pass_time(100, speaking=True)
    assert on_air.devices.opened == [HEADSET.id, BUILT_IN.id]
    assert on_air.sound.mic is MicState.ON_AIR


def test_changes_are_told_once(desk: SoundDesk) -> None:
    desk.pass_time(1000)
    assert desk.told == 0
    new = Device("new", "New", False)
    desk.devices.plug(new)
    desk.pass_time(1000)
    assert desk.told == 1
    assert desk.sound.inputs[-1] == new
    desk.sound.split = True
    assert desk.told == 2 and desk.settings.split
    desk.sound.split = True
    assert desk.told == 2


# ── troubles of the system ──


@pytest.mark.parametrize(
    ("access", "mic", "speaker"),
    [
        (Access.NO_SERVER, MicState.NO_SERVER, SpeakerState.NO_SERVER),
        (Access.SERVER_LOST, MicState.SERVER_LOST, SpeakerState.SERVER_LOST),
        (Access.NO_LIBRARY, MicState.NO_LIBRARY, SpeakerState.NO_LIBRARY),
    ],
)
def test_without_access_to_devices_the_states_say_why(
    desk: SoundDesk, access: Access, mic: MicState, speaker: SpeakerState
) -> None:
    desk.devices.access, desk.devices.inputs, desk.devices.outputs = access, (), ()
    desk.sound.open_microphone()
    desk.sound.start_listening()
    desk.sound.play_tone()
    call(desk, 100)
    assert (desk.sound.mic, desk.sound.speaker) == (mic, speaker)
    assert desk.devices.opened == []


def test_without_devices_the_states_say_so(desk: SoundDesk) -> None:
    desk.devices.inputs = desk.devices.outputs = ()
    desk.sound.look()
    assert desk.sound.mic is MicState.NONE and desk.sound.speaker is SpeakerState.NONE
    desk.sound.open_microphone()
    desk.sound.start_listening()
    desk.sound.play_tone()
    assert desk.sound.mic is MicState.NONE and desk.sound.speaker is SpeakerState.NONE
    desk.sound.check_microphone()
    assert desk.sound.checking == ""


def test_what_is_wanted_before_the_devices_are_known_waits_for_them(desk: SoundDesk) -> None:
    desk.devices.access = Access.LOADING
    desk.sound.open_microphone()
    desk.sound.start_listening()
    assert desk.sound.mic is MicState.OPENING and desk.sound.speaker is SpeakerState.OFF
    desk.devices.access = Access.OK
    desk.pass_time(100)
    desk.pass_time(100, speaking=True)
    assert desk.sound.mic is MicState.ON_AIR and desk.sound.speaker is SpeakerState.PLAYING


def test_when_the_sound_server_dies_on_air_the_microphone_is_lost(on_air: SoundDesk) -> None:
    inputs = on_air.devices.inputs
    on_air.devices.access, on_air.devices.inputs = Access.NO_SERVER, ()
    on_air.pass_time(100)
    assert on_air.sound.mic is MicState.NO_SERVER and on_air.devices.capture is None
    on_air.devices.access, on_air.devices.inputs = Access.OK, inputs
    on_air.pass_time(100)
    assert on_air.sound.mic is MicState.LOST and on_air.devices.capture is None


def test_a_person_who_denies_the_microphone_is_obeyed(desk: SoundDesk) -> None:
    desk.devices.permits = None
    desk.sound.open_microphone()
    assert desk.sound.mic is MicState.OPENING
    desk.devices.decide(False)
    assert desk.sound.mic is MicState.DENIED
    desk.pass_time(1000)
    assert desk.devices.opened == []


def test_permission_that_comes_too_late_opens_nothing(desk: SoundDesk) -> None:
    desk.devices.permits = None
    desk.sound.open_microphone()
    desk.sound.close_microphone()
    desk.devices.decide(True)
    assert desk.devices.opened == []
    desk.sound.open_microphone()
    desk.devices.decide(True)
    assert desk.devices.opened == [HEADSET.id]


# ── the loudspeaker ──


def test_both_sides_of_a_call_are_heard_mixed(desk: SoundDesk) -> None:
    desk.sound.start_listening()
    assert desk.sound.speaker is SpeakerState.PLAYING
    call(desk, 1000)
    assert desk.devices.playback is not None
    left, right = desk.devices.playback.played[-4800:].T
    assert (left == right).all()
    assert left == pytest.approx(int(decode(CALLER)[0]) + int(decode(LINE)[0]), rel=0.02)


def test_split_the_caller_is_left_and_the_others_right(desk: SoundDesk) -> None:
    desk.sound.split = True
    desk.sound.start_listening()
    call(desk, 1000)
    assert desk.devices.playback is not None
    left, right = desk.devices.playback.played[-4800:].T
    assert left == pytest.approx(int(decode(CALLER)[0]), rel=0.02)
    assert right == pytest.approx(int(decode(LINE)[0]), rel=0.02)
    assert desk.sound.caller_level > desk.sound.line_level > 0


def test_a_loudspeaker_of_one_channel_gets_both_sides(desk: SoundDesk) -> None:
    desk.devices.format = Format(48_000, 1)
    desk.sound.split = True
    desk.sound.start_listening()
    call(desk, 1000)
    assert desk.devices.playback is not None
    assert desk.devices.playback.played[-4800:] == pytest.approx(
        int(decode(CALLER)[0]) + int(decode(LINE)[0]), rel=0.02
    )


def test_listening_has_no_gap_and_stays_near(desk: SoundDesk) -> None:
    desk.sound.start_listening()
    at_ms = call(desk, 1000)
    assert desk.devices.playback is not None
    heard_before = len(desk.devices.playback.played)
    call(desk, 5000, at_ms=at_ms)
    played = desk.devices.playback.played[heard_before:]
    assert np.abs(played).min() > 0
    assert desk.devices.playback.waiting_ms() <= AHEAD_MS + STEP_MS


def test_a_window_that_cannot_keep_up_has_more_in_hand_and_later_less_again(desk: SoundDesk) -> None:
    def most_waiting_ms(ms: int) -> float:
        assert desk.devices.playback is not None
        most_ms = 0.0
        for _ in range(ms // 10):
            desk.pass_time(10)
            most_ms = max(most_ms, desk.devices.playback.waiting_ms())
        return most_ms

    desk.sound.start_listening()
    assert most_waiting_ms(1000) <= AHEAD_MS + STEP_MS
    for _ in range(10):
        desk.devices.pass_time(150)
        desk.pass_time(10)
    assert MOST_AHEAD_MS - STEP_MS <= most_waiting_ms(1000) <= MOST_AHEAD_MS + STEP_MS
    desk.pass_time(4 * 10_000)
    assert most_waiting_ms(1000) <= AHEAD_MS + STEP_MS


def test_sound_that_a_busy_window_has_not_read_yet_is_waited_for(desk: SoundDesk) -> None:
    """After a pause of the window all that came meanwhile is heard, as near as before."""
    desk.sound.start_listening()
    at_ms = call(desk, 1000)
    playback = desk.devices.playback
    assert playback is not None
    heard_before = len(playback.played)
    for _ in range(20):
        desk.devices.pass_time(40)
        playback.ask()
        for at in (at_ms, at_ms + 20):
            for side, code in ((Side.CALLER, CALLER), (Side.LINE, LINE)):
                desk.sound.play(HeardFrame(1, side, at, code * PIECE_BYTES))
        at_ms += 40
    assert np.abs(playback.played[heard_before:]).min() > 0


def test_when_listening_stops_nothing_is_left_for_the_next_call(desk: SoundDesk) -> None:
    desk.sound.start_listening()
    call(desk, 500)
    desk.sound.stop_listening()
    assert desk.sound.speaker is SpeakerState.OFF and desk.devices.playback is None
    assert desk.sound.caller_level == desk.sound.line_level == 0
    call(desk, 100)
    desk.sound.start_listening()
    desk.pass_time(500)
    assert desk.devices.playback is not None and not desk.devices.playback.played.any()


def test_a_loudspeaker_that_is_lost_is_not_replaced(desk: SoundDesk) -> None:
    desk.sound.start_listening()
    at_ms = call(desk, 500)
    desk.devices.unplug(HEADSET.id)
    call(desk, 200, at_ms=at_ms)
    assert desk.sound.speaker is SpeakerState.LOST and desk.devices.playback is None
    desk.pass_time(1000)
    assert desk.devices.opened == [HEADSET.id]
    desk.sound.choose_output(BUILT_IN.id)
    assert desk.sound.speaker is SpeakerState.PLAYING
    assert desk.devices.opened == [HEADSET.id, BUILT_IN.id]


@pytest.mark.parametrize("fault", ["broken", "stuck"])
def test_a_loudspeaker_that_stops_is_lost(desk: SoundDesk, fault: str) -> None:
    desk.sound.start_listening()
    desk.pass_time(500)
    setattr(desk.devices.playback, fault, True)
    desk.pass_time(STUCK_MS + 200)
    assert desk.sound.speaker is SpeakerState.LOST


def test_a_tone_is_heard_for_a_second_and_the_loudspeaker_closed(desk: SoundDesk) -> None:
    desk.sound.play_tone()
    assert desk.sound.speaker is SpeakerState.PLAYING
    desk.pass_time(2000)
    assert desk.sound.speaker is SpeakerState.OFF
    sounding = np.flatnonzero(np.abs(desk.devices.playbacks[0].played[:, 0]) > 100)
    assert len(sounding) > 0 and sounding[-1] - sounding[0] == pytest.approx(48_000, rel=0.1)


def test_a_tone_over_a_call_lets_the_call_go_on(desk: SoundDesk) -> None:
    desk.sound.start_listening()
    at_ms = call(desk, 500)
    desk.sound.play_tone()
    call(desk, 2000, at_ms=at_ms)
    assert desk.sound.speaker is SpeakerState.PLAYING
    assert len(desk.devices.playbacks) == 1


# ── the check ──


def test_a_check_plays_back_what_was_said_and_sends_nothing(desk: SoundDesk) -> None:
    desk.sound.check_microphone()
    assert desk.sound.checking == "recording" and desk.sound.mic is MicState.OFF
    desk.pass_time(1000, speaking=True)
    assert desk.sound.mic_level > 0
    desk.pass_time(2200, speaking=True)
    assert desk.sound.checking == "playing" and desk.devices.capture is None
    desk.pass_time(4000)
    assert desk.sound.checking == "" and desk.devices.playback is None
    played = desk.devices.playbacks[0].played[:, 0]
    assert np.count_nonzero(np.abs(played) > LOUD // 2) == pytest.approx(3 * 48_000, rel=0.05)
    assert desk.captured == []


@pytest.mark.parametrize("said_ms", [500, 3500], ids=["recording", "playing"])
def test_a_check_is_ended_by_asking_again(desk: SoundDesk, said_ms: int) -> None:
    desk.sound.check_microphone()
    desk.pass_time(said_ms, speaking=True)
    desk.sound.check_microphone()
    assert desk.sound.checking == ""
    assert desk.devices.capture is None and desk.devices.playback is None


def test_going_on_air_ends_a_check(desk: SoundDesk) -> None:
    desk.sound.check_microphone()
    desk.pass_time(500, speaking=True)
    desk.sound.open_microphone()
    desk.pass_time(100, speaking=True)
    assert desk.sound.checking == "" and desk.sound.mic is MicState.ON_AIR
    assert 3 <= len(desk.captured) <= 5


def test_on_air_there_is_no_check(on_air: SoundDesk) -> None:
    on_air.sound.check_microphone()
    assert on_air.sound.checking == "" and on_air.sound.mic is MicState.ON_AIR


def test_closing_the_microphone_for_a_call_leaves_a_check_alone(desk: SoundDesk) -> None:
    desk.sound.check_microphone()
    desk.sound.close_microphone()
    assert desk.sound.checking == "recording"


def test_a_check_whose_microphone_is_lost_ends(desk: SoundDesk) -> None:
    desk.sound.check_microphone()
    desk.pass_time(500, speaking=True)
    desk.devices.unplug(HEADSET.id)
    desk.pass_time(100, speaking=True)
    assert desk.sound.checking == "" and desk.devices.capture is None
    assert desk.sound.check_failed is MicState.LOST
    desk.sound.choose_input(BUILT_IN.id)
    assert desk.sound.check_failed is None


def test_a_check_without_leave_to_use_the_microphone_says_so(desk: SoundDesk) -> None:
    desk.devices.permits = False
    desk.sound.check_microphone()
    assert desk.sound.checking == "" and desk.sound.mic is MicState.OFF
    assert desk.sound.check_failed is MicState.DENIED
    desk.devices.permits = True
    desk.sound.check_microphone()
    assert desk.sound.check_failed is None


# ── the machine's own ──


def test_where_no_sound_server_answers_the_real_desk_says_so(qapp: QApplication, home: Path) -> None:
    sound = Sound(Settings(home / "console.ini"))
    sound.open_microphone()
    sound.look()
    assert sound.mic in (MicState.NO_SERVER, MicState.NO_LIBRARY)
    assert sound.inputs == ()
    sound.close()


def test_where_libpulse_is_missing_the_real_desk_says_so(
    qapp: QApplication, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.pulse.LIBRARY", "libnowhere.so.0")
    sound = Sound(Settings(home / "console.ini"))
    if sys.platform == "linux":
        assert sound.mic is MicState.NO_LIBRARY and sound.speaker is SpeakerState.NO_LIBRARY
    sound.close()
