"""The bridge's log: one line per record, with everything private taken out.

One formatter does it for every logger, third parties' included. Taken out are the settings' secret
values wherever they appear, keys and tokens by their shape, and the digits of telephone numbers,
cards and PINs. What people say never goes to a logger in the first place; since it may stand in an
exception's text, of an exception only its kind and where it came from are written.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any

HIDDEN = "[hidden]"
_FILE_BYTES = 5 * 2**20
_OLD_FILES = 2
_SHORTEST_SECRET = 6

# Numbers that help and give nobody away: these words, then at most six digits.
_TELLING = r"(?:\bline |\bpid |\bport |\bERR_NGROK_|\bTwilio error |\b127\.0\.0\.1:|\blocalhost:)\d{1,6}(?!\d)"

_NAMES = "api[_-]?key|auth[_-]?token|password|secret|signature"

_RULES = (
    (re.compile(r"(?i)\b(bearer|basic|token)(\s+|=|: *)[\w.~+/=-]{6,}"), rf"\1\2{HIDDEN}"),
    (re.compile(rf"(?i)((?:{_NAMES})['\"]?\s*[=:]\s*['\"]?)[^\s'\",&}}]+"), rf"\1{HIDDEN}"),
    (re.compile(r"://[^/\s@]+@"), f"://{HIDDEN}@"),
    (re.compile(r"\b(?:sk|rk|ek|pk)[-_][\w-]{6,}"), HIDDEN),
    # Twilio's identifiers keep their kind and their end, so that lines can still be matched up.
    (re.compile(r"\b([A-Z]{2})[0-9a-fA-F]{29}([0-9a-fA-F]{3})\b"), r"\1…\2"),
    (re.compile(r"\b[0-9a-fA-F]{32,}\b"), HIDDEN),
    (re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z0-9_-]{40,}\b"), HIDDEN),
)
_DIGITS = re.compile(rf"({_TELLING})|(?<![\w…])(\+?\(?\d(?:[ ()-]{{0,2}}\d){{6,}})(?!\w)|(\d{{4,}})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with everything private taken out, on one line."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    text = _DIGITS.sub(_without_digits, text)
    return _CONTROL.sub(_escaped, text)


def _without_digits(match: re.Match[str]) -> str:
    telling, number, _ = match.groups()
    if telling:
        return match.group()
    return f"…{number[-2:]}" if number else "…"


def _escaped(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode()


class RedactingFormatter(logging.Formatter):
    """Time, level, logger, message and traceback of a record as one redacted line.

    secrets: values to take out whatever they look like; longest first, so that none hides in another.
    """

    default_msec_format = "%s.%03d"

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self._secrets = sorted({s for s in secrets if len(s) >= _SHORTEST_SECRET}, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        try:
            text = super().format(record)
        except Exception as error:  # A log line may never cost more than itself.
            text = f"{record.levelname} {record.name}: could not be written ({type(error).__name__})"
        return f"{self.formatTime(record)} {redact(text, self._secrets)}"

    def formatException(self, ei: Any) -> str:
        return "".join(_traced(ei[1], set())).rstrip()


def _traced(error: BaseException | None, told: set[int]) -> Iterator[str]:
    """An exception, and before it what led to it, without their texts but for the system's own."""
    if error is None or id(error) in told:
        return
    told.add(id(error))
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    yield from _traced(earlier, told)
    yield from traceback.format_tb(error.__traceback__)
    why = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    yield f"{type(error).__qualname__}{why}\n"
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _traced(each, told)


@contextmanager
def logging_to(
    file: Path | None = None, *, secrets: Iterable[str] = (), level: int = logging.INFO
) -> Iterator[logging.Handler]:
    """While inside, everything that is logged, or raised and caught by nobody, goes to one place.

    file: kept for its owner alone, and from growing beyond 15 MB with its two predecessors; None
    means stderr. Third parties are heard from WARNING on, whatever the level.
    """
    handler = logging.StreamHandler(sys.stderr) if file is None else _private_file(file)
    handler.setFormatter(RedactingFormatter(secrets))
    root, ours = logging.getLogger(), logging.getLogger("cordboard")
    before = root.handlers[:], root.level, ours.level, sys.excepthook, threading.excepthook
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))
    ours.setLevel(level)
    sys.excepthook, threading.excepthook = _raised, _raised_in_thread
    logging.captureWarnings(True)
    try:
        yield handler
    finally:
        logging.captureWarnings(False)
        root.handlers[:], root.level, ours.level, sys.excepthook, threading.excepthook = before
        handler.close()


def _private_file(path: Path) -> logging.Handler:
    return _PrivateFile(path, maxBytes=_FILE_BYTES, backupCount=_OLD_FILES, encoding="utf-8", errors="backslashreplace")


class _PrivateFile(RotatingFileHandler):
    def _open(self) -> Any:
        path = Path(self.baseFilename)
        path.touch(mode=0o600)
        path.chmod(0o600)
        return super()._open()


def unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A loop's exception handler: its own would write down the exceptions' texts."""
    logging.getLogger("cordboard").error("%s", context.get("message", ""), exc_info=context.get("exception"))


def _raised(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    logging.getLogger("cordboard").critical("Caught by nobody", exc_info=(kind, error, traceback))


def _raised_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and args.exc_type is not SystemExit:
        _raised(args.exc_type, args.exc_value, args.exc_traceback)
