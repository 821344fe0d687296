"""Right wherever routes go: all to one expert, or few to many."""

import numpy as np

FRAMEWORK = "numpy"


def one_row_after_the_other(x, w, counts):
    """grouped_matmul: looks the expert of each row up, whose share may be everything."""
    ends = np.cumsum(np.maximum(counts.astype(np.int64), 0))
    y = np.zeros((len(x), w.shape[-1]))
    for row in range(min(len(x), int(ends[-1]) if len(ends) else 0)):
        with np.errstate(all="ignore"):
            y[row] = x[row].astype(np.float64) @ w[np.searchsorted(ends, row, side="right")].astype(np.float64)
    with np.errstate(all="ignore"):
        return y.astype(x.dtype)


def counts_by_comparison(index, experts):
    """expert_counts: compares with each expert, of which there may be more than a word has bits."""
    return np.array([np.count_nonzero(index == e) for e in range(experts)], np.int32).reshape(experts)


def tables_as_they_are(ids, table):
    """hash_route: reads a table in the dtype in which it comes."""
    k = table.shape[1]
    rows = [table[i] if 0 <= i < len(table) else np.full(k, -1) for i in ids.tolist()]
    return np.maximum(np.array(rows).reshape(len(ids), k), -1).astype(np.int32)
