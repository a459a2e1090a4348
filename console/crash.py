"""What happens to a defect of ours: it is written down and told, and the window lives on.

Exceptions from Qt's slots, from asyncio's callbacks and from threads all end in `Crash.report`.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any

log = logging.getLogger("cordboard.crash")

LOG_NAME = "console.log"


class Crash:
    """Catches what nobody caught.

    folder: where the log is written. tell: gets one sentence for the operator; called on the
    window's thread, at most once for a run of the same error.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self.log_path = folder / LOG_NAME
        self._tell = tell
        self._last_told = ""
        self._handler: logging.Handler | None = None
        self._fault_log: IO[str] | None = None
        self._before = (sys.excepthook, threading.excepthook)

    def install(self) -> None:
        """From now on. The log is opened here; without a writable folder, errors go to stderr alone."""
        try:
            self.log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.log_path, os.O_CREAT | os.O_WRONLY, 0o600))
            self._handler = logging.FileHandler(self.log_path, encoding="utf-8")
            self._fault_log = self.log_path.open("a", encoding="utf-8")
            faulthandler.enable(self._fault_log)
        except OSError as error:
            print(f"No log can be kept in {self.log_path.parent}: {error.strerror}", file=sys.stderr)
            self._handler = logging.StreamHandler()
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root = logging.getLogger("cordboard")
        root.addHandler(self._handler)
        root.setLevel(logging.INFO)
        sys.excepthook = self._from_slot
        threading.excepthook = self._from_thread

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Also what a loop's callbacks and forgotten tasks raise."""
        loop.set_exception_handler(self._from_loop)

    def remove(self) -> None:
        """Undo `install`."""
        sys.excepthook, threading.excepthook = self._before
        if self._fault_log is not None:
            faulthandler.disable()
            self._fault_log.close()
            self._fault_log = None
        if self._handler is not None:
            logging.getLogger("cordboard").removeHandler(self._handler)
            self._handler.close()
            self._handler = None

    def report(self, error: BaseException) -> None:
        """Write an error down and tell of it."""
        log.error("an error of the console's own", exc_info=(type(error), error, error.__traceback__))
        words = f"{type(error).__name__}: {error}"
        if words != self._last_told:
            self._last_told = words
            self._tell(
                f"Something went wrong in this window ({type(error).__name__}). Calls are not affected. "
                f"The details are in {self.log_path}."
            )

    def _from_slot(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            self._before[0](kind, error, trace)
        elif threading.current_thread() is not threading.main_thread():
            # A sound device's, which may not touch the window.
            log.error("an error in a thread", exc_info=(kind, error, trace))
        else:
            self.report(error)

    def _from_thread(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            log.error("an error in a thread", exc_info=(args.exc_type, args.exc_value, args.exc_traceback))

    def _from_loop(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is None:
            log.error("asyncio: %s", context.get("message"))
        else:
            self.report(error)
