"""What Cordboard adds to the time its vendors take: ``python -m tests.benchmarks.engines``.

For each engine a bridge in a process of its own, with a telephone company and vendors of its own (the rehearsal's,
over real sockets, with their usual delays), all at the same time. A caller says a short line whenever the last
answer is over. Measured is the time from the last sound of the line, as it leaves the telephone company, to the
first sound of the answer, as it comes back to it; from that is taken what the vendors took themselves: the
listener's silence and delay, the model until its first sentence was complete, the voice until its first sound.
What is left is Cordboard's. Where the cascade itself judges that the caller has paused, with a transcriber that
does not, its 200 ms of silence (and the 100 until speech counts as over) are told apart, as ``waits``.

Beside them a naive cascade, which does one thing after the other, with the same vendors and delays. The answers are
short, two sentences and two seconds; with longer ones it would lose more.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import random
import re
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median

import uvloop

from bridge.audio import FRAME_BYTES, FRAME_MS, peak
from bridge.rehearsal import scenario
from bridge.rehearsal.caller import LOUD
from bridge.rehearsal.carrier import Company
from bridge.rehearsal.ear import Lines
from bridge.rehearsal.line import Line
from bridge.rehearsal.model import Faults, Model
from bridge.rehearsal.scenario import CallerStep, Reply, Scenario, Wait
from tests.benchmarks.pinning import pin
from tests.benchmarks.subjects import ACCOUNT_SID, child
from tests.benchmarks.timed_turns import LineTap, Times, VendorsTap, times

TURNS = 60
NUMBER = "+16285550100"
KEY = "sk-benchmark"
HELLO = "I understand."
GREETING_MS = 1200
BETWEEN_FRAMES = 7
"""Quiet frames between two sentences; there are fewer within one."""

SPEECH_DELAY_MS = 200
"""Until the first sound of OpenAI's speech by HTTP; all others have delays of their own."""

QUIET_MS = (400, 600)
"""How long an answer must have been over before the caller speaks."""

SETTLE_S = 3.0
START_S = 4.0
"""The calls begin somewhere within it."""

OTHERS_SETTLE_S = 40.0
"""Until callers who say nothing have been asked twice whether they are there."""

SAYS = {
    ("That is great. Thank you, and goodbye.", "Thank you, and goodbye."): "Of course. Let me see what is free.",
    ("All right. Please do call me back. Thank you.", "Please do call me back. Thank you."): (
        "I understand. Let me have a look."
    ),
}
"""Clips with the ends of them that are the caller's lines, and what is answered.

After such ends of a sentence nobody waits for more of it.
"""


@dataclass(frozen=True)
class Subject:
    """What is measured. aim_ms: at most so much may be added, at p95. speaker: "" when there is no cascade."""

    name: str
    module: str = "bridge_process"
    transcriber: str = ""
    speaker: str = ""
    aim_ms: float | None = 60.0

    @property
    def greets(self) -> bool:
        """Whether it speaks first."""
        return self.module == "bridge_process"

    def arguments(self, ai_url: str, api_url: str, token: str, home: str) -> list[str]:
        """For its process."""
        if not self.greets:
            return ["--ai-url", ai_url, "--api-key", KEY]
        where = ["--ai-url", ai_url, "--api-url", api_url, "--home", home]
        given = [*where, "--account-sid", ACCOUNT_SID, "--auth-token", token, "--first-line", HELLO]
        if not self.speaker:
            return given
        who = {"transcriber": self.transcriber, "speaker": self.speaker}
        return [*given, "--engine", "cascade", "--cascade", json.dumps(who)]


def _cascade(transcriber: str, speaker: str) -> Subject:
    return Subject(f"cascade: {transcriber}, {speaker}", transcriber=transcriber, speaker=speaker)


SUBJECTS = (
    Subject("OpenAI Realtime", aim_ms=25.0),
    _cascade("deepgram", "elevenlabs"),
    _cascade("flux", "deepgram"),
    _cascade("flux", "elevenlabs"),
    _cascade("openai", "openai"),
    _cascade("deepgram", "realtime"),
    Subject("naive: deepgram, elevenlabs", module="naive_cascade", aim_ms=None),
)


