"""Taking over by voice: the floor and the microphone together.

The microphone is open only while the bridge says that this console has the floor *and* this
process asked for it: by taking over, by ending its hold, or by unmuting. A floor that comes back
with a link that was lost is held muted. Whatever takes the floor away, or is on its way to, closes
the microphone at once; it is never opened, and no other device is used, without a person's act.
"""

from __future__ import annotations

import asyncio
from enum import StrEnum

from PySide6.QtCore import QObject, Qt, Signal

from bridge.control import Floor, Phase, Verb
from console.desk import Desk
from console.link import monotonic_ms
from console.listening import Listening
from console.settings import Settings
from console.sound import Device, MicState, Sound
from console.take_over_timing import TakeOverTiming, Timing

PATIENCE_S = 3.0
"""How long the caller hears silence when the microphone does not open, or fails and nobody chooses what to do."""

ARRIVES_MS = 1000.0
"""A bridge that says nothing for so long has stopped: it speaks many times a second to whoever holds a floor."""

LOUD = 64
"""A microphone level that is speech rather than the room."""

LEAVING = (Verb.HAND_BACK, Verb.HOLD, Verb.HANG_UP)
"""Verbs after which nothing of the operator's is to be heard."""

WORKING_STATES = (MicState.ON_AIR, MicState.MUTED)
FAILED_STATES = (
    *(MicState.LOST, MicState.NONE, MicState.DENIED),
    *(MicState.NO_SERVER, MicState.SERVER_LOST, MicState.NO_LIBRARY),
)


class TalkMode(StrEnum):
    """OPEN: the microphone sends all the time. PUSH: only while the key is held."""

    OPEN = "open"
    PUSH = "push"


