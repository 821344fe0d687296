"""PyTorch: what ranks send to each other, as one tensor with an axis of ranks."""

# p ranks that send, q ranks that receive, n rows of a block

from __future__ import annotations

from torch import Tensor

from einspec.impls.checked_torch import op

__all__ = ["all_to_all"]


@op
def all_to_all(x: Tensor) -> Tensor:
    """Compute all_to_all (see its card)."""
    p, rows, *rest = x.shape
    return x.reshape(p, p, rows // p, *rest).transpose(0, 1).reshape(x.shape)
