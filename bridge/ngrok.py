"""The ngrok agent: found, configured, started, watched and ended.

Of pyngrok it uses the installer, the log parser and the agent's local API. The process is our
own: pyngrok would wait for as long as an agent is silent, hold a lock meanwhile, and keep the
pipe of each agent that ended. Everything that blocks runs in one thread that belongs to the
agent, and a start that takes too long is ended by killing the process. The authtoken goes into a
private file that is removed once it was read, never onto the command line, where every process
of this machine could see it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pyngrok import ngrok
from pyngrok.exception import PyngrokError, PyngrokNgrokHTTPError
from pyngrok.installer import get_ngrok_bin
from pyngrok.log import NgrokLog

from bridge.orphan import Orphan
from bridge.settings import SECRET_KEYS

DOWNLOAD_LIMIT_S = 180.0
_LOOK_S = 0.05
_TERMINATE_S = 2.0
_DASHBOARD = "https://dashboard.ngrok.com/get-started/your-authtoken"
_INSTALL = "https://ngrok.com/download"
_AGAIN = "Check the network; it is tried again by itself."
_HEALTHY = ("client session established", "tunnel session started")

# In a process of its own: a download cannot be stopped in a thread, and it would print progress.
_DOWNLOAD = """
import sys
from pyngrok import installer
installer._print_progress_enabled = False
installer.install_ngrok(sys.argv[1])
"""

T = TypeVar("T")


class AgentTrouble(Exception):
    """The agent cannot work. reason and fix are sentences for the operator; final: trying again
    with the same settings is pointless."""

    def __init__(self, reason: str, fix: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix
        self.final = final


# ngrok's error codes (https://ngrok.com/docs/errors): reason, fix, final.
_CODES = {
    "4018": ("ngrok wants a verified account and its authtoken.", f"Set NGROK_AUTHTOKEN from {_DASHBOARD}.", True),
    "105": ("ngrok says that the authtoken is not one.", f"Copy NGROK_AUTHTOKEN again from {_DASHBOARD}.", True),
    "107": ("ngrok does not accept the authtoken.", f"Copy NGROK_AUTHTOKEN again from {_DASHBOARD}.", True),
    "108": (
        "The ngrok account already runs as many agents as it may.",
        "Stop another one (https://dashboard.ngrok.com/agents); this one is tried again by itself.",
        False,
    ),
    "334": (
        "The tunnel's address is already online from another ngrok agent.",
        "Stop the other agent (https://dashboard.ngrok.com/agents); this one is tried again by itself.",
        False,
    ),
}
_NETWORK = re.compile(r"dial tcp|lookup |no such host|i/o timeout|unreachable|connection refused|EOF", re.IGNORECASE)


def explained(text: str) -> AgentTrouble:
    """What the agent, its API or pyngrok said, in words for the operator."""
    if match := re.search(r"ERR_NGROK_(\d+)", text):
        code = match.group(1)
        reason, fix, final = _CODES.get(
            code,
            (f"ngrok refused with ERR_NGROK_{code}.", f"See https://ngrok.com/docs/errors/err_ngrok_{code}.", False),
        )
        return AgentTrouble(reason, fix, final=final)
    if _NETWORK.search(text):
        return AgentTrouble("The agent cannot reach ngrok.", _AGAIN)
    return AgentTrouble("The ngrok agent did not start.", "See that `ngrok version` works; the log may say more.")


class Agent:
    """One agent process with one tunnel to a local port, from `start` to `close`.

    on_line is called, in the agent's thread, with each line that the agent logs.
    """

    def __init__(self, path: Path, home: Path, local_port: int, on_line: Callable[[NgrokLog], None]) -> None:
        self._path = path
        self._config_file = home / "ngrok.yml"
        self._local_port = local_port
        self._on_line = on_line
        self._orphan = Orphan(home / "ngrok.json")
        self._thread = ThreadPoolExecutor(1, "ngrok")
        self._child: subprocess.Popen[str] | None = None

    async def start(self, authtoken: str, limit_s: float) -> str:
        """Start the agent and its tunnel; returns the public https URL. Raises AgentTrouble."""
        starting = asyncio.ensure_future(self._in_thread(self._start, authtoken))
        try:
            async with asyncio.timeout(limit_s):
                return await asyncio.shield(starting)
        except TimeoutError:
            raise AgentTrouble(f"The ngrok agent was not ready after {limit_s:g} s.", _AGAIN) from None
        except PyngrokNgrokHTTPError as error:
            raise _refused_by_api(error) from error
        except PyngrokError as error:
            raise explained(str(error)) from error
        finally:
            # Only the end of the process ends the wait for its next line.
            while not starting.done():
                self._kill()
                await asyncio.wait([starting], timeout=_LOOK_S)
            if not starting.cancelled():
                starting.exception()

    async def ended(self) -> None:
        """Returns when the agent has stopped, at most half a second later."""
        assert self._child is not None
        reading = asyncio.ensure_future(self._in_thread(self._read, self._child))
        while not reading.done() and self._child.poll() is None:
            await asyncio.wait([reading], timeout=0.5)

    async def close(self) -> None:
        """End the agent if it runs and wait for its end."""
        if self._child is not None:
            with suppress(OSError):
                self._child.terminate()
            # Not asyncio.timeout: before Python 3.11.3 it fails in a task that was cancelled.
            for _ in range(round(_TERMINATE_S / _LOOK_S)):
                if self._child.poll() is not None:
                    break
                await asyncio.sleep(_LOOK_S)
            self._kill()
            await self._in_thread(self._bury, self._child)
        self._thread.shutdown()

    async def _in_thread(self, work: Callable[..., T], *given: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)

    def _start(self, authtoken: str) -> str:
        self._orphan.end()
        _write_config(self._config_file, authtoken)
        try:
            self._child = self._spawn()
            self._orphan.note(self._child.pid)
            api_url = self._ready(self._child)
        finally:
            self._config_file.unlink(missing_ok=True)
        # By address: "localhost" may be tried as IPv6 first, where nobody listens.
        upstream = {"url": f"http://127.0.0.1:{self._local_port}"}
        asked = {"name": "cordboard", "upstream": upstream, "inspect": False}
        return str(ngrok.api_request(f"{api_url}/api/endpoints", method="POST", data=asked)["url"])

    def _spawn(self) -> subprocess.Popen[str]:
        try:
            return subprocess.Popen(
                [str(self._path), "start", "--none", "--log", "stdout", "--config", str(self._config_file)],
                env={key: value for key, value in os.environ.items() if key not in SECRET_KEYS},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise explained(error.strerror or "") from error

    def _ready(self, child: subprocess.Popen[str]) -> str:
        """Read the agent's log until it has a session; returns the address of its local API."""
        api_url, said, trouble = "", set(), ""
        for line in self._lines(child):
            message = line.msg or ""
            if "starting web service" in message and line.addr:
                api_url = f"http://{line.addr}"
            said |= {each for each in _HEALTHY if each in message}
            if api_url and len(said) == len(_HEALTHY):
                return api_url
            if line.lvl in ("ERROR", "CRITICAL"):
                trouble = line.line
                # Some agents say why they are refused and then sit there.
                if "ERR_NGROK_" in trouble:
                    break
        raise explained(trouble)

    def _read(self, child: subprocess.Popen[str]) -> None:
        for _ in self._lines(child):
            pass

    def _lines(self, child: subprocess.Popen[str]) -> Iterator[NgrokLog]:
        assert child.stdout is not None
        for text in child.stdout:
            line = NgrokLog(text)
            self._on_line(line)
            yield line

    def _kill(self) -> None:
        if self._child is not None:
            with suppress(OSError):
                self._child.kill()

    def _bury(self, child: subprocess.Popen[str]) -> None:
        child.wait()
        if child.stdout is not None:
            child.stdout.close()
        self._orphan.forget()


