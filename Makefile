# Everything a clone needs. `make` alone prints this help.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
# Tests wait for processes and servers more than they compute: two for each processor.
JOBS   ?= $(shell $(PYTHON) -c "import os; print(2 * (os.cpu_count() or 1))")
PYTEST := rm -f .pytest_cache/v/cache/lastfailed; $(BIN)/python -m pytest -n $(JOBS)
# Tests that failed run once more, with no others beside them. One that passes now is named: it is unsteady, and a
# fault of its own. Five that fail again end the run.
AGAIN  := $(BIN)/python -m pytest --last-failed --last-failed-no-failures none --maxfail 5 -rp
READY  := $(VENV)/.ready
CLIENTS := $(VENV)/clients
RAY    := $(VENV)/ray
SUPABASE_PY := 2.30.0 2.34.1

# Tests of our SQL run on every server version; the rest on the embedded one. Of the long walks through orders of
# events, those of one message call each statement in each state.
DATABASE_TESTS := tests/sql tests/migration tests/interop tests/plans \
    tests/faults/test_explorer.py::test_one_message tests/faults/test_reference_model.py
# That a mistake put in is found proves the test, not the server: one version shows it.
SHOWN_ONCE := test_a_mistake_is_found

.DEFAULT_GOAL := help
.PHONY: help demo test check lint fast-tests slow-tests database-tests exhaustive bench soak test-deps test-ray clean
.NOTPARALLEL:
# Each test starts processes of ours: without compiled files each of them compiles all it imports.
unexport PYTHONDONTWRITEBYTECODE
MINUTES ?= 10
SEED ?=

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -m venv "$(VENV)" > "$(VENV).log" 2>&1 || { rm -rf "$(VENV)"; $(MAKE) --no-print-directory venv-package \
	    && $(PYTHON) -m venv "$(VENV)"; }
	@rm -f "$(VENV).log"
	@$(PIP) install --upgrade "pip>=25.1"
	@$(PIP) install --constraint constraints.txt --editable . --group dev --group test --group bench
	@touch $@

# Debian keeps venv in a package of its own.
.PHONY: venv-package
venv-package:
	@{ [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; } || { \
	    cat "$(VENV).log" >&2; echo "No venv: install Debian's python3-venv as root, or set PYTHON=..." >&2; exit 1; }
	@apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv > /dev/null

demo: $(READY) ## crawl a real site with a worker on the embedded Postgres
	@$(BIN)/python -m examples.scraper

# Each kind of test is a target of its own, so that `make check test` runs none twice.
test: fast-tests slow-tests database-tests ## every test; those of the database also on PostgreSQL 17, 16 and 15

check: lint fast-tests ## formatting, lint, types, import contracts, fast tests

lint: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

fast-tests: $(READY)
	@$(PYTEST) -m "not slow" || $(AGAIN) -m "not slow"

slow-tests: $(READY)
	@$(PYTEST) -m "slow and not exhaustive" || $(AGAIN) -m "slow and not exhaustive"

exhaustive: $(READY) ## what `make test` asks with a few seeds and lengths, with all of them
	@$(PYTEST) -m exhaustive

database-tests: $(READY)
	@for version in 17 16 15; do echo "PostgreSQL $$version:"; \
	    $(PYTEST) -m "not slow" -k "not $(SHOWN_ONCE)" --postgres=$$version $(DATABASE_TESTS) \
	    || $(AGAIN) -m "not slow" -k "not $(SHOWN_ONCE)" --postgres=$$version $(DATABASE_TESTS) || exit 1; done

bench: $(READY) ## drain, enqueue and latency beside the raw limit
	@$(BIN)/postmill bench drain
	@$(BIN)/postmill bench enqueue
	@$(BIN)/postmill bench latency

soak: $(READY) ## workers under random faults for MINUTES (10), drawn by SEED, and an exact account
	@$(BIN)/python -m benchmarks.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

test-deps: ## what only some tests need: Debian packages (as root), other people's clients
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends postgresql-15 postgresql-15-cron pgbouncer curl chromium \
	    etcd-server iproute2 libfaketime patroni
	command -v npm > /dev/null || apt-get install -y -qq --no-install-recommends nodejs npm
	$(MAKE) --no-print-directory $(CLIENTS)/.ready

# Clients for functions and queues, in environments of their own, so that none meets our own packages.
$(CLIENTS)/.ready: $(READY) tests/clients/package.json
	@mkdir -p $(CLIENTS)/node
	@for version in $(SUPABASE_PY); do \
	    $(PYTHON) -m venv $(CLIENTS)/supabase-$$version \
	    && $(CLIENTS)/supabase-$$version/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
	        supabase==$$version || exit 1; done
	@cp tests/clients/package.json $(CLIENTS)/node/
	@npm install --prefix $(CLIENTS)/node --no-package-lock --no-audit --no-fund --loglevel=error
	@touch $@

test-ray: $(RAY)/.ready ## tests of postmill[ray], on one node of Ray, in an environment of their own
	@$(RAY)/bin/python -m pytest tests/cluster

# Ray's wheel and what it brings along stay out of the environment of all other tests.
$(RAY)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -m venv $(RAY)
	@$(RAY)/bin/python -m pip install --quiet --disable-pip-version-check --no-input --upgrade "pip>=25.1"
	@$(RAY)/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
	    --constraint constraints.txt --editable ".[ray,prometheus]" --group ray
	@touch $@

clean: ## remove what the other targets made
	rm -rf $(VENV) .postmill .pytest_cache .mypy_cache .ruff_cache .hypothesis
