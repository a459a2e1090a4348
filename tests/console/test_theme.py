"""Colours, fonts and the style sheet."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from PySide6.QtGui import QColor, QFontDatabase, QFontInfo, QFontMetricsF
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from console import theme

WORDS = ("text", "dim", "caller", "ai", "operator", "danger", "fine")
GROUNDS = ("window", "panel", "raised")
READABLE = 4.5


@pytest.fixture(autouse=True)
def dressed(qapp: QApplication) -> Iterator[None]:
    """The dark theme at 100 %, before and after."""
    theme.apply(qapp, "dark", 1.0)
    yield
    theme.apply(qapp, "dark", 1.0)


@pytest.mark.parametrize("name", ["dark", "light"])
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("word", WORDS)
def test_words_are_readable_on_every_ground(name: str, ground: str, word: str) -> None:
    colours = theme.load(name)
    assert theme.contrast(colours.role(word), colours.role(ground)) >= READABLE


@pytest.mark.parametrize("name", ["dark", "light"])
def test_words_are_readable_on_fills_and_on_marked_rows(name: str) -> None:
    colours = theme.load(name)
    for fill in ("caller", "operator", "fine"):
        assert theme.contrast(colours.on_fill, colours.role(fill)) >= READABLE
    for word in ("operator", "danger"):
        assert theme.contrast(colours.role(word), colours.soft(word)) >= READABLE
    for word in WORDS:
        assert theme.contrast(colours.role(word), colours.selected) >= READABLE
        assert theme.contrast(colours.text, colours.selection) >= READABLE


def test_contrast_is_measured_as_the_standard_says() -> None:
    assert theme.contrast(QColor("#000000"), QColor("#ffffff")) == pytest.approx(21)
    assert theme.contrast(QColor("#777777"), QColor("#ffffff")) == pytest.approx(4.48, abs=0.01)


def test_every_role_has_a_colour_and_other_words_mean_text() -> None:
    for name in ("dark", "light"):
        colours = theme.load(name)
        assert all(colours.role(role).isValid() for role in theme.role_names())
        assert colours.role("no such role") == colours.text
        assert colours.role("name") == colours.text


def test_a_change_is_told(qapp: QApplication, qtbot: QtBot) -> None:
    with qtbot.waitSignal(theme.notifier().changed):
        theme.apply(qapp, "light", 1.0)
    assert theme.current().name == "light"
    assert qapp.palette().window().color() == QColor("#f4f6f8")
    assert "#f4f6f8" in qapp.styleSheet()


def test_the_style_sheet_has_every_name_filled_in(qapp: QApplication) -> None:
    for name in ("dark", "light"):
        told = theme.style_sheet(theme.load(name))
        assert "@" not in told
        for path in re.findall(r"url\((.*?)\)", told):
            assert (theme.RESOURCES / "icons" / path.rsplit("/", 1)[-1]).is_file()


def test_system_is_dark_or_light_and_follows_the_desktop(qapp: QApplication) -> None:
    chosen = theme.apply(qapp, "system", 1.0)
    assert chosen.name in ("dark", "light")
    qapp.styleHints().colorSchemeChanged.emit(qapp.styleHints().colorScheme())
    assert theme.current().name == chosen.name


def test_lengths_and_type_grow_with_the_font_scale(qapp: QApplication) -> None:
    theme.apply(qapp, "dark", 2.0)
    assert (theme.scale(), theme.px(10), theme.px(0)) == (2.0, 20, 0)
    assert theme.font(14).pixelSize() == 28
    told = theme.style_sheet(theme.current())
    assert "border: 1px solid" in told and "padding: 14px 22px" in told
    assert qapp.font().pixelSize() == 2 * theme.BASE_PX


def test_the_systems_own_scale_is_asked(qapp: QApplication) -> None:
    theme.apply(qapp, "dark")
    assert theme.scale() >= 0.75


def test_the_bundled_fonts_are_there_without_any_of_the_systems() -> None:
    assert {theme.TEXT_FAMILY, theme.MONO_FAMILY} <= set(QFontDatabase.families())
    assert QFontInfo(theme.font(13)).family() == theme.TEXT_FAMILY
    assert QFontInfo(theme.font(13, mono=True)).family() == theme.MONO_FAMILY
    assert QFontInfo(theme.font(13, 600)).weight() == 600


def test_figures_of_clocks_are_equally_wide() -> None:
    metrics = QFontMetricsF(theme.font(13, tabular=True))
    assert metrics.horizontalAdvance("11:11") == metrics.horizontalAdvance("08:40")


def test_a_widget_takes_another_role(qtbot: QtBot) -> None:
    label = QLabel("so")
    qtbot.addWidget(label)
    theme.set_role(label, "danger")
    theme.set_role(label, "danger")
    assert label.property("role") == "danger"
    assert label.palette().windowText().color() == theme.current().danger
