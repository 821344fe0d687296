"""jax.lax.conv_general_dilated_patches of a row with a NaN."""

import jax
import jax.numpy as jnp

x = jnp.array([[[[1.0, jnp.nan, 3.0, 4.0]]]])
got = jax.lax.conv_general_dilated_patches(x, (1, 2), (1, 2), "VALID")
print(got.ravel().tolist())
assert got[0, 0, 0, 0] == 1.0
