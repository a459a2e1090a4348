"""What was written down stays written down, and trouble with the disk is told in words."""

from __future__ import annotations

import os
import queue
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import pytest

from bridge import journal
from bridge.control import CallView, Floor, Party, Phase, Recording, ToolState, ToolView, TurnView, Verb
from bridge.journal import Journal, Trouble

ROOT = Path(__file__).resolve().parents[2]
LIVE = CallView(call_id="c1", call_sid="CA1", phase=Phase.LIVE, floor=Floor.AI, number="+16285550101")


@dataclass
class Book:
    """A journal and what it said."""

    path: Path
    journal: Journal
    said: queue.Queue[tuple[Trouble, str]]

    def hears(self, trouble: Trouble) -> str:
        while True:
            found, words = self.said.get(timeout=10)
            if found is trouble:
                return words


def open_book(path: Path, now_unix_ms: int = 1_000_000) -> Book:
    said: queue.Queue[tuple[Trouble, str]] = queue.Queue()
    return Book(path, Journal(path, lambda *what: said.put(what), lambda: now_unix_ms), said)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = open_book(tmp_path / "journal.sqlite3")
    yield book
    assert book.journal.close()


def test_a_call_is_read_back_in_conversation_order(book: Book) -> None:
    log = book.journal
    log.call(LIVE)
    log.turn(TurnView(call_id="c1", turn_id="later", order=1, speaker=Party.AI, start_ms=500, text="hello"))
    log.turn(TurnView(call_id="c1", turn_id="first", order=2, speaker=Party.CALLER, start_ms=100))
    log.tool(ToolView(call_id="c1", tool_id="t", order=3, name="look_up"))
    log.tool(ToolView(call_id="c1", tool_id="t", order=3, name="look_up", state=ToolState.DONE))
    log.entry("c1", 0, "input", {"input": "StreamStarted"})
    log.entry("c1", 0, "effects", {"effects": ["OPEN_ENGINE"]})
    log.entry("c1", 40, "input", {"input": "EngineReady"})
    log.entry("c2", 0, "input", {"input": "StreamStarted"})
    assert log.flush()

    record = journal.read(book.path, "c1")

    assert record is not None and record.view == LIVE
    assert [turn.turn_id for turn in record.turns] == ["first", "later"]
    assert [tool.state for tool in record.tools] == [ToolState.DONE]
    assert [entry.kind for entry in record.entries] == ["input", "effects", "input"]
    assert [(entry.at_ms, msgspec.json.decode(entry.body)["input"]) for entry in record.inputs] == [
        (0, "StreamStarted"),
        (40, "EngineReady"),
    ]
    assert journal.read(book.path, "c3") is None


def test_the_newest_calls_come_first(book: Book) -> None:
    for number in range(3):
        book.journal.call(CallView(call_id=str(number), started_unix_ms=number))
    assert book.journal.flush()
    assert [view.call_id for view in journal.recent(book.path, 2)] == ["2", "1"]


def test_it_knows_the_calls_it_has_seen(book: Book) -> None:
    book.journal.call(LIVE)
    assert book.journal.flush()
    assert book.journal.knows("CA1") and not book.journal.knows("CA2")


def test_the_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        book = open_book(tmp_path / "home" / "journal.sqlite3")
        book.journal.call(LIVE)
        assert book.journal.flush()
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "home").iterdir()}
    finally:
        os.umask(before)
        book.journal.close()
    assert len(modes) == 3 and set(modes.values()) == {0o600}


def test_odd_characters_of_a_peer_do_not_stop_it(book: Book) -> None:
    book.journal.turn(TurnView(call_id="c1", turn_id="t", order=1, speaker=Party.AI, text="a\ud800b"))
    book.journal.entry("c1", 0, "message", {"text": "\udfff"})
    book.journal.call(LIVE)
    assert book.journal.flush()
    record = journal.read(book.path, "c1")
    assert record is not None and record.turns[0].text == "a?b"


def test_nobody_to_tell_is_no_reason_to_stop(tmp_path: Path) -> None:
    def deaf(trouble: Trouble, words: str) -> None:
        raise RuntimeError

    path = tmp_path / "journal.sqlite3"
    path.write_bytes(b"no database at all, but long enough to be looked at" * 20)
    log = Journal(path, deaf)
    log.call(LIVE)
    assert log.close()


# ── a bridge that was killed ──


