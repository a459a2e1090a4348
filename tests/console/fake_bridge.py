"""A bridge without calls behind it: speaks the control protocol over a real socket, obeys, remembers."""

from __future__ import annotations

import asyncio
import http
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from msgspec.structs import replace
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from bridge import control
from bridge.control import CallView, Floor, Party, Phase, Recording, TurnKind, TurnState, TurnView, Verb

TOKEN = "a token of this test"
BEAT_S = 0.2
C = TypeVar("C")

LIVE_VERBS = (Verb.INTERRUPT, Verb.MUTE_AI, Verb.WHISPER, Verb.ASK, Verb.SAY, Verb.TAKE_OVER, Verb.SWAP, Verb.HANG_UP)
TAKEN_VERBS = (Verb.WHISPER, Verb.HAND_BACK, Verb.SWAP, Verb.HANG_UP)
HELD_VERBS = (Verb.WHISPER, Verb.TAKE_OVER, Verb.HAND_BACK, Verb.UNHOLD, Verb.SWAP, Verb.HANG_UP)
TAKEN_WHY = "You have the floor, so the AI is silent. Hand back first."


def live_call(call_id: str = "c1", **fields: Any) -> CallView:
    """A call on which every verb but Hand back is allowed."""
    return CallView(
        **{
            "call_id": call_id,
            "number": "+14155550142",
            "place": "San Francisco",
            "profile": "Billing",
            "phase": Phase.LIVE,
            "floor": Floor.AI,
            "activity": "AI speaking",
            "speaking": Party.AI,
            "recording": Recording.ON,
            "clock_ms": 192_000,
            "started_unix_ms": 1_700_000_000_000,
            "engine": "openai",
            "engines": ("cascade", "keypad"),
            "allowed": LIVE_VERBS,
            "why_not": {Verb.HAND_BACK: "The AI was not taken over."},
            **fields,
        }
    )


def taken_call(call_id: str = "c1", holder: str = "", **fields: Any) -> CallView:
    """The same after an operator took over."""
    why = {verb: TAKEN_WHY for verb in Verb if verb not in TAKEN_VERBS}
    taken = {"floor": Floor.OPERATOR, "floor_holder": holder, "allowed": TAKEN_VERBS, "why_not": why}
    return live_call(call_id, **{**taken, "activity": "You have the floor", **fields})


def held_call(call_id: str = "c1", holder: str = "", **fields: Any) -> CallView:
    """The same while an operator keeps the caller on hold."""
    why = dict.fromkeys(set(Verb) - set(HELD_VERBS), "The caller is on hold. Take them off hold first.")
    held = {"floor": Floor.HOLD, "floor_holder": holder, "allowed": HELD_VERBS, "why_not": why}
    return live_call(call_id, **{**held, "activity": "On hold", "speaking": Party.NOBODY, **fields})


def ended_call(call_id: str = "c1", **fields: Any) -> CallView:
    """The same when it is over."""
    ended = {
        "phase": Phase.ENDED,
        "floor": Floor.NOBODY,
        "allowed": (),
        "why_not": dict.fromkeys(Verb, "The call has ended."),
        "activity": "Ended · caller hung up",
        "end_cause": "caller hung up",
        "speaking": Party.NOBODY,
    }
    return live_call(call_id, **{**ended, **fields})


def turn(turn_id: str, speaker: Party, text: str, call_id: str = "c1", **fields: Any) -> TurnView:
    """One line that was wholly heard."""
    number = int("".join(filter(str.isdigit, turn_id)) or 0)
    whole = {"order": number, "start_ms": number * 1000, "heard_chars": len(text), "state": TurnState.FINAL}
    return TurnView(call_id=call_id, turn_id=turn_id, speaker=speaker, text=text, **{**whole, **fields})


def _identity(event: control.Event) -> tuple[object, ...]:
    match event:
        case control.CallChanged(call=call):
            return ("call", call.call_id)
        case control.TurnChanged(turn=turn):
            return ("turn", turn.call_id, turn.turn_id)
        case control.ToolChanged(tool=tool):
            return ("tool", tool.call_id, tool.tool_id)
        case control.HealthChanged(health=health):
            return ("health", health.part)
        case control.VendorTimed(vendor=vendor):
            return ("vendor", vendor.vendor, vendor.step)
        case control.PeaksAdded() | control.GhostAdded():
            return (type(event).__name__, event.call_id, event.first_column)
        case _:
            return ("once", id(event))


