"""What to call whoever sits at a console: "You", or their plain name. Pure.

A console's own name is "maria (window 4711)" (`settings.console_name`): two windows must differ,
but a person reads the number only as noise. The bridge's sentences about an operator begin with
that name.
"""

from __future__ import annotations

import re

YOU = "You"
_NAME = re.compile(r"(?P<who>[^():]{1,80}) \(window \d+\)")


def _plain(name: str) -> str:
    match = _NAME.fullmatch(name)
    return match["who"] if match else name


def operator_word(holder: str, ours: str) -> str:
    """What to call the desk's side of a call whose floor ``holder`` has, at the console named ``ours``."""
    if not holder or holder == ours:
        return YOU
    who = _plain(holder)
    return "Your other window" if who == _plain(ours) else who


def told(sentence: str, ours: str) -> str:
    """A sentence of the bridge that may begin with a console's name, as the console named ``ours`` says it."""
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
