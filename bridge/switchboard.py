"""The live calls by id: commands in, events out to every attached console.

What the web layer asks of the house (`web.Exchange`) is answered here: a ring makes a call, a
media stream runs it. A fault inside one call ends that call and touches no other.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from bridge import call as calls
from bridge import control
from bridge.control import Command, Event, Floor, HealthPart, HealthState, HealthView, Phase, Recording, TurnState
from bridge.errors import NotAllowed
from bridge.house import House, Stream
from bridge.keypad import KEYS
from bridge.latency import Latency
from bridge.picture import CALL, Key, Picture
from bridge.profiles import Profile
from bridge.session import Session

log = logging.getLogger("cordboard.switchboard")

KEPT_ENDED = 50
KEPT_NOTICES = 20
RING_PATIENCE_S = 40.0


class MediaStream(Stream, Protocol):
    """The carrier's media socket as the web layer hands it over."""

    call_sid: str

    async def run(self, on_text: Callable[[str], None]) -> str:
        """Feed each message to ``on_text`` until the socket is gone; returns why."""


class Watcher(Protocol):
    """One attached console's outbox."""

    name: str
    watched: str

    def changed(self, call_id: str, key: Key) -> None:
        """``key`` of a call changed: fetch its event when there is time to send it."""

    def peaks(self, call_id: str, first: int) -> None:
        """The waveform changed from column ``first`` on."""

    def tell(self, event: Event) -> None:
        """Send this event."""

    def hear(self, side: control.Side, at_ms: int, audio: bytes) -> None:
        """Sound of the call that this console listens to. Returns at once; what is not read is dropped."""


