"""The REST API of the simulated telephone company, asked by Twilio's own client, and its effects on calls."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from bridge.rehearsal.carrier import Company
from bridge.rehearsal.line import Line
from bridge.rehearsal.order import Status
from bridge.rehearsal.scenario import CallerStep, Wait
from tests.bridge.rehearsal_carrier_customer import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    OUR_NUMBER,
    THEIR_NUMBER,
    Customer,
    connect,
    person,
)

BUSY_NUMBER = "+14155550143"
HANG_UP = CallerStep(Wait.PAUSE, 60, hang_up=True)


class Http:
    """Twilio's HTTP client, sent to loopback."""

    is_async = True

    def __init__(self, api_url: str) -> None:
        self.client = AsyncTwilioHttpClient()
        self.api_url = api_url
        self.token = AUTH_TOKEN

    async def request(self, method: str, uri: str, **options: Any) -> Any:
        login = base64.b64encode(f"{ACCOUNT_SID}:{self.token}".encode()).decode()
        options |= {"auth": None, "headers": {**options.get("headers", {}), "Authorization": f"Basic {login}"}}
        return await self.client.request(method, uri.replace("https://api.twilio.com", self.api_url), **options)


@pytest.fixture
async def company() -> AsyncIterator[Company]:
    async with Company(
        ACCOUNT_SID,
        AUTH_TOKEN,
        [OUR_NUMBER],
        callees={THEIR_NUMBER: person(HANG_UP, direction="outbound"), BUSY_NUMBER: Status.BUSY},
        calls_per_second=20,
        ring_ms=0,
        say_ms_per_char=0,
    ) as company:
        yield company


@pytest.fixture
async def customer(company: Company) -> AsyncIterator[Customer]:
    async with Customer() as customer:
        company.point(customer.url("/voice"), customer.url("/status"))
        yield customer
        await company.hang_up_all()


@pytest.fixture
async def http(company: Company) -> AsyncIterator[Http]:
    http = Http(company.api_url)
    yield http
    await http.client.close()


@pytest.fixture
def api(http: Http) -> Any:
    return Client(ACCOUNT_SID, AUTH_TOKEN, http_client=http).api.v2010.account


def refused(caught: pytest.ExceptionInfo[TwilioRestException]) -> tuple[int, int]:
    return caught.value.status, caught.value.code


async def test_a_call_is_made_through_the_api(company: Company, customer: Customer, api: Any) -> None:
    call = await api.calls.create_async(
        to=THEIR_NUMBER,
        from_=OUR_NUMBER,
        url=customer.url("/voice"),
        status_callback=customer.url("/progress"),
        status_callback_event=["answered", "completed"],
        time_limit=60,
    )
    assert call.status == "queued" and call.direction == "outbound-api" and call.start_time is None
    line = company.lines[call.sid]
    await line.ended
    assert line.complete
    told = sorted(customer.told("/progress"), key=lambda fields: int(fields["SequenceNumber"]))
    assert [fields["CallStatus"] for fields in told] == ["in-progress", "completed"]
    fetched = await api.calls(call.sid).fetch_async()
    assert fetched.status == "completed" and fetched.to == THEIR_NUMBER and fetched.end_time is not None


async def test_a_call_with_its_own_twiml_asks_nobody(company: Company, customer: Customer, api: Any) -> None:
    twiml = connect(url=f"ws://{customer.host}/media").replace('statusCallback="/stream"', "")
    call = await api.calls.create_async(to=THEIR_NUMBER, from_=OUR_NUMBER, twiml=twiml)
    await company.lines[call.sid].ended
    assert company.lines[call.sid].complete and customer.hooks == [] and len(customer.streams) == 1


@pytest.mark.parametrize(("number", "status"), [(BUSY_NUMBER, "busy"), ("+14155550199", "no-answer")])
async def test_who_does_not_answer(company: Company, customer: Customer, api: Any, number: str, status: str) -> None:
    call = await api.calls.create_async(to=number, from_=OUR_NUMBER, url=customer.url("/voice"))
    await company.lines[call.sid].ended
    assert (await api.calls(call.sid).fetch_async()).status == status and customer.hooks == []


async def test_calls_beyond_the_rate_are_queued_one_after_the_other(
    company: Company, customer: Customer, api: Any
) -> None:
    wanted = [
        await api.calls.create_async(to=THEIR_NUMBER, from_=OUR_NUMBER, url=customer.url("/voice")) for _ in range(3)
    ]
    lines = [company.lines[call.sid] for call in wanted]
    assert lines[-1].status is Status.QUEUED
    for line in lines:
        await line.ended
    answered = [line.times.answered for line in lines]
    assert None not in answered and answered == sorted(answered)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"to": "12"}, 21211),
        ({"from_": "12"}, 21212),
        ({"from_": "+14155550199"}, 21210),
        ({"url": "nowhere"}, 21205),
        ({"url": "http://["}, 21205),
        ({"url": None}, 21205),
        ({"url": None, "twiml": "x" * 4001}, 20001),
        ({"method": "PUT"}, 20001),
        ({"time_limit": 0}, 20001),
        ({"status_callback_event": ["finished"]}, 21626),
    ],
)
async def test_calls_that_cannot_be_made(
    company: Company, customer: Customer, api: Any, change: dict[str, Any], code: int
) -> None:
    wish = {"to": THEIR_NUMBER, "from_": OUR_NUMBER, "url": customer.url("/voice"), **change}
    with pytest.raises(TwilioRestException) as caught:
        await api.calls.create_async(**wish)
    assert refused(caught) == (400, code) and company.lines == {}


async def live(company: Company, customer: Customer) -> Line:
    line = await company.place_call(person())
    await customer.until_media()
    return line


