"""What to send to the carrier and when, and what the caller has heard. Pure: time comes in.

AI audio arrives faster than real time, so what was made is not what was heard. Audio waits here
and leaves at most `LEAD_MS` ahead of the caller's ear; a stopped carrier could otherwise hide
minutes of it in socket buffers, and a `clear` would come too late. A mark follows every
`MARK_MS` of audio, and the last of an item.

The caller's ear is the clock, corrected by marks: a mark that comes back late tells by how much
the ear is behind. Sending keeps to the clock all the same, since up to `TRAVEL_MS` of that is the
way there and back, in which the carrier must not run dry. A mark that is overdue stops the ear
where it stands, and with it the sending; one that never comes is given up after
`MARK_PATIENCE_MS`, and the clock alone decides until a mark comes back again.
Mark names carry a generation, raised by every cut: `clear` returns all marks at once, and those
of an older generation say nothing about hearing.

All times are call time in ms (floats allowed); audio is mu-law 8 kHz, 8 bytes a ms.
Source: Twilio docs, "Media Streams: WebSocket Messages", mark and clear (read 2026-11).
"""

from __future__ import annotations

from binascii import b2a_base64
from collections import deque
from dataclasses import dataclass

from bridge.audio import BYTES_PER_MS, FRAME_BYTES

LEAD_MS = 240
TOP_UP_MS = 120
MARK_MS = 300
MARK_GRACE_MS = 250
MARK_PATIENCE_MS = 2000
TRAVEL_MS = 600
KEPT_MARKS = 256
MAX_WAITING_BYTES = 2_000_000
KEPT_ITEMS = 64
"""Of so many items, the newest, it is known how much was sent."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Audio that reached the caller at ``start_ms``, which is ``item_id``'s from ``offset_ms`` on."""

    item_id: str
    start_ms: float
    offset_ms: float
    audio: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """What a cut left unheard.

    item_id: in play at the cut, "" when nothing was. heard_ms: of that item, over its whole
    length. unheard: what the caller would have heard next. needs_clear: the carrier still holds
    audio. dropped: further items of which nothing was heard.
    """

    item_id: str
    heard_ms: int
    unheard: bytes
    needs_clear: bool
    dropped: tuple[str, ...] = ()


@dataclass(slots=True)
class _Sent:
    item_id: str
    audio: bytes
    start_ms: float
    offset_bytes: int