@dataclass(frozen=True)
class Result:
    """One subject's answers.

    early: answers that were begun before the listener's last word, since it was too long in coming; they are in no
    figure. lost: turns that were not answered.
    """

    subject: Subject
    answers: tuple[Times, ...]
    early: int
    lost: int

    def spread(self, part: str) -> tuple[float, float]:
        """p50 and p95 of one of the fields of `Times`."""
        values = sorted(getattr(one, part) for one in self.answers)
        return (median(values), values[min(len(values) - 1, int(len(values) * 0.95))]) if values else (0.0, 0.0)

    @property
    def missed(self) -> bool:
        """Whether the aim was missed."""
        aim_ms = self.subject.aim_ms
        return aim_ms is not None and (not self.answers or self.lost > 0 or self.spread("added")[1] > aim_ms)


async def measure(
    subject: Subject, company: Company, tap: LineTap, turns: int, calls: int, seed: int, start_s: float
) -> Result:
    """A call with so many turns, and so many calls beside it."""
    for _ in range(calls):
        await company.place_call(_caller(()))
    if calls:
        await asyncio.sleep(OTHERS_SETTLE_S)
    chance = random.Random(seed)
    await asyncio.sleep(chance.uniform(0, start_s))
    line = await company.place_call(_caller(_steps(subject, turns, chance)), tap=tap)
    await _until_answered(line, tap, turns)
    answers = [answer for turn in tap.turns if (answer := times(turn))]
    early = sum(turn.is_early for turn in tap.turns)
    return Result(subject, tuple(answers), early, turns - len(answers) - early)


@asynccontextmanager
async def _opened(subject: Subject, tap: LineTap, core: int, seed: int, *, warm: bool) -> AsyncIterator[Company]:
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="cordboard-bench-") as home:
        model = Model(api_key=KEY, seed=seed)
        model.replies = [Reply(line, _said(clip, line), says) for (clip, line), says in SAYS.items()]
        model.lines = Lines(model.replies)
        model.faults = Faults(speech_delay_ms=SPEECH_DELAY_MS, speech_pace=model.speed)
        model.tap = VendorsTap(tap)
        async with (
            model,
            Company(ACCOUNT_SID, token, (NUMBER,), ring_ms=0, say_ms_per_char=0) as company,
            child(subject.module, *subject.arguments(model.url, company.api_url, token, home), core=core) as (_, told),
        ):
            company.point(told["voice_url"])
            if warm and subject.greets:
                # All that a bridge loads for its first call is loaded, before another is measured.
                line = await company.place_call(_caller(()))
                await line.until(lambda line: line.heard_ms > 0)
                await line.close()
            yield company


async def _until_answered(line: Line, tap: LineTap, turns: int) -> None:
    def answered(line: Line) -> bool:
        return len(tap.turns) == turns and tap.unanswered is None

    async with asyncio.timeout(30 + 30 * turns):
        await line.until(answered)
    await line.close()


def _said(clip: str, line: str) -> bytes:
    """The end of a clip, from the pause before the line on. mu-law."""
    audio = next(step.audio for name in scenario.names() for step in scenario.load(name).steps if step.text == clip)
    sentences_before = len(re.findall(r"[.?]", clip)) - len(re.findall(r"[.?]", line))
    frames = [audio[at : at + FRAME_BYTES] for at in range(0, len(audio), FRAME_BYTES)]
    quiet = 0
    for at, frame in enumerate(frames):
        quiet = quiet + 1 if peak(frame) < LOUD else 0
        if at * FRAME_MS > 200 and quiet == BETWEEN_FRAMES:
            sentences_before -= 1
            if not sentences_before:
                return b"".join(frames[at:])
    raise ValueError(f"no pause before “{line}”")


def _steps(subject: Subject, turns: int, chance: random.Random) -> tuple[CallerStep, ...]:
    lines = [(line, _said(clip, line)) for clip, line in SAYS]
    steps = []
    for number in range(turns):
        line, audio = lines[number % len(lines)]
        if number:
            # Differently, so that not every turn ends at the same place in a frame of the listener's.
            steps.append(CallerStep(Wait.REPLY_END, chance.randint(*QUIET_MS), audio, line))
        else:
            steps.append(CallerStep(Wait.REPLY_END if subject.greets else Wait.PAUSE, GREETING_MS, audio, line))
    return tuple(steps)


