"""The argument checks of the NumPy backend: arrays, and its scalars for those without axes."""

from __future__ import annotations

import numpy as np

from einspec.impls.checked import checker

op = checker((np.ndarray, np.generic))
