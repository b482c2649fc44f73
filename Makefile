# Everything starts from a checkout and a Python of 3.11 to 3.13. `make PYTHON=python3.12 test` picks
# one, for a new $(VENV): `make clean` first, or give another one, VENV=.venv-3.12.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := runs/demo

.PHONY: demo test test-real test-tensorflow benchmark-metrics readme clean

demo: $(VENV)/installed
	$(BIN)/gazejax data build synthetic_gaze --data-dir $(DEMO)/data
	$(BIN)/python train.py --config=configs/synthetic_gaze.py --workdir=$(DEMO) --config.data.data_dir=$(DEMO)/data --config.controls.permuted_users=False

test: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not real and not slow"

test-real: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m "real or slow"

# TFDS's own test case of a builder, in an environment of its own: nothing else needs TensorFlow.
test-tensorflow: .venv-tensorflow/installed
	.venv-tensorflow/bin/python -m pytest --noconftest -W ignore tests/with_tensorflow.py

# The results in the README, from the evaluations of the runs that it names.
readme: $(VENV)/installed
	$(BIN)/python docs/insert_results.py README.md \
		osie=runs/osie/evaluation.md osie_paper=runs/osie_paper/evaluation.md synthetic_gaze=runs/synthetic_gaze/evaluation.md

# Next to pysaliency, which needs an older NumPy than ours: it gets an environment of its own.
benchmark-metrics: $(VENV)/installed .venv-peers/installed
	$(BIN)/python benchmarks/metrics.py --peer .venv-peers/bin/python

clean:
	rm -rf $(VENV) .venv-peers .venv-tensorflow runs build *.egg-info

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

.venv-tensorflow/installed: pyproject.toml
	$(PYTHON) -m venv .venv-tensorflow
	.venv-tensorflow/bin/python -m pip install --quiet --disable-pip-version-check -e ".[tensorflow]"
	touch $@

.venv-peers/installed: benchmarks/requirements.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@
