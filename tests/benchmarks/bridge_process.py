"""The bridge as it ships, in a process of its own, with the benchmark as its telephone company and AI.

Recording, journal and peaks are on, as for any call. It differs from ``python -m bridge`` only in
where its addresses come from, and in taking more calls than it would by default, so that the ceiling
itself can be seen.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace as with_

from bridge.__main__ import new_runner
from bridge.profiles import CascadeProfile, Profiles
from bridge.service import open_bridge
from bridge.settings import Settings
from tests.benchmarks.pinning import pin


class Elsewhere:
    """Stands where the bridge's rehearsal child stands; tells the benchmark where to call."""

    scenarios = ()

    def point(self, voice_url: str, status_url: str) -> None:
        self.voice_url = voice_url

    def call(self, **how: Any) -> None:
        raise NotImplementedError


async def serve(settings: Settings, profiles: Profiles) -> None:
    """Run until told to end."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    elsewhere = Elsewhere()
    async with open_bridge(settings, elsewhere, profiles) as bridge:
        told = {"voice_url": elsewhere.voice_url, "control_url": bridge.control_url, "token": bridge.token}
        print(json.dumps(told), flush=True)
        await over.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("--account-sid", "--auth-token", "--api-url", "--ai-url", "--home"):
        parser.add_argument(name, required=True)
    parser.add_argument("--core", type=int, default=-1)
    parser.add_argument("--engine", default="openai", help="that answers, with no other to follow")
    parser.add_argument("--cascade", default="{}", help="who listens and speaks in one, as JSON")
    parser.add_argument("--first-line", default="", help="what it says first, instead of the profile's")
    given = parser.parse_args()
    pin(given.core)
    settings = Settings(home=Path(given.home)).with_rehearsal(
        account_sid=given.account_sid,
        auth_token=given.auth_token,
        number="+16285550100",
        api_url=given.api_url,
        api_key="sk-benchmark",
        model_url=given.ai_url,
    )
    cascade = msgspec.json.decode(given.cascade, type=CascadeProfile)
    profiles = Profiles(
        [
            with_(
                one,
                engine=given.engine,
                then=(),
                cascade=cascade,
                first_line=given.first_line or one.first_line,
            )
            for one in Profiles.load()
        ]
    )
    with new_runner() as runner:
        runner.run(serve(replace(settings, max_calls=1000), profiles))
