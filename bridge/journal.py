"""The journal: all that happens to calls, on disk as it happens.

Whoever has something to write down hands it over and goes on; one thread puts it into SQLite,
a batch every `BATCH_S`, and sooner when a call's phase changed, which is also flushed to the disk
itself. Of views only the newest state counts, so a fast one costs no more than a slow one; entries
(inputs, effects, tools, what operators did, errors) are all kept, in their order. What is committed
survives a kill. When the disk is full or the file locked, the thread keeps what it has and tries
again, up to `MAX_ENTRIES` of a kind; when the file is broken, it is put aside and a fresh one begun.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from bridge.control import CallView, Floor, Party, Phase, Recording, ToolView, TurnView

log = logging.getLogger("cordboard.journal")

BATCH_S = 0.1
ALIVE_S = 0.5
RETRY_S = 1.0
BUSY_MS = 2_000
KNOWN_MS = 20
"""So long `Journal.knows` waits for a locked file: calls wait meanwhile."""

MAX_ENTRIES = 20_000
BRIDGE_STOPPED = "bridge stopped"

MIGRATIONS = (
    """
    CREATE TABLE calls (
        call_id TEXT PRIMARY KEY, call_sid TEXT NOT NULL, phase TEXT NOT NULL, started_unix_ms INTEGER NOT NULL,
        seen_unix_ms INTEGER NOT NULL, view BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX calls_by_start ON calls (started_unix_ms);
    CREATE INDEX calls_by_sid ON calls (call_sid);
    CREATE INDEX calls_not_over ON calls (call_id) WHERE phase != 'ended';
    CREATE TABLE turns (
        call_id TEXT NOT NULL, turn_id TEXT NOT NULL, view BLOB NOT NULL, PRIMARY KEY (call_id, turn_id)
    ) WITHOUT ROWID;
    CREATE TABLE tools (
        call_id TEXT NOT NULL, tool_id TEXT NOT NULL, view BLOB NOT NULL, PRIMARY KEY (call_id, tool_id)
    ) WITHOUT ROWID;
    CREATE TABLE entries (
        number INTEGER PRIMARY KEY, call_id TEXT NOT NULL, at_ms INTEGER NOT NULL, unix_ms INTEGER NOT NULL,
        kind TEXT NOT NULL, body BLOB NOT NULL
    );
    CREATE INDEX entries_by_call ON entries (call_id, number);
    CREATE TABLE alive (unix_ms INTEGER NOT NULL);
    INSERT INTO alive VALUES (0);
    """,
)
"""What each version of the schema adds to the one before; ``PRAGMA user_version`` counts them."""


class Trouble(Enum):
    """What is the matter with the journal."""

    FULL = auto()
    LOCKED = auto()
    BROKEN = auto()
    OVERFLOWED = auto()
    OTHER = auto()
    OVER = auto()


@dataclass
class _Batch:
    calls: dict[str, CallView] = field(default_factory=dict)
    turns: dict[tuple[str, str], TurnView] = field(default_factory=dict)
    tools: dict[tuple[str, str], ToolView] = field(default_factory=dict)
    entries: list[tuple[str, int, int, str, bytes]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.calls or self.turns or self.tools or self.entries)

    def before(self, newer: _Batch) -> None:
        """Put what ``newer`` holds behind what is here."""
        self.calls |= newer.calls
        self.turns |= newer.turns
        self.tools |= newer.tools
        self.entries += newer.entries

    def trim(self) -> int:
        """Leave out the newest beyond `MAX_ENTRIES` of a kind. Returns how many there were."""
        lost = len(self.entries)
        del self.entries[MAX_ENTRIES:]
        lost -= len(self.entries)
        kinds: tuple[dict[Any, Any], ...] = (self.calls, self.turns, self.tools)
        for views in kinds:
            for key in list(islice(views, MAX_ENTRIES, None)):
                del views[key]
                lost += 1
        return lost


class Journal:
    """The journal in ``path``, open for writing; one process at a time may have it.

    told: hears of trouble, with words for the operator, and of its end; called from the journal's
    thread, or while opening. Opening reads the disk and may take a moment; it raises OSError or
    sqlite3.Error when there can be no journal at all.
    """

    def __init__(
        self,
        path: Path,
        told: Callable[[Trouble, str], None] = lambda trouble, words: None,
        unix_ms: Callable[[], int] = lambda: round(time.time() * 1000),
    ) -> None:
        self.path = path
        self._told = told
        self._unix_ms = unix_ms
        self._lock = threading.Lock()
        self._pending = _Batch()
        self._phases: dict[str, Phase] = {}
        self._up: dict[str, CallView] = {}
        self._news = threading.Event()
        self._urgent = threading.Event()
        self._written = threading.Condition()
        self._writing = False
        self._closing = False
        self._deadline_s = 0.0
        self._trouble: Trouble | None = None
        self._is_broken = False
        self._overflowed = 0
        self._database = self._open()
        self._unfinished = self._end_unfinished()
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    # ── writing: from any thread, returns at once, raises nothing ──

    def call(self, view: CallView) -> None:
        """The newest state of a call."""
        with self._lock:
            self._pending.calls[view.call_id] = view
            urgent = self._phases.get(view.call_id) is not view.phase
            if urgent:
                self._phases[view.call_id] = view.phase
                if view.phase is Phase.ENDED:
                    del self._phases[view.call_id]
        self._news.set()
        if urgent:
            self._urgent.set()

    def turn(self, view: TurnView) -> None:
        """The newest state of a line of the transcript."""
        with self._lock:
            self._pending.turns[view.call_id, view.turn_id] = view
        self._news.set()

    def tool(self, view: ToolView) -> None:
        """The newest state of a tool call."""
        with self._lock:
            self._pending.tools[view.call_id, view.tool_id] = view
        self._news.set()

    def entry(self, call_id: str, at_ms: int, kind: str, body: object) -> None:
        """Something that happened at call time ``at_ms``.

        kind: "input", "effects", "operator", … ; body: anything that msgspec can write as JSON.
        Beyond `MAX_ENTRIES` not yet written the new ones are lost, counted and told of.
        """
        row = (call_id, at_ms, self._unix_ms(), kind, _json(body))
        with self._lock:
            if len(self._pending.entries) < MAX_ENTRIES:
                self._pending.entries.append(row)
            else:
                self._overflowed += 1
        self._news.set()

    def flush(self, patience_s: float = 5.0) -> bool:
        """Wait until everything handed over so far is committed; False when that took too long."""
        self._urgent.set()
        self._news.set()
        with self._written:
            return self._written.wait_for(lambda: not self._pending and not self._writing, patience_s)

    def close(self, patience_s: float = 5.0) -> bool:
        """Write the rest and end; False when the disk did not let it in time, and it is lost."""
        self._deadline_s = time.monotonic() + patience_s
        self._closing = True
        self._urgent.set()
        self._news.set()
        self._thread.join(patience_s)
        return not self._thread.is_alive() and not self._pending

    def unfinished(self) -> tuple[CallView, ...]:
        """The calls that a bridge before this one left up, as they are in the journal now: ended."""
        return self._unfinished

    def knows(self, call_sid: str) -> bool:
        """Whether a call of this CallSid is in the file. Reads the disk, for a moment; a locked one knows of none."""
        try:
            with _reading(self.path, KNOWN_MS) as database:
                found = database.execute("SELECT 1 FROM calls WHERE call_sid = ? LIMIT 1", (call_sid,)).fetchone()
        except sqlite3.Error:
            return False
        return found is not None

    # ── the thread ──

    def _work(self) -> None:
        alive_s = 0.0
        while True:
            self._news.wait(ALIVE_S if self._up else None)
            self._news.clear()
            self._urgent.wait(RETRY_S if self._trouble and not self._closing else BATCH_S)
            closing = self._closing
            self._urgent.clear()
            now_s = time.monotonic()
            alive = bool(self._up) and now_s - alive_s >= ALIVE_S
            if self._pending or alive:
                if not self._try(alive):
                    self._news.set()
                elif alive:
                    alive_s = now_s
            if closing and (not self._pending or now_s >= self._deadline_s):
                break
        with suppress(sqlite3.Error):
            self._database.close()

    def _try(self, alive: bool) -> bool:
        """Write what is pending; False when it has to be tried again."""
        with self._lock:
            self._writing = True
            batch, self._pending = self._pending, _Batch()
            overflowed, self._overflowed = self._overflowed, 0
        try:
            self._write(batch, alive)
        except Exception as error:
            with self._lock:
                batch.before(self._pending)
                self._pending = batch
                self._overflowed += overflowed + batch.trim()
            self._suffer(error)
            return False
        for view in batch.calls.values():
            if view.phase is Phase.ENDED:
                self._up.pop(view.call_id, None)
            else:
                self._up[view.call_id] = view
        if self._trouble not in (None, Trouble.BROKEN):
            self._say(Trouble.OVER, "The journal is being written again.")
        self._trouble = None
        if overflowed:
            self._say(Trouble.OVERFLOWED, f"{overflowed} entries of the journal were lost: it could not keep up.")
        with self._written:
            self._writing = False
            self._written.notify_all()
        return True

    def _write(self, batch: _Batch, alive: bool) -> None:
        database, now_ms = self._database, self._unix_ms()
        turning = any(self._is_turning(view) for view in batch.calls.values())
        database.execute(f"PRAGMA synchronous = {'FULL' if turning else 'NORMAL'}")
        database.execute("BEGIN IMMEDIATE")
        try:
            database.executemany(_PUT_CALL, [_call_row(view, now_ms) for view in batch.calls.values()])
            database.executemany(
                "INSERT OR REPLACE INTO turns VALUES (?, ?, ?)",
                [(*key, _json(turn)) for key, turn in batch.turns.items()],
            )
            database.executemany(
                "INSERT OR REPLACE INTO tools VALUES (?, ?, ?)",
                [(*key, _json(tool)) for key, tool in batch.tools.items()],
            )
            database.executemany("INSERT INTO entries VALUES (NULL, ?, ?, ?, ?, ?)", batch.entries)
            if alive or batch.calls:
                database.execute("UPDATE alive SET unix_ms = ?", (now_ms,))
            database.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                database.execute("ROLLBACK")
            raise

    def _is_turning(self, view: CallView) -> bool:
        known = self._up.get(view.call_id)
        return known is None or known.phase is not view.phase

    def _suffer(self, error: Exception) -> None:
        """Something is wrong: say so once, and mend what can be mended."""
        trouble, words = _diagnose(error)
        if trouble is not self._trouble:
            self._trouble = trouble
            log.warning("the journal is in trouble: %s", type(error).__name__)
            if trouble is not Trouble.BROKEN:
                self._say(trouble, words)
        if trouble is Trouble.BROKEN or self._is_broken:
            self._begin_afresh()

    def _begin_afresh(self) -> None:
        """The file is broken: it is put aside, now or as soon as that can be done."""
        with suppress(sqlite3.Error):
            self._database.close()
        try:
            aside = _set_aside(self.path, "broken", self._unix_ms())
            self._database = self._connect()
        except (OSError, sqlite3.Error):
            if not self._is_broken:
                self._is_broken = True
                self._say(Trouble.BROKEN, "The journal's broken file cannot be moved yet. Calls go on unwritten.")
            return
        self._is_broken = False
        with self._lock:
            self._pending.calls = self._up | self._pending.calls
        self._say(Trouble.BROKEN, f"The journal's file is broken. It was kept as {aside.name}. Calls go on.")

    def _say(self, trouble: Trouble, words: str) -> None:
        try:
            self._told(trouble, words)
        except Exception:
            log.exception("nobody could be told of the journal's trouble")

    # ── opening ──

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            database = self._connect()
            if self.path.stat().st_size < _CHECKED_BYTES:
                (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
                if verdict != "ok":
                    database.close()
                    raise sqlite3.DatabaseError(verdict)
            return database
        except sqlite3.DatabaseError as error:
            trouble, words = _diagnose(error)
            if trouble is not Trouble.BROKEN:
                raise
        except NewerJournal:
            trouble, words = (
                Trouble.BROKEN,
                "The journal was written by a newer Cordboard and cannot be used by this one.",
            )
        aside = _set_aside(self.path, "aside", self._unix_ms())
        self._say(trouble, f"{words} It was kept as {aside.name}, and a fresh one begun.")
        return self._connect()

    def _connect(self) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        database = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version > len(MIGRATIONS):
                raise NewerJournal
            for number, migration in enumerate(MIGRATIONS[version:], version + 1):
                database.executescript(f"BEGIN; {migration} PRAGMA user_version = {number}; COMMIT;")
        except BaseException:
            database.close()
            raise
        return database

    def _end_unfinished(self) -> tuple[CallView, ...]:
        database = self._database
        (alive_ms,) = database.execute("SELECT unix_ms FROM alive").fetchone()
        rows = database.execute("SELECT call_id, seen_unix_ms, view FROM calls WHERE phase != 'ended'").fetchall()
        ended = []
        for call_id, seen_ms, blob in rows:
            last_ms, last_unix_ms = database.execute(
                "SELECT max(at_ms), max(unix_ms) FROM entries WHERE call_id = ?", (call_id,)
            ).fetchone()
            seen_ms = max(seen_ms, alive_ms, last_unix_ms or 0)
            view = _ended_view(msgspec.json.decode(blob, type=CallView), seen_ms, last_ms or 0)
            ended.append((view, seen_ms))
        if ended:
            database.execute("BEGIN IMMEDIATE")
            database.executemany(_PUT_CALL, [_call_row(view, seen_ms) for view, seen_ms in ended])
            database.execute("COMMIT")
        return tuple(view for view, _ in ended)


class NewerJournal(Exception):
    """The file has a schema that this version does not know."""


_CHECKED_BYTES = 32 * 2**20
_PUT_CALL = "INSERT OR REPLACE INTO calls VALUES (?, ?, ?, ?, ?, ?)"


def _json(body: object) -> bytes:
    """JSON, whatever odd characters a peer may have sent: a batch must never fail for ever."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(body), ensure_ascii=False).encode("utf-8", "replace")


def _call_row(view: CallView, seen_ms: int) -> tuple[str, str, str, int, int, bytes]:
    blob = _json(view)
    return view.call_id, view.call_sid, view.phase.value, view.started_unix_ms, seen_ms, blob


def _ended_view(view: CallView, seen_ms: int, last_ms: int) -> CallView:
    """The call as it was when its bridge was last known to live."""
    begun = view.clock_ms or view.phase in (Phase.CONNECTING, Phase.LIVE)
    lasted_ms = seen_ms - view.started_unix_ms if view.started_unix_ms and begun else 0
    return msgspec.structs.replace(
        view,
        phase=Phase.ENDED,
        floor=Floor.NOBODY,
        floor_holder="",
        speaking=Party.NOBODY,
        activity=f"Ended · {BRIDGE_STOPPED}",
        needs=(),
        recording=Recording.PARTIAL if view.recording is Recording.ON else view.recording,
        clock_ms=max(view.clock_ms, last_ms, lasted_ms),
        session_expires_ms=None,
        coming="",
        end_cause=BRIDGE_STOPPED,
        allowed=(),
        why_not={},
    )


def _diagnose(error: Exception) -> tuple[Trouble, str]:
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None
    if primary in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return Trouble.FULL, "The journal cannot be written: the disk is full or failing. Free some space; calls go on."
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Trouble.LOCKED, "Another program holds the journal. It is written once that one lets go; calls go on."
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or type(error) is sqlite3.DatabaseError:
        return Trouble.BROKEN, "The journal's file is broken."
    return Trouble.OTHER, "The journal cannot be written now; it is tried again every second. Calls go on."


def _set_aside(path: Path, word: str, unix_ms: int) -> Path:
    """Rename the database and what belongs to it, so that nothing of it is lost."""
    aside = path.with_name(f"{path.stem}.{word}-{unix_ms}{path.suffix}")
    for ending in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            os.replace(f"{path}{ending}", f"{aside}{ending}")
    return aside


# ── reading, from any process at any time ─────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. body: the JSON that was written."""

    number: int
    at_ms: int
    unix_ms: int
    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class CallRecord:
    """All that the journal holds of a call; turns and tools in conversation order."""

    view: CallView
    turns: tuple[TurnView, ...]
    tools: tuple[ToolView, ...]
    entries: tuple[Entry, ...]

    @property
    def inputs(self) -> tuple[Entry, ...]:
        """What was fed to the call's machines, in order: feed it again and get the same effects."""
        return tuple(entry for entry in self.entries if entry.kind == "input")


def recent(path: Path, limit: int = 100) -> tuple[CallView, ...]:
    """The newest calls, newest first. Raises sqlite3.Error."""
    with _reading(path) as database:
        rows = database.execute("SELECT view FROM calls ORDER BY started_unix_ms DESC LIMIT ?", (limit,)).fetchall()
    return tuple(msgspec.json.decode(blob, type=CallView) for (blob,) in rows)


def read(path: Path, call_id: str) -> CallRecord | None:
    """One call's record, or None when there is no such call. Raises sqlite3.Error."""
    with _reading(path) as database:
        row = database.execute("SELECT view FROM calls WHERE call_id = ?", (call_id,)).fetchone()
        if row is None:
            return None
        turns = database.execute("SELECT view FROM turns WHERE call_id = ?", (call_id,)).fetchall()
        tools = database.execute("SELECT view FROM tools WHERE call_id = ?", (call_id,)).fetchall()
        entries = database.execute(
            "SELECT number, at_ms, unix_ms, kind, body FROM entries WHERE call_id = ? ORDER BY number", (call_id,)
        ).fetchall()
    decode = msgspec.json.decode
    return CallRecord(
        decode(row[0], type=CallView),
        tuple(sorted((decode(blob, type=TurnView) for (blob,) in turns), key=lambda turn: (turn.start_ms, turn.order))),
        tuple(sorted((decode(blob, type=ToolView) for (blob,) in tools), key=lambda tool: (tool.start_ms, tool.order))),
        tuple(Entry(*entry) for entry in entries),
    )


@contextmanager
def _reading(path: Path, busy_ms: int = BUSY_MS) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=busy_ms / 1000)
    try:
        yield database
    finally:
        database.close()
