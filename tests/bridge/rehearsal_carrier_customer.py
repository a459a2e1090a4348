"""The other end for tests of the telephone company: a customer's server that answers its webhooks.

It checks every signature with Twilio's own code, keeps what it was told, and talks on the media
socket as the test says.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, NamedTuple

from aiohttp import WSMsgType, web
from twilio.request_validator import RequestValidator

from bridge.rehearsal.scenario import CallerStep, Scenario

ACCOUNT_SID = "AC" + "1" * 32
AUTH_TOKEN = "12345"
OUR_NUMBER = "+16285550101"
THEIR_NUMBER = "+14155550142"
TONE = bytes([0x80, 0x00]) * 4000
"""One second, as loud as it gets."""


def person(*steps: CallerStep, direction: str = "inbound") -> Scenario:
    """Somebody at the other end of the line."""
    return Scenario("test", "A test", direction, THEIR_NUMBER, OUR_NUMBER, ("Seattle", "WA", "US"), steps)


class Hook(NamedTuple):
    """A webhook that came."""

    path: str
    fields: dict[str, str]


class Media:
    """The customer's end of one media stream."""

    def __init__(self, socket: web.WebSocketResponse, path: str) -> None:
        self.socket = socket
        self.path = path
        self.messages: list[dict[str, Any]] = []
        self.sid = ""

    async def say(self, audio: bytes, chunk_bytes: int = 480_000) -> None:
        for i in range(0, len(audio), chunk_bytes):
            payload = base64.b64encode(audio[i : i + chunk_bytes]).decode()
            await self.send(event="media", media={"payload": payload})

    async def mark(self, name: str) -> None:
        await self.send(event="mark", mark={"name": name})

    async def clear(self) -> None:
        await self.send(event="clear")

    async def send(self, **message: object) -> None:
        await self.socket.send_json({**message, "streamSid": self.sid})

    async def next(self, event: str) -> dict[str, Any]:
        """The next message of a kind; all others before it are kept too. Raises EOFError at the end."""
        async for message in self.socket:
            assert message.type is WSMsgType.TEXT
            self.messages.append(message.json())
            if self.messages[-1]["event"] == event:
                return self.messages[-1]
        raise EOFError

    async def rest(self) -> None:
        """Everything until the socket closes."""
        async for message in self.socket:
            self.messages.append(message.json())

    def audio(self) -> bytes:
        """All that the caller said."""
        payloads = [m["media"]["payload"] for m in self.messages if m["event"] == "media"]
        return b"".join(base64.b64decode(payload) for payload in payloads)

    def events(self) -> list[str]:
        """Kinds of message but for media."""
        return [m["event"] for m in self.messages if m["event"] != "media"]


async def listen(media: Media) -> None:
    """Only listens."""
    await media.rest()


class Customer:
    """An aiohttp server on loopback. twiml: the answer to each path, ``{host}`` being its own."""

    def __init__(self, talk: Callable[[Media], Awaitable[None]] = listen) -> None:
        self.twiml = {"/voice": connect()}
        self.content_type = "text/xml"
        self.status = 200
        self.handshake_status = 101
        self.hold = asyncio.Event()
        self.hold.set()
        self.talk = talk
        self.hooks: list[Hook] = []
        self.forged: list[str] = []
        self.streams: list[Media] = []
        self.host = ""
        self._changed = asyncio.Event()
        self._validator = RequestValidator(AUTH_TOKEN)
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Customer:
        app = web.Application()
        app.router.add_get("/media", self._media)
        app.router.add_route("*", "/{path:.*}", self._hook)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.host = f"127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hold.set()
        assert self._runner is not None
        await self._runner.cleanup()

    def trust(self, auth_token: str) -> None:
        """Check signatures against another account's token."""
        self._validator = RequestValidator(auth_token)

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"

    def told(self, path: str) -> list[dict[str, str]]:
        """What came to a path."""
        return [hook.fields for hook in self.hooks if hook.path == path]

    async def until_told(self, path: str, times: int = 1) -> list[dict[str, str]]:
        """Waits until this many webhooks have come to a path."""
        while len(self.told(path)) < times:
            self._changed.clear()
            await self._changed.wait()
        return self.told(path)

    async def until_media(self) -> Media:
        """Waits for the first media stream."""
        while not self.streams:
            self._changed.clear()
            await self._changed.wait()
        return self.streams[-1]

    async def _hook(self, request: web.Request) -> web.Response:
        form = {str(key): str(value) for key, value in (await request.post()).items()}
        signature = request.headers.get("X-Twilio-Signature", "")
        if not self._validator.validate(self.url(request.path_qs), form, signature):
            self.forged.append(request.path)
            self._changed.set()
            return web.Response(status=403)
        self.hooks.append(Hook(request.path, form or dict(request.query)))
        self._changed.set()
        await self.hold.wait()
        twiml = self.twiml.get(request.path, "<Response/>").replace("{host}", self.host)
        return web.Response(status=self.status, text=twiml, content_type=self.content_type)

    async def _media(self, request: web.Request) -> web.StreamResponse:
        signature = request.headers.get("X-Twilio-Signature", "")
        if not self._validator.validate(f"ws://{self.host}{request.path_qs}", {}, signature):
            self.forged.append(request.path)
            self._changed.set()
            return web.Response(status=403)
        if self.handshake_status != 101:
            return web.Response(status=self.handshake_status)
        socket = web.WebSocketResponse(compress=False, timeout=1.0)
        await socket.prepare(request)
        media = Media(socket, request.path_qs)
        try:
            media.sid = (await media.next("start"))["streamSid"]
            self.streams.append(media)
            self._changed.set()
            await self.talk(media)
        except EOFError:
            pass
        finally:
            await socket.close()
        return socket


def connect(attributes: str = "", tail: str = "<Say>Sorry.</Say><Hangup/>", url: str = "ws://{host}/media") -> str:
    """TwiML that connects the call to the media socket."""
    stream = f'<Stream url="{url}" statusCallback="/stream"><Parameter name="token" value="one-time"/></Stream>'
    return f"<Response><Connect {attributes}>{stream}</Connect>{tail}</Response>"
