"""A whole house on loopback: telephone company, AI and bridge, in one loop, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from msgspec.structs import replace as with_

from bridge.audio import FRAME_BYTES, LOUDNESS, SILENCE_BYTE
from bridge.profiles import CascadeProfile, PinGate, Profiles
from bridge.rehearsal import scenario as scenarios
from bridge.rehearsal.carrier import Company
from bridge.rehearsal.line import Line
from bridge.rehearsal.model import Model
from bridge.rehearsal.model_session import Session as ModelSession
from bridge.rehearsal.scenario import CallerStep, Scenario
from bridge.service import Bridge, open_bridge
from bridge.settings import Settings

from .desk import Desk, open_desk

NUMBERS = tuple(f"+1628555010{digit}" for digit in range(7))
STAYS: tuple[CallerStep, ...] = ()
"""A caller who says what they are told to, and hangs up when told to."""


class InThisLoop:
    """Stands where the bridge's rehearsal child stands."""

    scenarios = scenarios.names()

    def __init__(self, company: Company) -> None:
        self._company = company
        self.asked: list[str] = []

    def point(self, voice_url: str, status_url: str) -> None:
        self._company.point(voice_url, status_url)

    def call(self, *, scenario: str = "", caller_file: str = "") -> None:
        self.asked.append(scenario)


@dataclass
class House:
    """company, model and bridge at work; ``home`` holds journal and recordings."""

    company: Company
    model: Model
    bridge: Bridge
    home: Path
    rehearsal: InThisLoop

    async def call(self, steps: tuple[CallerStep, ...] = STAYS, **how: Any) -> Line:
        """A caller of the billing number who does these steps."""
        calling = replace(scenarios.load("billing"), steps=steps)
        return await self.company.place_call(calling, **how)

    async def play(self, scenario: Scenario) -> Line:
        """A whole rehearsed conversation, to its end."""
        line = await self.company.place_call(scenario)
        await line.ended
        return line

    def desk(self, name: str = "Ann") -> Any:
        """Attach a console."""
        return open_desk(self.bridge.control_url, self.bridge.token, name)

    @property
    def ai(self) -> ModelSession:
        """The newest of the AI's sessions that speak."""
        return self._newest("realtime")

    @property
    def scribe(self) -> ModelSession:
        """The newest of the AI's sessions that only write down."""
        return self._newest("transcription")

    def _newest(self, kind: str) -> ModelSession:
        return [session for session in self.model.sessions if session.settings.value["type"] == kind][-1]


@asynccontextmanager
async def open_house(
    home: Path,
    engines: tuple[Any, ...] = ("openai",),
    pin: PinGate | None = None,
    cascade: CascadeProfile = CascadeProfile(),  # noqa: B008 - frozen
    budget_usd: float | None = None,
    **changes: Any,
) -> AsyncIterator[House]:
    """engines: those of every profile, the first and what follows it; pin, cascade, budget_usd: likewise.

    changes: of the bridge's settings.
    """
    async with AsyncExitStack() as stack:
        company = await stack.enter_async_context(
            Company("AC" + "5" * 32, "the-auth-token", NUMBERS, ring_ms=0, say_ms_per_char=0, calls_per_second=100)
        )
        model = await stack.enter_async_context(Model(api_key="sk-test", model_delay_ms=50))
        settings = Settings(home=home).with_rehearsal(
            account_sid=company.account_sid,
            auth_token=company.auth_token,
            number=NUMBERS[0],
            api_url=company.api_url,
            api_key=model.api_key,
            model_url=model.url,
        )
        rehearsal = InThisLoop(company)
        profiles = Profiles(
            [
                with_(profile, engine=engines[0], then=engines[1:], pin=pin, cascade=cascade, budget_usd=budget_usd)
                for profile in Profiles.load()
            ]
        )
        bridge = await stack.enter_async_context(open_bridge(replace(settings, **changes), rehearsal, profiles))
        yield House(company, model, bridge, home, rehearsal)


def clip(number: int) -> CallerStep:
    """The number-th spoken line of the billing caller."""
    return [step for step in scenarios.load("billing").steps if step.audio][number]


def is_loud(mulaw: bytes) -> list[bool]:
    """Whether each frame can be heard."""
    loud = mulaw.translate(LOUDNESS)
    return [max(loud[start : start + FRAME_BYTES], default=0) > 12 for start in range(0, len(loud), FRAME_BYTES)]


def silence(frames: int) -> bytes:
    """mu-law silence."""
    return bytes([SILENCE_BYTE]) * (frames * FRAME_BYTES)


async def speaking(desk: Desk) -> None:
    """Until the AI has been heard for a while."""
    await desk.until(
        lambda store: any(
            turn.speaker == "ai" and turn.state == "speaking" and turn.heard_ms > 600
            for call in store.calls.values()
            for turn in call.turns.values()
        )
    )
