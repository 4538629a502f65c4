# Everything a clone needs. `make` alone prints this help.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test check bench test-deps clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -m venv $(VENV) || { echo "no venv: install python3-venv (Debian) or set PYTHON=..." >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable . --group dev --group test
	@touch $@

demo: $(READY) ## crawl a real site with a worker on the embedded Postgres
	@$(BIN)/python -m examples.scraper

test: $(READY) ## every test
	@$(BIN)/python -m pytest -n auto

check: $(READY) ## formatting, lint, types, import contracts, fast tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest -n auto -m "not slow"

bench: $(READY) ## drain, enqueue and latency beside the raw limit
	@$(BIN)/postmill bench drain
	@$(BIN)/postmill bench enqueue
	@$(BIN)/postmill bench latency

test-deps: ## Debian packages that only some tests need (as root)
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends postgresql-15

clean: ## remove what the other targets made
	rm -rf $(VENV) .postmill .pytest_cache .mypy_cache .ruff_cache .hypothesis
