"""Say: an operator's typed words, spoken to the caller exactly as they stand.

A speech engine makes the sound, in the operator's name, and the AI is told what was said. Where
nothing can speak, the AI is asked to speak the words itself, and they are checked afterwards. A
line goes out between two items of the AI's speech, never into the middle of one.
"""

from __future__ import annotations

from bridge.call import BY_PERSON
from bridge.control import Floor, Party, Phase, TurnKind, TurnState
from bridge.engines.speech import VoiceFailed
from bridge.line import HOLD, SAY
from bridge.live import Live


class Saying:
    """One call's Say lines."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._said = 0
        self._busy_item = ""
        self._waiting: dict[str, bytes | None] = {}
        """Lines that are not on their way yet, in the order they were typed, with their sound once there is one."""

        self._requests: dict[str, str] = {}
        """The line that each item speaks."""

    def say(self, text: str) -> None:
        """Have this spoken as soon as there is a sound of it."""
        live = self._live
        request = live.picture.operator_line(TurnKind.SAY, text, live.now_ms())
        if live.house.voice is None:
            self._by_ai(request, text)
        else:
            self._waiting[request] = None
            live.start(self._speak(request, text))

    async def _speak(self, request: str, text: str) -> None:
        assert self._live.house.voice is not None
        try:
            audio = await self._live.house.voice.speak(text)
        except VoiceFailed as failed:
            if self._waiting.pop(request, b"") is None:
                self._live.trouble("not spoken", str(failed))
                self._by_ai(request, text)
        else:
            if request in self._waiting:
                self._waiting[request] = audio
        self._send()

    def _by_ai(self, request: str, text: str) -> None:
        live = self._live
        if live.engine is not None and live.call.floor not in BY_PERSON:
            live.engine.say(text, request)
            return
        live.picture.lines(live.picture.transcript.cut(request, Party.NOBODY))
        live.trouble("not spoken", "Your words could not be spoken, and the AI is silent. Say them yourself.")

    # ── between the AI's items ──

    def ai_speaks(self, item_id: str) -> None:
        """An item of the AI's speech is coming in."""
        self._busy_item = item_id

    def ai_paused(self) -> None:
        """The item is complete, or was cut."""
        self._busy_item = ""
        self._send()

    def _send(self) -> None:
        live = self._live
        while self._waiting and not self._busy_item:
            request, audio = next(iter(self._waiting.items()))
            turn = live.picture.transcript.view(request)
            wanted = turn.state is TurnState.INTERIM and live.call.phase is Phase.LIVE
            if wanted and audio is None:
                # Those typed after it wait for it, so that the caller hears them in order.
                return
            del self._waiting[request]
            if not wanted or audio is None or live.line is None:
                continue
            self._said += 1
            item_id = f"{SAY}{self._said}"
            self._requests[item_id] = request
            transcript, now_ms = live.picture.transcript, round(live.now_ms())
            transcript.say_begins(request, item_id)
            transcript.speech_received(item_id, len(audio), now_ms)
            if live.call.floor is Floor.AI and live.line.playout.playing.startswith(HOLD):
                # A filler that nobody needs any more.
                live.line.cut()
            live.line.speak(item_id, audio)
            live.line.finish(item_id)
            live.picture.lines(transcript.speech_done(item_id) or [request])
            if live.engine is not None:
                live.engine.tell(f'A human colleague had exactly this said to the caller: "{turn.text}"')

    def cut(self, items: list[str]) -> None:
        """Of these items the caller hears no more; the AI knows what was heard."""
        live = self._live
        for item_id in items:
            request = self._requests.get(item_id)
            if request is None or live.engine is None:
                continue
            turn = live.picture.transcript.view(request)
            heard = turn.text[: turn.heard_chars].strip()
            what = f'only "{heard}"' if heard else "nothing"
            live.engine.tell(f"Your colleague's words were cut short: the caller heard {what} of them.")
