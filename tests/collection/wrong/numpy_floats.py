"""Wrong where a float stands for a decimal: its exact value, or a product of floats, is a little more."""

import math
from fractions import Fraction

FRAMEWORK = "numpy"


def exact_value_of_a_float(tokens, k, experts, factor=1, rounding="ceil", minimum=0, multiple_of=1):
    """capacity/def: a float is the binary fraction that it holds, so that 1.1 is more than 11/10.

    Constructed.
    """
    share = Fraction(factor) * tokens * k / experts
    slots = {"ceil": math.ceil, "floor": math.floor, "half_even": round}[rounding](share)
    return -(-max(slots, minimum) // multiple_of) * multiple_of


def product_of_floats(tokens, k, experts, factor=1, rounding="ceil", minimum=0, multiple_of=1):
    """capacity/def: multiplies floats, and rounds what comes of it.

    Constructed.
    """
    share = factor * tokens * k / experts if isinstance(factor, float) else Fraction(factor) * tokens * k / experts
    slots = {"ceil": math.ceil, "floor": math.floor, "half_even": round}[rounding](share)
    return -(-max(slots, minimum) // multiple_of) * multiple_of
