"""The caller's side of a call at work: what their carrier's stream brings. The hot path in.

A frame takes three steps here; recording and waveform get theirs in one go every tick. When the
loop stood still, what is read afterwards is old: the AI hears only the newest of it.
"""

from __future__ import annotations

import asyncio
import math
from binascii import a2b_base64

from bridge import call as calls
from bridge import keypad
from bridge.audio import BYTES_PER_MS, silence
from bridge.carriers import twilio
from bridge.control import Floor, Party, Phase, Side
from bridge.engines import notes
from bridge.errors import PeerError
from bridge.line import Ear
from bridge.live import Live
from bridge.operator import SILENCE_MARK, Operator

SILENT_LINE_MS = 2000
STALE_MS = 2000
BACKLOG_MS = 1000
MAX_KEYS_A_SECOND = 20
STALL_MS = 500
MAX_UNKNOWN_NAMES = 100
KEYS_PAUSE_S = 1.2
"""Keys of the caller that come closer together than this are one entry."""


class Caller:
    """What the caller says and presses.

    ears: who listens to this call, by console. stall_s: loop time from which on we are known to
    have stood still. bad_messages, unknown_messages: how many there were, the latter by name.
    """

    def __init__(self, live: Live, operator: Operator) -> None:
        self.ears: dict[object, Ear] = {}
        self.bad_messages = 0
        self.unknown_messages: dict[str, int] = {}
        self.stall_s = math.inf
        self._live = live
        self._operator = operator
        self._frames: list[tuple[int, bytes]] = []
        self._media_ms = 0.0
        self._heard_ms = 0
        self._fresh_ms = 0.0
        self._backlog_until_ms = 0.0
        self._keys_lately = 0
        self._keys = ""
        self._keys_from_ms = 0.0
        self._keys_order = 0
        self._keys_taken = False
        self._keys_timer: asyncio.TimerHandle | None = None

    def from_carrier(self, text: str) -> None:
        """One message of the media stream. Raises PeerError for nonsense."""
        live = self._live
        if live.loop.time() > self.stall_s:
            self.stalled()
        try:
            event = twilio.parse(text)
        except PeerError as error:
            self._bad_message(str(error))
            raise
        if type(event) is not twilio.Media:
            self._seldom(event, text)
            return
        try:
            # Strict, because the text goes into a message to the AI as it is.
            audio = a2b_base64(event.payload, strict_mode=True)
        except ValueError:
            what = "The carrier sent audio that is no base64"
            self._bad_message(what)
            raise PeerError(what) from None
        self._frames.append((event.timestamp, audio))
        if self.ears:
            self._overhear(event.timestamp, audio)
        if live.engine is not None and event.timestamp >= self._fresh_ms:
            live.engine.hear(event.payload, event.timestamp)
            if not live.keys_masked:
                live.lately.append((event.payload, event.timestamp))

    def _seldom(self, event: twilio.Event, text: str) -> None:
        picture, line, now_ms = self._live.picture, self._live.line, self._live.now_ms()
        match event:
            case twilio.Mark(name=name) if line is not None:
                if name.startswith(SILENCE_MARK):
                    self._operator.ai_is_silent(name.removeprefix(SILENCE_MARK))
                line.marked(name)
                picture.message(now_ms, "twilio", False, "mark", text)
            case twilio.Dtmf(digit=digit) if self._keys_lately < MAX_KEYS_A_SECOND:
                self._keys_lately += 1
                self._key_pressed(digit)
                picture.message(now_ms, "twilio", False, "dtmf", "")
            case twilio.Stop():
                picture.message(now_ms, "twilio", False, "stop", text)
                self.stream_over("caller hung up")
            case twilio.Start():
                self._live.trouble(
                    "second start refused", "The carrier sent a second start for this call; it was ignored."
                )
            case twilio.Unknown(name=name):
                if len(self.unknown_messages) >= MAX_UNKNOWN_NAMES and name not in self.unknown_messages:
                    name = "others"
                self.unknown_messages[name] = self.unknown_messages.get(name, 0) + 1
                if self.unknown_messages[name] == 1:
                    picture.message(now_ms, "twilio", False, f"{name} (unknown, ignored)", text)

    def stream_over(self, why: str) -> None:
        """The media stream has ended, or its socket is gone."""
        if self._live.call.phase is not Phase.ENDED:
            self._live.apply(calls.StreamStopped(why))

    def _bad_message(self, what: str) -> None:
        self.bad_messages += 1
        if self.bad_messages == 1:
            self._live.trouble("bad message", f"{what}. It was dropped, as any further one will be; the call goes on.")

    def _overhear(self, at_ms: int, audio: bytes) -> None:
        """For those who listen: the caller's frame, and what the caller heard until now."""
        if self._live.sound_masked:
            audio = silence(len(audio) // BYTES_PER_MS)
        for ear in self.ears.values():
            ear(Side.CALLER, at_ms, audio, "")
        if self._live.line is not None:
            self._live.line.advance()

    # ── keys ──

    def _key_pressed(self, key: str) -> None:
        """The engine has it at once. Others are told of keys together: a card's number is known before it is shown."""
        live = self._live
        if not self._keys:
            self._keys_from_ms, self._keys_order = live.now_ms(), live.picture.transcript.next_order()
        self._keys += keypad.MASK if live.keys_masked else key
        if live.engine is not None and not live.call.private:
            if live.engine_takes_keys:
                self._keys_taken = True
                self._cut_by_key()
            live.engine.key(key)
        if self._keys_timer is not None:
            self._keys_timer.cancel()
        self._keys_timer = self._live.later(KEYS_PAUSE_S, self.enter_keys)

    def _cut_by_key(self) -> None:
        """Who knows the menu need not hear it out; that is no sign of trouble, as talking over an AI may be."""
        self._live.apply(calls.CallerSpoke())
        self._live.picture.met("barge-ins")

    def enter_keys(self) -> None:
        """What was pressed until now is one entry."""
        if self._keys_timer is not None:
            self._keys_timer.cancel()
            self._keys_timer = None
        keys, self._keys = self._keys, ""
        taken, self._keys_taken = self._keys_taken, False
        if not keys:
            return
        live = self._live
        shown = keypad.masked(keys, live.call.private)
        # When the first one was pressed: what an engine says to them comes after them, on paper too.
        live.picture.keys(Party.CALLER, shown, self._keys_from_ms, self._keys_order)
        if live.engine is None or live.call.phase is not Phase.LIVE:
            return
        if taken or keypad.MASK in shown:
            return
        live.engine.tell(notes.caller_pressed(" ".join(keys)))
        if live.call.floor is Floor.AI:
            live.engine.answer_now()

    # ── privacy ──

    def go_private(self) -> None:
        """Nothing of the caller is passed on from here on."""
        self._fresh_ms = math.inf
        self._live.lately.clear()

    def go_public(self) -> None:
        """The privacy hold is over."""
        self._fresh_ms = 0.0

    # ── every tick ──

    def take_frames(self) -> None:
        """Audio since the last time, to the recording and the waveform."""
        if self._frames:
            self._media_ms = self._live.now_ms()
        frames, self._frames = self._frames, []
        index = 0
        while index < len(frames):
            start_ms, audio = frames[index]
            index += 1
            while index < len(frames) and frames[index][0] == start_ms + len(audio) // BYTES_PER_MS:
                audio += frames[index][1]
                index += 1
            self._heard_ms = start_ms + len(audio) // BYTES_PER_MS
            if self._live.call.private or self._live.sound_masked:
                # A carrier may leave the tones of the keys in the sound.
                audio = silence(len(audio) // BYTES_PER_MS)
            else:
                self._live.picture.waveform.add_caller(start_ms, audio)
            if self._live.recorder is not None:
                self._live.recorder.caller(start_ms, audio)

    def watch(self) -> None:
        """A line that has gone dead is hung up."""
        live = self._live
        if live.now_ms() - self._media_ms > SILENT_LINE_MS and live.call.phase in (Phase.CONNECTING, Phase.LIVE):
            live.trouble("line silent", "No audio has come from the carrier for 2 s; the call is being ended.")
            live.apply(calls.HangUp(Party.NOBODY, "the line went dead"))

    def every_second(self) -> None:
        """Keys are let through again, and what is read is new again."""
        self._keys_lately = 0
        if self._live.now_ms() > self._backlog_until_ms and not self._live.call.private:
            self._fresh_ms = 0.0

    def stalled(self) -> None:
        """The loop stood still, so what is read now is old."""
        late_ms = (self._live.loop.time() - self.stall_s) * 1000 + STALL_MS
        self.stall_s = math.inf
        self._live.trouble("bridge stalled", f"This machine stalled for {late_ms / 1000:.1f} s; the call goes on.")
        self._media_ms = self._live.now_ms()
        if not self._live.call.private:
            self._fresh_ms = self._heard_ms + late_ms - STALE_MS
        self._backlog_until_ms = self._media_ms + BACKLOG_MS
        if self._live.line is not None:
            self._live.line.stalled()
