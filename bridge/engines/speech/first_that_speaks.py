"""Several voices as one: the next one speaks where one cannot."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from bridge.engines.speech import LIMIT_S, Voice, VoiceFailed
from bridge.engines.speech.collected import Collected
from bridge.engines.speech.deepgram_voice import DeepgramVoice
from bridge.engines.speech.elevenlabs_voice import ElevenLabsVoice
from bridge.engines.speech.local_voice import LocalVoice
from bridge.engines.speech.openai_voice import OpenAIVoice
from bridge.engines.speech.realtime_voice import RealtimeVoice
from bridge.settings import Settings

FIRST_SHARE = 0.6
"""How much of the time that is left a voice may take while others wait behind it."""

_log = logging.getLogger("cordboard.engines.speech")


def open_voice(settings: Settings) -> Voice:
    """What speaks operators' written words: `Settings.say_voices`, but those of vendors to whom there is no key.

    Raises SettingsError when OpenAI's address is none.
    """
    key, base_url, openai_voice = settings.openai_api_key, settings.openai_base_url, settings.openai_speech_voice
    made: list[Voice] = []
    for name in settings.say_voices:
        if name == "local":
            made.append(LocalVoice())
        elif name == "elevenlabs" and settings.elevenlabs_api_key:
            live = ElevenLabsVoice(api_key=settings.elevenlabs_api_key, base_url=settings.elevenlabs_url)
            made.append(Collected(live))
        elif name == "deepgram" and settings.deepgram_api_key:
            made.append(Collected(DeepgramVoice(api_key=settings.deepgram_api_key, base_url=settings.deepgram_url)))
        elif name == "openai" and key:
            model = settings.openai_speech_model
            made.append(OpenAIVoice(api_key=key, base_url=base_url, model=model, voice=openai_voice))
        elif name == "realtime" and key:
            made.append(Collected(RealtimeVoice(api_key=key, base_url=base_url, voice=openai_voice)))
    return FirstThatSpeaks(made)


class FirstThatSpeaks:
    """Tries the voices in their order; one that fails, or takes too long, is passed over. See `Voice`."""

    def __init__(self, voices: Sequence[Voice], limit_s: float = LIMIT_S) -> None:
        self._voices = tuple(voices)
        self._limit_s = limit_s

    async def speak(self, text: str) -> bytes:
        """See `Voice.speak`; what the last voice said of it is raised when none can."""
        if not self._voices:
            raise VoiceFailed("No voice is set up: each but CORDBOARD_SAY=local needs its vendor's key.")
        left_s = self._limit_s
        loop = asyncio.get_running_loop()
        last = self._voices[-1]
        for voice in self._voices[:-1]:
            began_s = loop.time()
            try:
                async with asyncio.timeout(FIRST_SHARE * left_s):
                    return await voice.speak(text)
            except VoiceFailed as error:
                _log.warning("another voice speaks: %s", error)
            except TimeoutError:
                _log.warning("another voice speaks: the first was too slow")
            left_s -= loop.time() - began_s
        try:
            async with asyncio.timeout(left_s):
                return await last.speak(text)
        except TimeoutError as error:
            raise VoiceFailed("No voice spoke in time: say less at once.") from error

    async def close(self) -> None:
        """See `Voice.close`."""
        for voice in self._voices:
            await voice.close()
