"""Imports point one way, package by package, and each big library is known in one place only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import ROOT

# From the ground up. A package imports from packages on floors below its own, and from itself.
FLOORS = [
    {"types", "_array_checks", "runtime"},
    {"metrics", "losses", "plots", "models"},
    {"config"},
    {"data"},
    {"inputs", "interop"},
    {"inference"},
    {"workdir"},
    {"training", "evaluation", "api"},
    {"report"},
    {"experiments", "analysis", "export", "tryout"},
    {"cli"},
    {"__main__"},
]
# Which packages, or modules, may know which library.
KEEPERS = {
    "tensorflow_datasets": {"data"},
    "grain": {"inputs"},
    "orbax": {"workdir.checkpoints"},
    "ml_collections": {
        *("config", "data.loading", "data.checks", "inference", "workdir", "training"),
        *("evaluation", "api", "experiments", "analysis", "cli.train"),
    },
    "tfds_builders": {"cli", "data", "api", "tryout"},
    "starlette": {"tryout.server"},
    "uvicorn": {"tryout.serving"},
    "matplotlib": {"plots"},
    "PIL": {"data", "api", "cli", "interop", "report", "tryout"},
    "absl": {"cli.train"},
    "pickle": {"data.pretrained"},
    "tensorflow": set(),
    "torch": set(),
}
PACKAGE = ROOT / "gazejax"
MOST_LINES, MOST_FILES, MOST_CONFIGS = 400, 10, 40


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in PACKAGE.rglob("*.py")}
del MODULES["__init__"]


def floor(package: str) -> int:
    return next(number for number, packages in enumerate(FLOORS) if package in packages)


def imports(source: str) -> set[str]:
    """Every module that a source text imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return names


def violations(module: str, source: str) -> list[str]:
    package = module.split(".")[0]
    found = []
    for name in imports(source):
        library, _, inside = name.partition(".")
        if name.startswith(".") or name in ("gazejax.load", "gazejax.Model"):
            found.append(f"{module} imports {name}: name the module, from gazejax")
        elif library == "gazejax":
            other = inside.split(".")[0]
            if other != package and floor(other) >= floor(package):
                found.append(f"{module} imports upward: {inside}")
        elif library in KEEPERS and not {module, package} & KEEPERS[library]:
            found.append(f"{module} must not know {library}")
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle; empty if there is none."""
    done: set[str] = set()

    def search(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        for other in sorted(graph[module]):
            if found := search(other, [*path, module]):
                return found
        done.add(module)
        return []

    return next((found for module in sorted(graph) if (found := search(module, []))), [])


def imported_modules(module: str) -> set[str]:
    """Modules of the package that another one imports, by themselves or for a name in them."""
    names = {name.removeprefix("gazejax.") for name in imports(MODULES[module].read_text())}
    found = {name if name in MODULES else name.rpartition(".")[0] for name in names}
    return found & MODULES.keys() - {module}


def takes_config(node: ast.AST) -> bool:
    if not isinstance(node, ast.FunctionDef):
        return False
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return any(a.annotation and "ConfigDict" in ast.unparse(a.annotation) for a in arguments)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_one_way(module):
    assert violations(module, MODULES[module].read_text()) == []


def test_no_module_imports_itself_in_a_circle():
    assert circle({module: imported_modules(module) for module in MODULES}) == []


def test_files_are_short_and_packages_small():
    lines = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert {module: number for module, number in lines.items() if number > MOST_LINES} == {}
    for folder in [PACKAGE, *(path for path in PACKAGE.rglob("*") if path.is_dir())]:
        files = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= MOST_FILES, folder


def test_few_functions_take_a_config():
    takers = [
        f"{module}.{node.name}"
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if takes_config(node)
    ]
    assert len(takers) <= MOST_CONFIGS, takers
    inside = {"models", "inputs", "losses", "metrics", "plots"}
    assert [name for name in takers if name.split(".")[0] in inside] == []


def test_what_is_wrong_is_noticed():
    upward = "inputs.maps imports upward: training.loop.train"
    assert violations("inputs.maps", "from gazejax.training.loop import train") == [upward]
    assert violations("losses", "def f():\n    import gazejax.models.layers\n") == [
        "losses imports upward: models.layers"
    ]
    assert violations("inputs.maps", "from gazejax import losses") == []
    assert violations("inputs.maps", "from gazejax import interop") == [
        "inputs.maps imports upward: interop"
    ]
    assert violations("inputs.maps", "from . import sampling")
    assert violations("inputs.maps", "from gazejax import Model")
    assert violations("workdir.layout", "import orbax.checkpoint") == [
        "workdir.layout must not know orbax"
    ]
    assert violations("workdir.checkpoints", "import orbax.checkpoint") == []
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert takes_config(ast.parse("def f(*, config: ConfigDict): ...").body[0])
    assert not takes_config(ast.parse("def f(config: int): ...").body[0])


def test_builders_import_neither_the_package_nor_jax():
    for path in (ROOT / "tfds_builders").rglob("*.py"):
        libraries = {name.split(".")[0] for name in imports(path.read_text())}
        assert not libraries & {"gazejax", "jax", "flax", "tensorflow", "torch"}, path


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        # Of a trained model in use; only training needs these.
        ("gazejax", {"orbax", "grain", "scipy.optimize"}),
        # Only plots need the last one.
        ("gazejax, gazejax.cli.main", {"tensorflow", "torch", "matplotlib"}),
    ],
)
def test_what_is_heavy_is_imported_where_it_is_used(modules, heavy):
    code = (
        f"import sys, {modules}\n"
        f"heavy = {heavy!r} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
