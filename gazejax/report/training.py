"""How a run was trained: losses, time, memory, and what its config changes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from gazejax.config.ablations import value_at
from gazejax.config.derived import STAGES, fold_configs
from gazejax.config.files import base_config
from gazejax.config.identity import changed_keys
from gazejax.evaluation.formats import markdown_table
from gazejax.workdir.layout import RESOURCES_FILE, load_config, read_object

_METRICS_FILE = "metrics.jsonl"


def training_figure(workdir: Path) -> Markup | None:
    """The loss of each stage, a line for each fold; None where no log is left."""
    from gazejax import plots  # Imported here: matplotlib takes a second.

    curves: dict[str, list[tuple[list[int], list[float]]]] = {}
    for folder in fold_configs(load_config(workdir), workdir):
        for stage in STAGES:
            path = folder / stage / _METRICS_FILE
            if not path.is_file():
                continue
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            steps = {row["step"]: row["loss"] for row in rows if row.get("loss") is not None}
            if steps:
                curves.setdefault(stage, []).append(([*steps], [*steps.values()]))
    if not curves:
        return None
    alt = "Loss over steps, a panel for each stage and a line for each fold."
    return Markup(plots.to_svg(plots.draw_training(curves=curves), name="training", alt=alt))


def costs(workdir: Path) -> str:
    """Time (of all folds), peak memory (the most) and devices of each stage, a Markdown table."""
    folders = dict.fromkeys([workdir, *fold_configs(load_config(workdir), workdir)])
    seconds: dict[str, float] = {}
    memory: dict[str, float] = {}
    devices: dict[str, str] = {}
    for folder in folders:
        path = folder / RESOURCES_FILE
        for stage, row in (read_object(path) if path.is_file() else {}).items():
            if stage != "embedding":
                seconds[stage] = seconds.get(stage, 0.0) + row["seconds"]
                memory[stage] = max(memory.get(stage, 0.0), row["peak_memory_bytes"])
                devices[stage] = row.get("devices", "not known")
    rows = [
        [stage.replace("_", " "), f"{time:.0f}", f"{memory[stage] / 1e9:.1f}", devices[stage]]
        for stage, time in seconds.items()
    ]
    header = ["part", "seconds, all folds", "peak memory of the process, GB", "devices"]
    return markdown_table(header, rows)


def config_changes(workdir: Path) -> str:
    """What the config of a run changes of `configs/base.py`, a Markdown table."""
    of_base, of_run = base_config().to_dict(), load_config(workdir).to_dict()
    rows = [
        [f"`{key}`", _text(value_at(of_run, key)), _text(value_at(of_base, key))]
        for key in changed_keys(of_run, of_base)
        if key != "data.data_dir"
    ]
    return markdown_table(["key", "this run", "configs/base.py"], rows)


def made_with(workdir: Path) -> Mapping[str, Any]:
    """Versions and commit of the training, as `config.json` has them."""
    found = read_object(workdir / "config.json")
    return {key: found.get(key) for key in ("versions", "commit")}


def _text(value: Any) -> str:
    return f"`{value}`".replace("|", "\\|")
