"""Right functions in JAX: mapped, scanned, jitted by themselves."""

from functools import partial

import jax
import jax.numpy as jnp

FRAMEWORK = "jax"


def mapped_over_images(x, layout="nchw"):
    """swap_hw: maps over the batch."""
    return jax.vmap(lambda image: jnp.swapaxes(image, *((1, 2) if layout == "nchw" else (0, 1))))(x)


@partial(jax.jit, static_argnames=("num_heads",))
def jitted_already(x, num_heads):
    """split_heads: compiled by itself."""
    b, n, d = x.shape
    return jnp.transpose(x.reshape(b, n, num_heads, d // num_heads), (0, 2, 1, 3))


def scanned(index, *, experts):
    """expert_counts: a scan over routes."""
    flat = index.reshape(-1)

    def step(counts, e):
        return counts + (jnp.arange(experts) == e), None

    return jax.lax.scan(step, jnp.zeros(experts, jnp.int32), flat)[0]


def looped(index, experts, order="token"):
    """position: a loop over routes, and a table of what was seen."""
    if order != "token":
        raise NotImplementedError(order)
    flat = jnp.append(index.reshape(-1), experts)
    inside = (flat >= 0) & (flat < experts)

    def step(i, state):
        seen, found = state
        e = jnp.where(inside[i], flat[i], experts).astype(jnp.int32)
        return seen.at[e].add(1), found.at[i].set(jnp.where(inside[i], seen[e], -1))

    start = jnp.zeros(experts + 1, jnp.int32), jnp.full(flat.shape, -1, jnp.int32)
    return jax.lax.fori_loop(0, index.size, step, start)[1][:-1].reshape(index.shape)


def plain_maximum(x, kernel_size):
    """max_pool_blocks: jnp.max loses NaN on the CPU, depending on the shape."""
    p, q = (kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size
    b, c, h, w = x.shape
    if min(p, q) < 1 or h % p or w % q or jnp.issubdtype(x.dtype, jnp.complexfloating):
        raise ValueError("size")
    return x.reshape(b, c, h // p, p, w // q, q).max(axis=(3, 5))


def filled_with_zeros(x, index, axis, outside="zero"):
    """take: JAX's own, which counts a negative index from the end."""
    modes = {"zero": {"mode": "fill", "fill_value": 0}, "clip": {"mode": "clip"}, "wrap": {"mode": "wrap"}}
    return jnp.take(x, index, axis, **modes[outside])


def set_at(x, index, updates, axis):
    """scatter: an update at indices, which leaves open which of several is taken."""
    return jnp.put_along_axis(x, index, updates, axis, inplace=False)


def encoded(index, classes):
    """one_hot: JAX's own."""
    return jax.nn.one_hot(index, classes, dtype=jnp.float32)
