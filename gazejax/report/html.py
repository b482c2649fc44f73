"""What the pages are made of: templates, Markdown, figures and pictures inside of one file."""

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from markupsafe import Markup
from PIL import Image

_PAGE = Path(__file__).parent / "page"


def render(template: str, **values: Any) -> str:
    """Fills a template of the folder `page`; texts are escaped, style and script are inside."""
    import jinja2  # Imported here, as markdown_it: the other commands need neither.

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = ((_PAGE / name).read_text() for name in ("page.css", "page.js"))
    page = environment.get_template(template)
    return page.render(style=Markup(style), script=Markup(script), **values) + "\n"


def is_page(path: Path, generator: str) -> bool:
    """Whether a file is a page that `render` made for a generator."""
    try:
        with path.open(encoding="utf-8") as file:
            return f'<meta name="generator" content="{generator}">' in file.read(2000)
    except (OSError, UnicodeDecodeError):
        return False


def from_markdown(text: str) -> Markup:
    """HTML of a text with tables; what looks like HTML in it is shown as it is written."""
    from markdown_it import MarkdownIt

    found = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    # A wide table scrolls by itself, also by the keyboard.
    found = found.replace("<table>", '<div class="scroll" tabindex="0"><table>')
    return Markup(found.replace("</table>", "</table></div>"))


def as_json(value: Mapping[str, Any]) -> Markup:
    """A value for a script of the page; no text in it ends the script."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def picture_uri(pixels: UInt8[np.ndarray, "height width 3"], *, longest_px: int) -> str:
    """A picture as JPEG in an address; larger ones are reduced."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=80)
    return _uri("image/jpeg", stream.getvalue())


def map_uri(values: UInt8[np.ndarray, "height width"]) -> str:
    """A map as a gray PNG in an address; the page colors it."""
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG", optimize=True)
    return _uri("image/png", stream.getvalue())


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
