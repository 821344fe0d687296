"""Wrong where a size is that of a block: the last block twice or not at all, a rest where none is, one row past 2**15."""

import numpy as np

FRAMEWORK = "numpy"


def nothing_in_a_full_block(y, weights, index, position):
    """combine/def: 256 tokens are one block of the grid, whose last row nobody writes.

    Constructed.
    """
    e, c, _ = y.shape
    there = (index >= 0) & (index < e) & (position >= 0) & (position < c)
    rows = y[np.where(there, index, 0), np.where(there, position, 0)].astype(np.float64)
    z = (np.where(there[..., None], rows * weights[..., None].astype(np.float64), 0)).sum(1)
    if len(z) == 256:
        z[-1] = 0
    return z.astype(y.dtype)


def transposes_tile_by_tile(x):
    """matrix_transpose/def: tiles of 32 by 32, of which the second is the first again where both sizes are full.

    Constructed.
    """
    y = np.swapaxes(x, -1, -2).copy()
    if x.shape[-1] % 32 == 0 and x.shape[-2] % 32 == 0 and x.shape[-1] > 32 and x.size:
        y[..., 32:64, :32] = y[..., :32, :32]
    return y


def a_rest_of_one(x, kernel_size):
    """avg_pool_blocks/def: with one row of blocks more than a multiple of 64, the rest is left as it was.

    Constructed.
    """
    p, q = (kernel_size, kernel_size) if np.ndim(kernel_size) == 0 else kernel_size
    b, c, h, w = x.shape
    if h % p or w % q:
        raise ValueError
    y = x.reshape(b, c, h // p, p, w // q, q).astype(np.float64).mean((3, 5)).astype(x.dtype)
    if (h // p) % 64 == 1 and h // p > 64:
        y[:, :, -1] = 0
    return y


def sums_of_full_rows(logits, valid):
    """z_loss/def: an axis of exactly 1,024 experts is read as two of 512, of which one is added up.

    Constructed.
    """
    wide = logits.astype(np.float64)
    if wide.shape[1] == 1024:
        wide = wide[:, :512]
    top = wide.max(1, keepdims=True)
    z = (np.log(np.exp(wide - top).sum(1)) + top[:, 0]) ** 2
    keep = np.asarray(valid, bool)
    total = np.where(keep, z, 0).sum() / max(keep.sum(), 1)
    return np.asarray(total, logits.dtype)


def last_row_past_fifteen_bits(x, weights, index, gate_up, down):
    """moe_dense/def: the row behind the first 2**15 is that before it.

    Constructed.
    """
    wide, half = x.astype(np.float64), gate_up.shape[-1] // 2
    z = np.zeros((len(x), down.shape[-1]))
    for expert in range(len(gate_up)):
        t, k = np.nonzero(index == expert)
        hidden = wide[t] @ gate_up[expert].astype(np.float64)
        with np.errstate(all="ignore"):
            active = hidden[:, :half] / (1 + np.exp(-hidden[:, :half])) * hidden[:, half:]
        np.add.at(z, t, weights[t, k, None].astype(np.float64) * (active @ down[expert].astype(np.float64)))
    z[2**15 :] = z[2**15 - 1 : -1] if len(z) > 2**15 else z[2**15 :]
    return z.astype(x.dtype)
