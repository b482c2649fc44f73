"""One thread for the matrix products of NumPy and SciPy. Ours.

Most of those here take less than a millisecond. OpenBLAS shares each among threads that wait for
each other at full load, which takes longer: up to a hundred times where other programs run too. XLA
has threads of its own.
"""

import os

# Variables with which the user sets the number of threads.
_VARIABLES = ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS")


def use_one_thread() -> bool:
    """Makes OpenBLAS use one thread; to be called before NumPy is imported.

    Returns:
        Whether it was set: not if the user has set a number.
    """
    if any(name in os.environ for name in _VARIABLES):
        return False
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    return True
