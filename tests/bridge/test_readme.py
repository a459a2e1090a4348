"""The README says what is."""

from __future__ import annotations

from tests.bridge.readme_diagram import README, place


def test_the_diagram_is_that_of_the_tables() -> None:
    readme = README.read_text("utf-8")
    assert place(readme) == readme
