"""JAX: routes sorted by expert, and the rows of each expert one after the other."""

# t tokens, k choices, e experts, c slots, r rows (routes), d features; flat route t*K + k

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from einspec.impls.checked_jax import op
from einspec.impls.jax.assignment import stable_group
from einspec.impls.jax.rows import weighted_rows

__all__ = [
    "align_groups",
    "group",
    "lengths_to_offsets",
    "pad_back",
    "padded_to_ragged",
    "permute",
    "ragged_to_padded",
    "row_labels",
    "unpad",
    "unpermute",
]

UNROLLED = 8
"""How many choices are added up at once."""


@op
@partial(jax.jit, static_argnames="experts")
def group(index: Array, *, experts: int) -> tuple[Array, Array, Array]:
    """Compute group (see its card)."""
    order, place, counts = stable_group(index.reshape(-1), experts)
    if not experts:
        return order, place.reshape(index.shape), counts
    starts = jnp.cumsum(counts, dtype=jnp.int32) - counts
    row = jnp.where(place < 0, -1, place + starts[numbers(index.reshape(-1), experts)])
    return order, row.reshape(index.shape), counts


@op
@partial(jax.jit, static_argnames="k")
def permute(x: Array, order: Array, *, k: int) -> Array:
    """Compute permute (see its card)."""
    return rows_from(x, numbers(order, len(x) * k), k)


@op
@jax.jit
def unpermute(y: Array, weights: Array, row: Array) -> Array:
    """Compute unpermute (see its card)."""
    return weighted_rows(y, weights, numbers(row, len(y)))


