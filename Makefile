# Set-up is two commands on a fresh machine with make and Python >= 3.11: `make demo` and `make test`.
# Nothing is installed outside .venv (but Python itself, by apt, when it is missing and we are root on Debian).

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
UV := uv==0.13.9
ARGS ?=
WORKERS ?= 3

# Processes that may keep what they compile start three times as fast, and the tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install install-dev demo test check bench soak format lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

install: $(VENV)/.run ## prepare .venv with what Chappe needs to run

install-dev: $(VENV)/.dev ## the same, with what its tests and checks need

demo: install ## install, then send real messages through a sandbox operator and watch them arrive
	$(BIN)/chappe demo $(ARGS)

test: install-dev ## run every test but the long ones; ARGS="-k receipt" narrows, WORKERS=0 takes one process
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --max-worker-restart 0 $(ARGS)

check: install-dev ## format, lint, types, import contracts, lock files
	$(BIN)/python tools/lock.py check
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install-dev ## measure every row of the speed table, on both stores; ARGS="--case smpp" narrows
	$(BIN)/python -m bench $(ARGS)

soak: install-dev ## the long fault and load tests (two hours or so)
	$(BIN)/python -m pytest -m soak --timeout 0 $(ARGS)

format: install-dev ## put every file into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: $(BIN)/python ## resolve pyproject.toml into requirements/; ARGS=--upgrade takes newer releases
	$(PIP) install --quiet $(UV)
	$(BIN)/python tools/lock.py write $(ARGS)

clean: ## remove .venv and what the tools left behind
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# ---- set-up: each stamp in .venv says what it holds, so that a second run is instant -------------------------------

$(BIN)/python:
	@python=$$(tools/find-python) && echo "Making $(VENV) with $$python" && { "$$python" -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }; }

# The package itself goes in last, by the locked build backend, editable: a change in src/ needs no new install.
$(VENV)/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "Installing what Chappe runs on (half a minute)"
	@$(PIP) install --quiet --require-hashes -r requirements/run.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@echo "Installing what its tests and checks need"
	@$(PIP) install --quiet --require-hashes -r requirements/dev.txt
	@touch $@
