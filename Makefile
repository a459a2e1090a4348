# The README's two commands are `make run` and `make test`. Each does all its set-up by itself.

PYTHON := .venv/bin/python
UV := $(or $(shell command -v uv),.venv/bin/uv)

# The tests start many processes: what one of them has compiled is there for the next.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test coverage bench lint types imports pure lock clean ready

help: ## show this list
	@sed -n 's/^\([a-z]*\):.* ## \(.*\)/make \1 - \2/p' Makefile

run: ## open the desk with a rehearsal going; without a display, rehearse one call in the terminal
	@sh .ci/set-up run
	@.venv/bin/cordboard

test: ready ## run every test
	@$(PYTHON) -m pytest

coverage: ready ## run every test, and show what no test runs
	@$(PYTHON) -m pytest --cov=bridge --cov=console

bench: ready ## measure the bridge under load, what it adds to its engines, the window's painting, taking over, and sound devices
	@$(PYTHON) -m tests.benchmarks.bridge
	@$(PYTHON) -m tests.benchmarks.engines
	@$(PYTHON) -m tests.benchmarks.console
	@$(PYTHON) -m tests.benchmarks.take_over
	@$(PYTHON) -m tests.benchmarks.sound

lint: ready ## check style
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .

types: ready ## check types
	@$(PYTHON) -m mypy

imports: ready ## check who imports whom
	@.venv/bin/lint-imports

pure: ready ## check that each pure module is covered whole by its own tests
	@$(PYTHON) .ci/pure_coverage.py

# Universal (every platform, Python 3.11 and newer), hashed, and without addresses: where the
# files come from is for the machine that installs them to say.
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' pyproject.toml

lock: ## remake both lock files (needs uv)
	@$(LOCK) --group build -o requirements.lock
	@$(LOCK) --group build --group dev -c requirements.lock -o requirements-dev.lock
	@! grep -nE '://|^-' requirements.lock requirements-dev.lock

clean: ## remove the environment and everything that was made
	@rm -rf .venv .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache dist
	@find bridge console tests -name __pycache__ -prune -exec rm -rf {} +

ready:
	@sh .ci/set-up test
