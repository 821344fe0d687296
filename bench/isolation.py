"""What isolation costs while nothing goes wrong: a run in watched processes against plain processes that judge the same.

``python bench isolation`` prints CPU seconds of both ways and their ratio. The plain way deals the ops out to as many
processes, which judge their share, say nothing and are not watched. Both ways run in turn; the least of each counts. The
limit is 1.05.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from collections.abc import Sequence

ISOLATED = """
if __name__ == "__main__":
    from einspec.conformance.run.request import Request
    from einspec.conformance.run.run import check
    print(len(check(Request(("numpy",), {ops!r})).results))
"""
PLAIN = """
from einspec import load
from einspec.conformance.clauses import judge
from einspec.conformance.judge.judge import Context
from einspec.conformance.judge.session import Session
from einspec.conformance.targets import find
(target,) = find("numpy")
session = Session(target, "cpu")
ops = [op for op in target.functions if not {ops!r} or op in {ops!r}]
print(sum(1 for op in ops[{share}::{shares}] for _ in judge(Context(session, load(op)))))
"""
LIMIT = 1.05


def cpu_seconds(programs: Sequence[str]) -> tuple[float, int]:
    """Return the CPU seconds of programs side by side with all their processes, and how many results they counted."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    running = [
        subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
        for program in programs
    ]
    counts = [int(process.communicate()[0].split()[-1]) for process in running]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, sum(counts)


def main() -> None:
    """Print both ways and their ratio."""
    parser = argparse.ArgumentParser(prog="python bench isolation", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--op", action="append", default=[], help="only this op; may be repeated")
    parser.add_argument("--rounds", type=int, default=2, help="how often each way runs")
    arguments = parser.parse_args()
    ops, shares = tuple(arguments.op), max(os.cpu_count() or 1, 2)
    plain = [PLAIN.format(ops=ops, share=i, shares=shares) for i in range(shares)]
    programs = {"isolated": [ISOLATED.format(ops=ops)], "plain": plain}
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in programs}
    for _ in range(arguments.rounds):
        for name, program in programs.items():
            found[name].append(cpu_seconds(program))
    if len({count for times in found.values() for _, count in times}) != 1:
        raise SystemExit(f"the two ways did not judge the same: {found}")
    best = {name: min(times)[0] for name, times in found.items()}
    ratio = best["isolated"] / best["plain"]
    print(f"{found['plain'][0][1]:,} results of numpy, CPU seconds: plain {best['plain']:.1f}, isolated {best['isolated']:.1f}")
    print(f"ratio {ratio:.3f}, limit {LIMIT}{'' if ratio <= LIMIT else '   over'}")


if __name__ == "__main__":
    main()
