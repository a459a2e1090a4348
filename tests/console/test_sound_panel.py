"""The sound panel: devices and how they are told of, the checks, and how one listens and speaks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, Qt, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from console import theme
from console.hotkeys import Hotkeys
from console.on_air import TalkMode
from console.panels.sound import SoundPanel
from console.settings import Settings
from console.sound import MicState, SpeakerState
from tests.console.fake_devices import BUILT_IN, FakeDevices, SoundDesk
from tests.console.fake_devices import HEADSET as REAL_HEADSET
from tests.console.fake_sound import HEADSET, LOUDSPEAKER, WEBCAM, FakeSound
from tests.console.test_on_air import at_the_desk

Key = Qt.Key
ALT = Qt.KeyboardModifier.AltModifier
LEFT = Qt.MouseButton.LeftButton


class Speaking(QObject):
    """As much of `console.on_air.OnAir` as the panel sees."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.on_air = False
        self._mode = TalkMode.OPEN

    @property
    def mode(self) -> TalkMode:
        return self._mode

    @mode.setter
    def mode(self, mode: TalkMode) -> None:
        self._mode = mode
        self.changed.emit()


class Desk:
    """The panel with all that it shows."""

    def __init__(self, home: Path, platform: str = "windows") -> None:
        home.mkdir(exist_ok=True)
        self.settings = Settings(home / "console.ini")
        self.sound = FakeSound(self.settings)
        self.speaking = Speaking()
        self.hotkeys = Hotkeys(self.settings, platform, {})
        self.panel = SoundPanel(self.sound, self.speaking, self.hotkeys, self.settings)  # type: ignore[arg-type]

    def open(self) -> SoundPanel:
        self.panel.show()
        self.panel.activateWindow()
        QApplication.processEvents()
        return self.panel

    def goes_on_air(self) -> None:
        self.sound.open_microphone()
        self.speaking.on_air = self.sound.mic is MicState.ON_AIR
        self.speaking.changed.emit()

    def checks(self, loudness: int) -> None:
        """A check from its button to its end."""
        QTest.mouseClick(self.panel.check, LEFT)
        self.sound.mic_level = loudness
        self.panel.look()
        self.sound.checking = "playing"
        self.sound.changed.emit()
        self.sound.checking = ""
        self.sound.changed.emit()


@pytest.fixture(scope="module", autouse=True)
def dressed(qapp: QApplication) -> None:
    theme.apply(qapp, "dark", 1.0)


@pytest.fixture
def desk(home: Path, qapp: QApplication) -> Iterator[Desk]:
    desk = Desk(home)
    yield desk
    away(desk.panel)
    desk.hotkeys.close()


def away(panel: SoundPanel) -> None:
    """Closed and gone."""
    panel.close()
    panel.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def choices(picker: QWidget) -> list[str]:
    return [picker.itemText(row) for row in range(picker.count())]  # type: ignore[attr-defined]


# ── devices ──


def test_the_devices_are_there_and_the_systems_default_is_chosen(desk: Desk) -> None:
    panel = desk.open()
    assert choices(panel.microphone) == ["The system's default: Headset", "Headset", "Webcam microphone"]
    assert choices(panel.loudspeaker) == ["The system's default: Loudspeaker", "Loudspeaker"]
    assert panel.microphone.currentIndex() == 0


def test_a_chosen_device_is_remembered_by_its_id(desk: Desk) -> None:
    panel = desk.open()
    QTest.keyClick(panel.microphone, Key.Key_End)
    QTest.keyClick(panel.loudspeaker, Key.Key_Down)
    assert (desk.settings.input_id, desk.settings.output_id) == (WEBCAM.id, LOUDSPEAKER.id)
    QTest.keyClick(panel.microphone, Key.Key_Home)
    assert desk.settings.input_id == ""


def test_a_remembered_device_that_is_absent_stays_chosen_and_is_said_to_be(desk: Desk) -> None:
    desk.settings.input_id = HEADSET.id
    panel = desk.open()
    desk.sound.unplug(HEADSET)
    desk.sound.tell(MicState.NONE)
    assert panel.microphone.currentText() == "Headset (not plugged in)"
    assert "The microphone you chose is not plugged in." in panel.mic_words.text()
    desk.sound.plug(HEADSET)
    desk.sound.tell(MicState.OFF)
    assert panel.microphone.currentText() == "Headset"
    assert panel.mic_words.text().startswith("Closed.")


