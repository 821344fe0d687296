"""The einops patterns of the cards on arrays of jax."""

from typing import Any

from einspec.impls.adapters import jax as _framework
from einspec.impls.einops.patterns import attribute


def __getattr__(name: str) -> Any:
    return attribute(_framework, name)