async def test_a_live_call_is_hung_up(company: Company, customer: Customer, api: Any) -> None:
    line = await live(company, customer)
    assert (await api.calls(line.call_sid).update_async(status="completed")).status == "completed"
    await line.ended
    assert customer.streams[0].events() == ["connected", "start", "stop"] and line.errors == [] and line.spoken == []
    with pytest.raises(TwilioRestException) as caught:
        await api.calls(line.call_sid).update_async(status="completed")
    assert refused(caught) == (400, 21220)


async def test_a_live_call_is_sent_elsewhere_and_back(company: Company, customer: Customer, api: Any) -> None:
    line = await live(company, customer)
    first = line.stream_sid
    customer.twiml["/again"] = f"<Response><Say>One moment.</Say>{connect()[10:]}"
    await api.calls(line.call_sid).update_async(url=customer.url("/again"))
    await line.until(lambda line: len(line.streams) == 2)
    assert line.stream_sid != first and line.spoken == ["One moment."] and len(line.stream_starts) == 2
    await api.calls(line.call_sid).update_async(twiml="<Response><Say>Bye.</Say></Response>")
    await line.ended
    assert line.spoken == ["One moment.", "Bye."] and line.errors == []
    assert [media.events()[-1] for media in customer.streams] == ["stop", "stop"]


async def test_a_live_call_gets_a_time_limit(company: Company, customer: Customer, api: Any) -> None:
    line = await live(company, customer)
    await api.calls(line.call_sid).update_async(time_limit=1)
    await line.ended
    assert "time-limit" in [event.kind for event in line.events]


async def test_a_ringing_call_can_only_be_called_off(company: Company, customer: Customer, api: Any) -> None:
    customer.hold.clear()
    line = await company.place_call(person())
    with pytest.raises(TwilioRestException) as caught:
        await api.calls(line.call_sid).update_async(twiml="<Response/>")
    assert refused(caught) == (400, 21220)
    await api.calls(line.call_sid).update_async(status="canceled")
    customer.hold.set()
    await line.ended
    assert line.status is Status.CANCELED


@pytest.mark.parametrize(
    "change", [{"status": "canceled"}, {"status": "asleep"}, {"url": "http://127.0.0.1/", "twiml": "<Response/>"}]
)
async def test_changes_that_make_no_sense(
    company: Company, customer: Customer, api: Any, change: dict[str, str]
) -> None:
    line = await live(company, customer)
    with pytest.raises(TwilioRestException):
        await api.calls(line.call_sid).update_async(**change)
    assert not line.is_over


async def test_calls_are_listed_page_by_page(company: Company, customer: Customer, api: Any) -> None:
    lines = [await company.place_call(person()) for _ in range(3)]
    for line in lines:
        await line.until(lambda line: line.status is Status.IN_PROGRESS)
    listed = await api.calls.list_async(status="in-progress", page_size=2)
    assert [call.sid for call in listed] == [line.call_sid for line in reversed(lines)]
    assert await api.calls.list_async(status="completed") == []
    assert await api.calls.list_async(to="+14155550199") == []


async def test_a_number_is_pointed_elsewhere(company: Company, customer: Customer, api: Any) -> None:
    [number] = await api.incoming_phone_numbers.list_async(phone_number=OUR_NUMBER)
    assert number.voice_url == customer.url("/voice")
    changed = await api.incoming_phone_numbers(number.sid).update_async(
        voice_url=customer.url("/other"), status_callback=customer.url("/over")
    )
    assert changed.voice_url == customer.url("/other")
    assert (await api.incoming_phone_numbers(number.sid).fetch_async()).status_callback == customer.url("/over")
    line = await company.place_call(person())
    await line.ended
    assert [hook.path for hook in customer.hooks] == ["/other", "/over"]


async def test_what_is_not_there(company: Company, api: Any) -> None:
    for ask in (api.calls("CA" + "0" * 32), api.incoming_phone_numbers("PN" + "0" * 32)):
        with pytest.raises(TwilioRestException) as caught:
            await ask.fetch_async()
        assert refused(caught) == (404, 20404)


async def test_only_the_account_may_ask(company: Company, http: Http, api: Any) -> None:
    http.token = "wrong"
    with pytest.raises(TwilioRestException) as caught:
        await api.calls("CA" + "0" * 32).fetch_async()
    assert refused(caught) == (401, 20003)
    base = f"{company.api_url}/2010-04-01/Accounts"
    login = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}
    async with aiohttp.ClientSession(headers=login) as session:
        for url in (f"{base}/AC{'2' * 32}/Calls.json", f"{base}/{ACCOUNT_SID}/Messages.json"):
            async with session.get(url) as response:
                assert response.status == 404 and (await response.json())["code"] == 20404
        async with session.delete(f"{base}/{ACCOUNT_SID}/Calls.json") as response:
            assert response.status == 405 and (await response.json())["code"] == 20004
        async with session.post(f"{base}/{ACCOUNT_SID}/Calls.json", data={"From": OUR_NUMBER}) as response:
            assert (await response.json())["code"] == 21201
        async with session.post(f"{base}/{ACCOUNT_SID}/Calls.json", data={"To": THEIR_NUMBER}) as response:
            assert (await response.json())["code"] == 21213


async def test_a_request_can_be_made_to_fail(company: Company, customer: Customer, api: Any) -> None:
    line = await live(company, customer)
    company.refuse_next(429, 20429, "Too many requests", path="/Calls/")
    with pytest.raises(TwilioRestException) as caught:
        await api.calls(line.call_sid).update_async(status="completed")
    assert refused(caught) == (429, 20429) and not line.is_over
    await asyncio.gather(api.calls(line.call_sid).update_async(status="completed"), line.ended)