async def find(home: Path, *, may_download: bool, say: Callable[[str], None]) -> Path:
    """The agent's program: on PATH, or fetched before, or fetched now if allowed.

    say is told what is going on when it takes time. Raises AgentTrouble.
    """
    if found := shutil.which("ngrok"):
        return Path(found)
    own = home / "bin" / get_ngrok_bin()
    if own.exists():
        return own
    if not may_download:
        raise AgentTrouble(
            "The ngrok agent is not installed.",
            f"Install it from {_INSTALL}, or set CORDBOARD_NGROK_DOWNLOAD=yes to have it fetched from ngrok's server.",
        )
    say("Fetching the ngrok agent from ngrok's server; this is done once.")
    await _download(own)
    return own


async def _download(own: Path) -> None:
    fresh = own.parent / "fetching" / own.name
    shutil.rmtree(fresh.parent, ignore_errors=True)
    fresh.parent.mkdir(mode=0o700, parents=True)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _DOWNLOAD, str(fresh)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(DOWNLOAD_LIMIT_S):
            await child.wait()
    except TimeoutError:
        pass
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0 or not fresh.exists():
        raise AgentTrouble(
            "The ngrok agent could not be fetched.", f"Check the network, or install it from {_INSTALL}."
        )
    fresh.replace(own)
    shutil.rmtree(fresh.parent, ignore_errors=True)


def _write_config(path: Path, authtoken: str) -> None:
    """JSON is YAML. A negative inspect_db_size keeps no requests, so none can be read or replayed."""
    agent = {
        "authtoken": authtoken,
        "web_addr": f"127.0.0.1:{_free_port()}",
        "inspect_db_size": -1,
        "console_ui": False,
        "remote_management": False,
        "update_check": False,
    }
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump({"version": "3", "agent": agent}, file)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _refused_by_api(error: PyngrokNgrokHTTPError) -> AgentTrouble:
    if error.status_code == 404:
        return AgentTrouble("The ngrok agent is too old.", "Run `ngrok update`, or install it anew.", final=True)
    return explained(f"{error} {error.body}")
