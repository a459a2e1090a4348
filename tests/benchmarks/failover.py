"""What callers hear when their AI's vendors die: ``python -m tests.benchmarks.failover``.

Eight whole bridges in this process, each with a call at a time over real sockets, and each with its
own engine and vendors. The callers say rehearsed lines and wait for the answer. In most turns a vendor's
connection is killed at a random instant (``--seed``), in one of the ways of `vendor_relay.Death`:
vendor and death are those that were tried least so far, among those in use.

Measured at the caller's ear, in the sound that the telephone company played to them, 20 ms at a time:
    answered        the AI (or the menu) was heard within 15 s of the end of the caller's words
    lost            it was not: the caller had to say it again
    silence         longest while an answer was due: from the end of the words to the first sound of any
                    kind, and within the answer. A filler ("One moment, please", the sound of a hold) ends one
    same, next, menu, operator
                    who spoke at the end of the turn: the engine that had begun it, another AI, the menu, or
                    nobody any more
A turn without a kill shows what the vendors themselves take. It fails when a silence was over 3 s, a
caller was greeted twice, or a call ended by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import logging
import os
import platform
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

from bridge.audio import FRAME_MS
from bridge.control import Floor, Party, Phase
from bridge.profiles import CascadeProfile
from bridge.rehearsal.line import Line, LineEnded
from bridge.session import Session
from tests.benchmarks.ears import Ears
from tests.benchmarks.vendor_relay import Death, Relay, open_relay
from tests.together.house import House, clip, open_house

TURNS = 500
WITHIN_S = 3600.0
CALL_TURNS = 6
KILLED_SHARE = 0.75
LOST_MS, OVER_MS, LONGEST_MS = 15_000, 1_200, 60_000
MOST_SILENCE_MS = 3_000
TRIES = 3
LINES = ((0, 8), (1, 1), (2, 2), (3, 8))
"""Which of the billing caller's lines they say, and how often; the second's answer takes a quarter of a minute."""

CASCADES = ("cascade", "openai", "keypad")
Post: TypeAlias = tuple[tuple[str, ...], CascadeProfile]
"""A bridge's engines, and who works in its cascade."""

POSTS: tuple[Post, ...] = (
    (("openai", "cascade", "keypad"), CascadeProfile()),
    (("openai", "cascade", "keypad"), CascadeProfile(transcriber="flux", speaker="deepgram")),
    (CASCADES, CascadeProfile(transcriber="deepgram", speaker="elevenlabs")),
    (CASCADES, CascadeProfile(transcriber="flux", speaker="deepgram")),
    (CASCADES, CascadeProfile(transcriber="deepgram", speaker="realtime")),
    (CASCADES, CascadeProfile(transcriber="flux", speaker="elevenlabs")),
    (CASCADES, CascadeProfile(transcriber="deepgram", speaker="deepgram")),
    (CASCADES, CascadeProfile(transcriber="flux", speaker="realtime")),
)


class Stage(StrEnum):
    """When in a turn."""

    CONNECTING = "connecting"
    LISTENING = "listening"
    TRANSCRIBING = "transcribing"
    THINKING = "thinking"
    SPEAKING = "speaking"
    BETWEEN = "between turns"


PLANNED = {
    Stage.LISTENING: 3000,
    Stage.TRANSCRIBING: 700,
    Stage.THINKING: 1200,
    Stage.SPEAKING: 4000,
    Stage.BETWEEN: 600,
}
"""Latest moment of a kill, ms from when the turn gets there; the stage told is that of the moment itself."""


@dataclass(frozen=True)
class Kill:
    """A connection that died."""

    vendor: str
    death: Death
    stage: Stage


@dataclass
class Turn:
    """One thing said, and what came of it. heard_by: the engine that had the call. words: for whoever looks."""

    post: int
    heard_by: str
    kills: list[Kill] = field(default_factory=list)
    answered: bool = False
    lost: int = 0
    silence_ms: int = 0
    first_ms: int = 0
    served: str = ""
    false_interruptions: int = 0
    words: str = ""

    @property
    def outcome(self) -> str:
        """Who spoke at the end."""
        if self.served in ("keypad", "operator", "nobody"):
            return {"keypad": "menu"}.get(self.served, self.served)
        return "same" if self.served == self.heard_by else "next"


