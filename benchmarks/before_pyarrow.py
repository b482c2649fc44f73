"""Prepares a process as the command does; imported first: NumPy and pyarrow start threads."""

from gazejax.__main__ import prepare_process

prepare_process()