class OnAir(QObject):
    """What this window says to a call, and what it hears of one.

    has_floor_of: call_id whose floor this window has, "" for none (or while the link is lost).
    lost_since_ms: since when (monotonic) the microphone fails in a take-over; `sound.mic` says
    why. Unless somebody chooses within patience_s (`use_other_input`, `stay`, hold or hand back),
    the caller is put on hold.
    """

    changed = Signal()

    def __init__(self, desk: Desk, sound: Sound, settings: Settings, *, patience_s: float = PATIENCE_S) -> None:
        super().__init__()
        self._desk = desk
        self._sound = sound
        self._settings = settings
        self._patience_s = patience_s
        self.listening = Listening(desk, sound)
        self.has_floor_of = ""
        self.lost_since_ms: float | None = None
        self._granted = ""  # the call for which this process may open the microphone
        self._taken = ""  # the call in this window's hand, on hold or not
        self._speaks = False  # what is captured goes to that call
        self._open = False
        self._arrived = True
        self._mute = False
        self._talking = False
        self._patience: asyncio.TimerHandle | None = None
        self._timing = TakeOverTiming()
        self._settling = False
        self._told: object = None
        desk.sent.connect(self._on_sent)
        desk.done.connect(self._on_done)
        desk.link.state_changed.connect(self._settle)
        desk.link.call_changed.connect(self._on_call_changed)
        sound.changed.connect(self._settle)
        sound.captured.connect(self._on_captured, Qt.ConnectionType.DirectConnection)
        self.listening.changed.connect(self.changed)

    # ── speaking ──

    @property
    def on_air(self) -> bool:
        """What is said now is sent to the caller; whether it comes there, `arrives` says."""
        return self._may_speak() and self._sound.mic is MicState.ON_AIR and not self._sound.muted

    @property
    def arrives(self) -> bool:
        """The bridge is heard from, so that what is sent to it goes on to the caller."""
        return self._desk.link.silent_ms() < ARRIVES_MS

    def watch(self) -> None:
        """Notice a bridge that falls silent while this window is on air, and one that is heard again; often."""
        if self._granted and self.arrives is not self._arrived:
            self._settle()

    @property
    def mode(self) -> TalkMode:
        """Remembered between runs."""
        return TalkMode(self._settings.talk_mode)

    @mode.setter
    def mode(self, mode: TalkMode) -> None:
        self._settings.talk_mode = mode.value
        self._mute = False
        self._settle()

    @property
    def muted(self) -> bool:
        """This window has a floor but sends nothing: muted, key not held, or not unmuted since the link was lost."""
        return bool(self.has_floor_of) and (not self._granted or self._sound.muted)

    @property
    def talking_while_muted(self) -> bool:
        """Somebody speaks into the muted microphone."""
        return self.muted and self._sound.mic is MicState.MUTED and self._sound.mic_level >= LOUD

    def toggle_mute(self) -> None:
        """Mute the microphone, or speak (again). Push-to-talk is its own mute."""
        if self.has_floor_of and not self._granted:
            self._timing.speaks(monotonic_ms())
            self._grant(self.has_floor_of)
        elif self._granted and self.mode is TalkMode.OPEN:
            self._mute = not self._mute
            if not self._mute:
                self._timing.speaks(monotonic_ms())
            self._settle()

    def talk(self, pressed: bool) -> None:
        """The push-to-talk key went down or up."""
        self._talking = pressed
        if pressed and self.mode is TalkMode.PUSH:
            self._timing.speaks(monotonic_ms())
            if self.has_floor_of and not self._granted:
                self._grant(self.has_floor_of)
        self._settle()

    def key_pressed(self) -> None:
        """The take-over key went down now; `timing` counts from here."""
        self._timing.pressed(monotonic_ms())

    def panic(self) -> None:
        """The panic key: take over the selected call at once, unless this window has a floor already."""
        if self._desk.selected and not self.has_floor_of:
            self.key_pressed()
            self._desk.take_over_now(self._desk.selected)

    @property
    def timing(self) -> Timing:
        """Of this window's newest take-over, from its key; of a voice that came later, from the key it came with."""
        call = self._desk.store.calls.get(self._timing.call_id)
        return self._timing.timing(call.take_overs if call is not None else {}, self._desk.link.me)

    def close(self) -> None:
        """Close the microphone and the loudspeaker: the window goes away."""
        self._granted = ""
        self._settle()
        self.listening.stop()

    # ── listening ──

    @property
    def listening_to(self) -> str:
        """call_id, "" for none."""
        return self.listening.to

    @property
    def queue(self) -> tuple[str, ...]:
        """call_ids to be listened to next."""
        return self.listening.queue

    def toggle_listen(self) -> None:
        """Listen to the selected call, or stop."""
        self.listening.toggle()

    def toggle_queue(self) -> None:
        """Put the selected call into the listening queue, or take it out."""
        self.listening.toggle_queue()

    # ── a microphone that fails in a take-over ──

    @property
    def other_input(self) -> Device | None:
        """What `use_other_input` would open: the chosen microphone if it is there (again), else another one."""
        if self.lost_since_ms is None:
            return None
        default = next((device for device in self._sound.inputs if device.is_default), None)
        return self._sound.input or default or next(iter(self._sound.inputs), None)

    def use_other_input(self) -> None:
        """Switch to `other_input`; only ever by a person's click."""
        other = self.other_input
        if other is not None:
            self._works()
            self._sound.choose_input(other.id)
            self._sound.open_microphone()
            self._settle()

    def stay(self) -> None:
        """Keep the floor without a microphone; unmuting tries it again."""
        if self.lost_since_ms is not None:
            self._granted = ""
            self._settle()

    # ── what the bridge and the devices say ──

    def _on_sent(self, call_id: str, verb: str) -> None:
        call = self._desk.store.calls.get(call_id)
        if verb == Verb.TAKE_OVER and call is not None:
            self._timing.sent(call_id, call.take_overs, monotonic_ms())
        self._settle()

    def _on_done(self, call_id: str, verb: str, _: str) -> None:
        if verb == Verb.TAKE_OVER:
            self._timing.done(call_id, monotonic_ms())
        if verb in (Verb.TAKE_OVER, Verb.UNHOLD) and self._is_held(call_id):
            self._grant(call_id)
        self._settle()

    def _on_call_changed(self, call_id: str) -> None:
        call = self._desk.store.calls.get(call_id)
        is_held = call is not None and call.view.floor_holder == self._desk.link.me
        if is_held or call_id in (self.has_floor_of, self._granted, self._taken, self._timing.call_id):
            self._settle()

    def _on_captured(self, mulaw: bytes) -> None:
        """In the microphone's thread, which may not look into the store."""
        if self._speaks:
            self._desk.link.send_talk(mulaw)

    def _is_held(self, call_id: str) -> bool:
        """Whether the bridge says, over a link that stands, that this console has a call's floor."""
        call, link = self._desk.store.calls.get(call_id), self._desk.link
        if call is None or link.lost or call.view.phase not in (Phase.CONNECTING, Phase.LIVE):
            return False
        return call.view.floor is Floor.OPERATOR and call.view.floor_holder == link.me

    def _may_speak(self) -> bool:
        # What is said goes to every call whose floor this console has: it must be this one alone.
        held = list(filter(self._is_held, self._desk.store.calls))
        return held == [self._granted] and self._desk.pending(self._granted, *LEAVING) is None

    # ── what follows from it ──

    def _grant(self, call_id: str) -> None:
        """A person of this process wants to speak on a call whose floor the bridge gave us."""
        self._granted = self._taken = call_id
        self._mute = False
        self.listening.take_over(call_id)
        self._settle()

    def _settle(self) -> None:
        """Bring microphone and listening in line with what holds now. What they answer at once is seen here too."""
        if self._settling:
            return
        self._settling = True
        try:
            self._speaks = self._may_speak()
            if not self._speaks:
                self._granted = ""
            self.has_floor_of = self._granted or next(filter(self._is_held, self._desk.store.calls), "")
            self.listening.held = self.has_floor_of
            self._settle_microphone()
            if self._taken and not self._in_hand(self._taken):
                taken, self._taken = self._taken, ""
                self.listening.hand_back(taken)
        finally:
            self._settling = False
        self._arrived = self.arrives
        now = (
            *(self.on_air, self._arrived or not self.on_air, self.has_floor_of, self.muted),
            *(self.timing, self.lost_since_ms, self.other_input, self.mode),
        )
        if now != self._told:
            self._told = now
            self.changed.emit()

    def _settle_microphone(self) -> None:
        sound = self._sound
        if not self._granted:
            if self._open:
                self._open = self._talking = False
                self._works()
                sound.close_microphone()
            return
        silent = self._mute or (self.mode is TalkMode.PUSH and not self._talking)
        if sound.muted is not silent:
            sound.muted = silent
        if not self._open:
            self._open = True
            sound.open_microphone()
        if sound.mic in WORKING_STATES:
            self._works()
            return
        if sound.mic in FAILED_STATES and self.lost_since_ms is None:
            self._works()
            self.lost_since_ms = monotonic_ms()
        if self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(self._patience_s, self._silent_too_long)

    def _works(self) -> None:
        """The microphone works, or is not wanted: nobody waits for it."""
        self.lost_since_ms = None
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _silent_too_long(self) -> None:
        self._patience = None
        self._desk.hold(self._granted)
        words = self.tr("Your microphone gave no sound, so the caller was put on hold. Ending the hold tries it again.")
        self._desk.refused.emit("", "", words, "")

    def _in_hand(self, call_id: str) -> bool:
        """Whether this console has a call's floor or has put it on hold; what a lost link last said holds on."""
        call = self._desk.store.calls.get(call_id)
        if call is None or call.view.phase is Phase.ENDED:
            return False
        return call.view.floor in (Floor.OPERATOR, Floor.HOLD) and call.view.floor_holder == self._desk.link.me
