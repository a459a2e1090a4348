"""The whole bridge, put together and taken apart again in order.

Here and only here does everything meet: listeners, tunnel, carrier, engines, journal, recordings.
Every part is opened by an `AsyncExitStack`, so that whatever fails, all that was opened before it
is closed, the newest first.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge import control, lock, recording, tools, web
from bridge.carriers.twilio_rest import RestError, TwilioRest
from bridge.control import HealthPart, HealthState, HealthView
from bridge.desk import Desk
from bridge.engines.catalogue import Catalogue
from bridge.engines.speech import Voice
from bridge.engines.speech.first_that_speaks import open_voice
from bridge.engines.speech.openai_transcriber import OpenAITranscriber
from bridge.guard import Signatures
from bridge.house import House, Recorder
from bridge.journal import Journal, Trouble
from bridge.load import Load
from bridge.profiles import Profiles
from bridge.rehearsal.child import Rehearsal, open_rehearsal
from bridge.settings import Settings, make_home
from bridge.switchboard import Switchboard
from bridge.tunnel import open_tunnel

log = logging.getLogger("cordboard.service")

DRAIN_S = 8.0


@dataclass(frozen=True)
class Plan:
    """What a rehearsal is to do by itself: so many calls, of this scenario or with this voice."""

    calls: int = 0
    scenario: str = ""
    caller_file: str = ""


@dataclass
class Bridge:
    """A running bridge. ``stopping`` is set when it is to end."""

    settings: Settings
    switchboard: Switchboard
    public_url: str = ""
    control_url: str = ""
    token: str = ""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ready_line(self) -> str:
        """One line of JSON for whoever started this bridge."""
        return json.dumps(
            {
                "ready": True,
                "control": self.control_url,
                "public": self.public_url,
                "rehearsal": self.settings.rehearsal,
                "home": str(self.settings.home),
            }
        )


class _Work:
    """Tasks that outlive the call that started them; all are awaited in the end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run in the background; a failure is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("background work failed", exc_info=fault)

    async def close(self) -> None:
        """Let what runs finish for a moment, then cancel it."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=2.0)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))


@contextlib.asynccontextmanager
async def open_bridge(
    settings: Settings, rehearsal: Rehearsal | None = None, profiles: Profiles | None = None
) -> AsyncIterator[Bridge]:
    """A bridge that answers calls until the block ends.

    settings: complete, with the rehearsal's addresses in them if there is one. profiles: those that
    ship if None. Raises
    SettingsError, lock.AlreadyRunning, or OSError for an address or a folder that cannot be had.
    """
    loop = asyncio.get_running_loop()
    make_home(settings.home)
    async with contextlib.AsyncExitStack() as stack:
        held = lock.acquire(settings.home)
        stack.callback(held.release)
        switchboard: Switchboard

        def journal_trouble(trouble: Trouble, words: str) -> None:
            # From the journal's thread, and already while it opens: looked up when the loop gets to it.
            loop.call_soon_threadsafe(lambda: switchboard.notice(words, "", HealthState.RED))

        journal = Journal(settings.home / "journal.sqlite", journal_trouble)
        stack.push_async_callback(asyncio.to_thread, journal.close)
        folder = settings.home / "recordings"
        folder.mkdir(mode=0o700, exist_ok=True)
        adopted = recording.adopt(folder)
        writer = recording.Writer()
        stack.push_async_callback(asyncio.to_thread, writer.close)
        rest = TwilioRest(settings.twilio_account_sid, settings.twilio_auth_token, settings.twilio_api_url)
        stack.push_async_callback(rest.close)
        voice = open_voice(settings)
        stack.push_async_callback(voice.close)
        catalogue = Catalogue(settings, voice)
        stack.push_async_callback(catalogue.close)
        # Closed before all that it works with: the last words of a call come when the call is over.
        work = _Work()
        stack.push_async_callback(work.close)
        profiles = Profiles([catalogue.fitted(profile) for profile in profiles or Profiles.load()])
        house = _house(settings, catalogue, journal, writer, rest, work, voice, folder, lambda: switchboard)
        load = Load()
        switchboard = Switchboard(
            house,
            profile_for=profiles.for_number,
            max_calls=settings.max_calls,
            floor_return_ms=settings.floor_return_ms,
            busy=lambda: load.is_high,
        )
        bridge = Bridge(settings, switchboard, token=held.token)
        switchboard.stop = bridge.stopping.set
        if rehearsal is not None:
            switchboard.rehearse = lambda scenario: rehearsal.call(scenario=scenario)
        _first_health(switchboard, settings)
        work.spawn(catalogue.warm(profiles))
        for profile in profiles:
            for why in filter(None, (catalogue.turns_away(profile), catalogue.uncounted(profile))):
                switchboard.notice(why, "")
        for view in journal.unfinished():
            switchboard.notice(
                f"A call with {view.number or 'a caller'} was cut short when the bridge last stopped.", ""
            )
        if adopted:
            switchboard.notice(f"{len(adopted)} recording(s) that were cut short were made whole again.", "")

        signatures = Signatures(settings.twilio_account_sid, settings.twilio_auth_token, settings.public_url)
        listener = web.PublicListener(signatures, switchboard, knows=journal.knows)
        port = await listener.start(*settings.public_listen)
        stack.push_async_callback(listener.close)
        stack.push_async_callback(_end_calls, switchboard)
        if rehearsal is None:

            def tunnel_changed(health: HealthView, url: str) -> None:
                switchboard.set_health(health)
                if url:
                    signatures.public_url = bridge.public_url = url

            tunnel = await stack.enter_async_context(open_tunnel(settings, port, tunnel_changed))
            signatures.public_url = bridge.public_url = tunnel.url
        else:
            signatures.public_url = bridge.public_url = settings.public_url or f"http://127.0.0.1:{port}"
            rehearsal.point(f"{bridge.public_url}/twilio/voice", f"{bridge.public_url}/twilio/status")
        _number_health(switchboard, settings, bridge.public_url)

        attached = control.Attached(
            version=control.VERSION,
            console="",
            rehearsal=rehearsal is not None,
            bridge_pid=os.getpid(),
            home=str(settings.home),
            scenarios=rehearsal.scenarios if rehearsal is not None else (),
        )
        desk = Desk(switchboard, token=held.token, attached=attached)
        bridge.control_url = await desk.start(*settings.control_listen)
        stack.push_async_callback(desk.close)
        watching = loop.create_task(load.watch())
        stack.callback(watching.cancel)
        held.publish(bridge.control_url)
        yield bridge


async def _end_calls(switchboard: Switchboard) -> None:
    switchboard.end_all("the bridge was stopped")
    await switchboard.all_ended(DRAIN_S)


def _house(
    settings: Settings,
    catalogue: Catalogue,
    journal: Journal,
    writer: recording.Writer,
    rest: TwilioRest,
    work: _Work,
    voice: Voice,
    folder: Path,
    switchboard: Any,
) -> House:
    loop = asyncio.get_running_loop()

    def recorder(call_id: str) -> tuple[Recorder, str] | None:
        if not settings.recording:
            return None
        path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{call_id}.wav"

        def finished(end: recording.Finished) -> None:
            loop.call_soon_threadsafe(switchboard().recording_closed, call_id, end.state, end.words)

        return recording.Recorder(path, writer, finished), str(path)

    async def limit_time(call_sid: str, limit_s: int) -> None:
        try:
            await rest.set_time_limit(call_sid, limit_s)
        except RestError as error:
            switchboard().notice(f"The carrier did not take the time limit of a call: {error}", "")

    def engine_ready(model: str) -> None:
        switchboard().set_health(
            HealthView(
                part=HealthPart.ENGINE,
                state=HealthState.GREEN,
                word=model,
                reason="The AI answered when it was last called.",
            )
        )

    def engine_lost(why: str) -> None:
        switchboard().set_health(
            HealthView(
                part=HealthPart.ENGINE,
                state=HealthState.RED,
                word="AI lost",
                reason=why,
                fix="Do what the reason says; the next call tries again.",
            )
        )

    return House(
        journal=journal,
        engine=catalogue.engine,
        is_watched=lambda: bool(switchboard().watchers),
        recorder=recorder,
        hang_up=rest.hang_up,
        limit_time=limit_time,
        run_tool=tools.run,
        spawn=work.spawn,
        notice=lambda text, call_id: switchboard().notice(text, call_id),
        engine_ready=engine_ready,
        engine_lost=engine_lost,
        time_limit_s=settings.call_limit_s,
        ring_s=settings.ring_s,
        voice=voice,
        transcriber=lambda: OpenAITranscriber(api_key=settings.openai_api_key, base_url=settings.openai_base_url),
    )


def _first_health(switchboard: Switchboard, settings: Settings) -> None:
    switchboard.set_health(
        HealthView(part=HealthPart.BRIDGE, state=HealthState.GREEN, word="Bridge", reason=f"Runs as pid {os.getpid()}.")
    )
    if settings.rehearsal:
        switchboard.set_health(
            HealthView(
                part=HealthPart.TUNNEL,
                state=HealthState.GREEN,
                word="No tunnel",
                reason="A rehearsal needs none: its telephone company is on this machine.",
            )
        )
        engine, reason = "Simulated AI", "A rehearsal: the AI is simulated and nobody is billed."
    else:
        engine, reason = "AI not tried yet", "The first call will tell."
    state = HealthState.GREEN if settings.rehearsal else HealthState.AMBER
    switchboard.set_health(HealthView(part=HealthPart.ENGINE, state=state, word=engine, reason=reason))


def _number_health(switchboard: Switchboard, settings: Settings, public_url: str) -> None:
    if settings.rehearsal:
        health = HealthView(
            part=HealthPart.NUMBER,
            state=HealthState.GREEN,
            word=f"{settings.twilio_phone_number} (simulated)",
            reason="A rehearsal: the number is simulated. Set the TWILIO_ and OPENAI_ variables for a real line.",
        )
    else:
        health = HealthView(
            part=HealthPart.NUMBER,
            state=HealthState.AMBER,
            word=settings.twilio_phone_number,
            reason="Whether the number points here shows with its first call.",
            fix=f"In Twilio's console, set the number's voice webhook to {public_url}/twilio/voice (POST) "
            f"and its status callback to {public_url}/twilio/status.",
        )
    switchboard.set_health(health)


@contextlib.asynccontextmanager
async def open_all(settings: Settings, plan: Plan) -> AsyncIterator[Bridge]:
    """A bridge and, where there are no credentials, the rehearsal it works with."""
    if not settings.rehearsal:
        async with open_bridge(settings) as bridge:
            yield bridge
        return
    async with open_rehearsal() as rehearsal:
        with_line = settings.with_rehearsal(
            account_sid=rehearsal.account_sid,
            auth_token=rehearsal.auth_token,
            number=rehearsal.numbers[0],
            api_url=rehearsal.api_url,
            api_key=rehearsal.api_key,
            model_url=rehearsal.model_url,
        )
        async with open_bridge(with_line, rehearsal) as bridge:
            watching = asyncio.create_task(_watch_rehearsal(rehearsal, bridge))
            if plan.caller_file:
                rehearsal.call(caller_file=plan.caller_file)
            elif plan.calls:
                rehearsal.day(plan.calls, plan.scenario)
            try:
                yield bridge
            finally:
                watching.cancel()
                await asyncio.wait([watching])


async def _watch_rehearsal(rehearsal: Rehearsal, bridge: Bridge) -> None:
    async for event in rehearsal.events():
        for code, text in event.get("errors", ()):
            bridge.switchboard.notice(f"The telephone company refused something: {code} {text}", "")
            log.warning("the simulated telephone company refused something: Twilio error %s", code)
        if event.get("event") == "refused":
            bridge.switchboard.notice(f"No rehearsal call: {event.get('reason', '')}.", "", HealthState.RED)
    if not bridge.stopping.is_set():
        bridge.switchboard.notice("The rehearsal's telephone company stopped. Restart the window.", "", HealthState.RED)


async def serve(settings: Settings, plan: Plan) -> None:
    """Run until a signal or a console's Shutdown; prints one line when ready."""
    loop = asyncio.get_running_loop()
    async with open_all(settings, plan) as bridge:
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, bridge.stopping.set)
        print(bridge.ready_line, flush=True)
        await bridge.stopping.wait()
        log.info("stopping")
