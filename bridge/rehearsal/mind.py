"""What the rehearsal AI says next: no understanding, only the scenarios' replies and good manners.

It is told what was heard, what the operator wrote and what tools answered, and plans one reply at
a time. It never greets by itself once anything was said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bridge.rehearsal.scenario import Reply, ToolUse
from bridge.rehearsal.speech import sentences
from bridge.templates import result_told

GUIDANCE = "Guidance from your supervisor, not to be read out:"
_EXACTLY = re.compile(r'^Say exactly, word for word, nothing else: "(.*)"\s*$', re.DOTALL)
_IN_OWN_WORDS = re.compile(r'^Tell the caller, in your own words: "(.*)"\s*$', re.DOTALL)
_HANDED_BACK = re.compile(r"colleague took over the line|hand(ed|s)? .*back", re.IGNORECASE)
_SAID_TO_CALLER = re.compile(
    r'said to the caller[^:"]*: "(.*?)"(?= What the caller said | Your colleague tells | Go on |\s*$)', re.DOTALL
)
_COLLEAGUE_TOLD = re.compile(r"colleague (?:tells|told) you: (.+?)(?= Go on | Do not greet |$)", re.DOTALL)
_YOUR_TURN = re.compile(r"^(?:please )?(?:greet|answer)\b", re.IGNORECASE)
_HOLD_OVER = re.compile(r"^The caller was on hold\b")
_NO_WORDS = re.compile(r"\[.*?\]")

HELLO = "Hello. How can I help you?"
GO_ON = "How else can I help you?"
ARE_YOU_THERE = "Are you still there?"
OF_COURSE = "Of course."
WHERE_WAS_I = "As I was saying."
THANKS = "Thanks for waiting."
COLLEAGUE = "My colleague has told me where we are."
NOT_KNOWN = (
    "I can hear you. In a rehearsal I only know the words of a few callers, but your line works.",
    "I heard that too. Please go on.",
    "Thank you. I have noted that you said something more.",
)
STOCK = (HELLO, GO_ON, ARE_YOU_THERE, OF_COURSE, WHERE_WAS_I, THANKS, COLLEAGUE, *NOT_KNOWN)
"""All that it says by itself, to be rendered ahead."""

_AS_COLLEAGUE_SAID = "As my colleague said: {}"
_SHORTEST_QUOTE_WORDS = 2
_LONGEST_QUOTE = 140
_TOLD = (
    (re.compile(r"^(?:please )?(?:tell|let) (?:the caller|them|her|him)(?: know)?(?: that)? ", re.IGNORECASE), ""),
    (re.compile(r"^(?:please )?ask (?:the caller|them|her|him)? ?(?:for )?", re.IGNORECASE), "May I ask about "),
    (re.compile(r"^(?:please )?offer ", re.IGNORECASE), "I can offer you "),
    (re.compile(r"^(?:please )?(?:do not|don't|never) ", re.IGNORECASE), "I would rather not "),
)
_MENTION = "I should add: "


@dataclass(frozen=True)
class Heard:
    """One turn of the caller: the line it was (None for words nobody rehearsed) and its transcript."""

    line: str | None
    transcript: str


@dataclass(frozen=True)
class Plan:
    """One reply: words to speak ("" for none), then a tool to use. basis: what it answers, to take it back."""

    says: str
    tool: ToolUse | None = None
    basis: _Waiting | None = None


@dataclass
class _Waiting:
    """What the next reply has to deal with."""

    heard: list[Heard] = field(default_factory=list)
    results: list[tuple[ToolUse, str]] = field(default_factory=list)
    guidance: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unsaid: str = ""
    silent: bool = False
    held: bool = False


class Mind:
    """One conversation's AI. replies: of all scenarios, each known by the caller's line."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        self._replies = {reply.line: reply for reply in replies}
        self._waiting = _Waiting()
        self._asked: dict[str, ToolUse] = {}
        self._begun = False
        self._unknown = 0
        self._last = ""
        self._colleague_said = ""

    @property
    def is_asked(self) -> bool:
        """Whether words of the caller or a tool's result wait for an answer."""
        return bool(self._waiting.heard or self._waiting.results)

    def hear(self, heard: Heard) -> None:
        """The caller said something that waits for an answer."""
        self._waiting.heard.append(heard)
        self._last = heard.transcript

    def hear_nothing(self) -> None:
        """The caller has been silent for too long."""
        self._waiting.silent = True

    def read(self, role: str, text: str) -> None:
        """A text item was put into the conversation."""
        match role:
            case "user":
                self.hear(Heard(text if text in self._replies else None, text))
            case "system" if text.startswith(GUIDANCE):
                self._waiting.guidance.append(text.removeprefix(GUIDANCE).strip())
            case "system" if _HANDED_BACK.search(text):
                # What the caller said until then was said to the colleague, who cut short what it was saying.
                self._waiting.heard.clear()
                self._waiting.unsaid = ""
                self._waiting.notes.append(_handed_back(text, self._colleague_said))
                self._colleague_said = ""
                self._begun = True
            case "system" if said := _SAID_TO_CALLER.search(text):
                self._colleague_said = said[1]
            case "system" if _HOLD_OVER.match(text):
                self._waiting.held = True
                self._begun = True
            case "assistant":
                # It answered what came before: nothing of that waits.
                self._waiting = _Waiting()
                self._begun = True

    def begun(self) -> None:
        """Something was said in this conversation that answers nothing: it does not begin any more."""
        self._begun = True

    def used(self, call_id: str, tool: ToolUse) -> None:
        """A tool was asked for; its result will come under ``call_id``."""
        self._asked[call_id] = tool

    def recall_tool(self, call_id: str, name: str) -> None:
        """A tool was used to answer what was said last, in an earlier session; see `used`."""
        answers = [self._replies[one.line] for one in reversed(self._waiting.heard) if one.line]
        tools = (reply.tool for reply in (*answers, *self._replies.values()))
        self._waiting.heard.clear()
        self._begun = True
        if tool := next((tool for tool in tools if tool is not None and tool.name == name), None):
            self.used(call_id, tool)

    def result(self, call_id: str, output: str) -> None:
        """A tool's result came."""
        if tool := self._asked.pop(call_id, None):
            self._waiting.results.append((tool, output))

    def cut(self, unsaid: str) -> None:
        """The caller did not hear these last words of the AI."""
        self._waiting.unsaid = unsaid

    def take_back(self, plan: Plan) -> None:
        """A planned reply was stopped before any of it was spoken: what it answered waits again."""
        if old := plan.basis:
            now = self._waiting
            now.heard[:0], now.results[:0] = old.heard, old.results
            now.guidance[:0], now.notes[:0] = old.guidance, old.notes
            now.unsaid = now.unsaid or old.unsaid
            now.held = now.held or old.held

    def plan(self, instructions: str | None, tools: set[str]) -> Plan:
        """The next reply. instructions: of this response alone; tools: those that may be used in it."""
        if instructions is not None and (asked := self._asked_for(instructions)):
            return asked
        waiting, self._waiting = self._waiting, _Waiting()
        parts = waiting.notes[-1:] or ([THANKS] if waiting.held else [])
        parts += [result_told(tool.then, tool.failed, output) for tool, output in waiting.results]
        tool = None
        if waiting.heard:
            says, tool = self._answer(waiting.heard, tools)
            parts.append(says)
        elif not waiting.results:
            parts.append(self._unprompted(waiting))
        says = " ".join(part for part in parts if part)
        for guidance in waiting.guidance:
            says = _worked_in(guidance, says)
        self._begun = True
        return Plan(says, tool, waiting)

    def comment(self, content: str, tools: set[str]) -> Plan:
        """What it says of something that it may tell the caller: what it is asked to, or just that."""
        if asked := self._asked_for(content):
            return asked
        before = replace(self._waiting, guidance=[*self._waiting.guidance], notes=[*self._waiting.notes])
        self.read("system", content)
        if _YOUR_TURN.match(content) or self._waiting != before:
            return self.plan(None, tools)
        self._begun = True
        return Plan(content)

    def _asked_for(self, instructions: str) -> Plan | None:
        if exact := _EXACTLY.match(instructions):
            self._begun = True
            return Plan(exact[1])
        if told := _IN_OWN_WORDS.match(instructions):
            self._begun = True
            return Plan(f"{OF_COURSE} {told[1]}")
        return None

    def aside(self, instructions: str | None) -> Plan:
        """A reply beside the conversation, which stays as it is: what the caller wanted last."""
        exact = _EXACTLY.match(instructions or "")
        if exact:
            return Plan(exact[1])
        return Plan(f"The caller said: {self._last}" if self._last else "The caller has said nothing yet.")

    def _answer(self, heard: list[Heard], tools: set[str]) -> tuple[str, ToolUse | None]:
        """To the last words that it knows, else that it heard something."""
        reply = next((self._replies[one.line] for one in reversed(heard) if one.line in self._replies), None)
        if reply is None:
            self._unknown += 1
            return NOT_KNOWN[min(self._unknown, len(NOT_KNOWN)) - 1], None
        if reply.tool and reply.tool.name not in tools:
            return f"{reply.says} {reply.tool.without}".strip(), None
        return reply.says, reply.tool

    def _unprompted(self, waiting: _Waiting) -> str:
        if waiting.guidance:
            return ""
        if waiting.silent:
            return ARE_YOU_THERE
        if waiting.unsaid:
            return f"{WHERE_WAS_I} {waiting.unsaid}"
        return GO_ON if self._begun else HELLO


