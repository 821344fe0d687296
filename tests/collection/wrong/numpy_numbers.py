"""Wrong numbers in NumPy: dtypes, rounding, NaN, infinity, signed zero."""

import math

import numpy as np

FRAMEWORK = "numpy"


def _gathered(x, kernel_size, stride, padding, dilation):
    (p, q), (sh, sw), (ph, pw), (dh, dw) = ((v, v) if np.ndim(v) == 0 else v for v in (kernel_size, stride, padding, dilation))
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    b, c, h, w = x.shape
    if dh * (p - 1) >= h or dw * (q - 1) >= w:
        raise ValueError("size")
    i, j = (h - dh * (p - 1) - 1) // sh + 1, (w - dw * (q - 1) - 1) // sw + 1
    rows = np.arange(p)[:, None] * dh + np.arange(i) * sh
    columns = np.arange(q)[:, None] * dw + np.arange(j) * sw
    return x[:, :, rows[:, None, :, None], columns[None, :, None, :]].reshape(b, c * p * q, i * j)


def conjugated(x):
    """matrix_transpose/dtype.complex64: the Hermitian transpose, the same on real numbers.

    Constructed.
    """
    return x.conj().swapaxes(-1, -2)


def half_becomes_single(x, groups):
    """channel_shuffle/result.dtype: the result of one dtype is of another.

    Constructed.
    """
    b, c, h, w = x.shape
    y = x.reshape(b, groups, c // groups, h, w).swapaxes(1, 2).reshape(b, c, h, w)
    return y.astype(np.float32) if y.dtype == np.float16 else y


def integers_through_floats(x):
    """channels_last/dtype.int64: integers above 2**53 are rounded on the way.

    Constructed.
    """
    y = np.moveaxis(x, 1, -1)
    return y.astype(np.float64).astype(x.dtype) if x.dtype == np.int64 else y


def payloads_lost(x):
    """channels_first/dtype.float32: adds zero, so -0 becomes 0.

    Constructed.
    """
    y = np.moveaxis(x, -1, 1)
    return y + np.zeros((), x.dtype) if x.dtype.kind == "f" else y


def mean_in_half(x):
    """global_avg_pool/dtype.float16: sums in the dtype of its input.

    Imitates https://github.com/jax-ml/ml_dtypes/issues/63.
    """
    total = np.zeros(x.shape[:2], x.dtype)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            total = (total + x[:, :, i, j]).astype(x.dtype)
    return (total / x.dtype.type(x.shape[2] * x.shape[3])).astype(x.dtype)


def mean_in_double(x):
    """global_avg_pool/result.dtype: a float64 result for a float32 input.

    Constructed.
    """
    return x.mean(axis=(2, 3), dtype=np.float64)


def maximum_without_nan(x):
    """channel_max_pool/nan: takes the other number where one is NaN.

    Imitates https://github.com/tensorflow/tensorflow/issues/125965.
    """
    return np.fmax.reduce(x, axis=1) if x.dtype.kind == "f" else x.max(1)


def maximum_from_the_least_number(x):
    """global_max_pool/values.infinity: starts with the least finite number, so -inf is lost.

    Constructed.
    """
    least = np.finfo(x.dtype).min if x.dtype == np.float32 else None
    return x.max(axis=(2, 3)) if least is None else x.max(axis=(2, 3), initial=least)


def maximum_from_zero(x, kernel_size):
    """max_pool_blocks/def: pads with zero, which is above all negative numbers.

    Constructed.
    """
    p, q = (kernel_size, kernel_size) if np.ndim(kernel_size) == 0 else kernel_size
    b, c, h, w = x.shape
    if h % p or w % q:
        raise ValueError("size")
    return np.maximum(x.reshape(b, c, h // p, p, w // q, q).max(axis=(3, 5)), np.zeros((), x.dtype))


def patches_by_products(x, kernel_size, stride=1, padding=0, dilation=1):
    """unfold/nan: multiplies by a kernel of ones and zeros, so NaN spreads over the window.

    Imitates https://github.com/jax-ml/jax/issues/9972.
    """
    windows = _gathered(x, kernel_size, stride, padding, dilation)
    b, d, n = windows.shape
    pick = np.eye(d // x.shape[1], dtype=x.dtype)
    return np.einsum("bckn,kj->bcjn", windows.reshape(b, x.shape[1], len(pick), n), pick).reshape(b, d, n)


def exponential_overflows(logits, fn="softmax"):
    """score/def: a softmax without the shift by the maximum.

    Constructed.
    """
    if fn != "softmax":
        raise NotImplementedError(fn)
    with np.errstate(all="ignore"):
        grown = np.exp(logits.astype(np.float64 if logits.dtype == np.float64 else np.float32))
        return grown / grown.sum(1, keepdims=True)


def nothing_to_choose(logits, fn="softmax"):
    """score/values.infinity: a row of -inf becomes uniform, where the card has NaN.

    Constructed.
    """
    if fn != "softmax":
        raise NotImplementedError(fn)
    x = logits.astype(np.float64 if logits.dtype == np.float64 else np.float32)
    with np.errstate(all="ignore"):
        top = x.max(1, keepdims=True, initial=-np.inf)
        grown = np.exp(x - np.where(top == -np.inf, 0, top))
        total = grown.sum(1, keepdims=True)
        return np.where(top == -np.inf, x.dtype.type(1 / max(x.shape[1], 1)), grown / total)


def halves_swapped(h):
    """glu/def: the gate is taken from the second half.

    Imitates https://github.com/vllm-project/vllm/issues/29273.
    """
    x = h.astype(np.float64 if h.dtype == np.float64 else np.float32)
    up, gate = np.split(x, 2, axis=-1)
    with np.errstate(all="ignore"):
        return (gate / (1 + np.exp(-gate)) * up).astype(h.dtype)


def padding_in_the_mean(logits, valid):
    """z_loss/def: divides by all tokens, padding too.

    Constructed.
    """
    x = logits.astype(np.float64)[valid]
    out = np.float64 if logits.dtype == np.float64 else np.float32
    with np.errstate(all="ignore"):
        top = x.max(1, initial=-np.inf)
        shift = np.where(np.isfinite(top), top, 0)
        total = shift + np.log(np.exp(x - shift[:, None]).sum(1))
        return np.asarray((total * total).sum() / max(len(logits), 1), out)


def capacity_in_floats(*, tokens, k, experts, factor=1, rounding="ceil", minimum=0, multiple_of=1):
    """capacity/def: single precision decides on which side of an integer the share lies.

    Constructed.
    """
    share = np.float32(float(factor)) * np.float32(tokens * k) / np.float32(experts)
    found = {"ceil": np.ceil, "floor": np.floor, "half_even": np.round}[rounding](share)
    return -(-max(int(found), minimum) // multiple_of) * multiple_of


def least_after_rounding_up(*, tokens, k, experts, factor=1, rounding="ceil", minimum=0, multiple_of=1):
    """capacity/def: the least number of slots need not be a multiple.

    Constructed.
    """
    if rounding != "ceil" or factor != 1:
        raise NotImplementedError("ceil only")
    share = -(-tokens * k // experts)
    return max(-(-share // multiple_of) * multiple_of, minimum)


def leaky_by_a_maximum(x, w1, w2, w3=None, *, kind="gelu", slope=0.01):
    """expert_mlp/def: max(h, slope * h) is not what the card says where the slope is above 1.

    Constructed.
    """
    if kind == "swiglu" or x.dtype.name not in ("float16", "float32", "float64"):
        raise NotImplementedError(kind)

    def leaky(h):
        return np.maximum(h, slope * h)

    def gelu(h):
        return h * np.vectorize(math.erfc, otypes=[float])(-h / math.sqrt(2)) / 2

    with np.errstate(all="ignore"):
        first = x.astype(np.float64) @ w1.astype(np.float64)
        if kind == "gelu":
            return (gelu(first) @ w2.astype(np.float64)).astype(x.dtype)
        return (leaky(leaky(first) @ w2.astype(np.float64)) @ w3.astype(np.float64)).astype(x.dtype)
