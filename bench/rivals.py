"""What a Mixture-of-Experts op is compared with: the loops, one-hot products and layers that others run in its place."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from contest import Array
from jax import lax
from torch.nn import functional as F  # noqa: N812  # as everybody calls it

COUNT = """
void count(const int *index, int *position, int *counts, int n, int experts) {
    for (int e = 0; e < experts; e++) counts[e] = 0;
    for (int i = 0; i < n; i++) position[i] = counts[index[i]]++;
}
"""


MISSING: list[str] = []
"""What could not be compared, and why."""


def counting_loop(index: Array, experts: int) -> Callable[[], Any] | None:
    """Return a loop in C that numbers the routes to every expert; None where no compiler is found."""
    compiler = shutil.which("cc")
    if compiler is None:
        missing("no C compiler (cc): position was not compared with a counting loop")
        return None
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "count.c"), Path(folder, "count.so")
        source.write_text(COUNT)
        subprocess.run([compiler, "-O3", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
        count = ctypes.CDLL(str(library)).count
    ints = np.ctypeslib.ndpointer(np.int32, flags="C_CONTIGUOUS")
    count.argtypes = [ints, ints, ints, ctypes.c_int, ctypes.c_int]
    flat, counts = np.ascontiguousarray(index.reshape(-1), np.int32), np.empty(experts, np.int32)
    return lambda: count(flat, np.empty_like(flat), counts, len(flat), experts)


def partition_top_k(x: Array, k: int) -> tuple[Array, Array]:
    """Return the largest of every row in descending order, ties in any."""
    index = np.argpartition(-x, k - 1, 1)[:, :k]
    value = np.take_along_axis(x, index, 1)
    order = np.argsort(-value, 1)
    return np.take_along_axis(value, order, 1), np.take_along_axis(index, order, 1)


def one_hot_position(framework: str, experts: int) -> Callable[[Any], Any]:
    """Return positions as a running sum over one-hot routes."""

    def in_numpy(index: Array) -> Array:
        hot = index.reshape(-1, 1) == np.arange(experts)
        return np.asarray((hot.cumsum(0, dtype=np.int32)[hot] - 1).reshape(index.shape))

    def in_torch(index: torch.Tensor) -> torch.Tensor:
        flat = index.reshape(-1, 1).long()
        return (F.one_hot(flat[:, 0], experts).cumsum(0) - 1).gather(1, flat).reshape(index.shape)

    def in_jax(index: jax.Array) -> jax.Array:
        hot = jax.nn.one_hot(index.reshape(-1), experts, dtype=jnp.int32)
        return ((jnp.cumsum(hot, 0) * hot).sum(1) - 1).reshape(index.shape)

    ways: dict[str, Callable[[Any], Any]] = {"numpy": in_numpy, "torch": in_torch, "jax": in_jax}
    return ways[framework]


def one_hot_dispatch(mask: Any, x: Any) -> Any:
    """Return einsum("tec,td->ecd"), which all three frameworks compute as this product."""
    t, e, c = mask.shape
    return (mask.reshape(t, e * c).T @ x).reshape(e, c, x.shape[1])


def one_hot_combine(mask: Any, y: Any) -> Any:
    """Return einsum("tec,ecd->td"), as a product too."""
    t, e, c = mask.shape
    return mask.reshape(t, e * c) @ y.reshape(e * c, y.shape[2])


def weighted_sum(y: torch.Tensor, weights: torch.Tensor, slot: torch.Tensor) -> torch.Tensor:
    """Return what Hugging Face transformers writes for combine: gather, weight in float32, sum, round."""
    return (y[slot] * weights[:, :, None]).sum(1).to(y.dtype)


def loop_over_experts(x: torch.Tensor, w: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Return the grouped product as a loop that selects each matrix under autograd."""
    return torch.cat([rows @ w[e] for e, rows in enumerate(x.split(sizes))])  # type: ignore[no-untyped-call]


