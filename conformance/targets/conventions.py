"""The conventions in which a library may differ from the cards: a closed list, each a weakening of one kind of clause."""

from __future__ import annotations

from typing import NamedTuple


class Convention(NamedTuple):
    """One thing that many libraries do otherwise, on purpose."""

    weakens: str
    """The kind of clause that asks for more."""
    what: str
    """What may come instead of what the card says."""


RANDOM = "the random state of "
"""How the names of random states begin."""
CONVENTIONS: dict[str, Convention] = {
    "index_dtype": Convention("result.dtype", "an index or a count may be of any integer dtype; its values are judged"),
    "mask_dtype": Convention("result.dtype", "a mask may hold 0 and 1 in any dtype"),
    "python_scalars": Convention(
        "result.dtype", "a single number may come as a Python number or as an array without axes, whichever the card names"
    ),
    "no_64_bits": Convention(
        "dtype", "float64, complex128, int64 and uint64 may be taken in 32 bits: the call is judged on inputs cast to them"
    ),
    "float32_inside": Convention(
        "dtype", "what is computed of float64 may be computed in float32: the call is judged on inputs cast to it"
    ),
    "half_accumulation": Convention("dtype", "what is given in float16 or bfloat16 may be computed and returned in that dtype"),
    "kept_axes": Convention(
        "def", "an output may keep the axes of an input over which it reduces, each with size 1, where the input has them"
    ),
    "ties": Convention("def", "equal values may be chosen in any order"),
    "route_order": Convention("def", "the routes of a token may come in any order, each with its weight"),
    "dropped_weights": Convention("def", "the weight of a route whose index is none may be any number"),
    "unnormalised_single": Convention("def", "with k = 1 a weight may be the score itself, not divided by the sum of one"),
    "signed_zero": Convention("values", "a zero may lose its sign, and zeros of both signs may be ordered among themselves"),
    "nan_order": Convention("values", "a selection may place NaN anywhere; the order of the numbers is judged"),
    "own_randomness": Convention(
        "state",
        "a call may draw from the random states of Python, NumPy and the framework; its results are judged like any other",
    ),
    "remainder_dropped": Convention("err", "what a block size does not divide may be cut off: the rest is judged"),
}
"""By the name that ``admit`` gives it."""
