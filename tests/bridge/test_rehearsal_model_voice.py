"""The rehearsal AI's ear, voice and manners, one by one."""

from __future__ import annotations

import itertools
import math
import struct
from array import array
from pathlib import Path

import pytest

from bridge.audio import LINEAR, decode, encode, silence
from bridge.rehearsal import mind, scenario
from bridge.rehearsal.clips import AI_VOICE, shipped
from bridge.rehearsal.ear import Ear, Lines, Started, Stopped, Vad
from bridge.rehearsal.mind import Heard, Mind, unsaid
from bridge.rehearsal.render import texts
from bridge.rehearsal.scenario import Reply, ToolUse
from bridge.rehearsal.speech import babble, clip, sentences, word_starts
from bridge.rehearsal.voice import Voice
from bridge.wav import mulaw_from_wav, resampled
from tests.bridge.speech_program import install, level_db, tone, wav

REPLIES = [reply for name in scenario.names() for reply in scenario.load(name).replies]


# ── clips ─────────────────────────────────────────────────────────────────────────────────


def test_every_text_that_is_spoken_ahead_was_rendered() -> None:
    missing = [text for voice, text in texts() if shipped().get(voice, text) is None]
    assert not missing, "run python -m bridge.rehearsal.render"


def test_clips_are_speech_at_a_natural_level_with_trimmed_edges() -> None:
    for reply in REPLIES:
        assert -28 < level_db(decode(reply.audio)) < -17
        assert level_db(decode(reply.audio[:1600])) > -45


def test_no_rendered_line_of_a_caller_sounds_like_two_turns() -> None:
    for reply in REPLIES:
        events = list(Ear(Vad()).hear(silence(400) + reply.audio + silence(600)))
        assert [type(event) for event in events] == [Started, Stopped]


def test_the_shipped_clips_are_small() -> None:
    assert sum(len(shipped().get(voice, text) or b"") for voice, text in texts()) < 3_000_000


# ── wav ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000])
def test_a_tone_keeps_its_pitch_and_level_at_every_rate(tmp_path: Path, rate_hz: int) -> None:
    path = tmp_path / "tone.wav"
    path.write_bytes(wav(1, 1, rate_hz, 16, tone(1000, rate_hz).tobytes()))
    heard = decode(mulaw_from_wav(path))
    assert abs(len(heard) - 4000) <= 1
    middle = heard[800:3200]
    crossings = sum(1 for one, two in itertools.pairwise(middle) if one < 0 <= two)
    assert crossings == pytest.approx(300, abs=1)
    assert level_db(middle) == pytest.approx(level_db(tone(1000, 8000)), abs=0.5)


@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_what_a_telephone_cannot_carry_is_gone_and_does_not_fold(rate_hz: int) -> None:
    assert level_db(resampled(tone(5200, rate_hz), rate_hz)[200:-200]) < -60


def test_lower_rates_are_raised() -> None:
    raised = resampled(tone(500, 4000), 4000)
    assert abs(len(raised) - 4000) <= 1
    assert level_db(raised[400:3600]) == pytest.approx(level_db(tone(500, 8000)), abs=0.5)


def test_every_kind_of_sample_is_read(tmp_path: Path) -> None:
    samples = [0, 8192, -8192, 16384]
    kinds = {
        (1, 8): bytes((value >> 8) + 128 for value in samples),
        (1, 16): struct.pack("<4h", *samples),
        (1, 24): b"".join(struct.pack("<i", value << 8)[:3] for value in samples),
        (1, 32): struct.pack("<4i", *(value << 16 for value in samples)),
        (3, 32): struct.pack("<4f", *(value / 32767 for value in samples)),
        (7, 8): encode(array("h", samples)),
    }
    path = tmp_path / "kinds.wav"
    for (code, bits), data in kinds.items():
        path.write_bytes(wav(code, 1, 8000, bits, data))
        assert mulaw_from_wav(path) == encode(array("h", samples))


