"""Whose turn it is: from sound, words and the transcriber's hints to who speaks next.

Nothing here waits or reads a clock: times are call times (ms), given with each event, and `next_at_ms` says
when `tick` is due. Every method returns what follows from the event, in order. A turn of the caller is told
by `Began` and closed by exactly one `Ended` or `FalseAlarm`. A transcriber's turns are called parts here,
since a caller who pauses within a sentence makes several of them out of one.

The rule for noise and assent ("mm-hm") is about time and words, as in other systems; what their users
complain of is in the tests, each with its thread.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

from bridge.audio import FRAME_MS
from bridge.engines.phrases import Finish, finish_of, is_assent, words_of

SILENCE_MS = 8_000

BEGIN_MS = 100
"""So much sound begins a turn while the AI is silent: less is a click or the detector's flicker."""

HALT_MS = 250
"""So much halts an answer in the making: stopping it costs little, two who begin at once much."""

INTERRUPT_MS = 500
"""So much cuts the AI off before any words are known: a cough or an "mm-hm" is shorter."""

ASSENT_INTERRUPTS_MS = 2_000
"""Who makes sound for so long says more than the assent that was understood so far."""

GAP_MS = 200
"""Shorter silences are within a word or between two."""

PAUSE_MS = 200
"""After this `FellSilent` is told: a transcriber that does not judge by itself may write down what it has."""

RESUME_MS = 1_500
"""So long after the last sound words may still come; then it was a false alarm."""

RESUME_LATE_MS = 3_000
"""The same for a transcriber that begins to write only when the caller pauses."""

NO_WORDS_MS = 5_000
"""Sound for so long without new words is noise: music, a television, a bad line."""

FORGET_MS = 1_000
"""Assent over the AI's words is forgotten after this; before it, if the AI finishes, it is the answer."""

WAIT_MS = {Finish.COMPLETE: 350, Finish.OPEN: 700, Finish.UNFINISHED: 1_800, Finish.DICTATING: 2_500}
"""Silence that ends a turn which looks like this: people pause longest between groups of digits."""

FINAL_WAIT_MS = 700
"""So long more the final words are waited for; then the last interim ones count."""

COMMIT_WAIT_MS = 2_000
"""The same where final words are sure to come: a transcriber that judges what it has whenever the caller pauses."""

COMMITTED_MS = 100
"""So much sound until a pause is worth judging, and gets words of its own."""

VENDOR_WAIT_MS = 7_000
"""Longest silence left to a transcriber that judges turns itself; Flux ends them after 5 s at the latest."""

TIMES_TO_ASK = 2
_PARTS_KEPT = 32


@dataclass(frozen=True, slots=True)
class Began:
    """The caller speaks, and the AI is to be silent. at_ms: since when.

    speech_ms, level_db, words: how long, how loud (-100 if only words are known) and what, so far: the cause.
    interrupts: the AI spoke, or was about to.
    """

    turn_id: str
    at_ms: int
    speech_ms: int
    level_db: float
    words: str
    interrupts: bool


@dataclass(frozen=True, slots=True)
class FellSilent:
    """The caller made no sound since ``at_ms``; the turn may go on. Told once for each pause."""

    turn_id: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class MayAnswer:
    """The turn may be about to end with these words: an answer can be prepared, but not played."""

    turn_id: str
    text: str


@dataclass(frozen=True, slots=True)
class TakeBack:
    """It did not end so: what was prepared for `MayAnswer` is void."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The turn is over; answer it. What was prepared, and not taken back, is for this text. at_ms: last sound."""

    turn_id: str
    text: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class FalseAlarm:
    """It was no turn. resume: the AI was stopped for it and is to go on where it was."""

    turn_id: str
    resume: bool


