"""The command, as `gazejax`, `python -m gazejax` and `train.py` start it."""

import sys
from collections.abc import Sequence

from gazejax.runtime.allocator import keep_freed_memory
from gazejax.runtime.blas import use_one_thread


def prepare_process() -> None:
    """Sets up memory and threads; to be called before NumPy and pyarrow are imported."""
    keep_freed_memory()
    use_one_thread()


def main(argv: Sequence[str] | None = None) -> int:
    """Prepares the process, then runs the command; see `gazejax.cli.main`."""
    prepare_process()
    from gazejax.cli.main import main as run  # Imports NumPy, and pyarrow, which starts a thread.

    return run(argv)


if __name__ == "__main__":
    sys.exit(main())
