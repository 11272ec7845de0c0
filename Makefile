# Everything a developer or a fresh machine needs. `make help` lists the targets.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# Two cores are enough for everything here. One worker more than there are cores: tests wait for servers and browsers.
WORKERS ?= 3
T ?= tests
# Other interpreters whose bundles must be the same, byte for byte; those that the machine has.
PYTHONS ?= python3.12 python3.13
K ?=
# Compiled modules are kept, as they are wherever people install the program: hundreds of tests start a process of their own.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo test postgres-versions pythons year spark bigquery faults kills check fmt bench mutants setup setup-dev system system-dev schema lock samples wheel clean

help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: setup ## set up, then run everything on the company in a box
	$(BIN)/compliancectl demo

test: setup-dev ## set up, then run all tests, lint and types among them (T=path K=expression)
	$(BIN)/python -m pytest $(T) -n $(WORKERS) $(if $(filter tests,$(T)),--dist loadscope --no-loadscope-reorder) $(if $(K),-k "$(K)")

year: setup-dev ## simulate a year of nightly runs and judge it (minutes; not part of `make test`)
	$(BIN)/python -m pytest tests/period/test_year.py -m year

spark: setup-dev $(VENV)/.spark ## certify Spark for every control, and hold its results against DuckDB's (minutes)
	$(BIN)/python -m pytest tests/engine tests/lake tests/system -m spark

$(VENV)/.spark: requirements/spark.lock | $(VENV)/.dev
	@sh requirements/system.sh java
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/spark.lock
	@touch $@

bigquery: setup-dev $(VENV)/.bigquery ## hold BigQuery's SQL and calls against GoogleSQL's reference implementation (minutes)
	$(BIN)/python -m pytest tests/engine tests/lake tests/system -m bigquery

$(VENV)/.bigquery: requirements/bigquery.lock | $(VENV)/.dev
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/bigquery.lock
	@touch $@

faults: setup-dev ## try every fault of the company alone; `make test` tries those that do not touch together (minutes)
	$(BIN)/python -m pytest tests/system/test_faults.py -m "faults or not faults" -n $(WORKERS) $(if $(K),-k "$(K)")

kills: setup-dev ## kill -9 a run at fifty moments, and look at what is left (minutes; not part of `make test`)
	$(BIN)/python -m pytest tests/system/test_kill.py -m "kills or not kills" --timeout 3600

check: setup-dev ## lint, format check and types
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check src tests bench
	$(BIN)/mypy

fmt: setup-dev ## format the code
	$(BIN)/ruff check --fix src tests bench
	$(BIN)/ruff format src tests bench

bench: setup-dev ## speed and size as ratios
	$(BIN)/python bench/run.py

mutants: setup-dev ## are the controls' examples sharp enough to notice a wrong control? (K=BCP-02)
	$(BIN)/python bench/mutants.py $(K)

setup: system $(VENV)/.runtime ## the program and what it runs with

setup-dev: system system-dev $(VENV)/.dev .cache/contracts/.stamp ## the same, and what develops and tests it

# weasyprint draws with Pango, which comes from the system.
system:
	@sh requirements/system.sh

# npm fetches the descriptions of GitHub's API, which tests hold the sandbox against.
system-dev:
	@sh requirements/system.sh dev || true

# Without them the other tests still run; those that need them fail, and say why.
.cache/contracts/.stamp: requirements/contracts.lock requirements/contracts.py requirements/npm.py | $(VENV)/.dev
	@$(BIN)/python requirements/contracts.py && touch $@ || echo "the tests that need this will fail" >&2

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed; set PYTHON=python3.12, for example"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The locks are whole, so pip has nothing to resolve: resolving, it may look at releases newer than those pinned, and stop.
$(VENV)/.runtime: requirements/runtime.lock pyproject.toml | $(VENV)/bin/python
	@test -e $(VENV)/.dev || $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/runtime.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.runtime

schema: setup-dev ## write the JSON Schemas from the models
	$(BIN)/python -m compliancectl.cli.schemas .

postgres-versions: setup-dev ## hold tenant isolation and the application's tables against PostgreSQL 14 and 17 too
	POSTGRES_BINARIES="$$($(BIN)/python requirements/postgres.py)" $(BIN)/python -m pytest -q -n 0 \
	  tests/postgres/isolation/test_isolation_variants.py tests/postgres/test_postgres_versions.py

pythons: setup-dev ## the same evidence gives the same bytes on other versions of Python (PYTHONS="python3.12 python3.13")
	@others=; for python in $(PYTHONS); do \
	  place=.cache/pythons/$$($$python -c 'import platform; print(platform.python_version())') && $$python -m venv $$place && \
	  $$place/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/runtime.lock && \
	  $$place/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . && \
	  others="$$others:$(CURDIR)/$$place/bin/python" || exit 1; done; \
	COMPLIANCECTL_OTHER_PYTHONS="$$others" $(BIN)/python -m pytest -q -n 0 tests/replay/test_determinism.py

lock: setup-dev ## pin every dependency with its hashes
	$(BIN)/python requirements/lock.py

samples: setup-dev ## one report of each kind from the company in a box, and pictures of them
	$(BIN)/python bench/samples.py

wheel: setup-dev ## build the wheel
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .

clean: ## remove what the targets made
	rm -rf $(VENV) dist build demo .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
