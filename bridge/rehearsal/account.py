"""The REST API of the simulated telephone company: Calls and IncomingPhoneNumbers, as Twilio answers them.

Source: Twilio's OpenAPI description of api.v2010 and its error dictionary.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Protocol

from aiohttp import web

from bridge.rehearsal.exchange import API_VERSION, check_url, new_sid
from bridge.rehearsal.line import Line
from bridge.rehearsal.order import TIME_LIMIT_S, Order, Status
from bridge.rehearsal.twiml import TwimlError

BASE = f"/{API_VERSION}/Accounts/{{account_sid}}"
LONGEST_TWIML_CHARS = 4000
LONGEST_TIME_LIMIT_S = 86400
STATUS_EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})
_E164 = re.compile(r"\+[1-9]\d{6,14}")


@dataclass
class Number:
    """A telephone number of the account's and what is done with calls to it."""

    phone_number: str
    sid: str
    voice_url: str = ""
    voice_method: str = "POST"
    voice_fallback_url: str = ""
    status_callback: str = ""


class Desk(Protocol):
    """What the API needs of the company."""

    account_sid: str
    auth_token: str
    numbers: dict[str, Number]
    lines: dict[str, Line]

    def dial(self, order: Order) -> Line:
        """Make an outbound call."""

    def refusal(self, method: str, path: str) -> tuple[int, int, str] | None:
        """HTTP status, error code and text to refuse a request with, where a test wants one."""


