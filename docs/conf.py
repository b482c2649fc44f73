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
smartquotes = False
default_role = "code"  # Docstrings have Markdown's single backticks.
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
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


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _link_to_pages)
    app.connect("autodoc-process-signature", _shorten)
