"""JAX: what the experts compute, on rows grouped by expert or on one block of rows an expert."""

# t tokens, k choices, e experts, r rows, n (or c) rows of one expert, d features in, f h features inside and out, g gate, up

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array, lax

from einspec.impls.checked_jax import op
from einspec.impls.jax.groups import group, group_ends, group_of, numbers, permute, unpermute

__all__ = [
    "act_and_mul",
    "biased_expert_mlp",
    "expert_bias",
    "expert_matmul",
    "expert_mlp",
    "glu",
    "grouped_matmul",
    "moe_dense",
    "shared_expert",
    "zero_experts",
]

Sharing = Literal["plain", "gated"]
Packing = Literal["gate_up", "up_gate", "interleaved"]
Act = Literal["silu", "gelu", "gelu_tanh", "sigmoid", "relu", "relu2"]
Side = Literal["output", "input"]
ROWS = (8, 16, 24, 32, 48, 64)
"""How many rows of a group are multiplied at a time: the most, and the least that do for its last ones."""
SUMMED = (8, 16, 32, 64, 128, 256)
"""The same where rows are summed: fewer and larger parts, because each is added to a whole matrix."""
BATCHED = (((2,), (1,)), ((0,), (0,)))
"""The dimensions of a product of matrices, one an expert."""


@op
@jax.jit
def grouped_matmul(x: Array, w: Array, counts: Array) -> Array:
    """Compute grouped_matmul (see its card)."""
    return grouped_product(x, w, group_ends(counts, len(x)), 1)


@op
@jax.jit
def expert_matmul(x: Array, w: Array) -> Array:
    """Compute expert_matmul (see its card)."""
    return _dot(x, w, BATCHED)


@op
@jax.jit
def expert_bias(x: Array, bias: Array, counts: Array) -> Array:
    """Compute expert_bias (see its card)."""
    if not len(bias):
        return jnp.zeros_like(x)
    ends = group_ends(counts, len(x))
    own = (jnp.arange(len(x)) < ends[-1])[:, None]
    return jnp.where(own, x + _shared(bias, ends, len(x)), jnp.zeros((), x.dtype))


@op
@partial(jax.jit, static_argnames=("layout", "alpha", "limit", "shift"))
def glu(h: Array, *, layout: Packing = "gate_up", alpha: float = 1.0, limit: float = math.inf, shift: float = 0.0) -> Array:
    """Compute glu (see its card)."""
    wide = h.astype(jnp.promote_types(h.dtype, jnp.float32))
    gate, up = (wide[..., ::2], wide[..., 1::2]) if layout == "interleaved" else jnp.split(wide, 2, -1)
    if layout == "up_gate":
        gate, up = up, gate
    if limit < math.inf:
        gate = jnp.where(gate > limit, limit, gate)
        up = jnp.where(up > limit, limit, jnp.where(up < -limit, -limit, up))
    return (gate * jax.nn.sigmoid(alpha * gate) * (up + shift)).astype(h.dtype)


@op
@partial(jax.jit, static_argnames=("kind", "slope"))
def expert_mlp(
    x: Array,
    w1: Array,
    w2: Array,
    w3: Array | None = None,
    *,
    kind: Literal["gelu", "leaky_relu", "swiglu"] = "gelu",
    slope: float = 0.01,
) -> Array:
    """Compute expert_mlp (see its card)."""
    h = _dot(x, w1, BATCHED)
    if kind == "gelu":
        return _dot(jax.nn.gelu(h, approximate=False), w2, BATCHED)
    if w3 is None:
        return _dot(glu(h), w2, BATCHED)
    h = _dot(jax.nn.leaky_relu(h, slope), w2, BATCHED)
    return _dot(jax.nn.leaky_relu(h, slope), w3, BATCHED)


@op
@partial(jax.jit, static_argnames="kind")
def shared_expert(y: Array, shared: Array, gate: Array | None = None, *, kind: Sharing = "plain") -> Array:
    """Compute shared_expert (see its card)."""
    if gate is None:
        return y + shared
    wide = jnp.promote_types(y.dtype, jnp.float32)
    return (y.astype(wide) + jax.nn.sigmoid(gate.astype(wide))[:, None] * shared.astype(wide)).astype(y.dtype)


