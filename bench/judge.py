"""How fast the judge is: whole runs in seconds, and inputs judged a second against drawing them one by one.

``python bench/judge.py`` prints both tables. Whole runs are started as a user starts them, once with an empty compile cache
and once with a warm one. The naive way draws sizes and elements with ``hypothesis.extra.numpy.arrays``, calls the op once an
example and compares with ``assert_allclose``; both ways run in turn in one process, and what counts is their ratio.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from einspec import load, solve
from einspec.conformance.clauses import judge
from einspec.conformance.judge.judge import Context
from einspec.conformance.judge.session import Session
from einspec.conformance.targets import find
from einspec.semantics import oracle

OPS = ("pixel_shuffle", "split_heads", "tile", "unfold")
LIMITS = {"numpy": 50, "torch": 50, "jax": 1000}


def seconds(*command: str, cache: str) -> float:
    """Return the wall time of a command."""
    start = time.perf_counter()
    subprocess.run(command, env={**os.environ, "EINSPEC_CACHE": cache}, stdout=subprocess.DEVNULL, check=False)
    return time.perf_counter() - start


def whole_runs() -> None:
    """Print how long the commands take that a user starts."""
    check = (sys.executable, "-m", "einspec.conformance.cli", "check")
    show = (sys.executable, "-m", "einspec.conformance.cli", "show", "pixel_shuffle")
    with tempfile.TemporaryDirectory() as cache:
        rows = [
            (
                "import einspec",
                0.25,
                min(seconds(sys.executable, "-c", "import einspec", cache=cache) for _ in range(5)),
            ),
            ("einspec show pixel_shuffle", 0.5, min(seconds(*show, cache=cache) for _ in range(5))),
            ("einspec check numpy", 8, seconds(*check, "numpy", cache=cache)),
            ("einspec check numpy torch jax, cold", 60, seconds(*check, "numpy", "torch", "jax", cache=cache)),
            ("einspec check numpy torch jax, warm", 30, seconds(*check, "numpy", "torch", "jax", cache=cache)),
        ]
    print(f"{'command':<40}{'seconds':>10}{'limit':>8}")
    for name, limit, took in rows:
        print(f"{name:<40}{took:>10.2f}{limit:>8}{'' if took <= limit else '   over'}")


def naive_rate(session: Session, op_name: str, examples: int) -> float:
    """Return how many inputs a second the usual property test judges."""
    op = load(op_name)
    function = session.target.call(op)
    wanted = {"pixel_shuffle": ("upscale_factor", 3), "split_heads": ("num_heads", 4), "tile": ("repeats", 3)}
    name, most = wanted.get(op_name, ("kernel_size", 3))

    @hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(st.data())
    def test(data: st.DataObject) -> None:
        k = data.draw(st.integers(1, most))
        n = [data.draw(st.integers(1, 4)) for _ in range(4)]
        shape = {
            "pixel_shuffle": (n[0], n[1] * k * k, n[2], n[3]),
            "split_heads": (n[0], n[1], n[2] * k),
            "tile": (n[0], n[1], n[2]),
        }.get(op_name, (n[0], n[1], n[2] + k, n[3] + k))
        x = data.draw(arrays(np.float32, shape, elements=st.floats(-10, 10, width=32)))
        want = oracle.evaluate(solve(op, [shape], {name: k}), {"x": x})["y"]
        got = function(session.adapter.asarray(x, session.device), **{name: k})
        np.testing.assert_allclose(session.adapter.to_numpy(got), want, rtol=1e-6)

    start = time.perf_counter()
    test()
    return examples / (time.perf_counter() - start)


def our_rates(session: Session, op_name: str) -> dict[str, float]:
    """Return how many inputs a second each tier of the judge judges, compilation included."""
    rates = {}
    for tier in ("scope", "property", "big"):
        context: Any = Context(session, load(op_name), tiers=(tier,))
        start = time.perf_counter()
        results = list(judge(context, ["def"]))
        rates[tier] = sum(r.instances for r in results) / (time.perf_counter() - start)
    return rates


def rates(examples: dict[str, int]) -> None:
    """Print inputs judged a second, and how many times more than the naive way."""
    print(f"\n{'op':<16}{'backend':<9}{'naive/s':>9}{'scope/s':>10}{'property/s':>12}{'best ratio':>12}{'least':>7}")
    for backend, count in examples.items():
        session = Session(find(backend)[0], "cpu")
        for op in OPS:
            naive, ours = naive_rate(session, op, count), our_rates(session, op)
            ratio = max(ours.values()) / naive
            note = "" if ratio >= LIMITS[backend] else "   under"
            print(
                f"{op:<16}{backend:<9}{naive:>9.0f}{ours['scope']:>10.0f}{ours['property']:>12.0f}{ratio:>12.0f}{LIMITS[backend]:>7}{note}"
            )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates-only", action="store_true", help="leave out the whole runs")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if not arguments.rates_only:
        whole_runs()
    rates({"numpy": 300, "torch": 300, "jax": 15})


if __name__ == "__main__":
    main()
