"""How the window looks: colour roles, the bundled fonts, the style sheet.

A theme file in resources/themes names its colours once and lets roles refer to the names; who
paints asks `current()` for a role. All lengths and type sizes are given as they are at 100 %
and grow with the system's font scale through `px` and `font`.
"""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication, QWidget

RESOURCES = Path(__file__).resolve().parents[1] / "resources"
NAMES = ("system", "dark", "light")
TEXT_FAMILY = "Inter"
MONO_FAMILY = "JetBrains Mono"
BASE_PX = 13
LARGE_TYPE = 1.35
"""Desktops differ by a point or two; from this many times `BASE_PX` on the system's type is large on purpose."""
KEY_REASONS = (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason, Qt.FocusReason.ShortcutFocusReason)
"""Who came by key is shown where they are; who clicked knows."""


@dataclass(frozen=True)
class Theme:
    """Colours by what they are for. faint and line are for decoration only: too weak to read."""

    window: QColor
    panel: QColor
    raised: QColor
    line: QColor
    text: QColor
    dim: QColor
    faint: QColor
    caller: QColor
    ai: QColor
    operator: QColor
    danger: QColor
    fine: QColor
    on_fill: QColor
    name: str = "dark"

    def role(self, name: str) -> QColor:
        """A colour by its role's name; any other word means text."""
        found = getattr(self, name, None)
        return found if isinstance(found, QColor) else self.text

    def soft(self, name: str) -> QColor:
        """A role as a background that its own words stay readable on."""
        return mixed(self.panel, self.role(name), 0.13)

    @property
    def selected(self) -> QColor:
        """Behind the chosen row."""
        return mixed(self.panel, self.caller, 0.11)

    @property
    def selection(self) -> QColor:
        """Behind marked words."""
        return mixed(self.panel, self.caller, 0.34)

    @property
    def hover(self) -> QColor:
        """Behind what the pointer is on."""
        return mixed(self.raised, self.text, 0.05)


class Notifier(QObject):
    """Tells painters that `current()` is another theme now."""

    changed = Signal()


@dataclass
class _State:
    theme: Theme | None = None
    wanted: str = "system"
    scale: float = 1.0
    watching: bool = False
    system_font: QFont | None = None


_state = _State()


@cache
def notifier() -> Notifier:
    """The one `Notifier`."""
    return Notifier()


def mixed(under: QColor, over: QColor, amount: float) -> QColor:
    """``over`` at ``amount`` (0..1) on an opaque ``under``."""
    pairs = ((under.red(), over.red()), (under.green(), over.green()), (under.blue(), over.blue()))
    return QColor(*(round(one + (other - one) * amount) for one, other in pairs))


def load(name: str) -> Theme:
    """Read one theme file. Raises OSError, tomllib.TOMLDecodeError or KeyError: ours to get right."""
    told = tomllib.loads((RESOURCES / "themes" / f"{name}.toml").read_text(encoding="utf-8"))
    roles = {role: QColor(told["palette"][colour]) for role, colour in told["roles"].items()}
    return Theme(name=name, **roles)


def current() -> Theme:
    """The theme in use; the dark one before `apply`."""
    if _state.theme is None:
        _state.theme = load("dark")
    return _state.theme


def scale() -> float:
    """The system's font scale; 1.0 is 100 %."""
    return _state.scale


def px(length: float) -> int:
    """A length of the 100 % design at the system's font scale, in logical pixels."""
    return max(1, round(length * _state.scale)) if length else 0


def font(size_px: float = BASE_PX, weight: int = 400, tabular: bool = False, mono: bool = False) -> QFont:
    """The bundled font at a size of the 100 % design.

    tabular: all figures equally wide, for clocks and amounts. mono: for names and values of code;
    ligatures are off, since two characters must not look like one there.
    """
    # Painting asks for the same few a thousand times a second.
    return QFont(_font(px(size_px), weight, tabular, mono))


@cache
def _font(pixels: int, weight: int, tabular: bool, mono: bool) -> QFont:
    made = QFont()
    made.setFamilies([MONO_FAMILY if mono else TEXT_FAMILY])
    made.setPixelSize(pixels)
    made.setWeight(QFont.Weight(weight))
    if mono:
        made.setFeature(QFont.Tag("calt"), 0)
        made.setStyleHint(QFont.StyleHint.Monospace)
    elif tabular:
        made.setFeature(QFont.Tag("tnum"), 1)
    return made


def apply(app: QApplication, name: str = "system", font_scale: float | None = None) -> Theme:
    """Dress the whole application; returns the theme now in use.

    name: "dark", "light", or "system" to follow the desktop, also when that changes later.
    font_scale: instead of the system's own (its font resolution, or its type where that is large).
    """
    _load_fonts()
    _state.wanted = name
    _state.system_font = _state.system_font or app.font()
    _state.scale = font_scale if font_scale is not None else _system_scale(app)
    if not _state.watching:
        _state.watching = True
        app.styleHints().colorSchemeChanged.connect(_scheme_changed)
    _dress(app, load(_resolved(app, name)))
    return current()


