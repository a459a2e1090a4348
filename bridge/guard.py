"""Who may speak to us on the public side, decided without a socket.

Three locks. Every webhook and every handshake carries a signature that is checked against *our
recorded* public URL, never against what the request says of itself. The media stream must show a
one-time token that was made for its very call. And a request that was answered before gets the
same answer again and changes nothing, since a signature never grows old.

There is no way to switch any of it off. Time comes in as ``now_ms``, from a clock that only runs
forward. Source: Twilio docs, "Webhooks Security" (read 2026-11), and the twilio package.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit, urlunsplit

from multidict import MultiDict
from twilio.request_validator import (
    HMAC_SHA1,
    SIGNATURE_HEADER,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
    get_signature_algorithm,
)

from bridge.errors import SettingsError

SIGNATURE_CHARS = 28
"""Length of every HMAC-SHA1 signature in base64."""

TOKEN_LIFE_MS = 30_000
MAX_TOKENS = 1024
MAX_CLAIMS = 4096
ALARM_AFTER = 5

_DEFAULT_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}
_SOCKET_SCHEMES = {"https": "wss", "http": "ws", "wss": "wss", "ws": "ws"}


class Reason(StrEnum):
    """Why somebody was turned away, as said to the operator."""

    UNSIGNED = "no signature"
    FORGED = "a signature that does not fit our public address"
    SHARED_KEY = (
        "a signature by a shared key, which Cordboard cannot check; "
        "let Twilio sign this account's webhooks with its Auth Token"
    )
    OTHER_ACCOUNT = "another account's requests"
    MALFORMED = "requests that make no sense"
    TOO_LARGE = "requests that are too large"
    TOO_SLOW = "requests that took too long"
    NO_START = "media sockets that did not begin a stream as they should"
    BAD_TOKEN = "media streams with a wrong, used or expired token"
    SECOND_STREAM = "second media streams for a call that has one"
    WRONG_FORMAT = "media streams whose audio is not mu-law, 8 kHz, mono"


class Refusal(Exception):
    """This request or stream is turned away."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Signatures:
    """Checks that requests come from our account at the carrier.

    public_url: how the carrier reaches us, such as ``https://desk.example.com``; put a new one in
    when the tunnel's address changes. Raises SettingsError without an auth token: there is no
    unsigned mode.
    """

    def __init__(self, account_sid: str, auth_token: str, public_url: str) -> None:
        if not auth_token:
            raise SettingsError("TWILIO_AUTH_TOKEN", "is needed to tell Twilio's requests from a stranger's")
        self.account_sid = account_sid
        self.public_url = public_url
        self._validator = RequestValidator(auth_token)

    def may_be_signed(self, headers: Mapping[str, str]) -> None:
        """A look that costs nothing, before a body is read. Raises Refusal."""
        if get_signature_algorithm(headers.get(SIGNATURE_SETTINGS_HEADER)).upper() != HMAC_SHA1:
            raise Refusal(Reason.SHARED_KEY)
        if len(headers.get(SIGNATURE_HEADER, "")) != SIGNATURE_CHARS:
            raise Refusal(Reason.UNSIGNED)

    def webhook(self, path: str, fields: Iterable[tuple[str, str]], headers: Mapping[str, str]) -> dict[str, str]:
        """The form of a genuine webhook, the first value of each name.

        fields: all of the body's, repeated and blank ones too, in their order. Raises Refusal.
        """
        self.may_be_signed(headers)
        form: MultiDict[str] = MultiDict(fields)
        self._check(self.public_url + path, form, headers)
        first = {name: form.getone(name) for name in form}
        if not hmac.compare_digest(first.get("AccountSid", "").encode(), self.account_sid.encode()):
            raise Refusal(Reason.OTHER_ACCOUNT)
        if not first.get("CallSid"):
            raise Refusal(Reason.MALFORMED)
        return first

    def handshake(self, path: str, headers: Mapping[str, str]) -> None:
        """Whether a WebSocket may be opened at all. Raises Refusal."""
        self.may_be_signed(headers)
        self._check(socket_url(self.public_url) + path, None, headers)

    def _check(self, url: str, form: MultiDict[str] | None, headers: Mapping[str, str]) -> None:
        given = headers[SIGNATURE_HEADER].encode("utf-8", "surrogateescape")
        fits = False
        for form_of_url in port_forms(url):
            computed = self._validator.compute_signature(form_of_url, form)
            fits |= hmac.compare_digest(computed.encode(), given)
        if not fits:
            raise Refusal(Reason.FORGED)


