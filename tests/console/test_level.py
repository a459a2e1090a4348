"""The level meter: what it shows, what it says, and that it rests when nothing changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QPaintEvent
from PySide6.QtWidgets import QApplication

from console import theme
from console.widgets.level import FALL, HEIGHT_PX, HELD_STEPS, Level


class Watched(Level):
    """Counts how often it is painted."""

    painted = 0

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        self.painted += 1


@pytest.fixture
def level(qapp: QApplication) -> Iterator[Watched]:
    theme.apply(qapp, "dark", 1.0)
    level = Watched()
    level.resize(240, 9)
    level.show()
    QApplication.processEvents()
    yield level
    level.close()
    level.deleteLater()


def colours(level: Level) -> list[str]:
    """Of the segments, from the left."""
    image = level.grab().toImage()
    return [QColor(image.pixel(x, 4)).name() for x in range(1, 240, 6)]


def role(name: str) -> str:
    return theme.current().role(name).name()


def rest(level: Level) -> None:
    """Until nothing falls any more."""
    steps = 0
    while level.is_moving:
        level.step()
        steps += 1
        assert steps < 1000


@pytest.mark.parametrize(
    ("value", "words"), [(0, "silent"), (15, "silent"), (16, "quiet"), (64, "good"), (239, "good"), (240, "too loud")]
)
def test_it_says_how_loud_it_is(level: Watched, value: int, words: str) -> None:
    level.show_level(value)
    assert level.accessibleDescription() == words


def test_silence_lights_nothing_and_a_distorted_voice_everything(level: Watched) -> None:
    assert role("fine") not in colours(level)
    level.show_level(999)
    shown = colours(level)
    assert shown[0] == role("fine")
    assert shown[-2] == role("operator")
    assert shown[-1] == role("danger")
    assert role("line") not in shown


def test_a_voice_lights_part_of_it_and_never_the_last_segment(level: Watched) -> None:
    level.show_level(128)
    shown = colours(level)
    assert (shown[0], shown[19], shown[20]) == (role("fine"), role("fine"), role("line"))
    level.show_level(239)
    assert colours(level)[-1] != role("danger")


def test_it_falls_bit_by_bit_and_the_tick_stays_a_while(level: Watched) -> None:
    level.show_level(200)
    level.show_level(0)
    assert level.level == 200
    assert level.is_moving
    level.step()
    assert (level.level, level.peak) == (200 - FALL, 200)
    for _ in range(HELD_STEPS - 1):
        level.step()
    assert (level.level, level.peak) == (0, 200)
    assert [place for place, colour in enumerate(colours(level)) if colour == role("fine")] == [30]
    level.step()
    assert level.peak == 200 - FALL
    rest(level)
    assert level.accessibleDescription() == "silent"
    assert (level.level, level.peak) == (0, 0)


def test_it_follows_a_voice_that_gets_louder_at_once(level: Watched) -> None:
    for value in (40, 90, 70, 180):
        level.show_level(value)
    assert level.level == 180


def test_the_same_picture_is_not_painted_again(level: Watched) -> None:
    level.show_level(128)
    QApplication.processEvents()
    before = level.painted
    for value in (128, 129, 130):
        level.show_level(value)
        QApplication.processEvents()
    assert level.painted == before
    level.show_level(190)
    QApplication.processEvents()
    assert level.painted == before + 1


def test_it_rests_once_nothing_changes(level: Watched) -> None:
    assert not level.is_moving
    level.show_level(0)
    assert not level.is_moving
    level.show_level(150)
    level.show_level(100)
    rest(level)
    assert (level.level, level.peak) == (100, 100)


def test_a_hidden_one_does_not_move(level: Watched) -> None:
    level.show_level(200)
    level.show_level(20)
    level.hide()
    assert not level.is_moving
    assert (level.level, level.peak) == (20, 20)
    level.show_level(200)
    level.show_level(30)
    assert not level.is_moving
    assert (level.level, level.peak) == (30, 30)


def test_it_is_cleared_at_once(level: Watched) -> None:
    level.show_level(200)
    level.clear()
    assert not level.is_moving
    assert (level.level, level.peak) == (0, 0)
    assert level.accessibleDescription() == "silent"


def test_it_grows_with_the_type_and_follows_the_theme(level: Watched, qapp: QApplication) -> None:
    level.show_level(255)
    dark = colours(level)
    theme.apply(qapp, "light", 2.0)
    assert level.sizeHint() == QSize(360, 2 * HEIGHT_PX)
    assert level.minimumSizeHint().height() == 2 * HEIGHT_PX
    level.resize(240, 18)
    assert colours(level)[0] == role("fine") != dark[0]
    theme.apply(qapp, "dark", 1.0)


def test_the_narrowest_still_tells_silence_from_sound(level: Watched) -> None:
    level.resize(1, 9)
    level.show_level(100)
    level.show_level(0)
    rest(level)
    assert level.grab().toImage().pixelColor(0, 4).name() != role("danger")
