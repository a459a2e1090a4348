"""A WebSocket that costs a load generator next to nothing: RFC 6455 frames written and read by hand.

Only what the peers of a bridge use is here: a handshake, whole messages, pings and closes.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import urlsplit

from websockets.speedups import apply_mask

ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Socket(asyncio.Protocol):
    """One end of a connection. headers: of a client's handshake; a server (None) answers any."""

    def __init__(
        self,
        on_text: Callable[[bytes], None],
        headers: Mapping[str, str] | None = None,
        path: str = "/",
        on_binary: Callable[[bytes], None] | None = None,
    ):
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._on_text = on_text
        self._on_binary = on_binary
        self._headers = headers
        self._path = path
        self._mask = b"" if headers is None else os.urandom(4)
        self._rest = b""
        self._shaken = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._headers is not None:
            lines = {
                **self._headers,
                "Upgrade": "websocket",
                "Connection": "Upgrade",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            }
            head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
            transport.write(f"GET {self._path} HTTP/1.1\r\n{head}\r\n".encode())

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("the handshake was refused"))
        if not self.lost.done():
            self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        at = 0 if self._shaken else self._shake(data)
        end = len(data)
        while end - at >= 2:
            size, head = data[at + 1] & 127, 2
            if size == 126:
                size, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4
            elif size == 127:
                size, head = int.from_bytes(data[at + 2 : at + 10], "big"), 10
            masked = data[at + 1] & 128
            start = at + head + (4 if masked else 0)
            if start + size > end or end - at < head:
                break
            body = data[start : start + size]
            if masked:
                body = apply_mask(body, data[start - 4 : start])
            kind = data[at] & 15
            at = start + size
            if kind == TEXT:
                self._on_text(body)
            elif kind == BINARY and self._on_binary is not None:
                self._on_binary(body)
            else:
                self._control(kind, body)
        self._rest = data[at:]

    def _shake(self, data: bytes) -> int:
        """Take the handshake; returns where the frames begin."""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return 0
        self._shaken = True
        head = data[:end]
        if self._headers is None:
            lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
            (key,) = (value.strip() for name, _, value in lines if name.lower() == b"sec-websocket-key")
            accept = base64.b64encode(hashlib.sha1(key + ACCEPT).digest())
            self._transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept
            )
        elif not head.startswith(b"HTTP/1.1 101"):
            self._transport.close()
            return len(data)
        self.opened.set_result(None)
        return end + 4

    def _control(self, kind: int, body: bytes) -> None:
        if kind == PING:
            self._write(PONG, body)
        elif kind == CLOSE:
            self._write(CLOSE, body)
            self._transport.close()

    def send(self, text: bytes) -> None:
        """One text message, now."""
        self._write(TEXT, text)

    def send_binary(self, body: bytes) -> None:
        """One binary message, now."""
        self._write(BINARY, body)

    def close(self) -> None:
        """Begin to close; the other side ends it."""
        self._write(CLOSE, b"\x03\xe8")

    def abort(self) -> None:
        """Be gone."""
        self._transport.abort()

    def _write(self, kind: int, body: bytes) -> None:
        if self._transport.is_closing():
            return
        size, mask = len(body), self._mask
        if mask:
            body = apply_mask(body, mask)
        flag = 128 if mask else 0
        if size < 126:
            head = bytes((128 | kind, flag | size))
        elif size < 65536:
            head = bytes((128 | kind, flag | 126, size >> 8, size & 255))
        else:
            head = bytes((128 | kind, flag | 127)) + size.to_bytes(8, "big")
        self._transport.write(head + mask + body)


async def connect(
    url: str,
    headers: Mapping[str, str],
    on_text: Callable[[bytes], None],
    on_binary: Callable[[bytes], None] | None = None,
) -> Socket:
    """Open a socket as a client. Raises OSError."""
    parts = urlsplit(url)
    socket = Socket(on_text, {"Host": parts.netloc, **headers}, parts.path or "/", on_binary)
    await asyncio.get_running_loop().create_connection(lambda: socket, parts.hostname, parts.port)
    await socket.opened
    return socket
