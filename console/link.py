"""The console's end of the control socket: finds the bridge, mirrors it, and never gives up.

`Link.run` looks for a bridge, attaches, applies its events to the store and tells by signal what
changed; when the bridge is lost it keeps the last known state, says since when, and tries again.
A snapshot replaces the store in one go, so a re-attached window never flickers. Commands are
answered through futures: a result for Done, `Refused` or `LinkLost` otherwise.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import StrEnum
from typing import Any

import msgspec
from PySide6.QtCore import QObject, Signal
from websockets.exceptions import InvalidStatus, WebSocketException

from bridge import control
from console.bridge_process import Address, BridgeFailed
from console.store import Store
from console.wire import Wire

log = logging.getLogger("cordboard.link")

FIRST_RETRY_S = 0.2
LAST_RETRY_S = 2.0


class LinkState(StrEnum):
    """STARTING: never attached yet. FAILED: no bridge can be had until someone acts."""

    STARTING = "starting"
    ATTACHED = "attached"
    LOST = "lost"
    FAILED = "failed"


class Refused(Exception):
    """The bridge did not carry out a command; the text is its reason."""


class LinkLost(Exception):
    """The bridge was lost before it answered."""


def monotonic_ms() -> float:
    """The clock that paces the window, ms."""
    return time.monotonic() * 1000.0


class Link(QObject):
    """One console's connection.

    find: returns the bridge's address, starting a bridge if there is none; raises BridgeFailed.
    hears: gets the sound of the call that is listened to, in the wire's thread.
    """

    call_changed = Signal(str)
    desk_changed = Signal()
    state_changed = Signal()
    noticed = Signal(object)

    def __init__(self, store: Store, console: str, find: Callable[[], Awaitable[Address]]) -> None:
        super().__init__()
        self.store = store
        self.state = LinkState.STARTING
        self.reason = ""
        self.since_ms = monotonic_ms()
        self.seen_ms: dict[str, float] = {}
        self.heard_ms = self.since_ms
        self.hears: Callable[[control.HeardFrame], object] = lambda _: None
        self._console = console
        self._find = find
        self._last_id = 0
        self._wire: Wire | None = None
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._snapshot: list[control.Event] | None = None
        self._changed: dict[str, None] = {}
        self._retry = asyncio.Event()
        self._flushing = False

    @property
    def me(self) -> str:
        """The name that a call's floor_holder has when this console holds the floor."""
        attached = self.store.attached
        return attached.console if attached else self._console

    @property
    def lost(self) -> bool:
        """Nothing can be sent now."""
        return self.state is not LinkState.ATTACHED

    @property
    def last_id(self) -> int:
        """The id of the command that was sent last; 0 before the first."""
        return self._last_id

    def age_ms(self) -> float:
        """How long the link has been in its state."""
        return monotonic_ms() - self.since_ms

    def silent_ms(self) -> float:
        """How long the bridge has said nothing. While a call is up it speaks several times a second."""
        return monotonic_ms() - self.heard_ms

    def retry(self) -> None:
        """Try again now, after FAILED or in the pause between two attempts."""
        self._retry.set()

    async def run(self) -> None:
        """Attach, and re-attach, until cancelled."""
        pause_s = FIRST_RETRY_S
        while True:
            self._retry.clear()
            try:
                await self._serve(await self._find())
                reason = self.tr("The bridge closed the connection.")
            except BridgeFailed as failed:
                self._become(LinkState.FAILED, str(failed))
                await self._retry.wait()
                self._become(LinkState.STARTING)
                pause_s = FIRST_RETRY_S
                continue
            except InvalidStatus as error:
                reason = self.tr("The bridge refused this window (HTTP {code}).").format(
                    code=error.response.status_code
                )
            except (OSError, TimeoutError, WebSocketException) as error:
                reason = self.tr("The bridge does not answer.")
                log.info("link lost: %s", type(error).__name__)
            if self.state is LinkState.ATTACHED:
                pause_s = FIRST_RETRY_S
                self._become(LinkState.LOST, reason)
            elif self.reason != reason:
                self._become(self.state, reason, keep_age=True)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._retry.wait(), pause_s)
            pause_s = min(pause_s * 2, LAST_RETRY_S)

    def send(self, kind: type[Any], **fields: Any) -> asyncio.Future[None]:
        """Sends a command of ``kind``; the future ends with its answer."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Who asks need not listen: an unheard refusal is no error of the program's.
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        if self._wire is None or (self.lost and kind is not control.Attach):
            answer.set_exception(LinkLost())
            return answer
        self._last_id += 1
        self._answers[self._last_id] = answer
        self._wire.send(control.encode(kind(id=self._last_id, **fields)))
        return answer

    def send_talk(self, mulaw: bytes) -> bool:
        """Operator speech for the call whose floor is ours: mu-law, 8 kHz. False while it cannot be sent."""
        wire = self._wire
        if self.lost or wire is None:
            return False
        wire.send_talk(bytes((control.TALK,)) + mulaw)
        return True

    async def _serve(self, address: Address) -> None:
        """One connection, from its handshake to its end."""
        async with Wire(address, self._hear) as wire:
            self._wire, self._snapshot = wire, []
            attach = self.send(control.Attach, version=control.VERSION, console=self._console)
            attach.add_done_callback(self._attach_answered)
            try:
                async for text in wire.texts():
                    self._receive(text)
            finally:
                self._wire = self._snapshot = None
                answers, self._answers = self._answers, {}
                for answer in answers.values():
                    if not answer.done():
                        answer.set_exception(LinkLost())
        if self.state is LinkState.FAILED:
            raise BridgeFailed(self.reason)

    def _attach_answered(self, answer: asyncio.Future[None]) -> None:
        if not answer.cancelled() and isinstance(error := answer.exception(), Refused):
            self._become(LinkState.FAILED, str(error))
            if self._wire is not None:
                self._wire.leave()

    def _hear(self, sound: bytes) -> None:
        self.heard_ms = monotonic_ms()
        try:
            self.hears(control.decode_heard(sound))
        except ValueError as error:
            log.warning("a binary frame that this console does not understand: %s", error)

    def _receive(self, text: str) -> None:
        self.heard_ms = monotonic_ms()
        try:
            event = control.decode_event(text)
        except msgspec.DecodeError as error:
            log.warning("an event that this console does not understand: %s", error)
            return
        match event:
            case control.Done(id=id):
                self._answer(id, None)
            case control.Refused(id=id, reason=reason):
                self._answer(id, Refused(reason))
            case control.Attached() if self._snapshot is not None:
                snapshot, self._snapshot = self._snapshot, None
                gone = set(self.store.calls)
                self.store.begin_snapshot()
                for earlier in (*snapshot, event):
                    self._apply(earlier)
                self._changed.update(dict.fromkeys(gone))
                self._become(LinkState.ATTACHED)
            case _ if self._snapshot is not None:
                self._snapshot.append(event)
            case _:
                self._apply(event)

    def _apply(self, event: control.Event) -> None:
        if isinstance(event, control.CallChanged):
            self.seen_ms[event.call.call_id] = monotonic_ms()
        elif isinstance(event, control.CallForgotten):
            self.seen_ms.pop(event.call_id, None)
        self._changed[self.store.apply(event)] = None
        if isinstance(event, control.Notice):
            self.noticed.emit(event)
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """One signal for each call that a batch of events changed."""
        self._flushing = False
        changed, self._changed = self._changed, {}
        for call_id in changed:
            if call_id:
                self.call_changed.emit(call_id)
        if "" in changed:
            self.desk_changed.emit()

    def _answer(self, id: int, error: Exception | None) -> None:
        answer = self._answers.pop(id, None)
        if answer is None or answer.done():
            return
        if error is None:
            answer.set_result(None)
        else:
            answer.set_exception(error)

    def _become(self, state: LinkState, reason: str = "", *, keep_age: bool = False) -> None:
        self.state, self.reason = state, reason
        if not keep_age:
            self.since_ms = monotonic_ms()
        self.state_changed.emit()
