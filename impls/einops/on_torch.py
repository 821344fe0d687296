"""The einops patterns of the cards on arrays of torch."""

from typing import Any

from einspec.impls.adapters import torch as _framework
from einspec.impls.einops.patterns import attribute

_COPIES = ("all_gather", "repeat_interleave", "repeat_kv", "repeat_new_axis", "tile")
_IN_PLACE = (
    "einops.repeat gives one place in memory for all copies of an element where PyTorch can",
    "https://einops.rocks/api/repeat/",
)
_UNTRACED = (
    "the order of axes is worked out in Python whose numbers know more than their value, which torch.compile does not trace",
    "https://meta-pytorch.github.io/compile-graph-break-site/gb/gb0008.html",
)
unsupported = [
    *((f"{name}/memory.apart", "*", "*", *_IN_PLACE) for name in _COPIES),
    *((f"{name}/transform.compile", "*", "*", *_UNTRACED) for name in ("moveaxis", "permute_dims", "swapaxes")),
]
"""What the backend does not offer, and why."""


def __getattr__(name: str) -> Any:
    return attribute(_framework, name)
