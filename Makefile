# Two commands do all the set-up: `make demo` and `make test`. Nothing is installed outside .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo demo-escalation test test-fast lint clean help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

$(VENV)/installed: pyproject.toml constraints.txt examples/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	$(BIN)/pip install --quiet --no-deps --requirement examples/requirements.txt
	touch $@

demo: $(VENV)/installed  ## a real run in minutes: LoRA passes its gate on TREC questions
	$(BIN)/python examples/trec6/prepare.py
	$(BIN)/lorafirst run examples/trec6/lorafirst.yaml

demo-escalation: $(VENV)/installed  ## LoRA falls short, and full fine-tuning is allowed once and is good enough
	$(BIN)/python examples/syllables/prepare.py
	$(BIN)/lorafirst run examples/syllables/lorafirst.yaml

test: $(VENV)/installed  ## all tests, both examples included, in two processes
	$(BIN)/pytest -n 2

test-fast: $(VENV)/installed  ## what takes less than five seconds each
	$(BIN)/pytest -n 2 -m "not slow"

lint: $(VENV)/installed  ## style, types and layout
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:  ## remove the environment; runs stay
	rm -rf $(VENV)
