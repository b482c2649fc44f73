"""Writes metrics.jsonl, and stops a training that diverged."""

import json
import math
import time
from pathlib import Path

import jax
import numpy as np

from gazejax.runtime import distributed
from gazejax.runtime.files import path_in_errors, write_text
from gazejax.training.stage import Stage


class MetricsLog:
    """Writes the mean of each metric over `log_every` steps, and stops a training that diverged."""

    def __init__(
        self,
        path: Path,
        stage: Stage,
        *,
        log_every: int,
        max_consecutive_nonfinite: int,
        num_devices: int,
        done: int,
    ) -> None:
        self.path, self.stage, self.num_devices = path, stage, num_devices
        self.log_every, self.max_consecutive_nonfinite = log_every, max_consecutive_nonfinite
        self.step = done
        self.window: list[dict[str, float]] = []
        self.written: list[dict[str, float]] = []  # The window before.
        self.text = ""
        self.window_started = time.monotonic()
        if distributed.is_main_process():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, "".join(line + "\n" for line in _lines_until(path, done)))

    def add(self, metrics: dict[str, jax.Array]) -> str:
        """Takes the metrics of one dispatch; returns a line of progress."""
        values = {
            name: np.asarray(value).tolist()
            for name, value in metrics.items()
            if name != "stop_requested"
        }
        for position in range(len(values["loss"])):
            self.step += 1
            row = {name: value[position] for name, value in values.items()}
            if row["num_skipped_in_a_row"] >= self.max_consecutive_nonfinite:
                raise FloatingPointError(
                    f"{self.stage.name}: loss or gradient was not finite in "
                    f"{row['num_skipped_in_a_row']:.0f} updates in a row (step {self.step}); "
                    "the last checkpoint is intact; lower the learning rate, in another workdir"
                )
            self.window.append(row)
            if self.step % self.log_every == 0 or self.step == self.stage.num_steps:
                self._write()
        return self.text

    def loss(self) -> float:
        """Mean over the window begun, or over the last one if it was just written."""
        mean = _finite_mean(self.window or self.written, "loss")
        return math.inf if mean is None else mean

    def _write(self) -> None:
        now = time.monotonic()
        rate = len(self.window) * self.stage.examples_per_step / (now - self.window_started)
        line: dict[str, float | None] = {"step": self.step}
        for name in self.window[-1]:
            if name.startswith("num_"):
                line[name] = self.window[-1][name]
            else:
                line[name] = _finite_mean(self.window, name)
        line["examples_per_second"] = rate
        if distributed.is_main_process():
            with path_in_errors(self.path), self.path.open("a") as file:
                file.write(json.dumps(line) + "\n")
        loss = "not finite" if line["loss"] is None else f"{line['loss']:.4f}"
        self.text = f"{rate:.0f} {self.stage.unit}/s on {self.num_devices} devices, loss {loss}"
        self.written, self.window, self.window_started = self.window, [], now


def _finite_mean(rows: list[dict[str, float]], name: str) -> float | None:
    finite = [row[name] for row in rows if math.isfinite(row[name])]
    return sum(finite) / len(finite) if finite else None


def _lines_until(path: Path, step: int) -> list[str]:
    """Lines of a log up to a step: lines after the checkpoint will be written again."""
    kept = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            is_kept = json.loads(line)["step"] <= step
        except ValueError:  # The process ended in the middle of the last line.
            break
        if is_kept:
            kept.append(line)
    return kept
