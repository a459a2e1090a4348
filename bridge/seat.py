"""The AI's seat at a call: which engine sits in it, and how the next one takes it.

`succession` decides who follows; here engines are opened, told the call so far, and let speak. A
lost one is replaced at once, and what the caller said last is heard again by its successor. A swap
by an operator, the successor of a session about to expire, and the menu that follows an AI whose
budget is spent are made ready first and take the seat at a quiet moment, so that the caller hears no
gap and every sentence to its end.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace

from bridge import call as calls
from bridge import engines
from bridge.ai import AI
from bridge.budget import Budget, Level
from bridge.control import Floor, MarkerKind, Party, Phase
from bridge.engines import Because, Destination, EngineLost, HandedOn, Ready, Used
from bridge.live import Live
from bridge.memory import is_anything, remembered
from bridge.quiet import Quiet
from bridge.sitter import Sitter
from bridge.succession import MENU, PIN, WITHOUT_AI, Succession

log = logging.getLogger("cordboard.seat")

ROLL_AHEAD_MS = 300_000
"""How long before its session expires an engine's successor is made ready, or a tenth of its life if that is less."""

SWAP_PATIENCE_MS = 4000
"""A swap that was asked for waits this long for a quiet moment; then the AI's sentence is cut."""

SPENT_PATIENCE_MS = 15_000
"""Once the budget is spent a quiet moment is waited for so long; then the AI's sentence is the last, whoever speaks."""

ROLL_AGAIN_MS = 10_000

HEARD_WITHIN_MS = 1000
"""So soon a successor must have noticed the turn that it was given to hear; else that turn is lost to it."""

INTERRUPTED = (
    "The line to the caller was interrupted for a moment, by a fault of ours. They heard the conversation as it "
    "stands here. Go on from there; do not greet them again."
)
LOST_WORDS = f"{INTERRUPTED} What they said last was lost: ask them to say it again."


