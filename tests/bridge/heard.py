"""A sentence's sound as a live voice's wire hands it on; see `voice_wire.Sound`."""

from __future__ import annotations

from bridge.engines.speech import VoiceFailed


class Heard:
    """What a sentence's listener was given."""

    def __init__(self) -> None:
        self.begun = False
        self.mulaw = b""
        self.over = False
        self.failure: VoiceFailed | None = None

    def give(self, mulaw: bytes) -> None:
        self.begun = True
        self.mulaw += mulaw

    def end(self, failure: VoiceFailed | None = None) -> None:
        self.over, self.failure = True, failure
