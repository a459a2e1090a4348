"""A vendor's sound by HTTP, in pieces as it comes."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import aiohttp

from bridge.engines.peer_session import system_trust
from bridge.engines.speech import VoiceFailed

REFUSAL_BYTES = 65536
KEPT_S = 60.0
"""How long an idle connection is kept: about as long as a caller may speak."""


class HttpSound:
    """One vendor's speech service, and the connections to it that are kept for the next sentence.

    name: of the service, for the operator. address: the setting that says where it is.
    refused: the vendor's refusal in words, from HTTP status and body. tls: whom to trust, the
    system's certificates if None.
    """

    def __init__(
        self,
        name: str,
        headers: Mapping[str, str],
        *,
        address: str,
        refused: Callable[[int, bytes], VoiceFailed],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._name, self._address = name, address
        self._headers = headers
        self._refused = refused
        self._tls = tls
        self._http: aiohttp.ClientSession | None = None
        self._closed = False

    async def ask(
        self, url: str, body: Mapping[str, Any], patience_s: float | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The answer's sound as it comes; closing the iterator ends the request at once. Raises VoiceFailed.

        patience_s: until the next piece, None for as long as it takes.
        """
        for last in (False, True):
            if self._closed:
                raise VoiceFailed("The voice was closed.")
            try:
                async with self._post(url, body, patience_s) as response:
                    if response.status != 200:
                        raise self._refused(response.status, await response.content.read(REFUSAL_BYTES))
                    if response.content_type.startswith(("application/json", "text/")):
                        raise VoiceFailed(f"Something other than {self._name} answered; check {self._address}.")
                    last = True
                    async for piece in response.content.iter_any():
                        yield piece
                return
            except TimeoutError as error:
                raise VoiceFailed(f"{self._name} did not answer in time.") from error
            except (aiohttp.ClientError, OSError, RuntimeError) as error:
                if self._closed:
                    raise VoiceFailed("The voice was closed.") from error
                if isinstance(error, RuntimeError):
                    raise
                # An idle connection may be closed just as it is used.
                if last or not isinstance(error, aiohttp.ServerDisconnectedError):
                    raise VoiceFailed(f"{self._name} could not be reached.") from error

    async def connect(self, url: str, patience_s: float) -> None:
        """Open a connection ahead, so that the next sentence comes sooner. Never raises."""
        if self._closed:
            return
        # RuntimeError: it was closed meanwhile.
        with suppress(aiohttp.ClientError, OSError, RuntimeError):
            wait = aiohttp.ClientTimeout(total=patience_s)
            # What is answered is no matter: the connection is kept.
            async with self._session().head(url, ssl=self._trust(url), allow_redirects=False, timeout=wait):
                pass

    async def close(self) -> None:
        """Let go of the connections."""
        self._closed = True
        if self._http is not None:
            await self._http.close()

    def _post(
        self, url: str, body: Mapping[str, Any], patience_s: float | None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        wait = aiohttp.ClientTimeout(total=None, sock_connect=patience_s, sock_read=patience_s)
        return self._session().post(url, json=body, ssl=self._trust(url), allow_redirects=False, timeout=wait)

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            # Only here, since it needs the loop that it will be used in.
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_S)
            self._http = aiohttp.ClientSession(headers=self._headers, connector=connector)
        return self._http

    def _trust(self, url: str) -> ssl.SSLContext | bool:
        return self._tls or (system_trust() if url.startswith("https:") else True)
