"""The control listener: consoles attach here, see everything and command.

Loopback by default, and never behind the tunnel. Whoever connects must name our host, show the
token of this start, and must not be a web page (browsers always send an Origin); all of that is
checked before the socket is upgraded. State reaches every console that reads: what changes
between two flushes is sent once, as it then is; the answer to a command waits for no flush. A console
that does not read is let go, and attaches again when it can. Protocol: `bridge.control`.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections import deque
from contextlib import suppress

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from bridge import control
from bridge.control import Event
from bridge.errors import NotAllowed
from bridge.picture import Key
from bridge.switchboard import Switchboard

log = logging.getLogger("cordboard.desk")

FLUSH_S = 0.04
FLUSHES_PER_SPARKLINE = 5
ATTACH_PATIENCE_S = 5.0
SEND_PATIENCE_S = 5.0
MAX_COMMAND_BYTES = 64 * 1024
MAX_EVENTS_WAITING = 2000
MAX_NAME_CHARS = 80
SOUND_WAITING = 25
"""Pieces of sound that wait for a console that listens: a quarter of a second of both sides."""


class Console:
    """One attached console: what it has yet to be told, and who it is."""

    def __init__(self, socket: web.WebSocketResponse, name: str) -> None:
        self.name = name
        self.watched = ""
        self._socket = socket
        self._keys: dict[tuple[str, Key], None] = {}
        self._peaks: dict[str, int] = {}
        self._events: deque[Event] = deque()
        self._overwhelmed = False
        self.listen_id = 0
        self._sound: asyncio.Queue[bytes] = asyncio.Queue(SOUND_WAITING)
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._flushes = 0

    def changed(self, call_id: str, key: Key) -> None:
        """``key`` of a call is to be fetched and sent."""
        self._keys[call_id, key] = None
        self._wake.set()

    def peaks(self, call_id: str, first: int) -> None:
        """The waveform is to be sent from column ``first`` on."""
        self._peaks[call_id] = min(first, self._peaks.get(call_id, first))
        self._wake.set()

    def tell(self, event: Event) -> None:
        """``event`` is to be sent."""
        if len(self._events) >= MAX_EVENTS_WAITING:
            # Events must arrive: what reads so slowly is let go, and attaches again when it can.
            self._overwhelmed = True
            return
        if isinstance(event, control.CallForgotten):
            self._keys = {key: None for key in self._keys if key[0] != event.call_id}
            self._peaks.pop(event.call_id, None)
        self._events.append(event)
        self._wake.set()

    def answer(self, event: control.Done | control.Refused) -> None:
        """``event`` is to be sent at once, after all that it follows from: somebody waits for it to speak."""
        self.tell(event)
        self._hurry.set()

    async def pump(self, switchboard: Switchboard, attached: control.Attached) -> None:
        """Send everything, and then what there is to send, for ever.

        Raises TimeoutError for a console that does not read, ConnectionError for one that is gone.
        """
        for event in [*switchboard.snapshot(), attached]:
            await self._send(event)
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._hurry.clear()
            self._flushes += 1
            for event in self._take(switchboard):
                await self._send(event)
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_S):
                    await self._hurry.wait()

    def hear(self, side: control.Side, at_ms: int, audio: bytes) -> None:
        """Sound is to be sent at once; of what waits too long the oldest is dropped."""
        if self._sound.full():
            self._sound.get_nowait()
        self._sound.put_nowait(control.encode_heard(self.listen_id, side, at_ms, audio))

    async def play(self) -> None:
        """Send sound as it comes, for ever. Raises ConnectionError for a console that is gone."""
        while True:
            await self._socket.send_bytes(await self._sound.get())

    async def _send(self, event: Event) -> None:
        if self._overwhelmed:
            raise TimeoutError
        async with asyncio.timeout(SEND_PATIENCE_S):
            await self._socket.send_str(control.encode(event))

    def _take(self, switchboard: Switchboard) -> list[Event]:
        taken: list[Event] = []
        keys, self._keys = self._keys, {}
        for call_id, key in keys:
            session = switchboard.sessions.get(call_id)
            event = session.picture.event(key) if session is not None else None
            if event is not None:
                taken.append(event)
        for call_id in list(self._peaks):
            if call_id == self.watched or self._flushes % FLUSHES_PER_SPARKLINE == 0:
                first = self._peaks.pop(call_id)
                session = switchboard.sessions.get(call_id)
                if session is not None:
                    taken.append(session.picture.peaks(first))
        if self._peaks:
            self._wake.set()
        taken += self._events
        self._events.clear()
        return taken


class Desk:
    """The listener itself. ``address``: where it is told to listen; port 0 lets the system choose."""

    def __init__(self, switchboard: Switchboard, *, token: str, attached: control.Attached) -> None:
        self._switchboard = switchboard
        self._token = token
        self._attached = attached
        self._hosts: set[str] = set()
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> str:
        """Listen; returns the URL for consoles. Raises OSError when the address is taken."""
        app = web.Application()
        app.router.add_get("/control", self._attach)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        port = self._runner.addresses[0][1]
        names = {host, "127.0.0.1", "localhost", "[::1]"}
        self._hosts = {f"{name}:{port}" for name in names}
        return f"ws://{host}:{port}/control"

    async def close(self) -> None:
        """Let every console go."""
        if self._runner is not None:
            await self._runner.cleanup()

    def _may_enter(self, request: web.Request) -> bool:
        shown = request.headers.get("Authorization", "")
        return (
            request.headers.getall("Host", []) in [[host] for host in self._hosts]
            and "Origin" not in request.headers
            and hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), f"Bearer {self._token}".encode())
        )

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        if not self._may_enter(request):
            log.warning("someone without the right token, host or manners was refused at the control door")
            return web.Response(status=403)
        socket = web.WebSocketResponse(
            compress=False, heartbeat=10.0, max_msg_size=MAX_COMMAND_BYTES, timeout=1.0, autoping=True
        )
        await socket.prepare(request)
        try:
            async with asyncio.timeout(ATTACH_PATIENCE_S):
                hello = control.decode_command(await socket.receive_str())
        except (TimeoutError, TypeError, msgspec.DecodeError):
            hello = None
        if not isinstance(hello, control.Attach):
            await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"attach first")
        elif hello.version != control.VERSION:
            await socket.send_str(control.encode(control.Refused(id=hello.id, reason=_other_version(hello.version))))
            await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"version")
        else:
            await self._serve(socket, hello, request.transport)
        return socket

    async def _serve(
        self, socket: web.WebSocketResponse, hello: control.Attach, transport: asyncio.Transport | None
    ) -> None:
        console = Console(socket, hello.console.strip()[:MAX_NAME_CHARS] or "a desk")
        self._switchboard.attach(console)
        console.answer(control.Done(id=hello.id))
        telling = asyncio.create_task(self._tell(console, transport))
        playing = asyncio.create_task(console.play())
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._hear(console, message.data)
                elif message.type is WSMsgType.BINARY and message.data[:1] == bytes([control.TALK]):
                    self._switchboard.talk(message.data[1:], console.name)
        finally:
            self._switchboard.detach(console)
            for task in (telling, playing):
                task.cancel()
            await asyncio.wait([telling, playing])
            if not playing.cancelled():
                # A console that is gone; the socket's reader has said so already.
                playing.exception()

    async def _tell(self, console: Console, transport: asyncio.Transport | None) -> None:
        """Keep a console up to date until it is gone, or does not read and is let go."""
        try:
            await console.pump(self._switchboard, msgspec.structs.replace(self._attached, console=console.name))
        except ConnectionError:
            pass
        except TimeoutError:
            log.warning("a console did not read what it was told and was let go")
        except Exception:
            log.exception("a console could not be told what happens and was let go")
        # It would not read a goodbye, and closing politely would wait until it does.
        if transport is not None:
            transport.abort()

    def _hear(self, console: Console, text: str) -> None:
        try:
            command = control.decode_command(text)
        except msgspec.DecodeError as error:
            console.tell(control.Notice(text=f"The bridge could not read a command of this window: {error}."))
            return
        if isinstance(command, control.Watch):
            console.watched = command.call_id
            self._show_messages(console)
            console.answer(control.Done(id=command.id))
            return
        try:
            if isinstance(command, control.Listen):
                console.listen_id = command.id
                self._switchboard.listen(console, command.call_id)
                console.answer(control.Done(id=command.id))
                return
            self._switchboard.obey(command, console.name)
        except NotAllowed as refusal:
            console.answer(control.Refused(id=command.id, reason=refusal.reason))
        else:
            console.answer(control.Done(id=command.id))

    def _show_messages(self, console: Console) -> None:
        session = self._switchboard.sessions.get(console.watched)
        if session is not None:
            for message in session.picture.messages:
                console.changed(console.watched, ("message", str(message.number)))


def _other_version(version: int) -> str:
    return (
        f"This window speaks version {version} of the control protocol and the bridge version {control.VERSION}. "
        "Update the older of the two."
    )
