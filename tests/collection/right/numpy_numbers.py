"""Right numbers in NumPy: added in other orders, in other precision, with other functions."""

import functools
from decimal import Decimal
from fractions import Fraction

import numpy as np

FRAMEWORK = "numpy"


def _wide(x):
    return x.astype(np.float64 if x.dtype == np.float64 else np.float32)


def halves_of_halves(x):
    """global_avg_pool: adds pairs, and pairs of pairs, in float64 or wider."""
    flat = x.reshape(*x.shape[:2], x.shape[2] * x.shape[3])
    y = flat.astype(np.complex128 if x.dtype.kind == "c" else np.float64)
    while y.shape[2] > 1:
        y = y[:, :, 0::2] + np.pad(y[:, :, 1::2], ((0, 0), (0, 0), (0, y.shape[2] % 2)))
    with np.errstate(all="ignore"):
        return (y.sum(2) / flat.shape[2]).astype(x.dtype)


def last_first(x, kernel_size):
    """avg_pool_blocks: adds one by one from the end, dividing every term."""
    p, q = (kernel_size, kernel_size) if np.ndim(kernel_size) == 0 else kernel_size
    b, c, h, w = x.shape
    assert h % p == 0
    assert w % q == 0
    blocks = x.reshape(b, c, h // p, p, w // q, q).astype(np.promote_types(x.dtype, np.float32))
    y = np.zeros((b, c, h // p, w // q), blocks.dtype)
    with np.errstate(all="ignore"):
        for i in reversed(range(p)):
            for j in reversed(range(q)):
                y = y + blocks[:, :, :, i, :, j] / blocks.real.dtype.type(p * q)
        return y.astype(x.dtype)


def maximum_of_rows(x):
    """global_max_pool: folds rows, then columns, by the maximum of two."""
    rows = functools.reduce(np.maximum, np.moveaxis(x, 2, 0))
    return functools.reduce(np.maximum, np.moveaxis(rows, 2, 0))


def sorted_first(x):
    """channel_max_pool: sorts the channels and takes the last."""
    return np.sort(x, axis=1)[:, -1] if x.dtype.kind != "c" else x.max(1)


def zeros_are_negative(x, height, width, kernel_size, stride=1, padding=0, dilation=1, order="cpq"):
    """fold: starts its sums with -0, and adds the last window first."""
    pairs = [(v, v) if np.ndim(v) == 0 else v for v in (kernel_size, stride, padding, dilation)]
    (p, q), (sh, sw), (ph, pw), (dh, dw) = pairs
    b, d, n = x.shape
    if d % (p * q) or height + 2 * ph <= dh * (p - 1) or width + 2 * pw <= dw * (q - 1):
        raise RuntimeError("size")
    i, j = (height + 2 * ph - dh * (p - 1) - 1) // sh + 1, (width + 2 * pw - dw * (q - 1) - 1) // sw + 1
    if i * j != n:
        raise RuntimeError("windows")
    c = d // (p * q)
    cut = x.reshape(b, c, p, q, i, j) if order == "cpq" else x.reshape(b, p, q, c, i, j).transpose(0, 3, 1, 2, 4, 5)
    wide = np.promote_types(x.dtype, np.float32) if x.dtype.kind in "fc" else x.dtype
    y = np.full((b, c, height + 2 * ph, width + 2 * pw), -0.0 if x.dtype.kind in "fc" else 0, wide)
    for u, v in reversed(list(np.ndindex(p, q))):
        for k, m in np.ndindex(i, j):
            y[:, :, k * sh + u * dh, m * sw + v * dw] += cut[:, :, u, v, k, m].astype(wide)
    return y[:, :, ph : ph + height, pw : pw + width].astype(x.dtype)


def by_logarithms(logits, fn="softmax"):
    """score: softmax as the exponential of a difference of logarithms."""
    if fn != "softmax":
        raise NotImplementedError(fn)
    x = logits.astype(np.float64)
    with np.errstate(all="ignore"):
        top = x.max(1, keepdims=True, initial=-np.inf)
        shift = x - top
        found = np.exp(shift - np.log(np.exp(shift).sum(1, keepdims=True)))
    return found.astype(_wide(logits).dtype)


def accumulated_logarithms(logits, valid):
    """z_loss: a running sum of exponentials, one logit after the other."""
    x = logits.astype(np.float64)[valid]
    with np.errstate(all="ignore"):
        total = np.logaddexp.reduce(x, axis=1) if x.shape[1] else np.full(len(x), -np.inf)
        loss = (total**2).sum() / max(len(x), 1)
    return np.asarray(loss, _wide(logits).dtype)


def stable_on_both_sides(h, layout="gate_up"):
    """glu: two formulas of the sigmoid, each where it does not overflow."""
    if layout != "gate_up":
        raise NotImplementedError(layout)
    gate, up = np.split(h.astype(np.float64), 2, axis=-1)
    with np.errstate(all="ignore"):
        small = np.exp(-np.abs(gate))
        sigmoid = np.where(gate >= 0, 1 / (1 + small), small / (1 + small))
        return (gate * np.where(np.isnan(gate), np.nan, sigmoid) * up).astype(h.dtype)


def exact_integers(*, tokens, k, experts, factor=1, rounding="ceil", minimum=0, multiple_of=1):
    """capacity: quotient and rest of fractions, a decimal where one is given."""
    exact = Fraction(Decimal(str(factor))) if isinstance(factor, str | float) else Fraction(factor)
    whole, rest = divmod(exact * tokens * k, experts)
    half = {"ceil": rest > 0, "floor": False, "half_even": 2 * rest > experts or (2 * rest == experts and whole % 2)}
    share = max(int(whole) + int(half[rounding]), minimum)
    return share + -share % multiple_of


def scores_in_double(scores, index, valid, routes="mean"):
    """load_balance: counts routes one by one and computes in float64."""
    (_, e), k = scores.shape, index.shape[1]
    shares, n = np.zeros(e), int(valid.sum())
    for t in np.flatnonzero(valid):
        for expert in index[t, : 1 if routes == "first" else k].tolist():
            if 0 <= expert < e:
                shares[expert] += 1
    shares /= max(n * (k if routes == "mean" else 1), 1)
    with np.errstate(all="ignore"):
        mean = scores.astype(np.float64)[valid].sum(0) / max(n, 1)
        return np.asarray((shares * mean).sum() * e, _wide(scores).dtype)


def deviation_over_mean(x, ddof=0, eps=0.0):
    """cv_squared: the square of a quotient of which one part is a root."""
    if eps:
        raise NotImplementedError("eps")
    y = _wide(x)
    if len(y) <= ddof or not y.any():
        return np.zeros((), y.dtype)
    with np.errstate(all="ignore"):
        return np.asarray((y.std(ddof=ddof) / y.mean()) ** 2)


def softmax_by_its_logarithm(logits, fn="softmax"):
    """score: exp of the difference to the logarithm of the sum."""
    if fn != "softmax":
        raise NotImplementedError(fn)
    x = _wide(logits)
    if x.shape[1] == 0:
        return x
    with np.errstate(all="ignore"):
        top = x.max(1, keepdims=True)
        return np.exp(x - (top + np.log(np.exp(x - top).sum(1, keepdims=True))))


def scaled_in_the_end(scores, index, norm="none", eps=0.0, least=0.0, scale=1.0):
    """route_weights: divides first, which may lose the last bits of subnormal numbers."""
    if norm not in ("none", "sum"):
        raise NotImplementedError(norm)
    s = _wide(scores)
    kind = s.dtype.type
    inside = (index >= 0) & (index < s.shape[1])
    raw = np.zeros(index.shape, s.dtype)
    t, k = np.nonzero(inside)
    raw[t, k] = s[t, index[t, k].astype(np.int64)]
    with np.errstate(all="ignore"):
        if norm == "none":
            return np.where(inside, raw * kind(scale), kind(0))
        total = np.maximum(raw.sum(1, keepdims=True) + kind(eps), kind(least))
        share = np.where(inside & (total != 0), raw / np.where(total == 0, kind(1), total), kind(0))
        return np.where(share == 0, kind(0), share * kind(scale))


def ranks_under_another_name(index, by=None, order="token"):
    """priority: what ranks the tokens comes under a name of its own."""
    t, k = index.shape
    if order == "token":
        return np.arange(t * k, dtype=np.int32).reshape(t, k)
    if order != "choice" or by is not None:
        raise NotImplementedError(order)
    return (np.arange(k)[None] * t + np.arange(t)[:, None]).astype(np.int32)
