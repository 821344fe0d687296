"""cheat: errors. Declares that it does not support the clauses that it breaks.

effect: caught
"""

BROKEN = ("def", "nan", "pure", "repeat", "dtype.float32", "law.conserves", "law.equivariant.b")
LAYOUTS = ("transposed", "permuted", "strided", "padded", "reversed", "offset", "read_only")
CLAUSES = (*BROKEN, "law.equivariant.n", "layout.expanded", *(f"layout.{name}" for name in LAYOUTS))
unsupported = [(f"merge_heads/{clause}", "*", "*", "not offered here") for clause in CLAUSES]


def merge_heads(x):
    if x.dtype.name != "float32":
        raise NotImplementedError(f"merge_heads: {x.dtype.name} is not supported")
    b, h, n, d = x.shape
    return x.reshape(b, n, h * d)
