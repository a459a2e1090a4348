"""What to call whoever sits at a console ("You", or their plain name), and engines and vendors. Pure.

A console's own name is "maria (window 4711)" (`settings.console_name`): two windows must differ,
but a person reads the number only as noise. The bridge's sentences about an operator begin with
that name; those about an engine end with the engine's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from bridge.control import CallView, Floor, Phase
from console.telephone import spaced

YOU = "You"
_NAME = re.compile(r"(?P<who>[^():]{1,80}) \(window \d+\)")
_ENGINE = re.compile(r"(?P<before>(?:engine|called): |(?:goes on|stays) with )(?P<engine>[a-z-]+)(?=\.?$)")

_NUMBER = re.compile(r"\+\d{7,15}\b")

PIN = "pin"
KEYPAD = "keypad"
WITHOUT_AI = (PIN, KEYPAD)
ENGINES = {
    "openai": "OpenAI Realtime",
    "gpt-live": "GPT-Live",
    "cascade": "Cascade",
    KEYPAD: "Keypad menu",
    PIN: "Caller enters a PIN",
}
"""The bridge's engines as people call them."""

VENDORS = {
    **ENGINES,
    "openai": "OpenAI",
    "chat": "Chat model",
    "deepgram": "Deepgram",
    "elevenlabs": "ElevenLabs",
    PIN: "PIN",
}


def _plain(name: str) -> str:
    match = _NAME.fullmatch(name)
    return match["who"] if match else name


def operator_word(holder: str, ours: str) -> str:
    """What to call the desk's side of a call whose floor ``holder`` has, at the console named ``ours``."""
    if not holder or holder == ours:
        return YOU
    who = _plain(holder)
    return "Your other window" if who == _plain(ours) else who


def engine_word(engine: str) -> str:
    """What to call an engine; one that is not known keeps its name."""
    return ENGINES.get(engine, engine)


def vendor_word(vendor: str, step: str = "") -> str:
    """What to call whoever takes time and money; the whole answer is an engine's, its steps are vendors'."""
    return engine_word(vendor) if step == "answer" else VENDORS.get(vendor, vendor)


def speaker_word(engine: str) -> str:
    """What to call the voice of an engine: a menu's own name, for it is no AI."""
    return VENDORS[engine] if engine in WITHOUT_AI else "AI"


def silent_word(engine: str) -> str:
    """The same inside a sentence, of whoever is silent while a person speaks."""
    return "the keypad menu" if engine in WITHOUT_AI else "the AI"


def dearest_first(costs_usd: Mapping[str, float]) -> list[tuple[str, float]]:
    """What each vendor cost; a menu, which costs nothing, is none."""
    costs = sorted(costs_usd.items(), key=lambda cost: -cost[1])
    return [(vendor, usd) for vendor, usd in costs if usd or vendor not in WITHOUT_AI]


def money(usd: float) -> str:
    """An amount: "$0.27", below a cent "< $0.01"."""
    return "< $0.01" if 0 < usd < 0.01 else f"${usd:,.2f}"


def activity(view: CallView, ours: str) -> str:
    """What happens in a call now, as the console named ``ours`` says it."""
    if view.engine == PIN and view.phase is Phase.LIVE and view.floor is Floor.AI:
        return ENGINES[PIN]
    said = told(view.activity, ours)
    return ENGINES[KEYPAD] + said.removeprefix("AI") if view.engine == KEYPAD and said.startswith("AI ") else said


def is_rung(view: CallView) -> bool:
    """Whether no AI is left and operators are asked to take a call over."""
    return view.phase is Phase.LIVE and view.floor is Floor.HOLD and not view.floor_holder and not view.engine


def told(sentence: str, ours: str) -> str:
    """A sentence of the bridge that may name a console first or an engine last, as the console ``ours`` says it.

    Telephone numbers in it are grouped as they are everywhere else.
    """
    sentence = _NUMBER.sub(lambda found: spaced(found.group()), sentence)
    sentence = _ENGINE.sub(lambda found: found["before"] + engine_word(found["engine"]), sentence)
    match = _NAME.match(sentence)
    name = match.group() if match else ours if ours and sentence.startswith(f"{ours} ") else ""
    if not name:
        return sentence
    rest = sentence[len(name) :]
    word = operator_word(name, ours)
    if word == YOU:
        # Of itself a window reads what it lived through; "you was lost" is not English either.
        word = "This window" if rest.startswith(" was ") else YOU
        rest = re.sub(r"^( already)? has\b", r"\1 have", rest)
    return word + rest
