"""What is said of sound that does not work: what happened, and what to do. Sources of translation in `CONTEXT`."""

from __future__ import annotations

from dataclasses import dataclass

from console.sound import MicState, SpeakerState

CONTEXT = "sound"
"""Translation context of every text in this module."""


@dataclass(frozen=True)
class Trouble:
    """title: two or three words. happened: a sentence. remedy: what a person can do about it."""

    title: str
    happened: str
    remedy: str


NO_SERVER_REMEDY = "Start PipeWire or PulseAudio; it is found by itself as soon as it runs."
NO_LIBRARY_REMEDY = "Install the system package libpulse0 (or pulseaudio-libs) and open this window again."

MIC_TROUBLES: dict[MicState, Trouble] = {
    MicState.LOST: Trouble(
        "Microphone lost",
        "The microphone was unplugged or stopped.",
        "Plug it in again, or choose another one.",
    ),
    MicState.NONE: Trouble(
        "No microphone",
        "The chosen microphone is not there, or this computer has none.",
        "Plug one in, or choose another one.",
    ),
    MicState.DENIED: Trouble(
        "Microphone not allowed",
        "The system does not let this program use the microphone.",
        "Allow it in the system's privacy settings, then try again.",
    ),
    MicState.NO_SERVER: Trouble(
        "No sound server",
        "No sound server answers on this computer, so there is no microphone.",
        NO_SERVER_REMEDY,
    ),
    MicState.NO_LIBRARY: Trouble(
        "No sound library",
        "The library for sound is missing on this computer, so there is no microphone.",
        NO_LIBRARY_REMEDY,
    ),
}

SPEAKER_TROUBLES: dict[SpeakerState, Trouble] = {
    SpeakerState.LOST: Trouble(
        "Loudspeaker lost",
        "The loudspeaker was unplugged or stopped; you hear nothing.",
        "Plug it in again, or choose another one.",
    ),
    SpeakerState.NONE: Trouble(
        "No loudspeaker",
        "The chosen loudspeaker is not there, or this computer has none; you hear nothing.",
        "Plug one in, or choose another one.",
    ),
    SpeakerState.NO_SERVER: Trouble(
        "No sound server",
        "No sound server answers on this computer; you hear nothing.",
        NO_SERVER_REMEDY,
    ),
    SpeakerState.NO_LIBRARY: Trouble(
        "No sound library",
        "The library for sound is missing on this computer; you hear nothing.",
        NO_LIBRARY_REMEDY,
    ),
}
