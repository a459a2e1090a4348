"""What the console remembers between runs, and where things are.

Window shape and theme live in a plain INI file: in CORDBOARD_HOME when that is set, else in the
person's configuration folder. Nothing is ever written to a system registry.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from pathlib import Path

import platformdirs
from PySide6.QtCore import QByteArray, QSettings

THEMES = ("system", "dark", "light")
TALK_MODES = ("open", "push")


def home(environment: Mapping[str, str]) -> Path:
    """Where the bridge and this window keep their data; the bridge has the same rule."""
    given = environment.get("CORDBOARD_HOME", "").strip()
    if given:
        return Path(given).expanduser().absolute()
    return platformdirs.user_data_path("cordboard", appauthor=False)


def settings_path(environment: Mapping[str, str]) -> Path:
    """The file of this window's own settings."""
    if environment.get("CORDBOARD_HOME", "").strip():
        return home(environment) / "console.ini"
    return platformdirs.user_config_path("cordboard", appauthor=False) / "console.ini"


def console_name() -> str:
    """What another console reads when this one holds a floor."""
    try:
        who = getpass.getuser()
    except (KeyError, OSError):
        who = "operator"
    return f"{who} (window {os.getpid()})"


class Settings:
    """The window's memory. A damaged or unwritable file costs the memory, never the window."""

    def __init__(self, path: Path) -> None:
        self._store = QSettings(str(path), QSettings.Format.IniFormat)

    @property
    def theme(self) -> str:
        """One of THEMES."""
        theme = str(self._store.value("window/theme", "system"))
        return theme if theme in THEMES else "system"

    @theme.setter
    def theme(self, name: str) -> None:
        self._store.setValue("window/theme", name)

    @property
    def details_wanted(self) -> bool:
        """Whether the right column is shown when there is room."""
        return str(self._store.value("window/details", "true")) == "true"

    @details_wanted.setter
    def details_wanted(self, wanted: bool) -> None:
        self._store.setValue("window/details", "true" if wanted else "false")

    @property
    def input_id(self) -> str:
        """The chosen microphone's id; "" for whichever is the system's default."""
        return str(self._store.value("sound/input", ""))

    @input_id.setter
    def input_id(self, id: str) -> None:
        self._store.setValue("sound/input", id)

    @property
    def output_id(self) -> str:
        """The chosen loudspeaker's id; "" for whichever is the system's default."""
        return str(self._store.value("sound/output", ""))

    @output_id.setter
    def output_id(self, id: str) -> None:
        self._store.setValue("sound/output", id)

    @property
    def split(self) -> bool:
        """Whether the caller is heard left and the others right, instead of both mixed."""
        return str(self._store.value("sound/split", "false")) == "true"

    @split.setter
    def split(self, wanted: bool) -> None:
        self._store.setValue("sound/split", "true" if wanted else "false")

    @property
    def talk_mode(self) -> str:
        """One of TALK_MODES."""
        mode = str(self._store.value("sound/talk_mode", "open"))
        return mode if mode in TALK_MODES else "open"

    @talk_mode.setter
    def talk_mode(self, mode: str) -> None:
        self._store.setValue("sound/talk_mode", mode)

    @property
    def hotkeys(self) -> bool:
        """Whether push-to-talk and panic keys work outside the window too."""
        return str(self._store.value("window/hotkeys", "false")) == "true"

    @hotkeys.setter
    def hotkeys(self, wanted: bool) -> None:
        self._store.setValue("window/hotkeys", "true" if wanted else "false")

    def blob(self, name: str) -> QByteArray:
        """A shape as Qt saved it; empty when there is none."""
        value = self._store.value(f"window/{name}")
        return value if isinstance(value, QByteArray) else QByteArray()

    def set_blob(self, name: str, value: QByteArray) -> None:
        """Remember a shape as Qt gives it."""
        self._store.setValue(f"window/{name}", value)

    def save(self) -> None:
        """Write now."""
        self._store.sync()
