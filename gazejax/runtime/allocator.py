"""Keeps memory that was freed, where the C library would give it back to the system. Ours.

XLA on a CPU allocates what a step needs anew at every step. glibc maps each large piece freshly,
and the system then clears it page by page: a quarter of the time of a training step.
"""

import ctypes
import os
import sys

# Of glibc's malloc.h. One arena: only the main one grows without bound, so that it can keep all.
_OPTIONS = {
    "M_TRIM_THRESHOLD": (-1, 2**31 - 1),
    "M_MMAP_THRESHOLD": (-3, 2**30),
    "M_ARENA_MAX": (-8, 1),
}

# By these the user has chosen otherwise.
_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")


def keep_freed_memory() -> bool:
    """Tells glibc to keep freed memory for the next step; to be called before JAX starts.

    Returns:
        Whether it did: not on another system, and not where the user has set up malloc.
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _VARIABLES):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return all(library.mallopt(option, value) for option, value in _OPTIONS.values())
