"""The lines of one conversation above each other: made and measured only when they are wanted."""

from __future__ import annotations

from bridge.control import ToolView, TurnView
from console.store import Call, Line
from console.theme import px
from console.transcript_model import Entry, tool_entry, turn_entry
from console.widgets.entry_layout import EntryLayout, Look
from console.widgets.line_heights import LineHeights

KEPT_LAYOUTS = 300


class LineColumn:
    """One call's lines at one `Look`. ``heights`` are estimates until `layout` was asked for a line."""

    def __init__(
        self, call: Call | None, look: Look, operator: str, ours: str, unfolded: set[str], unfold_all: bool
    ) -> None:
        self.look = look
        self.operator = operator
        self._ours = ours
        self._call = call
        self._unfolded = unfolded
        self._unfold_all = unfold_all
        self._layouts: dict[str, EntryLayout] = {}
        self._turns = list(call.turns.values()) if call is not None else []
        self._tools = list(call.tools.values()) if call is not None else []
        self.lines: list[Line] = list(call.lines) if call is not None else []
        self.index = {line.key: index for index, line in enumerate(self.lines)}
        self.heights = LineHeights(px(10))
        self.heights.fill([self._estimate(line.key) for line in self.lines])

    def __len__(self) -> int:
        return len(self.lines)

    def take(self, call: Call) -> set[str]:
        """Follow what the store has changed; returns the keys of lines that are new or another now."""
        turns, tools = list(call.turns.values()), list(call.tools.values())
        if turns == self._turns and tools == self._tools and call.lines == self.lines:
            return set()
        old_turns, old_tools = self._turns, self._tools
        # Objects are frozen and replaced in their place: the same object has not changed.
        changed = {"turn:" + new.turn_id for old, new in zip(old_turns, turns, strict=False) if old is not new}
        changed |= {"tool:" + new.tool_id for old, new in zip(old_tools, tools, strict=False) if old is not new}
        self._turns, self._tools = turns, tools
        for key in changed:
            self._layouts.pop(key, None)
        changed |= {"turn:" + new.turn_id for new in turns[len(old_turns) :]}
        changed |= {"tool:" + new.tool_id for new in tools[len(old_tools) :]}
        known = len(self.lines)
        if call.lines[:known] == self.lines:
            for line in call.lines[known:]:
                self.index[line.key] = len(self.lines)
                self.lines.append(line)
                self.heights.append(self._estimate(line.key))
        else:
            heights = {line.key: self.heights[index] for index, line in enumerate(self.lines)}
            self.lines = list(call.lines)
            self.index = {line.key: index for index, line in enumerate(self.lines)}
            self.heights.fill([heights.get(line.key) or self._estimate(line.key) for line in self.lines])
        return changed

    def source(self, key: str) -> TurnView | ToolView:
        """The object behind a line."""
        assert self._call is not None
        kind, _, name = key.partition(":")
        return self._call.turns[name] if kind == "turn" else self._call.tools[name]

    def entry(self, index: int) -> Entry:
        """What a line says."""
        key = self.lines[index].key
        if key in self._layouts:
            return self._layouts[key].entry
        source = self.source(key)
        if isinstance(source, TurnView):
            return turn_entry(source, self.operator, self._ours)
        return tool_entry(source, self._unfold_all or key in self._unfolded)

    def layout(self, index: int) -> EntryLayout:
        """A line laid out; its height is true from then on."""
        key = self.lines[index].key
        layout = self._layouts.get(key)
        if layout is None:
            layout = EntryLayout(self.entry(index), self.look)
            self._layouts[key] = layout
        self.heights[index] = layout.height
        return layout

    def toggle(self, key: str) -> None:
        """Fold or unfold the long values of one line."""
        self._unfolded ^= {key}
        self._layouts.pop(key, None)
        self.layout(self.index[key])

    def drop_all_but(self, first: int, last: int) -> None:
        """Forget layouts that are far out of sight, once there are many."""
        if len(self._layouts) > KEPT_LAYOUTS:
            kept = {line.key for line in self.lines[first : last + 1]}
            self._layouts = {key: layout for key, layout in self._layouts.items() if key in kept}

    def _estimate(self, key: str) -> float:
        source = self.source(key)
        above = px(22) if self.look.stacked else 0
        if isinstance(source, ToolView):
            return float(px(62) + above)
        chars = max(10.0, (self.look.right_x - self.look.body_x) / px(7))
        return px(8) + above + px(20) * (1 + len(source.text) // chars)