@dataclass
class Switchboard:
    """All calls that this bridge holds.

    profile_for: the profile for one of our numbers. rehearse: starts a rehearsal call, or None on
    a real line. max_calls: calls beyond it are not answered by us. busy: whether the loop is past
    its measured ceiling, so that new calls get the tail instead of slowing the others.
    """

    house: House
    profile_for: Callable[[str], Profile]
    rehearse: Callable[[str], None] | None = None
    max_calls: int = 200
    floor_return_ms: int = 3000
    busy: Callable[[], bool] = lambda: False
    stop: Callable[[], None] = lambda: None
    sessions: dict[str, Session] = field(default_factory=dict)
    health: dict[HealthPart, HealthView] = field(default_factory=dict)
    notices: deque[control.Notice] = field(default_factory=lambda: deque(maxlen=KEPT_NOTICES))
    watchers: list[Watcher] = field(default_factory=list)
    latency: Latency = field(default_factory=Latency)
    turned_away: int = 0
    _by_sid: dict[str, Session] = field(default_factory=dict)
    _returns: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    _is_over: bool = False

    # ── what the web layer asks (web.Exchange) ──

    def ring(self, form: dict[str, str]) -> str | None:
        """A call is ringing: its call_id, or None when it cannot be taken."""
        if self._is_over:
            return None
        if self.live_count >= self.max_calls or self.busy():
            self.turned_away += 1
            self.notice(f"All lines are in use: {self.turned_away} caller(s) heard the apology.", "")
            return None
        outbound = form.get("Direction", "inbound").startswith("outbound")
        ours, theirs = ("From", "To") if outbound else ("To", "From")
        # Carriers write towns in capitals.
        place = form.get(f"{theirs}City", "").title(), form.get(f"{theirs}State", "")
        profile = self.profile_for(form.get(ours, ""))
        call_id = secrets.token_hex(4)
        picture = Picture(
            call_id=call_id,
            call_sid=form["CallSid"],
            direction="outbound" if outbound else "inbound",
            number=form.get(theirs, ""),
            place=", ".join(part for part in place if part),
            profile=profile.title,
            ring_unix_ms=round(time.time() * 1000),
            tell=lambda key: self._changed(picture, key),
            timed=self._timed,
        )
        session = Session(picture, profile, self.house)
        self.sessions[call_id] = self._by_sid[picture.call_sid] = session
        self._changed(picture, CALL)
        self.house.journal.call(picture.view())
        asyncio.get_running_loop().call_later(RING_PATIENCE_S, self._never_connected, session)
        self._forget_old()
        return call_id

    def _never_connected(self, session: Session) -> None:
        if session.call.phase is Phase.RINGING:
            self._tell(session, calls.EndOverdue())

    def _tell(self, session: Session, input: calls.Input) -> None:
        """What happened to a call, from who cannot be told of a fault of ours."""
        try:
            session.apply(input)
        except Exception as fault:
            self._faulted(session, fault)

    def carrier_status(self, form: dict[str, str]) -> None:
        """The carrier reports the state of a call."""
        session = self._by_sid.get(form.get("CallSid", ""))
        status = form.get("CallStatus", "")
        ended = status in ("completed", "busy", "failed", "no-answer", "canceled")
        if session is not None and ended and session.call.phase is not Phase.ENDED:
            self._tell(session, calls.CarrierEnded(status))

    def stream_status(self, form: dict[str, str]) -> None:
        """The carrier reports the state of a media stream; only its errors are news."""
        session = self._by_sid.get(form.get("CallSid", ""))
        if session is not None and form.get("StreamEvent") == "stream-error":
            self.notice(f"The carrier had trouble with a stream: {form.get('StreamError', 'no reason given')}.", "")

    async def media(self, stream: MediaStream) -> None:
        """Run the call that this stream belongs to until it is over."""
        session = self._by_sid.get(stream.call_sid)
        if session is None or session.call.phase is not Phase.RINGING:
            stream.close(1008)
            return
        # A task, so that the call has begun before its first message is read: that may be its last.
        reading = asyncio.create_task(self._read(stream, session))
        try:
            await session.run(stream)
        except Exception as fault:
            self._faulted(session, fault)
        finally:
            stream.close()
            await asyncio.wait([reading])

    async def _read(self, stream: MediaStream, session: Session) -> None:
        try:
            session.stream_over(await stream.run(session.from_carrier))
        except Exception as fault:
            self._faulted(session, fault)

    def _faulted(self, session: Session, fault: BaseException) -> None:
        log.error("a call ended by a fault of the bridge", exc_info=fault)
        session.end("the bridge had a fault")
        self.notice(
            "A call ended because the bridge had a fault; the caller heard the apology.", session.picture.call_id
        )

    def refused(self, what: str) -> None:
        """Somebody was turned away at the public door."""
        self.notice(what, "")

    # ── telling consoles ──

    def _changed(self, picture: Picture, key: Key) -> None:
        # Not looked up among the sessions: the last words of a call may come when it is forgotten.
        call_id = picture.call_id
        if key == ("peaks", ""):
            first = picture.waveform.take_touched()
            if first is not None:
                for watcher in self.watchers:
                    watcher.peaks(call_id, first)
            return
        if key[0] == "turn":
            turn = picture.transcript.view(key[1])
            if turn.state in (TurnState.FINAL, TurnState.CUT):
                self.house.journal.turn(turn)
        for watcher in self.watchers:
            if key[0] != "message" or watcher.watched == call_id:
                watcher.changed(call_id, key)

    def notice(self, text: str, call_id: str, state: HealthState = HealthState.AMBER) -> None:
        """Tell every operator; where nobody is attached, the first who comes."""
        notice = control.Notice(text=text, state=state, call_id=call_id)
        if not self.watchers:
            self.notices.append(notice)
        for watcher in self.watchers:
            watcher.tell(notice)

    def set_health(self, health: HealthView) -> None:
        """One part's state changed."""
        if self.health.get(health.part) != health:
            self.health[health.part] = health
            for watcher in self.watchers:
                watcher.tell(control.HealthChanged(health=health))

    def _timed(self, vendor: str, step: str, ms: float) -> None:
        """A vendor took this long for a step of an answer."""
        view = self.latency.add(vendor, step, ms)
        for watcher in self.watchers:
            watcher.tell(control.VendorTimed(vendor=view))

    def snapshot(self) -> Iterator[Event]:
        """The whole state, as ordinary events."""
        for part in HealthPart:
            if part in self.health:
                yield control.HealthChanged(health=self.health[part])
        for vendor in self.latency.views():
            yield control.VendorTimed(vendor=vendor)
        for session in self.sessions.values():
            yield from session.picture.snapshot()

    def recording_closed(self, call_id: str, state: Recording, words: str) -> None:
        """A recording is complete, or could not be kept whole."""
        session = self.sessions.get(call_id)
        if session is not None:
            session.recording_closed(state)
        if words:
            self.notice(words, call_id)

    # ── what operators command ──

    def obey(self, command: Command, console: str) -> None:
        """Carry out a command of ``console``. Raises NotAllowed with the reason to show."""
        try:
            self._obey(command, console)
        except NotAllowed:
            raise
        except Exception as fault:
            session = self.sessions.get(getattr(command, "call_id", ""))
            if session is None:
                raise
            self._faulted(session, fault)
            raise NotAllowed("The bridge had a fault and ended this call; the caller heard the apology.") from fault

    def _obey(self, command: Command, console: str) -> None:
        match command:
            case control.Interrupt(call_id=call_id):
                self._session(call_id).apply(calls.Interrupt())
            case control.MuteAI(call_id=call_id, muted=muted):
                self._session(call_id).apply(calls.MuteAI(muted))
            case control.Whisper(call_id=call_id, text=text):
                self._session(call_id).apply(calls.Whisper(_words(text)))
            case control.Ask(call_id=call_id, text=text, cut_in=cut_in):
                self._session(call_id).apply(calls.Ask(_words(text), cut_in))
            case control.Say(call_id=call_id, text=text):
                self._session(call_id).apply(calls.Say(_words(text), console))
            case control.Hold(call_id=call_id, held=held):
                self._hold(call_id, console, held)
            case control.PressKeys(call_id=call_id, keys=keys):
                self._session(call_id).apply(calls.PressKeys(_keys(keys), console))
            case control.Privacy(call_id=call_id, private=private):
                self._session(call_id).apply(calls.Privacy(console, private))
            case control.TakeOver(call_id=call_id):
                self._take_over(call_id, console)
            case control.HandBack(call_id=call_id, note=note):
                if len(note) > control.MAX_TEXT_CHARS:
                    raise NotAllowed(TOO_LONG)
                self._session(call_id).apply(calls.HandBack(console, note))
            case control.Swap(call_id=call_id, engine=engine):
                session = self._session(call_id)
                if engine not in session.picture.view().engines:
                    raise NotAllowed(f"This call cannot be given to {engine!r}. Choose one of the engines shown.")
                session.apply(calls.Swap(engine))
            case control.HangUp(call_id=call_id):
                self._session(call_id).apply(calls.HangUp())
            case control.Rehearse(scenario=scenario):
                if self.rehearse is None:
                    raise NotAllowed("This is a real line; there is no rehearsal to start.")
                self.rehearse(scenario)
            case control.Shutdown(end_calls=end_calls):
                if self.rehearse is not None and any(other.name != console for other in self.watchers):
                    raise NotAllowed("Another window is at this rehearsal; it goes on until the last one is closed.")
                if self.live_count and not end_calls:
                    raise NotAllowed(
                        f"{self.live_count} call(s) are up. End them first, or say that they may be ended."
                    )
                self.stop()
            case control.Attach() | control.Watch() | control.Listen():
                raise NotAllowed("That was said already.")

    def _session(self, call_id: str) -> Session:
        session = self.sessions.get(call_id)
        if session is None:
            raise NotAllowed("That call is no longer held by the bridge.")
        return session

    def _take_over(self, call_id: str, console: str) -> None:
        session = self._session(call_id)
        self._may_have_floor(session, console)
        session.apply(calls.TakeOver(console))

    def _hold(self, call_id: str, console: str, held: bool) -> None:
        session = self._session(call_id)
        if not held and session.call.after_hold is Floor.OPERATOR:
            self._may_have_floor(session, console)
        session.apply(calls.Hold(console) if held else calls.Unhold(console))

    def _may_have_floor(self, session: Session, console: str) -> None:
        """One voice cannot be at two calls: neither caller is to hear what is said to the other."""
        for other in self.held_by(console):
            if other is not session:
                raise NotAllowed(f"You have the floor of another call ({other.picture.number}). Hand it back first.")

    def held_by(self, console: str) -> list[Session]:
        """The calls whose floor this console holds."""
        return [
            session
            for session in self.sessions.values()
            if session.call.floor is Floor.OPERATOR and session.call.holder == console
        ]

    def _left_by(self, console: str) -> list[Session]:
        """The calls that wait for this console: it has their floor, or has put them on hold."""
        return [session for session in self.sessions.values() if session.call.holder == console]

    def talk(self, mulaw: bytes, console: str) -> bool:
        """Speech of this console's operator to the call it holds; False when it holds none."""
        held = self.held_by(console)
        for session in held:
            try:
                session.talk(mulaw)
            except Exception as fault:
                self._faulted(session, fault)
        return bool(held)

    def listen(self, watcher: Watcher, call_id: str) -> None:
        """From now on this console hears this call and no other; "" for none. Raises NotAllowed."""
        for session in self.sessions.values():
            session.ears.pop(watcher, None)
        if not call_id:
            return
        session = self._session(call_id)
        if session.call.phase not in (Phase.CONNECTING, Phase.LIVE):
            raise NotAllowed("There is nothing to hear: the call is not up.")
        call = session.call

        def ear(side: control.Side, at_ms: int, audio: bytes, talker: str) -> None:
            if talker != watcher.name and (call.holder == watcher.name or not call.private):
                watcher.hear(side, at_ms, audio)

        session.ears[watcher] = ear

    # ── consoles come and go ──

    def attach(self, watcher: Watcher) -> None:
        """From now on this console is told of changes; its floor is its own again."""
        self.watchers.append(watcher)
        while self.notices:
            watcher.tell(self.notices.popleft())
        timer = self._returns.pop(watcher.name, None)
        if timer is not None:
            timer.cancel()

    def detach(self, watcher: Watcher) -> None:
        """The console is gone. Calls whose floor it has, or that it put on hold, go back to the AI after a grace."""
        self.watchers.remove(watcher)
        self.listen(watcher, "")
        if self._left_by(watcher.name) and not any(other.name == watcher.name for other in self.watchers):
            self._returns[watcher.name] = asyncio.get_running_loop().call_later(
                self.floor_return_ms / 1000, self._console_gone, watcher.name
            )

    def _console_gone(self, console: str) -> None:
        self._returns.pop(console, None)
        for session in self._left_by(console):
            self._tell(session, calls.ConsoleGone(console))

    # ── keeping house ──

    @property
    def live_count(self) -> int:
        """Calls that are not over."""
        return sum(session.call.phase is not Phase.ENDED for session in self.sessions.values())

    def _forget_old(self) -> None:
        ended = [session for session in self.sessions.values() if session.call.phase is Phase.ENDED]
        for session in ended[: max(0, len(ended) - KEPT_ENDED)]:
            picture = session.picture
            del self.sessions[picture.call_id]
            self._by_sid.pop(picture.call_sid, None)
            for watcher in self.watchers:
                watcher.tell(control.CallForgotten(call_id=picture.call_id))

    def end_all(self, why: str) -> None:
        """Hang up every call, and take no further one."""
        self._is_over = True
        for timer in self._returns.values():
            timer.cancel()
        self._returns.clear()
        for session in list(self.sessions.values()):
            if session.call.phase is not Phase.ENDED:
                self._tell(session, calls.HangUp(control.Party.NOBODY, why))

    async def all_ended(self, patience_s: float) -> None:
        """Wait until no call is up, at most this long."""
        waits = [
            asyncio.create_task(session.finished.wait())
            for session in self.sessions.values()
            if session.call.phase is not Phase.ENDED
        ]
        if waits:
            await asyncio.wait(waits, timeout=patience_s)
            for wait in waits:
                wait.cancel()


TOO_LONG = f"That is too long; at most {control.MAX_TEXT_CHARS} characters fit."


def _words(text: str) -> str:
    text = text.strip()
    if not text:
        raise NotAllowed("There is nothing to send. Type the words first.")
    if len(text) > control.MAX_TEXT_CHARS:
        raise NotAllowed(TOO_LONG)
    return text


def _keys(keys: str) -> str:
    if not keys or len(keys) > control.MAX_KEYS or not set(keys) <= set(KEYS):
        raise NotAllowed(f"Keys are 0-9, *, # and A-D, at most {control.MAX_KEYS} at a time.")
    return keys
