"""Choosing a microphone or a loudspeaker."""

from __future__ import annotations

from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QComboBox, QSizePolicy

from console.sound import Device


class DevicePicker(QComboBox):
    """The system's default, then the devices. The mouse wheel goes past it: none is chosen by scrolling."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(16)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._names: dict[str, str] = {}
        self._shown: object = None

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()

    def show_devices(self, devices: tuple[Device, ...], chosen: str) -> None:
        """chosen: the remembered id, "" for the system's default. Cheap when nothing changed."""
        if (devices, chosen) == self._shown:
            return
        self._shown = (devices, chosen)
        self._names |= {device.id: device.name for device in devices}
        default = next((device.name for device in devices if device.is_default), "")
        words = self.tr("The system's default: {name}").format(name=default) if default else ""
        self.clear()
        self.addItem(words or self.tr("The system's default"), "")
        for device in devices:
            self.addItem(device.name, device.id)
        if self.findData(chosen) < 0:
            name = self._names.get(chosen, self.tr("The one you chose"))
            self.addItem(self.tr("{name} (not plugged in)").format(name=name), chosen)
        self.setCurrentIndex(self.findData(chosen))
        self.setToolTip(self.currentText())
