"""Wrong where a formula that is right on paper loses what is small: a logarithm of 1 and a little more."""

import numpy as np

FRAMEWORK = "numpy"


def _softmax(wide):
    with np.errstate(all="ignore"):
        grown = np.exp(wide - wide.max(1, keepdims=True, initial=-np.inf))
        return grown / grown.sum(1, keepdims=True)


def root_of_a_softplus_that_is_zero(logits, fn="softmax"):
    """score/def: the logarithm of one plus an exponential, which in float32 is 0 below -16.6.

    Constructed.
    """
    wide = logits.astype(np.result_type(logits.dtype, np.float32))
    if fn == "softmax":
        return _softmax(wide)
    if fn != "sqrt_softplus":
        raise NotImplementedError(fn)
    one = np.ones((), wide.dtype)
    with np.errstate(all="ignore"):
        return np.sqrt(np.where(wide > 0, wide, 0) + np.log(one + np.exp(-np.abs(wide))))


def noise_of_no_spread(logits, spread, noise, floor=0.0):
    """noisy_logits/def: the spread of a far negative logit is nothing.

    Constructed.
    """
    wide = np.result_type(logits.dtype, np.float32)
    s = spread.astype(wide)
    with np.errstate(all="ignore"):
        softplus = np.where(s > 0, s, 0) + np.log(np.ones((), wide) + np.exp(-np.abs(s)))
        return (logits.astype(wide) + noise.astype(wide) * (softplus + wide.type(floor))).astype(wide)