def test_one_that_was_never_seen_has_no_name(desk: Desk) -> None:
    desk.settings.output_id = "gone-since-last-week"
    panel = desk.open()
    desk.sound.speaker = SpeakerState.NONE
    desk.sound.changed.emit()
    assert panel.loudspeaker.currentText() == "The one you chose (not plugged in)"
    assert "The loudspeaker you chose is not plugged in." in panel.speaker_words.text()


def test_the_wheel_changes_no_device(desk: Desk) -> None:
    panel = desk.open()
    none = Qt.KeyboardModifier.NoModifier
    phase = Qt.ScrollPhase.NoScrollPhase
    at = QPointF(20, 10)
    turn = QWheelEvent(at, at, QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton, none, phase, False)
    QApplication.sendEvent(panel.microphone, turn)
    assert desk.settings.input_id == ""
    assert panel.microphone.currentIndex() == 0


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (MicState.NONE, ("No microphone is plugged in.", "Plug in a headset")),
        (MicState.DENIED, ("does not let this program use the microphone", "Allow it in the system's settings")),
        (MicState.NO_SERVER, ("No sound server answers", "Start PipeWire or PulseAudio")),
        (MicState.SERVER_LOST, ("The sound server stopped", "then start this window again")),
        (MicState.NO_LIBRARY, ("cannot be loaded", "Install libpulse")),
        (MicState.LOST, ("was unplugged or stopped", "Plug it in again or choose another")),
    ],
)
def test_each_trouble_of_the_microphone_says_what_to_do(desk: Desk, state: MicState, words: tuple[str, str]) -> None:
    panel = desk.open()
    desk.sound.inputs = ()
    desk.sound.tell(state)
    assert all(part in panel.mic_words.text() for part in words)
    assert panel.mic_words.property("role") == "danger"
    assert not panel.check.isEnabled()


@pytest.mark.parametrize(
    ("state", "words", "again"),
    [
        (SpeakerState.NONE, "No loudspeaker is plugged in", False),
        (SpeakerState.NO_SERVER, "No sound server answers", False),
        (SpeakerState.SERVER_LOST, "The sound server stopped", False),
        (SpeakerState.NO_LIBRARY, "Install libpulse", False),
        (SpeakerState.LOST, "Plug it in again or choose another, then play the test tone", True),
    ],
)
def test_each_trouble_of_the_loudspeaker_says_what_to_do(
    desk: Desk, state: SpeakerState, words: str, again: bool
) -> None:
    panel = desk.open()
    assert not panel.speaker_words.isVisible()
    desk.sound.outputs = ()
    desk.sound.speaker = state
    desk.sound.changed.emit()
    assert words in panel.speaker_words.text()
    assert panel.speaker_words.isVisible()
    assert panel.tone.isEnabled() is again


# ── the microphone ──


def test_it_says_that_the_microphone_is_closed_otherwise(desk: Desk) -> None:
    panel = desk.open()
    assert panel.mic_words.text() == "Closed. It is open only while you are on air, or while you check it here."
    desk.sound.mic_level = 200
    assert panel.level.level == 0


def test_on_air_the_level_is_shown_and_no_check_is_made(desk: Desk) -> None:
    panel = desk.open()
    desk.goes_on_air()
    assert panel.mic_words.text() == "On air: the caller hears what you say."
    assert panel.mic_words.property("role") == "operator"
    assert not panel.check.isEnabled()
    assert panel.check_words.text() == "Not while you have a call's floor."
    desk.sound.mic_level = 150
    panel.look()
    assert panel.level.level == 150
    assert panel.level.accessibleDescription() == "good"
    desk.sound.close_microphone()
    assert panel.level.accessibleDescription() == "silent"


@pytest.mark.parametrize(("mode", "words"), [(TalkMode.OPEN, "muted"), (TalkMode.PUSH, "push-to-talk key")])
def test_a_muted_microphone_is_open_but_sends_nothing(desk: Desk, mode: TalkMode, words: str) -> None:
    panel = desk.open()
    desk.speaking.mode = mode
    desk.goes_on_air()
    desk.speaking.on_air = False
    desk.sound.muted = True
    assert panel.mic_words.text().startswith("Open, but")
    assert words in panel.mic_words.text()


def test_a_microphone_that_takes_long_is_being_opened(desk: Desk) -> None:
    panel = desk.open()
    desk.sound.tell(MicState.OPENING)
    assert panel.mic_words.text() == "Opening…"


