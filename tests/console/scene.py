"""A desk with calls on it, made from the bridge's own events: the picture that the console is designed to."""

from __future__ import annotations

import math
import random

from msgspec.structs import replace

from bridge.control import (
    COLUMN_MS,
    AnswerTimed,
    AnswerView,
    Attached,
    CallChanged,
    CallView,
    Event,
    Floor,
    GhostAdded,
    MarkerChanged,
    MarkerKind,
    MarkerView,
    Party,
    PeaksAdded,
    Phase,
    Recording,
    ToolChanged,
    ToolState,
    ToolView,
    TurnChanged,
    TurnKind,
    TurnState,
    TurnView,
    VendorTimed,
    VendorView,
    Verb,
)
from console.store import Store

CALL = "call-1"
CLOCK_MS = 192_000
STARTED_UNIX_MS = 1_790_000_000_000
LIVE_VERBS = (Verb.INTERRUPT, Verb.MUTE_AI, Verb.WHISPER, Verb.ASK, Verb.SAY, Verb.TAKE_OVER, Verb.SWAP, Verb.HANG_UP)


def speech(columns: int, seed: int) -> bytes:
    """Columns that rise and fall as speech does: syllables of some 200 ms, loud and soft words."""
    chance = random.Random(seed)
    tall = [chance.uniform(0.35, 0.95) for _ in range(columns // 9 + 2)]
    made = bytearray()
    for column in range(columns):
        syllable = abs(math.sin(column * math.pi / 9.5 + seed))
        made.append(int(235 * tall[column // 9] * (0.25 + 0.75 * syllable) * chance.uniform(0.8, 1.0)))
    return bytes(made)


def lane(length_ms: int, *parts: tuple[int, int]) -> bytes:
    """A lane of silence with speech from ms to ms."""
    made = bytearray(length_ms // COLUMN_MS)
    for start_ms, end_ms in parts:
        first, end = start_ms // COLUMN_MS, min(end_ms // COLUMN_MS, len(made))
        made[first:end] = speech(end - first, first)
    return bytes(made)


def voices(line: bytes, operator_from_ms: int | None = None) -> bytes:
    """Who is heard in each column of the line."""
    border = len(line) if operator_from_ms is None else operator_from_ms // COLUMN_MS
    return bytes(0 if not level else 1 if column < border else 2 for column, level in enumerate(line))


def billing_view(**changes: object) -> CallView:
    """The selected call."""
    told: dict[str, object] = {
        "call_id": CALL,
        "call_sid": "CA00000000000000000000000000000001",
        "number": "+14155550142",
        "place": "San Francisco",
        "profile": "Billing",
        "phase": Phase.LIVE,
        "floor": Floor.AI,
        "speaking": Party.CALLER,
        "activity": "Caller speaking",
        "needs": ("refund to approve", "asked for a person"),
        "recording": Recording.ON,
        "recording_path": "/home/desk/.local/share/cordboard/recordings/2026-03-04/call-1.wav",
        "started_unix_ms": STARTED_UNIX_MS,
        "clock_ms": CLOCK_MS,
        "caller_interruptions": 2,
        "session_expires_ms": CLOCK_MS + 3_130_000,
        "cost_usd": 0.27,
        "costs_usd": {"chat": 0.08, "deepgram": 0.04, "elevenlabs": 0.15},
        "engine": "cascade",
        "engines": ("openai", "keypad"),
        "tokens": 9_120,
        "summary": "Caller disputes a second charge of $48 on order 8841. Wants a refund. Verified by PIN.",
        "allowed": LIVE_VERBS,
    }
    return CallView(**(told | changes))  # type: ignore[arg-type]


def billing_turns() -> list[TurnView]:
    """What was said in it, on screen."""

    def turn(order: int, speaker: Party, start_ms: int, text: str) -> TurnView:
        return TurnView(
            call_id=CALL,
            turn_id=f"t{order}",
            order=order,
            speaker=speaker,
            start_ms=start_ms,
            end_ms=start_ms + 3000,
            text=text,
            heard_chars=len(text),
        )

    sorry = "I'm sorry about that. I can see two payments of 48 dollars on the fourth of March."
    answer = turn(2, Party.AI, 156_000, sorry + " One of them was for the express delivery you")
    whisper = turn(5, Party.OPERATOR, 169_000, "the second charge is our mistake, offer a full refund, no questions.")
    newest = turn(7, Party.CALLER, 188_000, "Can I please speak to a real person about thi")
    return [
        turn(1, Party.CALLER, 151_000, "I was charged twice for the March order, and nobody called me back."),
        replace(answer, state=TurnState.CUT, heard_chars=len(sorry), heard_ms=1900, cut_by=Party.CALLER),
        turn(3, Party.CALLER, 161_000, "No, I never asked for express. I want the money back."),
        replace(whisper, kind=TurnKind.WHISPER),
        replace(newest, state=TurnState.INTERIM),
    ]


def billing_tools() -> list[ToolView]:
    """What it looked up and wants to do."""
    return [
        ToolView(
            call_id=CALL,
            tool_id="find",
            order=4,
            name="find_payments",
            arguments='{"order": "8841", "month": "2026-03"}',
            state=ToolState.DONE,
            result='"2 payments, 48.00 USD each"',
            start_ms=163_000,
            duration_ms=212,
        ),
        ToolView(
            call_id=CALL,
            tool_id="refund",
            order=6,
            name="refund_payment",
            arguments='{"payment": "pi_77120", "amount": 48.0, "currency": "USD", "pin": "4711"}',
            state=ToolState.WAITING,
            start_ms=175_000,
        ),
    ]


def billing_markers() -> list[MarkerView]:
    """What stands under its waveform."""
    told = [
        (166_000, MarkerKind.ENGINE, "engine: cascade"),
        (170_800, MarkerKind.BARGE_IN, "barge-in · 0.4 s, -12 dB, “wait no”"),
        (173_600, MarkerKind.TOOL, "find_payments"),
        (176_400, MarkerKind.OPERATOR, "whisper"),
        (180_000, MarkerKind.TOOL, "refund_payment"),
    ]
    return [
        MarkerView(call_id=CALL, marker_id=f"m{at_ms}", at_ms=at_ms, kind=kind, label=label)
        for at_ms, kind, label in told
    ]


def billing_answer(at_ms: int, speech_ms: int, model_ms: int, tool_ms: int, ear_ms: int, **more: object) -> AnswerView:
    """How long the caller waited once."""
    told: dict[str, object] = {
        "call_id": CALL,
        "answer_id": f"a{at_ms}",
        "at_ms": at_ms,
        "end_of_speech_ms": speech_ms,
        "model_ms": model_ms,
        "tool_ms": tool_ms,
        "ear_ms": ear_ms,
    }
    return AnswerView(**(told | more))  # type: ignore[arg-type]


def vendor_events() -> list[Event]:
    """How long vendors have taken so far."""
    told = [
        ("cascade", "answer", 780, 1_420, 42),
        ("deepgram", "words", 180, 310, 42),
        ("chat", "token", 390, 900, 41),
        ("elevenlabs", "sound", 120, 260, 41),
        ("openai", "answer", 640, 1_100, 118),
    ]
    return [
        VendorTimed(vendor=VendorView(vendor=vendor, step=step, p50_ms=p50_ms, p95_ms=p95_ms, turns=turns))
        for vendor, step, p50_ms, p95_ms, turns in told
    ]


def billing_events() -> list[Event]:
    """The whole of the selected call."""
    caller = lane(
        CLOCK_MS, (20_000, 31_000), (60_000, 64_000), (153_200, 160_600), (170_800, 176_000), (188_600, CLOCK_MS)
    )
    line = lane(CLOCK_MS, (2_000, 18_000), (33_000, 55_000), (161_800, 170_800), (184_000, 187_200))
    answers = [
        billing_answer(156_000, 120, 640, 0, 60),
        billing_answer(163_000, 120, 720, 260, 300, engine="cascade", words_ms=210, token_ms=610, sound_ms=280),
        billing_answer(178_000, 120, 500, 0, 70),
        billing_answer(184_000, 120, 2_500, 0, 90, engine="cascade", words_ms=190, token_ms=2_210, filler_ms=2_300),
    ]
    return [
        CallChanged(call=billing_view()),
        PeaksAdded(call_id=CALL, first_column=0, caller=caller, line=line, voice=voices(line)),
        GhostAdded(call_id=CALL, first_column=170_800 // COLUMN_MS, peaks=speech(200, 7)),
        *(TurnChanged(turn=turn) for turn in billing_turns()),
        *(ToolChanged(tool=tool) for tool in billing_tools()),
        *(MarkerChanged(marker=marker) for marker in billing_markers()),
        *(AnswerTimed(answer=answer) for answer in answers),
    ]


def other_events() -> list[Event]:
    """The calls beside it: one with the AI speaking, one with an operator, one ringing, one ended."""

    def call(number: int, phone: str, floor: Floor, **more: object) -> CallView:
        return CallView(
            call_id=f"call-{number}",
            number=phone,
            floor=floor,
            started_unix_ms=STARTED_UNIX_MS + number * 1000,
            **({"phase": Phase.LIVE, "clock_ms": 60_000 + number * 7000, "cost_usd": 0.1 * number} | more),  # type: ignore[arg-type]
        )

    calls = [
        call(2, "+12065550110", Floor.AI, profile="Booking", speaking=Party.AI, activity="AI speaking"),
        call(3, "+442079460991", Floor.AI, profile="Survey", direction="outbound", activity="Caller speaking"),
        call(4, "+12065550177", Floor.OPERATOR, profile="Booking", floor_holder="desk", activity="You have the floor"),
        call(
            5, "+15035550107", Floor.NOBODY, profile="Reminder", direction="outbound", phase=Phase.RINGING, clock_ms=0
        ),
        call(6, "+13125550110", Floor.NOBODY, profile="Billing", phase=Phase.ENDED, end_cause="caller hung up"),
    ]
    events: list[Event] = [CallChanged(call=view) for view in calls]
    for view in calls:
        if view.phase is not Phase.RINGING:
            whole = view.clock_ms
            caller = lane(whole, (4_000, 9_000), (20_000, 28_000), (whole - 2_500, whole - 800))
            line = lane(whole, (500, 3_800), (10_000, 19_000), (whole - 5_500, whole - 2_600))
            voice = voices(line, operator_from_ms=30_000 if view.floor is Floor.OPERATOR else None)
            events.append(PeaksAdded(call_id=view.call_id, first_column=0, caller=caller, line=line, voice=voice))
    return events


def desk() -> Store:
    """A store as it is after attaching to a busy bridge."""
    store = Store()
    store.begin_snapshot()
    for event in (*billing_events(), *other_events(), *vendor_events()):
        store.apply(event)
    store.apply(
        Attached(
            version=1, console="desk", rehearsal=True, bridge_pid=4711, home="/tmp/cordboard", scenarios=("billing",)
        )
    )
    return store
