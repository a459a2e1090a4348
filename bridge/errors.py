"""The three ways in which the bridge says no.

Everything else that goes wrong is either a value (a health word, an ending's reason) or a defect in the bridge.
"""

from __future__ import annotations


class NotAllowed(Exception):
    """The operator asked for something that cannot be done now; ``reason`` is a sentence for them."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PeerError(Exception):
    """The other side broke the protocol: the frame is counted and dropped, the call is kept."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class SettingsError(Exception):
    """A setting is missing or wrong; the bridge does not start (exit status 2).

    ``key`` is the setting's name as the user wrote it and ``hint`` says how to put it right. Neither ever holds the
    setting's value.
    """

    def __init__(self, key: str, hint: str) -> None:
        super().__init__(f"{key}: {hint}")
        self.key = key
        self.hint = hint
