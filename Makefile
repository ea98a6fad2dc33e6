# Everything runs from the virtual environment .venv, which each target makes for itself.

PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/.venv/bin:$(PATH)
SOURCES := pyproject.toml setup.py $(wildcard ext/*.pyx ext/*.pxi)

.PHONY: run test torture mutants lint bench load load-ui audit clean

run: .venv/.run ## start PostgreSQL and the engine with the demo network
	@exec $(BIN)/python -m engine serve --demo

test: .venv/.dev ## the whole test suite, on a real PostgreSQL
	@exec $(BIN)/python -m pytest

torture: .venv/.bench ## the tests of faults at their full length, with a report and a picture
	@exec $(BIN)/python -m tests.torture

mutants: .venv/.dev ## seed one bug after the other, and see whether the suite notices
	@exec $(BIN)/python -m tests.mutants

lint: .venv/.dev ## style and types, as the house rules have them
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/cython-lint ext

bench: .venv/.bench ## micro-benchmarks, then this engine beside a bare handler and a textbook service
	$(BIN)/python -m pytest bench -o python_files='bench_*.py' -o python_functions='bench_*' --benchmark-json=bench/results/micro.json
	$(BIN)/python -m bench.side_by_side

load: .venv/.bench ## Locust without a window, then the audit of the books
	$(BIN)/python -m load.run

load-ui: .venv/.bench ## Locust's page on http://127.0.0.1:8089
	$(BIN)/python -m load.run --ui

audit: .venv/.run ## recompute the books from the journal
	@exec $(BIN)/python -m engine audit

clean: ## remove what was built, but no data
	rm -rf .venv build *.egg-info ext/*.c engine/ledger/*.so engine/api/*.so

.venv/.run: $(SOURCES)
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.dev: $(SOURCES)
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,lint]'
	@touch .venv/.run $@

.venv/.bench: $(SOURCES)
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,lint,bench]'
	@touch .venv/.run .venv/.dev $@
