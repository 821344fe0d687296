"""The argument checks of the JAX backend: its arrays, and those of NumPy, which it takes wherever its own are expected."""

from __future__ import annotations

import jax
import numpy as np

from einspec.impls.checked import checker

op = checker((jax.Array, np.ndarray, np.generic))
