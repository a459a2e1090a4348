"""The bridge as the console sees it: one that runs is adopted, otherwise one is started.

The bridge is a detached process of its own, so that a window that crashes or closes drops no
call. It announces itself by its lock file; a lock is believed only when the control socket it
names lets us in. What the bridge prints goes to a log file in its home, never to a pipe that
nobody might read.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

log = logging.getLogger("cordboard.bridge_process")

SETTINGS_EXIT = 2
"""Exit code of a bridge whose settings are not right; what it printed says which."""

LOOK_EVERY_S = 0.05
PING_TIMEOUT_S = 2.0
MOST_STARTS = 3
STARTS_WITHIN_S = 60.0
TERMINATE_S = 1.0
RUNNING_EXIT = 3
"""Exit code of a bridge that found another one in its home."""

HUNG_AFTER_S = 5.0
STARTING_S = 60.0
"""How long a bridge is waited for that holds the lock: one that named its address, and one that is starting."""

DETACHED = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(subprocess, "DETACHED_PROCESS", 0)
TOLD_LINES = 6
"""How much of the bridge's log is shown when it will not start."""


class BridgeFailed(Exception):
    """There is no bridge and trying again by itself will not help; the text says why and what to do."""


@dataclass(frozen=True)
class Address:
    """Where a bridge's control socket is, and the token that opens it."""

    url: str
    token: str
    pid: int = 0


def has_account(environment: Mapping[str, str]) -> bool:
    """Whether a telephone account is set up, be it in part: then a rehearsal would hide a mistake."""
    return any(environment.get(name) for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_PHONE_NUMBER"))


def read_lock(home: Path) -> Address | None:
    """What the lock file in ``home`` says (url "" while its bridge starts), or None when it says nothing."""
    try:
        lock = json.loads((home / "bridge.lock").read_text())
        url, pid = str(lock["control_url"]), int(lock["pid"])
        return Address(url, Path(lock["token_path"]).read_text().strip() if url else "", pid)
    except (OSError, ValueError, KeyError, TypeError):
        return None


async def answers(address: Address) -> bool:
    """Whether a bridge lets us in at this address."""
    if not address.url:
        return False
    try:
        async with connect(
            address.url,
            additional_headers={"Authorization": f"Bearer {address.token}"},
            compression=None,
            proxy=None,
            open_timeout=PING_TIMEOUT_S,
            close_timeout=PING_TIMEOUT_S,
        ):
            return True
    except (OSError, TimeoutError, ValueError, WebSocketException):
        return False


class BridgeProcess:
    """Finds the bridge of one home, or starts it.

    home: CORDBOARD_HOME of the bridge. arguments: what follows ``python -m bridge``.
    """

    def __init__(
        self,
        home: Path,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = (sys.executable, "-m", "bridge"),
    ) -> None:
        self.home = home
        self.arguments = tuple(arguments)
        self.log_path = home / "bridge-output.log"
        self._environment = dict(os.environ if environment is None else environment)
        self._command = tuple(command)
        self._child: subprocess.Popen[bytes] | None = None
        self._starts: deque[float] = deque(maxlen=MOST_STARTS)
        self._log_start = 0

    async def find(self) -> Address:
        """The address of a bridge that answers. Raises BridgeFailed when none can be had."""
        address = await self._running()
        if address is not None:
            return address
        if self._child is None or self._child.poll() is not None:
            self._start()
        while True:
            code = self._child.poll() if self._child is not None else 0
            address = read_lock(self.home)
            if address is not None and await answers(address):
                return address
            if code == RUNNING_EXIT and (address := await self._running()) is not None:
                return address
            if code is not None:
                raise BridgeFailed(self._why_it_ended(code))
            await asyncio.sleep(LOOK_EVERY_S)

    def try_again(self) -> None:
        """A person asked for another attempt: forget the earlier ones."""
        self._starts.clear()

    def started_by_a_console(self, pid: int) -> bool:
        """Whether the bridge with this pid is a console's child, this one's or an earlier one's."""
        with suppress(OSError, ValueError):
            return int(self._mark.read_text()) == pid
        return False

    def last_words(self) -> str:
        """The newest line that the bridge has printed, "" when it has not."""
        lines = self._printed()
        return lines[-1] if lines else ""

    async def ended(self) -> int | None:
        """Waits for our own child's end; returns its exit code (None when it is not our child)."""
        while self._child is not None and self._child.poll() is None:  # noqa: ASYNC110 (a process sets no event)
            await asyncio.sleep(LOOK_EVERY_S)
        return None if self._child is None else self._child.returncode

    def terminate(self) -> None:
        """Have our own child end now: politely, then not."""
        if self._child is None or self._child.poll() is not None:
            return
        self._child.terminate()
        try:
            self._child.wait(TERMINATE_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    async def _running(self) -> Address | None:
        """The bridge that has this home already; one that lives but does not answer yet is given time."""
        start = time.monotonic()
        while (address := read_lock(self.home)) is not None:
            if await answers(address):
                return address
            patience_s = HUNG_AFTER_S if address.url else STARTING_S
            if not _alive(address.pid) or time.monotonic() - start > patience_s:
                return None
            await asyncio.sleep(LOOK_EVERY_S)
        return None

    @property
    def _mark(self) -> Path:
        return self.home / "bridge.started-by-console"

    def _start(self) -> None:
        now = time.monotonic()
        if len(self._starts) == MOST_STARTS and now - self._starts[0] < STARTS_WITHIN_S:
            code = self._child.returncode if self._child is not None else 0
            raise BridgeFailed(self._why_it_ended(code))
        self._starts.append(now)
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(self.log_path, "ab", opener=_private) as output:
                self._log_start = output.tell()
                self._child = subprocess.Popen(
                    [*self._command, *self.arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**self._environment, "CORDBOARD_HOME": str(self.home)},
                    # A Ctrl-C in the terminal, or the end of the window, must not reach the bridge.
                    start_new_session=True,
                    creationflags=DETACHED,
                )
            self._mark.write_text(str(self._child.pid))
        except OSError as error:
            why = error.strerror or error
            raise BridgeFailed(f"The bridge could not be started in {self.home}: {why}.") from error
        log.info("bridge started, pid %d", self._child.pid)

    def _printed(self) -> list[str]:
        try:
            with self.log_path.open("rb") as output:
                output.seek(self._log_start)
                text = output.read().decode(errors="replace")
        except OSError:
            return []
        return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("{")]

    def _why_it_ended(self, code: int) -> str:
        said = "\n".join(self._printed()[-TOLD_LINES:])
        match code:
            case _ if code == SETTINGS_EXIT:
                return said or "The bridge's settings are not right."
            case _ if code < 0:
                what = f"The bridge was ended by signal {-code}."
            case 0:
                what = "The bridge stopped by itself."
            case _:
                what = f"The bridge stopped with exit code {code}."
        return "\n".join(part for part in (what, said, f"Its log: {self.log_path}") if part)


def _alive(pid: int) -> bool:
    """Whether a process has this number (Windows cannot be asked without harm: there, no)."""
    if sys.platform == "win32":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
