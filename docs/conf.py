"""The documentation site: `make docs`. Sources are Markdown, the reference is made from code."""

import re
import sys
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))
sys.path.insert(0, str(DOCS.parent))

import generate
import numpy.typing as npt
from flax import nnx
from sphinx.util import inspect
from sphinx.util.typing import stringify_annotation

generate.write_pages(DOCS)

project = "gazejax"
author = copyright = "The gazejax developers"
version = release = metadata.version("gazejax")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3
smartquotes_action = "D"  # Dashes, no quotes: they may be code.
default_role = "code"  # Docstrings have Markdown's single backticks.
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_attr_annotations = False  # The signature of a NamedTuple has them.
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_mock_imports = ["pysaliency"]  # An extra of its own, with an older NumPy.
python_maximum_signature_line_length = 80
html_theme = "furo"
html_title = f"gazejax {version}"
html_show_sphinx = False


def _link_to_pages(app: Any, docname: str, source: list[str]) -> None:
    """Leads links to files outside of `docs/` to the pages that were made of them."""
    folder = PurePosixPath("docs", docname).parent
    source[0] = generate.with_links_to_pages(source[0], folder)


def _process_signature(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str, returned: str
) -> tuple[str, str]:
    """Shows the arguments of networks, and calls arrays what the code calls them."""
    if what == "class" and issubclass(obj, nnx.Module):
        arguments = inspect.signature(obj.__init__, bound_method=True)
        signature = inspect.stringify_signature(
            arguments, show_return_annotation=False, unqualified_typehints=True
        )
    return _shortened(signature), _shortened(returned)


def _shortened(signature: str | None) -> str | None:
    if signature is None:
        return None
    for mode in ("smart", "fully-qualified-except-typing"):
        written = stringify_annotation(npt.ArrayLike, mode)
        signature = signature.replace(written, "ArrayLike")
    return re.sub(r"~?\b(?:jaxlib\._jax|jax|numpy)\.(Array|ndarray)\b", r"\1", signature)


def _skip_fields(
    app: Any, what: str, name: str, obj: Any, would_skip: bool, options: Any
) -> bool | None:
    """Leaves out the fields of a NamedTuple: its docstring describes them."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _link_to_pages)
    app.connect("autodoc-skip-member", _skip_fields)
    app.connect("autodoc-process-signature", _process_signature)
