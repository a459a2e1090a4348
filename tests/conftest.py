"""What every test runs under: a home of its own, no accounts, and a guard against leaks.

After each test nothing may be left over that was not there before it: tasks, threads,
sockets and files held open, processes (grandchildren too), files in the working folder.
Each gets a second to end by itself, since closing takes the system a moment.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import hypothesis
import psutil
import pytest
from hypothesis.configuration import set_hypothesis_home_dir

from console.cycles import collect_due

ROOT = Path(__file__).resolve().parents[1]
GRACE_S = 1.0
MARK = "CORDBOARD_TEST_RUN"
ACCOUNTS = ("TWILIO_", "OPENAI_", "NGROK_", "CORDBOARD_", "PULSE_")

T = TypeVar("T")

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
set_hypothesis_home_dir(ROOT / ".hypothesis")
# As in the window's own program: what belongs to Qt must not be collected in another thread.
gc.disable()
# A red run must come from a change, not from this run's luck or this machine's speed.
hypothesis.settings.register_profile("cordboard", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("cordboard")


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty CORDBOARD_HOME; the person's own home, settings and accounts are out of reach."""
    person = tmp_path_factory.mktemp("person")
    for name in [name for name in os.environ if name.startswith(ACCOUNTS)]:
        monkeypatch.delenv(name)
    for name, folder in {
        "HOME": "",
        "USERPROFILE": "",
        "CORDBOARD_HOME": "cordboard",
        "XDG_CACHE_HOME": "cache",
        "XDG_CONFIG_HOME": "config",
        "XDG_DATA_HOME": "data",
        "XDG_RUNTIME_DIR": "run",
        "XDG_STATE_HOME": "state",
    }.items():
        (person / folder).mkdir(mode=0o700, exist_ok=True)
        monkeypatch.setenv(name, str(person / folder))
    monkeypatch.setenv(MARK, str(os.getpid()))
    return person / "cordboard"


@pytest.fixture(autouse=True)
def leak_guard(home: Path, request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails the test that leaves threads, processes, descriptors or files behind."""
    threads = set(threading.enumerate())
    processes = set(psutil.pids())
    descriptors = set(_descriptors().values())
    with tempfile.TemporaryDirectory(prefix="cordboard-cwd-") as folder:
        before = Path.cwd()
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)
            collect_due()
        left = [f"file left in the working folder: {name}" for name in sorted(os.listdir(folder))]
    left += [f"process still there: {_end(process)}" for process in _gone(lambda: _ours(processes))]
    left += [f"thread still running: {thread!r}" for thread in _gone(lambda: _new_threads(threads))]
    left += [f"still open: {what}" for what in _gone(lambda: _new_descriptors(descriptors))]
    if left:
        pytest.fail(f"{request.node.name} leaks:\n  " + "\n  ".join(left), pytrace=False)


@pytest.fixture(autouse=True)
def tasks_ended(leak_guard: None, request: pytest.FixtureRequest) -> None:
    """Fails the async test that leaves tasks behind; needs the test's loop, so only for those."""
    if inspect.iscoroutinefunction(request.function):
        request.getfixturevalue("_tasks_ended")


@pytest.fixture
async def _tasks_ended(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    yield
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    if tasks:
        _, tasks = await asyncio.wait(tasks, timeout=GRACE_S)
    if tasks:
        names = "\n  ".join(f"task still running: {task!r}" for task in tasks)
        pytest.fail(f"{request.node.name} leaks:\n  {names}", pytrace=False)


def _gone(look: Callable[[], list[T]]) -> list[T]:
    """What ``look`` still finds after cycles were collected and the grace has passed."""
    if not look():
        return []
    gc.collect()
    patience = threading.Event()
    for _ in range(50):
        if not look():
            return []
        patience.wait(GRACE_S / 50)
    return look()


def _new_threads(before: set[threading.Thread]) -> list[threading.Thread]:
    """Threads of Python's own; those of Qt show up as dummies once they have called us."""
    return [
        thread
        for thread in threading.enumerate()
        if thread not in before and not isinstance(thread, threading._DummyThread)
    ]


def _ours(before: set[int]) -> list[psutil.Process]:
    """Processes that this test run started: marked in their environment, or our own children."""
    found = {process.pid: process for process in psutil.Process().children() if process.pid not in before}
    for pid in set(psutil.pids()) - before - found.keys():
        try:
            process = psutil.Process(pid)
            if process.environ().get(MARK) == str(os.getpid()):
                found[pid] = process
        except psutil.Error:
            continue
    return list(found.values())


def _end(process: psutil.Process) -> str:
    """Says what was left over and kills it, so that it troubles no later test."""
    told = str(process)
    with suppress(psutil.Error):
        told = f"{process.pid} {process.status()} {process.name()}"
        told = f"{process.pid} {process.status()} {' '.join(process.cmdline())}"
    with suppress(psutil.Error):
        process.kill()
        process.wait(GRACE_S)
    return told


def _descriptors() -> dict[int, str]:
    """What this process holds open, by number; a socket or pipe by its inode. Empty where unknown."""
    found: dict[int, str] = {}
    if sys.platform == "linux":
        for name in os.listdir("/proc/self/fd"):
            try:
                found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
            except FileNotFoundError:
                continue
    return found


def _new_descriptors(before: set[str]) -> list[str]:
    """Sockets, pipes and files. Qt and the C library keep event counters and devices for good."""
    return [
        f"{number} {what}"
        for number, what in sorted(_descriptors().items())
        if what not in before
        and not what.startswith(("anon_inode:[eventfd]", "anon_inode:inotify", "/dev/", "/memfd:", "/proc/"))
    ]
