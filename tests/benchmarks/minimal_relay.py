"""The floor that the bridge is measured against: parse, rewrap, nothing else.

What a competent person writes in an evening: the `websockets` package, uvloop and orjson; caller
audio to the AI, AI audio to the caller, and a ``clear`` when the caller begins to speak. No checks,
no pacing, no marks, no transcript, no recording, no journal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal

import orjson
import uvloop
import websockets

from tests.benchmarks.pinning import pin


class Relay:
    """All calls. ai_url: where the AI listens."""

    def __init__(self, ai_url: str) -> None:
        self._ai_url = ai_url

    async def call(self, carrier: websockets.ServerConnection) -> None:
        """One media stream, to its end."""
        async with websockets.connect(self._ai_url, compression=None, ping_interval=None, max_size=None) as ai:
            speaking: asyncio.Task[None] | None = None
            async for text in carrier:
                event = orjson.loads(text)
                if event["event"] == "media":
                    message = {"type": "input_audio_buffer.append", "audio": event["media"]["payload"]}
                    await ai.send(orjson.dumps(message), text=True)
                elif event["event"] == "start":
                    speaking = asyncio.create_task(self.speak(carrier, ai, event["start"]["streamSid"]))
                elif event["event"] == "stop":
                    break
            if speaking is not None:
                speaking.cancel()

    async def speak(self, carrier: websockets.ServerConnection, ai: websockets.ClientConnection, sid: str) -> None:
        """What the AI says, to the caller."""
        while True:
            event = orjson.loads(await ai.recv(decode=False))
            if event["type"] == "response.output_audio.delta":
                message = {"event": "media", "streamSid": sid, "media": {"payload": event["delta"]}}
                await carrier.send(orjson.dumps(message), text=True)
            elif event["type"] == "input_audio_buffer.speech_started":
                await carrier.send(orjson.dumps({"event": "clear", "streamSid": sid}), text=True)


async def main(ai_url: str) -> None:
    """Relay until told to end."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    relay = Relay(ai_url)
    async with websockets.serve(
        relay.call, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=1
    ) as server:
        port = server.sockets[0].getsockname()[1]
        print(json.dumps({"media_url": f"ws://127.0.0.1:{port}/"}), flush=True)
        await over.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--ai-url", required=True)
    parser.add_argument("--core", type=int, default=-1)
    given = parser.parse_args()
    pin(given.core)
    uvloop.run(main(given.ai_url))
