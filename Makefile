# Two commands do everything: `make run` and `make test`. Each sets up .venv by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: run test test-gpu lint screenshots clean

run: $(STAMP)
	$(BIN)/python app.py

# Several processes with one thread each; the tests of a file stay together for its fixtures.
test: $(STAMP)
	QT_QPA_PLATFORM=offscreen OMP_NUM_THREADS=1 $(BIN)/python -m pytest \
		--numprocesses=logical --maxprocesses=8 --dist=loadfile

# Only what needs no Qt, with the packages that are already there (a GPU machine without a screen).
test-gpu:
	$(PYTHON) -m pytest -m "not gui" -p no:pytest-qt --ignore=tests/ui

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

screenshots: $(STAMP)
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m latentlab.ui.screenshots docs/screenshots

# torch goes in first: on Linux a CPU build that is at hand is taken before the large CUDA one.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'LatentLab needs Python 3.11 or newer: run make PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[video,manifold,metrics,dev]"
	$(BIN)/python -c "import pathlib; pathlib.Path('$(STAMP)').touch()"

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
