"""The operator's verbs as rows: complete, unambiguous, and faithful to what the bridge allows."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bridge.control import CallView, Floor, Phase, Verb
from console.actions import (
    ACTIONS,
    BRIDGE_LOST,
    BUTTONS,
    BY_NAME,
    BY_VERB,
    HELD_BY_OTHER,
    NO_CALL,
    NO_FLOOR,
    NO_OTHER_ENGINE,
    NOT_NOW,
    NOTHING_TO_HEAR,
    TEXT_MODES,
    Action,
    Own,
    face,
    is_other,
)

LIVE = CallView(call_id="c1", floor=Floor.AI, allowed=(Verb.INTERRUPT, Verb.MUTE_AI, Verb.TAKE_OVER))
TAKEN = CallView(
    call_id="c1",
    floor=Floor.OPERATOR,
    floor_holder="me",
    allowed=(Verb.HAND_BACK,),
    why_not={Verb.MUTE_AI: "You have the floor, so the AI is silent. Hand back first."},
)


def test_every_verb_of_the_protocol_has_exactly_one_row() -> None:
    verbs = [verb for action in ACTIONS for verb in dict.fromkeys(action.verbs)]
    assert sorted(verbs) == sorted(Verb)
    assert set(BY_VERB) == set(Verb)


def test_no_key_is_given_twice() -> None:
    keys = [key for action in ACTIONS for key in (action.key, action.ctrl_key) if key]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("verb", "key"),
    [
        (Verb.WHISPER, "W"),
        (Verb.ASK, "K"),
        (Verb.SAY, "S"),
        (Verb.INTERRUPT, "Space"),
        (Verb.MUTE_AI, "M"),
        (Verb.TAKE_OVER, "T"),
        (Verb.HAND_BACK, "T"),
        (Verb.SWAP, "G"),
        (Verb.HANG_UP, "Shift+Esc"),
    ],
)
def test_verbs_have_the_keys_of_the_design(verb: Verb, key: str) -> None:
    assert BY_VERB[verb].key == key


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_a_single_key_also_works_with_ctrl_while_typing(action: Action) -> None:
    if len(action.key) == 1 and action.key.isalpha():
        # Ctrl+V pastes into the text line.
        assert action.ctrl_key == ("Ctrl+Shift+V" if action.key == "V" else f"Ctrl+{action.key}")
    assert action.look.title
    assert action.look.tooltip


def test_the_bar_and_the_text_line_are_made_of_rows() -> None:
    verbs = ["take_over", "listen", "interrupt", "mute_ai", "hold", "privacy", "keys", "hang_up"]
    assert [action.name for action in BUTTONS] == verbs
    assert [action.name for action in TEXT_MODES] == ["whisper", "ask", "say"]


def test_a_verb_is_enabled_exactly_when_the_bridge_allows_it() -> None:
    assert face(BY_NAME["interrupt"], LIVE).enabled
    refused = face(BY_NAME["mute_ai"], TAKEN, me="me")
    assert not refused.enabled
    assert refused.why_not == "You have the floor, so the AI is silent. Hand back first."
    assert face(BY_NAME["say"], LIVE).why_not == NOT_NOW


def test_take_over_turns_into_hand_back_while_an_operator_has_the_floor() -> None:
    before, after = face(BY_NAME["take_over"], LIVE, "me"), face(BY_NAME["take_over"], TAKEN, "me")
    assert (before.title, before.verb, before.is_other) == ("Take over", Verb.TAKE_OVER, False)
    assert (after.title, after.verb, after.is_other) == ("Hand back", Verb.HAND_BACK, True)
    assert after.enabled


def test_only_the_holder_of_the_floor_may_hand_it_back() -> None:
    other = face(BY_NAME["take_over"], TAKEN, me="somebody else")
    assert not other.enabled
    assert other.why_not == "me has the floor; only they can hand it back."


def test_mute_turns_into_unmute_while_the_ai_is_muted() -> None:
    muted = CallView(call_id="c1", ai_muted=True, allowed=(Verb.MUTE_AI,))
    assert face(BY_NAME["mute_ai"], muted).title == "Unmute AI"
    assert not is_other(BY_NAME["interrupt"], muted)


def test_without_a_call_or_a_bridge_no_verb_is_offered_and_the_reason_is_said() -> None:
    assert face(BY_NAME["interrupt"], None).why_not == NO_CALL
    assert face(BY_NAME["interrupt"], LIVE, lost=True).why_not == BRIDGE_LOST
    assert face(BY_NAME["shortcuts"], None, lost=True).enabled


def test_an_engine_can_be_swapped_only_for_another() -> None:
    alone = CallView(call_id="c1", floor=Floor.AI, allowed=(Verb.SWAP,), engine="openai")
    assert face(BY_NAME["swap"], alone).why_not == NO_OTHER_ENGINE
    assert face(BY_NAME["swap"], replace(alone, engines=("cascade",))).enabled


def test_hold_and_privacy_turn_into_their_ends() -> None:
    held = CallView(
        call_id="c1", floor=Floor.HOLD, floor_holder="Ann", allowed=(Verb.UNHOLD, Verb.PRIVACY), private=True
    )
    assert face(BY_NAME["hold"], held, "Ann").title == "End hold"
    assert face(BY_NAME["privacy"], held, "Ann").title == "End privacy"
    other = face(BY_NAME["hold"], held, "Bob")
    assert (other.enabled, other.why_not) == (False, "Ann has this call in hand. Ask them, or wait.")


def test_another_desks_floor_cannot_be_handed_back_but_can_be_whispered_to() -> None:
    taken = CallView(call_id="c1", floor=Floor.OPERATOR, floor_holder="Ann", allowed=(Verb.HAND_BACK, Verb.WHISPER))
    assert face(BY_NAME["take_over"], taken, "Bob").why_not == HELD_BY_OTHER.format(holder="Ann")
    assert face(BY_NAME["whisper"], taken, "Bob").enabled


def test_listening_is_a_toggle_of_this_window() -> None:
    listen, following = BY_NAME["listen"], BY_NAME["listen_next"]
    assert face(listen, LIVE).title == "Listen"
    assert face(listen, LIVE, own=Own(listening_to="c1")).title == "Stop listening"
    assert face(listen, LIVE, own=Own(listening_to="c2")).title == "Listen"
    assert face(following, LIVE, own=Own(queue=("c2", "c1"))).title == "Do not listen next"
    assert face(following, LIVE).title == "Listen next"
    assert face(listen, None, own=Own(listening_to="c1")).why_not == NO_CALL


def test_an_ended_call_is_not_listened_to_but_can_be_left() -> None:
    listen, ended = BY_NAME["listen"], replace(LIVE, phase=Phase.ENDED)
    assert face(listen, ended).why_not == face(BY_NAME["listen_next"], ended).why_not == NOTHING_TO_HEAR
    assert face(listen, ended, own=Own(listening_to="c1")).enabled


def test_the_microphone_can_be_muted_while_one_has_a_floor_whichever_call_is_selected() -> None:
    mute = BY_NAME["mute_microphone"]
    assert face(mute, LIVE).why_not == NO_FLOOR
    assert face(mute, None, own=Own(has_floor_of="c2")).title == "Mute microphone"
    assert face(mute, LIVE, own=Own(has_floor_of="c2", muted=True)).title == "Unmute microphone"


def test_handing_back_now_follows_the_rules_of_handing_back() -> None:
    now = BY_NAME["hand_back_now"]
    assert face(now, TAKEN, "me").enabled
    assert face(now, TAKEN, "somebody else").why_not == HELD_BY_OTHER.format(holder="me")
    assert face(now, LIVE, "me").why_not == NOT_NOW
