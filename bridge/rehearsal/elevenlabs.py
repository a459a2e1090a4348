"""ElevenLabs' text to speech as the rehearsal has it: the multi-context socket, and one sentence by HTTP.

As strict as the real one, and stricter where this one can do less: it speaks `ulaw_8000` alone, in the
voices and models that are listed here, at its own speed.
Shapes: the official `elevenlabs` package 2.78. Manners: what users of the socket saw of it in 2026.
"""

from __future__ import annotations

import asyncio
import hmac
from base64 import b64encode
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from aiohttp import WSMsgType, web
from msgspec import UNSET, Meta, UnsetType

from bridge.audio import BYTES_PER_MS
from bridge.rehearsal.model_wire import Shape

if TYPE_CHECKING:
    from bridge.rehearsal.model import Model

VOICES = ("JBFqnCBsd6RMkjVDRZzb", "EXAVITQu4vr4xnSDxMaL", "onwK4e9ZLuTAKqWW03F9")
MODELS = ("eleven_flash_v2_5", "eleven_turbo_v2_5", "eleven_multilingual_v2")
ONLY_CLIPS = ("eleven_v3",)
"""Models that the socket does not have."""

MOST_CONTEXTS = 5
USUAL_IDLE_S, LONGEST_IDLE_S = 20, 180
POLICY = 1008
_PIECE_MS = 120
_LETTERS = 120
"""Text beyond this many letters is spoken without a flush."""

_OPTIONS = {
    *("model_id", "output_format", "auto_mode", "inactivity_timeout", "language_code", "enable_logging"),
    *("sync_alignment", "apply_text_normalization", "seed", "enable_ssml_parsing"),
}


class VoiceSettings(Shape, kw_only=True):
    stability: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    similarity_boost: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    style: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    use_speaker_boost: bool | UnsetType = UNSET
    speed: Annotated[float, Meta(ge=0.7, le=1.2)] = 1.0


class GenerationConfig(Shape, kw_only=True):
    chunk_length_schedule: list[Annotated[float, Meta(ge=50, le=500)]] | UnsetType = UNSET


class Message(Shape, kw_only=True):
    """What a client may send on the socket."""

    text: str | None = None
    context_id: str | UnsetType = UNSET
    voice_settings: VoiceSettings | UnsetType = UNSET
    generation_config: GenerationConfig | UnsetType = UNSET
    flush: bool = False
    close_context: bool = False
    close_socket: bool = False


class ClipAsked(Shape, kw_only=True):
    """A request for one sentence by HTTP."""

    text: Annotated[str, Meta(min_length=1, max_length=40_000)]
    model_id: str = "eleven_multilingual_v2"
    voice_settings: VoiceSettings | UnsetType = UNSET
    language_code: str | UnsetType = UNSET


@dataclass(frozen=True)
class Asked:
    """Something that was to be spoken. by_http: not by the socket."""

    text: str
    voice: str
    model: str
    speed: float
    by_http: bool = False


class Refused(Exception):
    """The client did what the protocol does not allow; the socket ends with it. name: as the real one has it."""

    def __init__(self, name: str, message: str, code: int = POLICY) -> None:
        super().__init__(message)
        self.name, self.message, self.code = name, message, code


_decoder = msgspec.json.Decoder(Message)
_clip_decoder = msgspec.json.Decoder(ClipAsked)


