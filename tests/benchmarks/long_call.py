"""A call of three hours through the renewal of its AI's sessions: ``python -m tests.benchmarks.long_call``.

One bridge, one caller and OpenAI Realtime in this process, over real sockets, on a clock that jumps over
the time in which nothing happens (`hurried_loop`): what is done takes its real time, what is waited for
none. The caller says a rehearsed line every half minute and waits for the answer. Twice: with sessions
that live for 60 minutes, as OpenAI's do, and with short ones, for at least twenty renewals.

Printed for each:
    turns, lost         what the caller said, and how often the AI's answer was not heard within 15 s
    cut                 sentences of the AI's that did not come to their end
    greetings           how often the caller was greeted
    renewals            sessions that took over
    troubles            what was told to operators: sessions that were lost or expired, stalls of this machine
    frame gap           from the last of the caller's frames that the old session got to the first that the new one
                        got, less the 20 ms between any two frames; and the frames that no session got at all
    quiet before        how long nobody had spoken when the new session took the seat
    silence             longest while an answer was due (from the end of the caller's words on, and within the
                        answer): in turns with a renewal between their beginning and end or up to 10 s before them,
                        and in the others; and by how much the former is longer
    recalled            items of the conversation that the last session was told first, and how long it took to be ready
    memory              of this process, caller, AI and measuring included, after the first 10 minutes and at the end

It fails when a turn was lost, a sentence cut, a frame missing, a gap over 300 ms, or a caller greeted twice.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import platform
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import psutil

from bridge.audio import FRAME_BYTES, FRAME_MS
from bridge.control import MarkerKind, Party
from bridge.rehearsal.model_session import Session as ModelSession
from bridge.session import Session
from tests.benchmarks.ears import Ears
from tests.benchmarks.hurried_loop import run_hurried
from tests.together.house import House, clip, open_house

HOURS = 3.0
LIVES_S = (3600.0, 540.0)
LEAST_RENEWALS = {3600.0: 3, 540.0: 20}
EVERY_MS = (25_000, 35_000)
LOST_MS, OVER_MS = 15_000, 1_200
MOST_GAP_MS = 300
SETTLED_MS = 600_000
AROUND_MS = 10_000
STALLED = "bridge stalled"
"""A trouble of this machine's, which does not fail the call."""


@dataclass
class Renewal:
    """at: the frame of the first sound that the new session got. gap_ms: see above. quiet_ms: of both sides."""

    at: int
    gap_ms: int
    quiet_ms: int


@dataclass
class Turn:
    """began, ended: frames. due: the end of the caller's words."""

    began: int
    due: int = 0
    ended: int = 0
    answered: bool = False
    silence_ms: int = 0


