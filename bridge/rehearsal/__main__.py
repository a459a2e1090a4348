"""The rehearsal as a process: a telephone company and an AI on loopback, told what to do over stdin.

Prints one JSON line when ready, with the addresses and keys; then takes commands, one JSON object a
line, and reports events likewise. It ends when stdin does, so it never outlives whoever started it.

    {"do": "point", "voice_url": "http://…", "status_url": "http://…"}
    {"do": "call", "scenario": "billing"}    {"do": "call", "caller_file": "/x.wav"}
    {"do": "day", "calls": 5, "scenario": ""}

CORDBOARD_REHEARSAL_LINES names a folder of WAV files, each with its words in a .txt of the same name:
whoever says one of them, through whatever microphone, is understood by the AI.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import random
import secrets
import sys
import threading
import time
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from bridge.rehearsal import scenario as scenarios
from bridge.rehearsal.carrier import Company
from bridge.rehearsal.exchange import new_sid
from bridge.rehearsal.line import Line
from bridge.rehearsal.model import Model
from bridge.rehearsal.recall import load_lines
from bridge.rehearsal.scenario import DEFAULT_NUMBER, Scenario

log = logging.getLogger("cordboard.rehearsal")

FAREWELL_S = 2.0
"""How long calls may take to end once stdin has; after that the process ends without them."""

PARENT_CHECK_S = 1.0
MOST_CALLS_A_DAY = 1000


class Rehearsal:
    """Carries out commands and reports what happens."""

    def __init__(self, company: Company, model: Model, catalogue: dict[str, Scenario]) -> None:
        self._company = company
        self._model = model
        self._catalogue = catalogue
        self._any = itertools.cycle(catalogue)
        self._tasks: set[asyncio.Task[None]] = set()
        company.on_line = self._watch

    def obey(self, text: str) -> None:
        """One command; what cannot be done is reported as ``refused``."""
        try:
            command = json.loads(text)
            match command:
                case {"do": "point", "voice_url": str(voice_url)}:
                    self._company.point(voice_url, str(command.get("status_url", "")))
                case {"do": "call", "caller_file": str(path)} if path:
                    self._begin(self._call_from_file(path))
                case {"do": "call", "scenario": str(name)}:
                    self._begin(self._call(self._scenario(name)))
                case {"do": "day", "calls": int(calls)} if 0 < calls <= MOST_CALLS_A_DAY:
                    name = str(command.get("scenario", ""))
                    names = [self._scenario(name).name] if name else list(self._catalogue)
                    self._begin(self._day(calls, names))
                case _:
                    raise ValueError("not a command")
        except ValueError as error:
            report("refused", reason=str(error))

    async def stop(self) -> None:
        """Hang up everywhere and let no new call begin."""
        for task in self._tasks:
            task.cancel()
        self._company.exchange.webhook_s = FAREWELL_S / 2
        await self._company.hang_up_all()

    def _scenario(self, name: str) -> Scenario:
        """The one called so, or with no name whichever comes next."""
        name = name or next(self._any)
        if name not in self._catalogue:
            raise ValueError(f"there is no scenario called {name}: choose from {', '.join(self._catalogue)}")
        return self._catalogue[name]

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call_from_file(self, path: str) -> None:
        try:
            scenario = await asyncio.to_thread(scenarios.from_wav, path)
        except (OSError, ValueError) as error:
            report("refused", reason=f"{path} cannot be played: {error}")
            return
        await self._call(scenario)

    async def _call(self, scenario: Scenario) -> None:
        line = await self._placed(scenario)
        if line is not None:
            await line.ended

    async def _placed(self, scenario: Scenario) -> Line | None:
        try:
            return await self._company.place_call(scenario)
        except (LookupError, ValueError) as error:
            report("refused", reason=str(error))
            return None

    async def _day(self, calls: int, names: list[str]) -> None:
        """Calls seconds apart, so that several run at once; callers of one story have numbers of their own."""
        chance = random.Random(calls)
        lines: list[Line] = []
        for number, name in enumerate(itertools.islice(itertools.cycle(names), calls)):
            if number:
                await asyncio.sleep(chance.uniform(1.0, 5.0))
            line = await self._placed(another(self._catalogue[name], number // len(names)))
            if line is not None:
                lines.append(line)
        for line in lines:
            await line.ended
        report("day_over")

    def _watch(self, line: Line) -> None:
        report("call_started", call_sid=line.call_sid, scenario=line.scenario.name)
        self._begin(self._report_end(line))

    async def _report_end(self, line: Line) -> None:
        await line.ended
        report(
            "call_ended",
            call_sid=line.call_sid,
            scenario=line.scenario.name,
            status=str(line.status),
            complete=line.complete,
            gave_up=line.caller.gave_up,
            errors=[list(fault) for fault in line.errors],
            heard_ms=line.heard_ms,
        )
        if not self._model.open_sessions:
            self._model.sessions.clear()
            self._model.live_sessions.clear()


def another(scenario: Scenario, which: int) -> Scenario:
    """The same story told from another (fictional) number; 0 is its own."""
    if not which or scenario.direction != "inbound":
        return scenario
    number = scenario.caller_number
    return replace(scenario, caller_number=f"{number[:-2]}{(int(number[-2:]) + 17 * which) % 100:02d}")


def report(event: str, **fields: Any) -> None:
    """One line on stdout."""
    print(json.dumps({"event": event, **fields}), flush=True)


def read_stdin(loop: asyncio.AbstractEventLoop, commands: asyncio.Queue[str]) -> None:
    """Passes each line on, and "" at the end; then sees to it that the process ends in any case.

    A thread, since not every platform's loop can read a pipe; unbuffered, since a thread that dies
    within a buffered read takes the interpreter down with it.
    """
    rest = b""
    while data := os.read(0, 65536):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if line.strip():
                loop.call_soon_threadsafe(commands.put_nowait, line.decode("utf-8", "replace"))
    loop.call_soon_threadsafe(commands.put_nowait, "")
    time.sleep(FAREWELL_S)
    os._exit(0)


def watch_parent(parent: int, commands: asyncio.Queue[str]) -> None:
    """Ends everything too when the parent is gone but somebody else holds our stdin open."""
    if os.getppid() != parent:
        commands.put_nowait("")
    else:
        asyncio.get_running_loop().call_later(PARENT_CHECK_S, watch_parent, parent, commands)


async def rehearse() -> None:
    """Everything, until stdin ends."""
    catalogue = {name: scenarios.load(name) for name in scenarios.names()}
    numbers = sorted({DEFAULT_NUMBER, *(scenario.our_number for scenario in catalogue.values())})
    people = {s.caller_number: s for s in catalogue.values() if s.direction == "outbound"}
    company = Company(new_sid("AC"), secrets.token_hex(16), numbers, callees=people, keep_audio=False)
    async with Model(api_key="sk-rehearsal-" + secrets.token_hex(16)) as model, company:
        if folder := os.environ.get("CORDBOARD_REHEARSAL_LINES"):
            for text, audio in load_lines(Path(folder)):
                model.lines.learn(text, audio)
        rehearsal = Rehearsal(company, model, catalogue)
        ready = {
            "ready": True,
            "api_url": company.api_url,
            "model_url": model.url,
            "api_key": model.api_key,
            "account_sid": company.account_sid,
            "auth_token": company.auth_token,
            "numbers": numbers,
            "scenarios": list(catalogue),
        }
        print(json.dumps(ready), flush=True)
        commands: asyncio.Queue[str] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        threading.Thread(target=read_stdin, args=(loop, commands), name="stdin", daemon=True).start()
        watch_parent(os.getppid(), commands)
        try:
            while command := await commands.get():
                rehearsal.obey(command)
        finally:
            await rehearsal.stop()


def main() -> None:
    """Run until stdin ends."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        run = _fast_run()
        run(rehearse())
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Nobody reads us any more; the interpreter would complain once more on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fast_run() -> Any:
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


if __name__ == "__main__":
    main()
