"""Trains and evaluates one config: what `gazejax train` and `train.py` do after their flags."""

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gazejax.config.derived import batch_divisor
from gazejax.config.validation import validate
from gazejax.evaluation.run import evaluate
from gazejax.report.findings import summarize
from gazejax.report.run import write_report
from gazejax.runtime.devices import without_x64
from gazejax.runtime.distributed import initialize, is_main_process, run_together
from gazejax.runtime.files import expand_home
from gazejax.training.devices import configure_host_devices
from gazejax.training.run import train_folds
from gazejax.workdir.layout import is_evaluable
from gazejax.workdir.lock import lock


def evaluate_and_report(workdir: Path) -> dict[str, Any]:
    """Evaluates a trained run, writes its report, and prints the main metrics in a few lines.

    Args:
        workdir: of the run.

    Returns:
        What `evaluation.json` holds.

    Raises:
        FileNotFoundError, ValueError: see `evaluation.run.evaluate`.
    """
    result = evaluate(workdir)
    report = write_report(workdir)
    print(summarize(result))
    print(f"all tables: {workdir / 'evaluation.md'}\nreport: {report}")
    return result


@without_x64
def train_and_evaluate(
    config: ConfigDict, workdir: Path | str, *, distributed: str | None = None
) -> dict[str, Any] | None:
    """Trains all stages of a config in a workdir, and evaluates them.

    The workdir is locked meanwhile. The same call in the same workdir resumes an interrupted
    training.

    Args:
        config: every value of the experiment; checked by `validate`.
        workdir: folder of the run, may begin with `~`; made if it does not exist.
        distributed: how to find the other processes of the training: see
            `gazejax.runtime.distributed.initialize`. None: `auto` where the environment says that
            there are several processes, else `off`.

    Returns:
        What `evaluation.json` holds. None if no encoder is trained yet, and in every process of a
        distributed training but the first.

    Raises:
        ValueError: if the config is impossible, or the workdir belongs to another experiment.
        FileNotFoundError: if the data set is not prepared.
        BlockingIOError: if another process uses the workdir.
        FloatingPointError: if the training diverges.
    """
    workdir = Path(expand_home(workdir))
    validate(config)
    configure_host_devices(batch_divisor(config))
    initialize(distributed)
    with lock(workdir):
        with run_together():
            train_folds(config, workdir)
        if not is_main_process():
            return None
        if is_evaluable(workdir):
            return evaluate_and_report(workdir)
    print(f"trained stage {config.stage}; there is no encoder to evaluate yet")
    return None
