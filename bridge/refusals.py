"""Why an operator's verb cannot be done now, in a sentence that says what to do instead. Pure.

One rule for both sides: a console greys what would be refused and shows the same sentence (`CallView.why_not`).
"""

from __future__ import annotations

from bridge.control import Floor, Phase, Verb

NOT_LIVE = {
    Phase.RINGING: "The call is still ringing. Wait until it is answered.",
    Phase.CONNECTING: "The AI is still connecting. Wait a moment.",
    Phase.ENDING: "The call is ending.",
    Phase.ENDED: "The call has ended.",
}

RUNG = "No AI can be had, and the caller is on hold. Take over, let another engine go on, or hang up."


def why_not(verb: Verb, *, phase: Phase, floor: Floor, holder: str, ai_gone: bool, console: str = "") -> str:
    """The sentence a verb is refused with, "" when it is allowed.

    phase, floor: the call's. holder: the console that has the floor or put the caller on hold, else "".
    ai_gone: whether no engine can be had. console: whose operator asks, "" for whoever holds the floor.
    """
    if verb is Verb.HANG_UP:
        return NOT_LIVE[phase] if phase in (Phase.ENDING, Phase.ENDED) else ""
    if phase is not Phase.LIVE:
        return NOT_LIVE[phase]
    if verb in (Verb.PRIVACY, Verb.SWAP):
        return ""
    if floor is Floor.OPERATOR or (floor is Floor.HOLD and holder):
        return _by_person(verb, floor, holder, ai_gone, console)
    if floor is Floor.HOLD:
        return "" if verb is Verb.TAKE_OVER else RUNG
    if verb is Verb.HAND_BACK:
        return "The AI was not taken over."
    if verb is Verb.UNHOLD:
        return "The caller is not on hold."
    if floor is Floor.NOBODY and verb is Verb.ASK:
        return "The AI is muted. Unmute it first."
    return ""


def _by_person(verb: Verb, floor: Floor, holder: str, ai_gone: bool, console: str) -> str:
    """While an operator has the floor, or has put the caller on hold."""
    on_hold = floor is Floor.HOLD
    holds = f"{holder} put the caller on hold" if on_hold else f"{holder} has the floor"
    is_other = bool(console) and console != holder
    match verb:
        case Verb.WHISPER:
            return "The AI is gone; nobody would read it." if ai_gone else ""
        case Verb.TAKE_OVER if not on_hold:
            return f"{holder} already has the floor."
        case Verb.HAND_BACK if is_other:
            return f"{holds}; only they can hand it back."
        case Verb.HAND_BACK if ai_gone:
            return "The AI is gone. Finish the call yourself, or hang up."
        case Verb.HOLD if on_hold:
            return "The caller is on hold already."
        case Verb.UNHOLD if not on_hold:
            return "The caller is not on hold."
        case Verb.TAKE_OVER | Verb.HAND_BACK | Verb.HOLD | Verb.UNHOLD:
            return f"{holds}. Ask them, or wait." if is_other else ""
        case Verb.SAY | Verb.KEYS if not on_hold:
            return f"{holds}. Ask them, or wait." if is_other else ""
    if on_hold:
        return "The caller is on hold. Take them off hold first."
    return f"{holds}, so the AI is silent. Hand back first."
