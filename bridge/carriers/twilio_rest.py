"""What we ask of Twilio outside the media socket: end a call, look at it, cap its length.

Hanging up is only believed once Twilio's own record says so, and is tried again until then:
a request that times out may or may not have done its work. Nothing here places a call.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Awaitable
from types import TracebackType
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from twilio.base.exceptions import TwilioException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from bridge.settings import TWILIO_API_URL

_log = logging.getLogger("cordboard.twilio_rest")

OVER = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
"""Call statuses after which a call can do and cost nothing more."""

LIVE = ("queued", "ringing", "in-progress")

HANG_UP_LIMIT_S = 5.0
REQUEST_LIMIT_S = 3.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 1.0
_MOST_CALLS_LISTED = 1000

# Twilio's error codes (docs, "Error and Warning Dictionary"): those that this module can meet.
_GONE = frozenset({20404, 21220})
_SENTENCES = {
    20003: "Twilio refused the account SID or auth token; check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN.",
    20005: "The Twilio account is not active; see https://console.twilio.com.",
    20404: "Twilio does not know this call; it is over.",
    20429: "Twilio asks for fewer requests at a time.",
    21218: "Twilio refused the time limit for this call.",
    21220: "The call is already over.",
}

T = TypeVar("T")


class RestError(Exception):
    """Twilio could not be asked, or said no. str() is a sentence for the operator.

    code: Twilio's error code or the HTTP status, 0 when there was no answer. passing: trying
    again may help.
    """

    def __init__(self, text: str, code: int = 0, *, passing: bool = False) -> None:
        super().__init__(text)
        self.code = code
        self.passing = passing

    @property
    def gone(self) -> bool:
        """Whether it says that the call is over."""
        return self.code in _GONE or self.code == 404


class LiveCall(NamedTuple):
    """A call that Twilio says is not over. status: queued, ringing or in-progress."""

    call_sid: str
    status: str
    direction: str
    number: str


class TwilioRest:
    """Twilio's REST API for one account. Use as ``async with``; needs a running loop."""

    def __init__(self, account_sid: str, auth_token: str, api_url: str = TWILIO_API_URL) -> None:
        self._http = _Http(account_sid, auth_token, api_url)
        self._account = Client(account_sid, auth_token, http_client=self._http).api.v2010.account

    async def __aenter__(self) -> TwilioRest:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close()

    async def hang_up(self, call_sid: str, limit_s: float = HANG_UP_LIMIT_S) -> str:
        """End a call and see that it ended; "" then, else why that could not be confirmed.

        Never raises. Goes on trying for ``limit_s``, then says so: the call may still be up.
        """
        trouble = RestError("Twilio has not confirmed yet that the call ended.", passing=True)
        pause_s = _FIRST_PAUSE_S
        try:
            async with asyncio.timeout(limit_s):
                while trouble.passing:
                    try:
                        status = await self._ended(call_sid)
                        if status in OVER:
                            return ""
                    except RestError as error:
                        if error.gone:
                            return ""
                        trouble = error
                        _log.warning("Hanging up %s: %s", call_sid, error)
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        except TimeoutError:
            pass
        return f"{trouble} The call may still be up."

    async def _ended(self, call_sid: str) -> str:
        await _asked(self._account.calls(call_sid).update_async(status="completed"))
        return await self.fetch_status(call_sid)

    async def fetch_status(self, call_sid: str) -> str:
        """Twilio's status of a call, such as ``in-progress`` (see `OVER`). Raises RestError."""
        return str((await _asked(self._account.calls(call_sid).fetch_async())).status)

    async def set_time_limit(self, call_sid: str, limit_s: int) -> None:
        """Have Twilio itself end the call ``limit_s`` after its start. Raises RestError."""
        await _asked(self._account.calls(call_sid).update_async(time_limit=limit_s))

    async def live_calls(self) -> list[LiveCall]:
        """The account's calls that are not over, at most 1000 of each status. Raises RestError."""
        found = []
        for status in LIVE:
            calls = await _asked(self._account.calls.list_async(status=status, limit=_MOST_CALLS_LISTED))
            found += [LiveCall(str(c.sid), str(c.status), str(c.direction), _other_party(c)) for c in calls]
        return found


class _Http:
    """The Twilio package's own HTTP client, with its host replaceable and a limit on each request.

    It is wrapped, not inherited from: it warns when it writes the password header itself.
    """

    is_async = True

    def __init__(self, account_sid: str, auth_token: str, api_url: str) -> None:
        self._client = AsyncTwilioHttpClient()
        self._authorization = "Basic " + base64.b64encode(f"{account_sid}:{auth_token}".encode()).decode()
        self._place = urlsplit(api_url)

    async def request(
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        **_: object,
    ) -> Any:
        url = urlunsplit(urlsplit(uri)._replace(scheme=self._place.scheme, netloc=self._place.netloc))
        headers = {**(headers or {}), "Authorization": self._authorization}
        async with asyncio.timeout(REQUEST_LIMIT_S):
            return await self._client.request(method, url, params=params, data=data, headers=headers)

    async def close(self) -> None:
        await self._client.close()


async def _asked(request: Awaitable[T]) -> T:
    """The answer to a request, its failures as RestError."""
    try:
        return await request
    except TwilioException as error:
        raise _refused(error) from error
    except TimeoutError as error:
        raise RestError("Twilio did not answer in time.", passing=True) from error
    except (aiohttp.ClientError, OSError) as error:
        raise RestError("Twilio could not be reached; check the network.", passing=True) from error
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise RestError("Something other than Twilio answered; check the network.", passing=True) from error


def _refused(error: TwilioException) -> RestError:
    status, code = int(getattr(error, "status", 0)), int(getattr(error, "code", 0) or 0)
    passing = status == 429 or status >= 500
    if sentence := _SENTENCES.get(code):
        return RestError(sentence, code, passing=passing)
    if status == 401:
        return RestError(_SENTENCES[20003], 20003)
    what = f"Twilio error {code}" if code != status else f"HTTP status {status}"
    return RestError(f"Twilio could not do it ({what}).", code or status, passing=passing)


def _other_party(call: Any) -> str:
    return str(call._from if call.direction == "inbound" else call.to)