class RestError(Exception):
    """An answer that is a refusal."""

    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text

    def response(self) -> web.Response:
        """As Twilio writes it."""
        more = f"https://www.twilio.com/docs/errors/{self.code}"
        body = {"code": self.code, "message": self.text, "more_info": more, "status": self.status}
        return web.json_response(body, status=self.status)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(desk: Desk) -> web.Application:
    """The API as a web application."""
    api = _Api(desk)

    @web.middleware
    async def strict(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            api.check(request)
            return await handler(request)
        except RestError as error:
            return error.response()
        except web.HTTPException as error:
            text = f"The requested resource {request.path} was not found"
            return RestError(error.status, 20404 if error.status == 404 else 20004, text).response()

    app = web.Application(middlewares=[strict])
    app.router.add_post(f"{BASE}/Calls.json", api.create_call)
    app.router.add_get(f"{BASE}/Calls.json", api.list_calls)
    app.router.add_get(f"{BASE}/Calls/{{sid}}.json", api.fetch_call)
    app.router.add_post(f"{BASE}/Calls/{{sid}}.json", api.update_call)
    app.router.add_get(f"{BASE}/IncomingPhoneNumbers.json", api.list_numbers)
    app.router.add_get(f"{BASE}/IncomingPhoneNumbers/{{sid}}.json", api.fetch_number)
    app.router.add_post(f"{BASE}/IncomingPhoneNumbers/{{sid}}.json", api.update_number)
    return app


class _Api:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def check(self, request: web.Request) -> None:
        """Basic authentication with the account's SID and token, on the account's own paths."""
        login = f"{self._desk.account_sid}:{self._desk.auth_token}".encode()
        expected = "Basic " + base64.b64encode(login).decode()
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), expected.encode()):
            raise RestError(401, 20003, "Authenticate")
        if request.match_info.get("account_sid", self._desk.account_sid) != self._desk.account_sid:
            raise RestError(404, 20404, f"The requested resource {request.path} was not found")
        refusal = self._desk.refusal(request.method, request.path)
        if refusal is not None:
            raise RestError(*refusal)

    # ── calls ─────────────────────────────────────────────────────────────────────────────

    async def create_call(self, request: web.Request) -> web.Response:
        form = await request.post()
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        to, from_ = fields.get("To", ""), fields.get("From", "")
        if not to:
            raise RestError(400, 21201, "No 'To' number is specified")
        if not _E164.fullmatch(to):
            raise RestError(400, 21211, f"The phone number you are attempting to call, {to}, is not valid.")
        if not from_:
            raise RestError(400, 21213, "No 'From' number is specified")
        if not _E164.fullmatch(from_):
            raise RestError(400, 21212, f"The source phone number provided, {from_}, is not valid.")
        if from_ not in {number.phone_number for number in self._desk.numbers.values()}:
            raise RestError(400, 21210, f"The source phone number provided, {from_}, is not yet verified.")
        url, twiml = fields.get("Url", ""), fields.get("Twiml", "")
        if not url and not twiml:
            raise RestError(400, 21205, "Url parameter is required.")
        events = {str(value) for value in form.getall("StatusCallbackEvent", [])} or {"completed"}
        if not events <= STATUS_EVENTS:
            raise RestError(400, 21626, f"{', '.join(sorted(events - STATUS_EVENTS))} is not a StatusCallbackEvent")
        order = Order(
            direction="outbound-api",
            from_number=from_,
            to_number=to,
            voice_url=_url(url),
            voice_method=_method(fields.get("Method", "POST")),
            fallback_url=_url(fields.get("FallbackUrl", "")),
            twiml="" if url else _twiml(twiml),
            status_url=_url(fields.get("StatusCallback", "")),
            status_events=frozenset(events),
            time_limit_s=_time_limit_s(fields.get("TimeLimit", str(TIME_LIMIT_S))),
        )
        return web.json_response(self._call(self._desk.dial(order)), status=201)

    async def list_calls(self, request: web.Request) -> web.Response:
        query = request.query
        wanted = [
            line
            for line in reversed(self._desk.lines.values())
            if query.get("Status", line.status) == line.status
            and query.get("To", line.order.to_number) == line.order.to_number
            and query.get("From", line.order.from_number) == line.order.from_number
        ]
        return web.json_response(_page(request, "calls", [self._call(line) for line in wanted]))

    async def fetch_call(self, request: web.Request) -> web.Response:
        return web.json_response(self._call(self._line(request)))

    async def update_call(self, request: web.Request) -> web.Response:
        line = self._line(request)
        fields = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        if line.is_over:
            raise RestError(400, 21220, "Call is not in-progress. Cannot redirect.")
        url, twiml, status = fields.get("Url", ""), fields.get("Twiml", ""), fields.get("Status", "")
        if url and twiml:
            raise RestError(400, 21218, "Url and Twiml must not both be given.")
        if "TimeLimit" in fields:
            line.limit_time(_time_limit_s(fields["TimeLimit"]))
        match status:
            case "completed":
                line.finish(Status.COMPLETED if line.times.answered else Status.CANCELED)
            case "canceled":
                if line.status not in (Status.QUEUED, Status.RINGING):
                    raise RestError(400, 21220, "Call is in-progress. Cannot cancel.")
                line.finish(Status.CANCELED)
            case "":
                if (url or twiml) and line.status is not Status.IN_PROGRESS:
                    raise RestError(400, 21220, "Call is not in-progress. Cannot redirect.")
                if url or twiml:
                    line.redirect(_url(url), _twiml(twiml), _method(fields.get("Method", "POST")))
            case _:
                raise RestError(400, 20001, f"Invalid Status {status}")
        return web.json_response(self._call(line))

    def _line(self, request: web.Request) -> Line:
        line = self._desk.lines.get(request.match_info["sid"])
        if line is None:
            raise RestError(404, 20404, f"The requested resource {request.path} was not found")
        return line

    def _call(self, line: Line) -> dict[str, Any]:
        times, order = line.times, line.order
        root = f"/{API_VERSION}/Accounts/{self._desk.account_sid}/Calls/{line.call_sid}"
        ends = (order.to_number, order.from_number)
        number = next((number for number in self._desk.numbers.values() if number.phone_number in ends), None)
        return {
            "sid": line.call_sid,
            "account_sid": self._desk.account_sid,
            "status": line.status,
            "direction": order.direction,
            "to": order.to_number,
            "to_formatted": order.to_number,
            "from": order.from_number,
            "from_formatted": order.from_number,
            "phone_number_sid": number.sid if number else None,
            "date_created": _rfc2822(times.created),
            "date_updated": _rfc2822(times.ended or times.answered or times.created),
            "start_time": _rfc2822(times.answered),
            "end_time": _rfc2822(times.ended),
            "duration": str(times.duration_s) if times.ended else None,
            "price": None,
            "price_unit": "USD",
            "answered_by": None,
            "annotation": None,
            "api_version": API_VERSION,
            "caller_name": None,
            "forwarded_from": None,
            "group_sid": None,
            "parent_call_sid": None,
            "queue_time": "0",
            "trunk_sid": None,
            "uri": f"{root}.json",
            "subresource_uris": {},
        }

    # ── numbers ───────────────────────────────────────────────────────────────────────────

    async def list_numbers(self, request: web.Request) -> web.Response:
        asked = request.query.get("PhoneNumber", "")
        found = [self._number(number) for number in self._desk.numbers.values() if asked in number.phone_number]
        return web.json_response(_page(request, "incoming_phone_numbers", found))

    async def fetch_number(self, request: web.Request) -> web.Response:
        return web.json_response(self._number(self._asked_number(request)))

    async def update_number(self, request: web.Request) -> web.Response:
        number = self._asked_number(request)
        fields = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        changes = {
            "voice_url": _url(fields.get("VoiceUrl", number.voice_url)),
            "voice_method": _method(fields.get("VoiceMethod", number.voice_method)),
            "voice_fallback_url": _url(fields.get("VoiceFallbackUrl", number.voice_fallback_url)),
            "status_callback": _url(fields.get("StatusCallback", number.status_callback)),
        }
        for name, value in changes.items():
            setattr(number, name, value)
        return web.json_response(self._number(number))

    def _asked_number(self, request: web.Request) -> Number:
        number = self._desk.numbers.get(request.match_info["sid"])
        if number is None:
            raise RestError(404, 20404, f"The requested resource {request.path} was not found")
        return number

    def _number(self, number: Number) -> dict[str, Any]:
        return {
            "sid": number.sid,
            "account_sid": self._desk.account_sid,
            "phone_number": number.phone_number,
            "friendly_name": number.phone_number,
            "voice_url": number.voice_url,
            "voice_method": number.voice_method,
            "voice_fallback_url": number.voice_fallback_url,
            "voice_fallback_method": "POST",
            "status_callback": number.status_callback,
            "status_callback_method": "POST",
            "capabilities": {"voice": True, "sms": False, "mms": False, "fax": False},
            "api_version": API_VERSION,
            "beta": False,
            "origin": "twilio",
            "status": "in-use",
            "uri": f"/{API_VERSION}/Accounts/{self._desk.account_sid}/IncomingPhoneNumbers/{number.sid}.json",
        }


