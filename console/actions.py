"""What an operator can do, as rows of one table. Pure.

Buttons, menus, shortcuts, tooltips and the shortcut sheet are all made from `ACTIONS`; nothing
else in the console names a key. Whether a verb may be used now is the bridge's decision
(`CallView.allowed`); `face` only says how a row looks for a given call. The texts are the
sources of translation, in the context `CONTEXT`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bridge.control import CallView, Floor, Phase, Verb
from console.names import operator_word, told

CONTEXT = "actions"
"""Translation context of every text in this module."""


class Menu(StrEnum):
    """The menus, in their order."""

    DESK = "Desk"
    CALL = "Call"
    VIEW = "View"
    HELP = "Help"


class Role(StrEnum):
    """How weighty a button looks."""

    PLAIN = "plain"
    PRIMARY = "primary"
    DANGER = "danger"


@dataclass(frozen=True)
class Look:
    """One of the two faces of an action: its words, and the verb behind them if it is one."""

    title: str
    tooltip: str
    verb: Verb | None = None


@dataclass(frozen=True)
class Action:
    """One row.

    key: works when no text field has the focus; ctrl_key: works everywhere (both in Qt's portable
    form, "" for none). other: the face while the call is in the state that this verb leads to.
    text_mode: the verb needs words, so its key goes to the text line. button: shown among the
    verbs below the line. needs_call: no verb of the bridge's, but nothing without a call. repeats:
    a held key does it again and again; a verb on a held key must not go to and fro.
    """

    name: str
    menu: Menu
    look: Look
    key: str = ""
    ctrl_key: str = ""
    other: Look | None = None
    role: Role = Role.PLAIN
    text_mode: bool = False
    button: bool = False
    needs_call: bool = False
    repeats: bool = False

    @property
    def verbs(self) -> tuple[Verb, ...]:
        """The verbs this row stands for: none, one, or the two of a toggle."""
        looks = (self.look, self.other)
        return tuple(look.verb for look in looks if look is not None and look.verb is not None)


@dataclass(frozen=True)
class Face:
    """How an action looks now. why_not: the sentence that explains a disabled one."""

    title: str
    tooltip: str
    verb: Verb | None
    enabled: bool
    why_not: str = ""
    is_other: bool = False


@dataclass(frozen=True)
class Own:
    """What this window's own microphone and loudspeaker do.

    listening_to: call_id, "" for none. queue: call_ids to be listened to next. has_floor_of: the
    call that this window speaks to, "" for none. muted: it has a floor but sends nothing.
    """

    listening_to: str = ""
    queue: tuple[str, ...] = ()
    has_floor_of: str = ""
    muted: bool = False


NOTHING = Own()

ACTIONS: tuple[Action, ...] = (
    Action(
        name="take_over",
        menu=Menu.CALL,
        key="T",
        ctrl_key="Ctrl+T",
        look=Look(
            "Take over",
            "You get the floor: the AI falls silent at once and keeps listening, and your microphone opens.",
            Verb.TAKE_OVER,
        ),
        other=Look("Hand back", "The AI goes on and is told what was said, and your note.", Verb.HAND_BACK),
        role=Role.PRIMARY,
        button=True,
    ),
    Action(
        name="hand_back_now",
        menu=Menu.CALL,
        key="Shift+T",
        ctrl_key="Ctrl+Shift+T",
        look=Look("Hand back now", "The AI goes on at once and is told what was said; without a note."),
        needs_call=True,
    ),
    Action(
        name="mute_microphone",
        menu=Menu.CALL,
        key="Shift+M",
        ctrl_key="Ctrl+Shift+M",
        look=Look("Mute microphone", "You keep the floor, and the caller hears nothing from you."),
        other=Look("Unmute microphone", "The caller hears you again."),
    ),
    Action(
        name="listen",
        menu=Menu.CALL,
        key="L",
        ctrl_key="Ctrl+L",
        look=Look("Listen", "Hear both sides of this call. Nobody on the line notices."),
        other=Look("Stop listening", "The call goes on without you."),
        button=True,
        needs_call=True,
    ),
    Action(
        name="listen_next",
        menu=Menu.CALL,
        key="Shift+L",
        ctrl_key="Ctrl+Shift+L",
        look=Look("Listen next", "Hear this call when the one you listen to has ended."),
        other=Look("Do not listen next", "Take this call out of the ones you will listen to."),
        needs_call=True,
    ),
    Action(
        name="interrupt",
        menu=Menu.CALL,
        key="Space",
        ctrl_key="Ctrl+Space",
        look=Look("Interrupt", "The AI stops at once and waits for the caller.", Verb.INTERRUPT),
        button=True,
    ),
    Action(
        name="mute_ai",
        menu=Menu.CALL,
        key="M",
        ctrl_key="Ctrl+M",
        look=Look("Mute AI", "The AI falls silent but still listens and transcribes; the call stays up.", Verb.MUTE_AI),
        other=Look("Unmute AI", "The AI may answer again.", Verb.MUTE_AI),
        button=True,
    ),
    Action(
        name="hold",
        menu=Menu.CALL,
        key="H",
        ctrl_key="Ctrl+H",
        look=Look("Hold", "The caller hears a pleasant sound and that it goes on; the AI is silent.", Verb.HOLD),
        other=Look("End hold", "Whoever had the floor before goes on.", Verb.UNHOLD),
        button=True,
    ),
    Action(
        name="privacy",
        menu=Menu.CALL,
        key="V",
        ctrl_key="Ctrl+Shift+V",
        look=Look(
            "Privacy",
            "Recording, transcript and history pause, and the AI hears nothing, until you press it again.",
            Verb.PRIVACY,
        ),
        other=Look("End privacy", "Record, write down and let the AI hear again.", Verb.PRIVACY),
        button=True,
    ),
    Action(
        name="keys",
        menu=Menu.CALL,
        key="P",
        ctrl_key="Ctrl+P",
        look=Look("Keypad", "Send keypad tones to the other side: 0-9, * and #. The AI is told.", Verb.KEYS),
        button=True,
    ),
    Action(
        name="swap",
        menu=Menu.CALL,
        key="G",
        ctrl_key="Ctrl+G",
        look=Look(
            "Swap engine",
            "Choose another engine to go on with this call. It is told what was said; the caller hears nothing of it.",
            Verb.SWAP,
        ),
    ),
    Action(
        name="hang_up",
        menu=Menu.CALL,
        key="Shift+Esc",
        look=Look("Hang up", "Ends the line. Shown as ending until the telephone company confirms it.", Verb.HANG_UP),
        role=Role.DANGER,
        button=True,
    ),
    Action(
        name="whisper",
        menu=Menu.CALL,
        key="W",
        ctrl_key="Ctrl+W",
        look=Look("Whisper", "Tell the AI something the caller will not hear, for its next turn.", Verb.WHISPER),
        text_mode=True,
    ),
    Action(
        name="ask",
        menu=Menu.CALL,
        key="K",
        ctrl_key="Ctrl+K",
        look=Look("Ask", "Have the AI say it in its own words. Shift+Enter cuts into its running reply.", Verb.ASK),
        text_mode=True,
    ),
    Action(
        name="say",
        menu=Menu.CALL,
        key="S",
        ctrl_key="Ctrl+S",
        look=Look("Say", "Have exactly these words spoken to the caller.", Verb.SAY),
        text_mode=True,
    ),
    Action(
        name="previous_call",
        menu=Menu.DESK,
        ctrl_key="F7",
        look=Look("Previous call", "Select the call above, also while typing."),
        repeats=True,
    ),
    Action(
        name="next_call",
        menu=Menu.DESK,
        ctrl_key="F8",
        look=Look("Next call", "Select the call below, also while typing."),
        repeats=True,
    ),
    Action(
        name="filter",
        menu=Menu.DESK,
        key="/",
        ctrl_key="Ctrl+F",
        look=Look("Filter calls", "Show only calls with these words in their number, place, profile or transcript."),
    ),
    Action(
        name="rehearse",
        menu=Menu.DESK,
        key="R",
        ctrl_key="Ctrl+R",
        look=Look("Rehearsal call", "The simulated telephone company places another call. Nobody is billed."),
    ),
    Action(
        name="quit",
        menu=Menu.DESK,
        ctrl_key="Ctrl+Q",
        look=Look("Quit", "Close the window. You are asked first if calls are up."),
    ),
    Action(
        name="details",
        menu=Menu.VIEW,
        ctrl_key="F9",
        look=Look("This call", "Show or hide the column on the right."),
    ),
    Action(
        name="sound",
        menu=Menu.VIEW,
        ctrl_key="F10",
        look=Look("Sound devices", "Choose microphone and loudspeaker, and try them."),
    ),
    Action(
        name="messages",
        menu=Menu.VIEW,
        ctrl_key="F12",
        look=Look("Raw messages", "Show or hide what goes over the wire for the selected call."),
    ),
    Action(
        name="shortcuts",
        menu=Menu.HELP,
        key="?",
        ctrl_key="F1",
        look=Look("Shortcuts", "All keys on one sheet."),
    ),
    Action(
        name="real_line",
        menu=Menu.HELP,
        look=Look("Connect a real line", "What is needed to answer real calls."),
    ),
    Action(
        name="about",
        menu=Menu.HELP,
        look=Look("About Cordboard", "Version, and where calls are kept."),
    ),
)

LINE_KEYS: tuple[tuple[str, str], ...] = (
    ("Return", "Send what is in the text line"),
    ("Shift+Return", "Ask, cutting into the AI's running reply"),
    ("Esc", "Leave the text line; what you wrote stays with its call"),
)
"""Keys of the text line itself, for the sheet."""

HELD_KEYS: tuple[tuple[str, str, str], ...] = (
    ("T", "Speak", "With push-to-talk, while you have the floor: the caller hears you as long as the key is held"),
    ("0", "Keypad tones", "With the keypad open: 0-9, * and #; a longer number can be pasted with Ctrl+V"),
)
"""What keys do besides, for the sheet: key, name, words."""

NO_CALL = "No call is selected."
BRIDGE_LOST = "The link to the bridge is lost; the call goes on without this window. It re-attaches by itself."
HELD_BY_OTHER = "{holder} has the floor; only they can hand it back."
ASK_THEM = "{holder} has this call in hand. Ask them, or wait."
HOLDERS_ONLY = (Verb.TAKE_OVER, Verb.HOLD, Verb.UNHOLD, Verb.SAY, Verb.KEYS)
"""What only the console may do that has the floor, or put the caller on hold."""

NOT_NOW = "Not possible now."
NO_OTHER_ENGINE = "This call's profile names no other engine."
NOTHING_TO_HEAR = "The call has ended, so there is nothing to hear."
NO_FLOOR = "You have no call's floor, so your microphone is closed already."

BY_NAME: dict[str, Action] = {action.name: action for action in ACTIONS}
BY_VERB: dict[Verb, Action] = {verb: action for action in ACTIONS for verb in action.verbs}
TEXT_MODES: tuple[Action, ...] = tuple(action for action in ACTIONS if action.text_mode)
BUTTONS: tuple[Action, ...] = tuple(action for action in ACTIONS if action.button)


def is_other(action: Action, call: CallView | None, own: Own = NOTHING) -> bool:
    """Whether a toggle's second face is the one to show."""
    if action.name == "mute_microphone":
        return own.muted
    if call is None:
        return False
    match action.name:
        case "take_over":
            return call.floor is Floor.OPERATOR
        case "mute_ai":
            return call.ai_muted
        case "hold":
            return call.floor is Floor.HOLD
        case "privacy":
            return call.private
        case "listen":
            return own.listening_to == call.call_id
        case "listen_next":
            return call.call_id in own.queue
        case _:
            return False


