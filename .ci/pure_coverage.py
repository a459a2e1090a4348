"""Fails unless every pure module has all its lines and branches run by its own tests alone.

The pure modules are those of the import contract "pure" in pyproject.toml; the test file of
bridge/carriers/twilio.py is tests/bridge/test_twilio.py; some have more than one. Prints what was missed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Parts of the wire that nobody reaches but through it are tested through it.
TESTED_WITH: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("openai_arbiter", "openai_messages", "openai_settings"), ("openai_wire",)),
    "turn_taking": ("turn_taking", "turn_taking_ends"),
}


def pure_modules() -> list[str]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return next(contract["source_modules"] for contract in contracts if contract["id"] == "pure")


def tests_of(module: str) -> tuple[str, ...]:
    package, *_, name = module.split(".")
    return tuple(f"tests/{package}/test_{tests}.py" for tests in TESTED_WITH.get(name, (name,)))


def check(test_files: tuple[str, ...], modules: set[str]) -> str:
    """Empty if these tests cover these modules, else what pytest and coverage said."""
    if missing := [test_file for test_file in test_files if not (ROOT / test_file).exists()]:
        return f"{', '.join(missing)} missing"
    with tempfile.TemporaryDirectory() as folder:
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:pytest-qt", *test_files),
                *(f"--cov={module}" for module in modules),
                *("--cov-branch", "--cov-fail-under=100", "--cov-report=term-missing"),
            ],
            cwd=ROOT,
            env={**os.environ, "COVERAGE_FILE": str(Path(folder) / "coverage")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    return "" if ran.returncode == 0 else ran.stdout


def main() -> int:
    runs: dict[tuple[str, ...], set[str]] = {}
    for module in pure_modules():
        runs.setdefault(tests_of(module), set()).add(module)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = list(pool.map(check, runs.keys(), runs.values()))
    for modules, trouble in zip(runs.values(), outcomes, strict=True):
        for module in sorted(modules):
            print(f"{module}: {'NOT COVERED by its own tests' if trouble else '100 %'}")
        print(trouble, end="")
    return 1 if any(outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
