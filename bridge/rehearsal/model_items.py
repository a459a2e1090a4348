"""The items of one conversation with the rehearsal AI: their order, and what may be done to them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from bridge.rehearsal import model_wire as wire
from bridge.rehearsal.model_wire import Refused

_CONTENT = {
    "system": {"input_text"},
    "user": {"input_text", "input_audio", "input_image"},
    "assistant": {"output_text"},
}


class Items:
    """Items by id, and in what order they are read. generated_ms: how much speech of the AI each holds."""

    def __init__(self) -> None:
        self.generated_ms: dict[str, float] = {}
        self._items: dict[str, dict[str, Any]] = {}
        self._order: list[str] = []

    @property
    def last_id(self) -> str | None:
        """The newest item's."""
        return self._order[-1] if self._order else None

    def find(self, item_id: str) -> dict[str, Any] | None:
        """The item as JSON has it."""
        return self._items.get(item_id)

    def existing(self, item_id: str, purpose: str) -> dict[str, Any]:
        """The item. Raises Refused; purpose: what the client wants of it, as its code names it."""
        if item_id not in self._items:
            problem = f"Error with {purpose}: the item with id '{item_id}' does not exist."
            raise Refused(f"item_{purpose}_invalid_item_id", problem, "item_id")
        return self._items[item_id]

    def place(self, item: dict[str, Any], after: str | None) -> None:
        """Adds an item behind another, None for the start."""
        self._order.insert(0 if after is None else self._order.index(after) + 1, item["id"])
        self._items[item["id"]] = item

    def before(self, item_id: str) -> str | None:
        """The id of the item that this one follows."""
        at = self._order.index(item_id) if item_id in self._items else 0
        return self._order[at - 1] if at else None

    def delete(self, item_id: str) -> None:
        """Forgets an item. Raises Refused when there is none."""
        self.existing(item_id, "delete")
        del self._items[item_id]
        self._order.remove(item_id)

    def of_client(self, message: wire.ItemCreate, new_id: str, new_call_id: str) -> tuple[dict[str, Any], str | None]:
        """The item that a client wants, and the one it shall follow. Raises Refused; adds nothing yet."""
        after = self.last_id
        if message.previous_item_id == "root":
            after = None
        elif isinstance(message.previous_item_id, str):
            self.existing(message.previous_item_id, "create")
            after = message.previous_item_id
        item = {"id": new_id, "object": "realtime.item", "status": "completed"} | msgspec.to_builtins(message.item)
        if item["id"] in self._items:
            raise Refused("item_create_duplicate_item_id", f"An item with id '{item['id']}' exists.", "item.id")
        match message.item:
            case wire.FunctionCallItem():
                item.setdefault("call_id", new_call_id)
            case wire.FunctionOutputItem(call_id=call_id) if not self._was_called(call_id):
                problem = f"Tool call ID '{call_id}' not found in conversation."
                raise Refused("invalid_tool_call_id", problem, "item.call_id")
        return item, after

    def check_truncation(self, message: wire.ItemTruncate) -> dict[str, Any]:
        """The item to be cut. Raises Refused for what is no speech of the AI, or shorter than that."""
        item = self.existing(message.item_id, "truncate")
        if message.item_id not in self.generated_ms:
            raise Refused("invalid_value", "Only model output audio messages can be truncated.", "item_id")
        if message.content_index != 0:
            raise Refused("invalid_value", "The item has no such content part.", "content_index")
        length_ms = int(self.generated_ms[message.item_id])
        if message.audio_end_ms > length_ms:
            problem = f"Audio content of {length_ms}ms is already shorter than {message.audio_end_ms}ms"
            raise Refused("invalid_value", problem, "audio_end_ms")
        return item

    def _was_called(self, call_id: str) -> bool:
        return any(item["type"] == "function_call" and item["call_id"] == call_id for item in self._items.values())


def text_of(item: wire.MessageItem) -> str:
    """The text of a client's message. Raises Refused for content that its role cannot have."""
    for at, part in enumerate(item.content):
        if part.type not in _CONTENT[item.role]:
            supported = ", ".join(f"'{name}'" for name in sorted(_CONTENT[item.role]))
            problem = f"Invalid value: '{part.type}'. Supported values are: {supported}."
            raise Refused("invalid_value", problem, f"item.content[{at}].type")
        if part.type.endswith("_text") and part.text is UNSET:
            name = f"item.content[{at}].text"
            raise Refused("missing_required_parameter", f"Missing required parameter: '{name}'.", name)
    return " ".join(part.text for part in item.content if part.text is not UNSET)
