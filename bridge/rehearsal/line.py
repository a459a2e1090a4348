"""One simulated call: rings, asks what to do, does what the TwiML says, and tells how it went."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, NoReturn
from urllib.parse import urljoin

from bridge.audio import BYTES_PER_MS, silence
from bridge.rehearsal.callbacks import Callbacks
from bridge.rehearsal.caller import Caller
from bridge.rehearsal.exchange import Exchange, new_sid
from bridge.rehearsal.media_stream import MediaStream
from bridge.rehearsal.order import Order, Status, Times
from bridge.rehearsal.playback import Playback, Underrun
from bridge.rehearsal.scenario import CallerStep, Scenario, Wait
from bridge.rehearsal.twiml import Fault, TwimlError, Verb, check_content_type, read
from bridge.rehearsal.websocket import ConnectError

log = logging.getLogger("cordboard.rehearsal.line")

MOST_FAULTS = 1000
APOLOGY = "We are sorry, an application error has occurred. Goodbye."


class Event(NamedTuple):
    """Something that happened, ms after the call was made."""

    at_ms: int
    kind: str
    text: str


class LineEnded(Exception):
    """The call was over before what was waited for came."""


class _HungUp(Exception):
    pass


@dataclass(frozen=True)
class Document:
    """TwiML to perform, and where it came from: relative URLs in it count from there."""

    url: str
    verbs: tuple[Verb, ...]


class Line:
    """A call and all that is known of it.

    heard: mu-law, what the caller heard, sample by sample since the first stream began, silence where there
    was nothing; said: what the caller spoke, likewise. stream_starts: where in them each stream begins.
    errors: all that Twilio would have put into its error log.
    """

    def __init__(self, exchange: Exchange, scenario: Scenario, order: Order) -> None:
        self.call_sid = new_sid("CA")
        self.scenario = scenario
        self.order = order
        self.status = Status.QUEUED if order.direction == "outbound-api" else Status.RINGING
        self.times = Times()
        self.heard = bytearray()
        self.said = bytearray()
        self.stream_starts: list[int] = []
        self.streams: list[MediaStream] = []
        self.errors: list[Fault] = []
        self.events: list[Event] = []
        self.caller = Caller(scenario.steps, self._note)
        self._exchange = exchange
        self._made_s = asyncio.get_running_loop().time()
        self._answered_s: float | None = None
        self._final: Status | None = None
        self._instead: Callable[[], Coroutine[Any, Any, Document | None]] | None = None
        self._step: asyncio.Task[Document | None] | None = None
        self._callbacks = Callbacks(exchange, self.call_sid, scenario, order, self._fault)
        self._limit: asyncio.TimerHandle | None = None
        self._waiting: list[tuple[Callable[[Line], bool], asyncio.Future[None]]] = []
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(), name=f"line {self.call_sid}")

    # ── what is known of it ───────────────────────────────────────────────────────────────

    @property
    def ended(self) -> Awaitable[None]:
        """Await it: done when the call is over and everybody has been told."""
        return asyncio.shield(self._ended)

    @property
    def is_over(self) -> bool:
        """Whether the call has ended."""
        return self._final is not None

    @property
    def complete(self) -> bool:
        """Whether the caller did all its steps, got what it waited for, and nothing was refused."""
        fine = self._final is Status.COMPLETED and bool(self.streams) and not self.errors
        return fine and self.caller.done and not self.caller.gave_up

    @property
    def heard_ms(self) -> int:
        """How much audio that was sent to the caller was really played."""
        return sum(stream.playback.played_bytes for stream in self.streams) // BYTES_PER_MS

    @property
    def stream(self) -> MediaStream:
        """The newest media stream. Raises LookupError when there is none yet."""
        if not self.streams:
            raise LookupError("no media stream has begun")
        return self.streams[-1]

    @property
    def stream_sid(self) -> str:
        """Of the newest stream, "" before it."""
        return self.streams[-1].stream_sid if self.streams else ""

    @property
    def underruns(self) -> list[Underrun]:
        """Gaps in the midst of speech, by all streams."""
        return [gap for stream in self.streams for gap in stream.playback.underruns]

    @property
    def spoken(self) -> list[str]:
        """What ``<Say>`` said to the caller."""
        return [event.text for event in self.events if event.kind == "says"]

    async def until(self, condition: Callable[[Line], bool]) -> None:
        """Wait for something to be true of this line; looked at every 20 ms of media and at every event.

        Raises LineEnded when the call is over first.
        """
        if condition(self):
            return
        if self._ended.done():
            raise LineEnded(self._summary())
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((condition, waiting))
        await waiting

    # ── what the caller, the API and the tests do ─────────────────────────────────────────

    def say(self, audio: bytes, text: str = "") -> None:
        """Speak, after the steps there are. audio: mu-law."""
        self.caller.then(CallerStep(Wait.PAUSE, 0, audio, text))

    def press(self, digits: str) -> None:
        """Press keys, after the steps there are."""
        self.caller.then(CallerStep(Wait.PAUSE, 0, digits=digits))

    def hang_up(self) -> None:
        """The caller puts the phone down."""
        self._note("hangs-up", "the caller")
        self.finish(Status.COMPLETED if self.times.answered else Status.NO_ANSWER)

    def vanish(self) -> None:
        """Break the media socket off with a TCP reset; the call itself goes on with the TwiML's tail."""
        self.stream.socket.vanish()

    def finish(self, status: Status) -> None:
        """End the call, however far it is. Nothing happens when it is over."""
        if self._final is None:
            self._final = self.status = status
            if self._step is not None:
                self._step.cancel()

    def redirect(self, url: str = "", twiml: str = "", method: str = "POST") -> None:
        """Perform other TwiML from now on, as the REST API asks."""
        self._note("redirected", url or "by TwiML")

        async def other() -> Document:
            return self._read(twiml, "") if twiml else await self._fetch(url, method)

        self._instead = other
        if self._step is not None:
            self._step.cancel()

    def limit_time(self, limit_s: int) -> None:
        """End the call this long after it was answered."""
        if self._limit is not None:
            self._limit.cancel()
        loop = asyncio.get_running_loop()
        since_s = self._answered_s if self._answered_s is not None else loop.time()
        self._limit = loop.call_at(since_s + limit_s, self._limit_reached)

    async def close(self) -> None:
        """Hang up and wait until it is over."""
        self.finish(Status.COMPLETED)
        await self.ended

    # ── its life ──────────────────────────────────────────────────────────────────────────

    async def _run(self) -> None:
        try:
            document = await self._through(self._set_up())
            while document is not None and self._final is None:
                document = await self._through(self._perform(document))
        except _HungUp:
            pass
        except TwimlError as error:
            await self._failed(error)
        except Exception:
            log.exception("A simulated line broke")
            self._fault(Fault(0, "the simulated line itself broke"))
        finally:
            await self._over()

    async def _through(self, work: Coroutine[Any, Any, Document | None]) -> Document | None:
        """Do something that `finish` and `redirect` may interrupt."""
        while True:
            self._step = step = asyncio.create_task(work)
            if self._final is not None:
                step.cancel()
            try:
                await asyncio.wait({step})
            finally:
                step.cancel()
            error = None if step.cancelled() else step.exception()
            if self._final is not None:
                return None
            if self._instead is not None:
                work, self._instead = self._instead(), None
                continue
            if error is not None:
                raise error
            return None if step.cancelled() else step.result()

    async def _set_up(self) -> Document | None:
        if self.order.direction == "outbound-api":
            if not await self._dial():
                return None
            self._answer()
        document = self._read(self.order.twiml, "") if self.order.twiml else await self._first_document()
        if self.status is Status.RINGING:
            if document.verbs and document.verbs[0].name == "Reject":
                self._note("rejected", document.verbs[0].get("reason", "rejected"))
                self.finish(Status.BUSY if document.verbs[0].get("reason") == "busy" else Status.NO_ANSWER)
                return None
            self._answer()
        return document

    async def _dial(self) -> bool:
        if self.order.my_turn is not None:
            await self.order.my_turn()
        self._callbacks.tell_status("initiated", "initiated", self.times)
        self.status = Status.RINGING
        self._note("rings", "")
        self._callbacks.tell_status("ringing", Status.RINGING, self.times)
        await asyncio.sleep(self._exchange.ring_ms / 1000)
        if self.order.verdict is not Status.IN_PROGRESS:
            self.finish(self.order.verdict)
            return False
        return True

    def _answer(self) -> None:
        self.status = Status.IN_PROGRESS
        self.times.answered = datetime.now(UTC)
        self._answered_s = asyncio.get_running_loop().time()
        if self._limit is None:
            self.limit_time(self.order.time_limit_s)
        self._note("answered", "")
        if self.order.direction == "outbound-api":
            self._callbacks.tell_status("answered", Status.IN_PROGRESS, self.times)

    def _limit_reached(self) -> None:
        self._note("time-limit", "")
        self.finish(Status.COMPLETED)

    async def _failed(self, error: TwimlError) -> None:
        """Twilio answers, apologises in its own words and hangs up."""
        self._fault(error.fault)
        self._note("says", APOLOGY)
        self.finish(Status.COMPLETED if self.times.answered else Status.FAILED)

    async def _over(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
        self.finish(Status.COMPLETED)
        self.times.ended = datetime.now(UTC)
        self._note("over", self.status)
        self._callbacks.tell_status("completed", self.status, self.times)
        await self._callbacks.all_sent()
        self._ended.set_result(None)
        self._look()
        for _, waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(LineEnded(self._summary()))

    # ── TwiML ─────────────────────────────────────────────────────────────────────────────

    async def _first_document(self) -> Document:
        try:
            return await self._fetch(self.order.voice_url, self.order.voice_method)
        except TwimlError as error:
            if not self.order.fallback_url:
                raise
            self._fault(error.fault)
            what = {"ErrorCode": str(error.fault.code), "ErrorUrl": self.order.voice_url}
            return await self._fetch(self.order.fallback_url, "POST", what)

    async def _fetch(self, url: str, method: str, more: dict[str, str] | None = None) -> Document:
        self._note("asks", method)
        fields = {**self._callbacks.fields, "CallStatus": str(self.status), **(more or {})}
        wrong = self.order.wrong_webhook_signature
        answer = await self._exchange.request(method, url, fields, wrong_signature=wrong)
        check_content_type(answer.content_type)
        return self._read(answer.body, url)

    def _read(self, twiml: str, url: str) -> Document:
        verbs, faults = read(twiml)
        for fault in faults:
            self._fault(fault)
        return Document(url, verbs)

    async def _perform(self, document: Document) -> Document | None:
        for verb in document.verbs:
            match verb.name:
                case "Connect":
                    await self._connect(verb, document)
                    following = await self._action(verb, document)
                case "Dial":
                    following = await self._dial_verb(verb, document)
                case "Redirect":
                    following = await self._fetch(urljoin(document.url, verb.text), verb.get("method", "POST"))
                case _:
                    await self._simple(verb)
                    continue
            if following is not None:
                return following
        return None

    async def _simple(self, verb: Verb) -> None:
        match verb.name:
            case "Say":
                self._note("says", verb.text)
                await self._play_for(len(verb.text) * self._exchange.say_ms_per_char)
            case "Play":
                self._note("plays", verb.get("digits") or verb.text)
            case "Pause":
                await self._play_for(verb.number("length", 1) * 1000)
            case "Hangup" | "Reject":
                raise _HungUp

    async def _play_for(self, ms: int) -> None:
        """The caller hears words that are not in the timeline as sound: silence of their length."""
        if self.streams and self.order.keep_audio:
            self.heard += silence(ms)
            self.said += silence(ms)
        await asyncio.sleep(ms / 1000)

    async def _dial_verb(self, verb: Verb, document: Document) -> Document | None:
        self._note("dials", verb.text or " ".join(child.text for child in verb.children))
        await asyncio.sleep((self._exchange.ring_ms + self._exchange.dial_ms) / 1000)
        talked_s = str(self._exchange.dial_ms // 1000)
        return await self._action(verb, document, {"DialCallStatus": "completed", "DialCallDuration": talked_s})

    async def _action(self, verb: Verb, document: Document, more: dict[str, str] | None = None) -> Document | None:
        if not verb.get("action"):
            return None
        return await self._fetch(urljoin(document.url, verb.get("action")), verb.get("method", "POST"), more)

    async def _connect(self, verb: Verb, document: Document) -> None:
        if not verb.children:
            return
        noun = verb.children[0]
        keep = self.order.keep_audio
        playback = Playback(self.heard if keep else None)
        if self.streams:
            self.caller.begin_again()
        stream = MediaStream(
            self._exchange,
            self.call_sid,
            self.caller,
            playback,
            said=self.said if keep else None,
            on_fault=self._fault,
            on_tick=self._look,
            tap=self.order.tap,
        )
        callback = urljoin(document.url, noun.get("statusCallback")) if noun.get("statusCallback") else ""
        parameters = {child.get("name"): child.get("value") for child in noun.children}
        wrong = self.order.wrong_handshake_signature
        tell = self._callbacks.tell_stream
        try:
            await stream.open(noun.get("url"), parameters, wrong_signature=wrong)
        except ConnectError as error:
            self._fault(error.fault)
            tell(callback, stream.stream_sid, noun, "stream-error", error.fault)
            return
        self.stream_starts.append(len(self.heard))
        self.streams.append(stream)
        self._note("stream-started", stream.stream_sid)
        tell(callback, stream.stream_sid, noun, "stream-started")
        fault: Fault | None = None
        try:
            fault = await stream.run()
        finally:
            await stream.close()
            self._note("stream-stopped", stream.stream_sid)
            if fault is not None:
                self._fault(fault)
                tell(callback, stream.stream_sid, noun, "stream-error", fault)
            tell(callback, stream.stream_sid, noun, "stream-stopped")
        if fault is None:
            self._caller_left()

    def _caller_left(self) -> NoReturn:
        self._note("hangs-up", "the caller")
        raise _HungUp

    # ── notes ─────────────────────────────────────────────────────────────────────────────

    def _note(self, kind: str, text: str) -> None:
        self.events.append(Event(round((asyncio.get_running_loop().time() - self._made_s) * 1000), kind, text))
        self._look()

    def _fault(self, fault: Fault) -> None:
        if len(self.errors) < MOST_FAULTS:
            self.errors.append(fault)
        self._look()

    def _look(self) -> None:
        for condition, waiting in tuple(self._waiting):
            if not waiting.done() and condition(self):
                waiting.set_result(None)
        self._waiting = [w for w in self._waiting if not w[1].done()]

    def _summary(self) -> str:
        return f"the call ended as {self.status}: {[event.kind for event in self.events]} {self.errors}"
