"""Wrong past one end alone: of a block of choices or slots, of 16 bits, of small outputs, of memory that is written out."""

import numpy as np

FRAMEWORK = "numpy"
BLOCK = 64
LARGE = 4096


def joins_what_memory_holds(xs, axis=0):
    """concat/layout.expanded: copies the memory behind each tensor, of which one that is repeated has too little.

    Constructed.
    """
    parts = [np.resize(np.unique(x, axis=0), x.shape) if 0 in x.strides and x.size > 1 else x for x in xs]
    if len({x.shape for x in xs}) != 1:
        raise ValueError
    return np.concatenate(parts, axis)


def reads_a_block_of_choices_again(index, experts):
    """expert_counts/def: choices in blocks of 64, of which the last full one is the one before it again.

    Constructed.
    """
    k = index.shape[1]
    if k >= 2 * BLOCK and k % BLOCK == 0:
        index = np.concatenate([index[:, :-BLOCK], index[:, -2 * BLOCK : -BLOCK]], 1)
    there = (index >= 0) & (index < experts)
    return np.bincount(index[there], minlength=experts).astype(np.int32)


def reads_a_block_of_slots_again(y, weights, index, position):
    """combine/def: slots in blocks of 512, of which the last full one is the one before it again.

    Constructed.
    """
    e, c, _ = y.shape
    if c == 1024:
        y = np.concatenate([y[:, :512], y[:, :512]], 1)
    there = (index >= 0) & (index < e) & (position >= 0) & (position < c)
    rows = y[np.where(there, index, 0), np.where(there, position, 0)].astype(np.float64)
    return np.where(there[..., None], rows * weights[..., None].astype(np.float64), 0).sum(1).astype(y.dtype)


def leaves_out_the_first(x, k):
    """top_k/def: the buffer of places is not cleared where it is large, and place 0 is not written.

    Constructed.
    """
    if not 0 <= k <= x.shape[1]:
        raise ValueError
    order = _descending(x)[:, :k]
    index = np.zeros(order.shape, np.int32) if order.size < LARGE else np.full(order.shape, 7, np.int32)
    index[order > 0] = order[order > 0]
    return np.take_along_axis(x, order, 1), index


def _descending(x):
    if x.dtype.kind in "iub":
        return np.argsort(~x, axis=1, kind="stable")
    return np.lexsort((-x.astype(np.float64), ~np.isnan(x)), axis=1)


def counts_rows_in_16_bits(x):
    """global_avg_pool/def: the number of a row has 16 bits, so that those behind 65,536 are the first again.

    Constructed.
    """
    rows = np.arange(x.shape[2]).astype(np.uint16)
    return x[:, :, rows].astype(np.float64).mean((2, 3)).astype(x.dtype)


def reads_full_blocks_of_rows(x):
    """global_max_pool/def: rows in blocks of 1,024, and what is left behind them is not read.

    Constructed.
    """
    rows = x.shape[2]
    full = rows - rows % 1024 if rows > 1024 else rows
    return x[:, :, :full].max((2, 3))


def orders_in_16_bits(x, order, k):
    """permute/def: routes have 16 bits, so that tokens behind 32,767 are none.

    Constructed.
    """
    token = order.astype(np.int16).astype(np.int64) // k
    there = (order >= 0) & (token >= 0) & (token < len(x))
    return np.where(there[:, None], x[np.where(there, token, 0)] if len(x) else np.zeros((), x.dtype), np.zeros((), x.dtype))


def draws_for_65_536_tokens(logits, spread, noise, floor=0.0):
    """noisy_logits/def: the noise of a token behind 65,536 is that of the first again.

    Constructed.
    """
    rows = np.arange(len(noise)).astype(np.uint16)
    wide = spread.astype(np.float64)
    width = np.maximum(wide, 0) + np.log1p(np.exp(-np.abs(wide))) + floor
    return (logits + noise[rows] * width).astype(np.promote_types(logits.dtype, np.float32))


def masks_windows_twice(*, height, width, window_size, shift):
    """shifted_window_mask/def: windows in blocks of 32, of which the last full one is the one before it again.

    Constructed.
    """
    (p, q), (sh, sw) = (n if isinstance(n, tuple) else (n, n) for n in (window_size, shift))
    if min(p, q) < 1 or height % p or width % q or not (0 <= sh < p and 0 <= sw < q):
        raise ValueError
    behind = 2 * (np.arange(height) >= height - sh)[:, None] + (np.arange(width) >= width - sw)
    windows = behind.reshape(height // p, p, width // q, q).swapaxes(1, 2).reshape(-1, p * q)
    mask = windows[:, :, None] == windows[:, None]
    if len(mask) >= 64 and len(mask) % 32 == 0:
        mask[-32:] = mask[-64:-32]
    return mask
