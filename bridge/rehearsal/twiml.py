"""Reads TwiML as strictly as Twilio does: verbs in order, and what is wrong with the document.

Knows the verbs that the rehearsal performs; another verb of Twilio's is an error here that says so.
Twilio stops a call at a document that is no XML (12100) and goes on past what its schema does not
know (12200), leaving that out. Source: Twilio docs, "TwiML Voice" and the error dictionary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from xml.parsers import expat

LONGEST_PARAMETER_CHARS = 500
LONGEST_DOCUMENT_BYTES = 64 * 1024
CONTENT_TYPES = frozenset({"text/xml", "application/xml", "text/html"})


class Fault(NamedTuple):
    """One of Twilio's errors or warnings. code: its number; text: what was wrong, for people."""

    code: int
    text: str


class TwimlError(Exception):
    """The document cannot be used at all; Twilio ends the call."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.fault = Fault(code, text)


@dataclass(frozen=True)
class Verb:
    """One element: its name, attributes as written, stripped text and children."""

    name: str
    attributes: dict[str, str]
    text: str
    children: tuple[Verb, ...]

    def get(self, attribute: str, otherwise: str = "") -> str:
        """An attribute's value."""
        return self.attributes.get(attribute, otherwise)

    def number(self, attribute: str, otherwise: int) -> int:
        """An attribute as a whole number; ``otherwise`` where it is none (said by `read`)."""
        value = self.attributes.get(attribute, "")
        return int(value) if value.isascii() and value.isdigit() else otherwise


class _Rule(NamedTuple):
    attributes: frozenset[str]
    children: frozenset[str] = frozenset()
    text: bool = False
    required: frozenset[str] = frozenset()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CALLBACK = "statusCallback statusCallbackMethod"

_RULES = {
    "Response": _Rule(frozenset(), _words("Connect Say Play Pause Hangup Dial Redirect Reject")),
    "Connect": _Rule(_words("action method"), _words("Stream")),
    "Stream": _Rule(_words(f"url name track connectorName {_CALLBACK}"), _words("Parameter"), required=_words("url")),
    "Parameter": _Rule(_words("name value"), required=_words("name value")),
    "Say": _Rule(_words("voice loop language"), text=True),
    "Play": _Rule(_words("loop digits"), text=True),
    "Pause": _Rule(_words("length")),
    "Hangup": _Rule(frozenset()),
    "Dial": _Rule(
        _words(
            "action method timeout hangupOnStar timeLimit callerId record trim recordingStatusCallback"
            " recordingStatusCallbackMethod recordingStatusCallbackEvent recordingTrack answerOnBridge ringTone"
            " sequential referUrl referMethod events"
        ),
        _words("Number"),
        text=True,
    ),
    "Number": _Rule(_words(f"sendDigits url method statusCallbackEvent byoc {_CALLBACK}"), text=True),
    "Redirect": _Rule(_words("method"), text=True),
    "Reject": _Rule(_words("reason")),
}

_OTHER_VERBS = _words(
    "Conference Client Enqueue Gather Leave Pay Prompt Queue Record Recording Refer Sim Sip Siprec Start Stop"
    " Stream Transcription VirtualAgent ConversationRelay Assistant AiSession Application Room"
)

_CHOICES = {
    ("Reject", "reason"): _words("busy rejected"),
    ("Connect", "method"): _words("GET POST"),
    ("Dial", "method"): _words("GET POST"),
    ("Redirect", "method"): _words("GET POST"),
    ("Stream", "statusCallbackMethod"): _words("GET POST"),
}

_NUMBERS = {("Pause", "length"), ("Say", "loop"), ("Play", "loop"), ("Dial", "timeout"), ("Dial", "timeLimit")}


def check_content_type(content_type: str) -> None:
    """Raises TwimlError (12300) for what is no XML."""
    kind = content_type.split(";")[0].strip().lower()
    if kind not in CONTENT_TYPES:
        raise TwimlError(12300, f"Content-Type {kind or 'missing'} is not XML")


def read(document: str) -> tuple[tuple[Verb, ...], list[Fault]]:
    """The document's verbs, and what was left out of it and why. Raises TwimlError (12100)."""
    if len(document.encode("utf-8", "replace")) > LONGEST_DOCUMENT_BYTES:
        raise TwimlError(11750, "the document is larger than 64 kB")
    root = _parsed(document)
    if root.name != "Response":
        raise TwimlError(12100, f"the document's root is <{root.name}>, not <Response>")
    faults: list[Fault] = []
    checked = _checked(root, faults)
    return checked.children, faults


def _parsed(document: str) -> Verb:
    """The element tree, read by expat itself so that no entity is ever expanded."""
    stack: list[tuple[str, dict[str, str], list[str], list[Verb]]] = [("", {}, [], [])]

    def start(name: str, attributes: dict[str, str]) -> None:
        stack.append((name, attributes, [], []))

    def end(_: str) -> None:
        name, attributes, text, children = stack.pop()
        stack[-1][3].append(Verb(name, attributes, "".join(text).strip(), tuple(children)))

    def doctype(*_: object) -> None:
        raise TwimlError(12100, "a document type is not allowed")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = lambda text: stack[-1][2].append(text)
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, ValueError) as error:
        raise TwimlError(12100, f"not readable as XML: {error}") from None
    return stack[0][3][0]


def _checked(verb: Verb, faults: list[Fault]) -> Verb:
    rule = _RULES[verb.name]
    faults += [Fault(12200, f"<{verb.name}> has no attribute {a}") for a in verb.attributes if a not in rule.attributes]
    faults += [Fault(12200, f"<{verb.name}> needs {a}") for a in sorted(rule.required - verb.attributes.keys())]
    if verb.text and not rule.text:
        faults.append(Fault(12200, f"<{verb.name}> takes no text"))
    faults += _value_faults(verb)
    children = []
    for child in verb.children:
        if child.name not in rule.children:
            faults.append(Fault(12200, _misplaced(verb.name, child.name)))
            continue
        children.append(_checked(child, faults))
    if verb.name == "Connect" and len(children) != 1:
        faults.append(Fault(12200, f"<Connect> needs one <Stream>, not {len(children)}"))
    known = {name: value for name, value in verb.attributes.items() if name in rule.attributes}
    return Verb(verb.name, known, verb.text, tuple(children))


def _misplaced(parent: str, child: str) -> str:
    if child in _RULES:
        return f"<{child}> does not belong into <{parent}>"
    if child in _OTHER_VERBS:
        return f"<{child}> is Twilio's, but the rehearsal does not perform it"
    return f"<{child}> is unknown"


def _value_faults(verb: Verb) -> list[Fault]:
    faults = []
    for attribute, value in verb.attributes.items():
        choices = _CHOICES.get((verb.name, attribute))
        if choices and value not in choices:
            faults.append(Fault(12200, f"{attribute} of <{verb.name}> must be one of {', '.join(sorted(choices))}"))
        if (verb.name, attribute) in _NUMBERS and not (value.isascii() and value.isdigit()):
            faults.append(Fault(12200, f"{attribute} of <{verb.name}> must be a whole number"))
    if verb.name == "Stream" and verb.get("track", "inbound_track") != "inbound_track":
        faults.append(Fault(31941, "a two-way stream has the inbound_track only"))
    if verb.name == "Parameter" and len(verb.get("name") + verb.get("value")) >= LONGEST_PARAMETER_CHARS:
        faults.append(Fault(12200, "name and value of <Parameter> must be under 500 characters together"))
    return faults
