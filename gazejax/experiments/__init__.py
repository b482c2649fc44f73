"""Training with evaluation, sweeps, and the comparison of runs."""
