# Targets people use: demo, test, test-zoo, bench, figures, studies, trust, docs, dist. Environments are pinned by the constraints files.
PYTHON ?= python3
VENV   ?= .venv
ZOO    ?= .venv-zoo
OLDEST ?= .venv-oldest
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help demo venv venv-locked lock test lint types unit test-zoo test-oldest bench figures studies trust docs dist clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

demo: venv  ## the default study from nothing to its report, in a few minutes
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
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not zoo and not gpu and not trust" --durations=20 \
		--doctest-modules darkprobe tests

# torch and torchvision must come from one index, hence an environment of their own (about 75 s and 5 GB).
$(ZOO)/.installed: setup.cfg constraints-zoo.txt
	$(PYTHON) -m venv $(ZOO)
	$(ZOO)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-zoo.txt --editable '.[zoo,data,onnx]' \
		pytest hypothesis
	@touch $@

test-zoo: $(ZOO)/.installed  ## models of timm, torchvision, transformers, ONNX, scikit-learn, in their own environment
	OMP_NUM_THREADS=2 $(ZOO)/bin/python -m pytest -q -m zoo tests/zoo_foreign

# The oldest versions that setup.cfg allows. Torch of that age comes with CUDA: some 6 GB.
$(OLDEST)/.installed: setup.cfg constraints-oldest.txt
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-oldest.txt --editable . \
		pytest pytest-xdist hypothesis mpmath pyarrow pillow safetensors
	@touch $@

test-oldest: $(OLDEST)/.installed  ## the tests of the core with the oldest versions that setup.cfg allows
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest -q -n 2 --dist worksteal -m "not zoo and not gpu and not trust and not browser" \
		tests/metrics tests/targets tests/store tests/data tests/distill tests/study tests/zoo tests/test_extract.py tests/test_measure.py

bench: $(VENV)/.installed-dev  ## speed and memory, as ratios measured in one run
	for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

# Scripts named *_studies.py train; all others draw from committed tables, and train only when told to.
figures: $(VENV)/.installed-dev  ## every figure of figures/, redrawn from committed results in seconds; trains nothing
	for script in $(filter-out figures/_% %_studies.py,$(wildcard figures/*.py)); do $(BIN)/python $$script || exit 1; done

studies: $(VENV)/.installed-dev  ## the results that the figures rest on, trained anew but for the hours of images (figures/image_studies.py): some forty minutes on 2 cores
	for script in $(filter-out %/image_studies.py,$(wildcard figures/*_studies.py)); do $(BIN)/python $$script || exit 1; done
	$(BIN)/python figures/capacity_digits.py --train

trust: $(VENV)/.installed-dev  ## the long fault and fuzz suites, and a table of what came of them: at most thirty minutes
	DARKPROBE_EXPLORE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal tests/trust tests/test_extract.py tests/study/test_dask.py \
		tests/study/test_dask_trust.py tests/study/test_engine.py tests/distill/test_training_resume.py

# The names of extras are pinned in constraints.txt like all others; this one is for readers of the documentation alone.
docs: $(VENV)/.installed-dev  ## the documentation as a site, in site/; a name that leads nowhere is an error
	$(PIP) --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir site

dist: $(VENV)/.installed-dev  ## wheel and sdist, checked, and the wheel tried in an environment of its own
	$(PIP) build twine
	rm -rf dist build/wheel-venv
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*
	$(PYTHON) -m venv build/wheel-venv
	build/wheel-venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt dist/*.whl
	cd build && wheel-venv/bin/darkprobe verify digits --smoke --out wheel-demo && rm -rf wheel-demo

# constraints.txt says which versions; requirements.lock the same with the hashes of their files, for those who want to know
# that nothing was exchanged on the way. Of torch it knows the wheel without CUDA alone, for Linux on x86-64 and Python 3.11.
CPU_TORCH_SHA256 := 6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b
lock: $(VENV)/.installed-dev  ## requirements.lock anew from constraints.txt
	$(PIP) uv
	grep -v '^torch==' constraints.txt \
		| $(BIN)/uv pip compile --quiet --no-header --no-annotate --generate-hashes --no-deps - -o requirements.lock
	grep '^torch==' constraints.txt | sed 's/$$/ --hash=sha256:$(CPU_TORCH_SHA256)/' >> requirements.lock

venv-locked: requirements.lock  ## the environment of the tests from files whose hashes are known
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .

clean:
	rm -rf $(VENV) $(ZOO) $(OLDEST) build dist site *.egg-info
