# What there is to do here. Each environment is made when it is needed and again when setup.cfg changes.

PYTHON ?= python3
BIN := .venv/bin
CONFIG ?= config.yaml
STAMPS := .venv/.installed
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help install run test torture check format bench clean

help:
	@echo "make run      start the server with config.yaml (CONFIG=file for another)"
	@echo "make test     run all tests (ARGS='-k name' for some)"
	@echo "make torture  kill servers for ten minutes and check what was promised (ARGS='--minutes 60')"
	@echo "make check    lint, types, import contracts"
	@echo "make format   format the code"
	@echo "make bench    compare the speed with other servers"
	@echo "make clean    remove what make has made"

install: $(STAMPS)/speed-tui

run: install
	$(BIN)/python -m chatserver --config $(CONFIG)

# Compiled modules are kept, whatever the environment says: all workers and many programs load them.
test: export PYTHONDONTWRITEBYTECODE =
test: $(STAMPS)/speed-tui-test
	sh tests/system_packages.sh
	$(BIN)/python -m pytest -n 5 --dist loadfile --no-loadscope-reorder $(ARGS)

torture: $(STAMPS)/speed-tui-test
	$(BIN)/python -m tests.torture --minutes 10 $(ARGS)

check: $(STAMPS)/speed-tui-test-dev-bench .mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy chatserver tests benchmarks examples .mypy/chatserver_middlewares .mypy/chatserver_plugins
	$(BIN)/lint-imports

format: $(STAMPS)/speed-tui-test-dev-bench
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMPS)/speed-bench
	$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf .venv .npm .mypy .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info

# The folders' names differ from the packages' names; type checkers find packages by name.
.mypy:
	mkdir -p .mypy
	ln -sfn ../middlewares .mypy/chatserver_middlewares
	ln -sfn ../plugins .mypy/chatserver_plugins

$(BIN)/pip:
	$(PYTHON) -m venv .venv

# A stamp's name lists the extras, joined by dashes.
$(STAMPS)/%: setup.cfg constraints.txt | $(BIN)/pip
	$(PIP) --editable ".[$(subst -,$(comma),$*)]"
	@mkdir -p $(STAMPS) && touch $@

comma := ,
