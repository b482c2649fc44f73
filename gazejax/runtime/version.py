"""The version of this package. Without NumPy: `import gazejax` alone does not load it."""

import importlib.metadata


def package_version() -> str:
    """Version of the installed package; `0+unknown` in a checkout that is not installed."""
    try:
        return importlib.metadata.version("gazejax")
    except importlib.metadata.PackageNotFoundError:
        return "0+unknown"
