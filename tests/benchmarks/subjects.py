"""What is measured: the minimal relay and the bridge, each as a process that calls can be placed to."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import psutil
from aiohttp import web
from twilio.request_validator import RequestValidator

from bridge import control
from tests.benchmarks.lean_socket import Socket, connect
from tests.benchmarks.load import Call, Load

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT_SID = "AC" + "5" * 32
START_S, STOP_S = 20.0, 12.0
MAX_COMPLAINTS_BYTES = 3000


class Subject(Protocol):
    """A process at work. told: what it said when it was ready."""

    process: psutil.Process
    told: dict[str, Any]

    async def place(self, call: Call) -> Socket | None:
        """Open the call's media socket, or None when the call was turned away."""


class _Process:
    def __init__(self, process: psutil.Process, told: dict[str, Any]) -> None:
        self.process = process
        self.told = told


class RelaySubject(_Process):
    """Takes any media socket."""

    async def place(self, call: Call) -> Socket | None:
        socket = await connect(self.told["media_url"], {}, call.on_text)
        _begin(socket, call, f"CA{call.number:032x}", {})
        return socket


class BridgeSubject(_Process):
    """Wants a signed webhook, a signed handshake, and the token that the webhook answered."""

    def __init__(self, process: psutil.Process, told: dict[str, Any], http: aiohttp.ClientSession, token: str) -> None:
        super().__init__(process, told)
        self._http = http
        self._validator = RequestValidator(token)

    async def place(self, call: Call) -> Socket | None:
        call_sid = f"CA{call.number:032x}"
        form = {
            "CallSid": call_sid,
            "AccountSid": ACCOUNT_SID,
            "From": f"+1415555{call.number:04d}",
            "To": "+16285550100",
            "CallStatus": "ringing",
            "Direction": "inbound",
        }
        url = self.told["voice_url"]
        headers = {"X-Twilio-Signature": self._validator.compute_signature(url, form)}
        async with self._http.post(url, data=form, headers=headers) as response:
            twiml = ElementTree.fromstring(await response.text())
        stream = twiml.find("Connect/Stream")
        if stream is None:
            return None
        media_url = stream.attrib["url"]
        parameters = {noun.attrib["name"]: noun.attrib["value"] for noun in stream.findall("Parameter")}
        signature = self._validator.compute_signature(media_url, {})
        socket = await connect(media_url, {"X-Twilio-Signature": signature}, call.on_text)
        _begin(socket, call, call_sid, parameters)
        return socket


async def attach_console(subject: Subject) -> None:
    """A console that reads all it is told, and whose operator watches one call."""
    url, token = subject.told["control_url"], subject.told["token"]
    watching = False

    def heard(text: bytes) -> None:
        nonlocal watching
        if not watching and isinstance(event := control.decode_event(text), control.CallChanged):
            watching = True
            socket.send(control.encode(control.Watch(id=2, call_id=event.call.call_id)).encode())

    socket = await connect(url, {"Authorization": f"Bearer {token}"}, heard)
    socket.send(control.encode(control.Attach(id=1, version=control.VERSION, console="benchmark")).encode())


def _begin(socket: Socket, call: Call, call_sid: str, parameters: dict[str, str]) -> None:
    socket.send(b'{"event":"connected","protocol":"Call","version":"1.0.0"}')
    start = {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": call.stream_sid,
        "start": {
            "streamSid": call.stream_sid,
            "accountSid": ACCOUNT_SID,
            "callSid": call_sid,
            "tracks": ["inbound"],
            "customParameters": parameters,
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        },
    }
    socket.send(json.dumps(start).encode())


@asynccontextmanager
async def open_relay(load: Load, core: int) -> AsyncIterator[Subject]:
    """The minimal relay on this core."""
    async with child("minimal_relay", "--ai-url", load.ai_url, core=core) as (process, told):
        yield RelaySubject(process, told)


@asynccontextmanager
async def open_bridge(load: Load, core: int) -> AsyncIterator[Subject]:
    """The bridge on this core, with a home of its own."""
    token = secrets.token_hex(16)
    rest = web.AppRunner(_rest(), access_log=None, shutdown_timeout=1.0)
    await rest.setup()
    try:
        await web.TCPSite(rest, "127.0.0.1", 0).start()
        api_url = f"http://127.0.0.1:{rest.addresses[0][1]}"
        with tempfile.TemporaryDirectory(prefix="cordboard-bench-") as home:
            arguments = ("--ai-url", load.ai_url, "--api-url", api_url, "--home", home)
            account = ("--account-sid", ACCOUNT_SID, "--auth-token", token)
            async with (
                child("bridge_process", *arguments, *account, core=core) as (process, told),
                aiohttp.ClientSession() as http,
            ):
                yield BridgeSubject(process, told, http, token)
    finally:
        await rest.cleanup()


def _rest() -> web.Application:
    """As much of the telephone company's REST API as a bridge uses during a call."""

    async def call(request: web.Request) -> web.Response:
        return web.json_response({"sid": request.match_info["sid"], "status": "completed"})

    app = web.Application()
    app.router.add_route("*", "/2010-04-01/Accounts/{account}/Calls/{sid}.json", call)
    return app


@asynccontextmanager
async def child(module: str, *arguments: str, core: int) -> AsyncIterator[tuple[psutil.Process, dict[str, Any]]]:
    """A module of the benchmarks as a process, and what it said when it was ready."""
    with tempfile.TemporaryFile() as complaints:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", f"tests.benchmarks.{module}", *arguments, "--core", str(core)),
            stdout=asyncio.subprocess.PIPE,
            stderr=complaints,
            cwd=ROOT,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                line = await process.stdout.readline()
            yield psutil.Process(process.pid), json.loads(line or b"{}")
        finally:
            if process.returncode is None:
                process.terminate()
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
            complaints.seek(0)
            if told := complaints.read(MAX_COMPLAINTS_BYTES).decode(errors="replace"):
                print(f"{module} complained:\n{told}", file=sys.stderr)
