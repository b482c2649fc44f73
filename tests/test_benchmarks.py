import json
import subprocess
import sys

from conftest import ROOT

from gazejax import metrics


def test_our_side_of_the_metrics_benchmark_runs(tmp_path):
    # In a process of its own: it keeps itself to one core.
    out = tmp_path / "results/metrics.json"
    sizes = {"maps": "2", "fixations": "3", "others": "5", "rounds": "2"}
    options = [f"--{name}={number}" for name, number in sizes.items()]
    script = ROOT / "benchmarks/metrics.py"
    command = [sys.executable, script, "--out", out, *options]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = json.loads(out.read_text())["microseconds_per_map"]
    assert [row["metric"] for row in rows] == list(metrics.METRICS)
    assert all(row["gazejax"]["median"] > 0 for row in rows)
    assert "| `kld` |" in printed
