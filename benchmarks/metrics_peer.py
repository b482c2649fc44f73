"""The other side of benchmarks/metrics.py: pysaliency, in its own process and environment.

The only argument is the data file. The program describes itself in one line of JSON. It then
answers each line with the names of a metric and a dtype by {"seconds": for all maps, "values": one
for each map}.
"""

import importlib.metadata
import importlib.util
import json
import platform
import sys
import time
import types

import numpy as np

# The __init__ of the package imports torch, for models; these modules need only NumPy and Numba.
package = types.ModuleType("pysaliency")
package.__path__ = importlib.util.find_spec("pysaliency").submodule_search_locations
sys.modules["pysaliency"] = package

from pysaliency import metrics  # noqa: E402
from pysaliency.roc import general_roc, general_rocs_per_positive  # noqa: E402
from pysaliency.saliency_map_models import _get_unfixated_values  # noqa: E402

data = np.load(sys.argv[1])
MAPS = {
    dtype: (data["saliency"].astype(dtype), data["target"].astype(dtype))
    for dtype in ("float32", "float64")
}
saliency, target = MAPS["float64"]
# Fixations as whole pixels, as in pysaliency.
columns, rows = np.moveaxis(data["xy_px"].astype(int), -1, 0)
other_columns, other_rows = data["other_xy_px"].astype(int).T


def at_fixations(index: int) -> np.ndarray:
    """Values of a map at its fixations."""
    return saliency[index][rows[index], columns[index]].astype(float)


# The computation of the methods AUCs, AUC_Judd (without its noise) and NSSs of a SaliencyMapModel
# for one image. For an AUC of all values there is also general_roc, which is slower.
METRICS = {
    "auc": lambda index: general_rocs_per_positive(
        at_fixations(index), saliency[index].flatten().astype(float)
    ).mean(),
    "auc_judd": lambda index: general_roc(
        at_fixations(index),
        _get_unfixated_values(saliency[index], rows[index], columns[index]).astype(float),
        judd=1,
    )[0],
    "sauc": lambda index: general_rocs_per_positive(
        at_fixations(index), saliency[index][other_rows, other_columns].astype(float)
    ).mean(),
    "nss": lambda index: metrics.NSS(saliency[index], columns[index], rows[index]).mean(),
    "cc": lambda index: metrics.CC(saliency[index], target[index]),
    "sim": lambda index: metrics.SIM(saliency[index], target[index]),
    "kld": lambda index: metrics.MIT_KLDiv(saliency[index], target[index]),
}


def answer(message: dict) -> None:
    """Writes one line to the driver."""
    print(json.dumps(message), flush=True)


versions = {name: importlib.metadata.version(name) for name in ("pysaliency", "numpy", "numba")}
answer({"metrics": list(METRICS), "versions": {"python": platform.python_version(), **versions}})
for line in sys.stdin:
    name, dtype = line.split()
    metric, (saliency, target) = METRICS[name], MAPS[dtype]
    start = time.process_time()
    values = [metric(index) for index in range(len(saliency))]
    seconds = time.process_time() - start
    answer({"seconds": seconds, "values": [float(value) for value in values]})
