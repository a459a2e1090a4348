"""Asking Twilio's REST API, against a loopback server that answers as Twilio does."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from bridge.carriers import twilio_rest
from bridge.carriers.twilio_rest import RestError, TwilioRest

ACCOUNT, CALL = "AC" + "a" * 32, "CA" + "c" * 32
Answer = Callable[[], web.StreamResponse]


def call(status: str, **more: str) -> Answer:
    return lambda: web.json_response({"sid": CALL, "status": status, "direction": "inbound", **more})


def refusal(status: int, code: int) -> Answer:
    return lambda: web.json_response({"code": code, "message": "canary", "status": status}, status=status)


@dataclass
class Twilio:
    """Gives its answers in turn, the last one for ever; None is no answer at all."""

    answers: list[Answer | None] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    passwords: set[str] = field(default_factory=set)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        form = {key: str(value) for key, value in {**request.query, **(await request.post())}.items()}
        self.asked.append((request.method, request.path.removeprefix(f"/2010-04-01/Accounts/{ACCOUNT}"), form))
        self.passwords.add(request.headers["Authorization"])
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            await self.closing.wait()
            raise web.HTTPServiceUnavailable
        return answer()


@pytest.fixture
async def twilio() -> AsyncIterator[Twilio]:
    fake, app = Twilio(), web.Application()
    app.router.add_route("*", "/{path:.*}", fake.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield fake
    fake.closing.set()
    await runner.cleanup()


@pytest.fixture
async def rest(twilio: Twilio) -> AsyncIterator[TwilioRest]:
    async with TwilioRest(ACCOUNT, "canary-token", twilio.url) as rest:
        yield rest


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_rest, "REQUEST_LIMIT_S", 0.05)


HANG_UP = ("POST", f"/Calls/{CALL}.json", {"Status": "completed"})
LOOK = ("GET", f"/Calls/{CALL}.json", {})


async def test_hanging_up_is_read_back(twilio: Twilio, rest: TwilioRest) -> None:
    twilio.answers = [call("completed")]
    assert await rest.hang_up(CALL) == ""
    assert twilio.asked == [HANG_UP, LOOK]
    assert twilio.passwords == {"Basic " + b64encode(f"{ACCOUNT}:canary-token".encode()).decode()}


@pytest.mark.parametrize("over", [refusal(404, 20404), refusal(400, 21220), refusal(404, 404)])
async def test_a_call_that_is_over_needs_no_hanging_up(twilio: Twilio, rest: TwilioRest, over: Answer) -> None:
    twilio.answers = [over]
    assert await rest.hang_up(CALL) == ""


async def test_hanging_up_is_tried_until_it_is_confirmed(twilio: Twilio, rest: TwilioRest, hasty: None) -> None:
    def html() -> web.Response:
        return web.Response(text="<html>", content_type="text/html")

    twilio.answers = [
        *(refusal(429, 20429), refusal(503, 503), None, html),
        *(call("in-progress"), call("in-progress")),
        *(call("completed"), call("completed")),
    ]
    assert await rest.hang_up(CALL) == ""
    assert twilio.asked == [HANG_UP] * 5 + [LOOK] + [HANG_UP, LOOK]


async def test_a_call_that_will_not_end_is_reported(twilio: Twilio, rest: TwilioRest) -> None:
    twilio.answers = [call("in-progress")]
    trouble = await rest.hang_up(CALL, limit_s=0.05)
    assert trouble == "Twilio has not confirmed yet that the call ended. The call may still be up."


async def test_a_dead_twilio_is_reported(twilio: Twilio, rest: TwilioRest) -> None:
    twilio.answers = [None]
    assert "may still be up" in await rest.hang_up(CALL, limit_s=0.05)
    async with TwilioRest(ACCOUNT, "t", "http://127.0.0.1:1") as nowhere:
        assert "check the network. The call may" in await nowhere.hang_up(CALL, limit_s=0.05)


@pytest.mark.parametrize("answer", [refusal(401, 20003), lambda: web.Response(status=401)])
async def test_wrong_credentials_are_not_tried_again(twilio: Twilio, rest: TwilioRest, answer: Answer) -> None:
    twilio.answers = [answer]
    trouble = await rest.hang_up(CALL)
    assert "check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN" in trouble and "canary" not in trouble
    assert twilio.asked == [HANG_UP]


async def test_cancelling_a_hang_up_is_not_swallowed(twilio: Twilio, rest: TwilioRest) -> None:
    twilio.answers = [None]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await rest.hang_up(CALL)


async def test_looking_at_a_call(twilio: Twilio, rest: TwilioRest) -> None:
    twilio.answers = [call("in-progress")]
    assert await rest.fetch_status(CALL) == "in-progress"
    assert twilio.asked == [LOOK]


async def test_capping_a_call(twilio: Twilio, rest: TwilioRest) -> None:
    twilio.answers = [call("in-progress")]
    await rest.set_time_limit(CALL, 900)
    assert twilio.asked == [("POST", f"/Calls/{CALL}.json", {"TimeLimit": "900"})]


@pytest.mark.parametrize(
    ("answer", "sentence", "code", "passing"),
    [
        (refusal(400, 21218), "Twilio refused the time limit for this call.", 21218, False),
        (refusal(400, 12345), "Twilio could not do it (Twilio error 12345).", 12345, False),
        (lambda: web.Response(status=502, text="bad"), "Twilio could not do it (HTTP status 502).", 502, True),
        (lambda: web.Response(text="[]"), "Something other than Twilio answered; check the network.", 0, True),
        (None, "Twilio did not answer in time.", 0, True),
    ],
)
async def test_refusals_in_words(
    twilio: Twilio, rest: TwilioRest, hasty: None, answer: Answer | None, sentence: str, code: int, passing: bool
) -> None:
    twilio.answers = [answer]
    with pytest.raises(RestError) as refused:
        await rest.set_time_limit(CALL, 900)
    assert (str(refused.value), refused.value.code, refused.value.passing) == (sentence, code, passing)
