#!/usr/bin/env bash
# pymovements 0.28.0: the fixations of two detections cannot be told from each other in the events.
# Guess before the run: `detect("ivt")` and `detect("idt")` name their events apart, or the second
# replaces the first. Behaviour: both append events called "fixation", which overlap in time, so that
# whoever filters by this name counts each fixation twice.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet "pymovements==0.28.0"
"$folder/env/bin/python" - <<'PY'
from importlib.metadata import version

import numpy as np
import polars as pl
import pymovements as pm

assert version("pymovements") == "0.28.0"
# Gaze at 250 Hz rests on one place for 1.2 s, then on another for 1.2 s.
x = np.repeat([-3.0, 4.0], 300) + 0.01 * np.sin(np.arange(600))
samples = pl.DataFrame({"time": 4 * np.arange(600), "x": x, "y": np.zeros(600)})
experiment = pm.Experiment(1024, 768, 38, 30, 60, "upper left", 250)
gaze = pm.Gaze(samples, experiment=experiment, position_columns=["x", "y"], time_column="time")
gaze.pos2vel("smooth")
gaze.detect("ivt")
first = gaze.events.frame
gaze.detect("idt")
both = gaze.events.frame
print(both)
assert set(first["name"]) == {"fixation"}, first
assert set(both["name"]) == {"fixation"}, both
assert len(both) > len(first), (first, both)
spans = sorted(zip(both["onset"], both["offset"]))
assert any(later[0] < earlier[1] for earlier, later in zip(spans, spans[1:])), spans
print(f"as found: {len(first)} fixations, then {len(both)} of one name, some at the same time")
PY
