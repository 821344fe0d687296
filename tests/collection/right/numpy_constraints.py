"""Right, and strict about what may not be called."""

import numpy as np

FRAMEWORK = "numpy"


def folds_where_there_are_blocks(x, *, height, width, kernel_size, stride=1):
    """fold: adds each column up, and wants both numbers of blocks to be positive."""
    k, s = kernel_size, stride
    b, n, count = x.shape
    rows, columns = (height - k) // s + 1, (width - k) // s + 1
    if height < k or width < k or n % (k * k) or rows * columns != count:
        raise ValueError
    y = np.zeros((b, n // (k * k), height, width), x.dtype)
    parts = x.reshape(b, n // (k * k), k, k, rows, columns)
    for p, q in np.ndindex(k, k):
        y[:, :, p : p + s * rows : s, q : q + s * columns : s][:, :, :rows, :columns] += parts[:, :, p, q]
    return y
