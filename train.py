"""Trains and evaluates: `python train.py --config=configs/osie.py --workdir=runs/osie`."""

import sys
from pathlib import Path

from absl import app, flags, logging
from ml_collections import config_flags

from gazejax.config.validation import validate
from gazejax.evaluation.run import evaluate
from gazejax.runtime import distributed
from gazejax.runtime.allocator import keep_freed_memory
from gazejax.runtime.errors import one_line_errors
from gazejax.training.devices import configure_host_devices
from gazejax.training.run import train_folds
from gazejax.workdir.layout import is_evaluable
from gazejax.workdir.lock import lock


def _parse(argv: list[str]) -> list[str]:
    """Turns a flag that cannot be, or a config file's refusal, into one line."""
    try:
        return flags.FLAGS(argv)
    except (AttributeError, KeyError) as error:
        sys.exit(f"error: the config has no key {str(error).strip(chr(34))}")
    except flags.Error as error:
        told: BaseException = error
        while "Traceback" in str(told) and told.__context__ is not None:
            told = told.__context__  # What the config file said, before absl wrapped it.
        sys.exit(f"error: {' '.join(str(told).split())}")


_CONFIG = config_flags.DEFINE_config_file("config", None, "Config file; it is executed.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; the same again resumes it.")
_DISTRIBUTED = flags.DEFINE_string(
    "distributed",
    None,
    f"How to find the other processes of this training: {distributed.ALLOWED}. "
    "Without it: auto under Slurm and on TPU slices with several, off elsewhere.",
)
flags.mark_flags_as_required(["config", "workdir"])


@one_line_errors
def main(argv: list[str]) -> int:
    """Turns flags into a config and hands over."""
    logging.set_verbosity(logging.WARNING)  # Orbax tells a page about each save.
    if len(argv) > 1:
        raise ValueError(
            f"unknown argument {argv[1]!r}; allowed: --config, --workdir, --distributed, "
            "--config.KEY"
        )
    validate(_CONFIG.value)
    keep_freed_memory()
    configure_host_devices(_CONFIG.value)
    distributed.initialize(_DISTRIBUTED.value)
    workdir = Path(str(_WORKDIR.value))
    with lock(workdir):
        with distributed.run_together():
            train_folds(_CONFIG.value, workdir)
        if not distributed.is_main_process():
            return 0
        if is_evaluable(workdir):
            evaluate(workdir)
        else:
            print(f"trained stage {_CONFIG.value.stage}; there is no encoder to evaluate yet")
    return 0


if __name__ == "__main__":
    sys.exit(app.run(main, flags_parser=_parse))
