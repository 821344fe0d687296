"""PyTorch: windows over sequences, relative positions, padding."""

# b batch, n sequence, d features, w blocks, i inside a block, r relative distances

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from einspec.impls.checked_torch import op
from einspec.impls.torch.bits import moved
from einspec.impls.torch.views import unshared

__all__ = [
    "causal_mask",
    "chunk_overlap",
    "document_mask",
    "look_around",
    "pad_to_multiple",
    "reverse_sequence",
    "sequence_mask",
    "skew",
    "sliding_window",
    "sliding_window_mask",
    "unskew",
]


@op
def chunk_overlap(x: Tensor, *, window_size: int) -> Tensor:
    """Compute chunk_overlap (see its card)."""
    b, n, d = x.shape
    if n < 2 * window_size:
        return x[:, :0].reshape(b, 0, 2 * window_size, d)
    return unshared(x.unfold(1, 2 * window_size, window_size).transpose(2, 3), x)  # b chunk 2*window d


@op
def look_around(x: Tensor, *, backward: int = 1, forward: int = 0, pad_value: float = 0) -> Tensor:
    """Compute look_around (see its card)."""
    count, padded = x.shape[1], _pad(x, backward, forward, pad_value)
    return torch.cat([padded[:, k : k + count] for k in range(backward + 1 + forward)], 2)  # b w (e i) d


@op
def sliding_window(x: Tensor, *, left: int, right: int) -> Tensor:
    """Compute sliding_window (see its card)."""
    padded = _pad(x, left, right + 1, 0)  # one more, so that an empty sequence has a window to drop
    windows = padded.unfold(1, left + 1 + right, 1)[:, :-1]  # b n d j
    return windows.transpose(2, 3).contiguous()


@op
def skew(x: Tensor) -> Tensor:
    """Compute skew (see its card)."""
    *lead, n, r = x.shape
    width = max(2 * n, r, 1)
    flat = pad(x, (0, width - r)).reshape(*lead, n * width)[..., n - 1 : n * width - 1]
    return flat.reshape(*lead, n, width - 1)[..., :n]  # rows one shorter: each starts one further left


@op
def unskew(x: Tensor, *, num_distances: int) -> Tensor:
    """Compute unskew (see its card)."""
    *lead, n, _ = x.shape
    width = max(2 * n, num_distances, 1)
    rows = pad(x, (0, width - 1 - n)).reshape(*lead, n * (width - 1))  # rows one shorter: see skew
    return pad(rows, (max(n - 1, 0), min(n, 1))).reshape(*lead, n, width)[..., :num_distances]


@op
def sliding_window_mask(*, seq_len: int, left: int, right: int) -> Tensor:
    """Compute sliding_window_mask (see its card)."""
    distance = torch.arange(-seq_len, seq_len)
    band = (-left <= distance) & (distance <= right)
    return band.unfold(0, seq_len, 1)[1:].flip(0)  # each row starts one further left


@op
def sequence_mask(lengths: Tensor, *, max_length: int) -> Tensor:
    """Compute sequence_mask (see its card)."""
    return torch.arange(max_length, device=lengths.device) < lengths.long()[:, None]


@op
def reverse_sequence(x: Tensor, lengths: Tensor) -> Tensor:
    """Compute reverse_sequence (see its card)."""
    n = torch.arange(x.shape[1], device=x.device)
    ends = lengths.long().clamp(0, x.shape[1])[:, None]
    source = torch.where(n < ends, ends - 1 - n, n).reshape(*x.shape[:2], *(1,) * (x.ndim - 2)).expand(x.shape)
    return moved(x, lambda bits: bits.gather(1, source))


@op
def document_mask(segments: Tensor, *, keys: Literal["all", "causal"] = "all") -> Tensor:
    """Compute document_mask (see its card)."""
    own = segments.long()  # ... n
    mask = (own[..., :, None] == own[..., None, :]) & (own >= 0)[..., None]
    return mask.tril() if keys == "causal" else mask


@op
def causal_mask(*, q_len: int, kv_len: int, align: Literal["bottom_right", "top_left"] = "bottom_right") -> Tensor:
    """Compute causal_mask (see its card)."""
    ahead = kv_len - q_len if align == "bottom_right" else 0
    return torch.arange(kv_len) <= torch.arange(q_len)[:, None] + ahead


@op
def pad_to_multiple(x: Tensor, *, multiple: int, pad_value: float = 0) -> Tensor:
    """Compute pad_to_multiple (see its card)."""
    return _pad(x, 0, -x.shape[1] % multiple, pad_value)


def _pad(x: Tensor, before: int, after: int, value: float) -> Tensor:
    """Return the tensor with slices of a value before and after it along axis 1."""
    b, _, *rest = x.shape
    first, last = (x.new_full((b, count, *rest), value) for count in (before, after))
    return torch.cat([first, x, last], 1)
