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
python_maximum_signature_line_length = 80
html_theme = "furo"
html_title = f"gazejax {version}"
html_show_sphinx = False


def _link_to_pages(app: Any, docname: str, source: list[str]) -> None:
    """Leads links to files outside of `docs/` to the pages that were made of them."""
    folder = PurePosixPath("docs", docname).parent
    source[0] = generate.with_links_to_pages(source[0], folder)


def _shorten(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str, returned: str
) -> tuple[str, str]:
    """Calls arrays in signatures what the code calls them."""
    return tuple(
        text and re.sub(r"\b(?:jaxlib\._jax|jax|numpy)\.(Array|ndarray)\b", r"\1", text)
        for text in (signature, returned)
    )


def _skip_fields(
    app: Any, what: str, name: str, obj: Any, would_skip: bool, options: Any
) -> bool | None:
    """Leaves out the fields of a NamedTuple: its docstring describes them."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _link_to_pages)
    app.connect("autodoc-skip-member", _skip_fields)
    app.connect("autodoc-process-signature", _shorten)