def set_role(widget: QWidget, role: str) -> None:
    """Give a widget another look; does nothing when it has it already."""
    if widget.property("role") == role:
        return
    widget.setProperty("role", role)
    widget.style().unpolish(widget)
    widget.style().polish(widget)
    widget.update()


def style_sheet(theme: Theme) -> str:
    """The application's style sheet for one theme at the font scale in use."""

    def colour(match: re.Match[str]) -> str:
        word = match.group(1)
        if word == "icons":
            return (RESOURCES / "icons").as_posix()
        if word.startswith("soft_"):
            return theme.soft(word.removeprefix("soft_")).name()
        if word.startswith("strong_"):
            return mixed(theme.role(word.removeprefix("strong_")), theme.text, 0.14).name()
        found = getattr(theme, word)
        assert isinstance(found, QColor), word
        return found.name()

    def length(match: re.Match[str]) -> str:
        value = float(match.group(1))
        return "1px" if value == 1 else f"{value * _state.scale:.2f}px" if value < 1 else f"{px(value)}px"

    told = (RESOURCES / "themes" / "console.qss").read_text(encoding="utf-8")
    told = re.sub(r"/\*.*?\*/", "", told, flags=re.DOTALL)
    return re.sub(r"(?<![\w.])(\d+(?:\.\d+)?)px", length, re.sub(r"@([a-z_]+)", colour, told))


def palette(theme: Theme) -> QPalette:
    """The same colours for everything that the style sheet does not reach."""
    made = QPalette()
    roles = QPalette.ColorRole
    for role, colour in {
        roles.Window: theme.window,
        roles.WindowText: theme.text,
        roles.Base: theme.panel,
        roles.AlternateBase: theme.raised,
        roles.Text: theme.text,
        roles.PlaceholderText: theme.dim,
        roles.Button: theme.raised,
        roles.ButtonText: theme.text,
        roles.BrightText: theme.danger,
        roles.ToolTipBase: theme.raised,
        roles.ToolTipText: theme.text,
        roles.Highlight: theme.selection,
        roles.HighlightedText: theme.text,
        roles.Accent: theme.caller,
        roles.Link: theme.caller,
        roles.LinkVisited: theme.ai,
        roles.Light: theme.raised,
        roles.Midlight: theme.line,
        roles.Mid: theme.line,
        roles.Dark: theme.line,
        roles.Shadow: theme.window,
    }.items():
        made.setColor(role, colour)
    for role in (roles.Text, roles.WindowText, roles.ButtonText):
        made.setColor(QPalette.ColorGroup.Disabled, role, theme.faint)
    return made


def contrast(one: QColor, other: QColor) -> float:
    """Contrast ratio of two opaque colours, 1..21. Source: WCAG 2.2, "contrast ratio"."""

    def luminance(colour: QColor) -> float:
        parts = (colour.redF(), colour.greenF(), colour.blueF())
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def role_names() -> tuple[str, ...]:
    """The names of all colour roles."""
    return tuple(field.name for field in fields(Theme) if field.name != "name")


@cache
def _load_fonts() -> None:
    for path in sorted((RESOURCES / "fonts").glob("*.ttf")):
        QFontDatabase.addApplicationFont(str(path))


def _system_scale(app: QApplication) -> float:
    screens = app.screens()
    if not screens:
        return 1.0
    dpi = screens[0].logicalDotsPerInch()
    times = dpi / (72.0 if sys.platform == "darwin" else 96.0)
    told = _state.system_font.pointSizeF() * dpi / 72 / BASE_PX if _state.system_font is not None else times
    if told > LARGE_TYPE:
        return round(told, 2)
    # A monitor that tells its true 101 dpi asks for nothing.
    return 1.0 if abs(times - 1) < 0.1 else max(0.75, round(times, 2))


def _resolved(app: QApplication, name: str) -> str:
    if name != "system":
        return name
    return "light" if app.styleHints().colorScheme() is Qt.ColorScheme.Light else "dark"


def _scheme_changed() -> None:
    app = QApplication.instance()
    if isinstance(app, QApplication) and _state.wanted == "system":
        theme = load(_resolved(app, "system"))
        if theme.name != current().name:
            _dress(app, theme)


def _dress(app: QApplication, theme: Theme) -> None:
    _state.theme = theme
    app.setStyle("Fusion")
    app.setPalette(palette(theme))
    app.setFont(font(BASE_PX, tabular=True))
    app.setStyleSheet(style_sheet(theme))
    notifier().changed.emit()