def test_calls_that_were_up_are_ended_with_the_last_proof_of_life(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    up = msgspec.structs.replace(
        LIVE, started_unix_ms=900_000, clock_ms=100, recording=Recording.ON, allowed=(Verb.HANG_UP,), needs=("help",)
    )
    first = open_book(path, 1_000_000)
    first.journal.call(up)
    first.journal.call(CallView(call_id="over", phase=Phase.ENDED, end_cause="caller hung up"))
    first.journal.call(CallView(call_id="ringing"))
    first.journal.entry("c1", 70_000, "input", {})
    assert first.journal.close()

    second = open_book(path, 5_000_000)

    ended = {view.call_id: view for view in second.journal.unfinished()}
    assert set(ended) == {"c1", "ringing"}
    view = ended["c1"]
    assert (view.phase, view.floor, view.end_cause) == (Phase.ENDED, Floor.NOBODY, "bridge stopped")
    assert (view.recording, view.clock_ms) == (Recording.PARTIAL, 100_000)
    assert (view.allowed, view.needs) == ((), ())
    assert ended["ringing"].clock_ms == 0
    record = journal.read(path, "c1")
    assert record is not None and record.view == view
    assert second.journal.close()
    third = open_book(path)
    assert third.journal.unfinished() == ()
    assert third.journal.close()


WRITE_FOR_EVER = """
import sys, itertools
from pathlib import Path
from bridge.control import CallView, Phase
from bridge.journal import Journal
log = Journal(Path(sys.argv[1]))
log.call(CallView(call_id="c", phase=Phase.LIVE))
for number in itertools.count(int(sys.argv[2])):
    log.entry("c", number, "input", {"number": number})
    if number % 50 == 49:
        assert log.flush()
        print(number, flush=True)
"""


def test_no_acknowledged_entry_is_lost_to_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    acknowledged = -1
    for rounds in (1, 4, 9):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITE_FOR_EVER, str(path), str(acknowledged + 1)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        with child:
            assert child.stdout is not None
            for _ in range(rounds):
                acknowledged = int(child.stdout.readline())
            child.kill()
        record = journal.read(path, "c")
        assert record is not None
        written = {entry.at_ms for entry in record.entries}
        assert written >= set(range(acknowledged + 1))
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    book = open_book(path)
    assert [view.end_cause for view in book.journal.unfinished()] == ["bridge stopped"]
    assert book.journal.close()


# ── trouble ──


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "BUSY_MS", 50)
    monkeypatch.setattr(journal, "RETRY_S", 0.05)


def test_a_locked_file_is_waited_for(tmp_path: Path, impatient: None) -> None:
    book = open_book(tmp_path / "journal.sqlite3")
    with closing(sqlite3.connect(book.path, isolation_level=None)) as backup:
        backup.execute("BEGIN EXCLUSIVE")
        book.journal.call(LIVE)
        assert "Another program" in book.hears(Trouble.LOCKED)
        book.journal.entry("c1", 1, "input", {})
        backup.execute("ROLLBACK")
    assert "again" in book.hears(Trouble.OVER)
    assert book.journal.flush()
    record = journal.read(book.path, "c1")
    assert record is not None and len(record.entries) == 1
    assert book.journal.close()


def test_a_file_that_stays_locked_does_not_hold_up_the_end(tmp_path: Path, impatient: None) -> None:
    book = open_book(tmp_path / "journal.sqlite3")
    with closing(sqlite3.connect(book.path, isolation_level=None)) as backup:
        backup.execute("BEGIN EXCLUSIVE")
        book.journal.call(LIVE)
        book.hears(Trouble.LOCKED)
        assert not book.journal.flush(0.01)
        assert not book.journal.close(0.1)
        book.journal._thread.join()


def test_a_full_disk_is_told_and_recovered_from(book: Book, impatient: None) -> None:
    pages = book.journal._database.execute("PRAGMA page_count").fetchone()[0]
    book.journal._database.execute(f"PRAGMA max_page_count = {pages}")
    book.journal.call(LIVE)
    for number in range(200):
        book.journal.entry("c1", number, "input", {"text": "x" * 1000})
    assert "disk is full" in book.hears(Trouble.FULL)
    book.journal._database.execute("PRAGMA max_page_count = 1000000")
    book.hears(Trouble.OVER)
    assert book.journal.flush()
    record = journal.read(book.path, "c1")
    assert record is not None and [entry.at_ms for entry in record.entries] == list(range(200))


