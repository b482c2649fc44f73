"""Keeps a workdir to one run."""

import contextlib
import fcntl
import os
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path

from gazejax.runtime import distributed


@contextlib.contextmanager
def lock(workdir: Path) -> Iterator[None]:
    """Keeps a workdir to one run; the system drops the lock with its process 0, however it ends.

    Raises:
        BlockingIOError: if another one has it, naming its process and host.
        ValueError: if the processes of this run do not see the same folder.
    """
    path = workdir / ".lock"
    with contextlib.ExitStack() as stack:
        if distributed.is_main_process():
            workdir.mkdir(parents=True, exist_ok=True)
            stack.enter_context(_lock_file(path))
        distributed.barrier("the workdir is locked")
        seen = zlib.crc32(path.read_bytes()) if path.is_file() else 0
        distributed.check_same(f"{path}, so not all see one folder: checksum", seen)
        yield


@contextlib.contextmanager
def _lock_file(path: Path) -> Iterator[None]:
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise BlockingIOError(
                f"{path.parent} is in use by {file.read().strip() or 'another process'}: wait for "
                "it, or take another workdir"
            ) from error
        # The text of an ended process is stale: no process holds the lock.
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        os.fsync(file.fileno())  # Other machines shall read it.
        yield
