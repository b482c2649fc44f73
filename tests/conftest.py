"""Four virtual devices, shapes checked at run time, and one tiny training that tests share."""

import fcntl
import gc
import os
import shutil
import tempfile
from pathlib import Path

from tests import compiling

# Before JAX starts: tests compare results on 1, 2 and 4 devices.
os.environ["XLA_FLAGS"] = f"{compiling.FOUR_DEVICES} {compiling.QUICKLY}"
os.environ.update(compiling.CACHE)

from gazejax.runtime.allocator import keep_freed_memory

keep_freed_memory()  # As the command does, before other packages start threads.

import jax
from jaxtyping import install_import_hook

PACKAGE = Path(__file__).parent.parent / "gazejax"
# Shapes are checked in all modules but `api`, which has its own checks and its own messages. The
# checks take a tenth of the time, so that long tests leave them to others of the same functions.
CHECKED = [
    f"gazejax.{path.stem}" for path in PACKAGE.iterdir() if path.stem not in ("api", "__init__")
]
if os.environ.get("GAZEJAX_TESTS_CHECK_SHAPES") != "no":
    install_import_hook(CHECKED, "beartype.beartype").__enter__()

import pytest

from gazejax.data.loading import load_dataset
from gazejax.evaluation import run as evaluation_run
from gazejax.training.run import train_folds
from tests.tiny import ROOT, tiny_config, tiny_scanpath_config, train_and_evaluate
from tfds_builders.common.build import build

if "PYTEST_XDIST_WORKER" not in os.environ:
    # Where pretrained weights and features are kept: not the user's, and one for all workers.
    _cached = tempfile.TemporaryDirectory(prefix="gazejax_cache_")
    os.environ["XDG_CACHE_HOME"] = _cached.name
compiling.write_entries_whole()
gc.set_threshold(50_000)  # As the programs do.


# The modules that take longest, which begin first: at the end, both processes have work.
LONGEST = (
    "integration/test_demo.py",
    "runtime/test_distributed.py",
    "integration/test_train.py",
    "integration/test_benchmarks.py",
    "training/test_step.py",
    "cli/test_main.py",
    "inputs/test_streaming.py",
    "integration/test_real.py",
    "../tfds_builders/osie/osie_dataset_builder_test.py",
    "integration/test_several_datasets.py",
    "experiments/test_comparison.py",
    "config/test_schema.py",
    "api/test_model.py",
    "training/test_loop.py",
    "runtime/test_preemption.py",
    "integration/test_wheel.py",
    "../tfds_builders/gaze_table/gaze_table_dataset_builder_test.py",
    "../tfds_builders/personalized_saliency/personalized_saliency_dataset_builder_test.py",
    "evaluation/test_evaluate.py",
    "inputs/test_stage_arrays.py",
    "metrics/test_any_type.py",
    "metrics/test_saliency.py",
)


def pytest_collection_modifyitems(items):
    tests = ROOT / "tests"
    place = {(tests / name).resolve(): number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


def pytest_configure(config):
    if not hasattr(config, "workerinput"):  # Before any worker starts.
        compiling.forget_if_large()


@pytest.fixture(scope="module", autouse=True)
def forget_what_is_compiled():
    """Each compiled function maps memory, and the system allows a process 65,530 such maps."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory, request):
    """Gives a folder that the first process to ask for it makes, and the others read."""
    root = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        root = root.parent

    def folder_of(name, make) -> Path:
        folder = root / "shared" / name
        folder.parent.mkdir(exist_ok=True)
        with folder.with_suffix(".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not folder.exists():
                unfinished = folder.with_suffix(".unfinished")
                make(unfinished)
                unfinished.rename(folder)
        return folder

    return folder_of


@pytest.fixture(scope="session")
def data_dir(made_once) -> Path:
    return made_once("data", lambda folder: build("synthetic_gaze/tiny", None, folder))


@pytest.fixture(scope="session")
def tiny_dataset(data_dir):
    return load_dataset(tiny_config(data_dir))


@pytest.fixture(scope="session")
def tiny_run(data_dir, made_once, tmp_path_factory) -> Path:
    """Workdir of a finished tiny training: each process has a copy, for tests write into it."""
    made = made_once("tiny", lambda folder: train_and_evaluate(tiny_config(data_dir), folder))
    return shutil.copytree(made, tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture
def without_plots(tiny_run, monkeypatch):
    """Evaluations draw nothing, which takes half of their time; those of `tiny_run` are drawn."""
    monkeypatch.setattr(evaluation_run, "plot_evaluation", lambda *_: None)


@pytest.fixture(scope="session")
def tiny_scanpath_run(data_dir, made_once, tmp_path_factory) -> Path:
    """What `load` needs, of the encoder of scanpaths with preference vectors: not evaluated."""

    def make(folder):
        config = tiny_scanpath_config(data_dir)
        for config.stage in ("encoder", "saliency"):
            train_folds(config, folder)

    made = made_once("tiny_scanpath", make)
    return shutil.copytree(made, tmp_path_factory.mktemp("runs") / "tiny_scanpath")
