"""The environment as the bridge reads it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bridge.errors import SettingsError
from bridge.settings import OPENAI_URL, Address, Settings, forget_secrets, is_loopback, listen_address, make_home

LINE = {
    "TWILIO_ACCOUNT_SID": "AC" + "0a" * 16,
    "TWILIO_AUTH_TOKEN": "canary-token",
    "TWILIO_PHONE_NUMBER": "+16285550100",
    "OPENAI_API_KEY": "sk-canary",
    "NGROK_AUTHTOKEN": "canary_ngrok",
}


def test_nothing_given_is_a_rehearsal() -> None:
    settings = Settings.from_environment({})
    assert settings.rehearsal
    assert settings.home.name == "cordboard" and settings.home.is_absolute()
    assert settings.openai_base_url == OPENAI_URL and settings.secrets == ()
    assert settings.recording and settings.floor_return_ms == 3000 and settings.call_limit_s == 900


def test_an_engine_key_or_blanks_alone_are_still_a_rehearsal() -> None:
    assert Settings.from_environment({"OPENAI_API_KEY": "sk-canary", "TWILIO_ACCOUNT_SID": "  "}).rehearsal


def test_a_whole_line_is_not_a_rehearsal() -> None:
    settings = Settings.from_environment(LINE | {"TWILIO_AUTH_TOKEN": " canary-token\n"})
    assert not settings.rehearsal
    assert settings.twilio_auth_token == "canary-token"
    assert settings.secrets == ("canary-token", "sk-canary", "canary_ngrok")


def test_values_are_never_shown() -> None:
    shown = repr(Settings.from_environment(LINE))
    assert not [value for value in LINE.values() if value in shown]


@pytest.mark.parametrize("missing", ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_PHONE_NUMBER"])
def test_half_a_line_is_refused_with_the_fix(missing: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environment({key: value for key, value in LINE.items() if key != missing})
    assert refusal.value.key == missing
    assert "rehearsal" in refusal.value.hint
    assert "canary" not in str(refusal.value)


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("TWILIO_ACCOUNT_SID", "SK" + "0a" * 16, "API key"),
        ("TWILIO_ACCOUNT_SID", "AC12", "32 hexadecimal"),
        ("TWILIO_PHONE_NUMBER", "628-555-0100", "+16285550100"),
        ("TWILIO_AUTH_TOKEN", "can ary", "copy it again"),
        ("OPENAI_API_KEY", "", "platform.openai.com"),
        ("OPENAI_API_KEY", "sk-\u201ccanary", "copy it again"),
        ("NGROK_AUTHTOKEN", "", "CORDBOARD_PUBLIC_URL"),
        ("NGROK_AUTHTOKEN", "a\nb", "copy it again"),
        ("CORDBOARD_NGROK_DOWNLOAD", "perhaps", "yes or no"),
        ("CORDBOARD_HOME", __file__, "names a file"),
        ("CORDBOARD_HOME", "~no-such-person/calls", "not a usable folder"),
    ],
)
def test_a_wrong_setting_is_named(key: str, value: str, word: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environment(LINE | {key: value})
    assert refusal.value.key == key
    assert word in refusal.value.hint
    assert "canary" not in str(refusal.value)


def test_a_local_engine_needs_no_key_and_a_given_address_no_tunnel() -> None:
    given = {"OPENAI_BASE_URL": "http://127.0.0.1:9000/v1/", "CORDBOARD_PUBLIC_URL": "https://desk.example.org"}
    line = {key: value for key, value in LINE.items() if key.startswith("TWILIO")}
    settings = Settings.from_environment(line | given)
    assert settings.openai_base_url == "ws://127.0.0.1:9000/v1"
    assert settings.public_url == "https://desk.example.org"


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://Desk.example.org", "https://desk.example.org"),
        ("https://desk.example.org:443/", "https://desk.example.org"),
        ("wss://desk.example.org:8443", "https://desk.example.org:8443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("ws://localhost:80", "http://localhost"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_a_public_address_is_put_in_one_form(given: str, url: str) -> None:
    assert Settings.from_environment({"CORDBOARD_PUBLIC_URL": given}).public_url == url


@pytest.mark.parametrize(
    "given",
    [
        "http://desk.example.org",
        "ws://192.168.1.5",
        "ftp://desk.example.org",
        "desk.example.org",
        "https://",
        "https://desk.example.org/calls",
        "https://desk.example.org?",
        "https://desk.example.org/#",
        "https://desk.example.org?token=canary",
        "https://me:canary@desk.example.org",
        "https://desk.example.org:99999",
        "https://desk.example.org\\@elsewhere",
        "https://d\u00e9sk.example.org",
        "https://[::1",
    ],
)
def test_a_public_address_that_twilio_could_not_use_is_refused(given: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environment({"CORDBOARD_PUBLIC_URL": given})
    assert refusal.value.key == "CORDBOARD_PUBLIC_URL"
    assert "canary" not in str(refusal.value)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("wss://api.openai.com/v1", "wss://api.openai.com/v1"),
        ("https://api.openai.com/v1/", "wss://api.openai.com/v1"),
        ("ws://127.0.0.1:9000", "ws://127.0.0.1:9000"),
        ("http://[::1]:9000/a/b", "ws://[::1]:9000/a/b"),
    ],
)
def test_an_engine_address_becomes_a_socket_address(given: str, url: str) -> None:
    assert Settings.from_environment({"OPENAI_BASE_URL": given}).openai_base_url == url


@pytest.mark.parametrize("given", ["api.openai.com", "wss://", "wss://h/v1?key=canary", "wss://k:canary@h", "wss://h#"])
def test_an_engine_address_with_more_than_an_address_is_refused(given: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environment({"OPENAI_BASE_URL": given})
    assert refusal.value.key == "OPENAI_BASE_URL" and "canary" not in str(refusal.value)


@pytest.mark.parametrize(("given", "allowed"), [("", False), ("no", False), ("Yes", True), ("1", True)])
def test_ngrok_is_only_downloaded_when_allowed(given: str, allowed: bool) -> None:
    assert Settings.from_environment({"CORDBOARD_NGROK_DOWNLOAD": given}).ngrok_download is allowed


def test_a_rehearsal_takes_the_place_of_the_line() -> None:
    settings = Settings.from_environment(LINE | {"CORDBOARD_PUBLIC_URL": "https://desk.example.org"}).with_rehearsal(
        account_sid="AC1",
        auth_token="t",
        number="+16285550100",
        api_url="http://127.0.0.1:1/",
        api_key="k",
        model_url="ws://127.0.0.1:2/v1",
    )
    assert settings.rehearsal
    assert (settings.twilio_api_url, settings.openai_base_url) == ("http://127.0.0.1:1", "ws://127.0.0.1:2/v1")
    assert settings.public_url == "" and settings.secrets == ("t", "k", "2580")


def test_secrets_are_taken_out_of_the_environment() -> None:
    environment = LINE | {"PATH": "/bin"}
    forget_secrets(environment)
    forget_secrets(environment)
    assert set(environment) == {"TWILIO_ACCOUNT_SID", "TWILIO_PHONE_NUMBER", "PATH"}


def test_home_is_for_its_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "a" / "b"
    make_home(home)
    make_home(home)
    assert os.name != "posix" or stat.S_IMODE(home.stat().st_mode) == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="CORDBOARD_HOME"):
        make_home(tmp_path / "file" / "home")


def test_listen_addresses() -> None:
    assert listen_address("--public-listen", "127.0.0.1:8080") == Address("127.0.0.1", 8080)
    assert listen_address("--public-listen", "[::1]:0") == Address("::1", 0)
    for wrong in ["", "8080", "host", "host:", ":80", "host:80/x", "a@host:80", "host:99999", "host:x"]:
        with pytest.raises(SettingsError, match="HOST:PORT"):
            listen_address("--public-listen", wrong)


def test_loopback() -> None:
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.9.9.9", "::1"]))
    assert not any(map(is_loopback, ["localhost.example.org", "10.0.0.1", "0.0.0.0", "127.0.0.1.nip.io"]))


def test_what_speaks_written_words_can_be_chosen() -> None:
    plain = Settings.from_environment({})
    assert plain.say_voices == ("openai", "local")
    assert (plain.openai_speech_model, plain.openai_speech_voice) == ("gpt-4o-mini-tts", "ash")
    chosen = {"CORDBOARD_SAY": "Local, openai", "OPENAI_SPEECH_MODEL": "kokoro/v1.0", "OPENAI_SPEECH_VOICE": "af_sky"}
    settings = Settings.from_environment(chosen)
    assert settings.say_voices == ("local", "openai")
    assert (settings.openai_speech_model, settings.openai_speech_voice) == ("kokoro/v1.0", "af_sky")
    assert Settings.from_environment({"CORDBOARD_SAY": "local"}).say_voices == ("local",)


@pytest.mark.parametrize(
    ("key", "value"),
    [("CORDBOARD_SAY", "festival"), ("CORDBOARD_SAY", "local,local"), ("OPENAI_SPEECH_VOICE", "two words")],
)
def test_a_voice_that_is_none_is_refused(key: str, value: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environment({key: value})
    assert refusal.value.key == key


def test_the_speech_vendors_have_keys_and_addresses_of_their_own() -> None:
    settings = Settings.from_environment(
        {
            "OPENAI_API_KEY": "sk-1",
            "DEEPGRAM_API_KEY": "dg",
            "DEEPGRAM_BASE_URL": "wss://dg.example.com/",
            "ELEVENLABS_API_KEY": "el",
            "CORDBOARD_CHAT_URL": "http://127.0.0.1:11434/v1/",
            "CORDBOARD_CHAT_MODEL": "qwen3:8b",
            "CORDBOARD_PIN_BILLING": "4711",
        }
    )
    assert (settings.deepgram_url, settings.elevenlabs_url) == ("https://dg.example.com", "https://api.elevenlabs.io")
    assert (settings.chat_url, settings.chat_model) == ("http://127.0.0.1:11434/v1", "qwen3:8b")
    assert settings.chat_key == "", "OpenAI's key is not for others to see"
    assert set(settings.secrets) == {"sk-1", "dg", "el", "4711"}
    assert Settings.from_environment({"OPENAI_API_KEY": "sk-1"}).chat_key == "sk-1"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("CORDBOARD_PIN_BILLING", "abc"),
        ("DEEPGRAM_BASE_URL", "deepgram.com"),
        ("ELEVENLABS_BASE_URL", "https://user@host"),
        ("DEEPGRAM_API_KEY", "dg key"),
        ("CORDBOARD_CHAT_URL", "https://host?x=1"),
    ],
)
def test_a_wrong_speech_setting_is_named(key: str, value: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment({key: value})
    assert raised.value.key == key and value not in str(raised.value)
