"""Keeps freed memory in the process, where glibc would return it to the system. Ours.

On a CPU, XLA allocates memory at each step. glibc maps large blocks anew, and the system clears
them page by page, which takes a quarter of a training step.
"""

import ctypes
import os
import sys

# From malloc.h of glibc. One arena: only the main arena grows without bound and keeps all memory.
_OPTIONS = {
    "M_TRIM_THRESHOLD": (-1, 2**31 - 1),
    "M_MMAP_THRESHOLD": (-3, 2**30),
    "M_ARENA_MAX": (-8, 1),
}

# Variables with which the user configures malloc.
_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")


def keep_freed_memory() -> bool:
    """Makes glibc keep freed memory for the next step; to be called before pyarrow is imported.

    pyarrow starts a thread, for which glibc makes a second arena. Threads that start later share
    all arenas there are, and only the first one keeps large blocks.

    Returns:
        Whether the setting was changed: not on other systems, and not if the user configures
        malloc.
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _VARIABLES):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return all(library.mallopt(option, value) for option, value in _OPTIONS.values())
