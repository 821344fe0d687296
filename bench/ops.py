"""Time every op of the NumPy, PyTorch and JAX backends against what users would call instead, in one run on one thread.

    python bench/ops.py [--quick] [--misses] [--framework NAME] [op ...]

Three baselines take turns with the op; the least of several rounds counts, and only ratios are printed:

* ``framework``: the fastest of the framework's own ways to say the same, from the ``same_as`` lines of the cards;
* ``einops``: the pattern that the signature is, or the einops line of the card;
* ``copy``: a copy of the bytes of the output, or of the input where that is larger. This is what memory allows: new
  memory comes faster only to an op that reads less than it writes (a repeat, overlapping windows), and moving single
  elements across cache lines (pixel shuffle, a transpose) takes a small multiple of it.

``large`` rows take tens of MiB. What comes back as a view of the input is copied to contiguous memory, on every side
that returns one, so that all have done the same work; such rows say ``(view)``. ``tiny`` rows take a few dozen elements
and leave views as they are; ``us over`` is what an op costs above its body without the argument checks. JAX ops and
their rivals are compiled by ``jax.jit`` first.

New memory has been used before (the allocator keeps it), since page faults would drown the op in noise; values are
random. A row that misses is timed again before it counts. A ratio above 1.1, or more than 2 us over, is marked ``!``; the
footer says why where no remedy is known.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import functools
import importlib
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import einops  # after the process is bound to one core
import jax
import jax.numpy as jnp
import numpy as np
import torch

import einspec
from einspec.calls import cases
from einspec.card import Op
from einspec.language.formula import Axis, Group
from einspec.language.linear import OpClass
from einspec.solve import Solution, dimension_text

torch.set_num_threads(1)
with contextlib.suppress(AttributeError, OSError):  # only the GNU C library has it
    _MMAP_MAX, _TRIM_THRESHOLD = -4, -1
    ctypes.CDLL(None).mallopt(_MMAP_MAX, 0)
    ctypes.CDLL(None).mallopt(_TRIM_THRESHOLD, 2**31 - 1)

Array = np.ndarray[Any, Any]
Thunk = Callable[[], Any]
FRAMEWORKS = ("numpy", "torch", "jax")
RATIO, MICROSECONDS = 1.1, 2.0
"""What an op may cost at most: times the best rival on large tensors, above a bare call on tiny ones."""
ATTEMPTS = 5
"""How often a row is timed until it meets its target; the least of all its times counts, on every side."""


@dataclass(frozen=True)
class Call:
    """One call that is timed: the shapes of the inputs, a listed one as that of its stack, and the parameters."""

    shapes: tuple[tuple[int, ...], ...]
    params: dict[str, Any]

    def __str__(self) -> str:
        """Return shapes and parameters in short."""
        shapes = ["x".join(map(str, s)) for s in self.shapes]
        return " ".join([*shapes, *(f"{k}={v}".replace(" ", "") for k, v in self.params.items())])


def at(*shape: int, **params: Any) -> Call:
    """Return the call of an op with one input, or none where no shape is given."""
    return Call((shape,) if shape else (), params)


def of(*shapes: tuple[int, ...], **params: Any) -> Call:
    """Return the call of an op with several inputs."""
    return Call(shapes, params)


LARGE: dict[str, list[Call]] = {
    "batch_to_space": [at(32, 128, 128, 16, block_size=2)],
    "channel_shuffle": [at(32, 64, 64, 64, groups=4)],
    "depth_to_space": [at(32, 16, 128, 128, block_size=2), at(32, 128, 128, 16, block_size=2, layout="nhwc")],
    "patch_merge": [at(32, 64, 64, 64)],
    "patch_unmerge": [at(32, 32, 32, 256)],
    "patchify": [at(16, 3, 384, 384, patch_size=16), at(16, 3, 384, 384, patch_size=16, order="cpq")],
    "pixel_shuffle": [
        at(32, 16, 128, 128, upscale_factor=2),
        at(2, 16, 512, 512, upscale_factor=2),
        at(1, 12, 256, 256, upscale_factor=2),
        at(14, 36, 128, 128, upscale_factor=3),
        at(32, 16, 128, 128, upscale_factor=4),
    ],
    "pixel_unshuffle": [
        at(32, 4, 256, 256, downscale_factor=2),
        at(14, 4, 384, 384, downscale_factor=3),
        at(32, 1, 512, 512, downscale_factor=4),
    ],
    "space_to_batch": [at(8, 256, 256, 16, block_size=2), at(8, 250, 250, 16, block_size=2, paddings=3)],
    "space_to_depth": [at(32, 4, 256, 256, block_size=2), at(8, 256, 256, 16, block_size=2, layout="nhwc")],
    "unpatchify": [
        at(16, 576, 768, patch_size=16, height=384, width=384),
        at(16, 576, 768, patch_size=16, height=384, width=384, order="cpq"),
    ],
    "merge_heads": [at(8, 16, 1024, 64)],
    "merge_qkv": [at(3, 8, 16, 512, 64), at(3, 8, 16, 512, 64, layout="h3d")],
    "repeat_kv": [at(4, 8, 512, 128, num_repeats=4)],
    "rope_half_to_interleaved": [at(8, 16, 512, 128)],
    "rope_interleaved_to_half": [at(8, 16, 512, 128)],
    "split_heads": [at(8, 1024, 1024, num_heads=16)],
    "split_qkv": [at(8, 512, 2304, num_heads=12), at(8, 512, 2304, num_heads=12, layout="h3d")],
    "split_qkv_grouped": [at(8, 512, 3072, num_kv_heads=8, num_queries_per_kv=4)],
    "channels_first": [at(32, 128, 128, 16), at(8, 64, 64, 256)],
    "channels_last": [at(32, 16, 128, 128), at(8, 256, 64, 64)],
    "concat": [at(4, 2048, 1024), at(4, 2048, 1024, axis=1)],
    "cyclic_permute": [at(32, 64, 64, 64)],
    "expand_dims": [at(64, 128, 1024)],
    "flatten_leading": [at(64, 128, 1024)],
    "interleave": [at(4, 2048, 1024), at(2, 2048, 2048, axis=1)],
    "matrix_transpose": [at(2048, 4096), at(64, 256, 512)],
    "repeat_interleave": [at(2048, 1024, repeats=4), at(2048, 1024, repeats=4, axis=1)],
    "repeat_new_axis": [at(2048, 1024, num_repeats=4), at(2048, 1024, num_repeats=4, axis=-1)],
    "split": [at(8192, 1024, parts=4), at(2048, 4096, parts=4, axis=1)],
    "squeeze": [at(1, 8192, 1024)],
    "stack": [at(4, 2048, 1024), at(4, 2048, 1024, axis=-1)],
    "swap_hw": [at(32, 64, 64, 64), at(32, 64, 64, 64, layout="nhwc")],
    "tile": [at(2048, 1024, repeats=4), at(2048, 1024, repeats=4, axis=1)],
    "unflatten": [at(8192, 1024, sizes=(64, -1))],
    "unstack": [at(4, 2048, 1024), at(2048, 1024, 4, axis=-1)],
    "flip": [at(64, 128, 1024, axis=1), at(64, 128, 1024, axis=-1)],
    "pad": [
        at(64, 128, 1024, before=4, after=4, axis=1),
        at(64, 128, 1024, before=4, after=4, axis=1, mode="reflect"),
        at(64, 128, 1024, before=4, after=4, axis=-1, mode="wrap"),
    ],
    "roll": [at(64, 128, 1024, shift=3, axis=1), at(64, 128, 1024, shift=-3, axis=-1)],
    "rot90": [at(2048, 4096), at(16, 256, 256, 8, axis=1)],
    "merge_qkv_contiguous": [of((8, 32, 512, 64), (8, 8, 512, 64), (8, 8, 512, 64))],
    "mrope_select": [at(3, 16, 8192, 64, sections=(16, 24, 24))],
    "split_qkv_contiguous": [at(8, 512, 3072, num_heads=32, num_kv_heads=8)],
    "moveaxis": [at(64, 128, 1024, source=0, destination=-1)],
    "permute_dims": [at(32, 64, 64, 64, axes=(0, 3, 1, 2))],
    "swapaxes": [at(64, 128, 1024, axis1=0, axis2=1)],
    "cache_read": [of((16, 8, 2048, 64), (16,), tokens=1024), of((16, 8, 2048, 64), (16,), tokens=1024, mode="circular")],
    "cache_update": [
        of((16, 8, 1024, 64), (16, 8, 16, 64), (16,)),
        of((16, 8, 1024, 64), (16, 8, 16, 64), (16,), mode="circular"),
    ],
    "paged_gather": [of((1024, 16, 8, 64), (16, 64), (16,), tokens=1024)],
    "paged_write": [of((1024, 16, 8, 64), (4096, 8, 64), (4096,))],
    "narrow": [at(64, 128, 1024, start=8, length=96, axis=1), at(64, 128, 1024, start=1, length=512, axis=2, step=2)],
    "pad_back": [of((8192, 1024), (16, 1024))],
    "padded_to_ragged": [of((64, 256, 512), (64,), rows=12_800)],
    "ragged_to_padded": [of((12_800, 512), (64,), capacity=256)],
    "unpad": [of((16, 1024, 1024), (16, 1024), rows=8192)],
    "masked_scatter": [of((16, 1024, 1024), (16, 1024), (8192, 1024))],
    "one_hot": [at(65_536, classes=256)],
    "scatter": [of((8192, 1024), (2048, 1024), (2048, 1024), axis=0)],
    "scatter_add": [of((8192, 1024), (2048, 1024), (2048, 1024), axis=0)],
    "take": [of((32_768, 512), (16_384,), axis=0), of((4096, 2048), (1024,), axis=1)],
    "take_along": [of((4096, 2048), (4096, 1024), axis=1)],
    "context_parallel_merge": [at(4, 8, 2048, 256), at(4, 8, 2048, 256, order="striped")],
    "context_parallel_split": [at(8, 8192, 256, ranks=4), at(8, 8192, 256, ranks=4, order="striped")],
    "causal_mask": [at(q_len=4096, kv_len=4096)],
    "document_mask": [at(8, 1024)],
    "reverse_sequence": [of((64, 256, 512), (64,))],
    "sequence_mask": [at(8192, max_length=4096)],
    "avg_pool_blocks": [at(32, 16, 128, 128, kernel_size=2), at(32, 16, 128, 128, kernel_size=4)],
    "channel_max_pool": [at(32, 16, 128, 128), at(8, 256, 64, 64)],
    "global_avg_pool": [at(32, 16, 128, 128), at(32, 512, 16, 16)],
    "global_max_pool": [at(32, 16, 128, 128), at(32, 512, 16, 16)],
    "max_pool_blocks": [at(32, 16, 128, 128, kernel_size=2), at(32, 16, 128, 128, kernel_size=4)],
    "maxout": [at(32, 16, 128, 128, pool_size=4)],
    "chunk_overlap": [at(8, 1024, 512, window_size=64)],
    "look_around": [at(8, 32, 64, 256, backward=1, forward=1)],
    "pad_to_multiple": [at(8, 1000, 1024, multiple=64)],
    "skew": [at(8, 8, 256, 511), at(8, 8, 256, 256)],
    "sliding_window": [at(8, 512, 128, left=8, right=7)],
    "sliding_window_mask": [at(seq_len=4096, left=256, right=0)],
    "unskew": [at(8, 8, 256, 256, num_distances=511), at(8, 8, 256, 256, num_distances=256)],
    "cyclic_shift": [at(16, 64, 64, 128, shift=3)],
    "fold": [
        at(8, 144, 16384, height=128, width=128, kernel_size=3, padding=1),
        at(16, 768, 576, height=384, width=384, kernel_size=16, stride=16),
    ],
    "grid_partition": [at(16, 56, 56, 192, grid_size=7)],
    "grid_reverse": [at(1024, 7, 7, 192, grid_size=7, height=56, width=56)],
    "shifted_window_mask": [at(height=112, width=112, window_size=7, shift=3)],
    "unfold": [at(8, 16, 128, 128, kernel_size=3, padding=1), at(16, 3, 384, 384, kernel_size=16, stride=16)],
    "window_partition": [at(16, 56, 56, 192, window_size=7)],
    "window_reverse": [at(1024, 7, 7, 192, window_size=7, height=56, width=56)],
}

NO_REMEDY = [
    (
        "torch",
        ("channel_shuffle",),
        "F.channel_shuffle has a kernel that copies whole planes, though not in every dtype",
    ),
    (
        "jax",
        ("channel_max_pool", "global_max_pool", "max_pool_blocks", "maxout"),
        "XLA's maximum, which the rivals return as it is, can lose a NaN on CPUs; finding it is a second reduction",
    ),
]
"""Framework, ops, and why they may miss a target."""


@dataclass
class Row:
    """One line of the table; times in seconds, None where there is no such rival."""

    op: str
    framework: str
    kind: str
    call: Call
    view: bool
    ours: float
    bare: float
    rival: float | None
    einops: float | None
    copy: float

    def ratio(self, other: float | None) -> float | None:
        """Return how many times as long as a baseline the op takes."""
        return self.ours / other if other else None

    @property
    def over(self) -> float:
        """Microseconds above a call of the op's own body."""
        return 1e6 * (self.ours - self.bare)

    @property
    def missed(self) -> bool:
        """Whether the op costs more than it may."""
        if self.kind == "tiny":
            return self.framework != "jax" and self.over > MICROSECONDS
        return any((self.ratio(t) or 0) > RATIO for t in (self.rival, self.einops))

    def __str__(self) -> str:
        """Return the row as a line of the table."""
        ratios = ["-" if r is None else f"{r:.2f}" for r in map(self.ratio, (self.rival, self.einops, self.copy))]
        over = f"{self.over:.1f}" if self.kind == "tiny" and self.framework != "jax" else "-"
        label = f"{self.kind} {self.call}{' (view)' if self.view else ''}"
        numbers = f"{ratios[0]:>10}{ratios[1]:>8}{ratios[2]:>7}{over:>9} {'!' if self.missed else ' '}"
        return f"{self.op:<26}{self.framework:<7}{numbers} {label}"


