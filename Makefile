# `make demo` and `make test` work on a fresh clone: they make .venv and install the tested set first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TORCH  := torch==2.13.0
.DEFAULT_GOAL := help
.PHONY: help demo install format lint types test test-all coverage bench clean test-bioio test-aicsimageio test-postgresql

help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

$(BIN)/.installed: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	@touch $@

install: $(BIN)/.installed ## Make .venv with the tested set

demo: install ## Train label-free prediction on the built-in cells (minutes)
	$(BIN)/python -m im2im task=labelfree network=fnet framework=pix2pix

format: install ## Put the code into one style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: install ## Style and common mistakes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install ## Static types
	$(BIN)/mypy

test: install ## The whole fast test suite
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-all: install ## Everything, slow tests too
	$(BIN)/python -m pytest -n 2

coverage: install ## Which lines the fast tests reach
	$(BIN)/python -m pytest -n 2 -m "not slow" --cov=im2im --cov-report=term

# The optional readers, each in an environment of its own without torch: they exclude each other, and im2im.io needs none.
READING := imageio numpy pandas pyarrow tifffile zarr hydra-core pytest
.venv-%/.installed: setup.cfg constraints.txt
	$(PYTHON) -m venv .venv-$*
	$(PYTHON) -c "import configparser as c; p = c.ConfigParser(); p.read('setup.cfg'); print(p['options.extras_require']['$*'])" \
		> .venv-$*/requirements.txt
	.venv-$*/bin/python -m pip install --quiet $(if $(filter formats,$*),-c constraints.txt) -r .venv-$*/requirements.txt $(READING)
	@touch $@

test-bioio: .venv-formats/.installed ## Readers through bioio, with CZI, LIF and ND2
	PYTHONPATH=. .venv-formats/bin/python -m pytest tests/io

test-aicsimageio: .venv-aicsimageio/.installed ## Readers through aicsimageio
	PYTHONPATH=. .venv-aicsimageio/bin/python -m pytest tests/io

test-postgresql: install ## Two searches on one PostgreSQL server; installs Debian's if there is none
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || apt-get install -y --no-install-recommends postgresql
	$(BIN)/python -m pytest -m postgresql tests/search

bench: install ## Measure against peers
	$(BIN)/python -m benchmarks

clean: ## Remove what was made, but no run
	rm -rf $(VENV) .venv-* build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
