"""Times `gazejax report` on an evaluated run, and says how large the page is.

    python benchmarks/report.py runs/osie

The whole command in a process of its own, its imports included: the median of three, in seconds.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Prints the seconds and the megabytes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="the workdir of an evaluated run")
    run = parser.parse_args().run
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        command = [sys.executable, "-m", "gazejax", "report", str(run), "--out", str(page)]
        seconds = []
        for _ in range(3):
            started = time.monotonic()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.monotonic() - started)
        size = page.stat().st_size
    print(f"{statistics.median(seconds):.1f} s, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
