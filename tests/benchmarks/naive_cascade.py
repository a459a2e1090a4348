"""A cascade as one writes it in an afternoon, to be measured beside the bridge.

One thing after the other: the final words are waited for, then the whole answer, then its whole sound, and
that is sent. No greeting, no barge-in, no tools, no recording; connections are kept open as good clients do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from base64 import b64decode, b64encode
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web

from bridge.engines.speech.deepgram_messages import NOVA, nova_url
from bridge.engines.speech.elevenlabs_wire import MODEL, VOICE
from bridge.settings import CHAT_MODEL
from tests.benchmarks.pinning import pin


class Naive:
    """The server. ai_url: http, of all three vendors."""

    def __init__(self, ai_url: str, api_key: str, http: aiohttp.ClientSession) -> None:
        self._ai_url, self._key, self._http = ai_url, api_key, http
        self.voice_url = self._media_url = ""

    async def open(self) -> web.AppRunner:
        """Serve on a free port."""
        app = web.Application()
        app.add_routes([web.post("/voice", self._answer), web.get("/media", self._media)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        self.voice_url, self._media_url = f"http://127.0.0.1:{port}/voice", f"ws://127.0.0.1:{port}/media"
        return runner

    async def _answer(self, request: web.Request) -> web.Response:
        twiml = f'<Response><Connect><Stream url="{self._media_url}"/></Connect></Response>'
        return web.Response(text=twiml, content_type="text/xml")

    async def _media(self, request: web.Request) -> web.WebSocketResponse:
        carrier = web.WebSocketResponse()
        await carrier.prepare(request)
        url = nova_url(f"{self._ai_url}/deepgram", NOVA, "en")
        async with self._http.ws_connect(url, headers={"Authorization": f"Token {self._key}"}) as deepgram:
            talking: asyncio.Task[None] | None = None
            async for message in carrier:
                told = json.loads(message.data)
                if told["event"] == "start":
                    talking = asyncio.create_task(self._talk(deepgram, carrier, told["start"]["streamSid"]))
                elif told["event"] == "media":
                    await deepgram.send_bytes(b64decode(told["media"]["payload"]))
            if talking is not None:
                talking.cancel()
        return carrier

    async def _talk(self, deepgram: Any, carrier: web.WebSocketResponse, stream_sid: str) -> None:
        messages = [{"role": "system", "content": "Help the caller."}]
        words = ""
        async for received in deepgram:
            told = json.loads(received.data) if received.type is WSMsgType.TEXT else {}
            if told.get("is_final"):
                words += told["channel"]["alternatives"][0]["transcript"]
            if not (told.get("speech_final") and words):
                continue
            messages.append({"role": "user", "content": words})
            words = ""
            text = await self._think(messages)
            messages.append({"role": "assistant", "content": text})
            sound = await self._speak(text)
            media = {"event": "media", "streamSid": stream_sid, "media": {"payload": b64encode(sound).decode()}}
            await carrier.send_str(json.dumps(media))

    async def _think(self, messages: list[dict[str, str]]) -> str:
        body = {"model": CHAT_MODEL, "messages": messages, "stream": True}
        text = ""
        headers = {"Authorization": f"Bearer {self._key}"}
        async with self._http.post(f"{self._ai_url}/chat/completions", json=body, headers=headers) as response:
            async for line in response.content:
                if line.startswith(b"data: {"):
                    text += json.loads(line[6:])["choices"][0]["delta"].get("content") or ""
        return text

    async def _speak(self, text: str) -> bytes:
        url = f"{self._ai_url}/elevenlabs/v1/text-to-speech/{VOICE}/stream?output_format=ulaw_8000"
        body = {"text": text, "model_id": MODEL}
        async with self._http.post(url, json=body, headers={"xi-api-key": self._key}) as response:
            return await response.read()


async def serve(ai_url: str, api_key: str) -> None:
    """Run until told to end."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    async with aiohttp.ClientSession() as http:
        naive = Naive(ai_url, api_key, http)
        runner = await naive.open()
        print(json.dumps({"voice_url": naive.voice_url}), flush=True)
        await over.wait()
        await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--ai-url", required=True)
    parser.add_argument("--api-key", required=True)
    parser.add_argument("--core", type=int, default=-1)
    given = parser.parse_args()
    pin(given.core)
    asyncio.run(serve(given.ai_url.replace("ws:", "http:", 1), given.api_key))
