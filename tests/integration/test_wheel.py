"""The installed wheel trains without the checkout."""

import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv

import pytest

from tests.compiling import CACHE, FOUR_DEVICES, QUICKLY
from tests.tiny import ROOT, differing, read_config, tiny_config

pytestmark = pytest.mark.slow


def run(*arguments, cwd, **environment):
    """A program that sees nothing of the checkout, nor of the variables of these tests."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(cwd)} | environment
    return subprocess.run(
        [str(argument) for argument in arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The programs of an environment with the wheel, and an empty folder to work in.

    The dependencies are those of this environment: a .pth file names their folder, and no .pth file
    in that folder is read, so that an editable install there has no effect.
    """
    folder = tmp_path_factory.mktemp("wheel")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    backend, source = folder / "backend", folder / "source"
    required = project["build-system"]["requires"]
    # With the variables of this process: they may name a package index.
    found = subprocess.run(
        [*pip, "install", "--quiet", "--target", backend, *required], capture_output=True, text=True
    )
    if found.returncode:
        pytest.skip(f"no package index can be reached for {required}: {found.stderr.strip()}")
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("gazejax", "configs", "tfds_builders"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", folder]
    built = run(*pip, "wheel", *options, source, cwd=folder, PYTHONPATH=str(backend))
    assert built.returncode == 0, built.stderr
    [wheel] = folder.glob("*.whl")
    assert wheel.name.startswith(f"gazejax-{project['project']['version']}-")
    venv.create(folder / "env", symlinks=True)
    programs = folder / "env" / "bin"
    paths = {"base": str(folder / "env"), "platbase": str(folder / "env")}
    packages = sysconfig.get_path("purelib", "venv", vars=paths)
    with open(f"{packages}/dependencies.pth", "w") as file:
        file.write(sysconfig.get_path("purelib") + "\n")
    here = folder / "here"
    here.mkdir()
    options = ["--python", programs / "python", "install", "--no-deps", "--no-index"]
    done = run(*pip, *options, "--ignore-installed", wheel, cwd=here)
    assert done.returncode == 0, done.stderr
    return programs, here


def test_nothing_of_the_checkout_is_needed(installed):
    programs, here = installed
    code = (
        "import importlib.util, gazejax, gazejax.configs.osie, tfds_builders as builders\n"
        "print(gazejax.__file__, gazejax.configs.osie.__file__, builders.__path__[0], sep='\\n')\n"
        "print(importlib.util.find_spec('configs'))"
    )
    done = run(programs / "python", "-c", code, cwd=here)
    *files, top_level = done.stdout.splitlines()
    assert len(files) == 3, done.stderr
    assert all(file.startswith(str(programs.parent)) for file in files)
    assert top_level == "None"
    version = run(programs / "gazejax", "--version", cwd=here).stdout
    assert version == run(programs / "python", "-m", "gazejax", "--version", cwd=here).stdout
    printed = run(programs / "gazejax", "sweep", "encoders", "--workdir=x", "--dry-run", cwd=here)
    assert "-m gazejax train --config=osie:" in printed.stdout


def test_an_installed_copy_builds_data_trains_and_evaluates(installed):
    programs, here = installed
    gazejax = programs / "gazejax"
    built = run(gazejax, "data", "build", "synthetic_gaze/tiny", "--data-dir", "data", cwd=here)
    assert built.returncode == 0, built.stderr
    tiny = differing(read_config("synthetic_gaze").to_dict(), tiny_config(here / "data").to_dict())
    values = [f"--config.{key}={value}" for key, value in (tiny | {"stage": "encoder"}).items()]
    options = ["--config", "synthetic_gaze", "--workdir", "run", *values]
    # Alone in how it compiles as the tests do, which have compiled the same already.
    compiling = CACHE | {"XLA_FLAGS": f"{FOUR_DEVICES} {QUICKLY}"}
    trained = run(gazejax, "train", *options, cwd=here, **compiling)
    assert trained.returncode == 0, trained.stderr
    assert "ROC-AUC, n = " in trained.stdout
    assert (here / "run" / "report.html").is_file()
    assert (here / "run" / "evaluation.json").is_file()
