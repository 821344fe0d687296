"""How fast the judge is: whole commands as a user starts them, and whose CPU seconds they are.

``python bench judge`` prints, for each command, wall seconds, the second after which the first word was printed, CPU seconds of
all its processes, and the share of these in the processes of the candidates and their frameworks. Commands marked *cold* begin
with an empty cache. CPU seconds are the steady figure: wall seconds count on a quiet machine with two cores.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil

LOOK = 0.05
"""Seconds between two looks at the processes."""
NUMPY = """
def pixel_shuffle(x, *, upscale_factor):
    r = upscale_factor
    *batch, c, h, w = x.shape
    y = x.reshape(*batch, c // (r * r), r, r, h, w)
    n = len(batch)
    return y.transpose(*range(n), n, n + 3, n + 1, n + 4, n + 2).reshape(*batch, c // (r * r), h * r, w * r)
"""
TORCH = "from torch.nn.functional import pixel_shuffle\n"
BACKENDS = ("numpy", "torch", "jax", "einops-numpy", "einops-torch", "einops-jax")


class Used(NamedTuple):
    """What a command took."""

    wall: float
    first: float
    cpu: float
    candidates: float

    def row(self, name: str, limit: float) -> str:
        """Return a line of the table."""
        share = f"{self.candidates / max(self.cpu, 0.01):.0%}"
        over = "" if self.wall <= limit else "   over"
        return f"{name:<36}{self.wall:>8.1f}{limit:>7.0f}{self.first:>8.1f}{self.cpu:>8.1f}{share:>7}{over}"


def used(*arguments: str, cache: str) -> Used:
    """Run the command line of einspec and watch its processes until they end."""
    environment = {**os.environ, "EINSPEC_CACHE": cache, "OMP_NUM_THREADS": "1"}
    start, first = time.perf_counter(), 0.0
    command = [sys.executable, "-u", "-m", "einspec.conformance.cli", *arguments]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    family, seconds = psutil.Process(process.pid), dict[tuple[int, float], tuple[bool, float]]()
    while process.poll() is None:
        if process.stdout.read() and not first:
            first = time.perf_counter() - start
        with contextlib.suppress(psutil.Error):
            for one in [family, *family.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    times = one.cpu_times()
                    candidate = "einspec.conformance.runner" in one.cmdline()
                    seconds[one.pid, one.create_time()] = candidate, times.user + times.system
        time.sleep(LOOK)
    wall = time.perf_counter() - start
    candidates = sum(s for candidate, s in seconds.values() if candidate)
    return Used(wall, first or wall, sum(s for _, s in seconds.values()), candidates)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python bench judge", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the files and numpy alone, with what is kept")
    quick = parser.parse_args().quick
    print(f"{'command':<36}{'wall s':>8}{'limit':>7}{'first':>8}{'CPU s':>8}{'theirs':>7}")
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as fresh:
        for framework, source, limit in (("NumPy", NUMPY, 2), ("torch", TORCH, 4)):
            path = Path(folder) / f"in_{framework.lower()}.py"
            path.write_text(source, encoding="utf-8")
            used("check", str(path), cache=folder)
            print(used("check", str(path), cache=folder).row(f"one function, {framework}", limit))
        if not quick:
            print(used("check", "numpy", cache=fresh).row("numpy, cold", 60))
        used("check", "numpy", cache=folder)
        print(used("check", "numpy", cache=folder).row("numpy", 6))
        if not quick:
            print(used("check", *BACKENDS, cache=fresh).row("six backends, sheets of numpy there", 150))
            print(used("check", *BACKENDS, cache=fresh).row("six backends", 60))


if __name__ == "__main__":
    main()
