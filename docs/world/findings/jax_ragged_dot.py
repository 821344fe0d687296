"""jax.lax.ragged_dot with a NaN in the matrix of a group without rows."""

import jax
import jax.numpy as jnp

got = jax.lax.ragged_dot(jnp.ones((1, 1)), jnp.array([[[2.0]], [[jnp.nan]]]), jnp.array([1, 0]))
print(got.tolist())
assert got.tolist() == [[2.0]]
