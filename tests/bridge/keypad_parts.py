"""A call at the keypad engine: a voice that speaks in no time, and all that the engine reports, for its tests."""

from __future__ import annotations

import asyncio
import contextlib
import tomllib
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bridge import engines, menus
from bridge.audio import SILENT_FRAME
from bridge.engines import Destination, HandedOn, ReplyWordsDone, SpeechDone
from bridge.engines.keypad import Keypad, gate
from bridge.engines.keypad_menu import Menu
from bridge.engines.pin_gate import Lockouts
from bridge.engines.speech import VoiceFailed
from bridge.profiles import PinGate

FALLBACK = menus.load()["fallback"]
MAIN = FALLBACK.places["main"].say
UNRECORDED = "Nobody spoke this ahead."
LOUD_FRAME = b64encode(bytes([0x80]) * 160).decode()
QUIET_FRAME = b64encode(SILENT_FRAME).decode()
PIN = "2580"
PINS = {"CORDBOARD_PIN_DESK": PIN}


class Voice:
    """Speaks in no time, or when told to. Each word is a byte of its own."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_speak = asyncio.Event()
        self.may_speak.set()
        self.fails = False
        self.fault: Exception | None = None
        self.sound = b"\x01" * 9000

    async def speak(self, text: str) -> bytes:
        self.asked.append(text)
        await self.may_speak.wait()
        if self.fault:
            raise self.fault
        if self.fails:
            raise VoiceFailed("The voice is hoarse.")
        return self.sound

    async def close(self) -> None:
        return


@dataclass
class Call:
    """An engine at work, and what it reports."""

    engine: Keypad
    voice: Voice
    events: list[engines.Event] = field(default_factory=list)
    sound: dict[str, bytes] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def on_speech(self, item_id: str, payload: str) -> None:
        self.sound[item_id] = self.sound.get(item_id, b"") + b64decode(payload)

    def on_event(self, event: engines.Event) -> None:
        self.events.append(event)
        self.told.set()

    def on_message(self, outbound: bool, name: str, text: str) -> None:
        self.messages.append(name + text)

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def said(self) -> list[str]:
        """All announcements."""
        return [event.text for event in self.of(ReplyWordsDone)]

    @property
    def handed_on(self) -> list[Destination]:
        """Where it went on to."""
        return [event.to for event in self.of(HandedOn)]

    def hears_all(self) -> None:
        """The caller has heard everything until now."""
        for event in self.of(SpeechDone):
            self.engine.played(event.item_id)

    def press(self, keys: str) -> None:
        """The caller presses these."""
        for key in keys:
            self.engine.key(key)

    async def until_said(self, count: int) -> None:
        """Until so many announcements were made."""
        async with asyncio.timeout(300):
            while len(self.said) < count:
                self.told.clear()
                await self.told.wait()

    async def passes(self, seconds: float) -> None:
        """Time, on the clock that jumps."""
        await asyncio.sleep(seconds)


@contextlib.asynccontextmanager
async def call(
    menu: Menu = FALLBACK, *, pin: bool = False, pins: dict[str, str] = PINS, lockouts: Lockouts | None = None
) -> AsyncIterator[Call]:
    """A call that is greeted."""
    voice = Voice()
    door = gate(PinGate(setting="CORDBOARD_PIN_DESK"), pins, "+13125550110", lockouts or Lockouts()) if pin else None
    on_call = Call(Keypad(menu, voice=voice, gate=door), voice)
    running = asyncio.create_task(on_call.engine.run(on_call))
    await asyncio.sleep(0)
    yield on_call
    await on_call.engine.close()
    await running


def menu(text: str) -> Menu:
    return msgspec.convert(tomllib.loads(f'title = "A"\n{text}'), Menu)


FREE = menu(f'[places.main]\nsay = "{UNRECORDED}"\nkeys = {{ 1 = {{ say = "More." }}, 2 = {{ go = "ai" }} }}')
TOOL = menu(
    """
[places.main]
say = "Press 1."
[places.main.keys.1.tool]
name = "look"
then = "Found {n|some}."
[places.main.keys]
2 = { go = "code" }
[places.code]
say = "Code?"
[places.code.collect]
name = "code"
most = 3
masked = true
then = { go = "main", tool = { name = "check", arguments = { code = "{entered.code|}" }, then = "Checked." } }
""".replace("[places.main.keys]\n2", "[places.main.keys.2]\ngo = 'code'\n#")
)