async def test_a_take_over_is_followed_from_its_beginning_to_its_end(home: Path) -> None:
    async with at_the_desk(home) as me:
        panel = SoundPanel(me.sound, me.on_air, None, me.settings)  # type: ignore[arg-type]
        panel.show()
        await me.takes_over()
        assert panel.mic_words.text() == "On air: the caller hears what you say."
        panel.push_to_talk.click()
        assert me.on_air.mode is TalkMode.PUSH
        assert panel.mic_words.text() == "Open, but nothing is sent until you hold the push-to-talk key."
        me.on_air.talk(True)
        assert panel.mic_words.text() == "On air: the caller hears what you say."
        me.sound.unplug()
        assert "was unplugged or stopped" in panel.mic_words.text()
        await me.hands_back()
        assert panel.mic_words.text().startswith("Closed.")
        away(panel)


# ── the checks ──


def test_the_tone_is_played_by_its_button(desk: Desk) -> None:
    panel = desk.open()
    QTest.mouseClick(panel.tone, LEFT)
    assert desk.sound.toned == 1
    assert "choose another loudspeaker" in panel.tone_words.text()


def test_a_check_is_followed_and_stopped_by_the_same_button(desk: Desk) -> None:
    panel = desk.open()
    assert panel.check.text() == "&Record and play back"
    QTest.mouseClick(panel.check, LEFT)
    assert desk.sound.checking == "recording"
    assert panel.check.text() == "&Stop"
    assert panel.check_words.text() == "Recording for 3 seconds: say something."
    assert panel.mic_words.text() == "Open for this check only. Nothing of it is sent."
    desk.sound.checking = "playing"
    desk.sound.changed.emit()
    assert panel.check_words.text() == "Playing what you said…"
    QTest.mouseClick(panel.check, LEFT)
    assert desk.sound.checking == ""
    assert panel.check.text() == "&Record and play back"


@pytest.mark.parametrize(
    ("loudness", "words"), [(3, "Nothing was heard."), (40, "Rather quiet"), (128, "Good."), (250, "Too loud")]
)
def test_a_check_ends_with_a_verdict(desk: Desk, loudness: int, words: str) -> None:
    panel = desk.open()
    desk.checks(loudness)
    assert panel.check_words.text().startswith(words)
    QTest.mouseClick(panel.tone, LEFT)
    assert panel.check_words.text() == ""


def test_each_check_is_judged_by_itself(desk: Desk) -> None:
    panel = desk.open()
    desk.checks(250)
    desk.checks(3)
    assert panel.check_words.text().startswith("Nothing was heard.")


def test_who_closes_the_panel_is_not_recorded_any_more(desk: Desk) -> None:
    panel = desk.open()
    QTest.mouseClick(panel.check, LEFT)
    QTest.keyClick(panel, Key.Key_Escape)
    assert not panel.isVisible()
    assert desk.sound.checking == ""


@pytest.fixture
def real(home: Path, qapp: QApplication) -> Iterator[tuple[SoundDesk, SoundPanel]]:
    """The real sound desk on devices turned by hand."""
    home.mkdir(exist_ok=True)
    desk = SoundDesk(home / "console.ini", FakeDevices())
    panel = SoundPanel(desk.sound, Speaking(), None, desk.settings)  # type: ignore[arg-type]
    panel.show()
    yield desk, panel
    away(panel)
    desk.sound.close()


def test_a_check_that_may_not_use_the_microphone_says_why(real: tuple[SoundDesk, SoundPanel]) -> None:
    desk, panel = real
    desk.devices.permits = False
    panel.check.click()
    assert "does not let this program use the microphone" in panel.mic_words.text()
    assert panel.check.isEnabled()
    desk.devices.permits = True
    panel.check.click()
    desk.pass_time(3200, speaking=True)
    panel.look()
    assert panel.check_words.text() == "Playing what you said…"
    desk.pass_time(4000)
    assert panel.check.text() == "&Record and play back"


def test_a_loudspeaker_that_fails_for_the_tone_is_told_until_it_plays(real: tuple[SoundDesk, SoundPanel]) -> None:
    desk, panel = real
    desk.devices.fails = True
    panel.tone.click()
    assert "was unplugged or stopped" in panel.speaker_words.text()
    desk.devices.fails = False
    panel.tone.click()
    assert panel.speaker_words.text() == ""
    assert desk.devices.playback is not None
    desk.devices.unplug(REAL_HEADSET.id)
    desk.pass_time(100)
    assert "was unplugged or stopped" in panel.speaker_words.text()
    panel.loudspeaker.setCurrentIndex(panel.loudspeaker.findData(BUILT_IN.id))
    panel.loudspeaker.activated.emit(panel.loudspeaker.currentIndex())
    assert panel.speaker_words.text() == ""


# ── listening, speaking, keys ──