def test_an_extensible_header_and_foreign_chunks_are_understood(tmp_path: Path) -> None:
    data = encode(tone(400, 8000, 20))
    form = struct.pack("<HHIIHHHHIH14s", 0xFFFE, 1, 8000, 8000, 1, 8, 22, 8, 4, 7, bytes(14))
    body = b"WAVEfact\x03\0\0\0abc\0" + b"fmt " + struct.pack("<I", len(form)) + form
    body += b"data" + struct.pack("<I", len(data)) + data
    path = tmp_path / "extensible.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert mulaw_from_wav(path) == data


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"ID3\x04 not a wav at all", "is not a WAV file"),
        (wav(1, 1, 8000, 16, b"")[:30], "holds no sound"),
        (wav(1, 1, 8000, 16, b""), "holds no sound"),
        (wav(1, 2, 8000, 16, bytes(8)), "has 2 channels"),
        (wav(85, 1, 8000, 16, bytes(8)), "16-bit PCM"),
        (wav(1, 1, 1000, 16, bytes(8)), "1000 samples a second"),
        (wav(3, 1, 8000, 32, struct.pack("<f", math.nan)), "no sound"),
    ],
)
def test_other_files_are_refused_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "caller.wav"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"caller\.wav") as told:
        mulaw_from_wav(path)
    assert words in str(told.value)


# ── speech ────────────────────────────────────────────────────────────────────────────────


def test_text_falls_into_sentences() -> None:
    assert sentences(" Done. It was 4.50 dollars!  Right? ") == ["Done.", "It was 4.50 dollars!", "Right?"]
    assert sentences("  ") == []


def test_words_begin_in_order_within_the_sound() -> None:
    starts = word_starts("I am so sorry.", 8000)
    assert "".join(word for word, _ in starts) == "I am so sorry."
    assert [begin for _, begin in starts] == sorted(begin for _, begin in starts)
    assert starts[0][1] == 0 and starts[-1][1] < 8000


def test_babble_is_as_long_as_its_words_and_always_the_same() -> None:
    short, long = babble("No."), babble("I would really like to talk to somebody about my parcel.")
    assert len(short) < 8000 < 16000 < len(long)
    assert babble("No.") == short
    assert level_db(decode(long)) > -30


def test_a_clip_is_trimmed_levelled_and_its_pauses_shortened() -> None:
    quiet = array("h", bytes(2 * 16000))
    word = tone(300, 16000, 400, 900)
    sound = clip(quiet + word + quiet + word + quiet, 16000)
    assert 400 + 220 + 400 <= len(sound) / 8 <= 400 + 220 + 400 + 80
    assert max(abs(LINEAR[byte]) for byte in sound) > 4000
    assert clip(quiet, 16000) == b""


# ── voice ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir()
    return folder


async def test_rendered_sentences_are_joined_with_a_pause() -> None:
    voice = Voice("")
    try:
        spoken = await voice.speak("Goodbye. Goodbye.")
    finally:
        voice.close()
    one = shipped().get(AI_VOICE, "Goodbye.") or b""
    assert spoken.audio == one + silence(180) + one
    assert spoken.words == [("Goodbye.", 0), (" Goodbye.", len(one) + 1440)]


async def test_without_a_program_free_text_is_babbled_and_kept() -> None:
    voice = Voice("")
    try:
        first = await voice.speak("Nobody rendered this.")
        assert first.audio == babble("Nobody rendered this.")
        assert (await voice.speak("Nobody rendered this.")).audio == first.audio
        assert (await voice.speak("")).audio == b""
    finally:
        voice.close()


async def test_a_program_on_the_path_speaks_free_text(programs: Path, tmp_path: Path) -> None:
    sound = tmp_path / "sound.wav"
    sound.write_bytes(wav(1, 1, 16000, 16, tone(300, 16000, 700).tobytes()))
    voice = Voice(install(programs, f'while [ "$1" != -o ]; do shift; done; cat {sound} > "$2"'))
    try:
        spoken = await voice.speak("--help")
    finally:
        voice.close()
    assert 600 <= len(spoken.audio) / 8 <= 720
    assert spoken.words == [("--help", 0)]


@pytest.mark.parametrize("script", ["exit 1", "exit 0", "exec cat /dev/zero > /dev/null"])
async def test_a_program_that_fails_or_hangs_does_not_hold_up_the_call(programs: Path, script: str) -> None:
    voice = Voice(install(programs, script), patience_s=0.3)
    try:
        assert (await voice.speak("Nobody rendered this.")).audio == babble("Nobody rendered this.")
    finally:
        voice.close()


async def test_a_program_that_cannot_be_run_is_passed_over(programs: Path) -> None:
    path = install(programs, "")
    (programs / "flite").write_bytes(b"\x7fELF")
    voice = Voice(path)
    try:
        assert (await voice.speak("Nobody rendered this.")).audio
    finally:
        voice.close()


