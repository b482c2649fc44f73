"""Processes, signals, files, caches and devices."""