@dataclass(frozen=True, slots=True)
class AreYouThere:
    """Nobody has said anything for long: ask whether they are there. count: 1, 2."""

    count: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Nor did they answer. Told once until the caller is heard again."""


Outcome: TypeAlias = Began | FellSilent | MayAnswer | TakeBack | Ended | FalseAlarm | AreYouThere | GiveUp


class _Ai(Enum):
    SILENT = auto()
    THINKS = auto()
    SPEAKS = auto()


_LEAST_SOUND_MS = {_Ai.SILENT: BEGIN_MS, _Ai.THINKS: HALT_MS, _Ai.SPEAKS: INTERRUPT_MS}


@dataclass(slots=True)
class _Part:
    text: str = ""
    final: bool = False


@dataclass(slots=True)
class _Said:
    """What the caller is saying: at first only a suspicion, with a turn_id a turn."""

    at_ms: int
    parts: dict[str, _Part] = field(default_factory=dict)
    turn_id: str = ""
    began_ms: int = 0
    interrupts: bool = False
    vendor_started: bool = False
    sound_ms: int = 0
    sound_to_ms: int | None = None
    level_db: float = -100.0
    words_ms: int | None = None
    pause_told: bool = False
    prepared: str | None = None
    ended_part: str = ""
    ended_ms: int | None = None
    failed: bool = False
    unjudged_ms: int = 0
    """Of their sound since the last pause that was told."""

    owed: int = 0
    """Pauses that were told, after sound, and brought no final words yet."""

    text: str = ""
    final: bool = True
    assent: bool = False
    finish: Finish = Finish.OPEN

    def understand(self, language: str) -> None:
        """Judge the words anew; only when a part changed, not for every frame."""
        self.text = " ".join(part.text for part in self.parts.values() if part.text)
        self.final = all(part.final for part in self.parts.values())
        self.assent = is_assent(self.text, language)
        self.finish = finish_of(self.text, language)

    @property
    def active_ms(self) -> int:
        """When they were last heard; by their sound if that is known, since words come late."""
        return self.sound_to_ms if self.sound_to_ms is not None else self.words_ms or self.at_ms


class TurnTaking:
    """One caller and one AI.

    language: of the caller, "en", "de-CH", "multi". vendor_knows: the transcriber judges turns by their sense
    (Flux), so its word is final; otherwise an unfinished sentence is waited for. interim: it tells words while
    they are spoken. commits: it judges them whenever `FellSilent` is told, and only then. eager: whether
    `MayAnswer` is ever told. silence_ms: after which `AreYouThere` is told.
    """

    def __init__(
        self,
        *,
        language: str = "en",
        vendor_knows: bool = False,
        interim: bool = True,
        commits: bool = False,
        eager: bool = True,
        silence_ms: int = SILENCE_MS,
    ) -> None:
        self._language = language
        self._vendor_knows = vendor_knows
        self._interim = interim
        self._commits = commits
        self._eager = eager
        self._silence_ms = silence_ms
        self._now_ms = 0
        self._ai = _Ai.SILENT
        self._said: _Said | None = None
        self._turns = 0
        self._taken: dict[str, int | None] = {}
        self._heard_since_turn = False
        self._noise_to_ms: int | None = None
        self._quiet_since_ms: int | None = None
        self._asked = 0
        self._caller_expected = True

    # What is heard.

    def frame(self, speech: bool, level_db: float, at_ms: int) -> list[Outcome]:
        """One frame (20 ms) that began at ``at_ms``: whether it holds speech, and how loud it is."""
        end_ms = at_ms + FRAME_MS
        if speech and not self._is_noise(at_ms, end_ms):
            self._heard_since_turn = True
            said = self._suspect(at_ms)
            if said.sound_to_ms is None or at_ms - said.sound_to_ms > GAP_MS:
                said.sound_ms = 0
                if not said.text and not said.vendor_started:
                    said.at_ms = at_ms
            said.sound_ms += FRAME_MS
            said.unjudged_ms += FRAME_MS
            said.sound_to_ms = end_ms
            said.level_db = max(said.level_db, level_db)
            said.pause_told = False
        return self._judge(end_ms)

    def started(self, part_id: str, at_ms: int) -> list[Outcome]:
        """The transcriber noticed that the caller began a part."""
        if part_id not in self._taken:
            said = self._suspect(at_ms)
            said.parts.setdefault(part_id, _Part())
            said.understand(self._language)
            said.vendor_started = True
        return self._judge(at_ms)

    def words(self, part_id: str, text: str, final: bool, at_ms: int) -> list[Outcome]:
        """The whole text of a part as known so far; final when it will not change."""
        told: list[Outcome] = []
        words = self._new_words(part_id, text)
        if words or (self._said is not None and part_id in self._said.parts):
            said = self._suspect(at_ms)
            part = said.parts.setdefault(part_id, _Part())
            before = words_of(said.text)
            part.text, part.final = words, final
            said.owed -= final and said.owed > 0
            said.understand(self._language)
            if words_of(said.text) != before:
                said.words_ms = max(at_ms, self._now_ms)
                if part_id != said.ended_part:
                    said.ended_ms = None
                told += self._take_back_unless(said, said.text)
        return told + self._judge(at_ms)

    def failed(self, part_id: str, at_ms: int) -> list[Outcome]:
        """A part will never have its words."""
        if self._said is not None and part_id in self._said.parts:
            self._said.parts[part_id].final = True
            self._said.understand(self._language)
            self._said.failed = True
            self._said.owed -= self._said.owed > 0
        return self._judge(at_ms)

    def may_end(self, part_id: str, at_ms: int) -> list[Outcome]:
        """The transcriber believes that the part is about to be over."""
        told = self._judge(at_ms)
        said = self._said
        if said is None or not said.turn_id or part_id not in said.parts or not self._eager:
            return told
        text = said.text
        if text and said.prepared is None and not self._waits_for_more(said) and not _is_mere_assent(said):
            said.prepared = text
            told.append(MayAnswer(said.turn_id, text))
        return told

    def goes_on(self, part_id: str, at_ms: int) -> list[Outcome]:
        """It was not: the same part goes on."""
        told: list[Outcome] = []
        if self._said is not None and part_id in self._said.parts:
            self._said.ended_ms = None
            told += self._take_back_unless(self._said, None)
        return told + self._judge(at_ms)

    def ended(self, part_id: str, at_ms: int) -> list[Outcome]:
        """The transcriber judges that the caller finished this part."""
        if self._said is not None and part_id in self._said.parts:
            self._said.ended_part = part_id
            self._said.ended_ms = max(at_ms, self._now_ms)
        return self._judge(at_ms)

    def key(self, at_ms: int) -> list[Outcome]:
        """The caller pressed a key: they are there."""
        self._caller_is_there(at_ms)
        return self._judge(at_ms)

    # What the AI does, and whether the caller has heard it.

    def thinks(self, at_ms: int) -> list[Outcome]:
        """An answer is being made or a tool runs; nothing is heard of it yet."""
        return self._becomes(_Ai.THINKS, at_ms)

    def speaks(self, at_ms: int) -> list[Outcome]:
        """The AI's sound begins to be played."""
        return self._becomes(_Ai.SPEAKS, at_ms)

    def played(self, at_ms: int) -> list[Outcome]:
        """The caller has heard all that the AI said, as the carrier confirmed, or it was cut; nothing else runs."""
        return self._becomes(_Ai.SILENT, at_ms)

    def caller_expected(self, expected: bool, at_ms: int) -> list[Outcome]:
        """Whether the AI awaits the caller at all; not so while an operator has the floor."""
        told = self._judge(at_ms)
        self._caller_expected = expected
        self._caller_is_there(at_ms)
        return told

    def forget(self, at_ms: int) -> list[Outcome]:
        """What the caller says now is not meant for the AI: a turn under way is no more."""
        told: list[Outcome] = []
        if self._said is not None:
            for part in self._said.parts.values():
                part.final = True  # what is still to come of it is not meant for the AI either
            told += self._close(self._said, FalseAlarm(self._said.turn_id, resume=False))
        return told + self._judge(at_ms)

    # The passing of time.

    def tick(self, at_ms: int) -> list[Outcome]:
        """Time passed."""
        return self._judge(at_ms)

    def next_at_ms(self) -> int | None:
        """When `tick` is due at the latest; None if nothing is awaited."""
        said = self._said
        times = [self._silence_due_ms()]
        if said is not None and not said.turn_id:
            times.append(said.active_ms + FORGET_MS)
        elif said is not None:
            times += [self._pause_due_ms(said), self._false_alarm_due_ms(said), self._end_due_ms(said)]
        return min((time for time in times if time is not None), default=None)

    # How it is judged.

    def _judge(self, at_ms: int) -> list[Outcome]:
        now_ms = self._now_ms = max(self._now_ms, at_ms)
        said, told = self._said, list[Outcome]()
        if said is not None and not said.turn_id:
            if self._counts(said):
                told.append(self._begin(said))
            elif now_ms >= said.active_ms + FORGET_MS:
                self._close(said, None)
        if said is not None and said.turn_id:
            if _past(self._pause_due_ms(said), now_ms):
                said.pause_told = True
                said.owed += said.unjudged_ms >= COMMITTED_MS
                said.unjudged_ms = 0
                told.append(FellSilent(said.turn_id, said.active_ms))
            if _past(self._false_alarm_due_ms(said), now_ms):
                told += self._close(said, FalseAlarm(said.turn_id, said.interrupts))
            elif _past(self._end_due_ms(said), now_ms):
                told += self._close(said, Ended(said.turn_id, said.text, said.active_ms))
                self._caller_is_there(now_ms)
        if _past(self._silence_due_ms(), now_ms):
            self._asked += 1
            self._quiet_since_ms = now_ms
            told.append(AreYouThere(self._asked) if self._asked <= TIMES_TO_ASK else GiveUp())
        return told

    def _counts(self, said: _Said) -> bool:
        """Whether what is heard is a turn rather than noise, or assent while it is the AI's turn."""
        if self._ai is _Ai.SILENT:
            return bool(said.text) or said.vendor_started or said.sound_ms >= BEGIN_MS
        if said.text:
            return not said.assent or said.sound_ms >= ASSENT_INTERRUPTS_MS
        return said.sound_ms >= _LEAST_SOUND_MS[self._ai]

    def _begin(self, said: _Said) -> Began:
        self._turns += 1
        said.turn_id = f"turn_{self._turns}"
        said.began_ms = self._now_ms
        said.interrupts = self._ai is not _Ai.SILENT
        return Began(said.turn_id, said.at_ms, said.sound_ms, said.level_db, said.text, said.interrupts)

    def _pause_due_ms(self, said: _Said) -> int | None:
        return None if said.pause_told or said.sound_to_ms is None else said.sound_to_ms + PAUSE_MS

    def _false_alarm_due_ms(self, said: _Said) -> int | None:
        if _is_mere_assent(said):
            return said.active_ms + (GAP_MS if said.final else RESUME_MS)
        if said.text:
            return None
        if said.failed:
            return self._now_ms
        if self._interim:
            return min(max(said.active_ms, said.began_ms) + RESUME_MS, said.began_ms + NO_WORDS_MS)
        if said.sound_to_ms is None and said.ended_ms is None:
            return None  # only the transcriber hears them, and will say when they have finished
        return max(said.active_ms, said.ended_ms or 0) + RESUME_LATE_MS

    def _end_due_ms(self, said: _Said) -> int | None:
        if not said.text or said.words_ms is None or _is_mere_assent(said):
            return None
        late_ms = self._final_wait_ms(said)
        if self._vendor_knows:
            return said.words_ms + VENDOR_WAIT_MS if said.ended_ms is None else said.ended_ms + late_ms
        if said.ended_ms is not None and not self._waits_for_more(said):
            return said.ended_ms + late_ms
        due_ms = said.active_ms + WAIT_MS[said.finish] + late_ms
        return min(due_ms, said.words_ms + NO_WORDS_MS) if self._interim else due_ms

    def _final_wait_ms(self, said: _Said) -> int:
        if self._commits:
            return 0 if said.final and not said.owed else COMMIT_WAIT_MS
        return 0 if said.final else FINAL_WAIT_MS

    def _waits_for_more(self, said: _Said) -> bool:
        return not self._vendor_knows and said.finish in (Finish.UNFINISHED, Finish.DICTATING)

    def _silence_due_ms(self) -> int | None:
        speaking = self._said is not None and self._said.turn_id
        if self._quiet_since_ms is None or speaking or not self._caller_expected or self._asked > TIMES_TO_ASK:
            return None
        return self._quiet_since_ms + self._silence_ms * (2 if self._asked else 1)

    # What is kept.

    def _suspect(self, at_ms: int) -> _Said:
        if self._said is None:
            self._said = _Said(at_ms)
        return self._said

    def _becomes(self, ai: _Ai, at_ms: int) -> list[Outcome]:
        told = self._judge(at_ms)
        self._ai = ai
        self._quiet_since_ms = self._now_ms if ai is _Ai.SILENT else None
        return told + self._judge(at_ms)

    def _caller_is_there(self, at_ms: int) -> None:
        self._asked = 0
        if self._quiet_since_ms is not None:
            self._quiet_since_ms = max(at_ms, self._now_ms)

    def _take_back_unless(self, said: _Said, text: str | None) -> list[Outcome]:
        """Void what was prepared unless it was for these words."""
        if said.prepared is None or (text is not None and words_of(said.prepared) == words_of(text)):
            return []
        said.prepared = None
        return [TakeBack(said.turn_id)]

    def _close(self, said: _Said, outcome: Ended | FalseAlarm | None) -> list[Outcome]:
        """What was said is dealt with; of its parts only what comes in addition is new."""
        told: list[Outcome] = []
        if said.turn_id and outcome is not None:
            if isinstance(outcome, FalseAlarm):
                told += self._take_back_unless(said, None)
            told.append(outcome)
        for part_id, part in said.parts.items():
            taken = self._taken.get(part_id) or 0
            self._taken[part_id] = None if part.final else taken + len(part.text.split())
        for part_id in list(self._taken)[:-_PARTS_KEPT]:
            del self._taken[part_id]
        if not said.text and said.sound_to_ms is not None:
            self._noise_to_ms = said.sound_to_ms
        self._said = None
        self._heard_since_turn = False
        return told

    def _is_noise(self, at_ms: int, end_ms: int) -> bool:
        """Whether this is still the sound that turned out to be no speech: it is until it pauses."""
        if self._noise_to_ms is None:
            return False
        if at_ms - self._noise_to_ms > GAP_MS:
            self._noise_to_ms = None
            return False
        self._noise_to_ms = end_ms
        return True

    def _new_words(self, part_id: str, text: str) -> str:
        """What a part says beyond what was dealt with already; "" if that is only a second thought about it."""
        if part_id not in self._taken:
            return text.strip()
        taken = self._taken[part_id]
        words = [] if taken is None else text.split()[taken:]
        known = self._said is not None and part_id in self._said.parts
        return " ".join(words) if known or self._heard_since_turn or len(words) > 1 else ""


def _past(due_ms: int | None, now_ms: int) -> bool:
    return due_ms is not None and now_ms >= due_ms


def _is_mere_assent(said: _Said) -> bool:
    """Whether the AI was stopped for words that only show that somebody listens."""
    return said.interrupts and said.assent