def test_listening_is_mixed_or_split(desk: Desk) -> None:
    panel = desk.open()
    assert panel.mixed.isChecked()
    QTest.mouseClick(panel.split, LEFT, pos=QPoint(8, 8))
    assert desk.sound.split
    QTest.mouseClick(panel.mixed, LEFT, pos=QPoint(8, 8))
    assert not desk.sound.split


def test_speaking_is_an_open_line_or_push_to_talk(desk: Desk) -> None:
    panel = desk.open()
    assert panel.open_line.isChecked()
    QTest.mouseClick(panel.push_to_talk, LEFT, pos=QPoint(8, 8))
    assert desk.speaking.mode is TalkMode.PUSH
    desk.speaking.mode = TalkMode.OPEN
    assert panel.open_line.isChecked()
    QTest.mouseClick(panel.push_to_talk, LEFT, pos=QPoint(8, 8))
    QTest.mouseClick(panel.open_line, LEFT, pos=QPoint(8, 8))
    assert desk.speaking.mode is TalkMode.OPEN


def test_keys_outside_of_the_window_are_off_and_the_reason_is_told_where_there_are_none(home: Path, desk: Desk) -> None:
    panel = desk.open()
    assert panel.keys.isEnabled() and not panel.keys.isChecked()
    assert "takes the selected call over" in panel.keys_words.text()
    wayland = Desk(home, "wayland")
    assert not wayland.panel.keys.isEnabled()
    assert wayland.panel.keys_words.text().startswith("Wayland gives a program no keys outside of its window.")
    away(wayland.panel)


def test_keys_that_another_program_has_stay_off_in_words(desk: Desk) -> None:
    panel = desk.open()

    class Taken(Hotkeys):
        """Whoever asks is told that the keys are gone."""

        def _grab(self) -> None:
            self.why_not = "Another program has Ctrl+Alt+T."

    panel.close()
    taken = Taken(desk.settings, "windows", {})
    panel = SoundPanel(desk.sound, desk.speaking, taken, desk.settings)  # type: ignore[arg-type]
    panel.show()
    QTest.mouseClick(panel.keys, LEFT, pos=QPoint(8, 8))
    assert not panel.keys.isChecked()
    assert panel.keys_words.text() == "Another program has Ctrl+Alt+T."
    assert panel.keys_words.property("role") == "operator"
    away(panel)


# ── by keyboard, and in large type ──


def test_everything_is_reached_by_tab_and_named(desk: Desk) -> None:
    panel = desk.open()
    order = [panel.microphone, panel.check, panel.loudspeaker, panel.tone]
    order += [panel.mixed, panel.open_line, panel.keys, panel.closing]
    reached = []
    for _ in order:
        reached.append(QApplication.focusWidget())
        QTest.keyClick(QApplication.focusWidget(), Key.Key_Tab)
    assert reached == order
    assert QApplication.focusWidget() is panel.microphone
    assert [widget.accessibleName() for widget in (panel.microphone, panel.loudspeaker, panel.level)] == [
        "Microphone",
        "Loudspeaker",
        "Microphone level",
    ]


def test_letters_with_alt_lead_to_each_control(desk: Desk, qtbot: QtBot) -> None:
    panel = desk.open()
    QTest.keyClick(panel, Key.Key_L, ALT)
    assert panel.loudspeaker.hasFocus()
    QTest.keyClick(panel, Key.Key_M, ALT)
    assert panel.microphone.hasFocus()
    for key, button in (
        *((Key.Key_C, panel.split), (Key.Key_B, panel.mixed), (Key.Key_P, panel.push_to_talk)),
        *((Key.Key_O, panel.open_line), (Key.Key_T, panel.tone), (Key.Key_R, panel.check), (Key.Key_S, panel.check)),
    ):
        with qtbot.waitSignal(button.clicked):
            QTest.keyClick(panel, key, ALT)


def test_at_twice_the_type_it_scrolls_and_cuts_nothing_off(home: Path, qapp: QApplication) -> None:
    theme.apply(qapp, "light", 2.0)
    desk = Desk(home, "wayland")
    desk.sound.inputs = ()
    desk.sound.tell(MicState.NO_LIBRARY)
    panel = desk.open()
    room = panel.screen().availableGeometry()
    assert panel.width() <= room.width()
    assert panel.height() <= room.height()
    for label in panel.findChildren(QLabel):
        if label.isVisible():
            assert label.height() >= label.heightForWidth(label.width())
    panel.keys.setFocus()
    away(panel)
    theme.apply(qapp, "dark", 1.0)
