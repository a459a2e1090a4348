"""A cascade's transcriber at work: kept going through the loss of one, and what it hears in the words of one.

A transcriber that is lost is followed by another at once, and so is one that writes nothing while the
caller speaks; where none can be had it is tried again for a moment. The next one first gets again what was
said and has no final words yet, up to 10 s of it; its words are put behind those that were known, without
what both heard.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from bridge.audio import FRAME_MS
from bridge.engines import KEPT_MS, EngineLost
from bridge.engines.speech import MakeTranscriber, Transcriber, Words
from bridge.transcript import spoken_words

KEPT_FRAMES = KEPT_MS // FRAME_MS

BEFORE_MS = 300
"""So much before the beginning of what is heard again is heard again, too: a beginning is told late."""

AGAIN_AFTER_S = (0.0, 0.3, 0.9)
AGAIN_FOR_S = 2.0
"""One that is lost is replaced after these pauses, and not any more so long after the first of them in a row."""

STEADY_S = 10.0
"""After so long at work a loss is the first in a row."""

DEAF_MS = 1_500
"""Who hears so much speech and tells nothing of it, not even that it began, hears nothing. A cough is shorter."""

FRESH_MS = 1_000
"""A new one needs so much more until it can tell anything."""

GAP_MS = 1_000
"""Speech after so long a silence is another try at being heard."""

JUST_MS = 200
"""Parts that were over so shortly before a transcriber was lost were given up with it."""

KEPT_PARTS = 64


@dataclass(slots=True)
class _Part:
    """One that has no final words yet. at_ms: when it began; ended_ms: when it was over, if that was told."""

    at_ms: int
    text: str = ""
    ended_ms: int | None = None


class Listening:
    """What is heard by one transcriber after the other.

    words: is told of it, by ids that no two of them share. replaced: how often one was. replayed_bytes: sound
    that was sent once more.
    """

    def __init__(self, make: MakeTranscriber, words: Words) -> None:
        self.replaced = 0
        self.replayed_bytes = 0
        self._make = make
        self._words = words
        self._transcriber: Transcriber | None = None
        self._kept: deque[tuple[bytes, int]] = deque(maxlen=KEPT_FRAMES)
        self._now_ms = 0
        self._written_to_ms = 0
        self._paused_ms = 0
        self._open: dict[str, _Part] = {}
        self._over: deque[tuple[int, _Part]] = deque(maxlen=KEPT_PARTS)
        self._known_until = ""
        self._known_to_ms = 0
        self._deaf_to: deque[str] = deque(maxlen=KEPT_PARTS)
        self._spoke_ms = 0
        self._untold_ms = 0
        self._doubt: asyncio.Future[None] | None = None
        self._doubted = False
        self._closing = False

    async def run(self) -> None:
        """Listen until `close`. Raises EngineLost when a transcriber is refused for good, or many are lost in a row."""
        loop = asyncio.get_running_loop()
        from_ms, losses, first_lost_s = 0, 0, 0.0
        while not self._closing:
            begun_s, pause_s = loop.time(), 0.0
            self._transcriber = transcriber = self._make()
            for mulaw, at_ms in self._kept:
                if at_ms >= from_ms:
                    self.replayed_bytes += len(mulaw) if self.replaced else 0
                    transcriber.hear(mulaw, at_ms)
            self._untold_ms = -FRESH_MS
            self._doubt = loop.create_future()
            running = asyncio.ensure_future(transcriber.run(_Ear(self, self.replaced)))
            try:
                await asyncio.wait([running, self._doubt], return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    running.result()
                    return
            except EngineLost as lost:
                now_s = loop.time()
                if not losses or now_s - begun_s >= STEADY_S:
                    losses, first_lost_s = 0, now_s
                if lost.fatal or self._closing or losses == len(AGAIN_AFTER_S):
                    raise
                pause_s = AGAIN_AFTER_S[losses]
                if now_s + pause_s - first_lost_s > AGAIN_FOR_S:
                    raise
                losses += 1
            finally:
                self._transcriber = self._doubt = None
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                await transcriber.close()
            from_ms = self._carry_over()
            self.replaced += 1
            await asyncio.sleep(pause_s)

    def hear(self, mulaw: bytes, at_ms: int) -> None:
        """One frame. Fifty times a second."""
        self._now_ms = at_ms + FRAME_MS
        self._kept.append((mulaw, at_ms))
        if self._transcriber is not None:
            self._transcriber.hear(mulaw, at_ms)

    def speaks(self, at_ms: int) -> None:
        """In the frame of this time the caller speaks, as far as this machine can tell."""
        if at_ms - self._spoke_ms > GAP_MS:
            self._untold_ms = 0
        self._spoke_ms = at_ms
        self._untold_ms += FRAME_MS
        if self._untold_ms < DEAF_MS or self._open or self._doubted:
            return
        # It may be noise after all: whoever follows is not doubted before there were words again.
        if self._doubt is not None and not self._doubt.done():
            self._doubted = True
            self._doubt.set_result(None)

    def pause(self) -> None:
        """The caller makes no sound."""
        self._paused_ms = self._now_ms
        if self._transcriber is not None:
            self._transcriber.pause()

    def forget(self) -> None:
        """What was said until now was not meant to be heard."""
        self._kept.clear()
        self._deaf_to.extend(self._open)
        self._open.clear()
        self._over.clear()
        self._known_until = ""

    async def close(self) -> None:
        """End within 2 s."""
        self._closing = True
        if self._transcriber is not None:
            await self._transcriber.close()

    def _carry_over(self) -> int:
        """The words that the lost one knew are final now. Returns from when on another is to hear all again."""
        lost = [part for over_ms, part in self._over if self._now_ms - over_ms < JUST_MS]
        known = list(self._open.items())
        lost += self._open.values()
        self._open.clear()
        self._over.clear()
        if known_until := " ".join(part.text for part in lost if part.text):
            # Otherwise what one before it knew may still be to be heard again.
            self._known_until, self._known_to_ms = known_until, self._now_ms
        for part_id, part in known:
            if part.text:
                self._words.heard(part_id, part.text, True)
            else:
                self._words.failed(part_id, "the connection was lost")
        return min((part.at_ms - BEFORE_MS for part in lost), default=self._written_to_ms)

    # ── what one of them tells ──

    def begun(self, part_id: str) -> bool:
        """Whether this part is anyone's to hear. The newest few are kept as open."""
        self._untold_ms, self._doubted = 0, False
        if part_id in self._deaf_to:
            return False
        self._open.setdefault(part_id, _Part(self._written_to_ms))
        if len(self._open) > KEPT_PARTS:
            del self._open[next(iter(self._open))]
        return True

    def started(self, part_id: str, at_ms: int) -> None:
        """See `Words.started`."""
        if not self.begun(part_id):
            return
        self._open[part_id].at_ms = at_ms
        if at_ms >= self._known_to_ms:
            # It was said after what the lost one knew.
            self._known_until = ""
        self._words.started(part_id, at_ms)

    def heard(self, part_id: str, text: str, final: bool) -> None:
        """See `Words.heard`."""
        if not self.begun(part_id):
            return
        if self._known_until:
            known, told = self._known_until, text
            text = beyond(known, told)
            if final:
                self._known_until = left_of(known, told)
        self._open[part_id].text = text
        if final:
            self._written(self._open.pop(part_id))
        self._words.heard(part_id, text, final)

    def _written(self, part: _Part) -> None:
        """What was said until the end of this part need not be heard again."""
        self._over.append((self._now_ms, part))
        ended_ms = part.ended_ms
        if ended_ms is None and self._paused_ms > part.at_ms:
            ended_ms = self._paused_ms
        self._written_to_ms = max(self._written_to_ms, ended_ms or 0)

    def failed(self, part_id: str, reason: str) -> None:
        """See `Words.failed`."""
        self._untold_ms, self._doubted = 0, False
        if (part := self._open.pop(part_id, None)) is not None:
            self._over.append((self._now_ms, part))
        if part_id not in self._deaf_to:
            self._words.failed(part_id, reason)

    def may_end(self, part_id: str) -> None:
        """See `Words.may_end`."""
        if part_id not in self._deaf_to:
            self._words.may_end(part_id)

    def goes_on(self, part_id: str) -> None:
        """See `Words.goes_on`."""
        if part_id not in self._deaf_to:
            self._words.goes_on(part_id)

    def ended(self, part_id: str, at_ms: int) -> None:
        """See `Words.ended`."""
        if part_id in self._open:
            self._open[part_id].ended_ms = at_ms
        else:
            self._written_to_ms = max(self._written_to_ms, at_ms)
        if part_id not in self._deaf_to:
            self._words.ended(part_id, at_ms)


