"""Protocols, baselines and the report of an evaluation."""