class Playout:
    """One call's outgoing audio."""

    def __init__(self) -> None:
        self.generation = 0
        self.overflow_bytes = 0
        self._waiting: deque[tuple[str, bytearray]] = deque()
        self._waiting_bytes = 0
        self._sent: deque[_Sent] = deque()
        self._marks: deque[tuple[str, float]] = deque(maxlen=KEPT_MARKS)
        self._end_ms = 0.0
        self._marked_ms = 0.0
        self._late_ms = 0.0
        self._unanswered = False
        self._sent_bytes: dict[str, int] = {}
        self._finished: set[str] = set()
        self._numbered = 0

    def push(self, item_id: str, audio: bytes) -> None:
        """Queue mu-law of ``item_id``. Beyond `MAX_WAITING_BYTES` it is dropped and counted."""
        if self._waiting_bytes + len(audio) > MAX_WAITING_BYTES:
            self.overflow_bytes += len(audio)
            return
        self._waiting_bytes += len(audio)
        if self._waiting and self._waiting[-1][0] == item_id:
            self._waiting[-1][1].extend(audio)
        else:
            self._waiting.append((item_id, bytearray(audio)))

    def finish(self, item_id: str) -> str:
        """No more of this item will be pushed. Returns the name of a mark to send now, or ""."""
        if any(waiting == item_id for waiting, _ in self._waiting):
            self._finished.add(item_id)
            return ""
        return self._mark() if self._end_ms > self._marked_ms else ""

    def due(self, now_ms: float) -> tuple[list[tuple[str, str]], float | None]:
        """What to send now, and when to ask again (None: when more is pushed).

        Each piece is (base64 mu-law, name of the mark to send after it or "").
        """
        pieces: list[tuple[str, str]] = []
        while self._waiting:
            at_ms = self._stop_ms(now_ms)
            if at_ms is None:
                at_ms = now_ms - max(0.0, self._late_ms - TRAVEL_MS)
            room_ms = at_ms + LEAD_MS - max(self._end_ms, at_ms)
            if room_ms < TOP_UP_MS and room_ms < self._waiting_bytes / BYTES_PER_MS:
                return pieces, now_ms + TOP_UP_MS - max(room_ms, 0.0)
            pieces.append(self._send(now_ms, int(room_ms * BYTES_PER_MS)))
        return pieces, None

    def _send(self, now_ms: float, room_bytes: int) -> tuple[str, str]:
        item_id, waiting = self._waiting[0]
        if len(waiting) > room_bytes:
            room_bytes -= room_bytes % FRAME_BYTES
            audio = bytes(waiting[:room_bytes])
            del waiting[:room_bytes]
        else:
            audio = bytes(waiting)
            self._waiting.popleft()
        self._waiting_bytes -= len(audio)
        offset = self._sent_bytes.get(item_id, 0)
        if item_id not in self._sent_bytes and len(self._sent_bytes) == KEPT_ITEMS:
            del self._sent_bytes[next(iter(self._sent_bytes))]
        self._sent_bytes[item_id] = offset + len(audio)
        start_ms = max(now_ms, self._end_ms)
        self._sent.append(_Sent(item_id, audio, start_ms, offset))
        self._end_ms = start_ms + len(audio) / BYTES_PER_MS
        is_last = item_id in self._finished and not (self._waiting and self._waiting[0][0] == item_id)
        if is_last:
            self._finished.discard(item_id)
        name = self._mark() if is_last or self._end_ms - self._marked_ms >= MARK_MS else ""
        return b2a_base64(audio, newline=False).decode(), name

    def _mark(self) -> str:
        self._numbered += 1
        self._marked_ms = self._end_ms
        name = f"{self.generation}:{self._numbered}"
        self._marks.append((name, self._end_ms))
        return name

    def marked(self, name: str, now_ms: float) -> bool:
        """The carrier returned a mark; False for one that says nothing (flushed, unknown)."""
        if not any(name == known for known, _ in self._marks):
            return False
        while True:
            known, end_ms = self._marks.popleft()
            if known == name:
                self._late_ms = max(0.0, now_ms - end_ms)
                self._unanswered = False
                return True

    def stalled(self) -> None:
        """Nothing was sent or read for a while: marks that come now are late by that, not by the caller's ear."""
        self._marks.clear()
        self._late_ms = 0.0

    def _ear_ms(self, now_ms: float) -> float:
        """How far along the sent timeline the caller has heard."""
        stop_ms = self._stop_ms(now_ms)
        return now_ms - self._late_ms if stop_ms is None else stop_ms

    def _stop_ms(self, now_ms: float) -> float | None:
        """Where the ear stands still, because of an overdue mark; None while it follows the clock."""
        if not self._marks or self._unanswered:
            return None
        _, end_ms = self._marks[0]
        overdue_ms = now_ms - self._late_ms - end_ms
        self._unanswered = overdue_ms > MARK_PATIENCE_MS
        return end_ms if MARK_GRACE_MS < overdue_ms <= MARK_PATIENCE_MS else None

    def advance(self, now_ms: float) -> list[Heard]:
        """The audio heard since the last call, oldest first."""
        ear_ms = self._ear_ms(now_ms)
        heard: list[Heard] = []
        while self._sent and self._sent[0].start_ms < ear_ms:
            sent = self._sent[0]
            count = min(len(sent.audio), int((ear_ms - sent.start_ms) * BYTES_PER_MS))
            if count < len(sent.audio):
                count -= count % FRAME_BYTES
                if not count:
                    break
            heard.append(Heard(sent.item_id, sent.start_ms, sent.offset_bytes / BYTES_PER_MS, sent.audio[:count]))
            if count == len(sent.audio):
                self._sent.popleft()
            else:
                sent.audio = sent.audio[count:]
                sent.start_ms += count / BYTES_PER_MS
                sent.offset_bytes += count
        return heard

    def holds(self, item_id: str) -> bool:
        """Whether any of this item is still to be heard, as of the last `advance`."""
        return any(sent.item_id == item_id for sent in self._sent) or any(item_id == name for name, _ in self._waiting)

    def ahead_ms(self, now_ms: float) -> float:
        """How long the carrier will be busy with what was given so far."""
        return max(0.0, self._end_ms - now_ms) + self._waiting_bytes / BYTES_PER_MS

    @property
    def unheard_ms(self) -> float:
        """Audio queued or sent that the caller has not heard, as of the last `advance`."""
        return (self._waiting_bytes + sum(len(sent.audio) for sent in self._sent)) / BYTES_PER_MS

    @property
    def playing(self) -> str:
        """The item that the caller hears or is about to hear, "" when all is quiet."""
        if self._sent:
            return self._sent[0].item_id
        return self._waiting[0][0] if self._waiting else ""

    def cut(self, now_ms: float) -> tuple[list[Heard], Cut]:
        """Drop all that was not heard. The `Heard` list is what `advance` would have returned."""
        heard = self.advance(now_ms)
        item_id = self.playing
        heard_bytes = 0
        if self._sent:
            heard_bytes = self._sent[0].offset_bytes
        elif item_id:
            heard_bytes = self._sent_bytes.get(item_id, 0)
        unheard = b"".join([sent.audio for sent in self._sent] + [bytes(audio) for _, audio in self._waiting])
        others = dict.fromkeys([sent.item_id for sent in self._sent] + [waiting for waiting, _ in self._waiting])
        others.pop(item_id, None)
        needs_clear = bool(self._sent or self._marks)
        self.generation += 1
        self._waiting.clear()
        self._waiting_bytes = 0
        self._finished.clear()
        self._sent.clear()
        self._marks.clear()
        self._end_ms = self._marked_ms = now_ms
        return heard, Cut(item_id, heard_bytes // BYTES_PER_MS, unheard, needs_clear, tuple(others))
