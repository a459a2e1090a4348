"""What the bridge is told before it starts: the environment, read once and checked.

With no Twilio credentials at all the bridge rehearses; with some of them, or with wrong ones, it
does not start and says which setting to put right (`SettingsError`). Nothing here ever shows a
setting's value: not in a repr, not in an error.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, cast, get_args
from urllib.parse import SplitResult, urlsplit

import platformdirs

from bridge.errors import SettingsError
from bridge.profiles import EngineName

TWILIO_API_URL = "https://api.twilio.com"
OPENAI_URL = "wss://api.openai.com/v1"
CHAT_URL, CHAT_MODEL = "https://api.openai.com/v1", "gpt-6-luna"
DEEPGRAM_URL = "https://api.deepgram.com"
ELEVENLABS_URL = "https://api.elevenlabs.io"

REHEARSAL_PINS = {"CORDBOARD_PIN_ACCOUNT": "2580"}
"""What the callers of a rehearsal enter, where nothing else is set."""

SPEECH_MODEL, SPEECH_VOICE = "gpt-4o-mini-tts", "ash"
SAY_VOICES = ("elevenlabs", "deepgram", "openai", "realtime", "local")
"""What may speak an operator's written words: OpenAI by its speech service or by a Realtime session, this machine."""

SAY_USUALLY = ("openai", "local")
"""Those that are tried, in this order, when none is named."""

SECRET_KEYS = (
    *("TWILIO_AUTH_TOKEN", "NGROK_AUTHTOKEN"),
    *("OPENAI_API_KEY", "CORDBOARD_CHAT_KEY", "DEEPGRAM_API_KEY", "ELEVENLABS_API_KEY"),
)
"""Environment variables that no child process of the bridge needs to see."""

_LINE_KEYS = ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_PHONE_NUMBER")
_FIND_THEM = "it is on the first page of https://console.twilio.com"
_YES, _NO = ("1", "on", "true", "yes"), ("", "0", "off", "false", "no")


class Address(NamedTuple):
    """Where to listen; port 0 lets the system choose."""

    host: str
    port: int