@dataclass
class Seen:
    """All of one call."""

    life_s: float
    turns: list[Turn] = field(default_factory=list)
    renewals: list[Renewal] = field(default_factory=list)
    cut: int = 0
    greetings: int = 0
    troubles: list[str] = field(default_factory=list)
    unheard_frames: int = 0
    recalled: int = 0
    ready_ms: float = 0.0
    first_rss_mb: float = 0.0
    last_rss_mb: float = 0.0
    call_s: float = 0.0
    wall_s: float = 0.0

    @property
    def lost(self) -> int:
        """Turns without an answer."""
        return sum(not turn.answered for turn in self.turns)

    def silences_ms(self, *, renewed: bool) -> list[int]:
        """Of the turns with a renewal, or of the others."""

        def has(turn: Turn) -> bool:
            return any(turn.began - AROUND_MS // FRAME_MS <= renewal.at <= turn.ended for renewal in self.renewals)

        return sorted(turn.silence_ms for turn in self.turns if has(turn) is renewed)

    def failures(self, least_renewals: int) -> list[str]:
        """What must not be."""
        wrong = {
            f"{self.lost} turns were lost": self.lost,
            f"{self.cut} sentences of the AI were cut": self.cut,
            f"{self.greetings} greetings": self.greetings != 1,
            f"troubles: {', '.join(self.troubles)}": any(not what.startswith(STALLED) for what in self.troubles),
            f"{self.unheard_frames} frames of the caller reached no session": self.unheard_frames,
            f"only {len(self.renewals)} renewals": len(self.renewals) < least_renewals,
            "a gap over 300 ms": any(renewal.gap_ms > MOST_GAP_MS for renewal in self.renewals),
        }
        return [what for what, is_wrong in wrong.items() if is_wrong]


class LongCall:
    """One call at work. After each frame it looks which of the AI's sessions got it."""

    def __init__(self, house: House, seen: Seen, seed: int) -> None:
        self._house, self._seen, self._chance = house, seen, random.Random(seed)
        self._ears: Ears
        self._session: Session
        self._frames: dict[ModelSession, int] = {}
        self._last: tuple[ModelSession, int] | None = None
        self._heard_by_all = 0

    async def run(self, call_ms: float) -> None:
        """Talk for so long, and hang up."""
        seen = self._seen
        loop = asyncio.get_running_loop()
        began_s, began_wall_s = loop.time(), time.perf_counter()
        self._line = line = await self._house.call()
        self._ears = ears = Ears(line)
        while not self._house.bridge.switchboard.sessions:
            await ears.tick()
        (self._session,) = self._house.bridge.switchboard.sessions.values()
        while not (ears.heard.rfind(1) >= 0 and ears.quiet_ms > OVER_MS):
            await self._tick()
        number = 0
        while ears.now * FRAME_MS < call_ms:
            until = ears.now + self._chance.randrange(*EVERY_MS) // FRAME_MS
            await self._turn(number)
            number = (number + 1) % 4
            while ears.now < until:
                await self._tick()
        transcript = self._session.picture.transcript.views()
        spoken = [turn for turn in transcript if turn.speaker is Party.AI]
        seen.cut = sum(turn.cut_by is not Party.NOBODY for turn in spoken)
        seen.greetings = sum("you have reached" in turn.text.lower() for turn in spoken)
        markers = self._session.picture.markers.values()
        seen.troubles = [f"{m.label} at {m.at_ms / 60_000:.1f} min" for m in markers if m.kind is MarkerKind.TROUBLE]
        said = len(ears.said) - self._first_frame
        seen.unheard_frames = max(0, said - sum(self._frames.values()) - 1)
        seen.last_rss_mb = _rss_mb()
        line.hang_up()
        await line.ended
        seen.call_s, seen.wall_s = loop.time() - began_s, time.perf_counter() - began_wall_s

    async def _turn(self, number: int) -> None:
        line, ears = self._line, self._ears
        turn = Turn(ears.now)
        line.say(clip(number).audio, clip(number).text)
        await self._tick()
        while not line.caller.done:
            await self._tick()
        turn.due = ears.last_word
        answer = 0
        while True:
            await self._tick()
            picture, live = self._session.picture, self._session.live
            if not answer and ears.heard[-1] and picture.line_voice is Party.AI:
                answer = ears.now
            waits = picture.thinking or live.awaited() or bool(picture.running_tools()) or self._session._ai.is_speaking
            playing = live.line is not None and bool(live.line.playout.playing)
            if answer and ears.quiet_ms >= OVER_MS and not (waits or playing):
                turn.answered = True
                break
            if not answer and (ears.now - turn.due) * FRAME_MS > LOST_MS:
                break
        turn.ended = ears.now - (ears.quiet_ms // FRAME_MS if turn.answered else 0)
        turn.silence_ms = ears.longest_silence_ms(turn.due, turn.ended)
        self._seen.turns.append(turn)

    _first_frame = 0

    async def _tick(self) -> None:
        ears = self._ears
        await ears.tick()
        now = ears.now
        for session in self._house.model.sessions:
            frames = session.appended_bytes // FRAME_BYTES
            if frames == self._frames.get(session, 0):
                continue
            if self._last is None:
                self._first_frame = now - frames
            elif self._last[0] is not session and session not in self._frames:
                self._renewed(session, frames)
            self._frames[session] = frames
            self._last = session, now
        if not self._seen.first_rss_mb and now * FRAME_MS > SETTLED_MS:
            gc.collect()
            self._seen.first_rss_mb = _rss_mb()

    def _renewed(self, session: ModelSession, frames: int) -> None:
        assert self._last is not None
        ears, seen = self._ears, self._seen
        gap_frames = ears.now - frames - self._last[1]
        quiet_ms = min(ears.quiet_ms, (ears.now - ears.last_word) * FRAME_MS)
        seen.renewals.append(Renewal(ears.now, max(0, gap_frames) * FRAME_MS, quiet_ms))
        seen.recalled = sum(message["type"] == "conversation.item.create" for message in session.received)


def _rss_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6


async def measure(life_s: float, hours: float, seed: int, home: Path) -> Seen:
    """One call with sessions of this life."""
    seen = Seen(life_s)
    async with open_house(home, ("openai", "keypad"), recording=False, call_limit_s=round(hours * 3600) + 600) as house:
        house.model.expires_s = life_s
        await LongCall(house, seen, seed).run(hours * 3_600_000)
    return seen


def report(seen: Seen) -> list[str]:
    """What is printed of one call."""

    def spread(values: list[int]) -> str:
        values = sorted(values) or [0]
        return f"p50 {values[len(values) // 2]}, max {values[-1]}"

    renewed, others = seen.silences_ms(renewed=True), seen.silences_ms(renewed=False)
    longer_ms = max(renewed, default=0) - max(others, default=0)
    apart_s = [(after.at - before.at) * FRAME_MS / 1000 for before, after in pairwise(seen.renewals)]
    rows = {
        "sessions live for": f"{seen.life_s / 60:.0f} min",
        "call": f"{seen.call_s / 3600:.2f} h, in {seen.wall_s:.0f} s of the wall's",
        "turns, lost": f"{len(seen.turns)}, {seen.lost}",
        "sentences cut": f"{seen.cut}",
        "greetings": f"{seen.greetings}",
        "renewals": f"{len(seen.renewals)}"
        + (f", {min(apart_s) / 60:.1f} to {max(apart_s) / 60:.1f} min apart" if apart_s else ""),
        "troubles": ", ".join(seen.troubles) or "none",
        "frame gap, ms": f"{spread([renewal.gap_ms for renewal in seen.renewals])}; "
        f"{seen.unheard_frames} frames reached no session",
        "quiet before, ms": f"least {min((renewal.quiet_ms for renewal in seen.renewals), default=0)}",
        "silence, ms": f"with a renewal {spread(renewed)} ({len(renewed)} turns), without {spread(others)} "
        f"({len(others)}); longer by {max(0, longer_ms)}",
        "recalled": f"{seen.recalled} items by the last session",
        "memory, MB": f"{seen.first_rss_mb:.0f} after 10 min, {seen.last_rss_mb:.0f} at the end",
    }
    return [f"{name:<20} {value}" for name, value in rows.items()]


def main() -> None:
    """Measure, print, and fail where a promise is not kept."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hours", type=float, default=HOURS)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, seed {asked.seed}")
    logging.disable(logging.CRITICAL)
    wrong: list[str] = []
    for life_s in LIVES_S:
        with tempfile.TemporaryDirectory() as home:
            seen = run_hurried(measure(life_s, asked.hours, asked.seed, Path(home)))
        gc.collect()
        print("\n".join(["", *report(seen)]), flush=True)
        wrong += seen.failures(int(LEAST_RENEWALS[life_s] * asked.hours / HOURS))
    print("\n".join(wrong))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
