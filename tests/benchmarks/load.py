"""Simulated calls: a telephone company and an AI on one clock, as lean as Python allows.

The shipped rehearsal checks, listens and speaks, which is too much for two hundred calls on one
core. Here both sides of a call are driven by one tick every 20 ms, and every frame says which one
it is, so that each is timed from the moment it is handed to its socket until the other side of the
bridge has it. Nothing is subtracted: the load's own delays are in every figure, and `late_ms` tells
how large they are.

A call is a caller who talks for 1.4 s, hears an answer 0.4 s later, and cuts it off after 2.2 s;
every fourth answer is short and is heard to its end. AI audio comes as 100 to 200 ms at a time with
about three words a second beside it, fifteen times faster than real time: the manners of the shipped
rehearsal, and livelier than people are.
"""

from __future__ import annotations

import asyncio
import struct
import time
from base64 import b64encode
from binascii import a2b_base64
from collections import deque
from dataclasses import dataclass, field
from typing import TypeVar

from bridge.rehearsal.ticker import Ticker
from tests.benchmarks.lean_socket import Socket

FRAME_MS = 20
FRAME_BYTES = 160
STAMP = struct.Struct(">HHI")
"""Call, reply (0: the caller speaks), and number of the frame; the first 8 bytes of every frame."""

TALK_TICKS, ANSWER_TICK, BARGE_IN_TICK = 70, 90, 200
LONG_FRAMES, SHORT_FRAMES = 250, 80
DELTA_FRAMES = (5, 6, 7, 8, 9, 10)
DELTAS_A_TICK = 2

GREETING = b'{"kind":"greeting","request":""}'
QUIET = bytes(0x7A + 5 * n % 6 + 128 * (n % 2) for n in range(FRAME_BYTES - STAMP.size))
LOUD = bytes(0x10 + 37 * n % 96 + 128 * (n % 2) for n in range(FRAME_BYTES - STAMP.size))

now = time.perf_counter


@dataclass
class Measured:
    """What was seen while ``counting``; latencies in ms."""

    counting: bool = False
    in_ms: list[float] = field(default_factory=list)
    out_ms: list[float] = field(default_factory=list)
    clear_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    frames_in: int = 0
    frames_out: int = 0
    lost_in: int = 0
    lost_out: int = 0
    to_bridge: int = 0
    from_bridge: int = 0
    marks: int = 0
    faults: list[str] = field(default_factory=list)