class Seat:
    """One call's engines at work."""

    def __init__(self, live: Live, ai: AI) -> None:
        profile = live.profile
        ladder = (profile.engine, *profile.then)
        self._budget = Budget(profile.budget_usd, MENU in ladder)
        self._spent_ms: float | None = None
        """When the budget was found spent, while the AI is still heard to its end."""

        self._live = live
        self._ai = ai
        self._succession = Succession((PIN, *ladder) if profile.pin is not None else ladder)
        self._sitter: Sitter | None = None
        self._coming: Sitter | None = None
        self._greeted = False
        self._is_over = False
        self._owed = False
        self._unheard_ms: float | None = None
        """Until when the seated engine must have noticed the turn that was lost with its predecessor."""

        self._quiet = Quiet(live, ai)
        self._hang_up: str | None = None
        self._roll_ms: float | None = None
        self._ring_over_ms: float | None = None
        live.awaited = self._is_awaited
        live.picture.engines = ladder
        live.picture.budget_usd = profile.budget_usd

    # ── what the call asks ──

    def open(self) -> None:
        """The call begins."""
        self._sit(self._opened(self._succession.begin()))

    def greet(self) -> None:
        """The first engine may speak."""
        sitter = self._sitter
        if sitter is None:
            return
        self._greeted = sitter.name != PIN
        sitter.engine.greet(self._live.profile.first_line if self._greeted else "")

    def swap(self, name: str) -> None:
        """Let this engine go on as soon as it is ready and nobody is speaking; an AI, whatever it costs."""
        self._live.picture.note(f"Another engine is called: {name}", "swap", self._live.now_ms())
        if self._succession.is_spent and name not in WITHOUT_AI:
            self._lift_budget()
        self._call_in(name, Because.BY_HAND).wanted_ms = self._live.now_ms()

    def ring(self) -> None:
        """No engine is left: operators are asked to come."""
        live = self._live
        live.engine_takes_keys = False
        live.picture.met("engine")
        what = "the AI's budget is spent" if self._succession.is_spent else "no AI is left"
        live.picture.need("ring", f"{what}: take over")
        self._ring_over_ms = live.now_ms() + (live.house.ring_s * 1000 if live.house.is_watched() else 0)

    async def close(self) -> None:
        """The call is over."""
        self._is_over = True
        engines = [sitter.engine for sitter in (self._sitter, self._coming) if sitter is not None]
        await asyncio.gather(*(engine.close() for engine in engines))

    # ── every tick ──

    def watch(self) -> None:
        """Successors take the seat, sessions are rolled over, and what was to happen in quiet happens."""
        if self._is_over:
            return
        live, now_ms = self._live, self._live.now_ms()
        if live.call.floor is not Floor.AI:
            # A person has other plans with the caller than the engine had.
            self._hang_up = None
        self._look_at_cost()
        quiet = self._quiet.look(self._hang_up is not None or self._coming is not None or self._spent_ms is not None)
        if self._hang_up is not None and quiet:
            why, self._hang_up = self._hang_up, None
            live.apply(calls.HangUp(Party.AI, why))
        if self._ring_over_ms is not None and now_ms > self._ring_over_ms:
            self._ring_over_ms = None
            live.apply(calls.RingOver())
        if self._unheard_ms is not None:
            self._look_whether_heard(self._unheard_ms)
        coming = self._coming
        if coming is not None and coming.is_ready:
            overdue = coming.wanted_ms is not None and now_ms - coming.wanted_ms > SWAP_PATIENCE_MS
            now_good = self._quiet.is_calm if self._is_renewal(coming) else quiet
            if now_good or overdue or self._is_last_sentence_over():
                self._change_over(coming)
        elif coming is None and self._spent_ms is not None:
            if quiet or self._is_last_sentence_over():
                self._ring_since_spent()
        elif coming is None and self._roll_ms is not None and now_ms > self._roll_ms:
            self._roll_ms = None
            self._call_in(self._succession.current)

    def _is_renewal(self, coming: Sitter) -> bool:
        """Whether it comes for no other reason than that a session has an end."""
        sitter = self._sitter
        again = sitter is not None and sitter.name == coming.name and not sitter.has_handed_on
        return again and coming.wanted_ms is None

    def _is_awaited(self) -> bool:
        sitter, coming = self._sitter, self._coming
        handed_on = sitter is not None and sitter.has_handed_on
        if coming is not None and not self._is_renewal(coming) and (handed_on or coming.wanted_ms is None):
            return True
        opening = sitter is not None and not sitter.is_ready
        return self._ai.is_due or self._ai.hears_again or (self._owed and opening)

    def _look_whether_heard(self, until_ms: float) -> None:
        """A successor that does not notice the turn which it was given to hear says that it was lost."""
        live = self._live
        if not self._ai.hears_again:
            self._unheard_ms = None
        elif live.now_ms() > until_ms and not live.caller_sounds():
            self._unheard_ms, self._owed = None, True
            self._ai.let_go()
            if live.call.floor is Floor.AI:
                self._go_on(LOST_WORDS)

    # ── what it costs ──

    def _look_at_cost(self) -> None:
        """Warn of a budget that is nearly spent; once it is, the AI's running answer is its last."""
        live = self._live
        level = self._budget.reached(live.picture.cost_usd) if live.call.phase is Phase.LIVE else None
        if level is None:
            return
        cost_usd = live.picture.cost_usd
        if level is Level.NEARLY:
            live.trouble("budget nearly spent", self._budget.words(level, cost_usd))
            return
        menu = self._succession.spent()
        live.note_down("budget_spent", {"cost_usd": cost_usd, "next": menu}, live.now_ms())
        next_one = self._coming or self._sitter
        if next_one is None or next_one.name in WITHOUT_AI:
            # Figures came late: no AI has the call any more.
            return
        live.trouble("budget spent", self._budget.words(level, cost_usd))
        self._spent_ms = live.now_ms()
        if menu:
            self._call_in(menu, Because.BUDGET)
        elif self._coming is not None:
            self._leave(self._coming)
            self._expect(None)

    def _is_last_sentence_over(self) -> bool:
        """Whether no quiet moment came for long since the budget was spent, and at least the AI is not heard now."""
        late = self._spent_ms is not None and self._live.now_ms() - self._spent_ms > SPENT_PATIENCE_MS
        return late and not self._quiet.ai_is_heard

    def _ring_since_spent(self) -> None:
        """The AI has said its last, and there is no menu."""
        self._ai.engine_left()
        if self._sitter is not None:
            self._leave(self._sitter)
        self._sitter = self._unheard_ms = self._roll_ms = None
        self._none_left("the AI's budget was spent")

    def _lift_budget(self) -> None:
        """An operator lets an AI go on at any cost."""
        self._budget.lift()
        self._succession.lifted()
        self._spent_ms = self._live.picture.budget_usd = None
        self._live.picture.note("The AI's budget was lifted for this call", "budget lifted", self._live.now_ms())

    # ── what engines report ──

    def told(self, sitter: Sitter, event: engines.Event) -> None:
        """An event of this engine's."""
        seated = sitter is self._sitter
        match event:
            case Ready() if not sitter.is_ready and (seated or sitter is self._coming):
                self._is_ready(sitter, event)
            case HandedOn() if seated:
                self._handed_on(event)
            case Used():
                # The last figures of one that left are not its successor's.
                self._ai.on_event(event if event.vendor else replace(event, vendor=sitter.name))
            case _ if seated:
                self._ai.on_event(event)

    def message(self, sitter: Sitter, outbound: bool, name: str, text: str) -> None:
        """A wire message of this engine's."""
        self._live.picture.message(self._live.now_ms(), sitter.name, outbound, name, text)

    def unheard(self, item_id: str, payload: str) -> None:
        """Sound of an engine that is not seated."""

    def _is_ready(self, sitter: Sitter, ready: Ready) -> None:
        live, now_ms = self._live, self._live.now_ms()
        sitter.is_ready, sitter.takes_keys = True, ready.takes_keys
        if sitter is self._sitter:
            live.engine_takes_keys = ready.takes_keys
        if not ready.takes_keys:
            # A menu is no AI: that it came says nothing of whether one can be had.
            live.house.engine_ready(ready.model)
        if sitter is self._coming and self._sitter is not None and self._sitter.is_ready:
            self._plan_roll(ready)
            return
        if sitter is self._coming:
            self._succeed(sitter, f"engine: {sitter.name}")
        self._succession.ready(now_ms)
        self._plan_roll(ready)
        had_floor = live.call.floor is Floor.AI
        self._serves()
        if had_floor:
            self._take_up()
        else:
            self._owed = False

    def _serves(self) -> None:
        """The engine in the seat is ready: whoever was asked to come since there was none need not any more."""
        self._live.picture.met("engine", "ring")
        self._live.apply(calls.EngineReady())

    def _plan_roll(self, ready: Ready) -> None:
        if ready.expires_unix_ms is None:
            self._roll_ms = self._live.picture.session_expires_ms = None
            return
        now_ms = self._live.now_ms()
        left_ms = ready.expires_unix_ms - time.time() * 1000
        self._live.picture.session_expires_ms = round(now_ms + left_ms)
        self._roll_ms = now_ms + left_ms - min(ROLL_AHEAD_MS, left_ms / 10)

    def _take_up(self) -> None:
        """A successor sits down in the middle of a call."""
        if self._sitter is not None and self._sitter.takes_keys:
            # A menu listens to no words.
            self._ai.let_go()
        if self._ai.hears_again:
            self._unheard_ms = self._live.now_ms() + HEARD_WITHIN_MS
        picture = self._live.picture
        is_begun = self._ai.has_spoken or is_anything(picture.transcript.views(), picture.tools.values())
        if is_begun or self._ai.hears_again:
            self._go_on(INTERRUPTED)
        else:
            # Of the greeting nothing was heard.
            self._owed = False
            self.greet()

    def _go_on(self, note: str) -> None:
        """It answers what is owed."""
        sitter = self._sitter
        if sitter is not None and (self._owed or sitter.takes_keys):
            self._live.picture.thinking = True
            sitter.engine.tell(note)
            sitter.engine.answer_now()
        self._owed = False

    # ── sitting down and getting up ──

    def _opened(self, name: str, because: Because | None = None) -> Sitter:
        live = self._live
        sitter = Sitter(self, name, live.house.engine(live.profile, name, live.picture.number, because))
        live.start(self._run(sitter))
        return sitter

    def _call_in(self, name: str, because: Because | None = None) -> Sitter:
        """It is opened, to take the seat next; whoever was to before is not wanted any more."""
        if self._coming is not None:
            self._leave(self._coming)
        coming = self._opened(name, because)
        self._expect(coming)
        return coming

    def _expect(self, coming: Sitter | None) -> None:
        """It is to take the seat next. Operators see which engine comes; one's own renewal is no news."""
        self._coming = coming
        name, picture = coming.name if coming is not None else "", self._live.picture
        picture.coming = "" if name == picture.engine else name
        picture.changed()

    def _sit(self, sitter: Sitter) -> None:
        """It has the seat from now on, and knows the call so far; all that is asked of it waits until it is ready."""
        live = self._live
        self._sitter, self._spent_ms = sitter, None
        sitter.on_speech = self._ai.on_speech
        live.engine = sitter.engine
        live.engine_takes_keys = sitter.takes_keys
        live.keys_masked = sitter.name == PIN
        live.picture.engine = live.picture.transcript.engine = sitter.name
        if memory := remembered(live.picture.transcript.views(), live.picture.tools.values()):
            sitter.engine.recall(memory)
        if live.call.phase is Phase.LIVE and live.call.floor is not Floor.AI:
            sitter.engine.may_answer(False)
        live.changed()

    def _succeed(self, coming: Sitter, label: str) -> None:
        """Whoever was to come is there: whoever sat leaves, and what the caller said last is heard again."""
        now_ms = self._live.now_ms()
        self._expect(None)
        if self._sitter is not None:
            self._leave(self._sitter)
        self._sit(coming)
        self._ai.hear_again()
        self._succession.handed_on(coming.name, now_ms)
        self._live.picture.mark(now_ms, MarkerKind.ENGINE, label)

    def _change_over(self, coming: Sitter) -> None:
        """From one engine that serves to another that is ready."""
        live, now_ms, former = self._live, self._live.now_ms(), self._sitter
        rolled = self._is_renewal(coming)
        if not self._quiet.is_now and live.call.floor is Floor.AI:
            self._ai.cut(Party.OPERATOR)
        owed = self._ai.engine_left()
        self._hang_up = None
        self._succeed(coming, "session renewed" if rolled else f"engine: {coming.name}")
        live.note_down("engine", {"engine": coming.name, "rolled": rolled}, now_ms)
        self._serves()
        if live.call.floor is not Floor.AI:
            # A person speaks with the caller, or nobody may.
            self._greeted = True
        elif not self._greeted:
            self.greet()
        else:
            self._owed = owed or self._owed or (former is not None and former.name in WITHOUT_AI)
            self._take_up()

    def _leave(self, sitter: Sitter) -> None:
        sitter.on_speech = self.unheard
        self._live.house.spawn(sitter.engine.close())

    async def _run(self, sitter: Sitter) -> None:
        """Converse until the engine is closed or lost."""
        try:
            await sitter.engine.run(sitter)
        except EngineLost as lost:
            self._lost(sitter, lost)

    def _lost(self, sitter: Sitter, lost: EngineLost) -> None:
        live, now_ms = self._live, self._live.now_ms()
        if not self._is_wanted:
            return
        if sitter is self._coming:
            self._coming_lost(sitter, lost)
            return
        if sitter is not self._sitter:
            return
        log.warning("the %s engine was lost (fatal: %s)", sitter.name, lost.fatal)
        self._leave(sitter)
        self._sitter = self._unheard_ms = None
        if self._coming is not None and self._coming.is_ready:
            self._change_over(self._coming)
            return
        self._roll_ms = None
        self._owed = self._ai.engine_left() or self._owed
        name = self._succession.lost(lost.fatal, now_ms)
        live.note_down("engine_lost", {"engine": sitter.name, "fatal": lost.fatal, "next": name}, now_ms)
        if not name:
            live.house.engine_lost(str(lost))
            live.trouble("AI lost", str(lost))
            self._none_left("the AI was lost")
            return
        if name != sitter.name:
            live.house.engine_lost(str(lost))
            live.trouble("AI lost", f"{lost} The call goes on with {name}.")
        else:
            live.picture.mark(now_ms, MarkerKind.TROUBLE, "AI reconnects")
        self._sit(self._opened(name, self._because_lost))
        self._ai.hear_again()

    @property
    def _because_lost(self) -> Because:
        """Why another comes where an engine was lost: one that had no more to spend would have gone anyway."""
        return Because.BUDGET if self._succession.is_spent else Because.LOST

    def _none_left(self, why: str) -> None:
        """Nobody goes on but a person."""
        live = self._live
        self._spent_ms = None
        self._ai.nobody_writes()
        if live.call.holder:
            live.picture.need("engine", "the AI is gone; you have the floor")
        live.apply(calls.EngineGone(why))

    def _coming_lost(self, coming: Sitter, lost: EngineLost) -> None:
        live, now_ms = self._live, self._live.now_ms()
        renewal = self._is_renewal(coming)
        self._expect(None)
        sitter, current = self._sitter, self._succession.current
        if coming.wanted_ms is not None and sitter is not None and sitter.has_handed_on and current:
            # Whoever sits there has nothing more to say, and the caller was told that another comes.
            live.trouble("swap failed", f"{lost} The call goes on with {current}.")
            self._call_in(current)
        elif coming.wanted_ms is not None:
            live.trouble("swap failed", f"{lost} The call stays with {current or 'nobody'}.")
            if self._roll_ms is None and live.picture.session_expires_ms is not None:
                # It took the place of a renewal.
                self._roll_ms = now_ms + ROLL_AGAIN_MS
        elif renewal:
            self._roll_ms = now_ms + ROLL_AGAIN_MS
        else:
            # The engine in the seat has done its part: whoever comes after the lost one is to go on.
            name = self._succession.lost(lost.fatal, now_ms)
            live.house.engine_lost(str(lost))
            if name:
                self._call_in(name, self._because_lost)
            else:
                live.trouble("AI lost", str(lost))
                self._none_left("the AI was lost")

    @property
    def _is_wanted(self) -> bool:
        """Whether any engine is: a call that ends needs no further one."""
        return self._live.call.phase in (Phase.CONNECTING, Phase.LIVE)

    def _handed_on(self, event: HandedOn) -> None:
        live = self._live
        if not self._is_wanted:
            return
        match event.to:
            case Destination.AI:
                if self._sitter is not None:
                    self._sitter.has_handed_on = True
                succession = self._succession
                # A menu whose caller asks for an AI that is spent begins again, and says so.
                name = succession.menu if succession.is_spent else succession.ai
                if name:
                    self._call_in(name, Because.BUDGET if succession.is_spent else None)
                    succession.handed_on(name, live.now_ms())
                else:
                    live.apply(calls.EngineGone("the caller asks for a person"))
            case Destination.OPERATOR:
                live.picture.need("person", event.why or "asks for a person")
                live.apply(calls.EngineGone(event.why or "the caller asks for a person"))
            case Destination.HANG_UP:
                self._hang_up = event.why or "the menu ended the call"
