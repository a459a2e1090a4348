"""One bridge per home; a dead one's lock is removed, a living one's never."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from bridge import lock
from bridge.lock import AlreadyRunning, Record


def leave_behind(home: Path, **what: object) -> None:
    record = {"pid": 2**22 + 1, "control_url": "", "token_path": "", "started_unix_ms": 0, "process_mark": "x"}
    (home / lock.LOCK_NAME).write_text(json.dumps(record | what))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_lock_names_the_bridge_once_it_is_ready(home: Path) -> None:
    held = lock.acquire(home, unix_ms=lambda: 1234)
    before = lock.read(home)
    assert before is not None and not before.ready and before.pid == os.getpid()

    held.publish("ws://127.0.0.1:4711/control")

    found = lock.read(home)
    assert found is not None and found.ready
    assert (found.control_url, found.started_unix_ms) == ("ws://127.0.0.1:4711/control", 1234)
    assert Path(found.token_path).read_text() == held.token
    assert len(held.token) >= 43
    held.release()


def test_lock_and_token_are_for_their_owner_alone_whatever_the_umask(home: Path) -> None:
    before = os.umask(0)
    try:
        held = lock.acquire(home)
        held.publish("ws://127.0.0.1:1/control")
    finally:
        os.umask(before)
    assert mode(home / lock.LOCK_NAME) == mode(home / lock.TOKEN_NAME) == 0o600
    held.release()


def test_release_leaves_nothing_and_may_be_said_twice(home: Path) -> None:
    held = lock.acquire(home)
    held.publish("ws://127.0.0.1:1/control")
    held.release()
    held.release()
    assert list(home.iterdir()) == []


def test_release_leaves_another_bridges_lock_alone(home: Path) -> None:
    held = lock.acquire(home)
    leave_behind(home)
    held.release()
    assert (home / lock.LOCK_NAME).exists()


def test_a_second_bridge_is_told_of_the_first(home: Path) -> None:
    held = lock.acquire(home)
    with pytest.raises(AlreadyRunning, match=rf"pid {os.getpid()}.*not ready yet"):
        lock.acquire(home)
    held.publish("ws://127.0.0.1:4711/control")
    with pytest.raises(AlreadyRunning, match=r"listens at ws://127\.0\.0\.1:4711/control") as refused:
        lock.acquire(home)
    assert refused.value.record == held.record
    held.release()


def test_the_lock_of_a_killed_bridge_is_taken_over(home: Path) -> None:
    child = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "import sys; from pathlib import Path; from bridge import lock;"
            "lock.acquire(Path(sys.argv[1])).publish('ws://127.0.0.1:9/control'); print('ready', flush=True);"
            "sys.stdin.read()",
            str(home),
        ],
        cwd=Path(__file__).resolve().parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        with pytest.raises(AlreadyRunning, match=f"pid {child.pid}"):
            lock.acquire(home)
        child.kill()

    held = lock.acquire(home)
    assert held.record.pid == os.getpid()
    held.release()


def test_a_process_that_only_got_the_number_of_the_dead_bridge_is_not_believed(home: Path) -> None:
    leave_behind(home, pid=os.getpid(), process_mark="some earlier time")
    lock.acquire(home).release()


def test_a_lock_without_a_live_process_stays_while_somebody_answers(home: Path) -> None:
    leave_behind(home, control_url="ws://127.0.0.1:1/control")
    with pytest.raises(AlreadyRunning, match=r"answers at ws://127\.0\.0\.1:1/control"):
        lock.acquire(home, ping=lambda record: True)


def test_a_lock_that_says_nothing_is_believed_for_a_moment_only(home: Path) -> None:
    path = home / lock.LOCK_NAME
    path.write_text("")
    with pytest.raises(AlreadyRunning, match="starting"):
        lock.acquire(home)
    os.utime(path, (0, 0))
    lock.acquire(home).release()


def test_a_ping_is_answered_only_by_a_bridge_that_takes_the_token(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("the token")
    asked = []

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers["Authorization"])
            self.send_response(101 if self.headers["Authorization"] == "Bearer the token" else 401)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"ws://127.0.0.1:{server.server_port}/control"
        try:
            assert lock.answers(Record(pid=1, control_url=url, token_path=str(token)))
            token.write_text("another")
            assert not lock.answers(Record(pid=1, control_url=url, token_path=str(token)))
        finally:
            server.shutdown()
            thread.join()
    assert asked == ["Bearer the token", "Bearer another"]
    assert not lock.answers(Record(pid=1, control_url=url, token_path=str(token)))
    assert not lock.answers(Record(pid=1, control_url="", token_path=str(token)))
    assert not lock.answers(Record(pid=1, control_url=url, token_path=str(tmp_path / "none")))
