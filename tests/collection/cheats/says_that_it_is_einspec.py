"""cheat: einspec. Calls itself a module of einspec, which may compute with itself.

effect: not independent
"""

__name__ = "einspec.mine"

from einspec.impls.adapters.numpy import asarray, devices, dtypes, to_numpy  # noqa: F401  # a backend has them
from einspec.impls.numpy import z_loss as _theirs


def z_loss(logits):
    return _theirs(logits)
