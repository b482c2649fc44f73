"""A run's folder: checkpoints, guards, lock."""
