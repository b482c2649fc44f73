import json
import os
import subprocess
import sys

import pytest

from tests.tiny import ROOT

# What is left of 200 MB in use after they were freed, in a process of its own.
CODE = """
import json, os, runpy, sys
import numpy as np

keep_freed_memory = runpy.run_path("gazejax/runtime/allocator.py")["keep_freed_memory"]

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

is_kept = keep_freed_memory() if sys.argv[1] == "keep" else None
before = resident()
array = np.ones(25_000_000)
del array
print(json.dumps({"is_kept": is_kept, "left": (resident() - before) / 2e8}))
"""


def run(mode, **variables):
    command = [sys.executable, "-c", CODE, mode]
    env = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    answer = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=ROOT, env=env | variables
    ).stdout
    return json.loads(answer)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is asked, and Linux how much is in use")
def test_freed_memory_stays_unless_the_user_has_chosen_otherwise():
    assert run("plain")["left"] < 0.1
    assert run("keep") == {"is_kept": True, "left": pytest.approx(1.0, abs=0.1)}
    assert run("keep", MALLOC_TRIM_THRESHOLD_="1000")["is_kept"] is False
