"""Figures as SVG inside of an HTML page: in the colors of the page, with parts to show or hide."""

import html
import io
import re
from collections.abc import Mapping

from matplotlib.artist import Artist
from matplotlib.figure import Figure

_PART = "part-"

# Colors of the figures -> those of the page, which has a light and a dark version.
_COLORS = {
    "#0072b2": "var(--blue)",
    "#99c7e0": "var(--pale)",
    "#000000": "currentColor",
    "#222222": "currentColor",
    "#555555": "var(--muted)",
    "#8a8a8a": "var(--muted)",
    "#e4e4e4": "var(--line)",
    "#ffffff": "var(--paper)",
}


def name_part(artist: Artist, name: str) -> None:
    """Names a part of a figure, which its SVG has as a class; parts may share a name."""
    artist.set_gid(_PART + slug(name))


def slug(text: str) -> str:
    """A text as a class of HTML.

    Example:
        >>> slug("encoder, n = 10")
        'encoder-n-10'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def to_svg(drawing: Figure, *, name: str, alt: str, titles: Mapping[str, str] | None = None) -> str:
    """Writes a figure as an SVG element, with the same text for the same figure.

    Args:
        drawing: the figure.
        name: of the figure, unique in the page.
        alt: what the figure shows, for those who cannot see it.
        titles: texts to show where the pointer is over a part, by the name of the part.
    """
    stream = io.StringIO()
    drawing.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(rf'<g id="{_PART}([^"]*)">', lambda match: _group(match[1], titles or {}), text)
    # Ids are random, and those of several figures would meet in one page.
    ids = dict.fromkeys(re.findall(r'\bid="([^"]+)"', text))
    named = {old: f"{name}-{number}" for number, old in enumerate(ids)}
    text = re.sub(
        r'(\bid="|"#|url\(#)([^")]+)', lambda match: match[1] + named.get(match[2], match[2]), text
    )
    for old, new in _COLORS.items():
        text = text.replace(old, new)
    size = re.search(r'viewBox="[^"]*"', text)
    assert size is not None
    head = f'<svg {size[0]} role="img" aria-label="{html.escape(alt)}"'
    return re.sub(r"<svg[^>]*", f'{head} xmlns:xlink="http://www.w3.org/1999/xlink"', text, count=1)


def _group(name: str, titles: Mapping[str, str]) -> str:
    title = f"<title>{html.escape(titles[name])}</title>" if name in titles else ""
    return f'<g class="{name}">{title}'
