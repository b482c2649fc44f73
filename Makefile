# Everything starts from a checkout and a Python of 3.11 to 3.13. `make PYTHON=python3.12 test` picks
# one, for a new $(VENV): `make clean` first, or give another one, VENV=.venv-3.12.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := runs/demo
# What a module's tests share is made once, so a module stays in one process. The order is that of
# tests/conftest.py.
BY_MODULE := --dist loadfile --no-loadscope-reorder
# Byte code is written by the first process that needs it, also where the environment says not to:
# of what is installed, half is never imported, and the tests are many processes.
unexport PYTHONDONTWRITEBYTECODE
# As in the command: threads of NumPy's matrix products wait for each other at full load.
tests test-real: export OPENBLAS_NUM_THREADS = 1

.PHONY: demo test types tests test-real test-tensorflow models bench bench-check bench-runs results docs clean

demo: $(VENV)/installed
	$(BIN)/gazejax data build synthetic_gaze --data-dir $(DEMO)/data
	$(BIN)/gazejax train --config=synthetic_gaze:demo --workdir=$(DEMO) --config.data.data_dir=$(DEMO)/data

test: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(MAKE) --no-print-directory -j 3 docs types tests

types: $(VENV)/installed-dev
	$(BIN)/mypy

tests: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n 2 $(BY_MODULE) -m "not real and not slow"

# Three processes on two cores: many of these tests wait for programs that they start.
test-real: $(VENV)/installed-dev
	GAZEJAX_TESTS_CHECK_SHAPES=no $(BIN)/python -m pytest -n 3 $(BY_MODULE) -m "real or slow"

# TFDS's own test case of a builder, in an environment of its own: nothing else needs TensorFlow.
test-tensorflow: .venv-tensorflow/installed
	.venv-tensorflow/bin/python -m pytest --noconftest -W ignore tests/with_tensorflow.py

# The shipped models, trained anew, and their cards: make models RAW=DIR, the folder of OSIE's
# release. About an hour and a half on two cores, and 11 GB of memory. The rows of other data sets in the card: gazejax evaluate
# --dataset, before the export.
MODELS := runs/models
models: $(VENV)/installed
	$(BIN)/gazejax data build osie/gaze --raw $(RAW) --data-dir $(MODELS)/data
	$(BIN)/gazejax data build osie/mouse_amt --raw $(RAW) --data-dir $(MODELS)/data
	$(BIN)/gazejax train --config osie:shipped --workdir $(MODELS)/osie --config.data.data_dir=$(MODELS)/data
	$(BIN)/gazejax train --config osie_mouse:shipped --workdir $(MODELS)/osie_mouse --config.data.data_dir=$(MODELS)/data
	$(BIN)/gazejax export $(MODELS)/osie/fold_1 --name osie --about gazejax/shipped/osie.md --out gazejax/shipped/osie
	$(BIN)/gazejax export $(MODELS)/osie_mouse --name osie_mouse --about gazejax/shipped/osie_mouse.md --out gazejax/shipped/osie_mouse

# The tables in docs/results and in the README, from the evaluations of the runs that are named here.
results: $(VENV)/installed
	$(BIN)/python docs/insert_results.py docs/results/osie.md osie=runs/osie/evaluation.md
	$(BIN)/python docs/insert_results.py docs/results/osie-published.md osie_published=runs/osie_published/evaluation.md
	$(BIN)/python docs/insert_results.py docs/results/paper-config.md osie_paper=runs/osie_paper/evaluation.md
	$(BIN)/python docs/insert_results.py docs/results/synthetic.md synthetic_gaze=runs/synthetic_gaze/evaluation.md
	$(BIN)/python docs/insert_results.py README.md \
		osie=runs/osie/evaluation.json,runs/ps/evaluation.json,runs/ps_overlap/evaluation.json

# The documentation site, in docs/_build; warnings are errors.
docs: $(VENV)/installed-dev
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build

# The CPU table of docs/results/performance.md, next to PyTorch, scipy and pysaliency, in turns; at
# most 15 minutes. What is compared with gets an environment of its own; pysaliency needs an older
# NumPy.
bench: $(VENV)/installed-dev .venv-peers/installed
	$(BIN)/python benchmarks/networks.py --peer .venv-peers/bin/python --rounds 5
	$(BIN)/python benchmarks/networks.py --peer .venv-peers/bin/python --rounds 5 --cores 1 \
		--out benchmarks/results/networks_one_core.json --cases "stage 1, training" "stage 1, inference" \
		"stage 2, training, one user per image" "stage 2, training, 8 users per image" \
		"stage 2, inference, 8 users per image" \
		"stage 2, inference, 20 users on one image" "stage 2, inference, 100 users on one image"
	$(BIN)/python benchmarks/embeddings.py --peer .venv-peers/bin/python
	$(BIN)/python benchmarks/rendering.py
	taskset -c 0 $(BIN)/python benchmarks/predict_many.py
	$(BIN)/python benchmarks/metrics.py --peer .venv-peers/bin/python
	$(BIN)/python benchmarks/host.py
	$(BIN)/python benchmarks/curves.py --curves users images
	$(BIN)/python benchmarks/table.py docs/results/performance.md

# Five ratios next to those in benchmarks/expected_ratios.json; fails where one got worse.
CHECKED := benchmarks/results/check
bench-check: $(VENV)/installed-dev .venv-peers/installed
	$(BIN)/python benchmarks/networks.py --peer .venv-peers/bin/python --cores 1 \
		--out $(CHECKED)/networks_one_core.json --cases "stage 1, training" "stage 2, training, 8 users per image"
	taskset -c 0 $(BIN)/python benchmarks/predict_many.py --out $(CHECKED)/predict_many.json
	$(BIN)/python benchmarks/rendering.py --map-sizes 96x128 --out $(CHECKED)/rendering.json
	$(BIN)/python benchmarks/metrics.py --peer .venv-peers/bin/python --metrics nss \
		--out $(CHECKED)/metrics.json
	$(BIN)/python benchmarks/table.py --check --results $(CHECKED)

# Whole runs in turns with those of an earlier commit, about half an hour: make bench-runs RAW=DIR,
# the folder of OSIE's release.
BEFORE := runs/b84f2d1
bench-runs: $(VENV)/installed-dev
	test -d $(BEFORE) || git worktree add $(BEFORE) b84f2d1
	$(BIN)/python benchmarks/runs.py --before $(BEFORE) --raw $(RAW)

clean:
	rm -rf $(VENV) .venv-peers .venv-tensorflow runs build docs/_build *.egg-info

INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) .
	touch $@

# All that the checks need at once: each installation by itself looks for every package again.
$(VENV)/installed-dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) ".[dev,docs]"
	touch $(VENV)/installed $@

.venv-tensorflow/installed: pyproject.toml
	$(PYTHON) -m venv .venv-tensorflow
	.venv-tensorflow/bin/python -m pip install --quiet --disable-pip-version-check -e ".[tensorflow]"
	touch $@

.venv-peers/installed: benchmarks/requirements.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@
