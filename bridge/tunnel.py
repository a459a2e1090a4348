"""How Twilio reaches this machine: an address that was given, or a tunnel that ngrok makes.

A tunnel that breaks never stops the bridge: the operator is told in words, it is tried again, and
a new address is reported. Calls in progress live as long as their own sockets do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Protocol, TypeAlias
from urllib.parse import urlsplit

from bridge.control import HealthPart, HealthState, HealthView
from bridge.settings import Settings, is_loopback

if TYPE_CHECKING:
    from pyngrok.log import NgrokLog

_log = logging.getLogger("cordboard.tunnel")

START_LIMIT_S = 15.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0

OnChange: TypeAlias = Callable[[HealthView, str], None]
"""Told of every change, in the event loop: the health to show, and the public URL ("" if none)."""


class Tunnel(Protocol):
    """The way in. url: https (http for loopback), scheme and host only; "" while there is none."""

    @property
    def url(self) -> str: ...


@asynccontextmanager
async def open_tunnel(
    settings: Settings, local_port: int, on_change: OnChange, *, start_limit_s: float = START_LIMIT_S
) -> AsyncIterator[Tunnel]:
    """The way to ``local_port``, open while inside; entered after the first success or failure.

    Never raises for a tunnel that does not work: ``on_change`` is told what is wrong and what to
    do, and it is tried again unless that is pointless.
    """
    if settings.rehearsal or settings.public_url:
        url = settings.public_url or f"http://127.0.0.1:{local_port}"
        on_change(_given(url), url)
        yield _Given(url)
        return
    tunnel = _Ngrok(settings, local_port, on_change, start_limit_s)
    running = asyncio.create_task(tunnel.run())
    trying = asyncio.create_task(tunnel.tried.wait())
    try:
        await asyncio.wait([running, trying], return_when=asyncio.FIRST_COMPLETED)
        yield tunnel
    finally:
        for task in (trying, running):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


class _Given:
    def __init__(self, url: str) -> None:
        self.url = url


class _Ngrok:
    """Keeps one ngrok agent running."""

    def __init__(self, settings: Settings, local_port: int, on_change: OnChange, start_limit_s: float) -> None:
        self.url = ""
        self.tried = asyncio.Event()
        self._settings = settings
        self._local_port = local_port
        self._on_change = on_change
        self._start_limit_s = start_limit_s
        self._loop = asyncio.get_running_loop()
        self._connected = False

    async def run(self) -> None:
        """Start the agent again whenever it ends, until cancelled or it is pointless."""
        from bridge.ngrok import AgentTrouble  # Only here: a rehearsal needs neither it nor pyngrok.

        pause_s = _FIRST_PAUSE_S
        while True:
            self._tell(HealthState.AMBER, "Tunnel starting", "The ngrok agent is starting.")
            try:
                await self._run_once()
                pause_s = _FIRST_PAUSE_S
                self._tell(HealthState.RED, "Tunnel down", "The ngrok agent stopped.", "It is started again by itself.")
            except AgentTrouble as trouble:
                self._tell(HealthState.RED, "Tunnel down", trouble.reason, trouble.fix)
                if trouble.final:
                    return
            except Exception:
                _log.exception("The tunnel could not be opened")
                self._tell(
                    HealthState.RED, "Tunnel down", "The tunnel failed; the log says how.", "Restart the bridge."
                )
            finally:
                self.tried.set()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _run_once(self) -> None:
        from bridge import ngrok

        home = self._settings.home
        path = await ngrok.find(home, may_download=self._settings.ngrok_download, say=self._say)
        agent = ngrok.Agent(path, home, self._local_port, self._line)
        try:
            self.url = await agent.start(self._settings.ngrok_authtoken, self._start_limit_s)
            self._connected = True
            self._tell_connected()
            self.tried.set()
            await agent.ended()
        finally:
            self.url, self._connected = "", False
            await agent.close()

    def _line(self, line: NgrokLog) -> None:
        """The agent reconnects by itself after a network failure and keeps its address."""
        message = line.msg or ""
        if line.lvl in ("ERROR", "CRITICAL"):
            _log.warning("ngrok: %s", line.line)
        if "session closed" in message or "failed to reconnect" in message:
            self._loop.call_soon_threadsafe(self._lost)
        elif "client session established" in message:
            self._loop.call_soon_threadsafe(self._back)

    def _lost(self) -> None:
        if self._connected:
            self._connected = False
            reason = "The connection to ngrok was lost; new calls do not reach this machine."
            self._tell(HealthState.RED, "Tunnel reconnecting", reason, "Check the network; it reconnects by itself.")

    def _back(self) -> None:
        if self.url and not self._connected:
            self._connected = True
            self._tell_connected()

    def _tell_connected(self) -> None:
        self._tell(HealthState.GREEN, "Tunnel", f"Calls reach this machine at {self.url}.")

    def _say(self, words: str) -> None:
        self._tell(HealthState.AMBER, "Tunnel starting", words)

    def _tell(self, state: HealthState, word: str, reason: str, fix: str = "") -> None:
        _log.log(logging.INFO if state is HealthState.GREEN else logging.WARNING, "%s: %s", word, reason)
        view = HealthView(part=HealthPart.TUNNEL, state=state, word=word, reason=reason, fix=fix)
        self._on_change(view, self.url)


def _given(url: str) -> HealthView:
    if is_loopback(urlsplit(url).hostname or ""):
        reason = f"None is needed: calls come from this machine, to {url}."
        return HealthView(part=HealthPart.TUNNEL, state=HealthState.GREEN, word="No tunnel", reason=reason)
    return HealthView(
        part=HealthPart.TUNNEL,
        state=HealthState.AMBER,
        word="Own address",
        reason=f"CORDBOARD_PUBLIC_URL says that calls reach this machine at {url}; the first call will tell.",
    )
