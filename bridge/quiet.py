"""The quiet moments of a call, in which something may change without cutting anybody off."""

from __future__ import annotations

from bridge.ai import AI
from bridge.control import Party
from bridge.line import voice_of
from bridge.live import Live

CALM_MS = 1000
"""What nobody waits for comes after so much quiet, so that nobody is just about to speak."""


class Quiet:
    """Looked at every so often by whoever waits for one."""

    def __init__(self, live: Live, ai: AI) -> None:
        self._live = live
        self._ai = ai
        self._since_ms: float | None = None

    @property
    def is_now(self) -> bool:
        """Whether nobody speaks, and nothing is owed to the caller."""
        live = self._live
        busy = live.picture.caller_speaking or self._ai.is_due or self._ai.awaits_words or live.caller_sounds()
        # A hold's sound, or a filler's, is nobody's speech.
        playing = live.line is not None and voice_of(live.line.playout.playing) is not Party.NOBODY
        return not busy and not playing

    @property
    def is_calm(self) -> bool:
        """Whether it was quiet for some time already when it was looked at last."""
        return self._since_ms is not None and self._live.now_ms() - self._since_ms >= CALM_MS

    @property
    def ai_is_heard(self) -> bool:
        """Whether the AI is in the middle of a sentence."""
        line = self._live.line
        return self._ai.is_speaking or (line is not None and voice_of(line.playout.playing) is Party.AI)

    def look(self, waits: bool) -> bool:
        """Whether it is quiet now, and somebody waits for that."""
        if not waits or not self.is_now:
            self._since_ms = None
        elif self._since_ms is None:
            self._since_ms = self._live.now_ms()
        return self._since_ms is not None
