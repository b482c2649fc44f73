#!/usr/bin/env bash
# tensorflow-datasets 4.9.10: each builder of a data set that is not prepared leaves an empty folder.
# Guess before the run: to construct a builder writes nothing, since nothing is built or downloaded.
# Behaviour: where the data set is not in `data_dir`, the constructor makes a folder `tmp...tfds` in
# the temporary folder, finds nothing in the bucket of TFDS to put into it, and never removes it. A
# job that asks ten thousand times whether a data set is prepared leaves ten thousand folders.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet "tensorflow-datasets==4.9.10"
mkdir "$folder/tmp"
TMPDIR="$folder/tmp" "$folder/env/bin/python" - "$folder" <<'PY'
import os
import sys
from importlib.metadata import version

import numpy as np
import tensorflow_datasets as tfds

assert version("tensorflow-datasets") == "4.9.10"


class Numbers(tfds.core.GeneratorBasedBuilder):
    """Nothing of it is prepared."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"n": np.int64}))

    def _split_generators(self, manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        yield 0, {"n": 0}


def left():
    return [name for name in os.listdir(os.environ["TMPDIR"]) if name.endswith("tfds")]


assert left() == [], left()
for _ in range(3):
    Numbers(data_dir=os.path.join(sys.argv[1], "data"))
print(left())
assert len(left()) == 3, left()
assert all(os.listdir(os.path.join(os.environ["TMPDIR"], name)) == [] for name in left())
print("as found: 3 builders, 3 empty folders")
PY