@op
@partial(jax.jit, static_argnames="weight_on")
def moe_dense(x: Array, weights: Array, index: Array, gate_up: Array, down: Array, *, weight_on: Side = "output") -> Array:
    """Compute moe_dense (see its card)."""
    if weight_on == "input":
        return weighted_inputs(moe_dense, x, weights, index, gate_up, down)
    order, row, counts = group(index, experts=len(gate_up))
    rows = permute(x, order, k=max(index.shape[1], 1))  # r d
    h = glu(grouped_matmul(rows, gate_up, counts))  # r f
    z: Array = unpermute(grouped_matmul(h, down, counts), weights, row)
    return z


@op
@partial(jax.jit, static_argnames="act")
def act_and_mul(h: Array, *, act: Act) -> Array:
    """Compute act_and_mul (see its card)."""
    gate, up = jnp.split(h.astype(jnp.promote_types(h.dtype, jnp.float32)), 2, -1)
    match act:
        case "silu":
            a = gate * jax.nn.sigmoid(gate)
        case "gelu" | "gelu_tanh":
            a = jax.nn.gelu(gate, approximate=act == "gelu_tanh")
        case "sigmoid":
            a = jax.nn.sigmoid(gate)
        case "relu" | "relu2":
            a = jax.nn.relu(gate) if act == "relu" else jnp.square(jax.nn.relu(gate))
    return (a * up).astype(h.dtype)


@op
@partial(jax.jit, static_argnames=("alpha", "limit", "shift"))
def biased_expert_mlp(
    x: Array,
    gate_up: Array,
    gate_up_bias: Array,
    down: Array,
    down_bias: Array,
    *,
    alpha: float = 1.702,
    limit: float = 7.0,
    shift: float = 1.0,
) -> Array:
    """Compute biased_expert_mlp (see its card)."""
    h = _dot(x, gate_up, BATCHED) + gate_up_bias[:, None]
    return _dot(glu(h, layout="interleaved", alpha=alpha, limit=limit, shift=shift), down, BATCHED) + down_bias[:, None]


@op
@partial(jax.jit, static_argnames=("kind", "experts", "more"))
def zero_experts(
    x: Array,
    weights: Array,
    index: Array,
    vectors: Array | None = None,
    *,
    kind: Literal["identity", "constant"] = "identity",
    experts: int,
    more: int,
) -> tuple[Array, Array]:
    """Compute zero_experts (see its card)."""
    own = numbers(index, experts + more)  # t k
    row = jnp.arange(len(x), dtype=jnp.int32)[:, None] if vectors is None else own - experts
    y = unpermute(x if vectors is None else vectors, weights, jnp.where(own >= experts, row, -1))
    return y, jnp.where(own < experts, own, -1)


