"""Sequences in PyTorch."""  # b batch, n sequence, d features, w blocks, i inside a block, r relative distances

from __future__ import annotations

import torch
from torch.nn.functional import pad

from einspec.impls.torch.checked import op


@op
def chunk_overlap(x: torch.Tensor, *, window_size: int) -> torch.Tensor:
    """Compute chunk_overlap (see its card)."""
    b, n, d = x.shape
    blocks = x.reshape(b, n // window_size, window_size, d)
    return torch.cat([blocks[:, :-1], blocks[:, 1:]], 2)  # b chunk 2*window d


@op
def look_around(x: torch.Tensor, *, backward: int = 1, forward: int = 0, pad_value: float = 0) -> torch.Tensor:
    """Compute look_around (see its card)."""
    count, padded = x.shape[1], _pad(x, backward, forward, pad_value)
    return torch.cat([padded[:, k : k + count] for k in range(backward + 1 + forward)], 2)  # b w (e i) d


@op
def sliding_window(x: torch.Tensor, *, left: int, right: int) -> torch.Tensor:
    """Compute sliding_window (see its card)."""
    padded = _pad(x, left, right + 1, 0)  # one more, so that an empty sequence has a window to drop
    windows = padded.unfold(1, left + 1 + right, 1)[:, :-1]  # b n d j
    return windows.transpose(2, 3)


@op
def skew(x: torch.Tensor) -> torch.Tensor:
    """Compute skew (see its card)."""
    *lead, n, r = x.shape
    width = max(2 * n, r, 1)
    flat = pad(x, (0, width - r)).reshape(*lead, n * width)[..., n - 1 : n * width - 1]
    return flat.reshape(*lead, n, width - 1)[..., :n]  # rows one shorter: each starts one further left


@op
def unskew(x: torch.Tensor, *, num_distances: int) -> torch.Tensor:
    """Compute unskew (see its card)."""
    *lead, n, _ = x.shape
    width = max(2 * n, num_distances, 1)
    rows = pad(x, (0, width - 1 - n)).reshape(*lead, n * (width - 1))  # rows one shorter: see skew
    return pad(rows, (max(n - 1, 0), min(n, 1))).reshape(*lead, n, width)[..., :num_distances]


@op
def sliding_window_mask(*, seq_len: int, left: int, right: int) -> torch.Tensor:
    """Compute sliding_window_mask (see its card)."""
    distance = torch.arange(seq_len) - torch.arange(seq_len)[:, None]
    return (-left <= distance) & (distance <= right)


@op
def pad_to_multiple(x: torch.Tensor, *, multiple: int, pad_value: float = 0) -> torch.Tensor:
    """Compute pad_to_multiple (see its card)."""
    return _pad(x, 0, -x.shape[1] % multiple, pad_value)


def _pad(x: torch.Tensor, before: int, after: int, value: float) -> torch.Tensor:
    """Return the tensor with slices of a value before and after it along axis 1."""
    b, _, *rest = x.shape
    first, last = (x.new_full((b, count, *rest), value) for count in (before, after))
    return torch.cat([first, x, last], 1)
