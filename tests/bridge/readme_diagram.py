"""The README's diagram of a call, made from the tables of `bridge.call`.

``python -m tests.bridge.readme_diagram`` puts it into the README anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from bridge.call import AFTER_HOLD, FLOORS, PHASES, Row, Unhold
from bridge.control import Floor

README = Path(__file__).resolve().parents[2] / "README.md"
BEGIN = "<!-- diagram: made from bridge/call.py by python -m tests.bridge.readme_diagram -->"
END = "<!-- end of diagram -->"


def _arrows(table: Mapping[Any, Row], prefix: str) -> list[str]:
    arrows: dict[tuple[StrEnum, StrEnum], list[str]] = {}
    for (state, input, *_), row in table.items():
        if state is not row.to:
            arrows.setdefault((state, row.to), []).append(input.__name__)
    return [
        f"    {prefix}{start.name} --> {prefix}{to.name}: {', '.join(inputs)}" for (start, to), inputs in arrows.items()
    ]


def diagram() -> str:
    """Both machines as one Mermaid drawing; inputs that move nothing are left out.

    An Unhold leads to whoever had the floor before the Hold, so it has an arrow to each.
    """
    lines = ["```mermaid", "stateDiagram-v2", "    state phase {", *_arrows(PHASES, ""), "    }"]
    off_hold = {(Floor.HOLD, Unhold, was): row for was, row in AFTER_HOLD.items()}
    lines += ["    state floor {", *_arrows({**FLOORS, **off_hold}, "floor_"), "    }", "```"]
    return "\n".join(lines)


def place(readme: str) -> str:
    """The README with the diagram as it now is."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{diagram()}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(place(README.read_text("utf-8")), "utf-8")
