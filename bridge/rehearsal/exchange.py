"""What every simulated line shares: the account, the clock, and signed requests to the customer's URLs."""

from __future__ import annotations

import asyncio
import secrets
import ssl as tls
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import aiohttp
from twilio.request_validator import RequestValidator
from yarl import URL

from bridge.rehearsal.ticker import Ticker
from bridge.rehearsal.twiml import TwimlError

WEBHOOK_S = 15.0
API_VERSION = "2010-04-01"


def new_sid(prefix: str) -> str:
    """A new identifier as Twilio makes them: two letters and 32 hexadecimal digits."""
    return prefix + secrets.token_hex(16)


class Answer(NamedTuple):
    """What a webhook answered."""

    content_type: str
    body: str


class Exchange:
    """Account, clock and the way out. The numbers are milliseconds of simulated life.

    ring_ms: an outbound call rings this long before it is answered. say_ms_per_char: how long a ``<Say>``
    takes. dial_ms: how long a person reached by ``<Dial>`` talks. webhook_s: Twilio's patience with us.
    """

    def __init__(self, account_sid: str, auth_token: str) -> None:
        self.account_sid = account_sid
        self.auth_token = auth_token
        self.ring_ms = 1000
        self.say_ms_per_char = 55
        self.dial_ms = 3000
        self.webhook_s = WEBHOOK_S
        self.ssl: tls.SSLContext | None = None
        self.ticker = Ticker()
        self._http: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Needs a running loop."""
        connector = aiohttp.TCPConnector(limit=0, ssl=self.ssl if self.ssl is not None else True)
        self._http = aiohttp.ClientSession(connector=connector, headers={"User-Agent": "TwilioProxy/1.1"})

    async def close(self) -> None:
        """Stop the clock and let go of the connections."""
        self.ticker.close()
        if self._http is not None:
            await self._http.close()

    def signature(self, url: str, fields: Mapping[str, str], *, wrong: bool = False) -> str:
        """X-Twilio-Signature for a request, by Twilio's own code; with ``wrong`` that of another account."""
        token = self.auth_token[::-1] + "x" if wrong else self.auth_token
        return str(RequestValidator(token).compute_signature(url, dict(fields)))

    async def request(
        self, method: str, url: str, fields: Mapping[str, str], *, wrong_signature: bool = False
    ) -> Answer:
        """Send one webhook. Raises TwimlError with Twilio's number for what went wrong."""
        assert self._http is not None
        check_url(url)
        url, _, _ = url.partition("#")
        data: Mapping[str, str] | None = fields
        if method == "GET":
            url += ("&" if "?" in url else "?") + urlencode(fields)
            data = None
        headers = {"X-Twilio-Signature": self.signature(url, data or {}, wrong=wrong_signature)}
        try:
            async with asyncio.timeout(self.webhook_s):
                target = URL(url, encoded=True)
                async with self._http.request(
                    method, target, data=data, headers=headers, allow_redirects=False
                ) as response:
                    body = await response.read()
                    if not 200 <= response.status < 300:
                        raise TwimlError(11200, f"{urlsplit(url).path} answered {response.status}")
                    return Answer(response.headers.get("Content-Type", ""), body.decode("utf-8", "replace"))
        except TimeoutError:
            raise TwimlError(11200, f"{urlsplit(url).path} did not answer within {self.webhook_s:g} s") from None
        except aiohttp.ClientConnectorCertificateError:
            raise TwimlError(11237, "the certificate is not valid") from None
        except (aiohttp.ClientError, OSError) as error:
            raise TwimlError(11205, f"{urlsplit(url).path} could not be reached: {type(error).__name__}") from None


def check_url(url: str) -> None:
    """Raises TwimlError (11100) for what is no address of a web server."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fine = False
    if not fine:
        raise TwimlError(11100, "not an http or https URL")


def is_loopback(host: str) -> bool:
    """Whether plain ``ws`` may be used to reach it."""
    return host in ("localhost", "::1") or host.startswith("127.")
