"""A child process that may outlive us, remembered in a file so that the next start can end it.

It is only ended if it is exactly the one that was noted: same number, same start, same command
line. Where that cannot be known (Windows), it is left alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

_TERMINATE_S = 2.0
_LOOK_S = 0.02


class Orphan:
    """The note about one child. All methods block for a moment: not for the event loop."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def note(self, pid: int) -> None:
        """Remember our child."""
        self._file.unlink(missing_ok=True)
        with open(os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump({"pid": pid, "identity": identity(pid)}, file)

    def forget(self) -> None:
        """Our child has ended."""
        self._file.unlink(missing_ok=True)

    def end(self) -> bool:
        """End the child that a killed predecessor of ours left running; whether there was one."""
        try:
            noted = json.loads(self._file.read_text("utf-8"))
            pid, known = int(noted["pid"]), str(noted["identity"])
        except (OSError, ValueError, KeyError, TypeError):
            return False
        there = bool(known) and identity(pid) == known
        if there:
            with suppress(OSError):
                os.kill(pid, signal.SIGTERM)
                patience = time.monotonic() + _TERMINATE_S
                while identity(pid) == known and time.monotonic() < patience:
                    time.sleep(_LOOK_S)
                if identity(pid) == known:
                    os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        self.forget()
        return there


def identity(pid: int) -> str:
    """When and as what a process was started; "" if it is not there or that cannot be known."""
    folder = Path("/proc") / str(pid)
    if folder.exists():
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
            started = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
            command = (folder / "cmdline").read_text("utf-8", "replace").replace("\0", " ").strip()
        except (OSError, IndexError):
            return ""
        return f"{boot} {started} {command}" if command else ""
    if os.name != "posix" or Path("/proc/self").exists():
        return ""
    listing = ["ps", "-p", str(pid), "-o", "lstart=,command="]
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(listing, capture_output=True, text=True, timeout=5, check=False).stdout.strip()
    return ""
