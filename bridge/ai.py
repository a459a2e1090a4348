"""The AI's side of a call at work: what its engine reports, and what the call tells it. The hot path out."""

from __future__ import annotations

from binascii import a2b_base64
from math import log10

from msgspec.structs import replace

from bridge import call as calls
from bridge import engines
from bridge.audio import peak
from bridge.control import Floor, MarkerKind, Party, ToolState, ToolView, TurnKind
from bridge.filler import Filler
from bridge.line import SAY, voice_of
from bridge.live import Live
from bridge.picture import NOT_KEPT
from bridge.saying import Saying

SLOW_ANSWER_MS = 4000
EMPTY_REPLIES = 3
KEPT_ITEMS = 64
"""More of its speech than so many items, the newest, is not on its way at any time."""


class AI:
    """One call's engine at work (`engines.Listener`)."""

    def __init__(self, live: Live, saying: Saying) -> None:
        self._live = live
        self._saying = saying
        self._received: dict[str, int] = {}
        self._unkept: set[str] = set()
        """Items begun in a privacy hold: their words are not written down."""

        self._open: set[str] = set()
        """Items of which more is to come."""

        self._replies: set[str] = set()
        """Replies that have begun and are not done."""

        self._tools = 0
        """Tools that were asked for and have no result yet."""

        self._follows = False
        """A tool's result was given, and the reply that tells of it has not begun."""

        self._say_request = ""
        self._cuts = 0
        """How often an operator cut it short: tools that ran then are not spoken of."""

        self._empty_replies = 0
        self._caller_waits = False
        self._caller_turn = ""
        self._caller_began_ms = 0
        self._unwritten = ""
        """The caller's last turn, while its words are not known."""

        self._again = ""
        self.filler = Filler(live)

    @property
    def is_speaking(self) -> bool:
        """Whether an item of its speech is still coming in."""
        return bool(self._open)

    @property
    def has_spoken(self) -> bool:
        """Whether any sound of it came in this call."""
        return bool(self._received)

    @property
    def is_due(self) -> bool:
        """Whether the AI has something to say, or more of it, and silence is no answer."""
        picture = self._live.picture
        return picture.thinking or bool(self._open or self._replies or picture.running_tools())

    @property
    def hears_again(self) -> bool:
        """Whether the caller's last turn was lost with an engine, and is still to be noticed by another."""
        return bool(self._again)

    @property
    def awaits_words(self) -> bool:
        """Whether the words of the caller's last turn are still to come."""
        return bool(self._unwritten)

    def let_go(self) -> None:
        """The lost turn is not noticed by anybody any more."""
        self.nobody_writes()
        self._again = ""

    def nobody_writes(self) -> None:
        """There is no engine that could write down the lost turn."""
        if self._again:
            picture = self._live.picture
            picture.lines(picture.transcript.words_failed(Party.CALLER, self._again, round(self._live.now_ms())))

    def engine_left(self) -> bool:
        """The engine is gone in the middle of whatever it did. Returns whether the caller is owed an answer.

        What it said is over where it stopped; what the caller said last is to be heard by its successor.
        """
        live, now_ms = self._live, round(self._live.now_ms())
        picture, transcript = live.picture, live.picture.transcript
        speaking = bool(self._open or self._replies)
        # The wait alone tells of it where a tool was answered already and the words that follow were still made.
        owed = self._caller_waits or picture.thinking or speaking or picture.waited_ms(now_ms) > 0
        self.take_received()
        for item_id in self._open:
            picture.lines(transcript.speech_done(item_id))
            if live.line is not None:
                live.line.finish(item_id)
        self._open.clear()
        self._replies.clear()
        self._follows = False
        self._say_request = ""
        self._saying.ai_paused()
        if lost := self._caller_turn or self._unwritten:
            self._again = lost
        self._caller_turn = self._unwritten = ""
        picture.caller_speaking = False
        return owed and not self._again

    def hear_again(self) -> None:
        """The engine that sits down now hears what the caller said in the turn that was lost, as far as it is kept.

        So does the next, until one notices that turn.
        """
        engine = self._live.engine
        if self._again and engine is not None:
            for payload, at_ms in self._live.lately:
                if at_ms >= self._caller_began_ms:
                    engine.hear(payload, at_ms)

    # ── what the call tells it ──

    def silenced(self, input: calls.Input) -> None:
        """It may not speak until it is let."""
        if self._live.engine is not None:
            self._live.engine.may_answer(False)
        self._live.picture.wait_ends()
        self._live.picture.thinking = self._follows = False
        if isinstance(input, calls.MuteAI):
            self._live.picture.note("The AI was muted; it still listens", "muted", self._live.now_ms())

    def answer_now(self, input: calls.Input) -> None:
        """It may speak again: at once, or after a mute only if the caller waits for an answer."""
        if isinstance(input, calls.MuteAI):
            self._live.picture.note("The AI may answer again", "unmuted", self._live.now_ms())
            if not self._caller_waits:
                return
        if self._live.engine is not None:
            self._live.engine.answer_now()

    def whisper(self, text: str) -> None:
        """Hidden guidance."""
        self._live.picture.operator_line(TurnKind.WHISPER, text, self._live.now_ms())
        if self._live.engine is not None:
            self._live.engine.whisper(text)

    def ask(self, text: str, *, cut_in: bool) -> None:
        """It is to say this in its own words."""
        if cut_in:
            self.cut(Party.OPERATOR)
        request = self._live.picture.operator_line(TurnKind.ASK, text, self._live.now_ms())
        if self._live.engine is not None:
            self._live.engine.ask(text, request, cut_in=cut_in)

    def cut(self, by: Party) -> None:
        """Stop what plays; the engine forgets what was not heard."""
        live = self._live
        if live.line is None:
            return
        self.take_received()
        cut = live.line.cut()
        everything = [item_id for item_id in (cut.item_id, *cut.dropped) if item_id]
        self._open.clear()
        if by is Party.OPERATOR:
            self._cuts += 1
            self._follows = False
        items = [item_id for item_id in everything if voice_of(item_id) is Party.AI]
        says = [item_id for item_id in everything if item_id.startswith(SAY)]
        item_id = items[0] if items else ""
        heard_ms = cut.heard_ms if item_id == cut.item_id else 0
        if by is Party.OPERATOR and (item_id or live.picture.thinking):
            # Cut short by us, the caller still waits for an answer.
            self._caller_waits = True
        if live.engine is not None and (item_id or by is Party.OPERATOR):
            live.engine.cut(item_id, heard_ms, by_caller=by is Party.CALLER)
        live.picture.cut(items + says, by, live.now_ms())
        self._saying.cut(says)
        self._saying.ai_paused()

    def unhear(self) -> None:
        """What the caller is saying now is no more."""
        live = self._live
        if live.engine is not None:
            live.engine.unhear()
        if self._caller_turn:
            live.picture.caller_speaking = False
            transcript = live.picture.transcript
            live.picture.lines(transcript.words_failed(Party.CALLER, self._caller_turn, round(live.now_ms())))
            self._caller_turn = ""

    # ── every tick ──

    def played(self, item_id: str) -> None:
        """An item was heard to its end."""
        if self._live.engine is not None and voice_of(item_id) is Party.AI:
            self._live.engine.played(item_id)

    def take_received(self) -> None:
        """Audio since the last time, to the transcript."""
        for item_id, count in self._received.items():
            if count:
                self._live.picture.transcript.speech_received(item_id, count, round(self._live.now_ms()))
                self._received[item_id] = 0

    def watch(self) -> None:
        """A caller who waits long for an answer needs a person."""
        live = self._live
        if live.call.floor is Floor.AI and live.picture.waited_ms(live.now_ms()) > SLOW_ANSWER_MS:
            live.picture.need("silent", "AI silent, caller waits")

    # ── what the engine reports (engines.Listener) ──

    def on_speech(self, item_id: str, payload: str) -> None:
        """Its audio."""
        live = self._live
        if live.line is None or live.call.floor in calls.BY_PERSON:
            return
        try:
            audio = a2b_base64(payload)
        except ValueError:
            live.trouble("AI audio unreadable", "The AI sent audio that is no base64. It was dropped.")
            return
        if item_id not in self._received:
            self._item_begins(item_id)
        if self.filler.is_playing:
            self.filler.stop()
        if not self._received[item_id]:
            live.picture.first_audio(item_id, live.now_ms())
            live.picture.thinking = False
        self._received[item_id] += len(audio)
        live.line.speak(item_id, audio)

    def _item_begins(self, item_id: str) -> None:
        if len(self._received) == KEPT_ITEMS:
            self.take_received()
            oldest = next(iter(self._received))
            del self._received[oldest]
            self._unkept.discard(oldest)
        self._received[item_id] = 0
        self._open.add(item_id)
        transcript = self._live.picture.transcript
        if self._say_request:
            transcript.say_begins(self._say_request, item_id)
        if self._live.call.private:
            self._unkept.add(item_id)
            self._live.picture.lines(transcript.reply_words(item_id, NOT_KEPT, round(self._live.now_ms())))
        self._saying.ai_speaks(item_id)
        self._live.picture.met("silent")

    def on_event(self, event: engines.Event) -> None:
        """Anything the engine reports but audio."""
        live = self._live
        now_ms = round(live.now_ms())
        picture, transcript = live.picture, live.picture.transcript
        match event:
            case engines.CallerStarted() | engines.CallerStopped() if live.call.private:
                pass
            case engines.CallerStarted(item_id=item_id, at_ms=at_ms):
                if self._again:
                    picture.lines(transcript.taken_up(self._again, item_id))
                self._caller_turn, self._caller_began_ms, self._again = item_id, at_ms, ""
                picture.caller_speaking = True
                picture.wait_ends()
                picture.lines(transcript.began(Party.CALLER, item_id, at_ms))
                self._interrupted(event)
            case engines.CallerStopped(item_id=item_id, at_ms=at_ms):
                self._caller_turn, self._unwritten = "", item_id
                self._caller_waits = True
                picture.caller_speaking = False
                if live.call.floor is Floor.AI:
                    picture.thinking = True
                    picture.wait_begins(at_ms, now_ms)
                picture.lines(transcript.ended(item_id, at_ms))
                picture.changed()
            case engines.CallerWords(item_id=item_id, text=text, final=final):
                picture.lines(transcript.words(Party.CALLER, item_id, text, final, now_ms))
                if final:
                    if item_id == self._caller_turn:
                        # A false alarm: nothing is to be answered, so no end of it is told.
                        self._caller_turn, picture.caller_speaking = "", False
                        picture.changed()
                    self._unwritten = ""
                    picture.caller_said(text)
            case engines.CallerWordsFailed(item_id=item_id):
                self._unwritten = ""
                picture.lines(transcript.words_failed(Party.CALLER, item_id, now_ms))
            case engines.ReplyStarted(reply_id=reply_id, kind=kind, request=request):
                self._caller_waits = self._follows = False
                self._replies.add(reply_id)
                self._say_request = request if kind is engines.ReplyKind.SAY else ""
            case engines.ReplyWords(item_id=item_id, delta=delta):
                if item_id not in self._received:
                    self._item_begins(item_id)
                if item_id not in self._unkept:
                    picture.lines(transcript.reply_words(item_id, delta, now_ms))
            case engines.ReplyWordsDone(item_id=item_id, text=text) if item_id not in self._unkept:
                picture.lines(transcript.reply_words_done(item_id, text, now_ms))
            case engines.SpeechDone(item_id=item_id):
                self._open.discard(item_id)
                self.take_received()
                picture.lines(transcript.speech_done(item_id))
                if live.line is not None:
                    live.line.finish(item_id)
                self._saying.ai_paused()
            case engines.ReplyDone():
                self._reply_done(event)
            case engines.ToolAsked(tool_id=tool_id, name=name, arguments=arguments, shown=shown):
                self._tools += 1
                live.start(self._run_tool(tool_id, name, arguments, shown or arguments))
            case engines.KeysMasked(masked=masked):
                live.keys_masked = masked
            case engines.Used(tokens=tokens, cost_usd=cost_usd, vendor=vendor):
                picture.used(tokens, cost_usd, vendor)
            case engines.Reached(step=step, vendor=vendor, at_ms=at_ms):
                picture.reached(step, vendor, at_ms)
            case engines.Trouble(code=code, text=text):
                live.trouble(code, text)

    def _interrupted(self, started: engines.CallerStarted) -> None:
        """The caller began to speak: whatever plays is cut, and why is written down."""
        live = self._live
        if live.line is not None and voice_of(live.line.playout.playing) is Party.AI:
            frames = [a2b_base64(frame) for frame, at_ms in live.lately if at_ms >= started.at_ms and frame]
            loudest = max(map(peak, frames), default=0)
            peak_db = 40 * log10(loudest / 255) if loudest else 0.0
            words = NOT_KEPT if started.words and live.call.private else started.words
            told = [f"{started.speech_ms / 1000:.1f} s"] if started.speech_ms else []
            told += [f"{peak_db:.0f} dB"] if peak_db else []
            told += [f"“{words}”"] if words else []
            live.picture.barge_in_cause = ", ".join(told)
            cause = {"speech_ms": started.speech_ms, "peak_db": round(peak_db), "words": words}
            live.note_down("barge_in", cause, started.at_ms)
        live.apply(calls.CallerSpoke())
        live.picture.barge_in_cause = ""

    def _reply_done(self, done: engines.ReplyDone) -> None:
        live, picture = self._live, self._live.picture
        self._replies.discard(done.reply_id)
        self._say_request = ""
        self._saying.ai_paused()
        if not (self._tools or self._follows):
            picture.thinking = False
        picture.used(done.tokens, done.cost_usd)
        if done.status == "failed":
            live.trouble("reply failed", f"The AI could not answer: {done.reason}. Ask it again, or take over.")
            picture.need("silent", "the AI could not answer")
        elif done.spoke or self._tools or self._follows:
            self._empty_replies = 0
        elif done.status == "completed":
            self._empty_replies += 1
            if self._empty_replies >= EMPTY_REPLIES:
                picture.need("silent", "the AI answers without a word")

    async def _run_tool(self, tool_id: str, name: str, arguments: str, shown: str) -> None:
        live, engine = self._live, self._live.engine
        started_ms, cuts = live.now_ms(), self._cuts
        view = ToolView(
            call_id=live.picture.call_id,
            tool_id=tool_id,
            order=live.picture.transcript.next_order(),
            name=name,
            arguments=shown,
            state=ToolState.RUNNING,
            start_ms=round(started_ms),
        )
        self._tool(view)
        live.picture.mark(started_ms, MarkerKind.TOOL, name)
        result = await live.house.run_tool(name, arguments)
        self._tools -= 1
        took_ms = live.now_ms() - started_ms
        live.picture.tool_took(took_ms)
        state = ToolState.DONE if result.ok else ToolState.FAILED
        self._tool(replace(view, state=state, result=result.text, duration_ms=round(took_ms)))
        if not result.ok:
            live.picture.need("tool", f"{name} failed")
        elif name == "ask_for_person":
            live.picture.need("person", "asks for a person")
        if live.engine is not None and live.engine is engine:
            # Until it begins to tell what was found, nothing else shows that more is to come.
            self._follows = live.picture.thinking = live.call.floor is Floor.AI and cuts == self._cuts
            engine.answer_tool(tool_id, result.text)
        elif live.engine is not None:
            # It asked and is gone; its successor was told of all but this.
            live.engine.recall([engines.Remembered(engines.Role.TOOL, result.text, name, arguments)])
            if live.call.floor is Floor.AI:
                live.picture.thinking = True
                live.engine.answer_now()

    def _tool(self, view: ToolView) -> None:
        self._live.picture.tool(view)
        self._live.house.journal.tool(view)
