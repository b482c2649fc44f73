#!/usr/bin/env bash
# pyarrow 26.0.1: `pyarrow.json.read_json` makes two different texts one value.
# Guess before the run: a JSON string stays a string; at most, a date becomes a date from which its
# text can be had back.
# Behaviour: a column whose strings all look like ISO 8601 becomes timestamp[s] without a time zone.
# The offset from UTC is applied and then lost, so that names of recordings such as
# "2026-01-05T10:00:00+02:00" and "2026-01-05T08:00:00Z" are equal afterwards, and "2026-01-05" is
# "2026-01-05 00:00:00". One string of another form in the column keeps all as they are: what a name
# is depends on the other rows. An explicit schema keeps the texts.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check pyarrow==26.0.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import io
import json

import pyarrow as pa
import pyarrow.json

names = ["2026-01-05T10:00:00+02:00", "2026-01-05T08:00:00Z"]


def read(names, **options):
    lines = "".join(json.dumps({"recording": name}) + "\n" for name in names).encode()
    return pa.json.read_json(io.BytesIO(lines), **options)["recording"]


found = read(names)
print(found.type, found.to_pylist())
assert found.type == pa.timestamp("s"), found.type
assert len(set(found.to_pylist())) == 1 < len(set(names))
assert str(read(["2026-01-05"]).to_pylist()[0]) == "2026-01-05 00:00:00"
kept = read([*names, "pilot"])
print("beside a string of another form:", kept.to_pylist())
assert kept.to_pylist() == [*names, "pilot"]
schema = pa.schema([("recording", pa.string())])
options = pa.json.ParseOptions(explicit_schema=schema)
assert read(names, parse_options=options).to_pylist() == names
PYTHON
