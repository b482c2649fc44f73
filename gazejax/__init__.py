"""gazejax: user embeddings from gaze, and saliency maps for one user."""

import importlib
from types import ModuleType

from gazejax.api import Embedding, Model, load
from gazejax.runtime.files import package_version

__all__ = ["Embedding", "Model", "load"]

__version__ = package_version()

# Packages that `import gazejax` alone makes reachable; each is imported when it is first used.
_PACKAGES = ("evaluation", "experiments", "losses", "metrics", "models")


def __getattr__(name: str) -> ModuleType:
    if name in _PACKAGES:
        return importlib.import_module(f"gazejax.{name}")
    raise AttributeError(f"module 'gazejax' has no attribute {name!r}")
