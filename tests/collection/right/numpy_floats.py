"""Right for floats that stand for decimals."""

import math
from decimal import Decimal
from fractions import Fraction

FRAMEWORK = "numpy"


def decimals(tokens, k, experts, factor=1, rounding="ceil", minimum=0, multiple_of=1):
    """capacity: takes a float by its text."""
    exact = factor if isinstance(factor, Fraction) else Fraction(Decimal(str(factor)))
    if exact < 0 or min(tokens, k, minimum) < 0 or min(experts, multiple_of) < 1:
        raise ValueError
    slots = {"ceil": math.ceil, "floor": math.floor, "half_even": round}[rounding](exact * tokens * k / experts)
    return -(-max(slots, minimum) // multiple_of) * multiple_of