@op
@partial(jax.jit, static_argnames="block")
def align_groups(order: Array, counts: Array, *, block: int) -> tuple[Array, Array]:
    """Compute align_groups (see its card)."""
    r, e = len(order), len(counts)
    n = (r + e * (block - 1)) // block
    if not r or not e:
        return jnp.full(n * block, -1, jnp.int32), jnp.full(n, -1, jnp.int32)
    ends = group_ends(counts, r)
    starts = jnp.pad(ends, (1, 0))[:-1]
    last = jnp.cumsum((ends - starts + block - 1) // block, dtype=jnp.int32)  # e
    owner = group_of(last, n)
    first = jnp.pad(last, (1, 0))[:-1] * block - starts  # slot of a row, less the row
    expert = jnp.repeat(jnp.minimum(owner, e - 1), block)  # m
    row = jnp.arange(n * block, dtype=jnp.int32) - first[expert]
    held = (jnp.repeat(owner, block) < e) & (row < ends[expert])
    route = order[jnp.clip(row, 0, r - 1)]
    return jnp.where(held & (route >= 0), route.astype(jnp.int32), -1), jnp.where(owner < e, owner, -1)


@op
@partial(jax.jit, static_argnames="capacity")
def ragged_to_padded(x: Array, counts: Array, *, capacity: int) -> Array:
    """Compute ragged_to_padded (see its card)."""
    ends = group_ends(counts, len(x))[:, None]
    row = jnp.pad(ends, ((1, 0), (0, 0)))[:-1] + jnp.arange(capacity, dtype=jnp.int32)  # e c
    return rows_from(x, jnp.where(row < ends, row, -1).reshape(-1), 1).reshape(len(counts), capacity, x.shape[1])


@op
@jax.jit
def lengths_to_offsets(counts: Array) -> Array:
    """Compute lengths_to_offsets (see its card)."""
    return jnp.pad(jnp.cumsum(jnp.maximum(counts, 0).astype(jnp.int32), dtype=jnp.int32), (1, 0))


@op
@partial(jax.jit, static_argnames="rows")
def row_labels(counts: Array, *, rows: int) -> tuple[Array, Array]:
    """Compute row_labels (see its card)."""
    ends = group_ends(counts, rows)
    label = group_of(ends, rows)
    starts = jnp.pad(ends, (1, 0))  # one more, for rows past the last
    there, row = label < len(counts), jnp.arange(rows, dtype=jnp.int32)
    return jnp.where(there, label, -1), jnp.where(there, row - starts[label], -1)


@op
@partial(jax.jit, static_argnames="rows")
def padded_to_ragged(y: Array, counts: Array, *, rows: int) -> Array:
    """Compute padded_to_ragged (see its card)."""
    e, c, d = y.shape
    if not e:
        return jnp.zeros((rows, d), y.dtype)
    ends = group_ends(counts, rows)
    owner = group_of(ends, rows)
    place = jnp.arange(rows, dtype=jnp.int32) - jnp.pad(ends, (1, 0))[owner]
    return rows_from(y.reshape(e * c, d), jnp.where((owner < e) & (place < c), owner * c + place, -1), 1)


@op
@partial(jax.jit, static_argnames="rows")
def unpad(x: Array, mask: Array, *, rows: int) -> tuple[Array, Array, Array]:
    """Compute unpad (see its card)."""
    b, n, *rest = x.shape
    index = jnp.flatnonzero(mask, size=rows, fill_value=b * n).astype(jnp.int32)
    y = (
        jnp.take(x.reshape(b * n, *rest), index, axis=0, mode="fill", fill_value=0)
        if b * n
        else jnp.zeros((rows, *rest), x.dtype)
    )
    offsets = jnp.pad(jnp.cumsum(mask.sum(1, dtype=jnp.int32), dtype=jnp.int32), (1, 0))
    return y, jnp.where(index < b * n, index, -1), offsets


@op
@jax.jit
def pad_back(y: Array, mask: Array) -> Array:
    """Compute pad_back (see its card)."""
    if not len(y):
        return jnp.zeros((*mask.shape, *y.shape[1:]), y.dtype)
    return jnp.take(y, row_of(mask, len(y)), axis=0, mode="fill", fill_value=0)


def row_of(mask: Array, rows: int) -> Array:
    """Return for every place the number of the row that belongs there; that of the rows where there is none."""
    row = jnp.cumsum(mask.reshape(-1), dtype=jnp.int32).reshape(mask.shape) - 1
    return jnp.where(mask & (row < rows), row, rows)


def group_ends(counts: Array, rows: int) -> Array:
    """Return where the rows of each group end, no later than the rows do; a negative count is none."""
    whole = counts if counts.dtype.itemsize >= 4 else counts.astype(jnp.int32)
    sizes = jnp.clip(whole, 0, rows).astype(jnp.int32)
    return lax.associative_scan(lambda a, b: jnp.minimum(a + b, rows), sizes) if len(sizes) else sizes


def group_of(ends: Array, rows: int) -> Array:
    """Return the group of every row; the number of groups for a row past the last."""
    return jnp.searchsorted(ends, jnp.arange(rows, dtype=jnp.int32), side="right").astype(jnp.int32)


def numbers(x: Array, count: int) -> Array:
    """Return the integers as int32, those outside 0..count-1 as -1."""
    whole = x if x.dtype.itemsize >= 4 else x.astype(jnp.int32)
    return jnp.where((whole >= 0) & (whole < count), whole.astype(jnp.int32), -1)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def rows_from(x: Array, source: Array, k: int) -> Array:
    """Return row source // k of x for every source, 0 for -1. The gradient has no scatter of floats."""
    if not len(x):
        return jnp.zeros((len(source), x.shape[1]), x.dtype)
    rows = x.at[jnp.maximum(source, 0) // k].get(mode="promise_in_bounds")
    return jnp.where(source[:, None] < 0, jnp.zeros((), x.dtype), rows)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def sums_to(g: Array, target: Array, k: int, size: int) -> Array:
    """Return for each number below ``size`` the sum of the rows with that target // k.

    A round adds the first row of each target. One is enough where targets are distinct.
    """
    wide = jnp.promote_types(g.dtype, jnp.float32)
    flat = jnp.arange(len(g), dtype=jnp.int32)

    def more(state: tuple[Array, Array]) -> Array:
        return (state[1] < size * k).any()

    def round_of_rows(state: tuple[Array, Array]) -> tuple[Array, Array]:
        total, left = state
        first = jnp.full(size * k, len(g), jnp.int32).at[left].min(flat, mode="drop")
        columns = first.reshape(size, k)

        def add(j: Any, total: Array) -> Array:
            rows = columns[:, j]
            read = g.at[jnp.minimum(rows, len(g) - 1)].get(mode="promise_in_bounds").astype(wide)
            return total + jnp.where(rows[:, None] < len(g), read, 0)

        total = lax.fori_loop(0, k, add, total, unroll=min(k, UNROLLED))
        done = first.at[left].get(mode="fill", fill_value=-1) == flat
        return total, jnp.where(done, size * k, left)

    start = jnp.zeros((size, g.shape[1]), wide), jnp.where(target < 0, size * k, target)
    total = lax.while_loop(more, round_of_rows, round_of_rows(start))[0] if len(g) else start[0]
    return total.astype(g.dtype)


def _rows_forward(x: Array, source: Array, k: int) -> tuple[Array, Any]:
    return rows_from(x, source, k), (source, x[:, :0])


def _rows_backward(k: int, kept: Any, g: Array) -> tuple[Array, None]:
    return sums_to(g, kept[0], k, len(kept[1])), None


def _sums_forward(g: Array, target: Array, k: int, size: int) -> tuple[Array, Array]:
    return sums_to(g, target, k, size), target


def _sums_backward(k: int, size: int, target: Array, h: Array) -> tuple[Array, None]:
    return rows_from(h, target, k), None


rows_from.defvjp(_rows_forward, _rows_backward)
sums_to.defvjp(_sums_forward, _sums_backward)
