"""Listening in: which call comes out of the loudspeaker, and which ones wait for it.

One call at a time. Leaving it stops it, unless this window has its floor; when it ends, the next
of the queue is listened to, and selected unless somebody writes.
"""

from __future__ import annotations

import asyncio

from PySide6.QtCore import QObject, Signal

from bridge import control
from bridge.control import Phase
from console.desk import Desk
from console.link import Refused
from console.sound import Sound


class Listening(QObject):
    """to: call_id of what is listened to, "" for nothing. queue: call_ids, the next one first.

    held: call_id whose floor this window has; it is told here by whoever knows.
    """

    changed = Signal()

    def __init__(self, desk: Desk, sound: Sound) -> None:
        super().__init__()
        self._desk = desk
        self._sound = sound
        self.to = ""
        self.queue: tuple[str, ...] = ()
        self.held = ""
        self._id = 0
        self._before: str | None = None
        desk.selection_changed.connect(self._on_selection)
        desk.link.call_changed.connect(self._on_call_changed)
        desk.link.state_changed.connect(self._on_link_state)
        desk.link.hears = self._hear

    def toggle(self) -> None:
        """Listen to the selected call, or stop."""
        selected = self._desk.selected
        if selected and selected == self.to:
            self._listen("")
        elif selected and self.held not in ("", selected):
            reason = self.tr("You have the floor of {who}, so you hear that call. Hand it back first.")
            self._desk.refused.emit("", "", reason.format(who=self._desk.caller(self.held)), "")
        elif selected:
            self._listen(selected)

    def toggle_queue(self) -> None:
        """Put the selected call into the queue, or take it out; one that is over or listened to stays out."""
        selected = self._desk.selected
        if selected in self.queue:
            self.queue = tuple(call_id for call_id in self.queue if call_id != selected)
        elif selected and selected != self.to and not self._is_over(selected):
            self.queue = (*self.queue, selected)
        else:
            return
        self.changed.emit()

    def take_over(self, call_id: str) -> None:
        """This window took the call's floor: it is what the operator hears until `hand_back`."""
        if self.to != call_id or self._before is None:
            self._before = self.to
        self.held = call_id
        self._listen(call_id)

    def hand_back(self, call_id: str) -> None:
        """The call is no longer in this window's hand: return to what was listened to before, if it is selected."""
        before, self._before = self._before or "", None
        if self.to == call_id:
            self._listen(before if before == self._desk.selected and not self._is_over(before) else "")

    def stop(self) -> None:
        """Listen to nothing, now or next."""
        self.queue = ()
        self._listen("")

    def _listen(self, call_id: str) -> None:
        if call_id == self.to:
            return
        if self.to:
            self._sound.stop_listening()
        self.to = call_id
        self.queue = tuple(waiting for waiting in self.queue if waiting != call_id)
        self._ask()
        if call_id:
            self._sound.start_listening()
        self.changed.emit()

    def _ask(self) -> None:
        self._id = 0
        if not self._desk.link.lost:
            id, answer = self._desk.listen(self.to)
            self._id = id
            answer.add_done_callback(lambda done: self._answered(id, done))

    def _answered(self, id: int, answer: asyncio.Future[None]) -> None:
        refused = not answer.cancelled() and isinstance(answer.exception(), Refused)
        if refused and id == self._id and self.to:
            self._id = 0
            self.to = ""
            self._sound.stop_listening()
            self.changed.emit()

    def _hear(self, frame: control.HeardFrame) -> None:
        """Late sound of an earlier call is dropped. In the wire's thread."""
        if self.to and frame.listen_id == self._id:
            self._sound.play(frame)

    def _on_selection(self, call_id: str) -> None:
        if self.to not in (call_id, self.held):
            self._listen("")

    def _on_link_state(self) -> None:
        """A bridge that is found again has forgotten who listened."""
        if not self._desk.link.lost and self.to:
            self._ask()

    def _on_call_changed(self, call_id: str) -> None:
        if call_id in (self.to, *self.queue) and self._is_over(call_id):
            self.queue = tuple(waiting for waiting in self.queue if waiting != call_id)
            if call_id == self.to:
                following = next(filter(self._is_up, self.queue), "")
                self._listen(following)
                if following and not self._desk.is_writing:
                    self._desk.select(following)
            self.changed.emit()

    def _is_up(self, call_id: str) -> bool:
        call = self._desk.store.calls.get(call_id)
        return call is not None and call.view.phase in (Phase.CONNECTING, Phase.LIVE)

    def _is_over(self, call_id: str) -> bool:
        call = self._desk.store.calls.get(call_id)
        return call is None or call.view.phase is Phase.ENDED