def _caller(steps: tuple[CallerStep, ...]) -> Scenario:
    return Scenario("benchmark", "A caller", "inbound", "+14155550123", NUMBER, ("", "", "US"), steps)


HEAD = (
    f"     {'p50 / p95, ms':28} {'turns':>5}  {'whole':>13} {'vendors':>13} {'waits':>11} {'ADDED':>13} {'aim':>4}   "
    f"{'way in':>11} {'to the model':>13} {'to the voice':>13} {'way out':>11}"
)


def row(result: Result) -> str:
    """One line of the table."""
    shown = {one.name: "{:.0f} / {:.0f}".format(*result.spread(one.name)) for one in fields(Times)}
    for name in ("added", "way_in", "to_chat", "to_voice", "way_out"):
        shown[name] = "{:.1f} / {:.1f}".format(*result.spread(name))
    aim_ms = result.subject.aim_ms
    verdict = "    " if aim_ms is None else "MISS" if result.missed else "ok  "
    beside = "".join(f"  {what}: {count}" for what, count in (("early", result.early), ("LOST", result.lost)) if count)
    return (
        f"{verdict} {result.subject.name:28} {len(result.answers):5}  {shown['whole']:>13} {shown['vendors']:>13} "
        f"{shown['waited']:>11} {shown['added']:>13} {'' if aim_ms is None else f'{aim_ms:.0f}':>4}   "
        f"{shown['way_in']:>11} {shown['to_chat']:>13} {shown['to_voice']:>13} {shown['way_out']:>11}{beside}"
    )


async def measure_all(
    subjects: tuple[Subject, ...], turns: int, calls: int, core: int, hurry: bool = False
) -> list[Result]:
    """All subjects at the same time, once all are there. hurry: without a care for the figures."""
    async with AsyncExitStack() as stack:
        measuring = []
        for seed, subject in enumerate(subjects, 1):
            tap = LineTap()
            company = await stack.enter_async_context(_opened(subject, tap, core, seed, warm=not hurry))
            measuring.append(measure(subject, company, tap, turns, calls, seed, 0 if hurry else START_S))
        await asyncio.sleep(0 if hurry else SETTLE_S)
        return list(await asyncio.gather(*measuring))


def main() -> int:
    """Measure, print, and write the figures down; 1 when an aim was missed."""
    parser = argparse.ArgumentParser(description="Measure what the bridge adds to its vendors' time.")
    parser.add_argument("--turns", type=int, default=TURNS, help=f"with each engine (default {TURNS})")
    parser.add_argument("--calls", type=int, default=0, help="silent ones beside, in each bridge (default 0)")
    parser.add_argument("--only", default="", help="subjects whose name holds this")
    parser.add_argument("--json", type=Path, default=Path(tempfile.gettempdir(), "cordboard-bench-engines.json"))
    parser.add_argument(
        "--undisturbed",
        action="store_true",
        help="run before all else, for a machine that does other work meanwhile (Linux, needs root)",
    )
    given = parser.parse_args()
    if given.undisturbed:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    subjects = tuple(subject for subject in SUBJECTS if given.only in subject.name)
    pinned = pin(1)
    print(f"{platform.platform()}, Python {platform.python_version()}, ", end="")
    print("bridges on core 0, all else on core 1" if pinned else "not pinned: all share the cores", end="")
    print(f"; {given.turns} turns with each engine, {given.calls} silent calls beside")
    gc.disable()
    results = uvloop.run(measure_all(subjects, given.turns, given.calls, 0 if pinned else -1))
    print(HEAD)
    for result in results:
        print(row(result))
    print("     whole = vendors + waits + added. waits: silence after which the cascade asks for a turn's words itself")
    print("     early: answers that were begun before the transcriber's last word, which was too late; in no figure")
    print(f"     load average {os.getloadavg()[0]:.1f}")
    told = {result.subject.name: [asdict(one) for one in result.answers] for result in results}
    given.json.write_text(json.dumps(told, indent=1))
    print(f"all figures: {given.json}")
    return int(any(result.missed for result in results))


if __name__ == "__main__":
    sys.exit(main())
