"""Time the Mixture-of-Experts ops of the NumPy, PyTorch and JAX backends, in one run on one core, as ratios.

    python bench/moe.py [--misses] [top_k position slots grouped_matmul moe_layer ...]

A line says what is measured, what it is compared with, how many times as long the op takes, and how many times at most it
should: 1/100 is a hundred times faster. What has no target is only told. A contest with a miss is held again before it counts.
Sizes: T tokens, E experts, k choices of a token, C slots of an expert, D features, F features inside, R rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from multiprocessing import get_context
from typing import Any

from contest import Array, Contest, Line, Rival, Thunk, call, in_turn, lines, memory, ops, steady, tensors

# isort: split
# the frameworks come after the process is bound to one core
import jax
import ml_dtypes
import numpy as np
import rivals
import torch
from torch.nn import functional

FRAMEWORKS = ("numpy", "torch", "jax")
rng = np.random.default_rng(0)


def normal(*shape: int) -> Array:
    """Return random numbers."""
    return rng.standard_normal(shape, np.float32)


def routes(t: int, e: int, k: int, slots: int) -> tuple[Array, Array]:
    """Return routes that spread evenly over the experts, and their positions: none is dropped."""
    index = rng.permutation(np.arange(t * k, dtype=np.int32) % e).reshape(t, k)
    position = ops("numpy").position(index, experts=e)
    assert position.max() < slots
    return index, position


def top_k() -> Iterator[Contest]:
    """Ties go to the lower position; the rivals leave them open or compare bits."""
    others: dict[str, tuple[str, Callable[..., Any], float]] = {
        "numpy": ("np.argpartition, then sorted", rivals.partition_top_k, 1.1),
        "torch": ("torch.topk", torch.topk, 1.2),
        "jax": ("jax.lax.top_k", jax.lax.top_k, 1.4),
    }
    for t, e, dtype in product((4096, 65536), (8, 64, 256, 512), (np.float32, ml_dtypes.bfloat16)):
        inputs = [normal(t, e).astype(dtype) for _ in range(2**18 // (t * e) or 1)]
        for framework, (name, other, most) in others.items():
            if framework == "numpy" and dtype != np.float32:
                continue  # what NumPy has for others than its own dtypes is no rival
            own = tensors(framework, *inputs)
            target = 1 / 7 if framework == "jax" and (t, e) == (65536, 8) else most
            for k in (1, 2, 8):
                what = f"top_k {framework} {inputs[0].dtype} T {t} E {e} k {k}"
                rival = Rival(name, in_turn(framework, other, own, k=k), target)
                yield Contest(what, in_turn(framework, ops(framework).top_k, own, k=k), [rival])


def position() -> Iterator[Contest]:
    """Queues: the C loop is what a compiled language does on one core."""
    for t, e in ((65536, 8), (65536, 64), (65536, 256), (16384, 512)):
        index = rng.integers(0, e, (t, 2), dtype=np.int32)
        loop = rivals.counting_loop(index, e)
        for framework in FRAMEWORKS:
            (own,) = tensors(framework, index)
            others = [Rival("a counting loop in C", loop, 12)] if loop else []
            if e != 256:
                others.append(Rival("one-hot cumsum", call(framework, rivals.one_hot_position(framework, e), own), 1 / 4))
            ours = call(framework, ops(framework).position, own, experts=e)
            yield Contest(f"position {framework} T {t} E {e} k 2", ours, others)


def slots() -> Iterator[Contest | Line]:
    """Dispatch into slots and combine from them, in a cache (D 512) and in memory (D 1024)."""
    for framework, (t, d) in product(FRAMEWORKS, ((4096, 512), (16384, 1024))):
        (e, k), c, sizes = (8, 2), 5 * t // 16, f"T {t} E 8 k 2 D {d}"
        arrays = normal(t, d), normal(e, c, d), normal(t, k), *routes(t, e, k, c), normal(t * (k + 1) // 2, d)
        x, y, weights, index, place, traffic = tensors(framework, *arrays)
        dispatch, combine = pair(framework, x, y, weights, index, place)
        buffer = call(framework, copy(framework), y)
        yield Contest(f"dispatch {framework} {sizes}", dispatch, [Rival("a copy of the buffer", buffer, 2)])
        moved = Rival("a copy of as many bytes", call(framework, copy(framework), traffic), 1)
        yield Contest(f"combine {framework} {sizes}", combine, [moved])
        if framework != "numpy":
            copied = Rival("a copy of the buffer", buffer, 3)
            to_slots = call(framework, ops(framework).dispatch, x, index, place, experts=e, capacity=c, grad=True)
            yield Contest(f"dispatch {framework} and gradient {sizes}", to_slots, [copied])
            to_tokens = call(framework, ops(framework).combine, y, weights, index, place, grad=True)
            yield Contest(f"combine {framework} and gradient {sizes}", to_tokens, [copied])
        if t == 4096:
            (mask,) = tensors(framework, ops("numpy").dispatch_mask(*arrays[3:5], experts=e, capacity=c).astype(np.float32))
            hot = call(framework, rivals.one_hot_dispatch, mask, x), call(framework, rivals.one_hot_combine, mask, y)
            one_hot = Rival("einsum", both(*hot), 1 / 100)
            yield Contest(f"dispatch, combine {framework} {sizes}", both(dispatch, combine), [one_hot])
    yield from growth()
    yield from short_floats()
    yield from peaks()


def copy(framework: str) -> Callable[[Any], Any]:
    """Return what copies an array to new memory."""
    copies: dict[str, Callable[[Any], Any]] = {"numpy": np.copy, "torch": torch.clone, "jax": jax.numpy.copy}
    return copies[framework]


def both(*thunks: Thunk) -> Thunk:
    """Return a call of several, one after the other."""
    return lambda: [thunk() for thunk in thunks]


def pair(framework: str, x: Any, y: Any, weights: Any, index: Any, place: Any) -> tuple[Thunk, Thunk]:
    """Return a dispatch and a combine."""
    backend, (e, c, _) = ops(framework), y.shape
    dispatch = call(framework, backend.dispatch, x, index, place, experts=e, capacity=c)
    return dispatch, call(framework, backend.combine, y, weights, index, place)


def growth() -> Iterator[Contest]:
    """Four times the tokens take four times as long, not sixteen, and as many routes take as long with more experts."""

    def of(framework: str, t: int, e: int) -> Thunk:
        c, k, d = 5 * t // (2 * e), 2, 512
        return both(*pair(framework, *tensors(framework, normal(t, d), normal(e, c, d), normal(t, k), *routes(t, e, k, c))))

    for framework in FRAMEWORKS:
        less = Rival("T 8192", of(framework, 8192, 8), 6)
        yield Contest(f"dispatch, combine {framework} T 32768 E 8 k 2 D 512", of(framework, 32768, 8), [less])
        few = Rival("E 8", of(framework, 4096, 8), 1.5)
        yield Contest(f"dispatch, combine {framework} T 4096 E 256 k 2 D 512", of(framework, 4096, 256), [few])


def short_floats() -> Iterator[Contest]:
    """Rows in bfloat16, weights in float32, rounded once."""
    for t, e, k, d in ((4096, 8, 2, 512), (4096, 64, 8, 256)):
        c = 5 * t * k // (4 * e)
        index, place = routes(t, e, k, c)
        y, weights, i, p = tensors("torch", normal(e, c, d).astype(ml_dtypes.bfloat16), normal(t, k), index, place)
        usual = call("torch", rivals.weighted_sum, y.reshape(e * c, d), weights, (i * c + p).long())
        what = f"combine torch bfloat16, float32 weights T {t} E {e} k {k} D {d}"
        yield Contest(what, call("torch", ops("torch").combine, y, weights, i, p), [Rival("gather, weight, sum", usual, 1 / 3)])


def peaks() -> Iterator[Line]:
    """Peak memory is the output and a few numbers a route; each is measured in a process of its own."""
    for framework in FRAMEWORKS:
        with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
            for name, ratio in fresh.submit(peak, framework).result().items():
                yield Line(f"memory of {name} {framework} T 16384 E 8 k 2 D 1024", "its output", ratio, 1.1)


def peak(framework: str) -> dict[str, float]:
    """Return the peak memory of dispatch and combine over the size of their outputs."""
    t, e, k, d, c = 16384, 8, 2, 1024, 5120
    given = tensors(framework, normal(t, d), normal(e, c, d), normal(t, k), *routes(t, e, k, c))
    needed = map(memory, pair(framework, *given))
    outputs = {"dispatch": 4 * e * c * d, "combine": 4 * t * d}
    return {name: n / size for (name, size), n in zip(outputs.items(), needed, strict=True) if n is not None}


def grouped_matmul() -> Iterator[Contest]:
    """Rows of each expert times its matrix, unevenly spread; the dense product has as many operations."""
    r, d = 2048, 512
    for e, framework in ((e, f) for e in (8, 64) for f in FRAMEWORKS):
        counts = rng.multinomial(r, [1 / e] * e).astype(np.int32)
        x, w, n = tensors(framework, normal(r, d), normal(e, d, d), counts)
        for grad in (False, True) if framework != "numpy" else (False,):
            others = [
                Rival("one dense product", call(framework, matmul, x, w[0], grad=grad), 1.5 if framework == "jax" else None)
            ]
            if framework == "torch":
                others.append(Rival("F.grouped_mm", call("torch", grouped_mm, x, w, n, grad=grad), 1.1))
            if framework == "jax":
                others.append(
                    Rival(
                        "jax.lax.ragged_dot", call("jax", jax.lax.ragged_dot, x, w, n, grad=grad), 1 / 5 if e == 8 else 1 / 30
                    )
                )
            what = f"grouped_matmul {named(framework, grad)} R {r} E {e} D {d}"
            yield Contest(what, call(framework, ops(framework).grouped_matmul, x, w, n, grad=grad), others)
    yield from gradient_traffic()


def named(framework: str, grad: bool) -> str:
    """Return the framework, and whether gradients are computed too."""
    return f"{framework} and gradient" if grad else framework


def matmul(x: Any, w: Any) -> Any:
    """Return a product of matrices."""
    return x @ w


def grouped_mm(x: torch.Tensor, w: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Return PyTorch's own grouped product."""
    return functional.grouped_mm(x, w, offs=counts.cumsum(0).int())


