"""Our messages in the shape of the Realtime protocol's beta."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.engines import openai_beta as beta
from bridge.engines import openai_settings as settings
from bridge.engines.openai_messages import Session
from bridge.engines.openai_settings import Config

TOOL = {"type": "function", "name": "find_payments", "parameters": {"type": "object"}}
CONFIG = Config("local", "af_heart", "Be kind.", (TOOL,), turn_detection="semantic", noise_reduction="near")


def said(*, transcribes: bool = False, **fields: Any) -> dict[str, Any]:
    return dict(beta.said(fields, transcribes=transcribes))


def test_the_settings_are_flat_and_ask_for_what_a_local_server_can_do() -> None:
    session = settings.session(CONFIG, answers=True)
    assert said(type="session.update", event_id="e", session=session) == {
        "type": "session.update",
        "event_id": "e",
        "session": {
            "modalities": ["audio", "text"],
            "instructions": "Be kind.",
            "voice": "af_heart",
            "input_audio_format": "g711_ulaw",
            "output_audio_format": "g711_ulaw",
            "input_audio_transcription": {"model": "whisper-1"},
            "turn_detection": {
                "type": "server_vad",
                "prefix_padding_ms": 300,
                "silence_duration_ms": 500,
                "create_response": True,
                "interrupt_response": True,
            },
            "tools": [TOOL],
            "tool_choice": "auto",
        },
    }


def test_a_transcriber_of_the_peers_own_is_left_in_its_place() -> None:
    session = settings.session(CONFIG, answers=True)
    assert "input_audio_transcription" not in said(type="session.update", session=session, transcribes=True)["session"]


def test_a_change_of_turns_changes_nothing_else() -> None:
    config = Config("local", "af_heart", "")
    session = settings.turns(config, answers=False)
    changed = said(type="session.update", session=session)["session"]
    assert list(changed) == ["turn_detection"]
    assert changed["turn_detection"]["create_response"] is False
    assert changed["turn_detection"]["interrupt_response"] is False


def test_what_the_ai_said_is_text_and_all_else_is_as_it_was() -> None:
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello."}]}
    message = said(type="conversation.item.create", item=item)
    assert message["item"]["content"] == [{"type": "text", "text": "Hello."}]
    assert item["content"] == [{"type": "output_text", "text": "Hello."}]
    note = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Hi."}]}
    assert said(type="conversation.item.create", item=note)["item"] == note
    assert said(type="response.create", response={}) == {"type": "response.create", "response": {}}


@pytest.mark.parametrize(
    ("session", "spoken"),
    [
        (Session(model="gpt-realtime-2.1"), False),
        (Session(modalities=["audio", "text"]), True),
        (Session(input_audio_format="pcm16"), True),
    ],
)
def test_the_beta_is_known_by_its_session(session: Session, spoken: bool) -> None:
    assert beta.is_spoken(session) is spoken


@pytest.mark.parametrize(
    ("hears", "speaks", "carried"),
    [
        ("g711_ulaw", "g711_ulaw", True),
        (None, None, True),
        ("pcm16", "g711_ulaw", False),
        ("g711_ulaw", "pcm16", False),
    ],
)
def test_telephone_sound_is_carried_both_ways_or_not_at_all(hears: Any, speaks: Any, carried: bool) -> None:
    assert beta.carries_mulaw(Session(input_audio_format=hears, output_audio_format=speaks)) is carried
