"""The rehearsal AI's voice: any text as telephone audio, with the moment of each word.

A sentence is taken from the rendered clips; one that nobody rendered is spoken by the system's
speech program; where there is none, it is babbled for as long as it takes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from bridge.audio import silence
from bridge.engines.speech import VoiceFailed
from bridge.engines.speech.local_voice import LocalVoice
from bridge.engines.speech.pcm_stream import PcmStream
from bridge.engines.speech.sound import without_silence
from bridge.engines.speech.workshop import Workshop
from bridge.rehearsal.clips import AI_VOICE, shipped
from bridge.rehearsal.speech import LONGEST_PAUSE_MS, SENTENCE_PAUSE_MS, babble, sentences, word_starts

log = logging.getLogger("cordboard.rehearsal")

PATIENCE_S = 4.0
"""Longest a speech program may take for a sentence before it is babbled."""

_CACHED_SENTENCES = 200

_VOICES = {"flite": AI_VOICE, "espeak-ng": "en-us+f3"}


@dataclass(frozen=True)
class Spoken:
    """mu-law 8 kHz, and each word (with the space before it) with the byte at which it begins."""

    audio: bytes
    words: list[tuple[str, int]]


class Voice:
    """One voice for all sessions. path: where programs are looked for, None for the system's PATH."""

    def __init__(self, path: str | None = None, patience_s: float = PATIENCE_S) -> None:
        self._workshop = Workshop()
        self._program = LocalVoice(_VOICES, path=path, limit_s=patience_s, workshop=self._workshop)
        self._cache: dict[str, bytes] = {}

    async def speak(self, text: str) -> Spoken:
        """The text as audio. Never fails: at worst it babbles."""
        audio = bytearray()
        words: list[tuple[str, int]] = []
        for sentence in sentences(text):
            if audio:
                audio += silence(SENTENCE_PAUSE_MS)
            sound = await self._sentence(sentence, or_babble=True)
            space = " " if words else ""
            words += [((space if not at else "") + w, len(audio) + at) for w, at in word_starts(sentence, len(sound))]
            audio += sound
        return Spoken(bytes(audio), words)

    async def really_speak(self, text: str) -> bytes:
        """The text as audio. Raises VoiceFailed where it could only babble."""
        sounds = [await self._sentence(sentence, or_babble=False) for sentence in sentences(text)]
        return silence(SENTENCE_PAUSE_MS).join(sounds)

    async def telephoned(self, pcm: bytes) -> bytes:
        """16-bit samples at 24 kHz as mu-law, as long as they were."""

        def work() -> bytes:
            stream = PcmStream()
            return b"".join((*stream.take(pcm), stream.end()))

        return await self._workshop.do(work)

    def close(self) -> None:
        """Ends the worker; what it is at takes well below a second."""
        self._workshop.shut()

    async def _sentence(self, sentence: str, *, or_babble: bool) -> bytes:
        known = shipped().get(AI_VOICE, sentence) or self._cache.get(sentence)
        if known:
            return known
        try:
            sound = without_silence(await self._program.speak(sentence), LONGEST_PAUSE_MS)
        except VoiceFailed as error:
            if not or_babble:
                raise
            log.info("a sentence is babbled: %s", error)
            return await self._workshop.do(lambda: babble(sentence))
        if len(self._cache) >= _CACHED_SENTENCES:
            del self._cache[next(iter(self._cache))]
        self._cache[sentence] = sound
        return sound