def gradient_traffic() -> Iterator[Contest]:
    """Eight times the experts take eight times as long, not 64: under autograd, a loop over w[e] writes all of w for each."""

    def of(e: int) -> tuple[Thunk, Thunk]:
        x, w, counts = tensors("torch", normal(32 * e, 256), normal(e, 256, 256), np.full(e, 32, np.int32))
        loop = partial(rivals.loop_over_experts, sizes=[32] * e)
        return call("torch", ops("torch").grouped_matmul, x, w, counts, grad=True), call("torch", loop, x, w, grad=True)

    (ours, loop), (fewer, _) = of(128), of(16)
    others = [Rival("E 16, as many rows an expert", fewer, 12), Rival("autograd of a loop over w[e]", loop, 1 / 10)]
    yield Contest("grouped_matmul torch and gradient R 4096 E 128 D 256", ours, others)


def moe_layer() -> Iterator[Contest]:
    """Whole layers with the gate of Mixtral, from logits to weighted sums; the dense limit is one SwiGLU on as many rows."""
    for t, e, k, d, f in ((512, 8, 2, 512, 1024), (1024, 64, 8, 256, 256)):
        arrays, rows = layer_inputs(t, e, d, f), normal(t * k, d)
        for framework in FRAMEWORKS:
            given = tensors(framework, *arrays)
            one = tensors(framework, rows, *(w[0] for w in arrays[2:]))
            for grad in (False, True) if framework != "numpy" else (False,):
                most = {"numpy": 1.5, "torch": 1.7 if grad else 1.5, "jax": 2.5}[framework]
                limit = Rival("dense limit", call(framework, partial(rivals.swiglu, framework), *one, grad=grad), most)
                layer = call(framework, ops(framework).moe_layer, *given, k=k, preset="mixtral", grad=grad)
                what = f"moe_layer {named(framework, grad)} T {t} E {e} k {k} D {d} F {f}"
                yield Contest(what, layer, [limit, *other_layers(framework, arrays, k, grad)])
    yield from decoding()


