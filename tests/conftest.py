"""Four virtual devices, shapes checked at run time, and one tiny training that tests share."""

import os

# Before JAX starts: tests compare results on 1, 2 and 4 devices.
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"

import tempfile
from pathlib import Path

import jax
from jaxtyping import install_import_hook

PACKAGE = Path(__file__).parent.parent / "gazejax"
# Shapes are checked in all modules but `api`, which has its own checks and its own messages.
CHECKED = [
    f"gazejax.{path.stem}" for path in PACKAGE.iterdir() if path.stem not in ("api", "__init__")
]
install_import_hook(CHECKED, "beartype.beartype").__enter__()

import pytest

from gazejax.data.loading import load_dataset
from gazejax.runtime import allocator
from tests.tiny import tiny_config, tiny_scanpath_config, train_and_evaluate
from tfds_builders.common.build import build

allocator.keep_freed_memory()  # As train.py does.
_cached = tempfile.TemporaryDirectory(prefix="gazejax_cache_")
os.environ["XDG_CACHE_HOME"] = _cached.name  # Where pretrained weights are kept: not the user's.
# Many tests train the same tiny networks, each in a loop of its own: they share what XLA compiles.
_compiled = tempfile.TemporaryDirectory(prefix="gazejax_compiled_")
jax.config.update("jax_compilation_cache_dir", _compiled.name)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.fixture(scope="module", autouse=True)
def forget_what_is_compiled():
    """Each compiled function maps memory, and the system allows a process 65,530 such maps."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    build("synthetic_gaze/tiny", None, folder)
    return folder


@pytest.fixture(scope="session")
def tiny_dataset(data_dir):
    return load_dataset(tiny_config(data_dir))


@pytest.fixture(scope="session")
def tiny_run(data_dir, tmp_path_factory) -> Path:
    """Workdir of a finished tiny training."""
    workdir = tmp_path_factory.mktemp("runs") / "tiny"
    train_and_evaluate(tiny_config(data_dir), workdir)
    return workdir


@pytest.fixture(scope="session")
def tiny_scanpath_run(data_dir, tmp_path_factory) -> Path:
    """The same of the encoder of scanpaths, and taste."""
    workdir = tmp_path_factory.mktemp("runs") / "tiny_scanpath"
    train_and_evaluate(tiny_scanpath_config(data_dir), workdir)
    return workdir
