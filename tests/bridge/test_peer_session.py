"""A vendor's session over real sockets: both kinds of message, the time it gets, its end in words."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from bridge.engines import EngineLost
from bridge.engines.peer_session import PeerSession, lost
from bridge.engines.peer_socket import Closed, Refused

UNSAFE = ssl.SSLError(1, "bad certificate")
UNSAFE.reason = "CERTIFICATE_VERIFY_FAILED"

in_words = partial(lost, vendor="Parrot", key="PARROT_API_KEY")


class Talk:
    """A session, and all that it told."""

    def __init__(self, url: str, *, patience_s: float | None = None, needs_settings: bool = False) -> None:
        self.heard: list[bytes | str] = []
        self._needs_settings = needs_settings
        self._news = asyncio.Event()
        self.session = PeerSession(
            url,
            {"X-Key": "secret"},
            on_open=self._opened,
            on_texts=self._texts,
            on_bytes=self._bytes,
            in_words=in_words,
            patience_s=patience_s,
        )

    def _opened(self) -> None:
        if not self._needs_settings:
            self.session.ready()
        self._tell("open")

    def _texts(self, texts: list[bytes]) -> None:
        for text in texts:
            self._tell(text.decode())

    def _bytes(self, message: bytes) -> None:
        self._tell(message)

    def _tell(self, what: bytes | str) -> None:
        self.heard.append(what)
        self._news.set()

    async def until(self, number: int) -> None:
        while len(self.heard) < number:
            self._news.clear()
            await self._news.wait()


@asynccontextmanager
async def served(handle: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def echo(peer: ServerConnection) -> None:
    async for message in peer:
        await peer.send(message)


async def test_texts_and_bytes_come_back_in_the_order_in_which_they_were_sent() -> None:
    async with served(echo) as url:
        talk = Talk(url)
        talk.session.send_text(b"too early")
        talk.session.send_bytes(b"too early")
        assert (talk.session.running, talk.session.unsent_bytes) == (False, 0)
        running = asyncio.create_task(talk.session.run())
        await talk.until(1)
        assert (talk.session.running, talk.session.over) == (True, False)
        for number in range(3):
            talk.session.send_text(b"text %d" % number)
            talk.session.send_bytes(b"\xffbytes %d" % number)
        await talk.until(7)
        await talk.session.close()
        await running
        talk.session.send_bytes(b"too late")
    expected: list[bytes | str] = ["open"]
    for number in range(3):
        expected += [f"text {number}", b"\xffbytes %d" % number]
    assert talk.heard == expected
    assert (talk.session.over, talk.session.why) == (True, None)


async def test_messages_in_pieces_are_put_together() -> None:
    async def handle(peer: ServerConnection) -> None:
        await peer.send(iter([b"\x00", b"", b"\x01"]))
        await peer.send(iter(["a", "b"]))
        await peer.send(b"\x02")
        await peer.wait_closed()

    async with served(handle) as url:
        talk = Talk(url)
        running = asyncio.create_task(talk.session.run())
        await talk.until(4)
        await talk.session.close()
        await running
    assert talk.heard == ["open", b"\x00\x01", "ab", b"\x02"]


async def test_what_fails_at_a_text_keeps_the_bytes_behind_it_from_being_told() -> None:
    async def handle(peer: ServerConnection) -> None:
        peer.transport.write(b"\x81\x01a\x82\x01b\x81\x01c")
        await peer.wait_closed()

    async with served(handle) as url:
        talk = Talk(url)

        def fails(texts: list[bytes]) -> None:
            raise LookupError("ours")

        session = PeerSession(
            url, {}, on_open=lambda: None, on_texts=fails, on_bytes=talk._bytes, in_words=in_words, patience_s=5
        )
        with pytest.raises(LookupError):
            await session.run()
    assert talk.heard == []


async def test_a_session_that_never_gets_ready_is_given_up_after_the_time_it_was_given() -> None:
    async with served(echo) as url:
        with pytest.raises(EngineLost, match="Parrot did not answer in time") as gone:
            await Talk(url, patience_s=0.05, needs_settings=True).session.run()
        assert not gone.value.fatal


async def test_the_peers_own_word_on_why_it_refuses_is_kept() -> None:
    def refuse(peer: ServerConnection, request: Request) -> Response:
        return Response(402, "Payment Required", Headers({"Content-Length": "9"}), b"no credit")

    async with serve(echo, "127.0.0.1", 0, process_request=refuse) as server:
        talk = Talk(f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}")
        with pytest.raises(EngineLost, match="no credit left") as gone:
            await talk.session.run()
    assert gone.value.fatal
    assert isinstance(talk.session.why, Refused) and talk.session.why.body == "no credit"


async def test_what_is_no_address_of_a_socket_is_told() -> None:
    with pytest.raises(ValueError, match="isn't a valid URI"):
        await Talk("http://x").session.run()


@pytest.mark.parametrize(
    ("why", "words", "fatal"),
    [
        (Refused(401), "Put a valid key into PARROT_API_KEY", True),
        (Refused(402), "credit", True),
        (Refused(403), "rights", True),
        (Refused(404), "no such model", True),
        (Refused(400), "refused the connection (400)", True),
        (Refused(408), "try again", False),
        (Refused(429), "too many at once", False),
        (Refused(503), "try again", False),
        (Refused(0), "What answered is not Parrot. Check the network and PARROT_URL.", False),
        (Closed(1011, "oops"), "The connection to Parrot was lost (1011).", False),
        (UNSAFE, "not safe (CERTIFICATE_VERIFY_FAILED)", False),
        (TimeoutError(), "did not answer in time", False),
        (OSError(111, "Connection refused"), "cannot be reached (Connection refused). Check the network and", False),
    ],
)
def test_an_end_is_told_with_the_vendors_name(why: Exception, words: str, fatal: bool) -> None:
    told = lost(why, vendor="Parrot", key="PARROT_API_KEY", address="PARROT_URL")
    assert isinstance(told, EngineLost) and told.fatal is fatal
    assert words in str(told) and "Parrot" in str(told)


def test_a_defect_of_ours_stays_what_it_is() -> None:
    defect = LookupError("ours")
    assert in_words(defect) is defect