class ElevenLabs:
    """The service. asked: all that was to be spoken, in order; finished: how many of them were.

    cut_short: sockets and requests that ended amid speech. sent_pieces: of sound. idle_scale: how many
    times faster than real time sockets tire of waiting.
    """

    def __init__(self, model: Model) -> None:
        self.asked: list[Asked] = []
        self.finished = self.cut_short = 0
        self.sent_pieces = 0
        self.open_sockets = 0
        self.total_sockets = 0
        self.idle_scale = 1.0
        self.keep_alives = 0
        self._model = model

    def routes(self, root: str) -> list[web.RouteDef]:
        """What to serve, below a path."""
        path = f"{root}/v1/text-to-speech/{{voice}}"
        return [web.get(f"{path}/multi-stream-input", self._socket), web.post(f"{path}/stream", self._clip)]

    def _refused(self, request: web.Request) -> web.Response | None:
        faults = self._model.faults
        given = request.headers.get("xi-api-key", "")
        if faults.elevenlabs_refuse_status:
            return web.Response(status=faults.elevenlabs_refuse_status, text="The rehearsal was told to refuse.")
        if not hmac.compare_digest(given.encode(), self._model.api_key.encode()):
            return _refusal(401, "invalid_api_key", "Invalid API key")
        return None

    # ── one sentence by HTTP ──────────────────────────────────────────────────────────────

    async def _clip(self, request: web.Request) -> web.StreamResponse:
        faults, voice = self._model.faults, request.match_info["voice"]
        if refused := self._refused(request):
            return refused
        try:
            body = await request.read()
            self._model.tap.came("elevenlabs", body)
            asked = _clip_decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _refusal(422, "invalid_parameters", str(error))
        if voice not in VOICES:
            return _refusal(404, "voice_not_found", f"A voice with the voice_id {voice} was not found.")
        if asked.model_id not in MODELS + ONLY_CLIPS:
            return _refusal(400, "model_not_found", f"A model with model ID {asked.model_id} does not exist")
        if request.query.get("output_format") != "ulaw_8000":
            return _refusal(400, "invalid_output_format", "This rehearsal AI speaks ulaw_8000 only.")
        if faults.elevenlabs_error:
            return _refusal(401, faults.elevenlabs_error, "The rehearsal was told to refuse.")
        if faults.unspeakable and faults.unspeakable in asked.text:
            return _refusal(400, "invalid_text", "The rehearsal was told not to speak these words.")
        self.asked.append(Asked(asked.text, voice, asked.model_id, _speed(asked.voice_settings), by_http=True))
        self._model.noted()
        try:
            response = await self._said(request, (await self._model.voice.speak(asked.text)).audio)
        except (ConnectionError, asyncio.CancelledError):
            self.cut_short += 1
            self._model.noted()
            raise
        self.finished += 1
        return response

    async def _said(self, request: web.Request, spoken: bytes) -> web.StreamResponse:
        faults = self._model.faults
        if faults.elevenlabs_silent:
            await asyncio.Event().wait()
        await asyncio.sleep(faults.elevenlabs_delay_ms / 1000)
        response = web.StreamResponse(headers={"Content-Type": "audio/basic"})
        await response.prepare(request)
        for at in range(0, len(spoken), _PIECE_MS * BYTES_PER_MS):
            piece = spoken[at : at + _PIECE_MS * BYTES_PER_MS]
            self._model.tap.leaves("elevenlabs", piece)
            await response.write(piece)
            self.sent_pieces += 1
            self._model.noted()
            await self.pace(piece)
        await response.write_eof()
        return response

    async def pace(self, piece: bytes) -> None:
        """Lets the time pass that making a piece takes."""
        speed = self._model.faults.elevenlabs_pace
        await asyncio.sleep(len(piece) / BYTES_PER_MS / 1000 / speed if speed else 0)

    # ── the socket ────────────────────────────────────────────────────────────────────────

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if refused := self._refused(request):
            return refused
        ws = web.WebSocketResponse(compress=False, timeout=1.0)
        await ws.prepare(request)
        self.open_sockets += 1
        self.total_sockets += 1
        self._model.noted()
        try:
            await _Socket(self._model, self, ws, request).run()
        finally:
            self.open_sockets -= 1
            self._model.noted()
        return ws


@dataclass
class _Context:
    """closed: its end comes when all that it was to say is said."""

    id: str
    speed: float
    waiting: str = ""
    closed: bool = False
    work: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)


