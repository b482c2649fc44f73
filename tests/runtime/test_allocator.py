import json
import os
import subprocess
import sys

import pytest

from tests.tiny import ROOT

# Pages of 200 MB that the system gives to threads one after another, as a share of those of one, in
# a process of its own. Threads take arenas in turn, and pyarrow makes a second one.
CODE = """
import json, resource, sys, threading

from gazejax.runtime.allocator import keep_freed_memory

is_kept = keep_freed_memory() if sys.argv[1] == "keep" else None
import pyarrow

before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    thread = threading.Thread(target=b"x".__mul__, args=(200_000_000,))
    thread.start()
    thread.join()
pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(json.dumps({"is_kept": is_kept, "given": pages * resource.getpagesize() / 2e8}))
"""


def run(mode, **variables):
    command = [sys.executable, "-c", CODE, mode]
    env = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    answer = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=ROOT, env=env | variables
    ).stdout
    return json.loads(answer)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is asked, and Linux counts")
def test_freed_memory_stays_unless_the_user_has_chosen_otherwise():
    assert run("plain")["given"] > 3.9
    assert run("keep") == {"is_kept": True, "given": pytest.approx(1.0, abs=0.1)}
    assert run("keep", MALLOC_TRIM_THRESHOLD_="1000")["is_kept"] is False


def test_the_command_sets_this_before_pyarrow_and_numpy_are_imported():
    code = (
        "import sys, gazejax.__main__; sys.exit(not {'numpy', 'pyarrow'}.isdisjoint(sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
