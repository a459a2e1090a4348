"""Words that were spoken ahead, so that they come at once and need neither network nor program."""

from __future__ import annotations

import logging

import msgspec

from bridge.audio import silence
from bridge.rehearsal.clips import AI_VOICE, shipped
from bridge.rehearsal.speech import SENTENCE_PAUSE_MS, sentences

_log = logging.getLogger("cordboard.engines.speech")


def recorded(text: str) -> bytes | None:
    """The text as mu-law, 8 kHz, from the clips that ship; None when one of its sentences is not among them."""
    try:
        clips = shipped()
    except (OSError, msgspec.DecodeError) as error:
        _log.warning("the recorded voices cannot be read (%s)", type(error).__name__)
        return None
    sounds = [clips.get(AI_VOICE, sentence) for sentence in sentences(text)]
    known = [sound for sound in sounds if sound]
    return silence(SENTENCE_PAUSE_MS).join(known) if known and len(known) == len(sounds) else None
