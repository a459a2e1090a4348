"""A bridge that runs is adopted, otherwise one is started, and a failure is put in words."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from console.bridge_process import (
    Address,
    BridgeFailed,
    BridgeProcess,
    answers,
    has_account,
    read_lock,
)
from tests.console.fake_bridge import TOKEN, FakeBridge

ROOT = Path(__file__).resolve().parents[2]

SERVES = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, os.environ["ROOT"])
from tests.console.fake_bridge import FakeBridge
async def main():
    print("opening the tunnel", flush=True)
    async with FakeBridge(Path(os.environ["CORDBOARD_HOME"])) as bridge:
        await asyncio.get_running_loop().create_future()
asyncio.run(main())
"""


def a_process(home: Path, program: str, *arguments: str) -> BridgeProcess:
    environment = {**os.environ, "ROOT": str(ROOT)}
    return BridgeProcess(home, arguments, environment, (sys.executable, "-c", program))


def a_dead_pid() -> int:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    return gone.pid


def write_lock(home: Path, pid: int, url: str) -> None:
    home.mkdir(exist_ok=True)
    (home / "control.token").write_text(TOKEN)
    lock = {"pid": pid, "control_url": url, "token_path": str(home / "control.token")}
    (home / "bridge.lock").write_text(json.dumps(lock))


def starts() -> int:
    return len(Path("starts").read_text())


async def test_a_running_bridge_is_adopted(home: Path) -> None:
    async with FakeBridge(home) as bridge:
        process = a_process(home, "raise SystemExit(7)")
        address = await process.find()
        assert address == Address(f"ws://127.0.0.1:{bridge.port}/control", TOKEN, os.getpid())
        assert await process.ended() is None
        assert not process.started_by_a_console(address.pid)
        process.terminate()


async def test_without_one_a_detached_bridge_is_started_and_remembered(home: Path) -> None:
    process = a_process(home, SERVES)
    try:
        address = await process.find()
        assert address.pid != os.getpid()
        assert os.getsid(address.pid) != os.getsid(0)
        assert process.last_words() == "opening the tunnel"
        assert process.log_path.stat().st_mode & 0o077 == 0
        assert a_process(home, "").started_by_a_console(address.pid)
        assert (await process.find()).pid == address.pid
    finally:
        process.terminate()
    assert await process.ended() == -15


async def test_a_dead_bridges_lock_is_not_believed(home: Path) -> None:
    write_lock(home, pid=a_dead_pid(), url="ws://127.0.0.1:9/control")
    process = a_process(home, SERVES)
    try:
        assert (await process.find()).url != "ws://127.0.0.1:9/control"
    finally:
        process.terminate()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "control_url": "x", "token_path": "/no"}'])
def test_a_lock_that_is_not_whole_is_no_lock(home: Path, text: str) -> None:
    home.mkdir(exist_ok=True)
    assert read_lock(home) is None
    (home / "bridge.lock").write_text(text)
    assert read_lock(home) is None


async def test_wrong_settings_are_told_in_the_bridges_own_words(home: Path) -> None:
    process = a_process(home, "print('OPENAI_API_KEY: is missing'); raise SystemExit(2)")
    with pytest.raises(BridgeFailed) as failed:
        await process.find()
    assert str(failed.value) == "OPENAI_API_KEY: is missing"


async def test_settings_that_are_wrong_without_a_word_still_say_what_to_look_at(home: Path) -> None:
    with pytest.raises(BridgeFailed, match="settings are not right"):
        await a_process(home, "raise SystemExit(2)").find()


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("raise SystemExit(7)", "exit code 7"),
        ("raise SystemExit(0)", "stopped by itself"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
    ],
)
async def test_other_ends_name_the_log(home: Path, program: str, words: str) -> None:
    process = a_process(home, f"print('last words', flush=True); {program}")
    with pytest.raises(BridgeFailed) as failed:
        await process.find()
    assert words in str(failed.value)
    assert "last words" in str(failed.value)
    assert str(process.log_path) in str(failed.value)


async def test_a_bridge_that_keeps_ending_is_not_started_for_ever(home: Path) -> None:
    process = a_process(home, "open('starts', 'a').write('x'); raise SystemExit(7)")
    for _ in range(5):
        with pytest.raises(BridgeFailed, match="exit code 7"):
            await process.find()
    assert starts() == 3
    process.try_again()
    with pytest.raises(BridgeFailed):
        await process.find()
    assert starts() == 4
    os.remove("starts")


async def test_a_program_that_is_not_there_is_told(home: Path) -> None:
    process = BridgeProcess(home, command=("/nowhere/python",))
    with pytest.raises(BridgeFailed, match="could not be started"):
        await process.find()
    assert process.last_words() == ""


async def test_nobody_is_let_in_where_no_bridge_is(home: Path) -> None:
    assert not await answers(Address("ws://127.0.0.1:9/control", TOKEN))
    assert not await answers(Address("not an address", TOKEN))
    async with FakeBridge(home) as bridge:
        assert not await answers(Address(f"ws://127.0.0.1:{bridge.port}/control", "wrong"))


async def test_a_bridge_that_is_slow_to_answer_is_waited_for_not_doubled(home: Path) -> None:
    async with FakeBridge(home) as bridge:
        port = bridge.port
    write_lock(home, os.getpid(), f"ws://127.0.0.1:{port}/control")
    process = a_process(home, "raise SystemExit(7)")
    finding = asyncio.create_task(process.find())
    async with FakeBridge(home, port=port):
        assert (await finding).url == f"ws://127.0.0.1:{port}/control"


async def test_a_bridge_that_is_still_starting_is_waited_for(home: Path) -> None:
    write_lock(home, os.getpid(), "")
    assert read_lock(home) == Address("", "", os.getpid())
    process = a_process(home, "raise SystemExit(7)")
    finding = asyncio.create_task(process.find())
    async with FakeBridge(home) as bridge:
        assert (await finding).url == f"ws://127.0.0.1:{bridge.port}/control"


async def test_another_bridge_that_won_the_home_meanwhile_is_adopted(home: Path) -> None:
    program = "import os; open(os.environ['CORDBOARD_HOME'] + '/began', 'w').close(); input(); raise SystemExit(3)"
    process = a_process(home, program)
    finding = asyncio.create_task(process.find())
    async with FakeBridge(home) as bridge:
        assert (await finding).url == f"ws://127.0.0.1:{bridge.port}/control"
    await process.ended()


async def test_a_bridge_that_will_not_go_is_killed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.bridge_process.TERMINATE_S", 0.05)
    process = a_process(home, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVES)
    await process.find()
    process.terminate()
    assert await process.ended() == -9
    process.terminate()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"TWILIO_ACCOUNT_SID": ""}, False),
        ({"TWILIO_AUTH_TOKEN": "x"}, True),
        ({"OPENAI_API_KEY": "x"}, False),
    ],
)
def test_a_rehearsal_is_what_happens_without_a_telephone_account(environment: dict[str, str], expected: bool) -> None:
    assert has_account(environment) is expected
