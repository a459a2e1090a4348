"""What an AI is told beside the conversation, in the same words whichever engine it is. Pure."""

from __future__ import annotations


def guidance(text: str) -> str:
    """An operator's whisper."""
    return f"Guidance from your supervisor, not to be read out: {text}"


def colleague_said(text: str) -> str:
    """What an operator said to the caller before this engine came."""
    return f'A human colleague said to the caller: "{text}"'


def caller_pressed(keys: str) -> str:
    """Keypad keys of the caller's."""
    return f"The caller pressed keys on the keypad: {keys}"


def colleague_pressed(keys: str) -> str:
    """Keypad keys of an operator's."""
    return f"A human colleague pressed keys on the keypad: {keys}"