class _Ear(Words):
    """What one transcriber tells, with ids that tell it from the others."""

    def __init__(self, listening: Listening, number: int) -> None:
        self._listening = listening
        self._number = number

    def _id(self, turn_id: str) -> str:
        return f"{self._number}.{turn_id}"

    def started(self, turn_id: str, at_ms: int) -> None:
        self._listening.started(self._id(turn_id), at_ms)

    def heard(self, turn_id: str, text: str, final: bool) -> None:
        self._listening.heard(self._id(turn_id), text, final)

    def failed(self, turn_id: str, reason: str) -> None:
        self._listening.failed(self._id(turn_id), reason)

    def may_end(self, turn_id: str) -> None:
        self._listening.may_end(self._id(turn_id))

    def goes_on(self, turn_id: str) -> None:
        self._listening.goes_on(self._id(turn_id))

    def ended(self, turn_id: str, at_ms: int) -> None:
        self._listening.ended(self._id(turn_id), at_ms)


def beyond(known: str, text: str) -> str:
    """What a text says that was heard again from somewhere within the known words on."""
    before, words = spoken_words(known), text.split()
    if _end_of(spoken_words(text), before) is not None:
        return ""
    again: list[str] = []
    more = text
    for count, word in enumerate(words, 1):
        again += spoken_words(word)
        if again and before[-len(again) :] == again:
            more = " ".join(words[count:])
    return more


def left_of(known: str, text: str) -> str:
    """The known words behind those of a text that is a part of them; "" behind any other."""
    before = spoken_words(known)
    end = _end_of(spoken_words(text), before)
    return "" if end is None else " ".join(before[end:])


def _end_of(part: list[str], words: list[str]) -> int | None:
    """Where a part of these words ends in them, None if it is none."""
    ends = range(len(part), len(words) + 1)
    return next((end for end in ends if words[end - len(part) : end] == part), None)
