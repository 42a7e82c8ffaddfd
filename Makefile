# Targets people use: demo, venv, test, test-zoo, bench, figures, trust. Environments are pinned by the constraints files.
PYTHON ?= python3
VENV   ?= .venv
ZOO    ?= .venv-zoo
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help demo venv test lint types unit test-zoo bench figures trust clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

demo: venv  ## the default study from nothing to its report, in about two minutes
	$(BIN)/darkprobe verify digits --out demo/
	@echo "The report is at $(CURDIR)/demo/report.html"

venv: $(VENV)/.installed  ## the environment alone

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: setup.cfg pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable .
	@touch $@

# References in tests without what they ask for and the tests do not use: torchdistill's torchvision, netcal's pyro,
# gpytorch and tensorboard.
$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --editable '.[dev]'
	$(PIP) --no-deps torchdistill netcal
	@touch $@

test: $(VENV)/.installed-dev lint types unit  ## lint, types and tests: at most ten minutes on 2 cores

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

unit: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not zoo and not gpu and not trust" \
		--doctest-modules darkprobe tests

# torch and torchvision must come from one index, hence an environment of their own (about 75 s and 5 GB).
$(ZOO)/.installed: setup.cfg constraints-zoo.txt
	$(PYTHON) -m venv $(ZOO)
	$(ZOO)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-zoo.txt --editable '.[zoo,data,onnx]' pytest
	@touch $@

test-zoo: $(ZOO)/.installed  ## models of timm, torchvision, transformers, ONNX, scikit-learn, in their own environment
	OMP_NUM_THREADS=2 $(ZOO)/bin/python -m pytest -q -m zoo tests/zoo_foreign

bench: $(VENV)/.installed-dev  ## speed and memory, as ratios measured in one run
	for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

figures: $(VENV)/.installed-dev  ## every figure of figures/, redrawn
	for script in figures/*.py; do $(BIN)/python $$script || exit 1; done

trust: $(VENV)/.installed-dev  ## the long fault and fuzz suites
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal -m trust

clean:
	rm -rf $(VENV) $(ZOO) build dist *.egg-info
