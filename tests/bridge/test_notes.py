"""What an AI is told beside the conversation."""

from __future__ import annotations

from bridge.engines import notes
from bridge.rehearsal.mind import GUIDANCE


def test_each_note_says_whose_words_or_keys_they_are() -> None:
    assert notes.guidance("be brief") == "Guidance from your supervisor, not to be read out: be brief"
    assert notes.colleague_said("I am Ann.") == 'A human colleague said to the caller: "I am Ann."'
    assert notes.caller_pressed("1 2") == "The caller pressed keys on the keypad: 1 2"
    assert notes.colleague_pressed("#") == "A human colleague pressed keys on the keypad: #"


def test_the_rehearsals_ai_knows_guidance_by_its_words() -> None:
    assert notes.guidance("be brief").startswith(GUIDANCE)