class _Socket:
    """One client's."""

    def __init__(self, model: Model, service: ElevenLabs, ws: web.WebSocketResponse, request: web.Request) -> None:
        self._model, self._service, self._ws, self._request = model, service, ws, request
        self._voice = request.match_info["voice"]
        self._contexts: dict[str, _Context] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serves the client until either side ends it."""
        try:
            self._check()
            await self._listen()
        except Refused as refused:
            await self._end(refused)
        finally:
            if self._contexts:
                self._service.cut_short += 1
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _check(self) -> None:
        options = self._request.query
        if unknown := set(options) - _OPTIONS:
            raise Refused("invalid_parameters", f"Unknown parameter {sorted(unknown)[0]}.")
        if self._voice not in VOICES:
            raise Refused("voice_id_does_not_exist", f"A voice with voice_id {self._voice} does not exist.")
        if options.get("model_id") not in MODELS:
            raise Refused("unsupported_model", "The model is not supported by this endpoint.")
        if options.get("output_format") != "ulaw_8000":
            raise Refused("invalid_output_format", "This rehearsal AI speaks ulaw_8000 only.")
        idle_s = options.get("inactivity_timeout", str(USUAL_IDLE_S))
        if not idle_s.isdigit() or not 1 <= int(idle_s) <= LONGEST_IDLE_S:
            raise Refused("invalid_parameters", f"inactivity_timeout should be 1 to {LONGEST_IDLE_S}.")
        self._idle_s = int(idle_s)

    async def _listen(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._idle_s / self._service.idle_scale):
                    received = await self._ws.receive()
            except TimeoutError:
                text = f"Have not received a new text input within the timeout of {self._idle_s} seconds."
                raise Refused("input_timeout_exceeded", text) from None
            if received.type is not WSMsgType.TEXT:
                return
            self._model.tap.came("elevenlabs", received.data)
            try:
                message = _decoder.decode(received.data)
            except msgspec.DecodeError as error:
                raise Refused("invalid_input_message", f"Could not parse input message: {error}") from error
            if message.close_socket:
                await asyncio.gather(*self._tasks)
                await self._ws.close()
                return
            self._obey(message)
            self._model.noted()

    def _obey(self, message: Message) -> None:
        if message.context_id is UNSET and message.text == "":
            self._service.keep_alives += 1
            return
        context_id = "" if message.context_id is UNSET else message.context_id
        context = self._contexts.get(context_id)
        if context is not None and message.voice_settings is not UNSET:
            problem = "voice_settings can only be provided in the first message of a context."
            raise Refused("invalid_input_message", problem)
        if context is None or context.closed:
            context = self._open(context_id, message)
        context.waiting += message.text or ""
        if context.waiting.strip() and (message.flush or self._is_long(context.waiting)):
            context.work.put_nowait(context.waiting)
            context.waiting = ""
        if message.close_context:
            context.closed = True
            context.work.put_nowait(None)

    def _is_long(self, text: str) -> bool:
        return self._request.query.get("auto_mode") == "true" or len(text) >= _LETTERS

    def _open(self, context_id: str, message: Message) -> _Context:
        """A context, which any message that names none of those there are brings to life."""
        if len(self._contexts) >= MOST_CONTEXTS:
            problem = f"Maximum simultaneous contexts per WebSocket connection exceeded ({MOST_CONTEXTS})."
            raise Refused("max_active_conversations", problem)
        if context_id in self._contexts:
            raise Refused("invalid_input_message", "This rehearsal AI does not take an id again that is still in use.")
        context = self._contexts[context_id] = _Context(context_id, _speed(message.voice_settings))
        self._start(self._speak(context))
        return context

    async def _speak(self, context: _Context) -> None:
        faults = self._model.faults
        while (text := await context.work.get()) is not None:
            if faults.elevenlabs_error:
                await self._end(Refused(faults.elevenlabs_error, "The rehearsal was told to refuse."))
                return
            self._service.asked.append(Asked(text.strip(), self._voice, self._request.query["model_id"], context.speed))
            self._model.noted()
            if faults.elevenlabs_silent:
                await asyncio.Event().wait()
            spoken = (await self._model.voice.speak(text)).audio
            await asyncio.sleep(faults.elevenlabs_delay_ms / 1000)
            for at in range(0, len(spoken), _PIECE_MS * BYTES_PER_MS):
                piece = spoken[at : at + _PIECE_MS * BYTES_PER_MS]
                await self._say(context, piece, text.strip() if at == 0 else "")
                await self._service.pace(piece)
            self._service.finished += 1
        self._contexts.pop(context.id, None)
        await self._send({"isFinal": True, "contextId": context.id})

    async def _say(self, context: _Context, piece: bytes, text: str) -> None:
        faults = self._model.faults
        step_ms = max(1, len(piece) // BYTES_PER_MS // max(1, len(text)))
        alignment = {
            "chars": list(text),
            "charStartTimesMs": [at * step_ms for at in range(len(text))],
            "charDurationsMs": [step_ms] * len(text),
        }
        await self._send(
            {
                "audio": b64encode(piece).decode(),
                "isFinal": None,
                "alignment": alignment if text else None,
                "normalizedAlignment": alignment if text else None,
                "contextId": context.id,
            }
        )
        self._service.sent_pieces += 1
        for unheard_of in faults.elevenlabs_inject:
            await self._ws.send_str(unheard_of)
        if self._service.sent_pieces == faults.elevenlabs_cut_after and (transport := self._request.transport):
            transport.abort()
        self._model.noted()

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            text = msgspec.json.encode(message).decode()
            self._model.tap.leaves("elevenlabs", text)
            await self._ws.send_str(text)
        except ConnectionError:
            self._service.cut_short += bool(self._contexts)
            self._contexts.clear()
        self._model.noted()

    async def _end(self, refused: Refused) -> None:
        told = {"message": refused.message, "error": refused.name, "code": refused.code}
        await self._send(told)
        await self._ws.close(code=refused.code, message=refused.message.encode()[:120])

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _speed(settings: VoiceSettings | UnsetType) -> float:
    return 1.0 if settings is UNSET else settings.speed


def _refusal(status: int, name: str, message: str) -> web.Response:
    return web.json_response({"detail": {"status": name, "message": message}}, status=status)
