"""All that passes between the rehearsal's AI and its clients, for whoever measures it."""

from __future__ import annotations


class Tap:
    """Called for each message, in the loop, so it must return at once; this one looks away.

    service: openai (Realtime's sockets), deepgram, elevenlabs, chat or speech (requests by HTTP). data: as it
    stands in the message, sound of Deepgram as bytes.
    """

    def came(self, service: str, data: str | bytes) -> None:
        """A client's message was read."""

    def leaves(self, service: str, data: str | bytes) -> None:
        """A message is about to be sent."""