def pattern(sol: Solution) -> list[Callable[..., Any]]:
    """Return the einops call that the signature of a permutation is, nothing where the op is none."""
    signature = sol.form.signature
    if sol.form.kind is not OpClass.PERMUTATION or len(signature.outputs) != 1 or "*" in str(signature):
        return []
    spec, result = signature.inputs[0], signature.outputs[0]
    text = " -> ".join(" ".join(dimension_text(d) for d in s.index) for s in (spec, result))
    groups = [d for d in spec.index if isinstance(d, Group)]
    given = {p.name: sol.sizes[p.name] for g in groups for p in g.parts[1:] if isinstance(p, Axis)}
    return [lambda x: einops.rearrange(x, text, **given)]


def rivals(op: Op, sol: Solution, package: str, xs: Sequence[Any], params: dict[str, Any]) -> list[Callable[..., Any]]:
    """Return the functions of the inputs that the card calls the same, in a package."""
    scope = {"np": np, "torch": torch, "F": torch.nn.functional, "jax": jax, "jnp": jnp, "einops": einops, "math": math}
    scope |= {a.upper(): n for a, n in sol.sizes.items()}
    scope |= {**{n: p.default for n, p in op.card.params.items()}, **params, **sol.values}
    names = [s.name for s in sol.form.signature.inputs]
    scope |= dict(zip(names, xs, strict=True))
    lines = [s for s in sol.form.same_as if s.package == package and (not s.when or eval(s.when, dict(scope)))]
    return [eval(f"lambda {', '.join(names)}: {s.call}", dict(scope)) for s in lines]


