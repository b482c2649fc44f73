"""Finds config files and sweep files by path or by name, and reads them."""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

from ml_collections import ConfigDict

CONFIGS = "gazejax.configs"

# Files beside the configs that are no configs of their own.
_PARTS = ("base", "ablations")


def find_file(text: str, folder: str = "") -> Path:
    """Finds a Python file that is given by its path or by its name.

    Args:
        text: a path that ends with `.py`, or the name of a file in `gazejax.configs`.
        folder: a folder of `gazejax.configs` in which the names are, such as `sweeps`.

    Returns:
        The path of the file.

    Raises:
        FileNotFoundError: if there is no such file; the message lists the known names.
    """
    kind = folder.removesuffix("s") or "config"
    if text.endswith(".py"):
        if not Path(text).is_file():
            raise FileNotFoundError(f"{kind} file {text} does not exist")
        return Path(text)
    places = [Path(place, folder) for place in importlib.import_module(CONFIGS).__path__]
    known = {
        path.stem: path
        for place in places
        for path in sorted(place.glob("*.py"))
        if not path.stem.startswith("_") and path.stem not in _PARTS
    }
    if text not in known:
        raise FileNotFoundError(
            f"{kind} {text!r} is unknown; allowed: a path that ends with .py, or one of "
            f"{', '.join(known)}"
        )
    return known[text]


def base_config() -> ConfigDict:
    """The values that a config file starts from."""
    found: ConfigDict = importlib.import_module(f"{CONFIGS}.base").get_config()
    return found


def read_config(text: str) -> ConfigDict:
    """Reads a config.

    Args:
        text: a config file or the name of one, and after a colon the names of ablations:
            `configs/osie.py`, `osie`, `osie:memory_off+short`.

    Returns:
        The config; `validate` has not checked it yet.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is no config file, or an ablation is unknown.
    """
    name, *ablations = text.split(":", 1)
    path = find_file(name)
    module = execute(path)
    if not callable(getattr(module, "get_config", None)):
        raise ValueError(f"config file {path} has no function get_config")
    return module.get_config(*ablations)


def execute(path: Path) -> ModuleType:
    """Executes a Python file.

    Returns:
        The module with what the file defines.

    Raises:
        ValueError: if the file is not Python, or imports what does not exist.
    """
    spec = importlib.util.spec_from_file_location(f"file_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (ImportError, SyntaxError) as error:
        raise ValueError(f"{path}: {error}") from error
    return module
