"""gazejax: user embeddings from gaze, and saliency maps for one user."""

import importlib
from typing import TYPE_CHECKING, Any

from gazejax.runtime.version import package_version

if TYPE_CHECKING:
    from gazejax.api import Embedding, Model, load

__all__ = ["Embedding", "Model", "load"]

__version__ = package_version()

# What `import gazejax` alone makes reachable. Each is imported when it is first used, so that the
# command prepares its process before NumPy is loaded and pyarrow starts a thread.
_PACKAGES = ("evaluation", "experiments", "losses", "metrics", "models")


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("gazejax.api"), name)
    if name in _PACKAGES:
        return importlib.import_module(f"gazejax.{name}")
    raise AttributeError(f"module 'gazejax' has no attribute {name!r}")