def numbers_by_sid(phone_numbers: tuple[str, ...]) -> dict[str, Number]:
    """A new set of numbers that nobody has pointed anywhere yet."""
    numbers = [Number(phone_number, new_sid("PN")) for phone_number in phone_numbers]
    return {number.sid: number for number in numbers}


def _page(request: web.Request, key: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    size, page = _count(request.query, "PageSize", 50), _count(request.query, "Page", 0)
    size = min(max(size, 1), 1000)
    more = len(items) > (page + 1) * size
    follow = request.rel_url.update_query({"Page": str(page + 1), "PageSize": str(size)})
    return {
        key: items[page * size : (page + 1) * size],
        "page": page,
        "page_size": size,
        "start": page * size,
        "end": min(len(items), (page + 1) * size) - 1,
        "uri": str(request.rel_url),
        "first_page_uri": str(request.rel_url.update_query({"Page": "0"})),
        "previous_page_uri": None,
        "next_page_uri": str(follow) if more else None,
    }


def _count(query: Mapping[str, str], name: str, otherwise: int) -> int:
    value = query.get(name, "")
    return int(value) if value.isascii() and value.isdigit() else otherwise


def _rfc2822(moment: datetime | None) -> str | None:
    return format_datetime(moment) if moment is not None else None


def _url(url: str) -> str:
    if url:
        try:
            check_url(url)
        except TwimlError:
            raise RestError(400, 21205, f"Url is not a valid URL: {json.dumps(url)}") from None
    return url


def _twiml(twiml: str) -> str:
    if len(twiml) > LONGEST_TWIML_CHARS:
        raise RestError(400, 20001, f"Twiml must be at most {LONGEST_TWIML_CHARS} characters")
    return twiml


def _method(method: str) -> str:
    if method not in ("GET", "POST"):
        raise RestError(400, 20001, f"Invalid method {method}")
    return method


def _time_limit_s(value: str) -> int:
    if not (value.isascii() and value.isdigit() and 0 < int(value) <= LONGEST_TIME_LIMIT_S):
        raise RestError(400, 20001, f"Invalid TimeLimit {value}")
    return int(value)
