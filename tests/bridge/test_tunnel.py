"""The way in, against an agent program that does what ngrok's does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge import ngrok, orphan, tunnel
from bridge.control import HealthState, HealthView
from bridge.orphan import Orphan, identity
from bridge.settings import Settings
from bridge.tunnel import Tunnel, open_tunnel

FAKE = Path(__file__).with_name("fake_ngrok.py")
LINE = {"twilio_account_sid": "AC" + "a" * 32, "twilio_auth_token": "t", "twilio_phone_number": "+16285550100"}
PORT = 50123
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"

pytestmark = pytest.mark.usefixtures("quick")


class Desk:
    """What the operator is shown, in order; `until` waits for something to be."""

    def __init__(self) -> None:
        self.shown: list[tuple[HealthView, str]] = []
        self._news = asyncio.Event()

    def change(self, health: HealthView, url: str) -> None:
        self.shown.append((health, url))
        self._news.set()

    @property
    def now(self) -> HealthView:
        return self.shown[-1][0]

    async def until(self, true: Callable[[], bool]) -> None:
        while not true():
            self._news.clear()
            await self._news.wait()


class Ngrok:
    """The agent program as installed for one test, and the diary that it keeps."""

    def __init__(self, folder: Path, environment: pytest.MonkeyPatch) -> None:
        self.program = folder / "bin" / "ngrok"
        self.diary = folder / "diary.jsonl"
        self._environment = environment
        self.program.parent.mkdir(parents=True)
        environment.setenv("PATH", str(self.program.parent))
        environment.setenv("FAKE_NGROK_DIARY", str(self.diary))

    def install(self, mode: str = "works") -> Path:
        self.program.write_text(f"#!{sys.executable}\n" + FAKE.read_text("utf-8"))
        self.program.chmod(0o700)
        self.mode(mode)
        return self.program

    def mode(self, mode: str) -> None:
        self._environment.setenv("FAKE_NGROK_MODE", mode)

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.diary.read_text("utf-8").splitlines()]

    @property
    def starts(self) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if "argv" in entry]

    def started(self) -> None:
        """Wait for the agent that is being started to open its diary, which must be a pipe."""
        with self.diary.open():
            pass

    def log(self, line: str) -> None:
        address = self.starts[-1]["config"]["agent"]["web_addr"]
        with urllib.request.urlopen(f"http://{address}/fake/log", line.encode()):
            pass


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel, "_FIRST_PAUSE_S", 0.01)


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ngrok:
    return Ngrok(tmp_path, monkeypatch)


@pytest.fixture
async def desk() -> Desk:
    return Desk()


def left_in(home: Path) -> list[str]:
    return [path.name for path in home.rglob("*")]


@asynccontextmanager
async def opened(home: Path, desk: Desk, limit_s: float = 15.0, **more: Any) -> AsyncIterator[Tunnel]:
    settings = Settings(home=home, ngrok_authtoken="canary_token", **{**LINE, **more})
    async with open_tunnel(settings, PORT, desk.change, start_limit_s=limit_s) as made:
        yield made


async def test_a_given_address_is_used_as_it_is(home: Path, desk: Desk) -> None:
    async with opened(home, desk, public_url="https://desk.example.org") as made:
        assert made.url == "https://desk.example.org"
    ((health, url),) = desk.shown
    assert (health.state, health.word, url) == (HealthState.AMBER, "Own address", "https://desk.example.org")


@pytest.mark.parametrize("given", [{"twilio_account_sid": ""}, {"public_url": f"http://[::1]:{PORT}"}])
async def test_this_machine_needs_no_tunnel(home: Path, desk: Desk, given: dict[str, str]) -> None:
    async with opened(home, desk, **given) as made:
        assert made.url == given.get("public_url", f"http://127.0.0.1:{PORT}")
    assert (desk.now.state, desk.now.word) == (HealthState.GREEN, "No tunnel")


async def test_a_tunnel_is_made_and_taken_down(home: Path, desk: Desk, agent: Ngrok) -> None:
    agent.install()
    async with opened(home, desk) as made:
        pid = agent.starts[0]["pid"]
        assert made.url == f"https://p{pid}.ngrok.test"
        assert (desk.now.state, desk.now.reason) == (HealthState.GREEN, f"Calls reach this machine at {made.url}.")
        assert not (home / "ngrok.yml").exists(), "the authtoken is not left lying about"
        assert json.loads((home / "ngrok.json").read_text())["pid"] == pid
    assert identity(pid) == ""
    assert left_in(home) == []


async def test_the_authtoken_is_private_and_nothing_is_inspected(
    home: Path, desk: Desk, agent: Ngrok, monkeypatch: pytest.MonkeyPatch
) -> None:
    for secret in ("NGROK_AUTHTOKEN", "TWILIO_AUTH_TOKEN", "OPENAI_API_KEY"):
        monkeypatch.setenv(secret, "canary_token")
    agent.install()
    async with opened(home, desk):
        pass
    start, asked = agent.entries
    assert start["argv"] == ["start", "--none", "--log", "stdout", "--config", str(home / "ngrok.yml")]
    assert (start["config_mode"], start["config"]["version"]) == (stat.S_IRUSR | stat.S_IWUSR, "3")
    assert not [name for name in start["environment"] if name.startswith(("NGROK_", "TWILIO_", "OPENAI_"))]
    settings = start["config"]["agent"]
    assert (settings["authtoken"], settings["inspect_db_size"]) == ("canary_token", -1)
    assert settings["web_addr"].startswith("127.0.0.1:") and not settings["web_addr"].endswith(":4040")
    assert asked["path"] == "/api/endpoints"
    assert asked["asked"]["upstream"] == {"url": f"http://127.0.0.1:{PORT}"}
    assert asked["asked"]["inspect"] is False


@pytest.mark.parametrize("manner", ["refuses", "sulks"])
@pytest.mark.parametrize(
    ("code", "reason", "fix"),
    [
        ("4018", "ngrok wants a verified account and its authtoken.", "Set NGROK_AUTHTOKEN"),
        ("105", "ngrok says that the authtoken is not one.", "Copy NGROK_AUTHTOKEN again"),
        ("107", "ngrok does not accept the authtoken.", "Copy NGROK_AUTHTOKEN again"),
    ],
)
async def test_a_refused_authtoken_is_told_and_not_tried_again(
    home: Path, desk: Desk, agent: Ngrok, manner: str, code: str, reason: str, fix: str
) -> None:
    agent.install(f"{manner} {code}")
    async with opened(home, desk) as made:
        assert made.url == ""
        assert (desk.now.state, desk.now.word, desk.now.reason) == (HealthState.RED, "Tunnel down", reason)
        assert fix in desk.now.fix
    assert len(agent.starts) == 1
    assert left_in(home) == []


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("refuses 108", "The ngrok account already runs as many agents as it may."),
        ("api 502 334", "The tunnel's address is already online from another ngrok agent."),
        ("api 502 9999", "ngrok refused with ERR_NGROK_9999."),
    ],
)
async def test_what_may_pass_is_told_and_tried_again(
    home: Path, desk: Desk, agent: Ngrok, mode: str, reason: str
) -> None:
    agent.install(mode)
    async with opened(home, desk) as made:
        assert made.url == "" and (desk.now.state, desk.now.reason) == (HealthState.RED, reason)
        agent.mode("works")
        await desk.until(lambda: desk.now.state is HealthState.GREEN)
        assert made.url == desk.shown[-1][1] != ""


async def test_an_agent_without_todays_api_is_too_old(home: Path, desk: Desk, agent: Ngrok) -> None:
    agent.install("api 404 0")
    async with opened(home, desk):
        assert (desk.now.reason, desk.now.fix) == (
            "The ngrok agent is too old.",
            "Run `ngrok update`, or install it anew.",
        )


async def test_a_silent_agent_is_killed_and_the_loop_goes_on_meanwhile(home: Path, desk: Desk, agent: Ngrok) -> None:
    agent.install("silent")
    async with opened(home, desk, limit_s=0.5):
        assert desk.now.reason == "The ngrok agent was not ready after 0.5 s."
        first = desk.shown[0][0]
        assert (first.state, first.word) == (HealthState.AMBER, "Tunnel starting")


async def test_stopping_while_a_silent_agent_starts(home: Path, desk: Desk, agent: Ngrok) -> None:
    agent.install("silent")

    async def open_and_wait() -> None:
        async with opened(home, desk):
            raise AssertionError("it never opens")

    os.mkfifo(agent.diary)
    opening = asyncio.create_task(open_and_wait())
    await asyncio.to_thread(agent.started)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert left_in(home) == []


async def test_a_stubborn_agent_is_killed(
    home: Path, desk: Desk, agent: Ngrok, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ngrok, "_TERMINATE_S", 0.1)
    agent.install("stubborn")
    async with opened(home, desk):
        pid = agent.starts[0]["pid"]
    assert identity(pid) == ""


async def test_a_dying_agent_is_started_again_and_its_new_address_told(home: Path, desk: Desk, agent: Ngrok) -> None:
    agent.install()
    async with opened(home, desk) as made:
        first = made.url
        os.kill(agent.starts[0]["pid"], signal.SIGKILL)
        await desk.until(lambda: desk.now.state is HealthState.RED)
        assert (desk.now.reason, made.url) == ("The ngrok agent stopped.", "")
        await desk.until(lambda: desk.now.state is HealthState.GREEN)
        assert desk.shown[-1][1] == made.url != first
        assert made.url == f"https://p{agent.starts[1]['pid']}.ngrok.test"


async def test_a_lost_connection_to_ngrok_is_told_until_it_is_back(home: Path, desk: Desk, agent: Ngrok) -> None:
    agent.install()
    async with opened(home, desk) as made:
        url = made.url
        for line in ("session closed, starting reconnect loop", "failed to reconnect session"):
            await asyncio.to_thread(agent.log, f'lvl=eror msg="{line}" obj=csess err="read EOF from remote peer"')
        await desk.until(lambda: desk.now.word == "Tunnel reconnecting")
        await asyncio.to_thread(agent.log, 'lvl=info msg="client session established" obj=csess')
        await desk.until(lambda: desk.now.state is HealthState.GREEN)
        assert [health.word for health, _ in desk.shown] == [
            "Tunnel starting",
            "Tunnel",
            "Tunnel reconnecting",
            "Tunnel",
        ]
        assert made.url == url


async def test_no_agent_and_no_leave_to_fetch_one(home: Path, desk: Desk, agent: Ngrok) -> None:
    async with opened(home, desk) as made:
        assert made.url == "" and desk.now.reason == "The ngrok agent is not installed."
        assert "https://ngrok.com/download" in desk.now.fix and "CORDBOARD_NGROK_DOWNLOAD=yes" in desk.now.fix
        agent.install()
        await desk.until(lambda: desk.now.state is HealthState.GREEN)


async def test_fetching_the_agent_without_a_network(
    home: Path, desk: Desk, agent: Ngrok, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setattr(tunnel, "_FIRST_PAUSE_S", 30.0)
    async with opened(home, desk, ngrok_download=True):
        assert desk.now.reason == "The ngrok agent could not be fetched."
        assert "Fetching the ngrok agent from ngrok's server; this is done once." in [h.reason for h, _ in desk.shown]


async def test_fetching_the_agent_is_done_once(
    home: Path, desk: Desk, agent: Ngrok, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = agent.install()
    monkeypatch.setenv("PATH", "")
    copies = f"import shutil, sys; shutil.copy({str(source)!r}, sys.argv[1])"
    monkeypatch.setattr(ngrok, "_DOWNLOAD", copies)
    async with opened(home, desk, ngrok_download=True):
        assert desk.now.state is HealthState.GREEN
    monkeypatch.setattr(ngrok, "_DOWNLOAD", "raise SystemExit(1)")
    async with opened(home, desk) as made:
        assert made.url
    assert left_in(home) == ["bin", "ngrok"]


async def test_a_download_that_hangs_is_stopped(
    home: Path, desk: Desk, agent: Ngrok, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ngrok, "DOWNLOAD_LIMIT_S", 0.1)
    monkeypatch.setattr(ngrok, "_DOWNLOAD", "import signal; signal.pause()")
    async with opened(home, desk, ngrok_download=True):
        assert desk.now.reason == "The ngrok agent could not be fetched."


async def test_a_program_that_is_no_agent(home: Path, desk: Desk, agent: Ngrok) -> None:
    agent.install().write_text(f"#!{sys.executable}\n")
    async with opened(home, desk):
        assert desk.now.reason == "The ngrok agent did not start."
    agent.program.write_text("#!/nowhere/python\n")
    async with opened(home, desk):
        assert desk.now.reason == "The ngrok agent did not start."


async def test_a_home_that_cannot_be_written_is_told(
    home: Path, desk: Desk, agent: Ngrok, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.install()
    async with opened(home / "missing", desk):
        assert (desk.now.word, desk.now.reason) == ("Tunnel down", "The tunnel failed; the log says how.")


def test_an_unreachable_ngrok_is_told_apart() -> None:
    text = 'err="dial tcp: lookup connect.ngrok-agent.com: no such host"'
    assert ngrok.explained(text).reason == "The agent cannot reach ngrok."
    assert not ngrok.explained(text).final


# ── agents that a killed bridge left behind ───────────────────────────────────────────────


@pytest.fixture
def left_behind(agent: Ngrok, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    config = tmp_path / "left.yml"
    config.write_text("{}")
    agent.install("silent")
    command = [str(agent.program), "start", "--none", "--config", str(config)]
    child = subprocess.Popen(command)
    yield child
    child.kill()
    child.wait()


async def test_the_next_start_ends_what_a_killed_bridge_left_running(
    home: Path, desk: Desk, agent: Ngrok, left_behind: subprocess.Popen[bytes]
) -> None:
    Orphan(home / "ngrok.json").note(left_behind.pid)
    agent.mode("works")
    async with opened(home, desk) as made:
        assert made.url
    assert left_behind.wait() == -signal.SIGTERM


def test_what_was_left_running_and_ignores_being_asked_is_killed(
    agent: Ngrok, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphan, "_TERMINATE_S", 0.1)
    child = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"deaf\n"
    left = Orphan(tmp_path / "ngrok.json")
    left.note(child.pid)
    assert left.end()
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()


def test_only_exactly_ours_is_ended(tmp_path: Path, left_behind: subprocess.Popen[bytes]) -> None:
    left = Orphan(tmp_path / "ngrok.json")
    left.note(left_behind.pid)
    noted = json.loads((tmp_path / "ngrok.json").read_text())
    for other in (
        {**noted, "identity": noted["identity"] + " --other"},
        {**noted, "identity": ""},
        {**noted, "pid": os.getpid()},
        {"pid": left_behind.pid},
        [],
    ):
        (tmp_path / "ngrok.json").write_text(json.dumps(other))
        assert not left.end()
    assert left_behind.poll() is None


def test_a_note_that_is_missing_or_broken_ends_nothing(tmp_path: Path) -> None:
    left = Orphan(tmp_path / "ngrok.json")
    assert not left.end()
    (tmp_path / "ngrok.json").write_text("{")
    assert not left.end()
    left.note(os.getpid())
    assert stat.S_IMODE((tmp_path / "ngrok.json").stat().st_mode) == 0o600
    left.forget()
    assert not left.end()


def test_a_process_that_is_gone_has_no_identity() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert identity(child.pid) == ""
    assert identity(os.getpid()) == identity(os.getpid()) != ""