class FakeBridge:
    """Writes its lock into ``home``; use as an async context.

    obeys: whether verbs change the call, as a real bridge's do. holds: answers are kept back until
    `answer_held`. refuses: verb's command class -> reason. stands_still: it says nothing of itself, as it
    does several times a second while an operator has a floor.
    """

    def __init__(self, home: Path, *, rehearsal: bool = True, port: int = 0) -> None:
        self.home = home
        self.rehearsal = rehearsal
        self.obeys = True
        self.holds = False
        self.stands_still = False
        self.refuses: dict[type, str] = {}
        self.commands: list[control.Command] = []
        self.talk: list[bytes] = []
        self.consoles: set[ServerConnection] = set()
        self.attachments = 0
        self.port = port
        self._state: dict[tuple[object, ...], control.Event] = {}
        self._held: list[Callable[[], None]] = []
        self._held_from: dict[str, CallView] = {}
        self._news = asyncio.Condition()
        self._server: Server | None = None
        self._beat_timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> FakeBridge:
        self._server = await serve(self._console, "127.0.0.1", self.port, process_request=self._check, compression=None)
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "control.token").write_text(TOKEN)
        (self.home / "bridge.lock").write_text(
            json.dumps(
                {
                    "pid": os.getpid(),
                    "control_url": f"ws://127.0.0.1:{self.port}/control",
                    "token_path": str(self.home / "control.token"),
                    "started_unix_ms": 1,
                }
            )
        )
        self._beat()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None and self._beat_timer is not None
        self._beat_timer.cancel()
        self._server.close()
        await self._server.wait_closed()
        (self.home / "bridge.lock").unlink(missing_ok=True)

    def _beat(self) -> None:
        taken = any(
            isinstance(event, control.CallChanged) and event.call.floor is Floor.OPERATOR
            for event in self._state.values()
        )
        if taken and not self.stands_still:
            self.tell(control.Done(id=0))
        self._beat_timer = asyncio.get_running_loop().call_later(BEAT_S, self._beat)

    # ── what it tells ──

    def put(self, *events: control.Event) -> None:
        """Becomes part of the state and is sent to every console."""
        for event in events:
            self._state[_identity(event)] = event
            for console in self.consoles:
                self._send(console, event)

    def put_call(self, *views: CallView) -> None:
        """The newest of these calls."""
        self.put(*(control.CallChanged(call=view) for view in views))

    def forget_call(self, call_id: str) -> None:
        """As a bridge lets go of an old call."""
        self._state.pop(("call", call_id))
        for console in self.consoles:
            self._send(console, control.CallForgotten(call_id=call_id))

    def tell(self, event: control.Event) -> None:
        """Sent once, part of no state."""
        for console in self.consoles:
            self._send(console, event)

    def tell_text(self, text: str) -> None:
        """A frame exactly as given."""
        for console in self.consoles:
            console.protocol.send_text(text.encode())
            console.transport.writelines(console.protocol.data_to_send())

    def tell_bytes(self, frame: bytes) -> None:
        """A binary frame exactly as given."""
        for console in self.consoles:
            console.protocol.send_binary(frame)
            console.transport.writelines(console.protocol.data_to_send())

    def read(self, reads: bool) -> None:
        """Whether it reads what consoles send."""
        for console in self.consoles:
            console.transport.resume_reading() if reads else console.transport.pause_reading()

    def lose_consoles(self) -> None:
        """Every connection breaks as if the bridge were gone."""
        for console in list(self.consoles):
            console.transport.abort()

    # ── what it hears ──

    async def heard(self, kind: type[C], count: int = 1) -> C:
        """Waits for the count-th command of this kind and returns it."""
        await self._until(lambda: len(self._of(kind)) >= count)
        return self._of(kind)[count - 1]

    async def talked(self, frames: int) -> None:
        """Waits for that much operator audio."""
        await self._until(lambda: len(self.talk) >= frames)

    async def attached(self, times: int = 1) -> None:
        """Waits until a console has attached that often."""
        await self._until(lambda: self.attachments >= times)

    async def detached(self) -> None:
        """Waits until no console is attached."""
        await self._until(lambda: not self.consoles)

    def answer_held(self) -> None:
        """Answer all that `holds` kept back."""
        held, self._held = self._held, []
        for answer in held:
            answer()

    def view(self, call_id: str) -> CallView:
        """What it last said of a call."""
        event = self._state[("call", call_id)]
        assert isinstance(event, control.CallChanged)
        return event.call

    @property
    def console(self) -> str:
        """The name of the console that attached last."""
        return self._of(control.Attach)[-1].console

    def sound(self, listen_id: int, audio: bytes, at_ms: int = 0) -> None:
        """What the caller hears, to whoever listens."""
        self.tell_bytes(control.encode_heard(listen_id, control.Side.LINE, at_ms, audio))

    def _of(self, kind: type[C]) -> list[C]:
        return [command for command in self.commands if isinstance(command, kind)]

    async def _until(self, predicate: Callable[[], bool]) -> None:
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(predicate)

    def _check(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}" or "Origin" in request.headers:
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "")
        return None

    async def _console(self, connection: ServerConnection) -> None:
        try:
            async for message in connection:
                if isinstance(message, bytes):
                    assert message[0] == control.TALK
                    self.talk.append(message[1:])
                else:
                    self._receive(connection, control.decode_command(message))
                async with self._news:
                    self._news.notify_all()
        finally:
            self.consoles.discard(connection)
            async with self._news:
                self._news.notify_all()

    def _receive(self, connection: ServerConnection, command: control.Command) -> None:
        self.commands.append(command)
        if isinstance(command, control.Attach):
            if reason := self.refuses.get(control.Attach):
                self._send(connection, control.Refused(id=command.id, reason=reason))
                return
            for event in self._state.values():
                self._send(connection, event)
            scenarios = ("billing", "booking", "person", "reminder") if self.rehearsal else ()
            attached = control.Attached(
                version=control.VERSION,
                console=command.console,
                rehearsal=self.rehearsal,
                bridge_pid=os.getpid(),
                home=str(self.home),
                scenarios=scenarios,
            )
            self._send(connection, attached)
            self.consoles.add(connection)
            self.attachments += 1
        elif self.holds:
            self._held.append(lambda: self._answer(connection, command))
            return
        self._answer(connection, command)

    def _answer(self, connection: ServerConnection, command: control.Command) -> None:
        reason = self.refuses.get(type(command))
        if reason is not None:
            self._send(connection, control.Refused(id=command.id, reason=reason))
            return
        if self.obeys:
            self._obey(command)
        self._send(connection, control.Done(id=command.id))

    def _obey(self, command: control.Command) -> None:
        match command:
            case control.MuteAI(call_id=call_id, muted=muted):
                floor = Floor.NOBODY if muted else Floor.AI
                self.put_call(live_call(call_id, ai_muted=muted, floor=floor))
            case control.TakeOver(call_id=call_id):
                self.put_call(taken_call(call_id, self.console))
            case control.Hold(call_id=call_id, held=True):
                self._held_from[call_id] = self.view(call_id)
                self.put_call(held_call(call_id, self.console))
            case control.Hold(call_id=call_id) if call_id in self._held_from:
                self.put_call(self._held_from.pop(call_id))
            case control.HandBack(call_id=call_id):
                self.put_call(live_call(call_id))
            case control.HangUp(call_id=call_id):
                self.put_call(live_call(call_id, phase=Phase.ENDING, allowed=()))
            case control.Swap(call_id=call_id, engine=engine):
                self.put_call(replace(self.view(call_id), coming=engine))
            case control.Whisper(call_id=call_id, text=text):
                line = turn(f"w{len(self.commands)}", Party.OPERATOR, text, call_id, kind=TurnKind.WHISPER)
                self.put(control.TurnChanged(turn=line))

    def _send(self, connection: ServerConnection, event: control.Event) -> None:
        connection.protocol.send_text(control.encode(event).encode())
        connection.transport.writelines(connection.protocol.data_to_send())