LOOPBACK = Address("127.0.0.1", 0)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the bridge is told; see `from_environment` for where it comes from.

    openai_base_url: ws or wss, without a trailing slash. public_url: http or https, scheme and
    host only, "" when a tunnel is to make one. chat_key, chat_url, chat_model: of the chat completions that
    a cascade thinks with; OpenAI's own where none is given. deepgram_url, elevenlabs_url: http or https,
    without a trailing slash. engine: answers first whatever a profile says, None for the profile's own.
    pins: what callers must enter, by the variable that holds it.
    say_voices: some of `SAY_VOICES`, tried in their order. max_calls: calls beyond it get the apology.
    ring_s: how long operators are rung when no engine is left.
    """

    home: Path
    twilio_account_sid: str = field(default="", repr=False)
    twilio_auth_token: str = field(default="", repr=False)
    twilio_phone_number: str = field(default="", repr=False)
    twilio_api_url: str = TWILIO_API_URL
    openai_api_key: str = field(default="", repr=False)
    openai_base_url: str = OPENAI_URL
    openai_speech_model: str = SPEECH_MODEL
    openai_speech_voice: str = SPEECH_VOICE
    say_voices: tuple[str, ...] = SAY_USUALLY
    chat_key: str = field(default="", repr=False)
    chat_url: str = CHAT_URL
    chat_model: str = CHAT_MODEL
    deepgram_api_key: str = field(default="", repr=False)
    deepgram_url: str = DEEPGRAM_URL
    elevenlabs_api_key: str = field(default="", repr=False)
    elevenlabs_url: str = ELEVENLABS_URL
    engine: EngineName | None = None
    pins: Mapping[str, str] = field(default_factory=dict, repr=False)
    ngrok_authtoken: str = field(default="", repr=False)
    ngrok_download: bool = False
    public_url: str = ""
    public_listen: Address = LOOPBACK
    control_listen: Address = LOOPBACK
    max_calls: int = 200
    call_limit_s: int = 15 * 60
    floor_return_ms: int = 3000
    ring_s: float = 30.0
    recording: bool = True
    rehearsal_going: bool = field(default=False, repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read and check; an empty variable counts as absent. Raises SettingsError."""
        env = {key: value.strip() for key, value in environment.items()}
        sid, token, number = (env.get(key, "") for key in _LINE_KEYS)
        public_url, key = env.get("CORDBOARD_PUBLIC_URL", ""), env.get("OPENAI_API_KEY", "")
        base_url = env.get("OPENAI_BASE_URL", "")
        ngrok_authtoken = env.get("NGROK_AUTHTOKEN", "")
        if sid or token or number:
            _check_line(sid, token, number)
            if not (key or base_url):
                raise SettingsError("OPENAI_API_KEY", "is missing; make one at https://platform.openai.com/api-keys")
            if not (public_url or ngrok_authtoken):
                raise SettingsError(
                    "NGROK_AUTHTOKEN",
                    "is missing, so Twilio could not reach this machine; copy it from "
                    "https://dashboard.ngrok.com/get-started/your-authtoken, or set CORDBOARD_PUBLIC_URL "
                    "to an https address that leads here",
                )
        for secret in SECRET_KEYS:
            _check_visible(secret, env.get(secret, ""))
        chat_url = env.get("CORDBOARD_CHAT_URL", "")
        return cls(
            home=_home(env.get("CORDBOARD_HOME", "")),
            twilio_account_sid=sid,
            twilio_auth_token=token,
            twilio_phone_number=number,
            openai_api_key=key,
            openai_base_url=_base_url(base_url) if base_url else OPENAI_URL,
            openai_speech_model=_name("OPENAI_SPEECH_MODEL", env.get("OPENAI_SPEECH_MODEL", "")) or SPEECH_MODEL,
            openai_speech_voice=_name("OPENAI_SPEECH_VOICE", env.get("OPENAI_SPEECH_VOICE", "")) or SPEECH_VOICE,
            say_voices=_say_voices(env.get("CORDBOARD_SAY", "")),
            chat_key=env.get("CORDBOARD_CHAT_KEY", "") or ("" if chat_url else key),
            chat_url=_service_url("CORDBOARD_CHAT_URL", chat_url) or CHAT_URL,
            chat_model=_name("CORDBOARD_CHAT_MODEL", env.get("CORDBOARD_CHAT_MODEL", "")) or CHAT_MODEL,
            deepgram_api_key=env.get("DEEPGRAM_API_KEY", ""),
            deepgram_url=_service_url("DEEPGRAM_BASE_URL", env.get("DEEPGRAM_BASE_URL", "")) or DEEPGRAM_URL,
            elevenlabs_api_key=env.get("ELEVENLABS_API_KEY", ""),
            elevenlabs_url=_service_url("ELEVENLABS_BASE_URL", env.get("ELEVENLABS_BASE_URL", "")) or ELEVENLABS_URL,
            engine=_engine(env.get("CORDBOARD_ENGINE", "")),
            pins=_pins(env),
            ngrok_authtoken=ngrok_authtoken,
            ngrok_download=_yes_or_no("CORDBOARD_NGROK_DOWNLOAD", env.get("CORDBOARD_NGROK_DOWNLOAD", "")),
            public_url=_public_url(public_url) if public_url else "",
        )

    @property
    def rehearsal(self) -> bool:
        """Whether the telephone company and the AI are simulated ones."""
        return self.rehearsal_going or not self.twilio_account_sid

    def with_rehearsal(
        self, *, account_sid: str, auth_token: str, number: str, api_url: str, api_key: str, model_url: str
    ) -> Settings:
        """The same settings with the simulated telephone company and AI in the place of the real ones."""
        served = _service_url("OPENAI_BASE_URL", model_url)
        return replace(
            self,
            rehearsal_going=True,
            twilio_account_sid=account_sid,
            twilio_auth_token=auth_token,
            twilio_phone_number=number,
            twilio_api_url=api_url.rstrip("/"),
            openai_api_key=api_key,
            openai_base_url=_base_url(model_url),
            openai_speech_model=SPEECH_MODEL,
            openai_speech_voice=SPEECH_VOICE,
            chat_key=api_key,
            chat_url=served,
            chat_model=CHAT_MODEL,
            deepgram_api_key=api_key,
            deepgram_url=f"{served}/deepgram",
            elevenlabs_api_key=api_key,
            elevenlabs_url=f"{served}/elevenlabs",
            pins=REHEARSAL_PINS | dict(self.pins),
            ngrok_authtoken="",
            public_url="",
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must never be shown, for the log's formatter."""
        keys = (self.openai_api_key, self.chat_key, self.deepgram_api_key, self.elevenlabs_api_key)
        given = (self.twilio_auth_token, *keys, self.ngrok_authtoken, *self.pins.values())
        return tuple(dict.fromkeys(secret for secret in given if secret))


def forget_secrets(environment: MutableMapping[str, str]) -> None:
    """Take what was read out of the environment, so that no child process inherits it."""
    for key in list(environment):
        if key in SECRET_KEYS or key.startswith("CORDBOARD_PIN_"):
            del environment[key]


def make_home(home: Path) -> None:
    """Create the data folder for its owner alone. Raises SettingsError."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError("CORDBOARD_HOME", f"cannot be used as a folder ({error.strerror})") from error


def listen_address(key: str, text: str) -> Address:
    """``HOST:PORT`` (IPv6 in brackets) as given on the command line. Raises SettingsError."""
    hint = "should be HOST:PORT, such as 127.0.0.1:8080; port 0 lets the system choose"
    parts = _split(key, f"//{text}", hint)
    if not parts.hostname or parts.port is None or parts.netloc != text or "@" in text:
        raise SettingsError(key, hint)
    return Address(parts.hostname, parts.port)


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_line(sid: str, token: str, number: str) -> None:
    for key, value in zip(_LINE_KEYS, (sid, token, number), strict=True):
        if not value:
            given = " and ".join(k for k, v in zip(_LINE_KEYS, (sid, token, number), strict=True) if v)
            where = "give the number that callers dial" if key == "TWILIO_PHONE_NUMBER" else _FIND_THEM
            raise SettingsError(key, f"is missing although {given} is set; {where}; or unset them all for a rehearsal")
    if sid.startswith("SK"):
        raise SettingsError(
            "TWILIO_ACCOUNT_SID", "is an API key, which cannot check Twilio's signatures; use the account SID, AC…"
        )
    if not re.fullmatch(r"AC[0-9a-fA-F]{32}", sid):
        raise SettingsError("TWILIO_ACCOUNT_SID", f"should be AC and 32 hexadecimal digits; {_FIND_THEM}")
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", number):
        raise SettingsError("TWILIO_PHONE_NUMBER", "should be + and digits only, such as +16285550100")
    _check_visible("TWILIO_AUTH_TOKEN", token)


def _check_visible(key: str, value: str) -> None:
    """Blanks, line breaks and the like come from copying, and break headers and files."""
    if not re.fullmatch(r"[!-~]*", value):
        raise SettingsError(key, "holds a blank or an unusual character; copy it again")


def _name(key: str, given: str) -> str:
    if not re.fullmatch(r"[\w.:/+-]{0,100}", given, re.ASCII):
        raise SettingsError(key, "should be one word, as OpenAI's documentation has it")
    return given


def _say_voices(given: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in given.lower().split(",")) if given else SAY_USUALLY
    if set(names) - set(SAY_VOICES) or len(set(names)) < len(names):
        raise SettingsError("CORDBOARD_SAY", f"should be one of {', '.join(SAY_VOICES)}, or some with commas between")
    return names


def _home(given: str) -> Path:
    if not given:
        return platformdirs.user_data_path("cordboard", appauthor=False)
    try:
        home = Path(given).expanduser().absolute()
        if not home.exists() or home.is_dir():
            return home
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingsError("CORDBOARD_HOME", "is not a usable folder name") from error
    raise SettingsError("CORDBOARD_HOME", "names a file; name a folder, which need not exist yet")


def _public_url(given: str) -> str:
    key = "CORDBOARD_PUBLIC_URL"
    hint = "should be like https://desk.example.org, with no path, query or password"
    parts = _split(key, given, hint)
    scheme = {"https": "https", "wss": "https", "http": "http", "ws": "http"}.get(parts.scheme)
    plain = parts.path in ("", "/") and not (parts.query or parts.fragment or "?" in given or "#" in given)
    if scheme is None or not parts.hostname or "@" in parts.netloc or not plain:
        raise SettingsError(key, hint)
    if scheme == "http" and not is_loopback(parts.hostname):
        raise SettingsError(key, "must be https: Twilio connects to nothing less (plain http only to this machine)")
    return _assemble(scheme, parts)


def _engine(given: str) -> EngineName | None:
    for name in get_args(EngineName):
        if name == given:
            return cast(EngineName, name)
    if given:
        raise SettingsError("CORDBOARD_ENGINE", f"should be one of {', '.join(get_args(EngineName))}")
    return None


def _pins(env: Mapping[str, str]) -> dict[str, str]:
    pins = {key: value for key, value in env.items() if key.startswith("CORDBOARD_PIN_") and value}
    for key, value in pins.items():
        if not re.fullmatch(r"[0-9]{4,12}", value):
            raise SettingsError(key, "should be 4 to 12 digits")
    return pins


def _service_url(key: str, given: str) -> str:
    """http or https, without a trailing slash; "" for ""."""
    if not given:
        return ""
    hint = "should be like https://api.example.com/v1, with no query or password"
    parts = _split(key, given, hint)
    scheme = {"https": "https", "wss": "https", "http": "http", "ws": "http"}.get(parts.scheme)
    if scheme is None or not parts.hostname or "@" in parts.netloc or "?" in given or "#" in given:
        raise SettingsError(key, hint)
    return _assemble(scheme, parts) + parts.path.rstrip("/")


def _base_url(given: str) -> str:
    key = "OPENAI_BASE_URL"
    hint = "should be like wss://api.openai.com/v1 or http://127.0.0.1:9000/v1, with no query or password"
    parts = _split(key, given, hint)
    scheme = {"https": "wss", "wss": "wss", "http": "ws", "ws": "ws"}.get(parts.scheme)
    if scheme is None or not parts.hostname or "@" in parts.netloc or "?" in given or "#" in given:
        raise SettingsError(key, hint)
    return _assemble(scheme, parts) + parts.path.rstrip("/")


def _split(key: str, url: str, hint: str) -> SplitResult:
    if not re.fullmatch(r"[!-~]+", url) or "\\" in url:
        raise SettingsError(key, hint)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise SettingsError(key, hint) from error
    return parts


def _assemble(scheme: str, parts: SplitResult) -> str:
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    usual = {"https": 443, "wss": 443, "http": 80, "ws": 80}[scheme]
    return f"{scheme}://{host}" if parts.port in (None, usual) else f"{scheme}://{host}:{parts.port}"


def _yes_or_no(key: str, given: str) -> bool:
    if given.lower() not in _YES + _NO:
        raise SettingsError(key, "should be yes or no")
    return given.lower() in _YES
