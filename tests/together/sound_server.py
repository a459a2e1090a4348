"""A sound server of the tests' own: PulseAudio with a microphone that hears what it is told and a
loudspeaker that is recorded.

Nothing of it is the machine's: no sound card, no server that runs already, no settings of the person.
Programs find it through `SoundServer.environment`. Two silent devices stand for the room: what is
played into "mouth" comes out of the microphone, what a program plays comes to "ear".
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

RATE_HZ = 48_000
MICROPHONE = "microphone"
"""The microphone's id."""

LOUDSPEAKER = "ear"
"""The loudspeaker's id."""

PATIENCE_S = 10.0
LATENCY_MS = 10
"""What the programs that play and record ask for."""

LATENCY = f"--latency-msec={LATENCY_MS}"
UNHURRIED = "--latency-msec=500"
"""Whole sounds are played with that much in hand: a busy machine leaves no gaps in them."""

STEREO = ("--format=s16le", f"--rate={RATE_HZ}", "--channels=2", LATENCY)
MONO = ("--format=s16le", f"--rate={RATE_HZ}", "--channels=1")
DEVICES = (
    # Without `norewinds` a silent device takes its sound two seconds at a time.
    f"module-null-sink sink_name={LOUDSPEAKER} norewinds=1 rate={RATE_HZ} sink_properties=device.description=Ear",
    f"module-null-sink sink_name=mouth norewinds=1 rate={RATE_HZ} sink_properties=device.description=Mouth",
)


def missing() -> str:
    """Which program is not there, "" when all are: the reason to skip."""
    for program in ("pulseaudio", "pactl", "pacat", "parec"):
        if shutil.which(program) is None:
            return f"no {program} on this machine"
    return ""


class Recording:
    """What came out of the loudspeaker: 16-bit stereo at `RATE_HZ`, growing.

    arrivals: the monotonic time in seconds of each piece, and the sound's length in bytes with it.
    """

    def __init__(self) -> None:
        self.sound = bytearray()
        self.arrivals: list[tuple[float, int]] = []
        self._grown = asyncio.Event()

    async def until(self, enough: Callable[[bytes], bool], within_s: float = PATIENCE_S) -> bytes:
        """The sound as soon as it is enough. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while not enough(bytes(self.sound)):
                self._grown.clear()
                await self._grown.wait()
        return bytes(self.sound)

    async def fill(self, stream: asyncio.StreamReader) -> None:
        """From a recording program, until it ends."""
        while piece := await stream.read(65536):
            self.sound += piece
            self.arrivals.append((time.monotonic(), len(self.sound)))
            self._grown.set()


class SoundServer:
    """``async with SoundServer() as server``: runs, with both devices plugged in, until the block ends.

    environment: what a program needs in its environment to use this server.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="cordboard-sound-"))
        self._socket = self._folder / "native"
        self._process: Process | None = None
        self.environment = {"PULSE_SERVER": f"unix:{self._socket}", "PULSE_COOKIE": str(self._folder / "cookie")}

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        shutil.rmtree(self._folder)

    async def start(self) -> None:
        """Run it; again after `stop`, as one that was started anew."""
        modules = [f"module-native-protocol-unix socket={self._socket} auth-anonymous=1", *DEVICES]
        self._process = await asyncio.create_subprocess_exec(
            *("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes"),
            *("--realtime=no", "--high-priority=no", "--log-level=error"),
            *(f"--load={module}" for module in modules),
            env={**os.environ, "HOME": str(self._folder), "PULSE_RUNTIME_PATH": str(self._folder)},
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=DEVNULL,
        )
        async with asyncio.timeout(PATIENCE_S):
            while not await self._pactl("info"):
                assert self._process.returncode is None, "pulseaudio ended"
        await self.plug_microphone()

    async def stop(self) -> None:
        """End it, as if it had crashed: whoever uses it finds out by itself."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None
            self._socket.unlink(missing_ok=True)

    async def plug_microphone(self, name: str = MICROPHONE) -> None:
        """Bring a microphone that hears "mouth"; the first one is there from the start."""
        assert await self._pactl(
            "load-module", "module-remap-source", f"source_name={name}", "master=mouth.monitor",
            f"source_properties=device.description={name.title()}",
        )  # fmt: skip

    async def unplug_microphone(self, name: str = MICROPHONE) -> None:
        """Take the microphone away while it is in use or not. As ever PulseAudio moves its streams to another."""
        await self._unload(f"source_name={name}")

    async def unplug_loudspeaker(self) -> None:
        """For good. As ever PulseAudio moves its streams to another: to "mouth"."""
        await self._unload(f"sink_name={LOUDSPEAKER}")

    async def is_recorded(self) -> bool:
        """Whether any program has a microphone open."""
        # A microphone is itself a recorder of "mouth", without a client.
        return any(line.split("\t")[2] != "-" for line in await self._list("source-outputs"))

    async def play_into_microphone(self, sound: bytes | Path) -> None:
        """Say it, and return when it was said. bytes: 16-bit mono at `RATE_HZ`; else any WAV file."""
        how = MONO if isinstance(sound, bytes) else ("--file-format=wav", str(sound))
        # A speaker in a hurry beside it keeps the device's pieces short: of 50 ms at once Qt loses a part.
        whole = self._program("pacat", "--playback", "--device=mouth", UNHURRIED, *how)
        async with self.speak(), whole as pacat:
            assert pacat.stdin is not None
            if isinstance(sound, bytes):
                pacat.stdin.write(sound)
            pacat.stdin.close()
            assert await pacat.wait() == 0

    @asynccontextmanager
    async def speak(self) -> AsyncIterator[asyncio.StreamWriter]:
        """Into the microphone, as it is written: 16-bit mono at `RATE_HZ`."""
        async with self._program("pacat", "--playback", "--device=mouth", *MONO, LATENCY) as pacat:
            assert pacat.stdin is not None
            yield pacat.stdin
            pacat.stdin.close()

    @asynccontextmanager
    async def record_speaker(self, device: str = LOUDSPEAKER) -> AsyncIterator[Recording]:
        """What comes out of the loudspeaker within the block; or, of "mouth", what goes into the microphone."""
        recording = Recording()
        async with self._program("parec", f"--device={device}.monitor", *STEREO) as parec:
            assert parec.stdout is not None
            filling = asyncio.create_task(recording.fill(parec.stdout))
            await recording.until(bool)
            try:
                yield recording
            finally:
                parec.terminate()
                await filling

    async def _unload(self, argument: str) -> None:
        found = [line.split()[0] for line in await self._list("modules") if argument in line.split()]
        assert found, f"there is no {argument}"
        assert await self._pactl("unload-module", found[0])

    async def _list(self, what: str) -> list[str]:
        async with self._program("pactl", "list", "short", what) as pactl:
            assert pactl.stdout is not None
            return (await pactl.stdout.read()).decode().splitlines()

    async def _pactl(self, *arguments: str) -> bool:
        async with self._program("pactl", *arguments) as pactl:
            return await pactl.wait() == 0

    @asynccontextmanager
    async def _program(self, *command: str) -> AsyncIterator[Process]:
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **self.environment}, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
        )
        try:
            yield process
        except BaseException:
            with suppress(ProcessLookupError):
                process.kill()
            raise
        finally:
            await process.wait()
