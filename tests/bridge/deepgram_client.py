"""A client of the rehearsal's Deepgram that lets nothing pass that deepgram-sdk's types do not know."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any

import aiohttp

from bridge.audio import FRAME_BYTES, silence
from bridge.rehearsal.model import Model
from tests.bridge.deepgram_shapes import AURA, FLUX, NOVA, checked

KEY = "dg-rehearsal"
PATIENCE_S = 10
MULAW = "encoding=mulaw&sample_rate=8000"
NOVA_ADDRESS = (
    f"v1/listen?model=nova-3&language=en&{MULAW}&channels=1&interim_results=true"
    "&endpointing=300&utterance_end_ms=1000&vad_events=true"
)
FLUX_ADDRESS = f"v2/listen?model=flux-general-en&{MULAW}&eot_threshold=0.7&eager_eot_threshold=0.4"
AURA_ADDRESS = f"v1/speak?model=aura-2-thalia-en&{MULAW}"


class Client:
    """One socket. got: all messages so far; sound: all binary frames; closed_with: code and reason, at the end."""

    def __init__(self, model: Model, address: str, *, key: str = KEY) -> None:
        kind = "aura" if "speak" in address else "flux" if address.startswith("v2") else "nova"
        self.got: list[dict[str, Any]] = []
        self.sound: list[bytes] = []
        self.closed_with = (0, "")
        self._shapes = {"aura": AURA, "flux": FLUX, "nova": NOVA}[kind]
        self._url = f"{model.url}/deepgram/{address}"
        self._headers = {"Authorization": f"Token {key}"}
        self._http = aiohttp.ClientSession()
        self._read = 0

    async def __aenter__(self) -> Client:
        try:
            self._ws = await self._http.ws_connect(
                self._url, headers=self._headers, timeout=aiohttp.ClientWSTimeout(ws_close=0.3)
            )
        except BaseException:
            await self._http.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._ws.close()
        await self._http.close()

    async def send(self, text: str) -> None:
        await self._ws.send_str(text)

    async def tell(self, name: str, **fields: str) -> None:
        await self._ws.send_json({"type": name, **fields})

    async def binary(self, data: bytes) -> None:
        await self._ws.send_bytes(data)

    async def say(self, audio: bytes, silence_ms: int = 0) -> None:
        """As a telephone would, but without the waiting."""
        audio += silence(silence_ms)
        for at in range(0, len(audio), FRAME_BYTES):
            await self._ws.send_bytes(audio[at : at + FRAME_BYTES])

    async def next(self, holds: str | Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next message of this type, or that is as wanted."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                while self._read < len(self.got):
                    self._read += 1
                    message = self.got[self._read - 1]
                    if message["type"] == holds if isinstance(holds, str) else holds(message):
                        return message
                assert await self._one(), f"closed with {self.closed_with}"

    async def end(self) -> tuple[int, str]:
        """Code and reason, when the server closes."""
        async with asyncio.timeout(PATIENCE_S):
            while await self._one():
                pass
        return self.closed_with

    async def _one(self) -> bool:
        message = await self._ws.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            self.got.append(checked(message.data, self._shapes))
        elif message.type is aiohttp.WSMsgType.BINARY:
            self.sound.append(message.data)
        else:
            code = self._ws.close_code or 0
            self.closed_with = (code, str(message.extra or ""))
            return False
        return True


async def refusal(model: Model, address: str, *, key: str = KEY) -> tuple[int, str]:
    """HTTP status and code of a handshake that is not taken."""
    url = f"http{model.url.removeprefix('ws')}/deepgram/{address}"
    headers = {"Authorization": f"Token {key}", "Upgrade": "websocket", "Connection": "Upgrade"}
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
        return answer.status, (await answer.json())["err_code"]
