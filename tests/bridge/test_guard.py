"""Signatures, tokens, claims: strangers get nothing, the carrier gets its answer once."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from twilio.request_validator import RequestValidator

from bridge.errors import SettingsError
from bridge.guard import (
    ALARM_AFTER,
    MAX_TOKENS,
    TOKEN_LIFE_MS,
    Claims,
    Reason,
    Refusal,
    Refusals,
    Signatures,
    Tokens,
    port_forms,
    socket_url,
)

ACCOUNT = "AC" + "0" * 32
CALL = "CA" + "1" * 32
TOKEN = "12345"
PUBLIC = "https://desk.example.com"
PATH = "/twilio/voice"

Fields = list[tuple[str, str]]


def genuine(*more: tuple[str, str]) -> Fields:
    return [("AccountSid", ACCOUNT), ("CallSid", CALL), *more]


def signed(url: str, fields: Fields | None, key: str = TOKEN) -> CIMultiDict[str]:
    """Headers as the carrier would send them for this URL."""
    from multidict import MultiDict

    params = None if fields is None else MultiDict(fields)
    return CIMultiDict({"X-Twilio-Signature": RequestValidator(key).compute_signature(url, params)})


@pytest.fixture
def signatures() -> Signatures:
    return Signatures(ACCOUNT, TOKEN, PUBLIC)


def refused(reason: Reason) -> pytest.RaisesExc[Refusal]:
    return pytest.RaisesExc(Refusal, check=lambda refusal: refusal.reason is reason)


# ── webhooks ──


@pytest.mark.parametrize(
    "more",
    [
        [],
        [("From", "+14158675309"), ("Brand New", "parameter")],
        [("CallerName", ""), ("Digits", "")],
        [("Tag", "b"), ("Tag", "a"), ("Tag", "b")],
        [("FromCity", "Zürich & 東京+%41"), ("CallerName", "<script>\r\n")],
    ],
    ids=["plain", "unknown", "blank", "repeated", "unicode"],
)
@pytest.mark.parametrize("port", ["", ":443"])
def test_a_genuine_webhook_is_taken_whatever_it_carries(signatures: Signatures, more: Fields, port: str) -> None:
    fields = genuine(*more)
    form = signatures.webhook(PATH, fields, signed(f"https://desk.example.com{port}{PATH}", fields))
    assert form["CallSid"] == CALL
    assert set(form) == {name for name, _ in fields}
    assert all(form[name] == next(value for key, value in fields if key == name) for name in form)


@pytest.mark.parametrize(
    ("scheme", "host", "port", "path"),
    [
        case
        for case in itertools.product(
            ["https", "http", "wss"],
            ["desk.example.com", "evil.example.com"],
            ["", ":443", ":80", ":8443"],
            [PATH, "/"],
        )
        if case not in {("https", "desk.example.com", "", PATH), ("https", "desk.example.com", ":443", PATH)}
    ],
)
def test_a_signature_for_any_other_address_is_refused(
    signatures: Signatures, scheme: str, host: str, port: str, path: str
) -> None:
    with refused(Reason.FORGED):
        signatures.webhook(PATH, genuine(), signed(f"{scheme}://{host}{port}{path}", genuine()))


def test_what_the_headers_say_of_the_address_counts_for_nothing(signatures: Signatures) -> None:
    headers = signed(f"https://evil.example.com{PATH}", genuine())
    headers.update({"Host": "evil.example.com", "X-Forwarded-Host": "evil.example.com", "X-Forwarded-Proto": "https"})
    with refused(Reason.FORGED):
        signatures.webhook(PATH, genuine(), headers)


def test_an_own_port_and_a_new_public_address(signatures: Signatures) -> None:
    signatures.public_url = "http://127.0.0.1:8080"
    signatures.webhook(PATH, genuine(), signed(f"http://127.0.0.1:8080{PATH}", genuine()))
    with refused(Reason.FORGED):
        signatures.webhook(PATH, genuine(), signed(PUBLIC + PATH, genuine()))


def test_another_key_or_a_changed_value_is_refused(signatures: Signatures) -> None:
    with refused(Reason.FORGED):
        signatures.webhook(PATH, genuine(), signed(PUBLIC + PATH, genuine(), key="54321"))
    with refused(Reason.FORGED):
        signatures.webhook(PATH, genuine(("From", "+1")), signed(PUBLIC + PATH, genuine(("From", "+2"))))


@pytest.mark.parametrize("signature", ["", "x", "é" * 28, "A" * 29])
def test_no_signature_at_all(signatures: Signatures, signature: str) -> None:
    with pytest.raises(Refusal) as refusal:
        signatures.webhook(PATH, genuine(), CIMultiDict({"x-twilio-signature": signature}))
    assert refusal.value.reason is (Reason.FORGED if len(signature) == 28 else Reason.UNSIGNED)
    with refused(Reason.UNSIGNED):
        signatures.webhook(PATH, genuine(), CIMultiDict())


def test_a_shared_key_is_refused_in_words(signatures: Signatures) -> None:
    headers = signed(PUBLIC + PATH, genuine())
    headers["X-Twilio-Webhooks-Signature-Settings"] = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
    with refused(Reason.SHARED_KEY) as refusal:
        signatures.webhook(PATH, genuine(), headers)
    assert "Auth Token" in str(refusal.value)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([("AccountSid", "AC" + "9" * 32), ("CallSid", CALL)], Reason.OTHER_ACCOUNT),
        ([("CallSid", CALL)], Reason.OTHER_ACCOUNT),
        ([("AccountSid", ACCOUNT)], Reason.MALFORMED),
    ],
)
def test_signed_but_not_ours(signatures: Signatures, fields: Fields, reason: Reason) -> None:
    with refused(reason):
        signatures.webhook(PATH, fields, signed(PUBLIC + PATH, fields))


def test_without_an_auth_token_there_is_no_bridge() -> None:
    with pytest.raises(SettingsError, match="TWILIO_AUTH_TOKEN"):
        Signatures(ACCOUNT, "", PUBLIC)


# ── the handshake ──


@pytest.mark.parametrize("url", ["wss://desk.example.com/twilio/media", "wss://desk.example.com:443/twilio/media"])
def test_a_handshake_is_signed_over_the_socket_address_in_either_form(signatures: Signatures, url: str) -> None:
    signatures.handshake("/twilio/media", signed(url, None))


@pytest.mark.parametrize(
    "url",
    [
        "https://desk.example.com/twilio/media",
        "ws://desk.example.com/twilio/media",
        "wss://desk.example.com:80/twilio/media",
        "wss://desk.example.com/twilio/media/",
        "wss://desk.example.com/twilio/media?token=x",
        "wss://other.example.com/twilio/media",
    ],
)
def test_any_other_handshake_is_refused(signatures: Signatures, url: str) -> None:
    with refused(Reason.FORGED):
        signatures.handshake("/twilio/media", signed(url, None))


def test_the_known_vectors_of_the_carriers_own_package() -> None:
    signatures = Signatures(ACCOUNT, TOKEN, "https://abc.ngrok.app")
    signatures.handshake("/media-stream", {"X-Twilio-Signature": "awcfZmC+Jh2EXr53bjzNXGPMAPI="})
    signatures.handshake("/media-stream/", {"X-Twilio-Signature": "7R/U6mkjBRAHgv67FJsrDLmz0/0="})


def test_both_forms_of_a_port() -> None:
    assert port_forms("wss://h/x") == ("wss://h/x", "wss://h:443/x")
    assert port_forms("ws://h:80/x") == ("ws://h/x", "ws://h:80/x")
    assert port_forms("http://[::1]:8080/x") == ("http://[::1]/x", "http://[::1]:8080/x")
    assert socket_url("http://127.0.0.1:1") == "ws://127.0.0.1:1"


# ── tokens ──


def test_a_token_opens_one_stream_of_its_call() -> None:
    tokens = Tokens()
    token = tokens.issue("c1", CALL, ACCOUNT, 0)
    assert len(token) >= 43
    assert tokens.redeem(token, CALL, ACCOUNT, TOKEN_LIFE_MS - 1) == "c1"
    with refused(Reason.BAD_TOKEN):
        tokens.redeem(token, CALL, ACCOUNT, TOKEN_LIFE_MS - 1)


@pytest.mark.parametrize(
    ("call_sid", "account_sid", "now_ms"),
    [("CA" + "2" * 32, ACCOUNT, 0), (CALL, "AC" + "9" * 32, 0), (CALL, ACCOUNT, TOKEN_LIFE_MS), ("é", ACCOUNT, 0)],
    ids=["other call", "other account", "too late", "no sid at all"],
)
def test_a_token_shown_wrongly_is_refused_and_spent(call_sid: str, account_sid: str, now_ms: int) -> None:
    tokens = Tokens()
    token = tokens.issue("c1", CALL, ACCOUNT, 0)
    with refused(Reason.BAD_TOKEN):
        tokens.redeem(token, call_sid, account_sid, now_ms)
    with refused(Reason.BAD_TOKEN):
        tokens.redeem(token, CALL, ACCOUNT, 0)


@given(st.text())
def test_no_made_up_token_opens_anything(token: str) -> None:
    tokens = Tokens()
    tokens.issue("c1", CALL, ACCOUNT, 0)
    with refused(Reason.BAD_TOKEN):
        tokens.redeem(token, CALL, ACCOUNT, 0)


def test_tokens_do_not_pile_up() -> None:
    tokens = Tokens()
    first, *_, last = [tokens.issue("c", CALL, ACCOUNT, 0) for _ in range(MAX_TOKENS + 1)]
    with refused(Reason.BAD_TOKEN):
        tokens.redeem(first, CALL, ACCOUNT, 0)
    assert tokens.redeem(last, CALL, ACCOUNT, 0) == "c"


# ── claims and alarms ──


def test_the_first_answer_is_the_only_one() -> None:
    claims = Claims()
    assert claims.answered("a") is None
    assert claims.claim("a", b"first") == b"first"
    assert claims.claim("a", b"second") == b"first"
    assert claims.answered("a") == b"first"


def test_claims_do_not_pile_up() -> None:
    claims = Claims(capacity=2)
    for key in "abc":
        claims.claim(key)
    assert [claims.answered(key) for key in "abc"] == [None, b"", b""]


def test_the_operator_hears_of_the_fifth_and_then_of_every_tenfold() -> None:
    refusals = Refusals()
    told = [count for count in range(1, 501) if refusals.note(Reason.FORGED)]
    assert told == [ALARM_AFTER, 50, 500]
    assert refusals.note(Reason.UNSIGNED) == ""
    assert refusals.counts == {Reason.FORGED: 500, Reason.UNSIGNED: 1}
