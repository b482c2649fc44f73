import json
import subprocess
import sys

import pytest

from gazejax.metrics.saliency import METRICS
from tests.compiling import program_environment
from tests.tiny import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import measuring
import table


def run(name, *options, tmp_path, is_long=False):
    # In a process of its own: some keep themselves to one core.
    out = tmp_path / "results/out.json"
    command = [sys.executable, ROOT / f"benchmarks/{name}.py", "--out", out, *options]
    printed = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        env=program_environment(is_long=is_long),
    ).stdout
    return json.loads(out.read_text()), printed


def test_our_side_of_the_metrics_benchmark_runs(tmp_path):
    sizes = {"maps": "2", "fixations": "3", "others": "5", "rounds": "2"}
    options = [f"--{name}={number}" for name, number in sizes.items()]
    report, printed = run("metrics", *options, tmp_path=tmp_path)
    rows = report["microseconds_per_map"]
    assert [row["metric"] for row in rows] == list(METRICS)
    assert all(row["gazejax"]["median"] > 0 for row in rows)
    assert "| `kld` |" in printed


def test_the_rendering_benchmark_compares_the_same_maps(tmp_path):
    options = ("--maps=3", "--rounds=1", "--map-sizes", "36x48")
    report, _ = run("rendering", *options, tmp_path=tmp_path)
    assert report["rows"][0]["mean_correlation"] > 0.95
    assert report["rows"][0]["ratio"] > 0


def test_our_side_of_the_networks_benchmark_runs(tmp_path):
    options = ("--image-size", "32", "48", "--images=80", "--rounds=1", "--seconds=0")
    case = "stage 1, inference"
    report, printed = run("networks", *options, "--cases", case, tmp_path=tmp_path)
    assert report["rows"][0]["gazejax"]["median"] > 0
    assert case in printed


@pytest.mark.slow
def test_the_accelerator_benchmark_runs_tiny_on_a_cpu(tmp_path):
    report, printed = run("gpu", "--tiny", "--dtypes", "float32", tmp_path=tmp_path, is_long=True)
    encoder, saliency = report["rows"]
    for row in (encoder, saliency):
        assert row["gazejax"]["median"] > 0
        assert row["bytes_per_example"] > 0
    # Of a pair of 32 x 48: the first convolution makes 16 x 24 x 32 values of 3 x 3 x 5 each, the
    # others 8 x 12 x 64 of 3 x 3 x 32, 4 x 6 x 128 of 3 x 3 x 64, 2 x 3 x 256 of 3 x 3 x 128. A
    # gradient takes that twice again, except for that of the images, which is not computed.
    first = 2 * 16 * 24 * 32 * 45
    others = 2 * (8 * 12 * 64 * 288 + 4 * 6 * 128 * 576 + 2 * 3 * 256 * 1152)
    assert encoder["flops_per_example"] == pytest.approx(2 * first + 3 * others, rel=0.3)
    assert "measured limits" in printed


def test_sides_take_turns_and_the_first_round_does_not_count():
    order = []

    def side(name):
        def turn():
            order.append(name)
            return len(order)

        return turn

    measured = measuring.take_turns({"a": side("a"), "b": side("b")}, rounds=2)
    # Round 0 warms up, backwards; then forwards, then backwards.
    assert "".join(order) == "ba" + "ab" + "ba"
    assert measured == {"a": [3, 6], "b": [4, 5]}


def test_a_ratio_is_worse_only_below_the_tolerance():
    expected, found = {"one": 1.0, "two": 2.0}, {"one": 0.71, "two": 1.39}
    lines = table.worse(expected, found, tolerance=0.7)
    assert lines == ["two: 1.39; allowed: at least 1.40, 70% of the stored ratio"]


def test_the_table_stands_between_its_marks():
    text = f"before\n{table.START}\nold\n{table.END}\nafter\n"
    assert table.insert(text, "new") == text.replace("\nold\n", "\n\nnew\n\n")
    with pytest.raises(ValueError, match="no line"):
        table.insert("before", "new")


def test_the_text_has_a_place_for_the_table():
    assert "new" in table.insert((ROOT / "docs/results/performance.md").read_text(), "new")
