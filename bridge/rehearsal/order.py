"""What is ordered of the telephone company, and the words for how a call stands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from bridge.rehearsal.media_stream import Tap

TIME_LIMIT_S = 4 * 3600


class Status(StrEnum):
    """Twilio's words for where a call is."""

    QUEUED = "queued"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    FAILED = "failed"
    NO_ANSWER = "no-answer"
    CANCELED = "canceled"


@dataclass(frozen=True)
class Order:
    """How a call is to be made. voice_url or twiml: what to do with it; status_events: which callbacks go to
    status_url; verdict: what comes of an outbound call; my_turn: waits until it may be dialled."""

    direction: str
    from_number: str
    to_number: str
    voice_url: str = ""
    voice_method: str = "POST"
    fallback_url: str = ""
    twiml: str = ""
    status_url: str = ""
    status_events: frozenset[str] = frozenset({"completed"})
    time_limit_s: int = TIME_LIMIT_S
    verdict: Status = Status.IN_PROGRESS
    my_turn: Callable[[], Awaitable[None]] | None = None
    keep_audio: bool = True
    wrong_webhook_signature: bool = False
    wrong_handshake_signature: bool = False
    tap: Tap | None = None


@dataclass
class Times:
    """When a call was made, answered and over."""

    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    answered: datetime | None = None
    ended: datetime | None = None

    @property
    def duration_s(self) -> int:
        """From answer to end; 0 when it never was answered."""
        return round((self.ended - self.answered).total_seconds()) if self.answered and self.ended else 0
