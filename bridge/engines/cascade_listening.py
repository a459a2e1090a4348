"""A cascade's transcriber at work: kept going through the loss of one, and what it hears in the words of one.

A transcriber that is lost is followed by another at once, which first gets the newest 2 s again: what
was said into the dead line. Its words are put behind those that were known, without what both heard.
"""

from __future__ import annotations

import asyncio
from collections import deque

from bridge.engines import EngineLost
from bridge.engines.speech import MakeTranscriber, Transcriber, Words
from bridge.transcript import spoken_words

KEPT_FRAMES = 100
"""The newest 2 s."""

AGAIN_AFTER_S = 10.0
"""One that is lost sooner than this after the last was replaced is not replaced."""

KEPT_PARTS = 64


class Listening:
    """What is heard by one transcriber after the other.

    words: is told of it, by ids that no two of them share. replaced: how often one was.
    """

    def __init__(self, make: MakeTranscriber, words: Words) -> None:
        self.replaced = 0
        self._make = make
        self._words = words
        self._transcriber: Transcriber | None = None
        self._kept: deque[tuple[bytes, int]] = deque(maxlen=KEPT_FRAMES)
        self._open: dict[str, str] = {}
        self._known_until = ""
        self._deaf_to: deque[str] = deque(maxlen=KEPT_PARTS)
        self._closing = False

    async def run(self) -> None:
        """Listen until `close`. Raises EngineLost when a transcriber is refused, or two are lost in a row."""
        loop = asyncio.get_running_loop()
        again_from_s = loop.time()
        while True:
            self._transcriber = transcriber = self._make()
            for mulaw, at_ms in self._kept:
                transcriber.hear(mulaw, at_ms)
            try:
                await transcriber.run(_Ear(self, self.replaced))
                return
            except EngineLost as lost:
                if lost.fatal or self._closing or (self.replaced and loop.time() < again_from_s):
                    raise
            finally:
                self._transcriber = None
                await transcriber.close()
            again_from_s = loop.time() + AGAIN_AFTER_S
            self._carry_over()
            self.replaced += 1

    def hear(self, mulaw: bytes, at_ms: int) -> None:
        """One frame. Fifty times a second."""
        self._kept.append((mulaw, at_ms))
        if self._transcriber is not None:
            self._transcriber.hear(mulaw, at_ms)

    def pause(self) -> None:
        """The caller makes no sound."""
        if self._transcriber is not None:
            self._transcriber.pause()

    def forget(self) -> None:
        """What was said until now was not meant to be heard."""
        self._kept.clear()
        self._deaf_to.extend(self._open)
        self._open.clear()
        self._known_until = ""

    async def close(self) -> None:
        """End within 2 s."""
        self._closing = True
        if self._transcriber is not None:
            await self._transcriber.close()

    def _carry_over(self) -> None:
        """The words that the lost one knew are final now; another may hear the last of them again."""
        known = list(self._open.items())
        self._known_until = " ".join(text for _, text in known)
        self._open.clear()
        for part_id, text in known:
            if text:
                self._words.heard(part_id, text, True)
            else:
                self._words.failed(part_id, "the connection was lost")

    # ── what one of them tells ──

    def begun(self, part_id: str) -> bool:
        """Whether this part is anyone's to hear. The newest few are kept as open."""
        if part_id in self._deaf_to:
            return False
        self._open.setdefault(part_id, "")
        if len(self._open) > KEPT_PARTS:
            del self._open[next(iter(self._open))]
        return True

    def started(self, part_id: str, at_ms: int) -> None:
        """See `Words.started`."""
        if self.begun(part_id):
            self._words.started(part_id, at_ms)

    def heard(self, part_id: str, text: str, final: bool) -> None:
        """See `Words.heard`."""
        if not self.begun(part_id):
            return
        if self._known_until:
            text = beyond(self._known_until, text)
        self._open[part_id] = text
        if final:
            del self._open[part_id]
            self._known_until = ""
        self._words.heard(part_id, text, final)

    def failed(self, part_id: str, reason: str) -> None:
        """See `Words.failed`."""
        self._open.pop(part_id, None)
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
    again: list[str] = []
    more = text
    for count, word in enumerate(words, 1):
        again += spoken_words(word)
        if again and before[-len(again) :] == again:
            more = " ".join(words[count:])
    return more
