"""Whether a change of the code changed a number: trains fixed cases and writes what came out.

    python tests/soak/same_numbers.py OUT                          # every case, OUT/numbers.json
    python tests/soak/same_numbers.py OUT --cases tiny scanpath    # those whose name starts so
    python tests/soak/same_numbers.py --compare OUT OTHER          # says what differs, exit 1

The same commit gives the same bits on one machine, so two commits whose numbers are equal compute
the same. Cases on real data run where `--data-dir` has OSIE prepared. Set JAX_COMPILATION_CACHE_DIR
to one folder for both, and only programs that changed are compiled again.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

# Old name -> new name, of the parts of a value's path.
RENAMED: dict[str, str] = {
    "encoder_cut": "encoder_truncated",
    "encoder_minus_encoder_cut": "encoder_minus_encoder_truncated",
    "two_scalars": "fixation_statistics",
    "encoder_minus_two_scalars": "encoder_minus_fixation_statistics",
    "permuted_users": "permuted_labels",
    "encoder_minus_permuted_users": "encoder_minus_permuted_labels",
}
# What says when and from what something was made, and not what it is.
IGNORED = ("date", "commit", "config_sha256", "examples_per_second", "test_rule")

# Values that differ from the tiny config, or from the tiny one of scanpaths.
EARLY = {
    "tiny": {},
    "tiny_streamed": {"data.image_storage": "stream"},
    "tiny_two_folds": {"split.folds": 2, "split.cross_validate": True},
    "tiny_predicted": {"data.universal_map": "predicted", "controls.train_permuted_encoder": False},
    "early_mean": {"encoder.model.pooling": "mean", "stage": "encoder"},
    **{
        f"early_{mining}": {"encoder.loss.mining": mining, "stage": "encoder"}
        for mining in ("random", "semi_hard", "batch_hard")
    },
    "unet_concatenation": {
        "saliency.model.conditioning": "concatenation",
        "controls.train_permuted_encoder": False,
    },
    "unet_filters": {
        "saliency.model.conditioning": "filters",
        "saliency.model.conditioned_levels": (1,),
        "controls.train_permuted_encoder": False,
    },
    "unet_swapped": {"controls.embeddings": "swapped", "controls.train_permuted_encoder": False},
}
TWO_TRUNKS = {
    "late_mean": {"encoder.model.pooling": "mean"},
    "late_gaze": {"encoder.model.pooling": "gaze"},
}
SCANPATH = {
    "scanpath": {},
    "scanpath_streamed": {"data.image_storage": "stream"},
    "scanpath_two_folds": {"split.folds": 2, "split.cross_validate": True},
    "readout_preference": {
        "saliency.model.memory.kind": "none",
        "controls.train_permuted_encoder": False,
    },
    "readout_weights": {
        "saliency.model.memory.kind": "feature_weights",
        "controls.train_permuted_encoder": False,
    },
}
SHORT = {
    f"{stage}.{key}": value
    for stage in ("encoder", "saliency", "universal")
    for key, value in (("num_steps", 50), ("optimizer.warmup_steps", 10))
} | {"controls.train_permuted_encoder": False, "training.log_every": 10, "checkpoint.every": 50}
WHOLE = {
    "demo": ("synthetic_gaze", {"controls.train_permuted_encoder": False}),
    "osie": ("osie", {}),
    "osie_maps": ("osie_maps", SHORT),
    "osie_paper": ("osie_paper", SHORT),
}
CASES = (*EARLY, *TWO_TRUNKS, *SCANPATH, *WHOLE)


def make_config(case: str, data_dir: Path) -> Any:
    """The config of a case."""
    from tests.tiny import read_config, tiny_config, tiny_scanpath_config

    if case in EARLY:
        config, changes = tiny_config(data_dir), EARLY[case]
    elif case in TWO_TRUNKS:
        config, changes = tiny_config(data_dir), TWO_TRUNKS[case] | {"stage": "encoder"}
        with config.unlocked():
            config.encoder.model.update(
                architecture="late_fusion", inputs=("personal", "universal"), map_filters=(8, 8)
            )
    elif case in SCANPATH:
        config, changes = tiny_scanpath_config(data_dir), SCANPATH[case]
    else:
        name, changes = WHOLE[case]
        config = read_config(name)
        config.data.data_dir = str(data_dir)
    for key, value in changes.items():
        section, _, entry = key.rpartition(".")
        parent = config
        for part in section.split(".") if section else ():
            parent = parent[part]
        parent[entry] = value
    # What changes numbers and came after the commits that are compared with.
    config.encoder.comparison.kind = "distance"
    config.encoder.batch.virtual_sessions.update(
        scale_spread=0.0, duration_spread=0.0, shift_frac=0.0
    )
    return config


def sha256(*arrays: Any) -> str:
    """Of the bytes of arrays, whatever their names and order."""
    import numpy as np

    parts = [
        hashlib.sha256(f"{a.dtype} {a.shape}".encode() + np.ascontiguousarray(a).tobytes()).digest()
        for a in map(np.asarray, arrays)
    ]
    return hashlib.sha256(b"".join(sorted(parts))).hexdigest()


def run_case(case: str, workdir: Path, data_dir: Path) -> dict[str, Any]:
    """Trains and evaluates a case, and uses what it trained."""
    import jax
    import numpy as np

    import gazejax
    from gazejax.config.derived import STAGES
    from gazejax.workdir.layout import latest_step
    from gazejax.workdir.parameters import load_params
    from tests.tiny import train_and_evaluate

    config = make_config(case, data_dir)
    train_and_evaluate(config, workdir)
    folders = sorted(workdir.glob("fold_*")) or [workdir]
    numbers: dict[str, Any] = {}
    for folder in folders:
        for stage in STAGES:
            if latest_step(folder, stage) is None:
                continue
            curve = (folder / stage / "metrics.jsonl").read_text().splitlines()
            params = jax.tree.leaves(load_params(folder, stage))
            numbers[f"{folder.name if len(folders) > 1 else 'fold'} {stage}"] = {
                "parameters": sha256(*params),
                "curve": [json.loads(line) for line in curve],
            }
    numbers["evaluation"] = json.loads((workdir / "evaluation.json").read_text())
    with np.load(workdir / "evaluation_resamples.npz") as arrays:
        numbers["resamples"] = {name: sha256(arrays[name]) for name in arrays.files}
    if latest_step(folders[0], "saliency") is not None and case != "unet_swapped":
        model = gazejax.load(folders[0])
        random = np.random.default_rng(0)
        images = [random.integers(0, 256, size, np.uint8) for size in ((60, 80, 3), (90, 70, 3))]
        xy = [random.uniform(0, 60, (number, 2)) for number in (5, 9)]
        ms = [random.uniform(100, 400, len(points)) for points in xy]
        embedding = model.embed(images, xy, durations_ms=ms)
        maps = [model.predict(image, embedding) for image in images]
        numbers["api"] = {"embed": sha256(embedding), "predict": sha256(*maps)}
    return numbers


def flatten(values: Any, path: str = "") -> dict[str, Any]:
    """Values of nested dictionaries and lists by their path."""
    if isinstance(values, list) and any(isinstance(value, dict) for value in values):
        values = dict(enumerate(values))
    if not isinstance(values, dict):
        return {path: values}
    flat = {}
    for key, value in values.items():
        if key not in IGNORED:
            flat |= flatten(value, f"{path}|{key}")
    return flat


def renamed(path: str) -> str:
    """A path of values under today's names."""
    parts = path.replace("/", "|").split("|")
    return "|".join(RENAMED.get(part, part) for part in parts)


