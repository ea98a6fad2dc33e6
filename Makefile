# Everything runs from the virtual environment .venv, which each target makes for itself.

PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/.venv/bin:$(PATH)
INSTALL := .venv/bin/python -m pip install --quiet --disable-pip-version-check
SOURCES := pyproject.toml setup.py $(wildcard ext/*.pyx ext/*.pxi)

LOCK := $(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --python-version 3.11 --quiet --custom-compile-command 'make lock'

.PHONY: help lock vulnerabilities run check test test-debug golden nightly fuzz simulate torture mutants lint bench bench-full load load-ui audit clean

help: ## list what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/.run ## start PostgreSQL and the engine with the demo network
	@exec $(BIN)/python -m engine serve --demo

check: lint ## lint, and the tests that need no server: less than a minute
	@exec $(BIN)/python -m pytest -q -n auto --dist loadfile tests/ledger tests/programme

test: .venv/.dev ## the whole test suite, on a real PostgreSQL; ARGS=… chooses tests
	@exec $(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

test-debug: .venv/.dev ## the tests of the ledger on a core that checks itself after each verb
	@rm -rf build/debug && mkdir -p build/debug
	@cp -R pyproject.toml setup.py README.md LICENSE engine ext tests tools bench build/debug
	@find build/debug -name '*.so' -delete -o -name '*.c' -path '*/ext/*' -delete
	@cd build/debug && ENGINE_DEBUG=1 ../../$(BIN)/python setup.py -q build_ext --inplace
	@cd build/debug && exec ../../$(BIN)/python -m pytest -q -n auto --dist loadfile tests/ledger

golden: .venv/.dev ## write the published texts in tests/golden/ anew, for a diff to be read
	@GOLDEN=write exec $(BIN)/python -m pytest -q tests/test_golden.py

nightly: .venv/.dev ## random histories of all verbs, at least 200 000 steps, beside other work
	@HYPOTHESIS_PROFILE=nightly exec nice -n 10 $(BIN)/python -m pytest tests/ledger/test_histories.py

fuzz: .venv/.fuzz ## any bytes into what decodes requests, guided by atheris, for a minute
	@exec $(BIN)/python -m tests.fuzzing -max_total_time=60

simulate: .venv/.dev ## the lanes on a simulated database, one seed after the other; ARGS=… goes on
	@exec $(BIN)/python -m tests.simulation $(or $(ARGS),--seeds 10000)

torture: .venv/.bench ## the tests of faults at their full length, with a report and a picture
	@exec $(BIN)/python -m tests.torture

mutants: .venv/.dev ## seed one bug after the other, and see whether the suite notices
	@exec $(BIN)/python -m tests.mutants

lint: .venv/.dev ## style and types, as the house rules have them
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/cython-lint ext
	$(BIN)/python -m tools.generate
	$(BIN)/codespell

.PHONY: codes docs
codes: .venv/.dev ## write what the compiled core includes of the codes and of the row's layout
	@exec $(BIN)/python -m tools.generate --write

docs: .venv/.dev ## write the pages of docs/reference from the code
	@exec $(BIN)/python docs/reference/generate.py

bench: .venv/.bench ## the benchmarks in short rounds, about a quarter of an hour; figures go to bench/REPORT.md
	$(BIN)/python -m bench.micro
	$(BIN)/python -m bench.side_by_side --seconds 2
	$(BIN)/python -m bench.open_loop --rounds 2 --seconds 1.5
	$(BIN)/python -m bench.profile
	$(BIN)/python -m bench.workers --seconds 2
	$(BIN)/python -m bench.bulk --seconds 2
	$(BIN)/python -m bench.decide
	$(BIN)/python -m bench.memory
	$(BIN)/python -m bench.growth --quick

bench-full: .venv/.bench ## the same in long ones, with 1 to 512 connections, 10 million rows and the audit
	$(BIN)/python -m bench.micro
	$(BIN)/python -m bench.side_by_side --connections 64 1 4 16 256 512
	$(BIN)/python -m bench.open_loop --seconds 5
	$(BIN)/python -m bench.profile
	$(BIN)/python -m bench.workers
	$(BIN)/python -m bench.bulk
	$(BIN)/python -m bench.audit
	$(BIN)/python -m bench.settlement
	$(BIN)/python -m bench.decide
	$(BIN)/python -m bench.memory
	$(BIN)/python -m bench.growth --full

load: .venv/.bench ## Locust without a window, then the audit of the books
	$(BIN)/python -m load.run

load-ui: .venv/.bench ## Locust's page on http://127.0.0.1:8089
	$(BIN)/python -m load.run --ui

audit: .venv/.run ## recompute the books from the journal
	@exec $(BIN)/python -m engine audit

lock: .venv/.dev ## pin every dependency, and theirs, by version and hash
	@$(INSTALL) uv
	@$(LOCK) --extra build -o requirements/run.lock
	@$(LOCK) --extra build --extra test --extra lint -o requirements/test.lock
	@$(LOCK) --extra build --extra test --extra lint --extra bench -o requirements/bench.lock
	@$(LOCK) --extra build --extra test --extra lint --extra fuzz -o requirements/fuzz.lock

vulnerabilities: .venv/.dev ## ask pip-audit for what is known of the pinned versions
	@$(INSTALL) pip-audit
	@$(BIN)/pip-audit --require-hashes -r requirements/run.lock

clean: ## remove what was built, but no data
	rm -rf .venv build *.egg-info ext/*.c engine/ledger/*.so engine/http/*.so

.venv/.run: $(SOURCES) requirements/run.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(INSTALL) --require-hashes -r requirements/run.lock
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.run requirements/test.lock
	@$(INSTALL) --require-hashes -r requirements/test.lock
	@touch $@

.venv/.fuzz: .venv/.dev requirements/fuzz.lock
	@$(INSTALL) --require-hashes -r requirements/fuzz.lock
	@touch $@

.venv/.bench: .venv/.dev requirements/bench.lock
	@$(INSTALL) --require-hashes -r requirements/bench.lock
	@touch $@
