"""TwiML: what Twilio is to do with a call, as XML made by Twilio's own serializer.

Whatever follows ``<Connect>`` runs once the media socket is gone, however it went. It must not
need us then, so it is static: an apology and the end of the line.
"""

from __future__ import annotations

import re
from typing import Literal

from twilio.twiml.voice_response import Connect, VoiceResponse

TOKEN_PARAMETER = "token"
"""Name of the stream parameter that carries the one-time token."""

CONTENT_TYPE = "text/xml"

# What XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def answer(stream_url: str, token: str, status_callback: str, apology: str) -> str:
    """Connect the call to our media socket.

    stream_url: ``wss`` (``ws`` for loopback) without a query, which Twilio would drop. token:
    arrives in `Start.custom_parameters` under `TOKEN_PARAMETER`. status_callback: where Twilio
    reports the stream's life. apology: said if the socket fails or ends, before hanging up.
    """
    connect = Connect()
    stream = connect.stream(url=stream_url, status_callback=status_callback)
    stream.parameter(name=TOKEN_PARAMETER, value=token)
    response = VoiceResponse()
    response.append(connect)
    return _ended_with(response, apology)


def busy(apology: str) -> str:
    """Answer only to say that nobody can talk now, and hang up."""
    return _ended_with(VoiceResponse(), apology)


def hang_up() -> str:
    """End the call without a word."""
    response = VoiceResponse()
    response.hangup()
    return str(response)


def reject(reason: Literal["busy", "rejected"]) -> str:
    """Do not answer at all; the caller is not charged and hears a busy or out-of-service tone."""
    response = VoiceResponse()
    response.reject(reason=reason)
    return str(response)


def _ended_with(response: VoiceResponse, apology: str) -> str:
    response.say(_NOT_XML.sub("", apology))
    response.hangup()
    return str(response)
