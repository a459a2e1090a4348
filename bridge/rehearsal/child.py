"""The rehearsal as a child process of the bridge: its telephone company and its AI, on loopback.

The bridge uses their addresses and keys just as it would use the real ones; this module starts
the child, speaks its line protocol (`bridge.rehearsal.__main__`) and ends it. The child ends by
itself when its standard input closes, so it cannot outlive a bridge that was killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from bridge.errors import SettingsError

log = logging.getLogger("cordboard.rehearsal")

START_PATIENCE_S = 20.0
STOP_PATIENCE_S = 3.0


@dataclass
class Rehearsal:
    """A running rehearsal. The fields are what its ready line told."""

    api_url: str
    model_url: str
    api_key: str
    account_sid: str
    auth_token: str
    numbers: tuple[str, ...]
    scenarios: tuple[str, ...]
    _process: asyncio.subprocess.Process

    def _tell(self, **command: Any) -> None:
        stdin = self._process.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(json.dumps(command).encode() + b"\n")

    def point(self, voice_url: str, status_url: str) -> None:
        """Where the simulated numbers ask what to do with a call."""
        self._tell(do="point", voice_url=voice_url, status_url=status_url)

    def call(self, *, scenario: str = "", caller_file: str = "") -> None:
        """Place one call."""
        if caller_file:
            self._tell(do="call", caller_file=caller_file)
        else:
            self._tell(do="call", scenario=scenario)

    def day(self, calls: int, scenario: str = "") -> None:
        """Calls arriving like a small real day."""
        self._tell(do="day", calls=calls, scenario=scenario)

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """What the telephone company reports, until it ends."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            with contextlib.suppress(ValueError):
                yield json.loads(line)


@contextlib.asynccontextmanager
async def open_rehearsal() -> AsyncIterator[Rehearsal]:
    """Start the child and end it. Raises SettingsError when it does not get ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bridge.rehearsal",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_PATIENCE_S):
                ready = json.loads(await process.stdout.readline())
        except (TimeoutError, ValueError) as error:
            raise SettingsError(
                "--rehearsal", "The simulated line did not start; its log is in the bridge's log."
            ) from error
        yield Rehearsal(
            api_url=ready["api_url"],
            model_url=ready["model_url"],
            api_key=ready["api_key"],
            account_sid=ready["account_sid"],
            auth_token=ready["auth_token"],
            numbers=tuple(ready["numbers"]),
            scenarios=tuple(ready["scenarios"]),
            _process=process,
        )
    finally:
        if process.stdin is not None:
            process.stdin.close()
        # Not asyncio.timeout: before Python 3.11.3 it fails in a task that was cancelled.
        ending = asyncio.ensure_future(process.wait())
        await asyncio.wait([ending], timeout=STOP_PATIENCE_S)
        if not ending.done():
            process.kill()
        await ending
