"""The einops patterns of the cards on arrays of torch."""

from typing import Any

from einspec.impls.adapters import torch as _framework
from einspec.impls.einops.patterns import attribute

unsupported = [
    (
        f"{name}/memory.apart",
        "*",
        "*",
        "einops.repeat gives one place in memory for all copies of an element where PyTorch can",
        "https://einops.rocks/api/repeat/",
    )
    for name in ("repeat_interleave", "repeat_kv", "repeat_new_axis", "tile")
]
"""What the backend does not offer, and why."""


def __getattr__(name: str) -> Any:
    return attribute(_framework, name)