def face(action: Action, call: CallView | None, me: str = "", lost: bool = False, own: Own = NOTHING) -> Face:
    """How a row looks for the selected call.

    me: this console's name, for the floor. lost: the link to the bridge is down, so no verb can
    be used. own: this window's own sound.
    """
    other = is_other(action, call, own)
    look = action.other if other and action.other is not None else action.look
    match action.name:
        case "hand_back_now":
            why = _why_not(Verb.HAND_BACK, call, me, lost)
        case "mute_microphone":
            why = "" if own.has_floor_of else NO_FLOOR
        case "listen" | "listen_next" if call is not None and call.phase is Phase.ENDED and not other:
            why = NOTHING_TO_HEAR
        case _ if look.verb is not None:
            why = _why_not(look.verb, call, me, lost)
        case _:
            why = NO_CALL if action.needs_call and call is None else ""
    return Face(look.title, look.tooltip, look.verb, not why, why, other)


def _why_not(verb: Verb, call: CallView | None, me: str, lost: bool) -> str:
    if call is None:
        return NO_CALL
    if lost:
        return BRIDGE_LOST
    if verb not in call.allowed:
        return told(call.why_not.get(verb, NOT_NOW), me)
    if verb is Verb.SWAP and not call.engines:
        return NO_OTHER_ENGINE
    if call.floor_holder not in ("", me):
        holder = operator_word(call.floor_holder, me)
        if verb is Verb.HAND_BACK:
            return HELD_BY_OTHER.format(holder=holder)
        if verb in HOLDERS_ONLY:
            return ASK_THEM.format(holder=holder)
    return ""
