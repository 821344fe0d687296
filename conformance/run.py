"""Judging several targets side by side, one process each, and gathering what they say."""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal

import numpy as np

from einspec.card import load, paths
from einspec.conformance import TIERS
from einspec.conformance.judge import Result

Message = tuple[str, Any]
VERSIONS = ("numpy", "torch", "jax", "jaxlib", "einops", "ml_dtypes", "hypothesis")


@dataclass(frozen=True)
class Request:
    """What is asked for: ops, devices and tiers, empty for all."""

    names: tuple[str, ...]
    ops: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    tiers: tuple[str, ...] = TIERS
    strict: bool = False
    ties: Literal["first", "any"] = "first"


@dataclass
class Run:
    """What became of a request."""

    request: Request
    results: list[Result] = field(default_factory=list)
    backends: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By backend: versions, devices that were judged, devices that are not there, ops that it defines."""
    problems: list[str] = field(default_factory=list)
    """What was asked for and could not be judged at all."""
    seconds: float = 0.0
    complete: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """The number of results by verdict."""
        counts: dict[str, int] = {}
        for result in self.results:
            counts[result.verdict] = counts.get(result.verdict, 0) + 1
        return counts

    @property
    def passed(self) -> bool:
        """Whether everything that was asked for was judged and holds."""
        failing = {"wrong", "errored"} | ({"refused"} if self.request.strict else set())
        judged = {r.backend for r in self.results if r.instances and r.verdict == "holds"}
        return (
            self.complete
            and not self.problems
            and not any(r.verdict in failing for r in self.results)
            and bool(self.backends)
            and judged >= set(self.backends)
        )


def cache_directory() -> Path:
    """Return where compiled code is kept between runs."""
    root = os.environ.get("EINSPEC_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "einspec"


def check(request: Request, listen: Callable[[str, Any], None] = lambda kind, data: None) -> Run:
    """Judge what is asked for and return the run.

    Args:
        request: what is asked for.
        listen: told what happens: ``backend`` (a description), ``start`` (op about to be judged), ``result``.
    """
    run, started = Run(request), time.perf_counter()
    samples: dict[str, dict[str, Any]] = {}
    try:
        for kind, data in _messages(request):
            if kind == "backend":
                known = run.backends.setdefault(data["name"], data)
                known["ops"] = sorted({*known["ops"], *data["ops"]}, key=list(paths()).index)
            elif kind == "result":
                run.results.append(data)
            elif kind == "problem":
                run.problems.append(data)
            elif kind == "sample":
                samples.setdefault(data["op"], {})[data["backend"]] = data
            listen(kind, data)
        run.backends = dict(sorted(run.backends.items(), key=lambda item: asked_at(request, item[0])))
        run.results.sort(key=lambda r: (list(run.backends).index(r.backend), r.device, list(paths()).index(r.op)))
        run.results += agreements(samples)
        run.problems += _missing(run)
        run.complete = True
    except KeyboardInterrupt:
        run.problems.append("interrupted: the results so far are kept")
    run.seconds = round(time.perf_counter() - started, 2)
    return run


def asked_at(request: Request, backend: str) -> int:
    """Return the place of a backend among the names that were asked for."""
    names = [name if backend == name else Path(name).name for name in request.names]
    return next((i for i, name in enumerate(names) if backend == name or backend.startswith(f"{name} (")), len(names))


def _missing(run: Run) -> Iterator[str]:
    """Yield what was asked for by name and is nowhere."""
    for op in run.request.ops:
        if not any(r.op == op for r in run.results):
            yield f"{op}: none of {', '.join(run.backends) or 'the targets'} defines it"
    for name, backend in run.backends.items():
        if run.request.ops and not set(run.request.ops) & set(backend["ops"]):
            yield f"{name}: unsupported, it does not define {', '.join(run.request.ops)}"
    for device in run.request.devices:
        if not any(device in (r.device, r.device.partition(":")[0]) for r in run.results):
            have = "; ".join(f"{n} has {', '.join(b['available'])}" for n, b in run.backends.items())
            yield f"{device}: not run, no backend has this device here ({have})"


def _messages(request: Request) -> Iterator[Message]:
    """Yield what the processes say, as many of them at once as there are processors."""
    context = multiprocessing.get_context("spawn")
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")  # read when the processes start; they are side by side already
    limit = max(os.cpu_count() or 1, 2)
    waiting = [
        (name, share) for name in sorted(request.names, key=lambda n: "jax" not in n) for share in shares(name, request, limit)
    ]
    running: dict[Connection, tuple[str, Any, list[Result]]] = {}
    finished: set[Connection] = set()
    try:
        while waiting or running:
            while waiting and len(running) <= limit:  # one more than processors, so that none waits for the slowest
                (name, share), (ours, theirs) = waiting.pop(0), context.Pipe(duplex=False)
                process = context.Process(target=work, args=(name, request, share, theirs), daemon=True)
                process.start()
                theirs.close()
                running[ours] = name, process, []
            for connection in wait(list(running)):
                assert isinstance(connection, Connection)
                name, process, current = running[connection]
                try:
                    message: Message = connection.recv()
                except EOFError:
                    process.join()
                    del running[connection]
                    yield from _last_words(name, process.exitcode, current, connection in finished)
                    continue
                if message[0] == "start":
                    current[:] = [message[1]]
                elif message[0] in ("done", "problem"):
                    current.clear()
                    finished.add(connection)
                yield message
    finally:
        for _, process, _ in running.values():
            process.kill()


def shares(name: str, request: Request, limit: int) -> list[slice]:
    """Return how the ops of a name are dealt out to processes.

    One each for several names, all processors for a single one and for JAX, which compiles longest; one for a file.
    """
    if "jax" in name and not name.endswith(".py"):
        return [slice(i, None, limit) for i in range(limit)]
    parts = 1 if name.endswith(".py") or Path(name).is_file() else max(limit // len(request.names), 1)
    return [slice(i, None, parts) for i in range(parts)]


def _last_words(name: str, code: int | None, current: list[Result], finished: bool) -> Iterator[Message]:
    """Yield what is to be said of a process that ended: nothing, unless it died over an op."""
    for result in current:
        reason = f"the process ended with status {code} while it judged {result.op}; the ops after it were not run"
        result.verdict, result.reason = "errored", reason
        yield "result", result
    if not finished and not current:
        yield "problem", f"{name}: the process ended with status {code}"


def work(name: str, request: Request, share: slice, out: Connection) -> None:
    """Judge one name in a process of its own; everything said goes through the pipe."""
    from einspec.conformance.targets import TargetError, find

    try:
        targets = find(name)
    except TargetError as error:
        out.send(("problem", str(error)))
        return
    for target in targets:
        for message in judge_target(target, request, share):
            out.send(message)
    out.send(("done", name))


def judge_target(target: Any, request: Request, share: slice = slice(None)) -> Iterator[Message]:
    """Yield what becomes of a share of the ops of a target on every device that is asked for."""
    from einspec.conformance.behaviour import agreement
    from einspec.conformance.clauses import judge
    from einspec.conformance.judge import Context
    from einspec.conformance.session import Session

    if hasattr(target.adapter, "start"):
        target.adapter.start(cache_directory())
    available = list(target.adapter.devices())
    chosen = [d for d in available if not request.devices or {d, d.partition(":")[0]} & set(request.devices)]
    ops = [op for op in target.functions if not request.ops or op in request.ops][share]
    yield "backend", describe(target, available, chosen, ops)
    for device in chosen:
        session = Session(target, device)
        for op in ops:
            yield "start", Result(f"{op}/def", "scope", "not run", backend=target.name, device=device)
            context = Context(session, load(op), request.strict, request.tiers, request.ties)
            for result in judge(context):
                result.backend, result.device = target.name, device
                yield "result", result
            sample = agreement(context)
            if sample is not None and device == chosen[0]:
                yield "sample", {**sample, "op": op, "backend": target.name, "device": device}
            yield "finished", op


def describe(target: Any, available: list[str], chosen: list[str], ops: list[str]) -> dict[str, Any]:
    """Return what a report says of a backend before its results."""
    loaded = [p for p in VERSIONS if p in sys.modules]
    known = [d for d in getattr(target.adapter, "known_devices", ()) if not any(a.partition(":")[0] == d for a in available)]
    return {
        "name": target.name,
        "framework": target.framework,
        "bare": target.bare,
        "versions": {p: importlib.metadata.version(p) for p in loaded},
        "available": available,
        "devices": chosen,
        "absent": known,
        "ops": ops,
        "missing": [] if target.bare else [op for op in paths() if op not in target.functions],
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def agreements(samples: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[Result]:
    """Yield for every op whether each backend agrees with the first one on the same input."""
    for op, by_backend in samples.items():
        (first, reference), *others = sorted(by_backend.items(), key=lambda item: ("einops" in item[0], item[0]))
        for name, sample in others:
            if sample["case"] != reference["case"]:
                yield Result(
                    f"{op}/agree",
                    "scope",
                    "not run",
                    0,
                    f"{name} refuses the call that {first} was given",
                    None,
                    name,
                    sample["device"],
                )
                continue
            where = _disagreement(reference, sample)
            verdict: Any = "wrong" if where else "holds"
            reason = f"{where} on {sample['case']}" if where else f"with {first}"
            data = {"call": f"{op}({sample['case']})", "difference": f"{first} and {name} differ: {where}"} if where else None
            yield Result(f"{op}/agree", "scope", verdict, 1, reason, data, name, sample["device"])


def _disagreement(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    from einspec.conformance.compare import Expected, difference

    triples = zip(one["outputs"], other["outputs"], one["how"], one["bounds"], strict=True)
    for i, (a, b, how, bound) in enumerate(triples):
        bounds = 2 * np.asarray(bound) if how == "bound" else None
        want = Expected(a.astype(np.float64) if how == "bound" else a, how, bounds, a.dtype.name)
        found = difference(b, want)
        if found is not None:
            return f"output {i}: {found.problem}"
    return ""


def total_ops(backends: Iterable[Mapping[str, Any]]) -> int:
    """Return how many ops are judged in all, over devices."""
    return sum(len(b["ops"]) * len(b["devices"]) for b in backends)
