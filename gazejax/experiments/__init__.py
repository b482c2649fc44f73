"""Training with evaluation, sweeps, and the comparison of runs."""

from gazejax.experiments.comparison import compare
from gazejax.experiments.run import train_and_evaluate
from gazejax.experiments.sweep import print_commands, run_sweep
from gazejax.experiments.sweep_file import plan, read_sweep

__all__ = [
    "compare",
    "plan",
    "print_commands",
    "read_sweep",
    "run_sweep",
    "train_and_evaluate",
]
