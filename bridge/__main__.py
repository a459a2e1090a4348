"""The bridge from the command line: ``python -m bridge``, or ``cordboard bridge``."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sqlite3
import sys
from dataclasses import replace

from bridge.errors import SettingsError
from bridge.lock import AlreadyRunning
from bridge.log import logging_to, unhandled
from bridge.service import Plan, serve
from bridge.settings import Settings, forget_secrets, listen_address

EXIT_SETTINGS = 2
EXIT_RUNNING = 3
GC_FULL_EVERY = 100
"""Collections of the middle generation between two full ones, at least."""

DESCRIPTION = """\
The media bridge: answers telephone calls with an AI and lets consoles attach to them.
It prints one line of JSON on standard output when it is ready, and ends calls and itself on Ctrl+C.
"""

EPILOG = """\
environment:
  TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_PHONE_NUMBER
                         the telephone line; without them only --rehearsal works
  OPENAI_API_KEY         the AI; OPENAI_BASE_URL for a server that speaks the same protocol
  DEEPGRAM_API_KEY, ELEVENLABS_API_KEY, CORDBOARD_CHAT_URL, CORDBOARD_CHAT_KEY, CORDBOARD_CHAT_MODEL
                         what a cascade listens, speaks and thinks with
  CORDBOARD_ENGINE       openai, gpt-live, cascade or keypad: answers first, whatever a profile says
  CORDBOARD_PUBLIC_URL   how Twilio reaches this machine (https://...), or instead
  NGROK_AUTHTOKEN        a tunnel made by ngrok
  CORDBOARD_SAY          what speaks written words: openai, local, or openai,local
  CORDBOARD_HOME         where recordings, journal and log go

exit status: 0 ended as asked, 2 a setting is missing or wrong, 3 a bridge runs here already.
"""


_REHEARSED = ("CORDBOARD_HOME", "CORDBOARD_SAY", "CORDBOARD_ENGINE")
"""All that a rehearsal takes from the environment."""


def arguments(words: list[str]) -> argparse.Namespace:
    """The command line, checked. Exits with 2 and the reason when it makes no sense."""
    parser = argparse.ArgumentParser(
        prog="cordboard bridge",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--public-listen", metavar="HOST:PORT", help="where webhooks and media come in (default: a free loopback port)"
    )
    parser.add_argument(
        "--control-listen", metavar="HOST:PORT", help="where consoles attach (default: a free loopback port)"
    )
    parser.add_argument(
        "--rehearsal",
        action="store_true",
        help="use a simulated telephone company and AI, whatever the environment says",
    )
    parser.add_argument("--calls", type=int, default=0, metavar="N", help="rehearsal: place N calls by itself")
    parser.add_argument(
        "--scenario", default="", metavar="NAME", help="rehearsal: which conversation (default: all in turn)"
    )
    parser.add_argument("--caller", default="", metavar="FILE.wav", help="rehearsal: one caller who speaks this file")
    given = parser.parse_args(words)
    if not given.rehearsal and (given.calls or given.scenario or given.caller):
        parser.error("--calls, --scenario and --caller go with --rehearsal")
    return given


def settings_for(given: argparse.Namespace, environment: dict[str, str]) -> Settings:
    """Environment and command line together. Raises SettingsError."""
    if given.rehearsal:
        environment = {key: value for key, value in environment.items() if key in _REHEARSED}
    settings = Settings.from_environment(environment)
    if settings.rehearsal and not given.rehearsal:
        raise SettingsError(
            "TWILIO_ACCOUNT_SID",
            "is not set, so there is no line to answer. Set the TWILIO_ variables, or use --rehearsal.",
        )
    if given.public_listen:
        settings = replace(settings, public_listen=listen_address("--public-listen", given.public_listen))
    if given.control_listen:
        settings = replace(settings, control_listen=listen_address("--control-listen", given.control_listen))
    return settings


def main(words: list[str] | None = None) -> int:
    """Run until asked to stop; returns the exit status."""
    given = arguments(sys.argv[1:] if words is None else words)
    try:
        settings = settings_for(given, dict(os.environ))
        forget_secrets(os.environ)
        plan = Plan(given.calls, given.scenario, given.caller)
        with logging_to(secrets=settings.secrets), new_runner() as runner:
            runner.get_loop().set_exception_handler(unhandled)
            runner.run(serve(settings, plan))
    except SettingsError as error:
        print(f"{error.key}: {error.hint}", file=sys.stderr)
        return EXIT_SETTINGS
    except AlreadyRunning as error:
        print(error, file=sys.stderr)
        return EXIT_RUNNING
    except (OSError, sqlite3.Error) as error:
        print(f"The bridge could not start: {error}", file=sys.stderr)
        return EXIT_SETTINGS
    return 0


def new_runner() -> asyncio.Runner:
    """What a bridge runs in: the fastest loop there is, and few objects for the garbage collector."""
    # A full collection stops every call (25 ms at 200 calls): let it come seldom, and pass over
    # the imported modules, which stay for good.
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, GC_FULL_EVERY)
    return asyncio.Runner(loop_factory=_loop_factory())


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop


if __name__ == "__main__":
    sys.exit(main())
