"""Modules that all builders share: record, digests, coordinates, files, build and checks."""
