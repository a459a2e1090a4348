"""Whether a Linux sound server answers, and which devices it has: what Qt does not tell.

Qt keeps a device that was removed in its lists until something else changes, and PulseAudio moves
a stream whose device is gone to another one without a word. So the server is asked as well, by a
connection of our own that never waits. Where there is no libpulse (or no Linux) there is no `Pulse`.
Facts: PulseAudio 16's client API (pulse/mainloop.h, context.h, introspect.h, subscribe.h); QtMultimedia 6.11.
"""

from __future__ import annotations

import ctypes
from enum import StrEnum

LIBRARY = "libpulse.so.0"
NAME = b"Cordboard"

# Of pulse/def.h.
READY, FAILED = 4, 5
NO_AUTOSPAWN = 1
SINKS_AND_SOURCES = 0x0001 | 0x0002

MOST_STEPS = 64
"""Events that one look takes in; the rest waits for the next."""

_P = ctypes.c_void_p
_OnList = ctypes.CFUNCTYPE(None, _P, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, _P)
_OnChange = ctypes.CFUNCTYPE(None, _P, ctypes.c_int, ctypes.c_uint32, _P)

_SIGNATURES = {
    "pa_mainloop_new": (_P, ()),
    "pa_mainloop_free": (None, (_P,)),
    "pa_mainloop_get_api": (_P, (_P,)),
    "pa_mainloop_iterate": (ctypes.c_int, (_P, ctypes.c_int, _P)),
    "pa_context_new": (_P, (_P, ctypes.c_char_p)),
    "pa_context_connect": (ctypes.c_int, (_P, ctypes.c_char_p, ctypes.c_int, _P)),
    "pa_context_disconnect": (None, (_P,)),
    "pa_context_unref": (None, (_P,)),
    "pa_context_get_state": (ctypes.c_int, (_P,)),
    "pa_context_set_subscribe_callback": (None, (_P, _OnChange, _P)),
    "pa_context_subscribe": (_P, (_P, ctypes.c_int, _P, _P)),
    "pa_context_get_sink_info_list": (_P, (_P, _OnList, _P)),
    "pa_context_get_source_info_list": (_P, (_P, _OnList, _P)),
    "pa_operation_unref": (None, (_P,)),
}


class Answer(StrEnum):
    """Of the server. ASKING: it was not long enough ago to tell."""

    ASKING = "asking"
    READY = "ready"
    NONE = "none"


class Pulse:
    """One connection to the sound server. Raises OSError where the library is missing.

    answer: of the newest look; NONE is final, a new `Pulse` asks again.
    names: the ids of all devices that the server has; None until it told.
    """

    def __init__(self) -> None:
        self._lib = ctypes.CDLL(LIBRARY)
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self._lib, name)
            function.restype, function.argtypes = result, arguments
        self.answer = Answer.ASKING
        self.names: frozenset[str] | None = None
        self._subscribed = False
        # Lists that were asked for and are not complete yet, and whether they are out of date already.
        self._listing = 0
        self._stale = True
        self._found: set[str] = set()
        # The library keeps no reference to these.
        self._on_list = _OnList(self._take_device)
        self._on_change = _OnChange(self._take_change)
        self._loop = self._lib.pa_mainloop_new()
        self._context = self._lib.pa_context_new(self._lib.pa_mainloop_get_api(self._loop), NAME)
        self._lib.pa_context_set_subscribe_callback(self._context, self._on_change, None)
        if self._lib.pa_context_connect(self._context, None, NO_AUTOSPAWN, None) < 0:
            self.answer = Answer.NONE

    def look(self) -> None:
        """Take in what the server said since the last time."""
        if self.answer is Answer.NONE:
            return
        for _ in range(MOST_STEPS):
            if self._lib.pa_mainloop_iterate(self._loop, 0, None) <= 0:
                break
        state = self._lib.pa_context_get_state(self._context)
        if state >= FAILED:
            self.answer = Answer.NONE
        elif state == READY:
            self.answer = Answer.READY
            self._ask()

    def close(self) -> None:
        """Hang up; not to be used any more."""
        self._lib.pa_context_disconnect(self._context)
        self._lib.pa_context_unref(self._context)
        self._lib.pa_mainloop_free(self._loop)
        self.answer = Answer.NONE

    def _ask(self) -> None:
        if not self._subscribed:
            self._subscribed = True
            self._start(self._lib.pa_context_subscribe(self._context, SINKS_AND_SOURCES, None, None))
        if self._stale and not self._listing:
            self._stale, self._listing = False, 2
            self._found = set()
            self._start(self._lib.pa_context_get_sink_info_list(self._context, self._on_list, None))
            self._start(self._lib.pa_context_get_source_info_list(self._context, self._on_list, None))

    def _start(self, operation: int | None) -> None:
        if operation:
            self._lib.pa_operation_unref(operation)

    def _take_device(self, context: int, info: ctypes._Pointer[ctypes.c_char_p], end: int, data: int) -> None:
        """One device of a list: of pa_sink_info and pa_source_info the name is the first field."""
        if end:
            self._listing -= 1
            if not self._listing:
                self.names = frozenset(self._found)
            return
        name = info.contents.value
        if name is not None:
            self._found.add(name.decode(errors="replace"))

    def _take_change(self, context: int, kind: int, index: int, data: int) -> None:
        self._stale = True
