"""The line to the caller's ear: AI or operator audio out, and what was heard of it.

`playout` decides what leaves when; this sends it, comes back in time for more, and reports every
piece that was heard to the recording, the waveform and the transcript.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import ceil
from typing import TypeAlias

from bridge.carriers.twilio import Outgoing
from bridge.control import Party, Side
from bridge.house import Recorder, Stream
from bridge.picture import Picture
from bridge.playout import Cut, Heard, Playout

TALK, SAY, KEYS, HOLD = "talk-", "say-", "keys-", "hold-"
"""Items of an operator's speech are called talk-1, talk-2 …, typed words that a speech engine speaks
for them say-1 …, their keypad tones keys-1 …, the sound of a hold hold-1 …; all others are the AI's."""

Ear: TypeAlias = Callable[[Side, int, bytes, str], None]
"""Hears one side of a call as it goes by: (whose side, call time in ms, mu-law, console whose
operator is speaking or "")."""


def voice_of(item_id: str) -> Party:
    """Whose voice an item is; NOBODY for ""."""
    if not item_id or item_id.startswith(HOLD):
        return Party.NOBODY
    return Party.OPERATOR if item_id.startswith((TALK, SAY, KEYS)) else Party.AI


class Line:
    """One call's outgoing audio at work. now_ms: tells call time. broke: hears of a fault of ours."""

    def __init__(
        self,
        stream: Stream,
        picture: Picture,
        recorder: Recorder | None,
        now_ms: Callable[[], float],
        broke: Callable[[Exception], None],
    ) -> None:
        self.playout = Playout()
        self.ears: dict[object, Ear] = {}
        self.talkers: dict[str, str] = {}
        """The console that speaks, by item of an operator's speech."""

        self.unkept: set[str] = set()
        """Items that only the caller hears: tones that tell a card's number, or were pressed in a privacy hold."""

        self.on_played: Callable[[str], None] = lambda item_id: None
        """Hears that a finished item was heard to its end."""

        self._finished: set[str] = set()
        self._stream = stream
        self._picture = picture
        self._recorder = recorder
        self._now_ms = now_ms
        self._broke = broke
        self._loop = asyncio.get_running_loop()
        self._out = Outgoing(stream.stream_sid)
        self._timer: asyncio.TimerHandle | None = None
        self._begun: set[str] = set()

    def speak(self, item_id: str, mulaw: bytes) -> None:
        """Queue audio; what may leave leaves at once."""
        self.playout.push(item_id, mulaw)
        if self._timer is None:
            self._pump()

    def _pump(self) -> None:
        """Send what is due, and be back when more will be."""
        self._timer = None
        now_ms = self._now_ms()
        pieces, again_ms = self.playout.due(now_ms)
        for payload, mark in pieces:
            self._stream.send(self._out.media(payload))
            if mark:
                self._stream.send(self._out.mark(mark))
        if again_ms is not None:
            # Whole ms, rounded up: a loop's timers may be that coarse, and one that fires early would spin.
            self._timer = self._loop.call_later(ceil(again_ms - now_ms) / 1000, self._pump_again)

    def _pump_again(self) -> None:
        try:
            self._pump()
        except Exception as fault:
            self._broke(fault)

    def finish(self, item_id: str) -> None:
        """No more audio of this item will come."""
        self._finished.add(item_id)
        mark = self.playout.finish(item_id)
        if mark:
            self._stream.send(self._out.mark(mark))

    def ask_mark(self, name: str) -> None:
        """Have the carrier return a mark of ours that stands for no audio."""
        self._stream.send(self._out.mark(name))

    def marked(self, name: str) -> None:
        """The carrier returned a mark."""
        if self.playout.marked(name, self._now_ms()) and self._timer is not None:
            self._timer.cancel()
            self._pump()

    def stalled(self) -> None:
        """We stood still; the carrier did not."""
        self.playout.stalled()

    def cut(self, *, clear: bool = True) -> Cut:
        """Stop at once; the carrier forgets what it still holds (clear) or is gone anyway."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_ms = self._now_ms()
        heard, cut = self.playout.cut(now_ms)
        self._finished.clear()
        self._hear(heard)
        if clear and cut.needs_clear:
            self._stream.send(self._out.clear())
            self._picture.message(now_ms, "twilio", True, "clear", "")
        if voice_of(cut.item_id) is Party.AI or cut.item_id.startswith(SAY):
            self._picture.ghost(now_ms, cut.unheard)
        return cut

    def advance(self) -> None:
        """Take note of what was heard since the last time."""
        self._hear(self.playout.advance(self._now_ms()))
        if self._finished:
            for item_id in [name for name in self._finished if not self.playout.holds(name)]:
                self._finished.discard(item_id)
                self.on_played(item_id)
        voice = voice_of(self.playout.playing)
        if voice is not self._picture.line_voice:
            self._picture.line_voice = voice
            self._picture.changed()

    def _hear(self, heard: list[Heard]) -> None:
        for piece in heard:
            if piece.item_id in self.unkept:
                continue
            voice = voice_of(piece.item_id)
            for ear in self.ears.values():
                ear(Side.LINE, round(piece.start_ms), piece.audio, self.talkers.get(piece.item_id, ""))
            if not self._picture.call.private:
                self._picture.waveform.add_line(piece.start_ms, piece.audio, voice)
                if self._recorder is not None:
                    self._recorder.line(round(piece.start_ms), piece.audio)
            if piece.item_id not in self._begun:
                self._begun.add(piece.item_id)
                self._picture.first_heard(piece.item_id, piece.start_ms)
            if voice is Party.AI or piece.item_id.startswith(SAY):
                self._picture.lines(self._picture.transcript.heard(piece.item_id, piece.start_ms, len(piece.audio)))
