"""The simulated telephone company: an account with numbers, a REST API, and calls that come and go.

Strict where Twilio is strict, real time where Twilio is real time, all on loopback. It ships with the
product as the rehearsal's telephone line; the tests and the benchmark use the same one.
"""

from __future__ import annotations

import asyncio
import ssl as tls
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import TracebackType

import msgspec
from aiohttp import web

from bridge.rehearsal.account import Number, application, numbers_by_sid
from bridge.rehearsal.exchange import Exchange
from bridge.rehearsal.line import Line
from bridge.rehearsal.media_stream import Tap
from bridge.rehearsal.order import TIME_LIMIT_S, Order, Status
from bridge.rehearsal.scenario import Scenario
from bridge.rehearsal.twiml import Fault
from bridge.rehearsal.websocket import WebSocket, connect

STATUS_EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})


class Company:
    """A telephone company with one account. Use as ``async with``.

    numbers: the account's, E.164. callees: who answers outbound calls, and how: a scenario that plays the
    person, or a status such as BUSY; nobody else answers. calls_per_second: the rest is queued, as Twilio
    does. ring_ms, say_ms_per_char: simulated life, 0 for none. keep_audio: lines keep what was heard and
    said, 16 kB a second. ssl: whom to trust for https and wss.

    api_url: of the REST API. lines: all calls ever made, by call SID. on_line: told of each new one.
    exchange: clock, keys and webhook patience, to be changed by tests.
    """

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        numbers: Iterable[str],
        *,
        callees: Mapping[str, Scenario | Status] | None = None,
        calls_per_second: float = 1.0,
        ring_ms: int = 1000,
        say_ms_per_char: int = 55,
        keep_audio: bool = True,
        ssl: tls.SSLContext | None = None,
        on_line: Callable[[Line], None] | None = None,
    ) -> None:
        self.account_sid = account_sid
        self.auth_token = auth_token
        self.numbers: dict[str, Number] = numbers_by_sid(tuple(numbers))
        self.lines: dict[str, Line] = {}
        self.callees = dict(callees or {})
        self.api_url = ""
        self.on_line = on_line
        self.exchange = Exchange(account_sid, auth_token)
        self.exchange.ring_ms = ring_ms
        self.exchange.say_ms_per_char = say_ms_per_char
        self.exchange.ssl = ssl
        self._keep_audio = keep_audio
        self._interval_s = 1 / calls_per_second
        self._next_dial_s = 0.0
        self._refusals: deque[tuple[str, str, tuple[int, int, str]]] = deque()
        self._runner: web.AppRunner | None = None
        self._raw: list[RawSocket] = []

    async def __aenter__(self) -> Company:
        self.exchange.open()
        self._runner = web.AppRunner(application(self), access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.api_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.hang_up_all()
        for raw in self._raw:
            await raw.close()
        if self._runner is not None:
            await self._runner.cleanup()
        await self.exchange.close()

    # ── the customer's side ───────────────────────────────────────────────────────────────

    def point(self, voice_url: str, status_url: str = "") -> None:
        """Send the calls of all numbers there, as if set through the API or the console."""
        for number in self.numbers.values():
            number.voice_url, number.status_callback = voice_url, status_url

    def refuse_next(self, status: int, code: int, text: str = "", *, method: str = "POST", path: str = "") -> None:
        """Refuse the next API request of this method whose path contains ``path``."""
        self._refusals.append((method, path, (status, code, text)))

    def refusal(self, method: str, path: str) -> tuple[int, int, str] | None:
        """What `refuse_next` said about this request."""
        if self._refusals and self._refusals[0][0] == method and self._refusals[0][1] in path:
            return self._refusals.popleft()[2]
        return None

    # ── calls ─────────────────────────────────────────────────────────────────────────────

    async def place_call(
        self,
        scenario: Scenario,
        *,
        time_limit_s: int = TIME_LIMIT_S,
        wrong_webhook_signature: bool = False,
        wrong_handshake_signature: bool = False,
        tap: Tap | None = None,
    ) -> Line:
        """A call by or to the scenario's person; it is ringing when this returns.

        Inbound: they call ``our_number``. Outbound: as if the customer had asked for the call through
        the API with the URLs of `point`. Raises LookupError when ``our_number`` is not one of ours, and
        ValueError when it points nowhere.
        """
        number = self._number(scenario.our_number)
        if not number.voice_url:
            raise ValueError(f"{number.phone_number} points nowhere yet")
        inbound = scenario.direction == "inbound"
        order = Order(
            direction="inbound" if inbound else "outbound-api",
            from_number=scenario.caller_number if inbound else number.phone_number,
            to_number=number.phone_number if inbound else scenario.caller_number,
            voice_url=number.voice_url,
            voice_method=number.voice_method,
            fallback_url=number.voice_fallback_url,
            status_url=number.status_callback,
            status_events=frozenset({"completed"}) if inbound else STATUS_EVENTS,
            time_limit_s=time_limit_s,
            keep_audio=self._keep_audio,
            wrong_webhook_signature=wrong_webhook_signature,
            wrong_handshake_signature=wrong_handshake_signature,
            tap=tap,
        )
        line = self._add(Line(self.exchange, scenario, order))
        await asyncio.sleep(0)
        return line

    def dial(self, order: Order) -> Line:
        """An outbound call that the API was asked for. Whoever is no callee does not answer."""
        callee = self.callees.get(order.to_number, Status.NO_ANSWER)
        if isinstance(callee, Scenario):
            verdict, scenario = Status.IN_PROGRESS, callee
        else:
            verdict = callee
            scenario = Scenario("nobody", "Nobody", "outbound", order.to_number, order.from_number, ("", "", "US"), ())
        order = replace(order, verdict=verdict, my_turn=self._my_turn, keep_audio=self._keep_audio)
        return self._add(Line(self.exchange, scenario, order))

    async def hang_up_all(self) -> None:
        """End every call and wait until all are over."""
        await asyncio.gather(*(line.close() for line in self.lines.values()))

    async def connect_raw(self, url: str, *, wrong_signature: bool = False, signed: bool = True) -> RawSocket:
        """A bare media socket to the customer, to say anything on it. Raises ConnectError."""
        raw = RawSocket()
        headers = {"X-Twilio-Signature": self.exchange.signature(url, {}, wrong=wrong_signature)} if signed else {}
        raw.socket = await connect(url, headers, raw, self.exchange.ssl)
        self._raw.append(raw)
        return raw

    def _add(self, line: Line) -> Line:
        self.lines[line.call_sid] = line
        if self.on_line is not None:
            self.on_line(line)
        return line

    def _number(self, phone_number: str) -> Number:
        for number in self.numbers.values():
            if number.phone_number == phone_number:
                return number
        raise LookupError(f"{phone_number} is not a number of this account")

    async def _my_turn(self) -> None:
        loop = asyncio.get_running_loop()
        at_s = max(loop.time(), self._next_dial_s)
        self._next_dial_s = at_s + self._interval_s
        await asyncio.sleep(at_s - loop.time())


class RawSocket:
    """A media socket with nobody behind it. messages: what came; closed: awaitable, with why."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.closed: asyncio.Future[Fault | None] = asyncio.get_running_loop().create_future()
        self.socket: WebSocket | None = None

    def send(self, message: str | bytes | Mapping[str, object]) -> None:
        """A text message, a binary one, or an object as JSON."""
        assert self.socket is not None
        if isinstance(message, bytes):
            self.socket.send_binary(message)
        else:
            self.socket.send_text(message if isinstance(message, str) else msgspec.json.encode(message).decode())

    async def close(self) -> None:
        """Close it if it still is open."""
        if self.socket is not None:
            self.socket.close()
            await self.socket.wait_closed()

    def on_text(self, data: bytes) -> None:
        self.messages.put_nowait(data.decode("utf-8", "replace"))

    def on_binary(self, data: bytes) -> None:
        self.messages.put_nowait(data)

    def on_closed(self, fault: Fault | None) -> None:
        if not self.closed.done():
            self.closed.set_result(fault)
