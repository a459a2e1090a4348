"""Turns and replies out of a conversation in which both sides speak whenever they like."""

from __future__ import annotations

from base64 import b64encode

from bridge.audio import BYTES_PER_MS
from bridge.engines import (
    CallerStarted,
    CallerStopped,
    CallerWords,
    Event,
    ReplyDone,
    ReplyKind,
    ReplyStarted,
    ReplyWords,
    ReplyWordsDone,
    SpeechDone,
    Trouble,
)
from bridge.engines.gpt_live_turns import ASKED_PAUSE_MS, CALLER_PAUSE_MS, EXPIRY_MS, PAUSE_MS, YIELDS_MS, Turns

STEP_MS = 100


class Conversation:
    """One as it goes by, and what the listener was told of it."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.now_ms = 1000
        self.events: list[Event] = []
        self.sound: list[str] = []

    def on_speech(self, item_id: str, payload: str) -> None:
        self.sound.append(item_id)

    def on_event(self, event: Event) -> None:
        self.events.append(event)

    def on_message(self, outbound: bool, name: str, text: str) -> None:
        raise AssertionError("turns know no messages")

    def ai(self, ms: int, words: str = "", *, loud: bool = True) -> None:
        """The AI sends sound for so long, after these words."""
        if words:
            self.turns.words(words, self.now_ms, self)
        for _ in range(ms // STEP_MS):
            self.turns.sound("//8=", loud, self.now_ms, self)
            self.now_ms += STEP_MS

    def caller(self, words: str, ms: int = 300) -> None:
        """The caller says this just now."""
        self.turns.caller(words, self.now_ms - ms, self.now_ms, self.now_ms, self)

    def quiet(self, ms: int) -> None:
        """Nobody says anything."""
        self.now_ms += ms
        self.turns.tick(self.now_ms, self)

    def told(self, *kinds: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kinds)]


def test_a_reply_is_sound_without_a_longer_pause() -> None:
    talk = Conversation()
    talk.ai(300, loud=False)
    assert not talk.sound and not talk.events
    talk.ai(300, "Hello.")
    talk.ai(PAUSE_MS - 200, loud=False)
    talk.ai(300, " How can I help?")
    assert talk.turns.speaking == talk.sound[0]
    talk.quiet(PAUSE_MS)
    assert talk.turns.speaking == ""
    assert len(set(talk.sound)) == 1 and len(talk.sound) == 11
    started, done = talk.told(ReplyStarted, ReplyDone)
    assert isinstance(started, ReplyStarted) and isinstance(done, ReplyDone)
    assert (started.kind, done.status, done.spoke) == (ReplyKind.ANSWER, "completed", True)
    assert started.reply_id == done.reply_id
    (text,) = talk.told(ReplyWordsDone)
    assert isinstance(text, ReplyWordsDone) and text.text == "Hello. How can I help?"
    assert [type(event) for event in talk.events[-3:]] == [ReplyWordsDone, SpeechDone, ReplyDone]
    talk.ai(100)
    assert len(talk.told(ReplyStarted)) == 2


def test_last_words_that_come_after_the_sound_are_the_replys_own_and_first_words_the_next_ones() -> None:
    talk = Conversation()
    talk.ai(300, "I see two")
    talk.quiet(PAUSE_MS)
    talk.turns.words(" payments.", talk.now_ms, talk)
    late = talk.told(ReplyWordsDone)[-1]
    assert isinstance(late, ReplyWordsDone) and late.text == "I see two payments."
    talk.turns.words("Shall I", talk.now_ms, talk)
    talk.turns.words(" refund", talk.now_ms, talk)
    talk.ai(100)
    early = talk.told(ReplyWords)[-1]
    assert isinstance(early, ReplyWords) and early.delta == "Shall I refund"
    talk.quiet(5 * PAUSE_MS)
    talk.turns.words(" one?", talk.now_ms, talk)
    assert talk.told(ReplyWords)[-1] == early


def test_what_was_asked_for_is_the_next_reply_and_given_up_when_none_comes() -> None:
    talk = Conversation()
    talk.turns.ask(ReplyKind.ASK, "ask-1", talk.now_ms)
    talk.turns.ask(ReplyKind.SAY, "say-1", talk.now_ms)
    talk.ai(100)
    started = talk.told(ReplyStarted)[0]
    assert isinstance(started, ReplyStarted) and (started.kind, started.request) == (ReplyKind.ASK, "ask-1")
    talk.quiet(EXPIRY_MS)
    assert [event.code for event in talk.told(Trouble) if isinstance(event, Trouble)] == ["request_expired"]
    talk.turns.ask(ReplyKind.ASK, "ask-2", talk.now_ms)
    talk.turns.cut(talk.now_ms, by_caller=False)
    talk.ai(100)
    last = talk.told(ReplyStarted)[-1]
    assert isinstance(last, ReplyStarted) and last.kind is ReplyKind.ANSWER


def test_a_callers_turn_is_over_with_a_pause_or_with_the_ais_reply() -> None:
    talk = Conversation()
    talk.caller(" ")
    assert not talk.events
    talk.caller("I was")
    talk.caller(" charged twice.")
    talk.quiet(CALLER_PAUSE_MS)
    assert [type(event) for event in talk.events] == [CallerStarted, *[CallerWords] * 2, CallerStopped, CallerWords]
    last = talk.events[-1]
    assert isinstance(last, CallerWords) and (last.text, last.final) == ("I was charged twice.", True)
    talk.caller("In March.")
    talk.ai(100)
    assert [type(event) for event in talk.events[-3:]] == [CallerStopped, CallerWords, ReplyStarted]


def test_who_talks_over_the_ai_interrupts_it_and_who_murmurs_does_not() -> None:
    talk = Conversation()
    talk.ai(300, "Hello.")
    talk.caller("Mhm.")
    talk.ai(300)
    assert not talk.told(CallerStarted)
    talk.quiet(PAUSE_MS)
    murmured = talk.told(CallerStarted)[0]
    assert isinstance(murmured, CallerStarted) and murmured.words == ""
    talk.quiet(CALLER_PAUSE_MS)
    talk.ai(300, "Hello.")
    talk.caller("Wait, no", ms=400)
    over = talk.told(CallerStarted)[-1]
    assert isinstance(over, CallerStarted) and (over.speech_ms, over.words) == (400, "Wait, no")


def test_what_was_cut_is_not_heard_until_the_ai_has_paused() -> None:
    talk = Conversation()
    talk.ai(300, "Hello.")
    talk.turns.cut(talk.now_ms, by_caller=True)
    talk.ai(300, " You have reached")
    assert len(talk.sound) == 3 and talk.turns.dropped == 3
    assert [event.status for event in talk.told(ReplyDone) if isinstance(event, ReplyDone)] == ["cancelled"]
    assert not talk.told(SpeechDone)
    talk.quiet(PAUSE_MS)
    talk.ai(300, "Yes?")
    assert len(talk.sound) == 6
    words = talk.told(ReplyWords)[-1]
    assert isinstance(words, ReplyWords) and words.delta == "Yes?"


def test_an_ai_that_does_not_yield_is_heard_again() -> None:
    talk = Conversation()
    talk.ai(300)
    talk.turns.cut(talk.now_ms, by_caller=True)
    talk.ai(YIELDS_MS + STEP_MS)
    assert len(talk.sound) == 4


def test_an_ai_that_may_not_answer_is_not_heard_and_one_that_may_again_begins_anew() -> None:
    talk = Conversation()
    talk.turns.may_answer(True, talk.now_ms)
    talk.turns.may_answer(False, talk.now_ms)
    talk.ai(300, "Hello.")
    assert not talk.sound and not talk.told(ReplyStarted)
    talk.turns.may_answer(True, talk.now_ms)
    talk.ai(300)
    assert not talk.sound
    talk.quiet(PAUSE_MS)
    talk.ai(100)
    assert len(talk.sound) == 1


def test_an_unheard_turn_is_no_more() -> None:
    talk = Conversation()
    talk.caller("My card number is")
    talk.turns.unhear()
    talk.quiet(CALLER_PAUSE_MS)
    assert not talk.told(CallerStopped)


def test_words_that_come_behind_the_first_sound_begin_the_reply_without_a_blank() -> None:
    talk = Conversation()
    talk.ai(100)
    talk.ai(300, " Hello.")
    talk.quiet(PAUSE_MS)
    assert [event.delta for event in talk.events if isinstance(event, ReplyWords)] == ["Hello."]


def test_a_reply_that_was_asked_for_is_apart_from_those_close_to_it() -> None:
    talk = Conversation()
    talk.ai(300, "Two payments.")
    talk.turns.ask(ReplyKind.ASK, "r1", talk.now_ms)
    talk.quiet(ASKED_PAUSE_MS)
    talk.ai(300, "We close soon.")
    talk.quiet(ASKED_PAUSE_MS)
    talk.ai(300, "Anything else?")
    started = [(event.kind, event.request) for event in talk.events if isinstance(event, ReplyStarted)]
    assert started == [(ReplyKind.ANSWER, ""), (ReplyKind.ASK, "r1"), (ReplyKind.ANSWER, "")]


def test_it_is_known_whether_the_ai_speaks_or_is_about_to() -> None:
    talk = Conversation()
    assert not talk.turns.is_at_it(talk.now_ms)
    talk.ai(100)
    assert talk.turns.is_at_it(talk.now_ms)
    talk.quiet(PAUSE_MS)
    assert not talk.turns.is_at_it(talk.now_ms)
    talk.turns.ask(ReplyKind.ASK, "ask-1", talk.now_ms)
    assert talk.turns.is_at_it(talk.now_ms)


def test_an_ai_that_was_made_to_stop_is_heard_with_the_next_that_it_says() -> None:
    talk = Conversation()
    talk.ai(300)
    talk.turns.cut(talk.now_ms, by_caller=False)
    talk.ai(100)
    talk.turns.stopped(talk.now_ms)
    talk.ai(100)
    assert len(talk.sound) == 4 and talk.turns.dropped == 1


def test_what_was_heard_of_a_reply_is_whole_words_of_it() -> None:
    talk = Conversation()
    talk.turns.words("I see two payments of March.", talk.now_ms, talk)
    talk.turns.sound(b64encode(bytes(2000 * BYTES_PER_MS)).decode(), True, talk.now_ms, talk)
    item_id = talk.turns.speaking
    assert talk.turns.heard_of(item_id, 1000) == "I see two"
    assert talk.turns.heard_of(item_id, 2000) is None
    assert talk.turns.heard_of("no such item", 1000) is None
    talk.quiet(PAUSE_MS)
    talk.turns.sound("//8=", True, talk.now_ms, talk)
    assert talk.turns.heard_of(talk.turns.speaking, 0) is None
    assert talk.turns.heard_of(item_id, 1000) == "I see two"


def test_an_opening_in_another_voice_is_a_whole_reply_after_what_runs() -> None:
    talk = Conversation()
    talk.ai(300, "Well,")
    talk.turns.opened("Hello, this is an AI.", bytes(1000 * BYTES_PER_MS), talk.now_ms, talk)
    started = [event.kind for event in talk.events if isinstance(event, ReplyStarted)]
    assert started == [ReplyKind.ANSWER, ReplyKind.GREETING]
    assert [event.text for event in talk.events if isinstance(event, ReplyWordsDone)] == [
        "Well,",
        "Hello, this is an AI.",
    ]
    assert [event.status for event in talk.events if isinstance(event, ReplyDone)] == ["completed", "completed"]
    assert talk.turns.speaking == "" and talk.turns.heard_of(talk.sound[-1], 500) == "Hello,"
    talk.turns.words(" How can I", talk.now_ms, talk)
    talk.ai(100)
    assert [event.delta for event in talk.events if isinstance(event, ReplyWords)][-1] == "How can I"
    quiet = Conversation()
    quiet.turns.opened("Hello.", bytes(8), quiet.now_ms, quiet)
    assert [type(event) for event in quiet.events][-1] is ReplyDone
