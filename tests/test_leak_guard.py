"""The guard of conftest.py, against tests that leak on purpose in a run of their own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

LEAKS = {
    "task": (
        "async def",
        "asyncio.create_task(asyncio.Event().wait(), name='forgotten')",
        "task still running.*forgotten",
    ),
    "thread": ("def", "threading.Thread(target=threading.Event().wait, daemon=True).start()", "thread still running"),
    "socket": ("def", "KEPT.append(socket.socket())", r"still open: \d+ socket:"),
    "file": ("def", "KEPT.append(open(__file__))", r"still open: \d+ /.*test_leaks\.py"),
    "loop": ("def", "KEPT.append(asyncio.new_event_loop())", r"still open: \d+ "),
    "child": ("def", "KEPT.append(subprocess.Popen([*SLEEP]))", r"process still there: \d+ sleeping"),
    "orphan": ("def", "subprocess.run([*ORPHAN], check=True)", r"process still there: \d+ "),
    "litter": ("def", "Path('litter').touch()", "file left in the working folder: litter"),
}

if sys.platform != "linux":
    # What is open is read from /proc.
    for told in ("socket", "file", "loop"):
        del LEAKS[told]

HEAD = """
import asyncio, socket, subprocess, sys, threading
from pathlib import Path
KEPT = []
SLEEP = (sys.executable, "-c", "import signal; signal.pause()")
ORPHAN = (sys.executable, "-c", f"import subprocess; subprocess.Popen({SLEEP!r}, start_new_session=True)")
async def test_tidy(): await asyncio.to_thread(subprocess.run, ["true"])
"""


def test_every_kind_of_leak_fails_its_test_by_name(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    tests = [f"{kind} test_{name}(): {body}\n" for name, (kind, body, _) in LEAKS.items()]
    (tmp_path / "test_leaks.py").write_text(HEAD + "".join(tests))
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "pytest.ini"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    for name, (_, _, told) in LEAKS.items():
        assert re.search(rf"test_{name} leaks:\n  .*{told}", ran.stdout), (name, ran.stdout)
    assert f"{len(LEAKS) + 1} passed, {len(LEAKS)} errors" in ran.stdout
