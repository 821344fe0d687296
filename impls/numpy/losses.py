"""NumPy: losses that keep experts in use, and the step of a bias that does so without a loss."""

# t tokens, e experts, k choices of a token

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from einspec.impls.checked_numpy import op
from einspec.impls.numpy.assignment import expert_counts

__all__ = ["bias_step", "cv_squared", "load_balance", "sequence_load_balance", "z_loss"]

Array = np.ndarray[Any, Any]
Routes = Literal["first", "all", "mean"]


@op
def load_balance(scores: Array, index: Array, valid: Array, *, routes: Routes = "mean") -> Array:
    """Compute load_balance (see its card)."""
    experts, k = scores.shape[1], index.shape[1]
    tokens = float(np.count_nonzero(valid) or 1)
    asked = index[valid][:, :1] if routes == "first" else index[valid]  # t k
    load = expert_counts(asked, experts=experts)
    with np.errstate(all="ignore"):
        mass = scores[valid].sum(0, dtype=_wide(scores))
        loss = experts * (load * mass).sum() / (tokens * tokens * (max(k, 1) if routes == "mean" else 1))
        return np.asarray(loss, _wide(scores))


@op
def z_loss(logits: Array, valid: Array) -> Array:
    """Compute z_loss (see its card)."""
    x = logits[valid].astype(_wide(logits), copy=False)
    with np.errstate(all="ignore"):
        top = x.max(1, initial=-np.inf)
        top = np.where(np.isfinite(top), top, x.dtype.type(0))
        total = top + np.log(np.exp(x - top[:, None]).sum(1))  # t
        return np.asarray((total * total).sum() / max(len(x), 1), x.dtype)


@op
def cv_squared(x: Array, *, ddof: int = 0, eps: float = 0.0) -> Array:
    """Compute cv_squared (see its card)."""
    wide = x.astype(_wide(x), copy=False)
    if len(x) <= ddof:
        return np.zeros((), wide.dtype)
    with np.errstate(all="ignore"):
        mean = wide.mean()
        variance = np.square(wide - mean).sum() / (len(x) - ddof)
        return np.asarray(variance and variance / (mean * mean + eps), wide.dtype)


@op
def bias_step(bias: Array, counts: Array, *, rate: float) -> Array:
    """Compute bias_step (see its card)."""
    n = counts.astype(np.int64)
    sign = np.sign(n.sum() - len(n) * n)  # of mean - count, on integers
    with np.errstate(all="ignore"):
        stepped: Array = np.where(sign == 0, bias.astype(np.float64), bias.astype(np.float64) + rate * sign)
        return stepped.astype(bias.dtype)


@op
def sequence_load_balance(scores: Array, index: Array, valid: Array, *, scores_are: Literal["share", "raw"] = "share") -> Array:
    """Compute sequence_load_balance (see its card)."""
    wide, loss = scores.astype(_wide(scores), copy=False), _wide(scores).type(0)
    with np.errstate(all="ignore"):
        for rows, routes, held in zip(wide, index, valid, strict=True):  # one sequence
            if scores_are == "share":
                total = rows.sum(1, keepdims=True)
                rows = np.where(total != 0, rows / total, 0)
            loss = loss + load_balance(rows, routes, held, routes="mean")
        return np.asarray(loss / max(len(scores), 1), _wide(scores))


def _wide(x: Array) -> np.dtype[Any]:
    return np.promote_types(x.dtype, np.float32)