# ── ear ───────────────────────────────────────────────────────────────────────────────────


def test_turns_do_not_depend_on_how_the_audio_was_cut() -> None:
    audio = silence(500) + REPLIES[0].audio + silence(700)
    whole = list(Ear(Vad()).hear(audio))
    ear = Ear(Vad())
    pieces = [event for at in range(0, len(audio), 37) for event in ear.hear(audio[at : at + 37])]
    assert pieces == whole


def test_speech_above_steady_noise_is_found_and_the_noise_is_not() -> None:
    noise = encode(array("h", ((index * 7919 % 700) - 350 for index in range(8000))))
    loud = decode(REPLIES[0].audio)
    mixed = encode(array("h", (one + (index * 7919 % 700) - 350 for index, one in enumerate(loud))))
    ear = Ear(Vad())
    assert not list(ear.hear(noise * 3))
    assert [type(event) for event in ear.hear(mixed + noise)] == [Started, Stopped]


def test_lines_are_known_although_frames_were_lost() -> None:
    lines = Lines(REPLIES)
    audio = REPLIES[0].audio
    damaged = audio[:8000] + audio[8960:16000] + audio[16160:]
    assert lines.recognise(silence(300) + damaged) == [Heard(REPLIES[0].line, REPLIES[0].line)]