def weighted_inputs(run: Callable[..., Array], x: Array, weights: Array, index: Array, gate_up: Array, down: Array) -> Array:
    """Return what experts make of tokens times their weights: every route is a token of its own, of weight 1."""
    factor = jnp.where(index >= 0, weights, 0)  # of a route that is dropped, nothing is read
    routed = factor[:, :, None] * x.astype(jnp.promote_types(weights.dtype, x.dtype))[:, None]  # t k d
    one = jnp.ones((index.size, 1), routed.dtype)
    y = run(routed.astype(x.dtype).reshape(index.size, x.shape[1]), one, index.reshape(index.size, 1), gate_up, down)
    wide = jnp.promote_types(one.dtype, jnp.float32)
    return y.reshape(*index.shape, y.shape[1]).sum(1, dtype=wide).astype(x.dtype)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def grouped_product(x: Array, w: Array, ends: Array, side: int) -> Array:
    """Return each row times the matrix of its group, contracted over axis ``side`` of w; 0 past the last group.

    Groups are taken in parts whose number depends on their sizes: nothing is multiplied with the matrix of another group.
    """
    r, f = len(x), w.shape[3 - side]
    parts = _parts(ROWS, r)
    if not x.size or not f:
        return jnp.zeros((r, f), x.dtype)

    def group_of_rows(y: Array, own: tuple[Array, Array, Array]) -> tuple[Array, None]:
        matrix, start, end = own

        def product(size: int, row: Array) -> Array:
            first = jnp.minimum(row, r - size)
            rows = _dot(lax.dynamic_slice_in_dim(x, first, size), matrix, (((1,), (side - 1,)), ((), ())))
            part = jnp.zeros((parts[-1], f), x.dtype)
            return lax.dynamic_update_slice_in_dim(part, rows, first - jnp.minimum(row, r - parts[-1]), 0)

        def write(i: Array, y: Array) -> Array:
            row = start + i * parts[-1]
            new = _by_size(parts, end - row, product, row)
            first = jnp.minimum(row, r - parts[-1])
            old = lax.dynamic_slice_in_dim(y, first, parts[-1])
            return lax.dynamic_update_slice_in_dim(y, jnp.where(_between(row, first, parts[-1], end), new, old), first, 0)

        return lax.fori_loop(0, -((start - end) // parts[-1]), write, y), None

    y: Array = lax.scan(group_of_rows, jnp.zeros((r, f), x.dtype), (w, jnp.pad(ends, (1, 0))[:-1], ends))[0]
    return y


@jax.custom_vjp
def grouped_outer(x: Array, g: Array, ends: Array) -> Array:
    """Return for each group the sum over its rows of the products of x and g; 0 for a group without rows."""
    r, wide = len(x), jnp.promote_types(x.dtype, jnp.float32)
    shape = (x.shape[1], g.shape[1])
    parts = _parts(SUMMED, r)
    if not r or not math.prod(shape):
        return jnp.zeros((len(ends), *shape), x.dtype)

    def group_of_rows(_: None, own: tuple[Array, Array]) -> tuple[None, Array]:
        start, end = own

        def product(size: int, row: Array) -> Array:
            first = jnp.minimum(row, r - size)
            inside = _between(row, first, size, end)
            left, right = (jnp.where(inside, lax.dynamic_slice_in_dim(a, first, size), 0) for a in (x, g))
            return _dot(left, right, (((0,), (0,)), ((), ())), wide)

        def add(i: Array, total: Array) -> Array:
            row = start + i * parts[-1]
            return total + _by_size(parts, end - row, product, row)

        total = lax.cond(end > start, lambda: _by_size(parts, end - start, product, start), lambda: jnp.zeros(shape, wide))
        return None, lax.fori_loop(1, -((start - end) // parts[-1]), add, total).astype(x.dtype)

    return lax.scan(group_of_rows, None, (jnp.pad(ends, (1, 0))[:-1], ends))[1]


def _dot(x: Array, w: Array, dimensions: Any, dtype: Any = None) -> Array:
    """Return a product that adds up in at least float32 and is rounded once."""
    wide = jnp.promote_types(x.dtype, jnp.float32)
    y = lax.dot_general(x, w, dimensions, precision=lax.Precision.HIGHEST, preferred_element_type=wide)
    return y.astype(dtype or x.dtype)


def _parts(sizes: Sequence[int], rows: int) -> list[int]:
    return [size for size in sizes if size <= rows] or [rows]


def _by_size(parts: Sequence[int], left: Array, product: Callable[[int, Array], Array], row: Array) -> Array:
    """Return the product of the fewest rows from ``row`` on that hold those which are left of the group."""
    which = sum((jnp.int32(left > size) for size in parts[:-1]), jnp.int32(0))
    found: Array = lax.switch(which, [partial(product, size) for size in parts], row)
    return found


def _between(row: Array, first: Array, size: int, end: Array) -> Array:
    """Return which of ``size`` rows from ``first`` on are from ``row`` on and before the end of the group."""
    number = first + jnp.arange(size, dtype=jnp.int32)
    return ((number >= row) & (number < end))[:, None]


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _shared(bias: Array, ends: Array, rows: int) -> Array:
    """Return for each row that of its group."""
    return bias[jnp.minimum(group_of(ends, rows), len(bias) - 1)]


def _product_forward(x: Array, w: Array, ends: Array, side: int) -> tuple[Array, Any]:
    return grouped_product(x, w, ends, side), (x, w, ends)


def _product_backward(side: int, kept: Any, g: Array) -> tuple[Array, Array, None]:
    x, w, ends = kept
    return grouped_product(g, w, ends, 3 - side), grouped_outer(*((x, g) if side == 1 else (g, x)), ends), None


def _outer_forward(x: Array, g: Array, ends: Array) -> tuple[Array, Any]:
    return grouped_outer(x, g, ends), (x, g, ends)


def _outer_backward(kept: Any, h: Array) -> tuple[Array, Array, None]:
    x, g, ends = kept
    return grouped_product(g, h, ends, 2), grouped_product(x, h, ends, 1), None


def _shared_forward(bias: Array, ends: Array, rows: int) -> tuple[Array, Array]:
    return _shared(bias, ends, rows), ends


def _shared_backward(rows: int, ends: Array, g: Array) -> tuple[Array, None]:
    return grouped_outer(jnp.ones((rows, 1), g.dtype), g, ends)[:, 0], None


grouped_product.defvjp(_product_forward, _product_backward)
grouped_outer.defvjp(_outer_forward, _outer_backward)
_shared.defvjp(_shared_forward, _shared_backward)
