"""What the AI can do besides talk: named functions with declared arguments.

A tool is an ``async`` function marked with `tool`; its signature and docstring make the
declaration that the AI sees. Whatever goes wrong in one becomes a result text for the AI and is
no trouble to the call.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
import traceback
import typing
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from bridge.errors import SettingsError

_log = logging.getLogger("cordboard.tools")

DEADLINE_S = 10.0
MOST_RESULT_BYTES = 16 * 1024
_CUT = " … [cut: the rest was too long]"


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose call a tool runs. A tool that wants to know takes a parameter called ``caller``."""

    call_id: str = ""
    number: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """ok: whether the tool did its work. text: for the AI, at most 16 KiB of UTF-8."""

    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class _Tool:
    run: Callable[..., Awaitable[Any]]
    arguments: Any
    declaration: dict[str, Any]
    wants_caller: bool


_tools: dict[str, _Tool] = {}

Function = TypeVar("Function", bound=Callable[..., Awaitable[Any]])


def tool(function: Function) -> Function:
    """Make an async function a tool of that name.

    Its docstring's first paragraph is the description; a line ``name: text`` after it describes
    each argument, whose type is anything that msgspec can read from JSON.
    """
    description, described = _explained(inspect.getdoc(function) or "")
    hints = typing.get_type_hints(function, include_extras=True)
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for argument, parameter in inspect.signature(function).parameters.items():
        if argument == "caller":
            continue
        given = parameter.default is not inspect.Parameter.empty
        fields.append((argument, hints[argument], parameter.default) if given else (argument, hints[argument]))
    name = function.__name__
    arguments = msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True)
    parameters = _schema(arguments, described)
    declaration = {"type": "function", "name": name, "description": description, "parameters": parameters}
    _tools[name] = _Tool(function, arguments, declaration, "caller" in hints)
    return function


def declarations(names: Iterable[str]) -> list[dict[str, Any]]:
    """The flat function declarations of these tools. Raises SettingsError for a name unknown."""
    found = []
    for name in names:
        if name not in _tools:
            raise SettingsError("tools", f"there is no tool called {name}; there are {', '.join(sorted(_tools))}")
        found.append(_tools[name].declaration)
    return found


async def run(name: str, arguments: str, caller: Caller = Caller(), *, deadline_s: float = DEADLINE_S) -> ToolResult:
    """Run a tool on the JSON text of its arguments; never raises for anything that the tool does."""
    known = _tools.get(name)
    if known is None:
        return ToolResult(False, f"There is no tool called {name[:40]}.")
    try:
        given = msgspec.json.decode(arguments or "{}", type=known.arguments)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        return ToolResult(False, f"The arguments are wrong: {error}")
    wanted = msgspec.structs.asdict(given) | ({"caller": caller} if known.wants_caller else {})
    try:
        async with asyncio.timeout(deadline_s):
            return ToolResult(True, _as_text(await known.run(**wanted)))
    except TimeoutError:
        return ToolResult(False, "The tool took too long and was stopped.")
    except Exception as error:
        # Without the exception's text: it may hold what was said on the call.
        where = "".join(traceback.format_tb(error.__traceback__))
        _log.error("Tool %s failed: %s\n%s", name, type(error).__name__, where)
        return ToolResult(False, f"The tool failed ({type(error).__name__}).")


def _as_text(result: object) -> str:
    text = result if isinstance(result, str) else msgspec.json.encode(result).decode()
    raw = text.encode(errors="replace")
    if len(raw) <= MOST_RESULT_BYTES:
        return raw.decode()
    return raw[: MOST_RESULT_BYTES - len(_CUT.encode())].decode(errors="ignore") + _CUT


def _explained(doc: str) -> tuple[str, dict[str, str]]:
    description, _, rest = doc.partition("\n\n")
    return " ".join(description.split()), dict(re.findall(r"^(\w+): (.+)$", rest, flags=re.MULTILINE))


def _schema(arguments: Any, described: dict[str, str]) -> dict[str, Any]:
    (_,), components = msgspec.json.schema_components([arguments])
    schema = components[arguments.__name__]
    for name, property in schema["properties"].items():
        property["description"] = described[name]
    return {key: schema[key] for key in ("type", "properties", "required", "additionalProperties")}


from bridge.tools import samples  # noqa: E402, F401  Registers the tools that are shipped.
