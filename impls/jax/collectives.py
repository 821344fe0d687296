"""JAX: what ranks send to each other, as one tensor with an axis of ranks."""

# p ranks that send, q ranks that receive, n rows of a block

from __future__ import annotations

import jax.numpy as jnp
from einops import rearrange, repeat
from jax import Array

from einspec.impls.checked_jax import op

__all__ = [
    "all_gather",
    "all_reduce",
    "all_to_all",
    "all_to_all_levels",
    "head_exchange",
    "head_exchange_uneven",
    "reduce_scatter",
    "ring_blocks",
    "ring_shift",
    "sequence_exchange",
    "sequence_exchange_uneven",
]


@op
def all_to_all(x: Array) -> Array:
    """Compute all_to_all (see its card)."""
    return rearrange(x, "p (q n) ... -> q (p n) ...", q=len(x))


@op
def all_gather(x: Array) -> Array:
    """Compute all_gather (see its card)."""
    return repeat(x, "p n ... -> q (p n) ...", q=len(x))


@op
def reduce_scatter(x: Array) -> Array:
    """Compute reduce_scatter (see its card)."""
    return rearrange(_sum(x), "(p n) ... -> p n ...", p=len(x))


@op
def all_reduce(x: Array) -> Array:
    """Compute all_reduce (see its card)."""
    return jnp.broadcast_to(_sum(x), x.shape)


@op
def head_exchange(x: Array) -> Array:
    """Compute head_exchange (see its card)."""
    return rearrange(x, "p b n (q h) d -> q b (p n) h d", q=len(x))


@op
def sequence_exchange(y: Array) -> Array:
    """Compute sequence_exchange (see its card)."""
    return rearrange(y, "q b (p n) h d -> p b n (q h) d", p=len(y))


@op
def ring_shift(x: Array, *, shift: int = 1) -> Array:
    """Compute ring_shift (see its card)."""
    return jnp.roll(x, shift, axis=0)


@op
def ring_blocks(x: Array) -> Array:
    """Compute ring_blocks (see its card)."""
    return jnp.stack([jnp.roll(x, step, axis=0) for step in range(len(x))], axis=1)


@op
def all_to_all_levels(x: Array, *, node: int) -> Array:
    """Compute all_to_all_levels (see its card)."""
    nodes = len(x) // node
    inside = rearrange(x, "(n g) (m h w) ... -> n h (m g w) ...", g=node, m=nodes, h=node)
    return rearrange(inside, "n h (m g w) ... -> (m h) (n g w) ...", m=nodes, g=node)


@op
def head_exchange_uneven(x: Array) -> Array:
    """Compute head_exchange_uneven (see its card)."""
    each, extra = divmod(x.shape[3], len(x))
    more, fewer = jnp.split(x, [extra * (each + 1)], 3)
    first = rearrange(more, "p b n (q m) d -> q b (p n) m d", q=extra) if extra else None
    last = rearrange(fewer, "p b n (q m) d -> q b (p n) m d", q=len(x) - extra, m=each)
    return last if first is None else jnp.concatenate([first, jnp.pad(last, [(0, 0)] * 3 + [(0, 1), (0, 0)])])


@op
def sequence_exchange_uneven(y: Array, *, heads: int) -> Array:
    """Compute sequence_exchange_uneven (see its card)."""
    extra = heads % len(y)
    parts = [y[:extra], y[extra:, :, :, : heads // len(y)]]
    return jnp.concatenate([rearrange(part, "q b (p n) m d -> p b n (q m) d", p=len(y)) for part in parts], 3)


def _sum(x: Array) -> Array:
    """Return the sum of what all ranks hold, in at least float32 on the way."""
    wide = jnp.promote_types(x.dtype, jnp.float32) if jnp.issubdtype(x.dtype, jnp.inexact) else x.dtype
    return x.astype(wide).sum(0, dtype=wide).astype(x.dtype)
