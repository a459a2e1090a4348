"""The desk: which call is selected, and what the operator does to it.

Panels are given the desk, show what it knows and hand their intents to it; it speaks to the
bridge. It never guesses: a verb is *pending* until the bridge has answered, and what the call is
afterwards comes back as an event like any other.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication, QObject, Signal

from bridge import control
from bridge.control import CallView, Phase, Verb
from console.actions import BY_NAME, BY_VERB, CONTEXT, Action, Face, face
from console.link import Link, LinkLost, LinkState, Refused, monotonic_ms
from console.names import told
from console.store import Call, Store
from console.telephone import spaced

TELL_PENDING_AFTER_MS = 300.0


@dataclass(frozen=True)
class Pending:
    """A command that the bridge has not answered yet; verb None: one that is for no call."""

    call_id: str
    verb: Verb | None
    since_ms: float
    text: str = ""

    def told(self, now_ms: float) -> bool:
        """Whether it has taken long enough to be put in words."""
        return now_ms - self.since_ms >= TELL_PENDING_AFTER_MS


class Desk(QObject):
    """The selected call and the verbs.

    selection_changed(call_id), pending_changed(), sent(call_id, verb): a verb is on its way,
    done(call_id, verb, text), refused(call_id, verb, reason, text): text is what the operator had
    written.
    """

    selection_changed = Signal(str)
    pending_changed = Signal()
    sent = Signal(str, str)
    done = Signal(str, str, str)
    refused = Signal(str, str, str, str)

    def __init__(self, store: Store, link: Link) -> None:
        super().__init__()
        self.store = store
        self.link = link
        self.selected = ""
        self.is_writing = False
        """Whether somebody writes for the selected call: only they may then select another."""

        self._pending: dict[int, Pending] = {}
        self._last_pending = 0
        link.call_changed.connect(self._on_call_changed)
        link.state_changed.connect(self._on_state_changed)

    # ── what is there ──

    @property
    def call(self) -> Call | None:
        """The selected call."""
        return self.store.calls.get(self.selected)

    @property
    def view(self) -> CallView | None:
        """The selected call's newest view."""
        return self.call.view if self.call is not None else None

    def face(self, action: Action) -> Face:
        """How an action looks now."""
        return face(action, self.view, self.link.me, self.link.lost)

    def pending(self, call_id: str, *verbs: Verb) -> Pending | None:
        """The oldest unanswered command among these verbs for a call."""
        waiting = (p for p in self._pending.values() if p.call_id == call_id and (not verbs or p.verb in verbs))
        return next(waiting, None)

    def clock_ms(self, call_id: str) -> float:
        """The age of a call's media stream now: runs while the link is up, stands still while it is lost."""
        call = self.store.calls.get(call_id)
        if call is None:
            return 0.0
        view = call.view
        seen_ms = self.link.seen_ms.get(call_id)
        if view.phase not in (Phase.CONNECTING, Phase.LIVE, Phase.ENDING) or not view.clock_ms or seen_ms is None:
            return float(view.clock_ms)
        until_ms = self.link.since_ms if self.link.state is LinkState.LOST else monotonic_ms()
        return view.clock_ms + max(0.0, until_ms - seen_ms)

    def caller(self, call_id: str, *, begins: bool = False) -> str:
        """Who is called what in a sentence: the number, or "the caller" where none is known. begins: the sentence."""
        call = self.store.calls.get(call_id)
        number = spaced(call.view.number) if call is not None else ""
        return number or (self.tr("The caller") if begins else self.tr("the caller"))

    def engine(self, call_id: str) -> str:
        """The engine that has a call, "" for none."""
        call = self.store.calls.get(call_id)
        return call.view.engine if call is not None else ""

    def has_floor(self) -> bool:
        """Whether this console holds the selected call's floor."""
        view = self.view
        return view is not None and view.floor is control.Floor.OPERATOR and view.floor_holder in ("", self.link.me)

    # ── selection ──

    def select(self, call_id: str) -> None:
        """Make one call the one that everything shows; unknown ids are ignored."""
        if call_id == self.selected or (call_id and call_id not in self.store.calls):
            return
        self.selected = call_id
        if not self.link.lost:
            self.link.send(control.Watch, call_id=call_id)
        self.selection_changed.emit(call_id)

    def set_writing(self, is_writing: bool) -> None:
        """Somebody writes for the selected call, or no longer."""
        self.is_writing = is_writing

    def step(self, by: int) -> None:
        """Select the call that many places further down the list; stops at its ends."""
        order = [call.view.call_id for call in self.store.most_urgent_first()]
        if not order:
            return
        at = order.index(self.selected) + by if self.selected in order else 0
        self.select(order[min(max(at, 0), len(order) - 1)])

    # ── verbs ──

    def do(self, name: str, *, text: str = "", cut_in: bool = False) -> None:
        """Carry out a verb's row on the selected call, or say why not."""
        action = BY_NAME[name]
        now = self.face(action)
        if now.verb is None:
            return
        if not now.enabled:
            reason = QCoreApplication.translate(CONTEXT, now.why_not)
            self.refused.emit(self.selected, now.verb.value, reason, text)
            return
        # Words and keypad tones follow each other; other verbs wait for the bridge's answer.
        if not action.text_mode and now.verb is not Verb.KEYS and self.pending(self.selected, *action.verbs):
            return
        self._send(self.selected, now.verb, text, cut_in)

    def take_over_now(self, call_id: str) -> None:
        """Have this call's floor, whichever call is selected; never hands back."""
        self._send_once(call_id, Verb.TAKE_OVER)

    def hold(self, call_id: str) -> None:
        """Put this call's caller on hold, whichever call is selected."""
        self._send_once(call_id, Verb.HOLD)

    def hand_back_now(self, call_id: str) -> None:
        """Give the AI this call's floor back without a note, whichever call is selected."""
        self._send_once(call_id, Verb.HAND_BACK)

    def listen(self, call_id: str) -> tuple[int, asyncio.Future[None]]:
        """Have the bridge send what is heard on a call, on none for "". A refusal is told.

        Returns the id that the `HeardFrame`s will carry, and the bridge's answer.
        """
        answer = self.link.send(control.Listen, call_id=call_id)
        answer.add_done_callback(self._listen_answered)
        return self.link.last_id, answer

    def rehearse(self, scenario: str = "") -> None:
        """Have the simulated telephone company place a call."""
        if self.link.lost:
            words = self.tr("There is no link to the bridge, so no rehearsal call was begun. Try again once there is.")
            self.refused.emit("", "", words, "")
            return
        self._await(Pending("", None, monotonic_ms()), self.link.send(control.Rehearse, scenario=scenario))

    def _send_once(self, call_id: str, verb: Verb) -> None:
        """Nothing while the bridge has yet to answer this verb, or the other of its row."""
        if not self.pending(call_id, *BY_VERB[verb].verbs):
            self._send(call_id, verb)

    def _send(self, call_id: str, verb: Verb, text: str = "", cut_in: bool = False) -> None:
        call, send = self.store.calls.get(call_id), self.link.send
        view = call.view if call is not None else None
        match verb:
            case Verb.INTERRUPT:
                answer = send(control.Interrupt, call_id=call_id)
            case Verb.MUTE_AI:
                answer = send(control.MuteAI, call_id=call_id, muted=not (view is not None and view.ai_muted))
            case Verb.WHISPER:
                answer = send(control.Whisper, call_id=call_id, text=text)
            case Verb.ASK:
                answer = send(control.Ask, call_id=call_id, text=text, cut_in=cut_in)
            case Verb.SAY:
                answer = send(control.Say, call_id=call_id, text=text)
            case Verb.TAKE_OVER:
                answer = send(control.TakeOver, call_id=call_id)
            case Verb.HAND_BACK:
                answer = send(control.HandBack, call_id=call_id, note=text)
            case Verb.HOLD | Verb.UNHOLD:
                answer = send(control.Hold, call_id=call_id, held=verb is Verb.HOLD)
            case Verb.KEYS:
                answer = send(control.PressKeys, call_id=call_id, keys="".join(text.upper().split()))
            case Verb.PRIVACY:
                answer = send(control.Privacy, call_id=call_id, private=not (view is not None and view.private))
            case Verb.SWAP:
                answer = send(control.Swap, call_id=call_id, engine=text)
            case Verb.HANG_UP:
                answer = send(control.HangUp, call_id=call_id)
        self._await(Pending(call_id, verb, monotonic_ms(), text), answer)
        self.sent.emit(call_id, verb.value)

    def _await(self, pending: Pending, answer: asyncio.Future[None]) -> None:
        self._last_pending += 1
        number = self._last_pending
        self._pending[number] = pending
        answer.add_done_callback(lambda done: self._answered(number, done))
        self.pending_changed.emit()

    def _answered(self, number: int, answer: asyncio.Future[None]) -> None:
        pending = self._pending.pop(number)
        self.pending_changed.emit()
        verb = pending.verb.value if pending.verb is not None else ""
        error = LinkLost() if answer.cancelled() else answer.exception()
        match error:
            case None:
                self.done.emit(pending.call_id, verb, pending.text)
            case Refused():
                self.refused.emit(pending.call_id, verb, told(str(error), self.link.me), pending.text)
            case LinkLost():
                reason = self.tr("The bridge was lost before it answered. Look again when the link is back.")
                self.refused.emit(pending.call_id, verb, reason, pending.text)

    def _listen_answered(self, answer: asyncio.Future[None]) -> None:
        if not answer.cancelled() and isinstance(error := answer.exception(), Refused):
            self.refused.emit("", "", told(str(error), self.link.me), "")

    # ── events ──

    def _on_call_changed(self, call_id: str) -> None:
        if self.selected and self.selected not in self.store.calls:
            self.selected = ""
            self.selection_changed.emit("")
        if not self.selected:
            first = next(iter(self.store.most_urgent_first()), None)
            if first is not None and first.view.phase is not Phase.ENDED:
                self.select(first.view.call_id)

    def _on_state_changed(self) -> None:
        if not self.link.lost and self.selected:
            self.link.send(control.Watch, call_id=self.selected)


def verb_title(verb: Verb, view: CallView | None) -> str:
    """What a verb is called, for sentences about it (untranslated; context `CONTEXT`)."""
    action = BY_VERB[verb]
    if verb is Verb.MUTE_AI and view is not None and view.ai_muted and action.other is not None:
        return action.other.title
    look = action.look if action.look.verb is verb or action.other is None else action.other
    return look.title