def socket_url(url: str) -> str:
    """The same address as a WebSocket's: ``https`` becomes ``wss``, ``http`` becomes ``ws``."""
    scheme, rest = url.split(":", 1)
    return f"{_SOCKET_SCHEMES[scheme]}:{rest}"


def port_forms(url: str) -> tuple[str, str]:
    """The URL without and with its port: carriers sign either, and the other one for sockets."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if parts.port is not None:
        host = host[: host.rindex(":")]
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    return urlunsplit(parts._replace(netloc=host)), urlunsplit(parts._replace(netloc=f"{host}:{port}"))


@dataclass(frozen=True, slots=True)
class _Ticket:
    call_id: str
    call_sid: str
    account_sid: str
    expires_ms: int


class Tokens:
    """One-time keys to the media socket: 256 bits, for one call, for 30 seconds."""

    def __init__(self, make: Callable[[], str] = lambda: secrets.token_urlsafe(32)) -> None:
        self._make = make
        # By digest: how long a look-up takes then says nothing about the tokens that are out.
        self._out: OrderedDict[bytes, _Ticket] = OrderedDict()

    def issue(self, call_id: str, call_sid: str, account_sid: str, now_ms: int) -> str:
        """A new token; beyond `MAX_TOKENS` the oldest loses its worth."""
        token = self._make()
        self._out[_digest(token)] = _Ticket(call_id, call_sid, account_sid, now_ms + TOKEN_LIFE_MS)
        if len(self._out) > MAX_TOKENS:
            self._out.popitem(last=False)
        return token

    def redeem(self, token: str, call_sid: str, account_sid: str, now_ms: int) -> str:
        """The call_id that the token was issued for, once. Raises Refusal.

        A token shown for another call is spent by that: whoever has it should not.
        """
        ticket = self._out.pop(_digest(token), None)
        if ticket is None or now_ms >= ticket.expires_ms:
            raise Refusal(Reason.BAD_TOKEN)
        fits = hmac.compare_digest(ticket.call_sid.encode(), call_sid.encode())
        fits &= hmac.compare_digest(ticket.account_sid.encode(), account_sid.encode())
        if not fits:
            raise Refusal(Reason.BAD_TOKEN)
        return ticket.call_id


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class Claims:
    """What was answered before, so that a repeated request gets the same answer and does nothing.

    The oldest go when there are more than ``capacity``.
    """

    def __init__(self, capacity: int = MAX_CLAIMS) -> None:
        self._capacity = capacity
        self._answers: OrderedDict[Hashable, bytes] = OrderedDict()

    def answered(self, key: Hashable) -> bytes | None:
        """The first answer to this request, or None when it is new."""
        return self._answers.get(key)

    def claim(self, key: Hashable, answer: bytes = b"") -> bytes:
        """Remember the first answer; returns whichever was first."""
        first = self._answers.setdefault(key, answer)
        if len(self._answers) > self._capacity:
            self._answers.popitem(last=False)
        return first


class Refusals:
    """Counts who was turned away, and says when an operator should hear of it."""

    def __init__(self) -> None:
        self.counts: Counter[Reason] = Counter()

    def note(self, reason: Reason) -> str:
        """One more. A sentence at the 5th of a kind, then at every tenfold; else ""."""
        self.counts[reason] += 1
        count, step = self.counts[reason], ALARM_AFTER
        while step < count:
            step *= 10
        if count != step:
            return ""
        return f"Turned away at the public address, {count} times now: {reason.value}. Calls are not affected."
