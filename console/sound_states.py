"""What a microphone or a loudspeaker that cannot be used is called, and what to do about it.

A trouble's title is for the sign of a call; its three sentences say what happened, what a call does
now, and what to do. They are the sources of translation, in the context `CONTEXT`.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication

from console.sound import MicState, SpeakerState

CONTEXT = "sound"

HEADSET_ADVICE = (
    "Use a headset: from a loudspeaker the caller's voice gets into your microphone, and callers hear themselves."
)


@dataclass(frozen=True)
class Trouble:
    """title: two or three words; the rest are sentences that stand by themselves."""

    title: str
    happened: str
    meanwhile: str
    remedy: str


SERVER_REMEDY = "Start PipeWire or PulseAudio: it is noticed by itself."
LOST_REMEDY = "See that PipeWire or PulseAudio runs, then start this window again."
LIBRARY_REMEDY = "Install libpulse (the package libpulse0), then start this window again."

MICROPHONE = {
    MicState.NONE: Trouble(
        "No microphone",
        "No microphone is plugged in.",
        "A caller you take over would hear silence, then the hold sound.",
        "Plug in a headset: it is noticed at once.",
    ),
    MicState.DENIED: Trouble(
        "Microphone not allowed",
        "The system does not let this program use the microphone.",
        "A caller would not hear you.",
        "Allow it in the system's settings, under privacy and microphone; then record again.",
    ),
    MicState.NO_SERVER: Trouble(
        "No sound server",
        "No sound server answers, so there is neither microphone nor loudspeaker.",
        "The calls go on.",
        SERVER_REMEDY,
    ),
    MicState.SERVER_LOST: Trouble(
        "Sound server lost",
        "The sound server stopped, so there is neither microphone nor loudspeaker.",
        "The calls go on.",
        LOST_REMEDY,
    ),
    MicState.NO_LIBRARY: Trouble(
        "No sound library",
        "The sound library cannot be loaded, so there is neither microphone nor loudspeaker.",
        "The calls go on.",
        LIBRARY_REMEDY,
    ),
    MicState.LOST: Trouble(
        "Microphone lost",
        "The microphone was unplugged or stopped giving sound.",
        "A caller does not hear you.",
        "Plug it in again or choose another; no other one is used by itself.",
    ),
}
"""Of states in which it cannot be used."""

LOUDSPEAKER = {
    SpeakerState.NONE: Trouble(
        "No loudspeaker",
        "No loudspeaker is plugged in.",
        "You do not hear a call.",
        "Plug in a headset: it is noticed at once.",
    ),
    SpeakerState.NO_SERVER: Trouble(
        "No sound server", "No sound server answers.", "You do not hear a call.", SERVER_REMEDY
    ),
    SpeakerState.SERVER_LOST: Trouble(
        "Sound server lost", "The sound server stopped.", "You do not hear a call.", LOST_REMEDY
    ),
    SpeakerState.NO_LIBRARY: Trouble(
        "No sound library", "The sound library cannot be loaded.", "You do not hear a call.", LIBRARY_REMEDY
    ),
    SpeakerState.LOST: Trouble(
        "Loudspeaker lost",
        "The loudspeaker was unplugged or stopped.",
        "You do not hear a call.",
        "Plug it in again or choose another, then play the test tone.",
    ),
}
"""The same of the loudspeaker."""

ABSENT_REMEDY = "No other one is used by itself. Plug it in again, or choose another."
ABSENT_MICROPHONE = Trouble(
    "No microphone",
    "The microphone you chose is not plugged in.",
    MICROPHONE[MicState.NONE].meanwhile,
    ABSENT_REMEDY,
)
ABSENT_LOUDSPEAKER = Trouble(
    "No loudspeaker", "The loudspeaker you chose is not plugged in.", "You do not hear a call.", ABSENT_REMEDY
)


def translated(words: str) -> str:
    """One of a trouble's texts, in the person's language."""
    return QCoreApplication.translate(CONTEXT, words)


def microphone_trouble(state: MicState, others: bool = False) -> str:
    """Why the microphone cannot be used, "" where it can. others: the chosen one is absent, but there are others."""
    return _in_full(ABSENT_MICROPHONE if others and state is MicState.NONE else MICROPHONE.get(state))


def loudspeaker_trouble(state: SpeakerState, others: bool = False) -> str:
    """The same of the loudspeaker."""
    return _in_full(ABSENT_LOUDSPEAKER if others and state is SpeakerState.NONE else LOUDSPEAKER.get(state))


def _in_full(trouble: Trouble | None) -> str:
    if trouble is None:
        return ""
    return " ".join(translated(words) for words in (trouble.happened, trouble.meanwhile, trouble.remedy))
