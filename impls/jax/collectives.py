"""JAX: what ranks send to each other, as one tensor with an axis of ranks."""

# p ranks that send, q ranks that receive, n rows of a block

from __future__ import annotations

from einops import rearrange
from jax import Array

from einspec.impls.checked import op

__all__ = ["all_to_all"]


@op
def all_to_all(x: Array) -> Array:
    """Compute all_to_all (see its card)."""
    return rearrange(x, "p (q n) ... -> q (p n) ...", q=len(x))