class AiLeg:
    """The AI's end of one call. Which call it is shows with the first frame.

    One that only writes down what an operator says takes it and never says a word.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._call: Call | None = None
        self._greeting = False
        self._writes_down = False
        self.socket = Socket(self._on_text)
        self.socket.opened.add_done_callback(self._greet)

    def _greet(self, opened: asyncio.Future[None]) -> None:
        if opened.exception() is None:
            self.socket.send(b'{"type":"session.created","event_id":"e1","session":{"model":"gpt-realtime"}}')

    def _on_text(self, text: bytes) -> None:
        came_s = now()
        start = text.find(b'"audio":"') + 9
        if self._writes_down:
            return
        if text.startswith(b'{"type":"input_audio_buffer.append"'):
            call_number, _, number = STAMP.unpack(a2b_base64(text[start : start + 12])[:8])
            call = self._call
            if call is None:
                call = self._call = self._load.calls[call_number]
                call.ai = self
                if self._greeting:
                    call.begin_reply(SHORT_FRAMES, GREETING)
            call.ai_heard(call_number, number, came_s)
            return
        if self._load.measured.counting:
            self._load.measured.from_bridge += 1
        if b'"type":"session.update"' in text:
            self._writes_down = b'"type":"transcription"' in text
            self.socket.send(b'{"type":"session.updated","event_id":"e2","session":{"model":"gpt-realtime"}}')
        elif self._call is not None:
            self._call.ai_told(text, came_s)
        elif b'"type":"response.create"' in text:
            # It comes before the first frame, which tells whose it is.
            self._greeting = True


class Call:
    """One call, both ends. number: from 0."""

    def __init__(self, load: Load, number: int) -> None:
        self.number = number
        self.ai: AiLeg | None = None
        self.carrier: Socket | None = None
        self.stream_sid = f"MZ{number:032x}"
        self._load = load
        self._measured = load.measured
        self._sid = self.stream_sid.encode()
        self._tick_number = 0
        self._due_s = 0.0
        # Calls are spread over the whole cycle, so that not all talk at once.
        self._script_at = -(number * 29 % BARGE_IN_TICK)
        self._spoken = 0
        self._sent_s: list[float] = []
        self._heard = -1
        self._talking = False
        self._item = 0
        self._reply = 0
        self._reply_frames = 0
        self._reply_made = 0
        self._deltas = 0
        self._reply_sent_s = 0.0
        self._reply_counts = False
        self._played = 0
        self._stale = True
        self._playing_until_s = 0.0
        self._marks: deque[tuple[bytes, float]] = deque()
        self._cut_s = 0.0

    # ── every 20 ms ──

    def tick(self) -> None:
        began_s = now()
        if self._due_s and self._measured.counting:
            self._measured.late_ms.append((began_s - self._due_s) * 1000)
        self._due_s = (self._due_s or began_s) + FRAME_MS / 1000
        self._tick_number += 1
        self._speak()
        while self._marks and self._marks[0][1] <= began_s:
            self._return_mark(self._marks.popleft()[0])
        if self.ai is not None:
            self._script(self.ai)

    def _speak(self) -> None:
        carrier = self.carrier
        assert carrier is not None
        number = self._spoken
        self._spoken += 1
        frame = STAMP.pack(self.number, 0, number) + self._sound(number)
        text = (
            b'{"event":"media","sequenceNumber":"%d","media":{"track":"inbound","chunk":"%d","timestamp":"%d",'
            b'"payload":"%b"},"streamSid":"%b"}'
            % (number + 2, number + 1, number * FRAME_MS, b64encode(frame), self._sid)
        )
        if self._measured.counting:
            self._measured.to_bridge += 1
            self._measured.frames_in += 1
        self._sent_s.append(now())
        carrier.send(text)

    def _sound(self, number: int) -> bytes:
        """What the caller's frame holds after its stamp."""
        return LOUD if self._talking else QUIET

    def _return_mark(self, name: bytes) -> None:
        assert self.carrier is not None
        self.carrier.send(
            b'{"event":"mark","sequenceNumber":"%d","streamSid":"%b","mark":{"name":"%b"}}'
            % (self._spoken + 2, self._sid, name)
        )

    # ── the AI ──

    def ai_told(self, text: bytes, came_s: float) -> None:
        """Anything else that reached the AI. Nobody asks the AI of such a call for anything."""

    def ai_heard(self, call_number: int, number: int, came_s: float) -> None:
        """A frame of the caller's reached the AI."""
        measured = self._measured
        if call_number != self.number:
            measured.faults.append(f"call {self.number}'s AI heard call {call_number}")
            return
        missing = number - self._heard - 1
        self._heard = number
        if not measured.counting:
            return
        measured.from_bridge += 1
        measured.in_ms.append((came_s - self._sent_s[number]) * 1000)
        if missing:
            measured.lost_in += abs(missing)

    @property
    def unheard(self) -> int:
        """Frames that were sent and have not reached the AI."""
        return self._spoken - 1 - self._heard

    def _script(self, ai: AiLeg) -> None:
        at, self._script_at = self._script_at, self._script_at + 1
        if self._reply_made < self._reply_frames:
            for _ in range(DELTAS_A_TICK):
                self._speech(ai)
        if at == 0:
            self._caller_begins(ai)
        elif at == TALK_TICKS:
            self._caller_ends(ai)
        elif at == ANSWER_TICK:
            self.begin_reply(SHORT_FRAMES if self._reply % 4 == 3 else LONG_FRAMES, b"null")
        elif at == BARGE_IN_TICK:
            self._script_at = 0

    def _emit(self, text: bytes) -> None:
        assert self.ai is not None
        if self._measured.counting:
            self._measured.to_bridge += 1
        self.ai.socket.send(text)

    def _caller_begins(self, ai: AiLeg) -> None:
        self._talking = True
        self._item += 1
        was_cut = self._reply_frames == LONG_FRAMES and not self._stale
        self._settle(cut=was_cut)
        if was_cut:
            self._cut_s = now()
        self._emit(
            b'{"type":"input_audio_buffer.speech_started","event_id":"e","audio_start_ms":%d,"item_id":"u%d"}'
            % (max(0, self._heard * FRAME_MS - 300), self._item)
        )

    def _caller_ends(self, ai: AiLeg) -> None:
        self._talking = False
        item, stopped_ms = self._item, self._heard * FRAME_MS
        for text in (
            b'{"type":"input_audio_buffer.speech_stopped","event_id":"e","audio_end_ms":%d,"item_id":"u%d"}'
            % (stopped_ms, item),
            b'{"type":"input_audio_buffer.committed","event_id":"e","previous_item_id":null,"item_id":"u%d"}' % item,
            b'{"type":"conversation.item.added","event_id":"e","previous_item_id":null,"item":{"id":"u%d",'
            b'"type":"message","role":"user","status":"completed","content":[{"type":"input_audio"}]}}' % item,
            b'{"type":"conversation.item.input_audio_transcription.delta","event_id":"e","item_id":"u%d",'
            b'"content_index":0,"delta":"I was charged twice for one order."}' % item,
            b'{"type":"conversation.item.input_audio_transcription.completed","event_id":"e","item_id":"u%d",'
            b'"content_index":0,"transcript":"I was charged twice for one order.",'
            b'"usage":{"type":"duration","seconds":1.2}}' % item,
        ):
            self._emit(text)

    def begin_reply(self, frames: int, metadata: bytes) -> None:
        """The AI begins to speak; its audio follows with the ticks."""
        self._settle(cut=False)
        self._reply += 1
        self._reply_frames, self._reply_made, self._played = frames, 0, 0
        self._stale, self._reply_counts = False, self._measured.counting
        name = b"%d" % self._reply
        place = b'"event_id":"e","response_id":"r%b","output_index":0' % name
        for text in (
            b'{"type":"response.created","event_id":"e","response":{"id":"r%b","object":"realtime.response",'
            b'"status":"in_progress","output":[],"conversation_id":"c1","metadata":%b,"usage":null}}'
            % (name, metadata),
            b'{"type":"response.output_item.added",%b,"item":{"id":"a%b","type":"message","role":"assistant",'
            b'"status":"in_progress","content":[]}}' % (place, name),
            b'{"type":"conversation.item.added","event_id":"e","previous_item_id":null,"item":{"id":"a%b",'
            b'"type":"message","role":"assistant","status":"in_progress","content":[]}}' % name,
            b'{"type":"response.content_part.added",%b,"item_id":"a%b","content_index":0,'
            b'"part":{"type":"audio","transcript":""}}' % (place, name),
        ):
            self._emit(text)

    def _speech(self, ai: AiLeg) -> None:
        made, left = self._reply_made, self._reply_frames - self._reply_made
        if left <= 0:
            return
        count = min(left, DELTA_FRAMES[(made + self._reply) % len(DELTA_FRAMES)])
        name, stamp, number, reply = b"%d" % self._reply, STAMP.pack, self.number, self._reply
        place = b'"event_id":"e","response_id":"r%b","item_id":"a%b","output_index":0,"content_index":0' % (name, name)
        self._deltas += 1
        if self._deltas % 2:
            self._emit(b'{"type":"response.output_audio_transcript.delta",%b,"delta":" word"}' % place)
        audio = b"".join([stamp(number, reply, index) + LOUD for index in range(made, made + count)])
        text = b'{"type":"response.output_audio.delta",%b,"delta":"%b"}' % (place, b64encode(audio))
        self._reply_made += count
        if made == 0:
            self._reply_sent_s = now()
        self._emit(text)
        if self._reply_made == self._reply_frames:
            words = b" word" * (self._reply_frames // 15)
            for text in (
                b'{"type":"response.output_audio.done",%b}' % place,
                b'{"type":"response.output_audio_transcript.done",%b,"transcript":"%b"}' % (place, words),
                b'{"type":"response.output_item.done","event_id":"e","response_id":"r%b","output_index":0,"item":'
                b'{"id":"a%b","type":"message","role":"assistant","status":"completed","content":[]}}' % (name, name),
                b'{"type":"response.done","event_id":"e","response":{"id":"r%b","object":"realtime.response",'
                b'"status":"completed","conversation_id":"c1","output":[],"usage":{"total_tokens":120,'
                b'"input_token_details":{"text_tokens":40,"audio_tokens":30},'
                b'"output_token_details":{"text_tokens":20,"audio_tokens":30}}}}' % name,
            ):
                self._emit(text)

    def _settle(self, *, cut: bool) -> None:
        """No more of the last reply is to come: what is missing of it was lost, unless it was cut off."""
        if not cut and not self._stale and self._reply_counts and self._measured.counting:
            self._measured.lost_out += self._reply_frames - self._played
        self._stale = True

    # ── the telephone company ──

    def on_text(self, text: bytes) -> None:
        """A message for the carrier."""
        came_s = now()
        measured = self._measured
        if measured.counting:
            measured.from_bridge += 1
        start = text.find(b'"payload":"')
        if start > 0:
            self._play(a2b_base64(text[start + 11 : text.index(b'"', start + 11)]), came_s)
        elif b'"event":"mark"' in text:
            start = text.index(b'"name":"') + 8
            if measured.counting:
                measured.marks += 1
            self._marks.append((text[start : text.index(b'"', start)], max(came_s, self._playing_until_s)))
        elif b'"event":"clear"' in text:
            self._playing_until_s = came_s
            while self._marks:
                self._return_mark(self._marks.popleft()[0])
            if self._cut_s:
                if measured.counting:
                    measured.clear_ms.append((came_s - self._cut_s) * 1000)
                self._cut_s = 0.0
        else:
            measured.faults.append(f"the carrier got {text[:80]!r}")

    def _play(self, audio: bytes, came_s: float) -> None:
        measured = self._measured
        frames = len(audio) // FRAME_BYTES
        self._playing_until_s = max(came_s, self._playing_until_s) + frames * FRAME_MS / 1000
        call_number, reply, first = STAMP.unpack_from(audio)
        _, _, last = STAMP.unpack_from(audio, len(audio) - FRAME_BYTES)
        if call_number != self.number or last - first != frames - 1 or len(audio) % FRAME_BYTES:
            measured.faults.append(f"call {self.number}'s carrier got what is not a run of its frames")
            return
        if measured.counting:
            measured.frames_out += frames
        if reply != self._reply or self._stale:
            return
        if first == 0 and measured.counting and self._reply_counts:
            measured.out_ms.append((came_s - self._reply_sent_s) * 1000)
        if first != self._played and measured.counting and self._reply_counts:
            measured.lost_out += abs(first - self._played)
        self._played = last + 1


AnyCall = TypeVar("AnyCall", bound=Call)


class Load:
    """All calls of one run, and the AI's listener."""

    def __init__(self) -> None:
        self.measured = Measured()
        self.calls: list[Call] = []
        self.ticker = Ticker()
        self.ai_url = ""
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Let the AI listen."""
        self._server = await asyncio.get_running_loop().create_server(lambda: AiLeg(self).socket, "127.0.0.1", 0)
        self.ai_url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    def new_call(self, kind: type[AnyCall] = Call) -> AnyCall:
        """One more; it begins with `start`."""
        call = kind(self, len(self.calls))
        self.calls.append(call)
        return call

    def start(self, call: Call, carrier: Socket) -> None:
        """Its media socket is open and begun: let it tick."""
        call.carrier = carrier
        self.ticker.add(call.tick, lambda error: self.measured.faults.append(repr(error)))

    async def close(self) -> None:
        """End everything."""
        self.ticker.close()
        carriers = [call.carrier for call in self.calls if call.carrier is not None]
        for call in self.calls:
            if call.carrier is not None:
                call.carrier.send(b'{"event":"stop","streamSid":"%b","stop":{}}' % call.stream_sid.encode())
                call.carrier.close()
        if carriers:
            await asyncio.wait([carrier.lost for carrier in carriers], timeout=5.0)
        for carrier in carriers:
            carrier.abort()
        legs = [call.ai.socket for call in self.calls if call.ai is not None]
        if legs:
            await asyncio.wait([leg.lost for leg in legs], timeout=2.0)
        for leg in legs:
            leg.abort()
        if self._server is not None:
            self._server.close()
