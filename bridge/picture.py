"""The picture of one call: everything that an operator can see of it. Pure.

It holds the call's machines, transcript, waveform, tool cards, markers and waits, and makes the
views of `bridge.control` from them. Whoever changes something is told a *key*, such as
``("turn", "item_7")``; the event for a key is made only when somebody wants to see it, so a call
that nobody watches costs no views, and a slow console gets the newest state instead of a queue.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from msgspec.structs import replace

from bridge import control
from bridge.call import Call
from bridge.control import (
    AnswerView,
    CallView,
    Event,
    Floor,
    MarkerKind,
    MarkerView,
    MessageView,
    Party,
    Phase,
    Recording,
    TakeOverView,
    ToolState,
    ToolView,
    TurnKind,
    TurnState,
    Verb,
)
from bridge.engines import Step
from bridge.transcript import Transcript
from bridge.waveform import Waveform

Key: TypeAlias = tuple[str, str]

CALL: Key = ("call", "")
NOT_KEPT = "•••"
"""Stands for words of a privacy hold."""

KEPT_MESSAGES = 500
MAX_MESSAGE_CHARS = 4000
BARGE_INS_THAT_NEED_YOU = 3

ASKS_FOR_A_PERSON = re.compile(
    r"\b(real|live|actual) (person|human)\b|\b(speak|talk) (to|with) (a |an |some|the )?"
    r"(person|human|someone|somebody|supervisor|manager|representative|operator)",
    re.IGNORECASE,
)


@dataclass
class Wait:
    """The caller's wait for one answer, as far as it is known."""

    stopped_ms: float
    noticed_ms: float
    tool_ms: float = 0.0
    first_audio_ms: float | None = None
    item_id: str = ""
    filler_ms: float = 0.0
    """From then until a filler was heard, 0 for none."""

    steps: dict[Step, tuple[str, float]] = field(default_factory=dict)