def test_a_line_that_hardly_began_is_not_known() -> None:
    lines = Lines(REPLIES)
    heard = lines.recognise(REPLIES[0].audio[: len(REPLIES[0].audio) // 4])[0]
    assert heard.line is None
    assert REPLIES[0].line.startswith(heard.transcript)


def test_silence_lasts_no_seconds() -> None:
    assert Lines(REPLIES).recognise(silence(500)) == [Heard(None, "[speech, 0.0 s]")]


# ── mind ──────────────────────────────────────────────────────────────────────────────────

TOOL = ToolUse("look", {}, then="There are {found.count|some}.", failed="That failed.", without="I cannot look.")
LINES = [Reply("How many?", b"", "Let me look.", TOOL), Reply("Hello.", b"", "Good day. What is it?")]


def test_what_the_caller_did_not_hear_is_known_by_sentences() -> None:
    assert unsaid("One two. Three four. Five.", 0.5) == "Three four. Five."
    assert unsaid("One two. Three four. Five.", 1.0) == ""
    assert unsaid("One two.", 0.0) == "One two."


@pytest.mark.parametrize(
    ("guidance", "point"),
    [
        ("tell the caller that we close at six", "We close at six."),
        ("ask for the order number", "May I ask about the order number."),
        ("offer a refund!", "I can offer you a refund!"),
        ("do not promise anything", "I would rather not promise anything."),
        ("she is a new customer", "I should add: she is a new customer."),
    ],
)
def test_guidance_is_turned_into_a_sentence(guidance: str, point: str) -> None:
    told = Mind(LINES)
    told.read("system", f"{mind.GUIDANCE} {guidance}")
    told.hear(Heard("Hello.", "Hello."))
    assert told.plan(None, set()).says == f"Good day. {point} What is it?"


def test_the_newest_known_line_is_answered() -> None:
    told = Mind(LINES)
    for heard in (Heard("How many?", "How many?"), Heard("Hello.", "Hello."), Heard(None, "[speech, 1.0 s]")):
        told.hear(heard)
    assert told.plan(None, {"look"}).says == "Good day. What is it?"


def test_results_and_new_words_are_answered_together() -> None:
    told = Mind(LINES)
    told.hear(Heard("How many?", "How many?"))
    plan = told.plan(None, {"look"})
    assert (plan.says, plan.tool) == ("Let me look.", TOOL)
    told.used("call_1", TOOL)
    told.hear(Heard("Hello.", "Hello."))
    told.result("call_1", '{"found":[1]}')
    told.result("call_unknown", "{}")
    assert told.plan(None, set()).says == "There are one. Good day. What is it?"


def test_a_reply_that_was_not_begun_is_owed() -> None:
    told = Mind(LINES)
    told.hear(Heard("Hello.", "Hello."))
    told.take_back(told.plan(None, set()))
    assert told.plan(None, set()).says == "Good day. What is it?"
    exact = told.plan('Say exactly, word for word, nothing else: "Hi."', set())
    told.take_back(exact)
    assert told.plan(None, set()).says == mind.GO_ON


def test_after_a_hand_back_it_does_not_finish_what_was_cut_short() -> None:
    told = Mind(LINES)
    told.plan('Say exactly, word for word, nothing else: "Hello, this is Riverside Clinic. I am an AI."', set())
    told.cut("I am an AI.")
    told.read("system", "A human colleague took over the line.")
    assert told.plan(None, set()).says == f"{mind.THANKS} {mind.COLLEAGUE} {mind.GO_ON}"


def handed_back(said: str = "", note: str = "") -> str:
    return (
        "A human colleague took over the line and spoke with the caller for 12 s. "
        + (f'They said to the caller: "{said}" ' if said else "")
        + "What the caller said meanwhile is part of this conversation. "
        + (f"Your colleague tells you: {note} " if note else "")
        + "Go on as a colleague who listened. Do not greet the caller again."
    )


@pytest.mark.parametrize(
    ("said", "note", "words"),
    [
        ("", "", f"{mind.THANKS} {mind.COLLEAGUE}"),
        ("", "the parcel left today", f"{mind.THANKS} As my colleague said: the parcel left today."),
        ("One moment. I will send a new one", "", "As my colleague said: I will send a new one."),
        ("It left.", "offer a refund", "As my colleague said: It left. I can offer you a refund."),
        ('We call it "express". It left.', "", "As my colleague said: It left."),
        ("[speech, 2.3 s]", "", f"{mind.THANKS} {mind.COLLEAGUE}"),
        (f"Well, {'very ' * 30}well, it left.", "", "As my colleague said: it left."),
    ],
)
def test_after_a_hand_back_it_goes_on_from_what_the_colleague_said(said: str, note: str, words: str) -> None:
    told = Mind(LINES)
    told.read("system", handed_back(said, note))
    assert told.plan(None, set()).says == f"{words} {mind.GO_ON}"


def test_what_the_colleague_said_last_is_remembered_until_the_hand_back() -> None:
    told = Mind(LINES)
    told.read("system", 'A human colleague has the floor and said to the caller: "One moment."')
    told.read("system", 'A human colleague has the floor and said to the caller: "It is on its way."')
    told.read("system", handed_back())
    assert told.plan(None, set()).says == f"As my colleague said: It is on its way. {mind.GO_ON}"
    told.read("system", handed_back())
    assert told.plan(None, set()).says == f"{mind.THANKS} {mind.COLLEAGUE} {mind.GO_ON}"


def test_keys_that_a_colleague_pressed_are_no_hand_back() -> None:
    told = Mind(LINES)
    told.hear(Heard("Hello.", "Hello."))
    told.read("system", "A human colleague pressed keys on the keypad: 1 2")
    assert told.plan(None, set()).says == "Good day. What is it?"


def test_after_a_hold_it_thanks_and_goes_on() -> None:
    told = Mind(LINES)
    told.cut("What is it?")
    told.read("system", "The caller was on hold for 20 s. Thank them and go on; do not greet again.")
    plan = told.plan(None, set())
    assert plan.says == f"{mind.THANKS} {mind.WHERE_WAS_I} What is it?"
    told.take_back(plan)
    assert told.plan(None, set()).says == plan.says
    told.read("system", "The caller was on hold for 4 s. Thank them and go on; do not greet again.")
    told.hear(Heard("Hello.", "Hello."))
    assert told.plan(None, set()).says == f"{mind.THANKS} Good day. What is it?"


def test_other_notes_and_its_own_earlier_words_are_only_remembered() -> None:
    told = Mind(LINES)
    told.read("system", "The call is from Chicago.")
    assert told.plan(None, set()).says == mind.HELLO
    again = Mind(LINES)
    again.read("assistant", "Hello, this is Riverside Clinic.")
    assert again.plan(None, set()).says == mind.GO_ON


def test_beside_the_conversation_it_sums_up_or_says_what_it_is_told() -> None:
    told = Mind(LINES)
    assert told.aside("Sum up.").says == "The caller has said nothing yet."
    told.hear(Heard("Hello.", "Hello."))
    assert told.aside("Sum up.").says == "The caller said: Hello."
    assert told.aside('Say exactly, word for word, nothing else: "Hi."').says == "Hi."
