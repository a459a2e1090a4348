"""A strict Deepgram on loopback, part of the rehearsal's `Model`: listens (nova, flux) and speaks (aura).

It refuses what the real one refuses: other keys and queries, other sound, silence on the line. As
strict as the real one, and stricter where this one can do less: it takes and gives mu-law, 8 kHz alone.
Source: deepgram-sdk 7.17 types, Deepgram's documentation (read 2026-11).
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from aiohttp import web

from bridge.rehearsal.deepgram_flux import FluxSocket
from bridge.rehearsal.deepgram_nova import NovaSocket
from bridge.rehearsal.deepgram_socket import Socket
from bridge.rehearsal.deepgram_speak import AuraSocket

if TYPE_CHECKING:
    from bridge.rehearsal.model import Model

IDLE_S = 10.0
"""Without sound or a sign of life for so long, the real one hangs up."""

Query: TypeAlias = Mapping[str, str]
Make: TypeAlias = Callable[["Model", web.WebSocketResponse, web.Request, int], Socket]
Check: TypeAlias = Callable[[Query], str]


class Deepgram:
    """The three services, with a record of what came. idle_s: see `IDLE_S`."""

    def __init__(self, model: Model, seed: int) -> None:
        self.idle_s = IDLE_S
        self.sockets: list[Socket] = []
        """Every socket there was; the record of a test. A long rehearsal may clear the ended ones."""
        self.spoken: list[str] = []
        """Every text that was spoken to its end, likewise."""
        self.open_sockets = 0
        self.total_sockets = 0
        self._model = model
        self._seed = seed
        self._open: set[Socket] = set()

    def add_routes(self, app: web.Application, path: str) -> None:
        """Serve below this path."""
        app.router.add_get(f"{path}/v1/listen", self._handler(NovaSocket, nova_problem))
        app.router.add_get(f"{path}/v2/listen", self._handler(FluxSocket, flux_problem))
        app.router.add_get(f"{path}/v1/speak", self._handler(AuraSocket, aura_problem))

    async def leave(self) -> None:
        """Close every socket: the server goes."""
        await asyncio.gather(*(socket.abandon(1001, "server shutting down") for socket in self._open))

    def _handler(self, make: Make, check: Check) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            return self._refused(request, check) or await self._serve(request, make)

        return handle

    def _refused(self, request: web.Request, check: Check) -> web.Response | None:
        if status := self._model.faults.deepgram_refuse_status:
            return _refusal(status, "REFUSED", "The rehearsal was told to refuse.")
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Token {self._model.api_key}".encode()):
            return _refusal(401, "INVALID_AUTH", "Invalid credentials.")
        if problem := check(request.query):
            return _refusal(400, "INVALID_QUERY_PARAMETER", problem)
        return None

    async def _serve(self, request: web.Request, make: Make) -> web.StreamResponse:
        # Pings and closes come to the socket as messages: a half-open one answers neither.
        ws = web.WebSocketResponse(compress=False, timeout=1.0, autoping=False, autoclose=False)
        await ws.prepare(request)
        self.total_sockets += 1
        socket = make(self._model, ws, request, self._seed * 1_000_003 + self.total_sockets)
        self.open_sockets += 1
        self.sockets.append(socket)
        self._open.add(socket)
        self._model.noted()
        try:
            await socket.run()
        finally:
            self._open.discard(socket)
            self.open_sockets -= 1
            self._model.noted()
        return ws


_YES_NO = r"true|false"
_SOUND = {"encoding": "mulaw", "sample_rate": "8000"}
_NOVA = {
    "model": r"(nova-3|nova-2|nova)(-[a-z]+)?|enhanced|base",
    "language": r"multi|[a-z]{2,3}(-[A-Za-z0-9]{2,4})?",
    **_SOUND,
    "channels": "1",
    "interim_results": _YES_NO,
    "endpointing": r"true|false|[1-9]\d{0,4}",
    "utterance_end_ms": r"[1-5]\d{3}",
    "vad_events": _YES_NO,
    "smart_format": _YES_NO,
    "punctuate": _YES_NO,
    "numerals": _YES_NO,
    "keyterm": r".{1,100}",
    "mip_opt_out": _YES_NO,
}
_FLUX = {
    "model": r"flux-general-(en|multi)",
    **_SOUND,
    "eot_threshold": r"0\.[5-9]\d?|1(\.0)?",
    "eager_eot_threshold": r"0\.[3-9]\d?",
    "eot_timeout_ms": r"[5-9]\d\d|[1-9]\d{3}|[1-5]\d{4}|60000",
    "keyterm": r".{1,100}",
    "language_hint": r"[a-z]{2,3}(-[A-Za-z0-9]{2,4})?",
    "mip_opt_out": _YES_NO,
}
_AURA = {"model": r"aura(-2)?-[a-z]+-[a-z]{2}", **_SOUND, "mip_opt_out": _YES_NO}


def nova_problem(query: Query) -> str:
    """Why this cannot be listened to, "" if it can."""
    if "utterance_end_ms" in query and query.get("interim_results") != "true":
        return "utterance_end_ms needs interim_results."
    return _problem(query, _NOVA)


def flux_problem(query: Query) -> str:
    """The same for flux."""
    if problem := _problem(query, _FLUX):
        return problem
    if float(query.get("eager_eot_threshold", 0)) > float(query.get("eot_threshold", 0.7)):
        return "eager_eot_threshold must not be above eot_threshold."
    if "language_hint" in query and query["model"] != "flux-general-multi":
        return "language_hint is only valid with flux-general-multi."
    return ""


def aura_problem(query: Query) -> str:
    """The same for what is to be spoken."""
    return _problem(query, _AURA)


def _problem(query: Query, allowed: Mapping[str, str]) -> str:
    for name, value in query.items():
        if name not in allowed:
            return f"Unknown query parameter: {name}."
        if not re.fullmatch(allowed[name], value):
            return f"Invalid query parameter: {name}."
    missing = [name for name in ("model", *_SOUND) if name not in query]
    return f"Missing query parameter: {missing[0]}." if missing else ""


def _refusal(status: int, code: str, message: str) -> web.Response:
    headers = {"dg-error": message}
    return web.json_response({"err_code": code, "err_msg": message}, status=status, headers=headers)
