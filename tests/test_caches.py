"""Caches at places far beyond their ends: positions that additions in 64 bits do not hold."""

from __future__ import annotations

import importlib
from contextlib import nullcontext

import numpy as np
import pytest

from einspec.evaluate import evaluate

PLACES, TOKENS = 5, 3


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("start", [2**63 - 1, 2**63 - 4, -(2**63)])
def test_a_circular_cache_goes_round_at_the_ends_of_64_bits(backend: str, start: int) -> None:
    """Token t is at t modulo the length, also where the number of the last one is none of 64 bits."""
    pytest.importorskip(backend, reason=f"needs {backend}")
    adapter = importlib.import_module(f"einspec.impls.adapters.{backend}")
    ops = importlib.import_module(f"einspec.impls.{backend}")
    cache = np.arange(2.0 * PLACES, dtype=np.float32).reshape(1, PLACES, 2)
    x = -1 - np.arange(2.0 * TOKENS, dtype=np.float32).reshape(1, TOKENS, 2)
    want = evaluate("cache_update", cache, x, np.array([start % PLACES]), mode="circular")
    with getattr(adapter, "holding", lambda _: nullcontext())(["int64"]):
        given = (adapter.asarray(a, adapter.devices()[0]) for a in (cache, x, np.array([start])))
        np.testing.assert_array_equal(adapter.to_numpy(ops.cache_update(*given, mode="circular")), want)
