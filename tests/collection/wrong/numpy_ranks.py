"""Wrong exchanges between ranks in NumPy, as functions of all ranks at once."""

import numpy as np

FRAMEWORK = "numpy"


def two_ranks_alone(x):
    """all_to_all/def: delivers what the first two ranks sent, and leaves zeros in the places of the others.

    Imitates https://github.com/candle-org/MindAct/pull/2498.
    """
    p, rows, *rest = x.shape
    if rows % p:
        raise ValueError("rows")
    blocks = x.reshape(p, p, rows // p, *rest)
    y = np.zeros_like(blocks)
    y[:, :2] = blocks.swapaxes(0, 1)[:, :2]
    return y.reshape(x.shape)
