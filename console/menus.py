"""The menus and the keys, made from the table of actions."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QCoreApplication, QObject, Signal
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu

from console.actions import ACTIONS, BY_NAME, CONTEXT, Action, Face, Menu
from console.desk import Desk
from console.settings import THEMES


class Menus(QObject):
    """wanted(name): the row's key was pressed, or its entry chosen. scenario_wanted, theme_wanted: likewise.

    face: how a row looks now. theme: the chosen one, of THEMES. actions: by the name of their row.
    """

    wanted = Signal(str)
    scenario_wanted = Signal(str)
    theme_wanted = Signal(str)

    def __init__(self, window: QMainWindow, desk: Desk, face: Callable[[Action], Face], theme: str) -> None:
        super().__init__(window)
        self._desk = desk
        self._face = face
        bar = window.menuBar()
        # Opened by Alt and their first letter: F10, the usual key to a menu bar, is one of the desk's own.
        menus = {menu: bar.addMenu("&" + QCoreApplication.translate(CONTEXT, menu.value)) for menu in Menu}
        self.actions = {row.name: self._action(row) for row in ACTIONS}
        for row in ACTIONS:
            menus[row.menu].addAction(self.actions[row.name])
        for name in ("details", "messages"):
            self.actions[name].setCheckable(True)
        self.actions["quit"].setMenuRole(QAction.MenuRole.QuitRole)
        self.actions["about"].setMenuRole(QAction.MenuRole.AboutRole)
        calls = menus[Menu.CALL]
        calls.addSeparator()
        self.scenarios = QMenu(self.tr("Another rehearsal call"), calls)
        calls.addMenu(self.scenarios)
        # A disabled action would swallow its key without a word; so the rules show only in an open menu.
        calls.aboutToShow.connect(self._grey)
        calls.aboutToHide.connect(self._enable)
        self.scenarios.aboutToShow.connect(self._fill_scenarios)
        self._build_themes(menus[Menu.VIEW], theme)

    def _action(self, row: Action) -> QAction:
        action = QAction(QCoreApplication.translate(CONTEXT, row.look.title), self)
        action.setObjectName(row.name)
        action.setShortcuts([QKeySequence(key) for key in (row.key, row.ctrl_key) if key])
        action.setStatusTip(QCoreApplication.translate(CONTEXT, row.look.tooltip))
        action.triggered.connect(lambda _=False: self.wanted.emit(row.name))
        return action

    def _build_themes(self, view: QMenu, theme: str) -> None:
        view.addSeparator()
        themes = view.addMenu(self.tr("Theme"))
        group = QActionGroup(self)
        words = {"system": self.tr("Follow the system"), "dark": self.tr("Dark"), "light": self.tr("Light")}
        for name in THEMES:
            action = group.addAction(words[name])
            action.setCheckable(True)
            action.setChecked(name == theme)
            action.triggered.connect(lambda _=False, name=name: self.theme_wanted.emit(name))
            themes.addAction(action)

    def _grey(self) -> None:
        for name, action in self.actions.items():
            if BY_NAME[name].menu is Menu.CALL:
                now = self._face(BY_NAME[name])
                action.setText(QCoreApplication.translate(CONTEXT, now.title))
                action.setEnabled(now.enabled)
        attached = self._desk.store.attached
        self.scenarios.setEnabled(attached is not None and attached.rehearsal and not self._desk.link.lost)

    def _enable(self) -> None:
        for action in self.actions.values():
            action.setEnabled(True)

    def _fill_scenarios(self) -> None:
        self.scenarios.clear()
        attached = self._desk.store.attached
        for scenario in attached.scenarios if attached is not None else ():
            action = self.scenarios.addAction(scenario.replace("_", " ").capitalize())
            action.triggered.connect(lambda _=False, scenario=scenario: self.scenario_wanted.emit(scenario))