def layer_inputs(t: int, e: int, d: int, f: int) -> tuple[Array, ...]:
    """Return tokens, a router, and the matrices of experts."""
    return normal(t, d), normal(d, e), normal(e, d, 2 * f) / np.sqrt(np.float32(d)), normal(e, f, d) / np.sqrt(np.float32(f))


def other_layers(framework: str, arrays: Sequence[Array], k: int, grad: bool, small: bool = False) -> Iterator[Rival]:
    """Yield what others run for the layer."""
    given, e = tensors(framework, *arrays), len(arrays[2])
    if framework == "jax":
        most = None if small else 1 / 5 if e == 8 else 1 / 30
        yield Rival("layer of jax.lax.ragged_dot", call("jax", rivals.ragged_dot_layer, *given, k=k, grad=grad), most)
    if framework == "torch":
        if not small:
            yield Rival("GShard einsums", call("torch", rivals.gshard_layer, *given, k=k, grad=grad), 1.1)
        for way, block, parameters in rivals.transformers_blocks(arrays, k):
            yield Rival(f"transformers {way}", call("torch", block, given[0], *(parameters if grad else ()), grad=grad), 1.1)


def decoding() -> Iterator[Contest]:
    """The layer on a few tokens: the limit multiplies each matrix that must be read with an even share of the rows."""
    for e, k, d, f, t in ((*size, t) for size in ((8, 2, 512, 1024), (64, 8, 256, 256)) for t in (1, 4, 16)):
        arrays, n = layer_inputs(t, e, d, f), min(t * k, e)
        for framework in FRAMEWORKS:
            given = tensors(framework, *arrays)
            read = tensors(framework, normal(n, -(-t * k // n), d), *(w[:n] for w in arrays[2:]))
            limit = Rival("matrices that are read", call(framework, partial(rivals.matrix_by_matrix, framework), *read))
            layer = call(framework, ops(framework).moe_layer, *given, k=k, preset="mixtral")
            what = f"moe_layer {framework} T {t} E {e} k {k} D {d} F {f}"
            yield Contest(what, layer, [limit, *other_layers(framework, arrays, k, False, small=True)])


SECTIONS: dict[str, Callable[[], Iterator[Contest | Line]]] = {
    "top_k": top_k,
    "position": position,
    "slots": slots,
    "grouped_matmul": grouped_matmul,
    "moe_layer": moe_layer,
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("section", nargs="*", default="all", choices=["all", *SECTIONS], help="what to time")
    parser.add_argument("--misses", action="store_true", help="print only the lines that miss a target")
    args = parser.parse_args()
    steady()
    print(f"{'measured':<62}{'compared with':<34}{'ratio':>8}{'target':>8}")
    found = []
    for section in SECTIONS if "all" in args.section else args.section:
        for line in lines(SECTIONS[section]()):
            found.append(line)
            if line.missed or not args.misses:
                print(line, flush=True)
    if rivals.MISSING:
        print(*rivals.MISSING, sep="\n")
    print(f"{sum(line.missed for line in found)} of {sum(line.most is not None for line in found)} targets missed")


if __name__ == "__main__":
    main()
