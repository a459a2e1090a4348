"""One bridge per home: the lock file that says where it is, and the token that opens its door.

``bridge.lock`` is created with O_EXCL before anything else is opened, so that no two bridges ever
write one journal; it names an address only once the bridge is ready. Of a bridge that was killed
the lock stays behind. It is believed dead, and removed, only when its process is gone (or its
number is another process's by now) *and* nobody answers to its token at its address.
"""

from __future__ import annotations

import base64
import http.client
import os
import secrets
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

LOCK_NAME = "bridge.lock"
TOKEN_NAME = "control.token"
PING_S = 1.0

UNREADABLE_FOR_S = 5.0
"""A lock file that says nothing yet is being written; after this long its writer was killed."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What a lock file says. control_url is "" until the bridge is ready.

    process_mark: when the process ``pid`` began, in its system's own words; "" where unknown.
    """

    pid: int
    control_url: str = ""
    token_path: str = ""
    started_unix_ms: int = 0
    process_mark: str = ""

    @property
    def ready(self) -> bool:
        """Whether the bridge can be attached to."""
        return self.control_url != ""


class AlreadyRunning(Exception):
    """Another bridge has this home. str() is a sentence for whoever started this one."""

    def __init__(self, text: str, record: Record | None) -> None:
        super().__init__(text)
        self.record = record


class Lock:
    """The lock of this process. token: what a console must show at the control listener."""

    def __init__(self, home: Path, record: Record, token: str) -> None:
        self.home = home
        self.record = record
        self.token = token

    def publish(self, control_url: str) -> None:
        """The bridge is ready: say where (``ws://127.0.0.1:PORT/control``)."""
        self.record = msgspec.structs.replace(self.record, control_url=control_url)
        fresh = self.home / f"{LOCK_NAME}.new"
        fresh.unlink(missing_ok=True)
        _write_private(fresh, msgspec.json.encode(self.record))
        os.replace(fresh, self.home / LOCK_NAME)

    def release(self) -> None:
        """Take the lock and the token away, if they are still ours; safe to call more than once."""
        found = read(self.home)
        if found is None or found != self.record:
            return
        for name in (TOKEN_NAME, LOCK_NAME):
            (self.home / name).unlink(missing_ok=True)


def read(home: Path) -> Record | None:
    """What the lock file of ``home`` says; None when there is none or it is not (yet) readable."""
    try:
        return msgspec.json.decode((home / LOCK_NAME).read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError):
        return None


def acquire(
    home: Path,
    *,
    ping: Callable[[Record], bool] | None = None,
    unix_ms: Callable[[], int] = lambda: round(time.time() * 1000),
) -> Lock:
    """Take the home for this process and make its token. May wait `PING_S` for a dead bridge.

    home: an existing folder. Raises AlreadyRunning, or OSError when the folder cannot be written.
    """
    path = home / LOCK_NAME
    record = Record(
        pid=os.getpid(),
        token_path=str(home / TOKEN_NAME),
        started_unix_ms=unix_ms(),
        process_mark=process_mark(os.getpid()),
    )
    for _ in range(2):
        try:
            _write_private(path, msgspec.json.encode(record))
        except FileExistsError:
            _remove_if_dead(home, ping or answers)
        else:
            token = secrets.token_urlsafe(32)
            (home / TOKEN_NAME).unlink(missing_ok=True)
            _write_private(home / TOKEN_NAME, token.encode())
            return Lock(home, record, token)
    raise AlreadyRunning("Another bridge is starting in this home at this very moment.", read(home))


def _remove_if_dead(home: Path, ping: Callable[[Record], bool]) -> None:
    """Raises AlreadyRunning unless the lock's owner is certainly gone."""
    path = home / LOCK_NAME
    with suppress(FileNotFoundError):
        seen = path.stat()
        found = read(home)
        if found is None:
            if time.time() - seen.st_mtime < UNREADABLE_FOR_S:
                raise AlreadyRunning("Another bridge is starting in this home.", None)
        elif alive(found):
            where = f" It listens at {found.control_url}." if found.ready else " It is not ready yet."
            raise AlreadyRunning(f"A bridge runs in this home already (pid {found.pid}).{where}", found)
        elif ping(found):
            raise AlreadyRunning(
                f"A bridge answers at {found.control_url}, though its process is not to be seen from here.", found
            )
        # Between the look and here another starter may have put its own, living lock there.
        if path.stat().st_ino == seen.st_ino:
            path.unlink()


def alive(record: Record) -> bool:
    """Whether the process that wrote this record still runs."""
    mark = process_mark(record.pid)
    return mark != "" and (mark == record.process_mark or not record.process_mark)


def answers(record: Record) -> bool:
    """Whether a bridge that accepts this home's token listens at the record's address."""
    address = urlsplit(record.control_url)
    if not record.ready or not address.hostname:
        return False
    try:
        token = Path(record.token_path).read_text()
        connection = http.client.HTTPConnection(address.hostname, address.port or 80, timeout=PING_S)
        try:
            connection.request("GET", address.path, headers=_upgrade(token))
            return connection.getresponse().status == 101
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException):
        return False


def _upgrade(token: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {token}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": base64.b64encode(secrets.token_bytes(16)).decode(),
        "Sec-WebSocket-Version": "13",
    }


def process_mark(pid: int) -> str:
    """When the process began, in words that no later process of the same number shares; "" if none runs."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            # Fields count after the name, which is in brackets and may hold anything: state, …, start.
            state, *fields = stat.read_text().rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return ""
        return "" if state in "ZX" else f"{boot}:{fields[18]}"
    question = ["ps", "-o", "lstart=", "-p", str(pid)]
    if os.name == "nt":
        question = ["powershell", "-NoProfile", "-Command", f"(Get-Process -Id {pid}).StartTime.Ticks"]
    try:
        return subprocess.run(question, capture_output=True, text=True, timeout=10, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _write_private(path: Path, content: bytes) -> None:
    """A new file for its owner alone, whatever the umask. Raises FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
