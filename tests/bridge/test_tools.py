"""Tools as the AI sees them, and what becomes of everything that goes wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from bridge import tools
from bridge.errors import SettingsError
from bridge.tools import Caller, ToolResult


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tools, "_tools", dict(tools._tools))
    yield


async def result(tool: str, /, **arguments: object) -> ToolResult:
    return await tools.run(tool, json.dumps(arguments), Caller("c1", "+16285550142"))


def test_a_declaration_says_what_the_signature_and_the_docstring_say() -> None:
    (declared,) = tools.declarations(["find_payments"])
    assert declared == {
        "type": "function",
        "name": "find_payments",
        "description": "Look up what was paid for an order.",
        "parameters": {
            "type": "object",
            "properties": {
                "order": {"type": "string", "description": "The order number, digits only."},
                "month": {
                    "anyOf": [{"type": "string", "pattern": r"^\d{4}-\d{2}$"}, {"type": "null"}],
                    "description": "Only payments of this month, as YYYY-MM.",
                    "default": None,
                },
            },
            "required": ["order"],
            "additionalProperties": False,
        },
    }


def test_the_caller_is_no_argument_of_the_ai() -> None:
    (declared,) = tools.declarations(["book_appointment"])
    assert set(declared["parameters"]["properties"]) == {"time", "name"}


def test_declaring_a_tool_that_does_not_exist_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsError, match="no tool called launch; there are ask_for_person, book_appointment"):
        tools.declarations(["launch"])


async def test_finding_payments() -> None:
    found = await result("find_payments", order="8841", month="2026-03")
    assert found.ok and [p["payment"] for p in json.loads(found.text)["payments"]] == ["pi_77119", "pi_77120"]
    assert (await result("find_payments", order="1")).text == "No payments were found for that order."


async def test_refunding_a_payment() -> None:
    refund = json.loads((await result("refund_payment", payment="pi_77120", amount=48)).text)
    assert (refund["refund"], refund["amount"], refund["currency"]) == ("re_77120", 48.0, "USD")
    assert (await result("refund_payment", payment="pi_77120", amount=49)).text.startswith("Refused: only 48.00 USD")
    assert (await result("refund_payment", payment="pi_1", amount=1)).text == "Refused: there is no such payment."


async def test_booking_a_visit() -> None:
    free = json.loads((await result("list_free_times", day="2026-11-24")).text)["free"]
    booked = json.loads((await result("book_appointment", time=free[1], name="Dana Whitfield")).text)
    assert booked == {"booked": "2026-11-24 15:00", "name": "Dana Whitfield", "reference": "R-302"}
    assert (await result("list_free_times", day="2026-11-23")).text == "No time is free then."
    assert (await result("book_appointment", time="now", name="D")).text == "Not booked: that time is not free."


async def test_asking_for_a_person() -> None:
    assert "colleague" in (await tools.run("ask_for_person", "")).text


async def test_an_unknown_tool_is_an_answer_to_the_ai() -> None:
    assert await tools.run("launch" * 20, "{}") == ToolResult(False, f"There is no tool called {('launch' * 20)[:40]}.")


@pytest.mark.parametrize(
    "arguments",
    [
        "{",
        "[]",
        "{}",
        '{"order":7}',
        '{"order":"1","month":"March"}',
        '{"order":"1","caller":{}}',
        "[" * 50_000,
        "\ud800",
    ],
)
async def test_wrong_arguments_are_an_answer_to_the_ai(arguments: str) -> None:
    answer = await tools.run("find_payments", arguments)
    assert not answer.ok and answer.text.startswith("The arguments are wrong: ")


async def test_a_failing_tool_is_an_answer_to_the_ai_without_details(
    registry: None, caplog: pytest.LogCaptureFixture
) -> None:
    @tools.tool
    async def fail() -> str:
        """Fail."""
        raise RuntimeError("canary")

    assert await tools.run("fail", "{}") == ToolResult(False, "The tool failed (RuntimeError).")
    assert "test_tools.py" in caplog.text and "canary" not in caplog.text.replace('("canary")', "")


async def test_a_tool_that_does_not_end_is_stopped(registry: None) -> None:
    stopped = asyncio.Event()

    @tools.tool
    async def wait() -> None:
        """Wait."""
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    answer = await tools.run("wait", "{}", deadline_s=0.01)
    assert answer == ToolResult(False, "The tool took too long and was stopped.")
    assert stopped.is_set()


async def test_the_end_of_the_call_ends_its_tools(registry: None) -> None:
    @tools.tool
    async def wait() -> None:
        """Wait."""
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await tools.run("wait", "{}")


async def test_results_are_texts_of_bounded_length(registry: None) -> None:
    @tools.tool
    async def talk(text: str, times: int, caller: Caller) -> object:
        """Talk.

        text: What.
        times: How often.
        """
        return text * times if times else [caller.number]

    assert (await result("talk", text="ok", times=1)).text == "ok"
    assert (await result("talk", text="", times=0)).text == '["+16285550142"]'
    long = (await result("talk", text="é", times=100_000)).text
    assert len(long.encode()) <= tools.MOST_RESULT_BYTES and long.endswith("[cut: the rest was too long]")


async def test_a_result_that_cannot_be_written_is_a_failure(registry: None) -> None:
    @tools.tool
    async def odd() -> object:
        """Odd."""
        return object()

    assert await tools.run("odd", "{}") == ToolResult(False, "The tool failed (TypeError).")
