"""What a caller hears while they wait for an answer that does not come: that somebody is there.

Silence on a telephone line means that it is dead. After `SILENT_MS` of it a short line is spoken,
and after as much again the sound of a hold, until the AI speaks or a person does. None of it is
the AI's: it stands in no memory and in no figure of its own (`AnswerView.filler_ms`).
"""

from __future__ import annotations

from bridge import hold_sound
from bridge.control import Floor, Phase
from bridge.line import HOLD
from bridge.live import Live

SILENT_MS = 1900.0
"""Well below the 3 s after which people ask whether anybody is there.

It is counted from some 0.4 s after the last sound, and what is then spoken takes 0.2 s to the ear.
"""

SPOKE_TICKS = 4
"""A caller heard at so many ticks since the AI last was has said something, whatever the engine noticed."""

SPOKE_COUNTS_MS = 12_000
"""After so long without an answer it was no turn of theirs, but noise."""


class Filler:
    """One call's."""

    def __init__(self, live: Live) -> None:
        self.is_playing = False
        """Whether something of it is being heard, or may be."""

        self._live = live
        self._number = 0
        self._quiet_ms: float | None = None
        self._spoke_ticks = 0
        self._spoke_ms = 0.0

    def watch(self) -> None:
        """Every other tick: speaks when it has been quiet for too long."""
        live, now_ms = self._live, self._live.now_ms()
        line = live.line
        if line is None or (live.call.floor is not Floor.AI and live.call.phase is not Phase.CONNECTING):
            self._quiet_ms, self.is_playing = None, False
            return
        if playing := line.playout.playing:
            self._quiet_ms = None
            if not playing.startswith(HOLD):
                self._spoke_ticks = 0
            elif live.caller_sounds():
                self._caller_spoke(now_ms)
            return
        self.is_playing = False
        if live.caller_sounds():
            self._caller_spoke(now_ms)
            self._quiet_ms = None
            return
        if not self._is_awaited(now_ms):
            self._quiet_ms = None
            return
        if self._quiet_ms is None:
            self._quiet_ms = now_ms
            return
        if now_ms - self._quiet_ms < SILENT_MS:
            return
        self._number += 1
        item_id = f"{HOLD}filler-{self._number}"
        line.speak(item_id, hold_sound.moment() if self._number % 2 else hold_sound.loop())
        line.finish(item_id)
        self.is_playing, self._quiet_ms = True, None
        live.picture.filler_heard(now_ms)

    def stop(self) -> None:
        """The AI speaks: it is heard at once."""
        self.is_playing = False
        line = self._live.line
        if line is not None and line.playout.playing.startswith(HOLD):
            line.cut()

    def _caller_spoke(self, now_ms: float) -> None:
        """An engine that has gone deaf does not tell that the caller spoke: their sound does."""
        self._spoke_ticks += 1
        self._spoke_ms = now_ms

    def _is_awaited(self, now_ms: float) -> bool:
        """Whether it is our turn to speak. An engine may take the caller to be speaking who is silent."""
        live = self._live
        if live.call.phase is Phase.CONNECTING or live.awaited() or live.picture.caller_speaking:
            return True
        spoke = self._spoke_ticks >= SPOKE_TICKS and now_ms - self._spoke_ms < SPOKE_COUNTS_MS
        return spoke or live.picture.waited_ms(now_ms) > 0
