"""Right to the end: of blocks of choices and slots, past 16 bits, in large outputs, of memory that is repeated."""

import numpy as np

FRAMEWORK = "numpy"
BLOCK = 64


def joins_copies(xs, axis=0):
    """concat: copies each tensor first, whatever its memory is."""
    if len({x.shape for x in xs}) != 1:
        raise ValueError
    return np.concatenate([x.copy() for x in xs], axis)


def counts_blocks_of_choices(index, experts):
    """expert_counts: choices in blocks of 64, and the rest."""
    if experts < 0 or index.dtype.kind not in "iu":
        raise ValueError
    counts = np.zeros(experts, np.int64)
    for start in range(0, index.shape[1], BLOCK):
        part = index[:, start : start + BLOCK].astype(np.int64)
        counts += np.bincount(part[(part >= 0) & (part < experts)], minlength=experts)
    return counts.astype(np.int32)


def combines_blocks_of_slots(y, weights, index, position):
    """combine: slots in blocks of 512, and the rest."""
    e, c, d = y.shape
    z = np.zeros((len(index), d))
    for start in range(0, c, 512):
        part = y[:, start : start + 512].astype(np.float64)
        there = (index >= 0) & (index < e) & (position >= start) & (position < start + part.shape[1])
        for token, choice in zip(*np.nonzero(there), strict=True):
            slot = int(position[token, choice]) - start
            with np.errstate(all="ignore"):
                z[token] += weights[token, choice].astype(np.float64) * part[index[token, choice], slot]
    return z.astype(y.dtype)


def writes_where_it_is_not_0(x, k):
    """top_k: place 0 is what the buffer holds that was cleared."""
    if not 0 <= k <= x.shape[1]:
        raise ValueError
    order = _descending(x)[:, :k]
    index = np.zeros(order.shape, np.int32)
    index[order > 0] = order[order > 0]
    return np.take_along_axis(x, order, 1), index


def _descending(x):
    if x.dtype.kind in "iub":
        return np.argsort(~x, axis=1, kind="stable")
    return np.lexsort((-x.astype(np.float64), ~np.isnan(x)), axis=1)


def adds_row_by_row(x):
    """global_avg_pool: adds rows one by one, those of the second half first."""
    rows = x.shape[2]
    if not rows * x.shape[3]:
        raise ValueError
    wide = x.astype(np.result_type(x, np.float64))
    return ((wide[:, :, rows // 2 :].sum((2, 3)) + wide[:, :, : rows // 2].sum((2, 3))) / (rows * x.shape[3])).astype(x.dtype)


def reads_blocks_of_rows(x):
    """global_max_pool: rows in blocks of 1,024, and what is left behind them."""
    if not x.shape[2] * x.shape[3]:
        raise ValueError
    blocks = [x[:, :, start : start + 1024].max((2, 3)) for start in range(0, x.shape[2], 1024)]
    return np.stack(blocks).max(0)


def orders_the_rest_apart(x, order, k):
    """permute: tokens up to 32,767 first, then those behind them."""
    if k < 1 or order.dtype.kind not in "iu":
        raise ValueError
    y = np.zeros((len(order), x.shape[1]), x.dtype)
    token = order.astype(np.int64) // k
    for first, last in ((0, 2**15), (2**15, len(x))):
        there = (order >= 0) & (token >= first) & (token < min(last, len(x)))
        y[there] = x[token[there]]
    return y


def draws_for_each_token(logits, spread, noise, floor=0.0):
    """noisy_logits: softplus as log1p, at whatever number of tokens."""
    wide = spread.astype(np.float64)
    width = np.maximum(wide, 0) + np.log1p(np.exp(-np.abs(wide))) + float(floor)
    return (logits + noise * width).astype(np.promote_types(logits.dtype, np.float32))


def masks_all_windows(*, height, width, window_size, shift):
    """shifted_window_mask: by the band of rows and columns that a position comes from."""
    (p, q), (sh, sw) = (n if isinstance(n, tuple) else (n, n) for n in (window_size, shift))
    if min(p, q) < 1 or height % p or width % q or not (0 <= sh < p and 0 <= sw < q):
        raise ValueError
    behind = 2 * (np.arange(height) >= height - sh)[:, None] + (np.arange(width) >= width - sw)
    windows = behind.reshape(height // p, p, width // q, q).swapaxes(1, 2).reshape(-1, p * q)
    return windows[:, :, None] == windows[:, None]
