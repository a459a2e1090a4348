"""What a microphone or a loudspeaker that cannot be used is called, and what to do about it.

Each sentence stands by itself: what happened, what a call does now, what to do. They are the sources of
translation, in the context `CONTEXT`.
"""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from console.sound import MicState, SpeakerState

CONTEXT = "sound"

HEADSET_ADVICE = (
    "Use a headset: from a loudspeaker the caller's voice gets into your microphone, and callers hear themselves."
)

ABSENT_MICROPHONE = (
    "The microphone you chose is not plugged in. No other one is used by itself. Plug it in again, or choose another."
)
ABSENT_LOUDSPEAKER = (
    "The loudspeaker you chose is not plugged in. No other one is used by itself. Plug it in again, or choose another."
)

MICROPHONE = {
    MicState.NONE: "No microphone is plugged in. A caller you take over would hear silence, then the hold sound. "
    "Plug in a headset: it is noticed at once.",
    MicState.DENIED: "The system does not let this program use the microphone, so a caller would not hear you. "
    "Allow it in the system's settings, under privacy and microphone; then record again.",
    MicState.NO_SERVER: "No sound server answers, so you can neither speak nor hear. The calls go on. "
    "Start PipeWire or PulseAudio: it is noticed by itself.",
    MicState.NO_LIBRARY: "The sound library cannot be loaded, so you can neither speak nor hear. The calls go on. "
    "Install libpulse (the package libpulse0), then start this window again.",
    MicState.LOST: "The microphone was unplugged or stopped giving sound, so a caller does not hear you. "
    "Plug it in again or choose another; no other one is used by itself.",
}
"""Of states in which it cannot be used."""

LOUDSPEAKER = {
    SpeakerState.NONE: "No loudspeaker is plugged in, so you do not hear a call. "
    "Plug in a headset: it is noticed at once.",
    SpeakerState.NO_SERVER: "No sound server answers, so you do not hear a call. "
    "Start PipeWire or PulseAudio: it is noticed by itself.",
    SpeakerState.NO_LIBRARY: "The sound library cannot be loaded, so you do not hear a call. "
    "Install libpulse (the package libpulse0), then start this window again.",
    SpeakerState.LOST: "The loudspeaker was unplugged or stopped, so you do not hear a call. "
    "Plug it in again or choose another, then play the test tone.",
}
"""The same of the loudspeaker."""


def microphone_trouble(state: MicState, others: bool = False) -> str:
    """Why the microphone cannot be used, "" where it can. others: the chosen one is absent, but there are others."""
    words = ABSENT_MICROPHONE if others and state is MicState.NONE else MICROPHONE.get(state, "")
    return QCoreApplication.translate(CONTEXT, words) if words else ""


def loudspeaker_trouble(state: SpeakerState, others: bool = False) -> str:
    """The same of the loudspeaker."""
    words = ABSENT_LOUDSPEAKER if others and state is SpeakerState.NONE else LOUDSPEAKER.get(state, "")
    return QCoreApplication.translate(CONTEXT, words) if words else ""
