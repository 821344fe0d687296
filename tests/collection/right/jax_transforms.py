"""Right in JAX: functions with rules of their own for vmap."""

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

FRAMEWORK = "jax"


@custom_vmap
def _product(x, w):
    return x @ w


@_product.def_vmap
def _products(axis_size, in_batched, x, w):
    return x @ w, True


def weights_of_each(x, w):
    """expert_matmul: its rule is a product that repeats what is the same for all."""
    return _product(x, w)


@custom_vmap
def _read(x, index):
    return jnp.take_along_axis(x, index, -1, mode="fill", fill_value=0)


@_read.def_vmap
def _read_by_each(axis_size, in_batched, x, index):
    x, index = (a if mapped else a[None].repeat(axis_size, 0) for a, mapped in zip((x, index), in_batched, strict=True))
    return _read(x, index), True


def copies_of_what_is_the_same_for_all(x, index, axis, outside="zero"):
    """take_along: its rule repeats what is the same for all in front."""
    if outside != "zero" or axis % x.ndim != x.ndim - 1 or x.ndim < 2:
        raise NotImplementedError
    return _read(x, jnp.where((index < 0) | (index >= x.shape[-1]), x.shape[-1], index))


@jax.custom_vjp
def _transposed(x):
    return jnp.swapaxes(x, -1, -2)


_transposed.defvjp(lambda x: (_transposed(x), None), lambda _, g: (_transposed(g),))


def gradient_by_itself(x):
    """matrix_transpose: its gradient is the function itself."""
    return _transposed(x)


@jax.custom_jvp
def _interleaved(x):
    return jnp.swapaxes(x.reshape(*x.shape[:-1], 2, -1), -1, -2).reshape(x.shape)


@_interleaved.defjvp
def _interleaved_along(inputs, tangents):
    return _interleaved(*inputs), _interleaved(*tangents)


def tangent_moved_likewise(x):
    """rope_half_to_interleaved: its rule for forward mode moves the tangent as the input."""
    if x.shape[-1] % 2:
        raise ValueError("odd")
    return _interleaved(x)
