"""What measurements are made of: calls that take turns on one core, the least CPU time of each, and a line for every ratio.

New memory has been used before (the allocator keeps it, once ``steady`` is called): page faults would drown an op in noise.
JAX functions are compiled by ``jax.jit`` first.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import itertools
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax  # after the process is bound to one core
import jax.numpy as jnp
import numpy as np
import torch

torch.set_num_threads(1)

Array = np.ndarray[Any, Any]
Thunk = Callable[[], Any]

ATTEMPTS = 3
"""How often a contest is held until every target is met; the least of all its times counts, on every side."""
SHARE, LEAST, SLOW = 0.15, 1e-4, 4.0
"""Seconds that each side may take in an attempt, that one timing of it takes at least, and that leave one call at that."""


@dataclass(frozen=True)
class Rival:
    """What an op is compared with, and how many times as long the op may take; None where that is only told."""

    name: str
    thunk: Thunk
    most: float | None = None


@dataclass(frozen=True)
class Contest:
    """An op and its rivals."""

    what: str
    ours: Thunk
    rivals: Sequence[Rival]


@dataclass(frozen=True)
class Line:
    """One ratio, and what it may be at most."""

    what: str
    against: str
    ratio: float
    most: float | None = None

    @property
    def missed(self) -> bool:
        """Whether the ratio is above its target."""
        return self.most is not None and self.ratio > self.most

    def __str__(self) -> str:
        """Return the line of the table."""
        target, verdict = ("-", "") if self.most is None else (short(self.most), "MISSED" if self.missed else "met")
        return f"{self.what:<62}{self.against:<34}{short(self.ratio):>8}{target:>8}  {verdict}".rstrip()


def short(ratio: float) -> str:
    """Return a ratio with two digits after the point, or as a fraction of 1."""
    return f"{ratio:.2f}" if ratio > 0.2 else f"1/{1 / ratio:.0f}" if ratio > 0 else "0"


def steady() -> None:
    """Make the allocator keep all memory that was used once, for every thread; only the GNU C library can."""
    with contextlib.suppress(AttributeError, OSError):
        mmap_max, trim_threshold, arena_max = -4, -1, -8
        for parameter, value in ((mmap_max, 0), (trim_threshold, -1), (arena_max, 1)):
            ctypes.CDLL(None).mallopt(parameter, value)


def tensors(framework: str, *arrays: Array) -> list[Any]:
    """Return the same bits as arrays of a framework."""
    backend = importlib.import_module(f"einspec.impls.{framework}")
    return [backend.asarray(a, "cpu") for a in arrays]


def ops(framework: str) -> Any:
    """Return the backend of a framework."""
    return importlib.import_module(f"einspec.impls.{framework}")


def call(framework: str, function: Callable[..., Any], *xs: Any, grad: bool = False, **params: Any) -> Thunk:
    """Return a call that is finished when it returns; on request with the gradients of all floating inputs."""
    function = functools.partial(function, **params)
    if framework == "jax":
        compiled = jax.jit(_differentiated(function, xs) if grad else function)
        return lambda: jax.block_until_ready(compiled(*xs))  # type: ignore[no-untyped-call]
    if framework == "numpy" or not grad:
        return torch.no_grad()(functools.partial(function, *xs)) if framework == "torch" else functools.partial(function, *xs)
    xs = tuple(x.detach().requires_grad_(x.is_floating_point()) for x in xs)
    leaves, outer = [x for x in xs if x.requires_grad], torch.ones_like(function(*xs))
    return lambda: torch.autograd.grad(function(*xs), leaves, outer)


def in_turn(framework: str, function: Callable[..., Any], inputs: Sequence[Any], **params: Any) -> Thunk:
    """Return a call whose only input is another each time: a processor learns the branches of one that comes again."""
    turns, function = itertools.cycle(inputs), functools.partial(function, **params)
    if framework == "jax":
        compiled = jax.jit(function)
        return lambda: jax.block_until_ready(compiled(next(turns)))  # type: ignore[no-untyped-call]
    return lambda: function(next(turns))


def _differentiated(function: Callable[..., Any], xs: Sequence[Any]) -> Callable[..., Any]:
    floats = [i for i, x in enumerate(xs) if jnp.issubdtype(x.dtype, jnp.floating)]

    def both(*xs: Any) -> Any:
        given = dict(enumerate(xs))
        y, pull = jax.vjp(
            lambda *own: function(*(given | dict(zip(floats, own, strict=True))).values()), *(xs[i] for i in floats)
        )
        return y, pull(jnp.ones_like(y))

    return both


def memory(thunk: Thunk) -> int | None:
    """Return the bytes that a call needs at most, above what is held before; None where the system does not tell."""
    thunk()
    usage, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    try:
        time.sleep(0.2)  # JAX frees memory a moment later
        ctypes.CDLL(None).malloc_trim(0)
        reset.write_text("5")  # the peak starts anew
        before = _kib(usage, "VmRSS")
        thunk()
        return 1024 * (_kib(usage, "VmHWM") - before)
    except (AttributeError, OSError):
        return None


def _kib(usage: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in usage.read_text().splitlines() if line.startswith(name))


def race(thunks: Sequence[Thunk]) -> list[float]:
    """Return the least CPU seconds a call of each takes; they take turns until each has had its share of time."""
    first = [_seconds(thunk, 1) for thunk in thunks]  # compiles, and takes memory
    best = [took if took > SLOW else _seconds(thunk, 1) for thunk, took in zip(thunks, first, strict=True)]
    calls, spent = [math.ceil(LEAST / max(b, 1e-9)) for b in best], best.copy()
    while min(spent) < SHARE:
        for i, thunk in enumerate(thunks):
            if spent[i] < SHARE:
                took = _seconds(thunk, calls[i])
                best[i], spent[i] = min(best[i], took), spent[i] + took * calls[i]
    return best


def _seconds(thunk: Thunk, calls: int) -> float:
    start = time.process_time()
    for _ in range(calls):
        thunk()
    return (time.process_time() - start) / calls


def lines(contests: Iterable[Contest | Line]) -> Iterator[Line]:
    """Hold the contests, and yield a line for every rival."""
    for contest in contests:
        if isinstance(contest, Line):
            yield contest
            continue
        thunks = [contest.ours, *(r.thunk for r in contest.rivals)]
        times, again = [math.inf] * len(thunks), list(range(len(thunks)))
        found: list[Line] = []
        for _ in range(ATTEMPTS):
            for i, took in zip(again, race([thunks[i] for i in again]), strict=True):
                times[i] = min(times[i], took)
            found = [Line(contest.what, r.name, times[0] / t, r.most) for r, t in zip(contest.rivals, times[1:], strict=True)]
            again = [0, *(i for i, line in enumerate(found, 1) if line.missed)]
            if len(again) == 1:
                break
        yield from found
