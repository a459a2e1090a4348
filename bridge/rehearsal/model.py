"""A strict AI on loopback that speaks the OpenAI Realtime protocol (GA): `Model`.

It really listens (VAD on the audio it gets), knows the rehearsed callers by ear, answers in real
speech, uses tools, and refuses what the real one refuses. Shipped, and the fake of the tests: it
counts its sessions, records what each received, and can be told to fail (`Faults`).
Shapes: the official `openai` package, types/realtime. Manners: captures of the real service.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

from aiohttp import web

from bridge.engines.speech import VoiceFailed
from bridge.rehearsal import model_speech as speech
from bridge.rehearsal import scenario
from bridge.rehearsal.deepgram import Deepgram
from bridge.rehearsal.ear import Lines
from bridge.rehearsal.elevenlabs import ElevenLabs
from bridge.rehearsal.mind import Heard
from bridge.rehearsal.model_chat import Completions
from bridge.rehearsal.model_chat_wire import MODELS as CHAT_MODELS
from bridge.rehearsal.model_live import LiveSession
from bridge.rehearsal.model_session import Session
from bridge.rehearsal.model_socket import Socket
from bridge.rehearsal.model_wire import MAX_APPEND_BYTES, MODELS, Refused
from bridge.rehearsal.tap import Tap
from bridge.rehearsal.voice import Voice

log = logging.getLogger("cordboard.rehearsal")

HALF_OPEN = -1
"""As `Faults.end_with`: the socket stays open and nothing comes from it any more."""


@dataclass(frozen=True)
class Faults:
    """What shall go wrong. Read anew at every step, so `Model.faults` may be set at any time.

    refuse_status: answer the handshake with this HTTP status (401, 429, 500).
    end_after: end a session after this many events, with end_with: 1006 cuts the socket, another
    close code closes it, with `HALF_OPEN` it goes on reading but never says or answers anything.
    inject_after, inject: after the first event of this type send these raw texts too (unknown
    events, malformed JSON, an error).
    silent: no response is ever begun; no_audio: responses end without an item; never_done: they
    never end; fail_response: they fail; first_byte_delay_ms: they are slower; no_transcripts:
    transcription fails; speech_status: answer requests for speech with this HTTP status.
    deepgram_refuse_status, deepgram_end_after, deepgram_end_with, deepgram_inject_after,
    deepgram_inject: the same for a socket to Deepgram, sound counted as messages called "sound".
    deepgram_silent: it understands nothing and says nothing; deepgram_slow_ms: all comes so much later.
    unspeakable: requests for speech of OpenAI or ElevenLabs (by HTTP) with these words in them are refused (400).
    speech_delay_ms: until the first sound of requests for speech; speech_pace: how many times faster than
    real time it comes, 0 at once.
    elevenlabs_refuse_status: the same for ElevenLabs; elevenlabs_error: it refuses to speak, with this
    name; elevenlabs_silent: it never says anything; elevenlabs_cut_after: it cuts the socket with this
    piece of sound; elevenlabs_inject: raw texts with each piece. elevenlabs_delay_ms: until a
    sentence's first sound; elevenlabs_pace: how many times faster than real time it speaks, 0 at once.
    chat_status, chat_code: answer requests for chat with this HTTP status and error code. chat_refuses:
    parameters that are not known. chat_silent: no token ever comes; chat_delay_ms: the first comes later;
    chat_cut_after: the connection is cut after this many tokens; chat_error_after: an error is told instead
    of more. chat_times: how many requests these hit, 0 for all. chat_retry_after_s: and how long it asks them
    to stay away.
    beta: sessions that begin now speak the protocol's beta, of any model; pcm16_only: and take no
    telephone sound, as some local servers (with or without beta).
    live_talkative: GPT-Live answers although it was told to listen only.
    """

    refuse_status: int = 0
    end_after: int = 0
    end_with: int = 1006
    inject_after: str = ""
    inject: tuple[str, ...] = ()
    silent: bool = False
    no_audio: bool = False
    never_done: bool = False
    fail_response: bool = False
    first_byte_delay_ms: int = 0
    no_transcripts: bool = False
    speech_status: int = 0
    deepgram_refuse_status: int = 0
    deepgram_end_after: int = 0
    deepgram_end_with: int = 1006
    deepgram_inject_after: str = ""
    deepgram_inject: tuple[str, ...] = ()
    deepgram_silent: bool = False
    deepgram_slow_ms: int = 0
    unspeakable: str = ""
    speech_delay_ms: int = 0
    speech_pace: float = 0.0
    elevenlabs_refuse_status: int = 0
    elevenlabs_error: str = ""
    elevenlabs_silent: bool = False
    elevenlabs_cut_after: int = 0
    elevenlabs_inject: tuple[str, ...] = ()
    elevenlabs_delay_ms: int = 75
    elevenlabs_pace: float = 10.0
    chat_status: int = 0
    chat_code: str = "server_error"
    chat_refuses: tuple[str, ...] = ()
    chat_silent: bool = False
    chat_delay_ms: int = 0
    chat_cut_after: int = 0
    chat_error_after: int = 0
    chat_times: int = 0
    chat_retry_after_s: float = 0.0
    beta: bool = False
    pcm16_only: bool = False
    live_talkative: bool = False

    def after(self, name: str) -> tuple[str, ...]:
        """Raw texts to send after an event."""
        return self.inject if name == self.inject_after else ()

    def ending(self, count: int) -> int:
        """How a session ends that has sent ``count`` events; 0 for not yet."""
        return self.end_with if self.end_after and count == self.end_after else 0


class Model:
    """The server, as an async context manager on 127.0.0.1 and a free port.

    api_key: the only one it takes. model_delay_ms: from a response's beginning to its first sound.
    speed: how many times faster than real time audio comes, 0 for all at once. transcript_delay_ms:
    how long after a turn its words come, at least and at most. stt_delay_ms, aura_delay_ms: how long
    Deepgram takes to understand, and to begin to speak, likewise. expires_s: life of a session.
    seed: decides all that is left to chance. speech_path: where speech programs are looked for.
    live_pace: how many times faster than real time GPT-Live speaks, which the real one never does.
    live_usage_s: how often it tells of its usage.
    """

    def __init__(
        self,
        *,
        api_key: str,
        model_delay_ms: int = 350,
        speed: float = 15.0,
        transcript_delay_ms: tuple[int, int] = (150, 900),
        stt_delay_ms: tuple[int, int] = (100, 250),
        aura_delay_ms: tuple[int, int] = (150, 250),
        expires_s: float = 3600.0,
        seed: int = 1,
        speech_path: str | None = None,
        live_pace: float = 1.0,
        live_usage_s: float = 5.0,
    ) -> None:
        self.api_key = api_key
        self.model_delay_ms = model_delay_ms
        self.speed = speed
        self.transcript_delay_ms = transcript_delay_ms
        self.stt_delay_ms, self.aura_delay_ms = stt_delay_ms, aura_delay_ms
        self.expires_s = expires_s
        self.live_pace, self.live_usage_s = live_pace, live_usage_s
        self.faults = Faults()
        self.tap = Tap()
        self.replies = [reply for name in scenario.names() for reply in scenario.load(name).replies]
        self.lines = Lines(self.replies)
        self.voice = Voice(speech_path)
        self.deepgram = Deepgram(self, seed)
        self.sessions: list[Session] = []
        """Every session there was; the record of a test. A long rehearsal may clear the ended ones."""
        self.live_sessions: list[LiveSession] = []
        """The same of GPT-Live; ``open_sessions`` and ``total_sessions`` count both."""
        self.spoken: list[speech.Asked] = []
        """Every text that speech was made of, likewise."""
        self.speech_finished = self.speech_cut_short = 0
        self.elevenlabs = ElevenLabs(self)
        self.chat = Completions(self, seed)
        self.open_sessions = 0
        self.total_sessions = 0
        self.url = ""
        self._seed = seed
        self._recogniser = ThreadPoolExecutor(1, "cordboard-recogniser")
        self._runner: web.AppRunner | None = None
        self._open: set[Socket] = set()
        self._watchers: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    async def __aenter__(self) -> Model:
        app = web.Application()
        app.router.add_get("/v1/realtime", self._connect)
        app.router.add_get("/v1/live/sessions", self._connect_live)
        app.router.add_post("/v1/audio/speech", self._speak)
        self.deepgram.add_routes(app, "/v1/deepgram")
        app.add_routes(self.elevenlabs.routes("/v1/elevenlabs"))
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"ws://{host}:{port}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(session.leave(1001, "server shutting down") for session in self._open))
        await self.deepgram.leave()
        if self._runner:
            await self._runner.cleanup()
        self.voice.close()
        self._recogniser.shutdown()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Returns as soon as ``holds()``, which is asked whenever something happened in a session."""
        if holds():
            return
        watcher = (holds, asyncio.get_running_loop().create_future())
        self._watchers.append(watcher)
        try:
            await watcher[1]
        finally:
            self._watchers.remove(watcher)

    def noted(self) -> None:
        """Something happened in a session."""
        for holds, future in self._watchers:
            if not future.done() and holds():
                future.set_result(None)

    async def understand(self, audio: bytes) -> list[Heard]:
        """The rehearsed lines in a turn; see `Lines.recognise`."""
        if not self.lines.learned:
            return self.lines.recognise(audio)
        return await asyncio.get_running_loop().run_in_executor(self._recogniser, self.lines.recognise, audio)

    def expires_at(self) -> int:
        """Unix time at which a session that begins now ends."""
        return int(time.time() + self.expires_s)

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        if refused := self._refused(request, self.faults.speech_status):
            return refused
        try:
            body = await request.read()
            self.tap.came("speech", body)
            asked = speech.decode_asked(body)
            if self.faults.unspeakable and self.faults.unspeakable in asked.input:
                raise Refused("invalid_value", "The rehearsal was told not to speak these words.", "input")
            sound = await self.voice.really_speak(asked.input)
        except Refused as wrong:
            return _refusal(404 if wrong.code == "model_not_found" else 400, wrong.code, wrong.message, wrong.param)
        except VoiceFailed as failed:
            log.warning("speech was asked for that cannot be made: %s", failed)
            return _refusal(500, "server_error", "The server had an error while processing your request. Sorry!")
        self.lines.learn(asked.input, sound)
        self.spoken.append(asked)
        self.noted()
        try:
            await asyncio.sleep(self.faults.speech_delay_ms / 1000)
            response = await speech.answer(request, asked, sound, self.faults.speech_pace, self.tap)
        except (ConnectionError, asyncio.CancelledError):
            self.speech_cut_short += 1
            self.noted()
            raise
        self.speech_finished += 1
        return response

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        faults = self.chat.faults()
        if refused := self._refused(request, faults.chat_status if faults else 0, faults.chat_code if faults else ""):
            if faults and faults.chat_retry_after_s:
                refused.headers["Retry-After"] = f"{faults.chat_retry_after_s:g}"
            return refused
        try:
            return await self.chat.answer(request, faults)
        except Refused as wrong:
            return _refusal(404 if wrong.code == "model_not_found" else 400, wrong.code, wrong.message, wrong.param)

    async def _models(self, request: web.Request) -> web.StreamResponse:
        if refused := self._refused(request, 0):
            return refused
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": "rehearsal"} for name in CHAT_MODELS]
        return web.json_response({"object": "list", "data": listed})

    def _refused(self, request: web.Request, fault_status: int, code: str = "server_error") -> web.Response | None:
        """The answer to a request without the key, or that a fault forbids."""
        given = request.headers.get("Authorization", "")
        if fault_status:
            return _refusal(fault_status, code, "The rehearsal was told to refuse.")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.api_key}".encode()):
            return _refusal(401, "invalid_api_key", "Incorrect API key provided.")
        return None

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        if refused := self._refused(request, self.faults.refuse_status):
            return refused
        name = request.query.get("model", "")
        if not name and request.query.get("intent") != "transcription":
            return _refusal(400, "missing_model", "You must provide a model parameter.")
        ws = await _accepted(request)
        self.total_sessions += 1
        session = Session(self, ws, request, name, self._seed * 1_000_003 + self.total_sessions)
        if not self.faults.beta and (problem := _problem(request, name)):
            code, words = problem
            await session.error(code, words)
            await session.leave(4000, f"invalid_request_error.{code}")
            return ws
        self.sessions.append(session)
        await self._serve(session)
        return ws

    async def _connect_live(self, request: web.Request) -> web.StreamResponse:
        if refused := self._refused(request, self.faults.refuse_status):
            return refused
        if request.query:
            return _refusal(400, "unknown_parameter", "A live session takes no query: configure it by session.start.")
        ws = await _accepted(request)
        self.total_sessions += 1
        session = LiveSession(self, ws, request, self._seed * 1_000_003 + self.total_sessions)
        self.live_sessions.append(session)
        await self._serve(session)
        return ws

    async def _serve(self, session: Socket) -> None:
        self.open_sessions += 1
        self._open.add(session)
        self.noted()
        try:
            await session.run()
        finally:
            self._open.discard(session)
            self.open_sessions -= 1
            self.noted()


async def _accepted(request: web.Request) -> web.WebSocketResponse:
    # 15 MiB of audio are 20 MiB of base64, and the JSON around it.
    largest = MAX_APPEND_BYTES * 4 // 3 + 65536
    # Pings and closes come to the session as messages: a half-open one answers neither.
    ws = web.WebSocketResponse(compress=False, timeout=1.0, max_msg_size=largest, autoping=False, autoclose=False)
    await ws.prepare(request)
    return ws


def _problem(request: web.Request, name: str) -> tuple[str, str] | None:
    """Code and words when the real one accepts the socket only to say no."""
    if "OpenAI-Beta" in request.headers:
        return "beta_api_shape_disabled", "The Realtime Beta API is no longer supported. Please use the GA API."
    if name and name not in MODELS:
        return "model_not_found", f"The model '{name}' does not exist or you do not have access to it."
    return None


def _refusal(status: int, code: str, message: str, param: str | None = None) -> web.Response:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    error = {"message": message, "type": kind, "param": param, "code": code}
    return web.json_response({"error": error}, status=status)