def swiglu(framework: str, x: Any, gate_up: Any, down: Any) -> Any:
    """Return a dense SwiGLU network: of one matrix each, or of a stack of them."""
    h = x @ gate_up
    gate, up = h[..., : down.shape[-2]], h[..., down.shape[-2] :]
    active = {"numpy": lambda a: a / (1 + np.exp(-a)), "torch": F.silu, "jax": jax.nn.silu}[framework](gate)
    return active * up @ down


def matrix_by_matrix(framework: str, x: Any, gate_up: Any, down: Any) -> list[Any]:
    """Return one SwiGLU network after another, each on its own rows."""
    return [swiglu(framework, x[e], gate_up[e], down[e]) for e in range(len(x))]


def gshard_layer(x: torch.Tensor, router: torch.Tensor, gate_up: torch.Tensor, down: torch.Tensor, k: int) -> torch.Tensor:
    """Return the layer by masks and einsums, with room for a quarter more than an even share."""
    (t, _), e = x.shape, len(gate_up)
    capacity = -(-5 * t * k // (4 * e))
    weights, index = (x @ router).softmax(1).topk(k)
    weights = weights / weights.sum(1, keepdim=True)
    hot = F.one_hot(index.reshape(-1), e)
    position = ((hot.cumsum(0) - 1) * hot).sum(1).reshape(t, k)
    slots = F.one_hot(position.clamp(max=capacity), capacity + 1)[..., :capacity].to(x.dtype)  # t k c
    mask = torch.einsum("tk,tke,tkc->tec", weights, hot.reshape(t, k, e).to(x.dtype), slots)
    rows = torch.einsum("tec,td->ecd", (mask != 0).to(x.dtype), x)
    return torch.einsum("tec,ecd->td", mask, swiglu("torch", rows, gate_up, down))


def ragged_dot_layer(x: jax.Array, router: jax.Array, gate_up: jax.Array, down: jax.Array, k: int) -> jax.Array:
    """Return the layer by sorting routes and two products of ``jax.lax.ragged_dot``."""
    weights, index = lax.top_k(jax.nn.softmax(x @ router), k)
    weights = weights / weights.sum(1, keepdims=True)
    order = jnp.argsort(index.reshape(-1))
    counts = jnp.bincount(index.reshape(-1), length=len(gate_up))
    h = lax.ragged_dot(x[order // k], gate_up, counts)
    gate, up = jnp.split(h, 2, 1)
    y = lax.ragged_dot(jax.nn.silu(gate) * up, down, counts)
    return jnp.einsum("tkd,tk->td", y[jnp.argsort(order)].reshape(len(x), k, -1), weights)


def transformers_blocks(
    arrays: Sequence[Array], k: int
) -> Iterator[tuple[str, Callable[..., torch.Tensor], list[torch.Tensor]]]:
    """Yield the Mixtral block of Hugging Face transformers for each way to run its experts, and its parameters."""
    try:
        from transformers import MixtralConfig
        from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock
    except ImportError:
        missing("transformers is not installed: its layer was left out")
        return
    _, router, gate_up, down = arrays
    (e, f, d), own = down.shape, {"gate.weight": router.T, "experts.gate_up_proj": gate_up.mT, "experts.down_proj": down.mT}
    for way in ("eager", "grouped_mm"):
        config = MixtralConfig(hidden_size=d, intermediate_size=f, num_local_experts=e, num_experts_per_tok=k)
        config._experts_implementation = way
        block: Any = MixtralSparseMoeBlock(config)  # type: ignore[no-untyped-call]
        block.load_state_dict({name: torch.from_numpy(a.copy()) for name, a in own.items()})

        def run(x: torch.Tensor, *parameters: torch.Tensor, block: Any = block) -> torch.Tensor:
            given = dict(zip(own, parameters, strict=False))
            y: torch.Tensor = torch.func.functional_call(block, given, (x[None],)) if given else block(x[None])
            return y[0]

        yield way, run, [block.get_parameter(name) for name in own]


def missing(reason: str) -> None:
    """Remember once that something could not be compared."""
    if reason not in MISSING:
        MISSING.append(reason)
