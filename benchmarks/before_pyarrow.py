"""Keeps freed memory, as the command does; imported first, since pyarrow starts a thread."""

from gazejax.runtime.allocator import keep_freed_memory

keep_freed_memory()
