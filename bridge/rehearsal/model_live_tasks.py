"""The tasks that the rehearsal's GPT-Live hands to its backend, which asks the client for what tools are for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from bridge.rehearsal import model_live_wire as wire
from bridge.rehearsal.model_wire import Refused
from bridge.rehearsal.scenario import ToolUse

if TYPE_CHECKING:
    from bridge.rehearsal.model_live import LiveSession


class Tasks:
    """One session's. by_responses: the Responses API does them; else nobody, for the client is not asked."""

    def __init__(self, session: LiveSession) -> None:
        self.by_responses = False
        self._session = session
        self._responses: dict[str, Any] = {}
        self._open_calls: dict[str, str] = {}
        self._delegation_id: str | None = None

    def configure(self, delegation: dict[str, Any] | None) -> None:
        """As the session was started. delegation: as in its resource."""
        if delegation is not None and delegation["type"] == "responses":
            self.by_responses = True
            self._responses = delegation["responses"]

    def change(self, change: wire.SessionChange) -> None:
        """As the session is updated. Raises Refused."""
        self._check("session.delegation.type")
        self._responses |= msgspec.to_builtins(change.delegation.responses)

    def tools(self) -> set[str]:
        """Names of those that may be used."""
        names = {tool["name"] for tool in self._responses.get("tools", ())}
        match self._responses.get("tool_choice", "auto"):
            case "none":
                return set()
            case {"name": str(name)}:
                return names & {name}
            case _:
                return names

    async def give(self, tool: ToolUse) -> None:
        """A new task, for which this tool is needed."""
        delegation_id, response_id = self._session.new_id("dlg"), self._session.new_id("resp")
        call_id = self._session.new_id("call")
        self._session.mind.used(call_id, tool)
        self._open_calls[call_id] = delegation_id
        delegation = {"type": "delegation", "id": delegation_id, "target": "responses", "response_id": response_id}
        offset_ms = self._session.now_ms()
        await self._session.emit("session.delegation.created", delegation=delegation, offset_ms=offset_ms)
        arguments = msgspec.json.encode(tool.arguments).decode()
        call = {"type": "function_call", "id": self._session.new_id("fc"), "call_id": call_id, "name": tool.name}
        place = {"item_id": call["id"], "output_index": 0}
        begun = call | {"arguments": "", "status": "in_progress"}
        done = call | {"arguments": arguments, "status": "completed"}
        await self._respond(
            delegation_id,
            response_id,
            {"type": "response.output_item.added", "output_index": 0, "item": begun},
            {"type": "response.function_call_arguments.delta", "delta": arguments, **place},
            {"type": "response.function_call_arguments.done", "arguments": arguments, **place},
            {"type": "response.output_item.done", "output_index": 0, "item": done},
        )

    def take(self, item: wire.FunctionOutput | wire.UserMessage) -> None:
        """Something for the backend. Raises Refused."""
        self._check("type")
        if isinstance(item, wire.UserMessage):
            self._session.mind.read("user" if item.role == "user" else "system", item.content)
            return
        if item.call_id not in self._open_calls:
            problem = f"No tool call found for function call output with call_id {item.call_id}."
            raise Refused("invalid_value", problem, "item.call_id")
        self._delegation_id = self._open_calls.pop(item.call_id)
        self._session.mind.result(item.call_id, item.output)

    async def go_on(self) -> None:
        """The backend thinks on with what it was given. Raises Refused."""
        self._check("type")
        if self._open_calls:
            raise Refused("invalid_value", f"No tool output found for function call {next(iter(self._open_calls))}.")
        delegation_id, self._delegation_id = self._delegation_id, None
        await self._respond(delegation_id, self._session.new_id("resp"))

    async def _respond(self, delegation_id: str | None, response_id: str, *events: dict[str, Any]) -> None:
        response = {
            "id": response_id,
            "object": "response",
            "created_at": int(time.time()),
            "status": "in_progress",
            "model": self._responses["model"],
            "output": [],
            "tools": [],
            "tool_choice": self._responses.get("tool_choice", "auto"),
            "parallel_tool_calls": self._responses.get("parallel_tool_calls", True),
        }
        usage = {
            "input_tokens": 400,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 20,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 420,
        }
        began = {"type": "response.created", "response": response}
        over = {"type": "response.completed", "response": response | {"status": "completed", "usage": usage}}
        for number, event in enumerate((began, *events, over)):
            nested = event | {"sequence_number": number}
            await self._session.emit("response.event", event=nested, delegation_id=delegation_id)

    def _check(self, param: str) -> None:
        if not self.by_responses:
            raise Refused("invalid_value", "This needs Responses delegation.", param)
