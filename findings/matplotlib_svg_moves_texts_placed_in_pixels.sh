#!/usr/bin/env bash
# matplotlib 3.11.2: a text placed in pixels (transform None), after the layout was drawn, stands elsewhere
# in the SVG of the figure than in its PNG. Guess before the run: the SVG has the proportions of the
# figure, and the text the same share of its width. Behaviour: the SVG backend sets the figure to 72
# dots an inch while it draws, so that a pixel of a figure of 250 dots is 3.5 times as far from the
# corner: a text in the middle of the figure is outside of the SVG. In inches (`dpi_scale_trans`), both
# agree. Artists in data or axes coordinates are right in both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet "matplotlib==3.11.2" "numpy==2.4.6"
"$folder/env/bin/python" - <<'PY'
import io
import re

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imread

assert matplotlib.__version__ == "3.11.2"


def places(inches):
    """Place of a text in the middle, as a share of the width: of the PNG, and of the SVG."""
    figure = Figure(figsize=(4, 4), dpi=250)
    figure.draw_without_rendering()
    middle = (2, 2) if inches else (500, 500)
    text = figure.text(0, 0, "x", ha="center", va="center", fontsize=20)
    text.set_transform(figure.dpi_scale_trans if inches else None)
    text.set_position(middle)
    png, svg = io.BytesIO(), io.StringIO()
    figure.savefig(png, format="png")
    figure.savefig(svg, format="svg")
    png.seek(0)
    columns = np.flatnonzero((imread(png)[..., 0] < 0.5).any(axis=0))
    translate = re.search(r"translate\(([\d.]+) [-\d.]+\) scale", svg.getvalue())
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', svg.getvalue())[1])
    return columns.mean() / 1000, float(translate[1]) / width


in_pixels, in_inches = places(inches=False), places(inches=True)
print("in pixels:", in_pixels, "in inches:", in_inches)
assert abs(in_pixels[0] - 0.5) < 0.02, in_pixels
assert in_pixels[1] > 1.5, in_pixels
assert max(abs(one - 0.5) for one in in_inches) < 0.04, in_inches
print("as found: a text in pixels leaves the SVG, one in inches stays")
PY
