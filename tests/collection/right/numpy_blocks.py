"""Right whatever the sizes are, in blocks with a rest, as kernels work."""

import numpy as np

FRAMEWORK = "numpy"
BLOCK = 32


def transposes_in_tiles(x):
    """matrix_transpose: tile by tile, of which the last ones are cut."""
    *lead, m, n = x.shape
    y = np.empty((*lead, n, m), x.dtype)
    for i in range(0, m, BLOCK):
        for j in range(0, n, BLOCK):
            y[..., j : j + BLOCK, i : i + BLOCK] = np.swapaxes(x[..., i : i + BLOCK, j : j + BLOCK], -1, -2)
    return y


def combines_in_blocks(y, weights, index, position):
    """combine: 256 tokens at a time, the rest as a block of its own."""
    e, c, d = y.shape
    z = np.zeros((len(index), d), y.dtype)
    for start in range(0, len(index), 256):
        own = slice(start, start + 256)
        there = (index[own] >= 0) & (index[own] < e) & (position[own] >= 0) & (position[own] < c)
        if y.size:
            rows = y[np.where(there, index[own], 0), np.where(there, position[own], 0)].astype(np.float64)
            with np.errstate(all="ignore"):
                part = np.where(there[..., None], rows * weights[own][..., None].astype(np.float64), 0).sum(1)
                z[own] = part.astype(y.dtype)
    return z


def experts_one_after_the_other(x, weights, index, gate_up, down):
    """moe_dense: gathers the tokens of each expert, however many they are."""
    wide, half = x.astype(np.float64), gate_up.shape[-1] // 2
    z = np.zeros((len(x), down.shape[-1]))
    for expert in range(len(gate_up)):
        t, k = np.nonzero(index == expert)
        hidden = wide[t] @ gate_up[expert].astype(np.float64)
        with np.errstate(all="ignore"):
            active = hidden[:, :half] / (1 + np.exp(-hidden[:, :half])) * hidden[:, half:]
            np.add.at(z, t, weights[t, k, None].astype(np.float64) * (active @ down[expert].astype(np.float64)))
    with np.errstate(all="ignore"):
        return z.astype(x.dtype)