def compare(one: Path, other: Path) -> int:
    """Says which values of two outputs differ; returns how many."""
    before, after = (json.loads((path / "numbers.json").read_text()) for path in (one, other))
    different = 0
    for case in before:
        if case not in after:
            print(f"{case}: not run in {other}")
            continue
        values = [
            {renamed(path): value for path, value in flatten(numbers[case]).items()}
            for numbers in (before, after)
        ]
        found = [
            path
            for path in sorted(values[0].keys() | values[1].keys())
            if path not in values[0] or path not in values[1] or values[0][path] != values[1][path]
        ]
        print(f"{case}: {len(values[0])} values, " + (f"{len(found)} differ" if found else "equal"))
        for path in found[:10]:
            print(f"    {path}: {values[0].get(path)!r}, now {values[1].get(path)!r}")
        different += len(found)
    return different


def main() -> int:
    """Runs cases, each in a process of its own, or compares two outputs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("other", type=Path, nargs="?")
    parser.add_argument("--cases", nargs="+", default=[""], help="beginnings of names of cases")
    parser.add_argument("--data-dir", type=Path, help="where OSIE is prepared")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.compare:
        return int(compare(options.out, options.other) > 0)
    out = options.out.resolve()
    if options.one:
        os.chdir(ROOT)
        numbers = run_case(options.one, out / options.one, options.data_dir)
        (out / f"{options.one}.json").write_text(json.dumps(numbers, indent=1, sort_keys=True))
        return 0
    out.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    from tfds_builders.common.build import build

    for name in ("synthetic_gaze/tiny", "synthetic_gaze/default"):
        if not (out / "data" / name).exists():
            build(name, None, out / "data")
    cases = [case for case in CASES if any(map(case.startswith, options.cases))]
    if options.data_dir is None:
        cases = [case for case in cases if not case.startswith("osie")]

    def run(case: str) -> int:
        data_dir = options.data_dir if case.startswith("osie") else out / "data"
        command = [sys.executable, __file__, str(out), "--one", case, "--data-dir", str(data_dir)]
        with (out / f"{case}.log").open("w") as log:
            ended = subprocess.run(command, env=environment, stdout=log, stderr=log, check=False)
        print(f"{case}: {'done' if ended.returncode == 0 else 'failed, see its log'}", flush=True)
        return ended.returncode

    for case in cases:
        (out / f"{case}.json").unlink(missing_ok=True)
        if (out / case).exists():
            raise FileExistsError(f"{out / case} exists; allowed: a new folder for OUT")
    with ThreadPoolExecutor(options.jobs) as pool:
        statuses = list(pool.map(run, cases))
    done = {path.stem: json.loads(path.read_text()) for path in out.glob("*.json")}
    done.pop("numbers", None)
    (out / "numbers.json").write_text(json.dumps(done, indent=1, sort_keys=True))
    return int(any(statuses))


if __name__ == "__main__":
    sys.exit(main())