def arrays(framework: str, sol: Solution) -> list[Any]:
    """Return inputs of random values, listed ones as lists."""
    made, rng = [], np.random.default_rng(0)
    for spec in sol.form.signature.inputs:
        shape = sol.shape(spec)
        x = held(sol, spec.name, shape, rng)
        convert = {"numpy": np.array, "torch": lambda a: torch.from_numpy(np.array(a)), "jax": jnp.asarray}[framework]
        made.append([convert(a) for a in x] if spec.listed else convert(x))
    return made


def held(sol: Solution, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return values of an input: what the card says that it holds, places within their bounds, half of all flags set."""
    if name not in sol.form.values:
        return np.asarray(rng.standard_normal(shape, np.float32))
    kind, term = sol.form.values[name]
    bound, size = term.value(sol.sizes, sol.values), math.prod(shape)
    if kind == "flag":
        return rng.permutation(size).reshape(shape) % 2 == 0
    if kind == "count":
        return np.full(shape, bound // size, np.int32)
    return rng.integers(0, max(bound, 1), shape, np.int32)


def parts(y: Any) -> list[Any]:
    """Return the tensors of a result."""
    return list(y) if isinstance(y, tuple | list) else [y]


def is_view(y: Any, xs: Sequence[Any]) -> bool:
    """Whether a result lies in the memory of an input, or not in order, so that it costs nothing until it is used."""
    if isinstance(parts(y)[0], jax.Array):
        return False
    as_numpy = [p.numpy() if isinstance(p, torch.Tensor) else p for p in parts(y)]
    flat = [p.numpy() if isinstance(p, torch.Tensor) else p for x in xs for p in parts(x)]
    return any(np.may_share_memory(a, b) or not a.flags.c_contiguous for a in as_numpy for b in flat)


def copied(framework: str, y: Any) -> Any:
    """Return a result in fresh contiguous memory."""
    if framework == "torch":
        return [p.clone(memory_format=torch.contiguous_format) for p in parts(y)]
    return [np.array(p, order="C") for p in parts(y)]


def timed(thunks: Sequence[Thunk], rounds: int, calls: int) -> list[float]:
    """Return the least seconds a call of each takes, over rounds in which they take turns."""
    best = [float("inf")] * len(thunks)
    order = list(enumerate(thunks))
    for round_ in range(rounds):
        turn = round_ % len(order)
        for i, thunk in order[turn:] + order[:turn]:
            start = time.perf_counter()
            for _ in range(calls):
                thunk()
            best[i] = min(best[i], (time.perf_counter() - start) / calls)
    return best


def measure(op: Op, framework: str, kind: str, call: Call, quick: bool) -> Row:
    """Time one call of one backend and everything that it is compared with."""
    sol = einspec.solve(op, call.shapes, call.params)
    xs = arrays(framework, sol)
    function = getattr(importlib.import_module(f"einspec.impls.{framework}"), op.name)
    own = rivals(op, sol, framework, xs, call.params)
    others = [*own, *rivals(op, sol, "einops", xs, call.params), *pattern(sol)]
    functions = [functools.partial(f, **call.params) for f in (function, function.__wrapped__)] + others
    if framework == "jax":
        functions = [_finishing(jax.jit(f)) for f in functions]
    thunks: list[Thunk] = [functools.partial(f, *xs) for f in functions]
    results = [t() for t in thunks]
    views = [is_view(y, xs) for y in results]
    if kind == "large":
        thunks = [_copying(framework, t) if v else t for t, v in zip(thunks, views, strict=True)]
    larger = max(([x for one in xs for x in parts(one)], parts(results[0])), key=_elements)
    if framework == "jax":
        copy = functools.partial(_finishing(jax.jit(lambda ys: [jnp.copy(y) for y in ys])), larger)
    else:
        copy = functools.partial(copied, framework, copied(framework, larger))
    del results, larger
    rounds, calls = (25, 200) if kind == "tiny" else (13, 1)
    rounds, calls = (rounds // 3, calls // 5 or 1) if quick else (rounds, calls)
    times = [math.inf] * (len(thunks) + 1)
    for _ in range(ATTEMPTS):
        times = [min(pair) for pair in zip(times, timed([*thunks, copy], rounds, calls), strict=True)]
        least = [min(ts, default=None) for ts in (times[2 : 2 + len(own)], times[2 + len(own) : -1])]
        row = Row(op.name, framework, kind, call, views[0], times[0], times[1], *least, times[-1])
        if not row.missed:
            break
    return row


def _elements(tensors: Sequence[Any]) -> int:
    return sum(math.prod(t.shape) for t in tensors)


def _copying(framework: str, thunk: Thunk) -> Thunk:
    return lambda: copied(framework, thunk())


def _finishing(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *xs: jax.block_until_ready(function(*xs))


def tiny(op: Op) -> Call:
    """Return a call on a few dozen elements: the default form, every axis above 1."""
    case = next(c for c in cases.bank(op) if "layout" not in c.params and "order" not in c.params)
    return Call(case.shapes, case.params)


def rows(names: Sequence[str], frameworks: Sequence[str], quick: bool) -> Iterator[Row]:
    """Yield the measured lines, op by op."""
    for name in names:
        op = einspec.load(name)
        for framework in frameworks:
            for call in LARGE[name][:1] if quick else LARGE[name]:
                yield measure(op, framework, "large", call, quick)
            yield measure(op, framework, "tiny", tiny(op), quick)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("op", nargs="*", help="ops to time (default: all)")
    parser.add_argument("--quick", action="store_true", help="one large call an op, fewer rounds")
    parser.add_argument("--misses", action="store_true", help="print only the rows that miss a target")
    parser.add_argument("--framework", action="append", choices=FRAMEWORKS, help="one framework, may be given again")
    args = parser.parse_args()
    missed: set[tuple[str, str]] = set()
    print(f"{'op':<26}{'':<7}{'/framework':>10}{'/einops':>8}{'/copy':>7}{'us over':>9}   call")
    for row in rows(args.op or list(LARGE), args.framework or FRAMEWORKS, args.quick):
        missed |= {(row.op, row.framework)} if row.missed else set()
        if row.missed or not args.misses:
            print(row, flush=True)
    for framework, ops, why in NO_REMEDY:
        if any((op, framework) in missed for op in ops):
            print(f"{framework} {', '.join(ops)}: {why}")


if __name__ == "__main__":
    main()
