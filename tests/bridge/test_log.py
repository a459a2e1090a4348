"""Nothing private reaches the log, whoever wrote it and however."""

from __future__ import annotations

import asyncio
import gc
import io
import logging
import os
import stat
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.log import RedactingFormatter, logging_to, redact, unhandled

TOKEN = "0123456789abcdef0123456789abcdef"
SECRETS = ("canary-secret", "canary-secret-longer", "abc")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    with logging_to(secrets=SECRETS):
        yield written


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("caller +16285550142 rang", "caller …42 rang"),
        ("caller 1 (628) 555-0142 rang", "caller …42 rang"),
        ("card 4111 1111 1111 1111", "card …11"),
        ("card 4111-1111-1111-1111.", "card …11."),
        ("PIN 8841", "PIN …"),
        ("took 212 ms", "took 212 ms"),
        ("x8841y", "x…y"),
        ("Authorization: Bearer abcdef-123456", "Authorization: Bearer [hidden]"),
        ("{'api_key': 'whatever', 'n': 1}", "{'api_key': '[hidden]', 'n': 1}"),
        ("AuthToken=whatever&To=1", "AuthToken=[hidden]&To=1"),
        ("X-Twilio-Signature: RSOYDt4T1cUTdK1PDd93/VVr8B8=", "X-Twilio-Signature: [hidden]"),
        ("key sk-proj-abcDEF_123", "key [hidden]"),
        (f"auth {TOKEN}", "auth [hidden]"),
        ("ngrok 2aBcDeFgHiJkLmNoPqRsTuVwXyZ_5aBcDeFgHiJkLmNoPqRsTu", "ngrok [hidden]"),
        ("wss://me:canary@host/x", "wss://[hidden]@host/x"),
        ("CA" + "0a" * 14 + "9b1f gone", "CA…b1f gone"),
        ("listening on 127.0.0.1:40123, pid 31337", "listening on 127.0.0.1:40123, pid 31337"),
        ("ERR_NGROK_4018 and Twilio error 31924", "ERR_NGROK_4018 and Twilio error 31924"),
        ("line 4111111111111111", "line …11"),
        ("one\r\ntwo\x1b[31m\u2028three", r"one\r\ntwo\x1b[31m\u2028three"),
        ("Grüße 日本", "Grüße 日本"),
    ],
)
def test_what_is_taken_out_and_what_stays(text: str, line: str) -> None:
    assert redact(text) == line


def test_known_secrets_go_whatever_they_look_like(log: io.StringIO) -> None:
    logging.getLogger("cordboard.web").info("given %s and %s, abc", SECRETS[1], SECRETS[0])
    assert log.getvalue().endswith("INFO cordboard.web: given [hidden] and [hidden], abc\n")


def test_tracebacks_are_one_line_without_secrets_or_words(log: io.StringIO) -> None:
    try:
        try:
            {"": ""}["I would like\na refund"]
        except KeyError as unknown:
            raise ValueError("canary-secret\nfor +16285550142") from unknown
    except ValueError:
        logging.getLogger("cordboard.call").exception("Call failed")
    text = log.getvalue()
    assert text.count("\n") == 1
    assert "canary" not in text and "555" not in text
    assert "KeyError\\n" in text and text.endswith("ValueError\n") and "test_log.py" in text


def test_of_many_exceptions_each_is_told_and_the_systems_say_why(log: io.StringIO) -> None:
    refused, wrong = ConnectionRefusedError(111, "Connection refused"), ValueError("hello")
    refused.__cause__, wrong.__cause__ = wrong, refused
    together = ExceptionGroup("what they said", [wrong, refused])
    logging.getLogger("cordboard.call").error("Call failed", exc_info=together)
    logging.getLogger("cordboard.call").error("Nothing failed", exc_info=True)
    first, second = log.getvalue().splitlines()
    assert first.endswith("ExceptionGroup\\nConnectionRefusedError: Connection refused\\nValueError")
    assert second.endswith("Nothing failed")


async def test_of_what_a_forgotten_task_raised_the_words_are_not_logged(log: io.StringIO) -> None:
    async def fails() -> None:
        raise ValueError(" ".join(["I would", "like a refund"]))

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(unhandled)
    forgotten = loop.create_task(fails())
    await asyncio.wait([forgotten])
    del forgotten
    gc.collect()
    assert "never retrieved" in log.getvalue() and "ValueError" in log.getvalue()
    assert "I would like" not in log.getvalue()
    loop.call_exception_handler({"message": "Something else happened"})
    assert log.getvalue().endswith("Something else happened\n")


def test_third_parties_are_redacted_and_only_heard_when_it_matters(log: io.StringIO) -> None:
    logging.getLogger("twilio.async_http_client").info("canary-secret")
    logging.getLogger("aiohttp.access").info("canary-secret")
    logging.getLogger("asyncio").error("Task failed: canary-secret")
    assert "canary" not in log.getvalue()
    assert log.getvalue().count("\n") == 1 and "Task failed: [hidden]" in log.getvalue()


def test_what_nobody_catches_is_logged_redacted(log: io.StringIO) -> None:
    error = RuntimeError("canary-secret")
    sys.excepthook(RuntimeError, error, None)
    threading.excepthook(threading.ExceptHookArgs((RuntimeError, error, None, None)))
    threading.excepthook(threading.ExceptHookArgs((SystemExit, SystemExit(), None, None)))
    assert log.getvalue().count("Caught by nobody") == 2
    assert "canary" not in log.getvalue()


def test_warnings_are_logged_redacted(log: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("canary-secret", stacklevel=1)
    assert "[hidden]" in log.getvalue() and 'warn("canary' not in log.getvalue()


def test_a_line_that_cannot_be_formatted_says_so() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("canary-secret")

    record = logging.LogRecord("cordboard.x", logging.INFO, __file__, 1, "%s", (Broken(),), None)
    assert RedactingFormatter().format(record).endswith("INFO cordboard.x: could not be written (RuntimeError)")


def test_everything_is_as_before_afterwards() -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.excepthook, threading.excepthook
    with logging_to(level=logging.DEBUG) as handler:
        assert root.handlers == [handler] and logging.getLogger("cordboard.x").isEnabledFor(logging.DEBUG)
        assert not logging.getLogger("pyngrok").isEnabledFor(logging.INFO)
    assert (root.handlers[:], root.level, sys.excepthook, threading.excepthook) == before


def test_a_log_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "bridge.log"
    path.touch(mode=0o644)
    with logging_to(path):
        logging.getLogger("cordboard.x").warning("caller +16285550142, half a character \ud800")
    assert os.name != "posix" or stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text("utf-8").endswith("WARNING cordboard.x: caller …42, half a character \\ud800\n")
