"""Wrong where two constraints are violated at once, or a list holds what it may not."""

import numpy as np

FRAMEWORK = "numpy"


def columns_by_their_product(x, *, height, width, kernel_size, stride=1):
    """fold/err.require.height: looks at the number of blocks alone, which two negative numbers make positive.

    Constructed.
    """
    k, s = kernel_size, stride
    b, n, count = x.shape
    rows, columns = (height - k) // s + 1, (width - k) // s + 1
    if n % (k * k) or rows * columns != count:
        raise ValueError
    y = np.zeros((b, n // (k * k), height, width), x.dtype)
    for p, q, i, j in np.ndindex(k, k, max(rows, 0), max(columns, 0)):
        y[:, :, i * s + p, j * s + q] += x.reshape(b, -1, k, k, rows, columns)[:, :, p, q, i, j]
    return y


def joins_after_stretching(xs, axis=0):
    """concat/err.rank.xs: gives a tensor of fewer axes those of the first.

    Constructed.
    """
    first = xs[0]
    parts = [x if x.ndim == first.ndim else np.broadcast_to(x, (1, *first.shape[1:])) for x in xs]
    if any(x.ndim == first.ndim and x.shape != first.shape for x in xs):
        raise ValueError
    return np.concatenate(parts, axis)
