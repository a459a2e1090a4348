"""What the telephone company tells the customer's server about one call: fields and signed callbacks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime

from bridge.rehearsal.exchange import API_VERSION, Exchange
from bridge.rehearsal.order import Order, Times
from bridge.rehearsal.scenario import Scenario
from bridge.rehearsal.twiml import Fault, TwimlError, Verb

OUR_PLACE = ("", "CA", "US")


class Callbacks:
    """Sends callbacks beside the call, never holding it up; what fails goes to ``on_fault``."""

    def __init__(
        self, exchange: Exchange, call_sid: str, scenario: Scenario, order: Order, on_fault: Callable[[Fault], None]
    ) -> None:
        self._exchange = exchange
        self._order = order
        self._on_fault = on_fault
        self._sequence = 0
        self._posts: set[asyncio.Task[None]] = set()
        inbound = order.direction == "inbound"
        from_place, to_place = (scenario.place, OUR_PLACE) if inbound else (OUR_PLACE, scenario.place)
        self.fields = {
            "CallSid": call_sid,
            "AccountSid": exchange.account_sid,
            "From": order.from_number,
            "To": order.to_number,
            "Caller": order.from_number,
            "Called": order.to_number,
            "ApiVersion": API_VERSION,
            "Direction": order.direction,
            **_geography(("From", "Caller"), from_place),
            **_geography(("To", "Called"), to_place),
            **({"StirVerstat": "TN-Validation-Passed-A", "CallToken": "{}"} if inbound else {}),
        }
        """What every request about this call carries."""

    def tell_status(self, event: str, status: str, times: Times) -> None:
        """A call status callback, where one was ordered. event: in the words of StatusCallbackEvent."""
        if not self._order.status_url or event not in self._order.status_events:
            return
        fields = self.fields | {
            "CallStatus": str(status),
            "Timestamp": format_datetime(datetime.now(UTC)),
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(self._sequence),
        }
        self._sequence += 1
        if event == "completed":
            minutes = -(-times.duration_s // 60)
            fields |= {"CallDuration": str(times.duration_s), "Duration": str(minutes), "SipResponseCode": "200"}
        self._post(self._order.status_url, fields)

    def tell_stream(self, url: str, stream_sid: str, noun: Verb, event: str, fault: Fault | None = None) -> None:
        """A stream status callback. noun: the ``<Stream>``; url: its callback, "" for none."""
        if not url:
            return
        fields = {
            "AccountSid": self.fields["AccountSid"],
            "CallSid": self.fields["CallSid"],
            "StreamSid": stream_sid,
            "StreamName": noun.get("name", stream_sid),
            "StreamEvent": event,
            "Timestamp": datetime.now(UTC).isoformat(),
        }
        if fault is not None:
            fields |= {"StreamError": fault.text, "StreamErrorCode": str(fault.code)}
        self._post(url, fields, noun.get("statusCallbackMethod", "POST"))

    async def all_sent(self) -> None:
        """Until everything that was to be told is told, or could not be."""
        while self._posts:
            await asyncio.wait(self._posts)

    def _post(self, url: str, fields: dict[str, str], method: str = "POST") -> None:
        task = asyncio.create_task(self._deliver(url, fields, method))
        self._posts.add(task)
        task.add_done_callback(self._posts.discard)

    async def _deliver(self, url: str, fields: dict[str, str], method: str) -> None:
        try:
            await self._exchange.request(method, url, fields, wrong_signature=self._order.wrong_webhook_signature)
        except TwimlError as error:
            self._on_fault(error.fault)


def _geography(words: tuple[str, str], place: tuple[str, str, str]) -> dict[str, str]:
    city, state, country = place
    parts = {"City": city, "State": state, "Zip": "", "Country": country}
    return {word + name: value for word in words for name, value in parts.items()}
