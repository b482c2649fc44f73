"""Imports point one way, and each big library is known in one place only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import ROOT

# From the ground up. A module may import from the layers before its own, and nothing else.
LAYERS = [
    ["allocator", "models.norm", "arrays", "cache", "progress", "pictures", "interruption"],
    ["processes"],
    [
        "render",
        "losses",
        "metrics",
        "verification",
        "bootstrap",
        "report",
        "splits",
        "data",
        "checkpoints",
        "pretrained",
        "models.backbone",
        "models.encoder",
        "models.saliency",
        "models.scanpath",
        "virtual",
        "plots",
    ],
    ["features"],
    ["models.taste"],
    ["sampling", "steps", "config", "controls"],
    ["protocols"],
    ["stages"],
    ["workdir"],
    ["loop", "evaluation", "api", "sweeps"],
    ["data_commands", "comparison", "enrolment", "knowledge"],
    ["cli"],
    ["interop.pysaliency"],
]
# Which modules may know which library.
KEEPERS = {
    "tensorflow_datasets": {"data"},
    "grain": {"data"},
    "orbax": {"checkpoints"},
    "ml_collections": {
        "config",
        "stages",
        "workdir",
        "loop",
        "evaluation",
        "api",
        "sweeps",
        "enrolment",
        "knowledge",
    },
    "tfds_builders": {"cli", "data_commands"},
    "matplotlib": {"plots"},
    "PIL": {"data", "api", "cli", "interop.pysaliency"},
    "absl": set(),
    "pickle": {"pretrained"},
    "tensorflow": set(),
    "torch": set(),
}
PACKAGE = ROOT / "gazejax"


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


MODULES = sorted(module_name(path) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def imports(source: str) -> set[str]:
    """Every module that a source text imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def violations(module: str, source: str) -> list[str]:
    level = next(number for number, layer in enumerate(LAYERS) if module in layer)
    allowed = {name for layer in LAYERS[:level] for name in layer}
    every = {name for layer in LAYERS for name in layer}
    found = []
    for name in imports(source):
        inside = name.removeprefix("gazejax.")
        if name.startswith("gazejax.") and inside in every - allowed:
            found.append(f"{module} imports upward: {inside}")
        is_whole_package = name in ("gazejax.load", "gazejax.Model")
        if name.startswith(".") or is_whole_package:
            found.append(f"{module} imports {name}: name the module, from gazejax")
        library = name.split(".")[0]
        if library in KEEPERS and module not in KEEPERS[library]:
            found.append(f"{module} must not know {library}")
    return found


def test_every_module_has_a_layer():
    assert sorted(name for layer in LAYERS for name in layer) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module):
    source = (PACKAGE / (module.replace(".", "/") + ".py")).read_text()
    assert violations(module, source) == []


def test_an_upward_import_is_noticed():
    assert violations("render", "from gazejax.loop import train") == ["render imports upward: loop"]
    assert violations("losses", "def f():\n    import gazejax.steps\n") == [
        "losses imports upward: steps"
    ]
    assert violations("render", "from gazejax import loop") == ["render imports upward: loop"]
    assert violations("render", "from . import loop")
    assert violations("render", "from .loop import train")
    assert violations("render", "from gazejax import Model")
    assert violations("stages", "import orbax.checkpoint") == ["stages must not know orbax"]


def test_builders_import_neither_the_package_nor_jax():
    for path in (ROOT / "tfds_builders").rglob("*.py"):
        libraries = {name.split(".")[0] for name in imports(path.read_text())}
        assert not libraries & {"gazejax", "jax", "flax", "tensorflow", "torch"}, path


def test_package_imports_no_tensorflow_or_torch_and_matplotlib_only_to_plot():
    code = (
        "import sys, gazejax, gazejax.cli\n"
        "heavy = {'tensorflow', 'torch', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
