"""Prepares a process as the command does; imported first: NumPy and pyarrow start threads."""

from gazejax.runtime.allocator import keep_freed_memory
from gazejax.runtime.blas import use_one_thread

keep_freed_memory()
use_one_thread()
