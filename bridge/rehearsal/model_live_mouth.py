"""What the rehearsal's GPT-Live says: one thing after the other, in real time, until somebody speaks over it."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.audio import BYTES_PER_MS
from bridge.rehearsal.mind import Plan, unsaid

if TYPE_CHECKING:
    from bridge.rehearsal.model_live import LiveSession

LEAD_S = 0.1
"""How much of its sound may be on its way, unheard."""

_WORDS = "session.output_transcript.delta"
_PIECE_MS = 20
_MOST_PIECES = 5


@dataclass
class _Utterance:
    """What is being said. content: the commentary it comes from, None for an answer. heard: 0..1."""

    plan: Plan
    content: str | None
    task: asyncio.Task[None] | None = None
    delegated: bool = False
    heard: float = 0.0


class Mouth:
    """One session's. plays_fixture: a client's own sound goes out, and nothing else is said.

    holds: it says nothing that it is not asked to.
    """

    def __init__(self, session: LiveSession) -> None:
        self.holds = False
        self.plays_fixture = False
        self._session = session
        self._wanted: deque[str | None] = deque()
        self._stirred = asyncio.Event()
        self._utterance: _Utterance | None = None

    def answer(self) -> None:
        """Say what is to be answered, as soon as the caller lets it."""
        if None not in self._wanted and not self.holds:
            self._wanted.append(None)
        self._stirred.set()

    def hold(self) -> None:
        """From now on only listen; what is being said is said to its end."""
        self.holds = True
        self._wanted = deque(content for content in self._wanted if content is not None)

    def comment(self, content: str) -> None:
        """Say this."""
        self._wanted.append(content)
        self._stirred.set()

    def yields(self) -> bool:
        """The caller speaks over it; whether it spoke. A commentary it had not begun is said when they are done."""
        stopped = self._stop()
        if stopped and not stopped.heard and stopped.content is not None and stopped.plan.basis is None:
            self._wanted.appendleft(stopped.content)
        return stopped is not None and stopped.heard > 0

    async def run(self) -> None:
        """Speaks for as long as the session lives."""
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            if self._session.model.faults.silent:
                self._wanted.clear()
            while self._wanted and not self.plays_fixture and not self._session.caller_speaks:
                content = self._wanted.popleft()
                if content is None and not self._session.mind.is_asked:
                    continue
                said = self._utterance = _Utterance(self._session.plan(content), content)
                said.task = self._session.start(self._utter(said))
                await asyncio.wait([said.task])
                if self._utterance is said:
                    self._utterance = None

    def make_way(self) -> None:
        """A fixture comes: what is being said, or was to be, is not said any more."""
        self.plays_fixture = True
        self._wanted.clear()
        self._stop()

    async def play(self, pcm: bytes, event_id: str | None) -> None:
        """The fixture, once it has its way; `plays_fixture` until it is over."""
        try:
            await self._sound(await self._session.model.voice.telephoned(pcm))
        finally:
            self.plays_fixture = False
        await self._session.emit("session.output_audio.fixture.played", client_event_id=event_id)
        self._stirred.set()

    def _stop(self) -> _Utterance | None:
        """Breaks off what is being said; the AI knows how far it got."""
        said, self._utterance = self._utterance, None
        if said is None or said.task is None or not said.task.cancel():
            return None
        mind = self._session.mind
        if said.heard or said.delegated:
            mind.cut(unsaid(said.plan.says, said.heard))
            self._session.said.append(said.plan.says[: round(said.heard * len(said.plan.says))])
        else:
            mind.take_back(said.plan)
        return said

    async def _utter(self, said: _Utterance) -> None:
        model = self._session.model
        delay_s = (model.model_delay_ms + model.faults.first_byte_delay_ms) / 1000
        spoken, _ = await asyncio.gather(model.voice.speak(said.plan.says), asyncio.sleep(delay_s))
        if said.plan.tool:
            said.delegated = True
            await self._session.delegate(said.plan.tool)
        if not model.faults.no_audio:
            await self._sound(spoken.audio, spoken.words, said)
        if said.plan.says:
            self._session.said.append(said.plan.says)

    async def _sound(
        self, audio: bytes, words: list[tuple[str, int]] | None = None, said: _Utterance | None = None
    ) -> None:
        """Sends mu-law as it is heard, each piece behind the words that begin in it; returns when all was heard."""
        session, pace = self._session, self._session.model.live_pace
        loop = asyncio.get_running_loop()
        begun_s, begun_ms = loop.time(), session.now_ms()
        left = deque(words or ())
        at = 0
        while at < len(audio):
            end = at + session.chance.randint(1, _MOST_PIECES) * _PIECE_MS * BYTES_PER_MS
            fragment = "" if at or not session.sent[_WORDS] else " "
            first = left[0][1] if left else 0
            while left and left[0][1] < end:
                fragment += left.popleft()[0]
            if fragment.strip():
                until = left[0][1] if left else len(audio)
                span = {"start_ms": begun_ms + first // BYTES_PER_MS, "end_ms": begun_ms + until // BYTES_PER_MS}
                await session.emit(_WORDS, delta=fragment, **span)
            await session.emit("session.output_audio.delta", delta=b64encode(audio[at:end]).decode())
            at = min(end, len(audio))
            heard_s = at / BYTES_PER_MS / 1000
            await asyncio.sleep(max(0.0, begun_s + heard_s / pace - LEAD_S - loop.time()))
            if said:
                said.heard = at / len(audio)
        await asyncio.sleep(max(0.0, begun_s + len(audio) / BYTES_PER_MS / 1000 / pace - loop.time()))
