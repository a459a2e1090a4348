"""The command line: ``cordboard``, ``cordboard bridge``, ``cordboard rehearse``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

DESCRIPTION = """\
The operator's desk for telephone calls that an AI answers: watch calls as they are
spoken, tell the AI something the caller does not hear, interrupt it, mute it, take over.

Without a subcommand the window opens. It adopts a bridge that runs already, or starts
one. With no telephone account in the environment everything is a rehearsal: the telephone
company and the AI are simulated on this computer and nobody is billed.
"""

EPILOG = """\
subcommands:
  cordboard bridge       the bridge alone, without a window (see: cordboard bridge --help)
  cordboard rehearse     simulated calls on purpose (see: cordboard rehearse --help)

environment, for a real line:
  TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_PHONE_NUMBER
  OPENAI_API_KEY         OPENAI_BASE_URL for another server that speaks the same protocol
  NGROK_AUTHTOKEN        a tunnel made by ngrok, or instead
  CORDBOARD_PUBLIC_URL   how Twilio reaches this computer (https://...)
  CORDBOARD_HOME         where recordings, journal, log and window settings go

Closing the window never drops a real call without asking. Without a display (Linux with
neither DISPLAY nor WAYLAND_DISPLAY) one rehearsal call runs offscreen instead.
"""

REHEARSE_DESCRIPTION = """\
Simulated calls: a telephone company and an AI on loopback speak the real protocols, and
everything else is the program itself. Nothing leaves this computer and nobody is billed.
"""

REHEARSE_EPILOG = """\
With --headless the window runs offscreen. The transcript and the operator's actions are
printed as they happen, a scripted operator uses the real keys and buttons, and the folder
gets screenshots, the stereo recording (caller left, what the caller heard right) and the
journal. With --caller nobody touches the call, so that the voice is measured unspoiled.

exit status of --headless: 0 when every call was completed, 1 when one was not, 2 for wrong use.

examples:
  cordboard rehearse --calls 5
  cordboard rehearse --headless --scenario billing --out /tmp/billing
  cordboard rehearse --headless --caller voice.wav
"""

NO_DISPLAY = """\
There is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set), so no window can be
opened. One rehearsal call runs in the same window offscreen instead; for real calls without
a window use: cordboard bridge
"""

RESOURCES = Path(__file__).resolve().parents[1] / "resources"

DISPLAYLESS_PLATFORMS = ("vnc", "linuxfb", "eglfs")
"""Qt platforms that show a window without X11 or Wayland."""


def has_display(environment: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Whether a window could be seen; False only where that is certain."""
    if not platform.startswith("linux"):
        return True
    if environment.get("QT_QPA_PLATFORM", "").split(":")[0] in DISPLAYLESS_PLATFORMS:
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def is_wav(path: Path) -> bool:
    """Whether a file begins as every WAV file does."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError:
        return False
    return head[:4] == b"RIFF" and head[8:] == b"WAVE"


def scenarios() -> list[str]:
    """The conversations that ship with the program."""
    return sorted(path.stem for path in (RESOURCES / "scenarios").glob("*.toml"))


def main(words: list[str] | None = None) -> int:
    """Returns the exit status."""
    words = sys.argv[1:] if words is None else words
    if words[:1] == ["bridge"]:
        return run_bridge(words[1:])
    if words[:1] == ["rehearse"]:
        return rehearse(words[1:])
    parser = argparse.ArgumentParser(
        prog="cordboard", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args(words)
    if not has_display(os.environ):
        print(NO_DISPLAY, flush=True)
        return rehearse(["--headless"])
    from console.app import open_window

    return open_window()


def run_bridge(words: list[str]) -> int:
    """Become the bridge, which shares no code with the window."""
    command = [sys.executable, "-m", "bridge", *words]
    if sys.platform == "win32":
        return subprocess.call(command)
    sys.stdout.flush()
    os.execv(command[0], command)


def rehearse(words: list[str]) -> int:
    """Simulated calls, in a window or without one."""
    parser = argparse.ArgumentParser(
        prog="cordboard rehearse",
        description=REHEARSE_DESCRIPTION,
        epilog=REHEARSE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--calls", type=int, metavar="N", help="how many, like a small day (default: 1, or 3 in a window)"
    )
    parser.add_argument("--scenario", default="", metavar="NAME", help=", ".join(scenarios()))
    parser.add_argument("--caller", type=Path, metavar="FILE.wav", help="one caller who speaks this recording")
    parser.add_argument("--headless", action="store_true", help="without a visible window; ends by itself")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where to keep everything (default: rehearsal-DATE-TIME)"
    )
    given = parser.parse_args(words)
    if given.calls is not None and given.calls < 1:
        parser.error("--calls: at least 1")
    if given.caller is not None:
        if given.scenario or (given.calls or 1) > 1:
            parser.error("--caller is one call of its own: leave --calls and --scenario away")
        if not given.caller.is_file():
            parser.error(f"--caller: there is no file {given.caller}")
        if not is_wav(given.caller):
            parser.error(f"--caller: {given.caller} is not a WAV file")
    if given.scenario and given.scenario not in scenarios():
        parser.error(f"--scenario: there is none called {given.scenario}; choose from {', '.join(scenarios())}")
    headless = given.headless or not has_display(os.environ)
    if headless and not given.headless:
        print(NO_DISPLAY, flush=True)
    if headless:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from console.rehearse import Plan, run_headless, run_in_window

    plan = Plan.make(given.calls or (1 if headless else 3), given.scenario, given.caller, given.out)
    try:
        plan.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out: {plan.folder} cannot be made ({error.strerror})")
    return run_headless(plan) if headless else run_in_window(plan)


if __name__ == "__main__":
    sys.exit(main())