@dataclass
class Tally:
    """All that was seen."""

    wanted: int
    chance: random.Random
    turns: list[Turn] = field(default_factory=list)
    begun: int = 0
    calls: int = 0
    turned_away: int = 0
    greeted_twice: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    tried: Counter[tuple[str, Death]] = field(default_factory=Counter)
    latest_ms: float = 0.0

    def stop(self) -> None:
        """There were enough turns."""
        self.wanted = self.begun

    def choose(self, vendors: set[str]) -> tuple[str, Death]:
        """What is to die now: what was tried least."""
        choices = [(vendor, death) for vendor in sorted(vendors) for death in Death]
        least = min(self.tried[choice] for choice in choices)
        chosen = self.chance.choice([choice for choice in choices if self.tried[choice] == least])
        self.tried[chosen] += 1
        return chosen


class Caller:
    """One call of one post, listened to frame by frame."""

    def __init__(self, number: int, engine: str, house: House, relay: Relay, tally: Tally, line: Line) -> None:
        self._number, self._relay, self._tally, self._line = number, relay, tally, line
        self._house = house
        self._ears = Ears(line)
        self._plan: Stage | None = None
        self._due_frame: int | None = None
        self._stage = Stage.CONNECTING
        self._turn = Turn(number, engine, words="greeting")
        self._session: Session | None = None

    async def converse(self) -> None:
        """The whole call."""
        tally = self._tally
        tally.calls += 1
        try:
            if tally.chance.random() < KILLED_SHARE:
                self._plan, self._due_frame = Stage.CONNECTING, tally.chance.randrange(0, 20)
            await self._answer(0)
            if self._turn.kills:
                tally.turns.append(self._turn)
            for _ in range(CALL_TURNS):
                if tally.begun >= tally.wanted or self._turn.served in ("keypad", "operator", "nobody"):
                    break
                tally.begun += 1
                await self._exchange()
            self._line.hang_up()
        except LineEnded as ended:
            self._turn.served = "nobody"
            tally.turns.append(self._turn)
            tally.broken.append(f"post {self._number}: {self._turn} {ended}")
        finally:
            await self._line.ended
            self._look_back()

    async def _exchange(self) -> None:
        chance = self._tally.chance
        self._turn = Turn(self._number, self._engine())
        if chance.random() < KILLED_SHARE:
            self._plan = chance.choice(list(PLANNED))
        self._reached(Stage.BETWEEN)
        while self._plan is Stage.BETWEEN:
            await self._tick()
        for _ in range(chance.randrange(5, 50)):
            await self._tick()
        number = chance.choices([number for number, _ in LINES], [often for _, often in LINES])[0]
        said = clip(number)
        self._turn.words = said.text
        for _ in range(TRIES):
            self._line.say(said.audio, said.text)
            self._reached(Stage.LISTENING)
            while not self._line.caller.done:
                await self._tick()
            self._reached(Stage.TRANSCRIBING, Stage.THINKING)
            if await self._answer(self._ears.last_word):
                break
            self._turn.lost += 1
        self._plan = self._due_frame = None
        self._tally.turns.append(self._turn)

    async def _answer(self, ended: int) -> bool:
        """Until the answer to what ended at that frame is over. False when none came."""
        began = 0
        floor_lost = 0
        while True:
            await self._tick()
            ears = self._ears
            now = ears.now
            picture = self._session.picture if self._session is not None else None
            voice = picture.line_voice if picture is not None else Party.NOBODY
            if not began and ears.heard[-1] and voice is Party.AI:
                began = now
                self._turn.first_ms = (now - ended) * FRAME_MS
                self._reached(Stage.SPEAKING)
            if picture is not None and picture.call.floor is Floor.HOLD:
                floor_lost = floor_lost or now
                if (now - floor_lost) * FRAME_MS > 4000:
                    self._close_turn(ended, now, "operator")
                    return True
            elif began and ears.quiet_ms >= OVER_MS and not self._busy():
                self._close_turn(ended, now - ears.quiet_ms // FRAME_MS, self._engine())
                self._turn.answered = True
                return True
            if not began and (now - ended) * FRAME_MS > LOST_MS:
                self._close_turn(ended, now, self._engine())
                return False
            if (now - ended) * FRAME_MS > LONGEST_MS:
                self._close_turn(ended, now, self._engine())
                self._tally.broken.append(f"post {self._number}: an answer that does not end: {self._turn}")
                return True

    def _close_turn(self, ended: int, until: int, served: str) -> None:
        turn = self._turn
        turn.silence_ms = max(turn.silence_ms, self._ears.longest_silence_ms(ended, until))
        turn.served = served

    # ── every 20 ms ──

    async def _tick(self) -> None:
        await self._ears.tick()
        if self._session is None:
            sessions = self._house.bridge.switchboard.sessions.values()
            mine = (session for session in sessions if session.picture.call_sid == self._line.call_sid)
            self._session = next(mine, None)
        if self._due_frame is not None and self._ears.now >= self._due_frame:
            self._kill()

    def _reached(self, *stages: Stage) -> None:
        self._stage = stages[0]
        if self._plan in stages and self._due_frame is None:
            assert self._plan is not None
            self._due_frame = self._ears.now + self._tally.chance.randrange(PLANNED[self._plan] // FRAME_MS)

    def _kill(self) -> None:
        living = self._relay.living()
        if not living:
            return
        self._plan, self._due_frame = None, None
        vendor, death = self._tally.choose(living)
        stage = self._now()
        if self._relay.kill(vendor, death):
            self._turn.kills.append(Kill(vendor, death, stage))

    def _now(self) -> Stage:
        session = self._session
        if session is None or session.call.phase is Phase.CONNECTING or self._stage is Stage.CONNECTING:
            return Stage.CONNECTING
        if self._line.caller.is_speaking:
            return Stage.LISTENING
        if session.picture.line_voice is Party.AI:
            return Stage.SPEAKING
        if self._stage is Stage.BETWEEN:
            return Stage.BETWEEN
        return Stage.THINKING if session.picture.thinking else Stage.TRANSCRIBING

    def _busy(self) -> bool:
        """Whether more is to come."""
        session = self._session
        assert session is not None
        picture, live = session.picture, session.live
        waits = picture.thinking or picture.caller_speaking or live.awaited() or bool(picture.running_tools())
        return waits or session._ai.is_speaking or bool(live.line is not None and live.line.playout.playing)

    def _engine(self) -> str:
        return self._session.picture.engine if self._session is not None else ""

    def _look_back(self) -> None:
        """The call is over: was anybody greeted twice, or cut off who was not interrupted?"""
        if self._session is None:
            return
        turns = [turn for turn in self._session.picture.transcript.views() if turn.speaker is Party.AI]
        greetings = [turn.text for turn in turns if "you have reached" in turn.text.lower() and turn.heard_ms > 0]
        if len(greetings) > 1:
            self._tally.greeted_twice.append(f"post {self._number}: {greetings}")
        for turn in turns:
            if turn.cut_by is Party.CALLER:
                at = (turn.start_ms + turn.heard_ms) // FRAME_MS
                if not any(self._ears.said[max(0, at - 50) : at + 10]):
                    self._turn.false_interruptions += 1


async def call_often(number: int, post: Post, home: Path, tally: Tally) -> None:
    """Calls on one bridge, one after the other, until there were enough turns."""
    engines, cascade = post
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(open_relay())
        places: dict[str, Any] = {
            "openai_base_url": f"{relay.url}/v1",
            "chat_url": f"{relay.url}/v1",
            "deepgram_url": f"{relay.url}/v1/deepgram",
            "elevenlabs_url": f"{relay.url}/v1/elevenlabs",
        }
        house = await stack.enter_async_context(open_house(home, engines, cascade=cascade, recording=False, **places))
        relay.target = int(house.model.url.removesuffix("/v1").rpartition(":")[2])
        while tally.begun < tally.wanted:
            relay.heal()
            line = await house.call()
            await line.until(lambda line: bool(line.streams) or line.is_over)
            if line.is_over:
                # The bridge takes no call while the machine is busy.
                tally.turned_away += 1
                await asyncio.sleep(2.0)
            else:
                await Caller(number, engines[0], house, relay, tally, line).converse()
            house.model.sessions.clear()
            house.company.lines.clear()


async def measure(turns: int, seed: int, posts: Sequence[Post], home: Path, within_s: float = WITHIN_S) -> Tally:
    """All posts at once; no turn is begun any more after ``within_s``."""
    tally = Tally(turns, random.Random(seed))
    asyncio.get_running_loop().call_later(within_s, tally.stop)
    # Loaded by the first cascade otherwise, in a thread that takes the others' time.
    await asyncio.to_thread(importlib.import_module, "openai")
    watching = asyncio.create_task(_watch_clock(tally))
    try:
        async with asyncio.TaskGroup() as tasks:
            for number, post in enumerate(posts):
                tasks.create_task(call_often(number, post, home / f"post-{number}", tally))
    finally:
        watching.cancel()
    return tally


async def _watch_clock(tally: Tally) -> None:
    """How late this process itself was at worst: what it stands still, callers hear as silence."""
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + 0.02
        await asyncio.sleep(0.02)
        tally.latest_ms = max(tally.latest_ms, (loop.time() - due_s) * 1000)


# ── what is printed ───────────────────────────────────────────────────────────────────────


def table(tally: Tally) -> list[str]:
    """The rows, by vendor and death, and then by stage."""
    killed = [(turn, kill) for turn in tally.turns for kill in turn.kills]
    names = sorted({(kill.vendor, kill.death) for _, kill in killed})
    groups: list[tuple[str, list[Turn]]] = [
        (f"{vendor:<16} {death:<17}", [t for t, k in killed if (k.vendor, k.death) == (vendor, death)])
        for vendor, death in names
    ]
    groups.append((f"{'no kill':<34}", [turn for turn in tally.turns if not turn.kills]))
    lines = [f"{'vendor':<16} {'death':<17}{_HEAD}", *(title + _row(turns) for title, turns in groups)]
    lines += ["", f"{'stage of the kill':<34}{_HEAD}"]
    lines += [f"{stage:<34}" + _row([t for t, k in killed if k.stage is stage]) for stage in Stage]
    lines += ["", f"{'all':<34}" + _row(tally.turns)]
    return lines


_OUTCOMES = ("same", "next", "menu", "operator")
_HEAD = f" turns  answered  lost  {'  '.join(_OUTCOMES)}   silence ms: p50    p95    max"


def _row(turns: Sequence[Turn]) -> str:
    by = Counter(turn.outcome for turn in turns)
    silences = sorted(turn.silence_ms for turn in turns) or [0]
    p50, p95 = (silences[min(len(silences) - 1, int(len(silences) * part))] for part in (0.5, 0.95))
    told = "  ".join(f"{by[name]:>{len(name)}}" for name in _OUTCOMES)
    answered, lost = sum(turn.answered for turn in turns), sum(turn.lost for turn in turns)
    return f" {len(turns):5}  {answered:8}  {lost:4}  {told}              {p50:4}   {p95:4}   {silences[-1]:4}"


def failures(tally: Tally) -> list[str]:
    """What must not be."""
    wrong = [f"a second greeting: {what}" for what in tally.greeted_twice]
    wrong += [f"silent for {turn.silence_ms} ms: {turn}" for turn in tally.turns if turn.silence_ms > MOST_SILENCE_MS]
    return wrong + [f"broken: {what}" for what in tally.broken]


def main() -> None:
    """Measure, print, and fail where a promise is not kept."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--posts", type=int, default=len(POSTS), help="calls at a time")
    parser.add_argument("--minutes", type=float, default=WITHIN_S / 60, help="longest time")
    asked = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, seed {asked.seed}")
    posts = [POSTS[number % len(POSTS)] for number in range(asked.posts)]
    # What dies is told by the hundred otherwise; a fault of the bridge's must be seen.
    logging.basicConfig(level=logging.ERROR)
    for name in ("aiohttp", "cordboard.rehearsal"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as home:
        tally = asyncio.run(measure(asked.turns, asked.seed, posts, Path(home), asked.minutes * 60))
    gc.collect()
    print("\n".join(table(tally)))
    told = {
        "calls": tally.calls,
        "turned away by a busy bridge": tally.turned_away,
        "turns": len(tally.turns),
        "kills": sum(len(turn.kills) for turn in tally.turns),
        "second greetings": len(tally.greeted_twice),
        "false interruptions": sum(turn.false_interruptions for turn in tally.turns),
        "broken calls": len(tally.broken),
    }
    print(f"\n{', '.join(f'{count} {what}' for what, count in told.items())}")
    print(f"this process stood still for at most {tally.latest_ms:.0f} ms")
    wrong = failures(tally)
    print("\n".join(wrong))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
