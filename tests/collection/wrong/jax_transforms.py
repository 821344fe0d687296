"""Wrong in JAX where a function with a rule of its own is mapped otherwise than over all inputs."""

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

FRAMEWORK = "jax"


@custom_vmap
def _product(x, w):
    return x @ w


@_product.def_vmap
def _products(axis_size, in_batched, x, w):
    shared = in_batched[1] and not in_batched[0]
    return x @ (jnp.broadcast_to(w[:1], w.shape) if shared else w), True


def weights_of_the_first_where_rows_are_shared(x, w):
    """expert_matmul/transform.vmap: where all share the rows, all get the weights of the first.

    Constructed.
    """
    return _product(x, w)


@custom_vmap
def _read(x, index):
    return jnp.take_along_axis(x, index, -1, mode="fill", fill_value=0)


@_read.def_vmap
def _read_by_each(axis_size, in_batched, x, index):
    x, index = (
        a if mapped else jnp.swapaxes(a[None].repeat(axis_size, 0), 0, 1)
        for a, mapped in zip((x, index), in_batched, strict=True)
    )
    return _read(x, index), True


def batch_behind_what_is_the_same_for_all(x, index, axis, outside="zero"):
    """take_along/transform.vmap: copies of an input that is the same for all lie behind its first axis.

    Constructed.
    """
    if outside != "zero" or axis % x.ndim != x.ndim - 1 or x.ndim < 2:
        raise NotImplementedError
    return _read(x, jnp.where((index < 0) | (index >= x.shape[-1]), x.shape[-1], index))


@jax.custom_vjp
def _transposed(x):
    return jnp.swapaxes(x, -1, -2)


_transposed.defvjp(lambda x: (_transposed(x), None), lambda _, g: (jax.lax.stop_gradient(jnp.swapaxes(g, -1, -2)),))


def gradient_without_a_gradient(x):
    """matrix_transpose/transform.double_backward: the gradient itself is stopped.

    Constructed.
    """
    return _transposed(x)


@jax.custom_jvp
def _interleaved(x):
    return jnp.swapaxes(x.reshape(*x.shape[:-1], 2, -1), -1, -2).reshape(x.shape)


@_interleaved.defjvp
def _interleaved_along(inputs, tangents):
    return _interleaved(*inputs), tangents[0]


def tangent_in_the_old_order(x):
    """rope_half_to_interleaved/transform.jvp: its rule for forward mode leaves the tangent in the order of its input.

    Constructed.
    """
    if x.shape[-1] % 2:
        raise ValueError("odd")
    return _interleaved(x)
