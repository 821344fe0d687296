"""Runs made by hand, for tests of reports: nothing is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.reports import writing
from einspec.conformance.run.request import Request
from einspec.conformance.run.run import Run

HOSTILE = "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'> `a` | *b* \u2028 \ud800 {{data}}"
WITNESS = {
    "summary": "Split the last axis.",
    "signature": "x: b n (h d) -> y: b h n d",
    "formula": ["y[b, h, n, d] = x[b, n, (h,d)]"],
    "call": "split_heads(x[1, 2, 4], num_heads=2)",
    "inputs": {"x": "np.arange(1, 9).reshape((1, 2, 4)).astype(np.float32)"},
    "params": {"num_heads": "2"},
    "expected": {"y": "np.arange(4)"},
    "got": {"y": HOSTILE},
    "difference": "y: 4 of 8 elements differ",
    "script": "import numpy as np\nassert not '</script>'",
}


def backend(name: str, *ops: str, device: str = "cpu", **versions: str) -> dict[str, Any]:
    """Return what a run says of a backend."""
    return {
        "name": name,
        "framework": name,
        "bare": False,
        "versions": {name: "1.0", **versions},
        "available": [device],
        "devices": [device],
        "absent": ["tpu"],
        "ops": list(ops),
        "missing": [],
        "python": "3.11.7",
        "platform": "Linux",
    }


def made(*results: Result, asked: tuple[str, ...] = (), **versions: str) -> Run:
    """Return a finished run with these results."""
    names = tuple(dict.fromkeys(r.backend for r in results))
    run = Run(Request(names, asked), list(results))
    for name in names:
        mine = [r for r in results if r.backend == name]
        run.backends[name] = backend(name, *dict.fromkeys(r.op for r in mine), device=mine[0].device, **versions)
    run.complete, run.seconds = True, 1.5
    return run


def one(clause: str, verdict: str, reason: str = "", name: str = "numpy", device: str = "cpu", **more: Any) -> Result:
    """Return a result of the scope tier."""
    return Result(clause, "scope", Verdict(verdict), 3, reason, backend=name, device=device, **more)


def file(folder: Path, name: str, run: Run) -> Path:
    """Return the file that the report of a run was written into."""
    path = folder / f"{name}.jsonl"
    writing.write(run, path)
    return path