def test_a_queue_that_runs_over_is_told(book: Book, impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_ENTRIES", 10)
    with closing(sqlite3.connect(book.path, isolation_level=None)) as backup:
        backup.execute("BEGIN EXCLUSIVE")
        for number in range(50):
            book.journal.entry("c1", number, "input", {})
        book.hears(Trouble.LOCKED)
        for number in range(50):
            book.journal.entry("c1", number, "input", {})
        backup.execute("ROLLBACK")
    assert "entries of the journal were lost" in book.hears(Trouble.OVERFLOWED)


def test_while_the_disk_fails_only_so_much_of_each_kind_is_kept(
    book: Book, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MAX_ENTRIES", 3)
    log, tried = book.journal, []
    real_write = log._write

    def fails(batch: object, alive: bool) -> None:
        tried.append(batch)
        for number in range(5):
            # It comes while the disk is busy.
            log.call(msgspec.structs.replace(LIVE, call_id=f"c{number}"))
            log.turn(TurnView(call_id="c0", turn_id=f"turn-{number}", order=number, speaker=Party.AI, start_ms=0))
            log.tool(ToolView(call_id="c0", tool_id=f"tool-{number}", order=number, name="look_up"))
            log.entry("c0", number, "input", {})
        if len(tried) == 3:
            monkeypatch.setattr(log, "_write", real_write)
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(log, "_write", fails)
    log.entry("c0", 0, "input", {})
    words = book.hears(Trouble.OVERFLOWED)
    assert log.flush()
    record = journal.read(book.path, "c0")
    assert record is not None and len(record.turns) == len(record.tools) == len(record.entries) == 3
    assert journal.read(book.path, "c2") is not None and journal.read(book.path, "c3") is None
    assert "entries of the journal were lost" in words


def test_a_file_that_breaks_is_put_aside_and_live_calls_are_in_the_new_one(book: Book, impatient: None) -> None:
    book.journal.call(LIVE)
    assert book.journal.flush()
    release = threading.Event()

    def breaks(batch: object, alive: bool) -> None:
        monkey.undo()
        release.set()
        raise sqlite3.DatabaseError("database disk image is malformed")

    with pytest.MonkeyPatch.context() as monkey:
        monkey.setattr(book.journal, "_write", breaks)
        book.journal.entry("c1", 1, "input", {})
        assert release.wait(10)
    words = book.hears(Trouble.BROKEN)
    assert book.journal.flush()

    record = journal.read(book.path, "c1")
    assert record is not None and record.view == LIVE and len(record.entries) == 1
    (aside,) = book.path.parent.glob("journal.broken-*.sqlite3")
    assert aside.name in words


def test_a_broken_file_that_cannot_be_put_aside_yet_is_as_soon_as_it_can(
    book: Book, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.journal.call(LIVE)
    assert book.journal.flush()
    may_be_moved = threading.Event()

    def breaks(batch: object, alive: bool) -> None:
        broken.undo()
        raise sqlite3.DatabaseError("database disk image is malformed")

    def put_aside(path: Path, word: str, unix_ms: int) -> Path:
        if not may_be_moved.is_set():
            raise PermissionError
        return set_aside(path, word, unix_ms)

    set_aside = journal._set_aside
    monkeypatch.setattr(journal, "_set_aside", put_aside)
    broken = pytest.MonkeyPatch()
    broken.setattr(book.journal, "_write", breaks)
    book.journal.entry("c1", 1, "input", {})
    assert "cannot be moved yet" in book.hears(Trouble.BROKEN)
    may_be_moved.set()
    assert "kept as" in book.hears(Trouble.BROKEN)
    assert book.journal.flush()
    record = journal.read(book.path, "c1")
    assert record is not None and record.view == LIVE and len(record.entries) == 1


@pytest.mark.parametrize("content", [b"not a database " * 100, b"\0" * 8192], ids=["text", "zeroes"])
def test_what_is_no_journal_is_kept_and_a_fresh_one_begun(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.sqlite3"
    path.write_bytes(content)
    book = open_book(path)
    book.journal.call(LIVE)
    assert book.journal.close()
    (aside,) = tmp_path.glob("journal.aside-*.sqlite3")
    assert aside.read_bytes() == content and aside.name in book.hears(Trouble.BROKEN)
    assert journal.read(path, "c1") is not None


def test_a_damaged_page_is_noticed_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    first = open_book(path)
    for number in range(500):
        first.journal.entry("c1", number, "input", {"text": "x" * 100})
    assert first.journal.close()
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 8] = b"\x55" * (4096 * 5)
    path.write_bytes(content)
    second = open_book(path)
    assert "broken" in second.hears(Trouble.BROKEN)
    second.journal.call(LIVE)
    assert second.journal.close()


def test_a_journal_from_the_future_is_kept_for_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    book = open_book(path)
    assert "newer Cordboard" in book.hears(Trouble.BROKEN)
    book.journal.call(LIVE)
    assert book.journal.close()


def test_a_dataclass_may_be_an_entry(book: Book) -> None:
    @dataclass
    class Input:
        cause: str

    book.journal.entry("c1", 0, "input", Input("hung up"))
    book.journal.call(LIVE)
    assert book.journal.flush()
    record = journal.read(book.path, "c1")
    assert record is not None and msgspec.json.decode(record.inputs[0].body) == asdict(Input("hung up"))