def unsaid(text: str, heard: float) -> str:
    """The whole sentences of a cut text of which the caller heard at most the beginning. heard: 0..1."""
    left: list[str] = []
    at = 0
    for sentence in sentences(text):
        at += len(sentence) + 1
        if at > heard * (len(text) + 1) + 1:
            left.append(sentence)
    return " ".join(left)


def _handed_back(news: str, said: str) -> str:
    """What to begin with after a colleague had the line. said: their words as last told, if the news has none."""
    found = _SAID_TO_CALLER.search(news)
    spoken = sentences(_NO_WORDS.sub("", found[1] if found else said))
    told = _COLLEAGUE_TOLD.search(news)
    if not spoken:
        return f"{THANKS} {_AS_COLLEAGUE_SAID.format(_closed(told[1])) if told else COLLEAGUE}"
    # The last thing that says something: a scrap of a word is not worth quoting.
    worth = [sentence for sentence in spoken if len(sentence.split()) >= _SHORTEST_QUOTE_WORDS] or spoken
    quote = _AS_COLLEAGUE_SAID.format(_closed(_shortened(worth[-1])))
    return f"{quote} {_point(told[1])}" if told else quote


def _shortened(sentence: str) -> str:
    """Its last clauses, as far as one can quote them on the telephone."""
    while len(sentence) > _LONGEST_QUOTE and ", " in sentence:
        sentence = sentence.split(", ", 1)[1]
    return sentence


def _worked_in(guidance: str, says: str) -> str:
    """The answer with the supervisor's point made after its first sentence."""
    first, *rest = sentences(says) or [""]
    return " ".join(part for part in (first, _point(guidance), *rest) if part)


def _point(guidance: str) -> str:
    """What one was told, as a sentence to the caller."""
    for pattern, spoken in _TOLD:
        if pattern.match(guidance):
            return _sentence(spoken + pattern.sub("", guidance))
    return _sentence(_MENTION + guidance)


def _sentence(text: str) -> str:
    return _closed(text[:1].upper() + text[1:])


def _closed(text: str) -> str:
    text = text.strip()
    return text + ("" if text.endswith((".", "!", "?")) else ".")