@dataclass
class Picture:
    """One call, as seen. Times are call time in ms; ``tell`` hears the key of whatever changed."""

    call_id: str
    call_sid: str
    direction: str
    number: str
    place: str
    profile: str
    ring_unix_ms: int
    tell: Callable[[Key], None]
    call: Call = field(default_factory=Call)
    waveform: Waveform = field(default_factory=Waveform)
    transcript: Transcript = field(init=False)
    tools: dict[str, ToolView] = field(default_factory=dict)
    markers: dict[str, MarkerView] = field(default_factory=dict)
    answers: dict[str, AnswerView] = field(default_factory=dict)
    take_overs: dict[str, TakeOverView] = field(default_factory=dict)
    messages: deque[MessageView] = field(default_factory=lambda: deque(maxlen=KEPT_MESSAGES))
    needs: dict[str, str] = field(default_factory=dict)
    recording: Recording = Recording.OFF
    recording_path: str = ""
    started_unix_ms: int = 0
    clock_ms: int = 0
    caller_speaking: bool = False
    line_voice: Party = Party.NOBODY
    thinking: bool = False
    caller_interruptions: int = 0
    operator_interruptions: int = 0
    session_expires_ms: int | None = None
    cost_usd: float = 0.0
    tokens: int = 0
    engine: str = ""
    engines: tuple[str, ...] = ()
    coming: str = ""
    costs_usd: dict[str, float] = field(default_factory=dict)
    """By vendor; the engine's own under its name."""

    budget_usd: float | None = None
    barge_in_cause: str = ""
    """In words, why what the caller does now counts as an interruption; "" when nobody knows."""

    timed: Callable[[str, str, float], None] = lambda vendor, step, ms: None
    """Hears how long a vendor took for a step of an answer, in ms."""

    _wait: Wait | None = None
    _message_number: int = 0
    _requests: int = 0

    def __post_init__(self) -> None:
        self.transcript = Transcript(self.call_id)

    # ── changes ──

    def changed(self) -> None:
        """Something in the call's own view changed."""
        self.tell(CALL)

    def lines(self, turn_ids: Iterable[str]) -> None:
        """These transcript lines changed."""
        for turn_id in turn_ids:
            self.tell(("turn", turn_id))

    def mark(self, at_ms: float, kind: MarkerKind, label: str) -> None:
        """Put a marker under the waveform."""
        marker_id = str(len(self.markers) + 1)
        self.markers[marker_id] = MarkerView(
            call_id=self.call_id, marker_id=marker_id, at_ms=round(at_ms), kind=kind, label=label
        )
        self.tell(("marker", marker_id))

    def tool(self, view: ToolView) -> None:
        """A tool card appeared or changed."""
        self.tools[view.tool_id] = view
        self.tell(("tool", view.tool_id))
        self.changed()

    def need(self, reason: str, words: str) -> None:
        """The call needs a person because of ``reason``; told in ``words``."""
        if self.needs.get(reason) != words:
            self.needs[reason] = words
            self.changed()

    def met(self, *reasons: str) -> None:
        """These reasons are no more."""
        if any([self.needs.pop(reason, None) for reason in reasons]):
            self.changed()

    def message(self, at_ms: float, peer: str, outbound: bool, name: str, text: str) -> None:
        """A wire message went by. Repeated ones without text are counted on one line."""
        if self.call.private:
            return
        last = self.messages[-1] if self.messages else None
        if (
            last is not None
            and not text
            and (last.peer, last.outbound, last.name, last.text)
            == (
                peer,
                outbound,
                name,
                "",
            )
        ):
            self.messages.pop()
            number, count = last.number, last.count + 1
        else:
            self._message_number += 1
            number, count = self._message_number, 1
        if len(text) > MAX_MESSAGE_CHARS:
            text = f"{text[:MAX_MESSAGE_CHARS]}… ({len(text)} characters)"
        self.messages.append(
            MessageView(
                call_id=self.call_id,
                number=number,
                at_ms=round(at_ms),
                peer=peer,
                outbound=outbound,
                name=name,
                text=text,
                count=count,
            )
        )
        self.tell(("message", str(number)))

    def ghost(self, at_ms: float, mulaw: bytes) -> None:
        """This audio was cut off before it was heard."""
        if mulaw:
            self.waveform.add_ghost(at_ms, mulaw)
            self.tell(("ghost", str(len(self.waveform.ghosts) - 1)))

    # ── what operators do ──

    def operator_line(self, kind: TurnKind, text: str, now_ms: float) -> str:
        """A whisper, ask, say or note; returns its turn_id, which is also the request's name."""
        self._requests += 1
        turn_id = f"operator-{self._requests}"
        if self.call.private and kind is not TurnKind.NOTE:
            text = NOT_KEPT
        self.lines(self.transcript.operator_line(turn_id, kind, text, round(now_ms)))
        if kind is not TurnKind.NOTE:
            self.mark(now_ms, MarkerKind.OPERATOR, kind.value)
        return turn_id

    def note(self, text: str, label: str, now_ms: float) -> None:
        """An operator's act: a line in the transcript and a marker under the waveform."""
        self.operator_line(TurnKind.NOTE, text, now_ms)
        self.mark(now_ms, MarkerKind.OPERATOR, label)

    def keys(self, speaker: Party, keys: str, at_ms: float, order: int | None = None) -> None:
        """Keypad keys that the caller or the operator pressed, masked already where they must be.

        order: `Transcript.next_order` of when they were, if that was earlier.
        """
        self._requests += 1
        self.lines(self.transcript.keys(f"keys-{self._requests}", speaker, keys, round(at_ms), order))
        self.mark(at_ms, MarkerKind.DTMF, f"keys {keys}")

    def take_over(self, view: TakeOverView) -> None:
        """A take-over began, or more is known of how fast it was."""
        self.take_overs[view.take_over_id] = view
        self.tell(("take_over", view.take_over_id))

    def cut(self, items: Iterable[str], by: Party, now_ms: float) -> None:
        """These items, and any whose words ran ahead of their sound, were cut off."""
        in_play = [item_id for item_id in items if item_id]
        for item_id in in_play:
            self.lines(self.transcript.cut(item_id, by))
        for turn_id in self.transcript.unfinished():
            # What an operator asked to be said and still waits for its turn survives a barge-in.
            if by is not Party.CALLER or self.transcript.view(turn_id).state is TurnState.SPEAKING:
                self.lines(self.transcript.cut(turn_id, by))
        if in_play and by is Party.CALLER:
            self.barge_in(now_ms)
        elif in_play and by is Party.OPERATOR:
            self.operator_interruptions += 1
        if self._is_about_to_speak:
            self._wait = None
        self.line_voice = Party.NOBODY

    def finish(self) -> None:
        """The call is over: whatever was still under way never will be."""
        self.caller_speaking = self.thinking = False
        self.line_voice = Party.NOBODY
        for turn_id in self.transcript.unfinished():
            self.lines(self.transcript.cut(turn_id, Party.NOBODY))
        for tool in self.running_tools():
            self.tool(replace(tool, state=ToolState.EXPIRED, result="The call ended first."))

    # ── what the caller asks for, and how long they wait ──

    def caller_said(self, text: str) -> None:
        """Look through the caller's words for a wish that a person should know of: one that listens, does."""
        if self.call.floor is not Floor.OPERATOR and ASKS_FOR_A_PERSON.search(text):
            self.need("person", "asks for a person")

    def barge_in(self, at_ms: float) -> None:
        """The caller cut the AI off."""
        self.caller_interruptions += 1
        cause = f" · {self.barge_in_cause}" if self.barge_in_cause else ""
        self.mark(at_ms, MarkerKind.BARGE_IN, f"barge-in{cause}")
        if self.caller_interruptions >= BARGE_INS_THAT_NEED_YOU:
            self.need("barge-ins", f"cut the AI off {self.caller_interruptions} times")
        self.changed()

    def wait_begins(self, stopped_ms: float, noticed_ms: float) -> None:
        """The caller stopped speaking at ``stopped_ms``; the engine noticed at ``noticed_ms``."""
        self._wait = Wait(stopped_ms, noticed_ms)

    def waited_ms(self, now_ms: float) -> float:
        """How long the caller has waited for a first sound, 0 when nobody waits."""
        if self._wait is None or self._wait.first_audio_ms is not None:
            return 0.0
        return now_ms - self._wait.stopped_ms

    def wait_ends(self) -> None:
        """The caller spoke again, or nobody is to answer."""
        self._wait = None

    def tool_took(self, ms: float) -> None:
        """A tool ran while the caller waited."""
        if self._wait is not None and self._wait.first_audio_ms is None:
            self._wait.tool_ms += ms

    def reached(self, step: Step, vendor: str, at_ms: float) -> None:
        """The engine reached a step of the answer that the caller waits for."""
        if self._wait is not None:
            self._wait.steps.setdefault(step, (vendor, at_ms))

    def filler_heard(self, at_ms: float) -> None:
        """While the caller waited, something was played to show that we are there."""
        if self._wait is not None and not self._wait.filler_ms:
            self._wait.filler_ms = at_ms - self._wait.stopped_ms

    def first_audio(self, item_id: str, now_ms: float) -> None:
        """The answer's first audio came from the engine."""
        if self._wait is not None and self._wait.first_audio_ms is None:
            self._wait.first_audio_ms, self._wait.item_id = now_ms, item_id

    def first_heard(self, item_id: str, at_ms: float) -> None:
        """The caller heard the first of this item at ``at_ms``."""
        wait = self._wait
        if wait is None or wait.first_audio_ms is None or wait.item_id != item_id:
            return
        self._wait = None
        answer_id = str(len(self.answers) + 1)
        tool_ms = min(wait.tool_ms, wait.first_audio_ms - wait.noticed_ms)
        self.answers[answer_id] = AnswerView(
            call_id=self.call_id,
            answer_id=answer_id,
            at_ms=round(wait.stopped_ms),
            end_of_speech_ms=round(wait.noticed_ms - wait.stopped_ms),
            model_ms=round(wait.first_audio_ms - wait.noticed_ms - tool_ms),
            tool_ms=round(tool_ms),
            ear_ms=max(0, round(at_ms - wait.first_audio_ms)),
            engine=self.engine,
            filler_ms=round(wait.filler_ms),
            **self._step_times(wait),
        )
        self.tell(("answer", answer_id))
        self.timed(self.engine, "answer", wait.first_audio_ms - wait.stopped_ms)

    def _step_times(self, wait: Wait) -> dict[str, int]:
        """From each step to the next, as far as the engine told; and to whoever gathers figures."""
        times, since_ms = {}, wait.stopped_ms
        for step in Step:
            if step in wait.steps:
                vendor, at_ms = wait.steps[step]
                times[f"{step}_ms"] = max(0, round(at_ms - since_ms))
                self.timed(vendor, step, max(0.0, at_ms - since_ms))
                # What was thought ahead may be told with earlier times.
                since_ms = max(since_ms, at_ms)
        return times

    def running_tools(self) -> list[ToolView]:
        """The tools at work now."""
        return [tool for tool in self.tools.values() if tool.state is ToolState.RUNNING]

    def used(self, tokens: int, cost_usd: float, vendor: str = "") -> None:
        """The engine counted consumption, its own or a vendor's."""
        self.tokens += tokens
        self.cost_usd += cost_usd
        whose = vendor or self.engine
        self.costs_usd[whose] = self.costs_usd.get(whose, 0.0) + cost_usd
        self.changed()

    # ── views ──

    @property
    def speaking(self) -> Party:
        """Who is speaking now; the caller when both are."""
        return Party.CALLER if self.caller_speaking else self.line_voice

    def activity(self) -> str:
        """In words, what happens now."""
        match self.call.phase:
            case Phase.RINGING:
                return "Ringing"
            case Phase.CONNECTING:
                return "Connecting the AI"
            case Phase.ENDING:
                return "Ending"
            case Phase.ENDED:
                return f"Ended · {self.call.end_cause}"
        running = self.running_tools()
        if self.call.floor is Floor.OPERATOR:
            return f"{self.call.holder} has the floor"
        if self.call.is_ringing:
            return "No AI: take over"
        if self.call.floor is Floor.HOLD:
            return "On hold"
        if self.caller_speaking:
            return "Caller speaking"
        if self.line_voice is Party.AI:
            return "AI speaking"
        if running:
            return f"Running {running[-1].name}"
        if self.call.floor is Floor.NOBODY:
            return "AI muted"
        return "AI thinking" if self.thinking or self._is_about_to_speak else "Listening"

    @property
    def _is_about_to_speak(self) -> bool:
        """Whether the answer is on its way to the caller's ear."""
        return self._wait is not None and self._wait.first_audio_ms is not None

    def view(self) -> CallView:
        """The call as it now is."""
        reasons = {verb: self.call.why_not(verb) for verb in Verb}
        gone = self.call.phase is Phase.LIVE and self.call.ai_gone
        engine = "" if gone else self.engine
        return CallView(
            call_id=self.call_id,
            call_sid=self.call_sid,
            direction=self.direction,
            number=self.number,
            place=self.place,
            profile=self.profile,
            phase=self.call.phase,
            floor=self.call.floor,
            floor_holder=self.call.holder,
            ai_muted=self.call.phase is Phase.LIVE and self.call.floor is Floor.NOBODY,
            private=self.call.private,
            private_by=self.call.private_by,
            speaking=self.speaking,
            activity=self.activity(),
            needs=() if self.call.phase is Phase.ENDED else tuple(self.needs.values()),
            recording=Recording.PAUSED if self._is_paused() else self.recording,
            recording_path=self.recording_path,
            started_unix_ms=self.started_unix_ms or self.ring_unix_ms,
            clock_ms=self.clock_ms,
            caller_interruptions=self.caller_interruptions,
            operator_interruptions=self.operator_interruptions,
            session_expires_ms=None if gone else self.session_expires_ms,
            cost_usd=self.cost_usd,
            tokens=self.tokens,
            costs_usd=dict(self.costs_usd),
            budget_usd=self.budget_usd,
            engine=engine,
            engines=tuple(name for name in self.engines if name != engine),
            coming=self.coming if self.call.phase is Phase.LIVE else "",
            end_cause=self.call.end_cause if self.call.phase is Phase.ENDED else "",
            allowed=tuple(verb for verb in Verb if not reasons[verb]),
            why_not={verb: reason for verb, reason in reasons.items() if reason},
        )

    def _is_paused(self) -> bool:
        return self.call.private and self.recording is Recording.ON

    def peaks(self, first: int) -> control.PeaksAdded:
        """The waveform from column ``first`` to its end."""
        wave = self.waveform
        return control.PeaksAdded(
            call_id=self.call_id,
            first_column=first,
            caller=bytes(wave.caller[first:]),
            line=bytes(wave.line[first:]),
            voice=bytes(wave.voice[first:]),
        )

    def event(self, key: Key) -> Event | None:
        """The event that brings a console up to date with ``key``; None for what is gone."""
        kind, name = key
        match kind:
            case "call":
                return control.CallChanged(call=self.view())
            case "turn":
                return control.TurnChanged(turn=self.transcript.view(name))
            case "tool":
                return control.ToolChanged(tool=self.tools[name])
            case "marker":
                return control.MarkerChanged(marker=self.markers[name])
            case "answer":
                return control.AnswerTimed(answer=self.answers[name])
            case "take_over":
                return control.TakeOverTimed(take_over=self.take_overs[name])
            case "ghost":
                first, heights = self.waveform.ghosts[int(name)]
                return control.GhostAdded(call_id=self.call_id, first_column=first, peaks=heights)
        for message in reversed(self.messages):
            if message.number == int(name):
                return control.MessageSeen(message=message)
        return None

    def snapshot(self) -> Iterator[Event]:
        """The whole picture, as the events that would have led to it (raw messages excepted)."""
        yield control.CallChanged(call=self.view())
        for turn in self.transcript.views():
            yield control.TurnChanged(turn=turn)
        for tool in self.tools.values():
            yield control.ToolChanged(tool=tool)
        for marker in self.markers.values():
            yield control.MarkerChanged(marker=marker)
        for answer in self.answers.values():
            yield control.AnswerTimed(answer=answer)
        for take_over in self.take_overs.values():
            yield control.TakeOverTimed(take_over=take_over)
        for first, heights in self.waveform.ghosts:
            yield control.GhostAdded(call_id=self.call_id, first_column=first, peaks=heights)
        if self.waveform.caller:
            yield self.peaks(0)
