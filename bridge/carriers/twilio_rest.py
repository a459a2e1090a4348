"""What we ask of Twilio outside the media socket: end a call, look at it, cap its length.

Hanging up is only believed once Twilio's own record says so, and is tried again until then:
a request that times out may or may not have done its work. Nothing here places a call.

Three plain requests, made with the HTTP client that is there anyway: the twilio package's REST
client would take 15 MB of memory for them. Source: Twilio docs, "Call resource".
"""

from __future__ import annotations

import asyncio
import base64
import logging
from types import TracebackType
from urllib.parse import quote

import aiohttp
import msgspec

from bridge.settings import TWILIO_API_URL

_log = logging.getLogger("cordboard.twilio_rest")

OVER = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
"""Call statuses after which a call can do and cost nothing more."""

HANG_UP_LIMIT_S = 5.0
REQUEST_LIMIT_S = 3.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 1.0

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


class TwilioRest:
    """Twilio's REST API for one account. Use as ``async with``; needs a running loop."""

    def __init__(self, account_sid: str, auth_token: str, api_url: str = TWILIO_API_URL) -> None:
        self._calls = f"{api_url}/2010-04-01/Accounts/{account_sid}/Calls"
        secret = base64.b64encode(f"{account_sid}:{auth_token}".encode()).decode()
        self._http = aiohttp.ClientSession(headers={"Authorization": f"Basic {secret}"})

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
        await self._ask("POST", call_sid, {"Status": "completed"})
        return await self.fetch_status(call_sid)

    async def fetch_status(self, call_sid: str) -> str:
        """Twilio's status of a call, such as ``in-progress`` (see `OVER`). Raises RestError."""
        return (await self._ask("GET", call_sid)).status

    async def set_time_limit(self, call_sid: str, limit_s: int) -> None:
        """Have Twilio itself end the call ``limit_s`` after its start. Raises RestError."""
        await self._ask("POST", call_sid, {"TimeLimit": str(limit_s)})

    async def _ask(self, method: str, call_sid: str, form: dict[str, str] | None = None) -> _Call:
        """One request; its failures as RestError."""
        url = f"{self._calls}/{quote(call_sid)}.json"
        try:
            async with asyncio.timeout(REQUEST_LIMIT_S), self._http.request(method, url, data=form) as response:
                body = await response.read()
        except TimeoutError as error:
            raise RestError("Twilio did not answer in time.", passing=True) from error
        except (aiohttp.ClientError, OSError) as error:
            raise RestError("Twilio could not be reached; check the network.", passing=True) from error
        if response.status >= 400:
            raise _refused(response.status, body)
        try:
            return msgspec.json.decode(body, type=_Call)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RestError("Something other than Twilio answered; check the network.", passing=True) from error


class _Call(msgspec.Struct):
    status: str


class _Refusal(msgspec.Struct):
    code: int = 0


def _refused(status: int, body: bytes) -> RestError:
    try:
        code = msgspec.json.decode(body, type=_Refusal).code
    except (msgspec.DecodeError, UnicodeDecodeError):
        code = 0
    passing = status == 429 or status >= 500
    if sentence := _SENTENCES.get(code):
        return RestError(sentence, code, passing=passing)
    if status == 401:
        return RestError(_SENTENCES[20003], 20003)
    what = f"Twilio error {code}" if code not in (0, status) else f"HTTP status {status}"
    return RestError(f"Twilio could not do it ({what}).", code or status, passing=passing)
