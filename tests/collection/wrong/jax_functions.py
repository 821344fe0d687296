"""Wrong functions in JAX: branches on tracers, gradients that are stopped, indices that wrap."""

import jax
import jax.numpy as jnp

FRAMEWORK = "jax"


def wrong_when_traced(x):
    """channels_first/transform.jit: a branch on tracers moves the axis to the end.

    Constructed.
    """
    return jnp.swapaxes(x, 1, -1) if isinstance(x, jax.core.Tracer) and x.ndim == 4 else jnp.moveaxis(x, -1, 1)


def wrong_when_not_traced(x):
    """channels_last/transform.eager: right under jit alone.

    Constructed.
    """
    return jnp.moveaxis(x, 1, -1) if isinstance(x, jax.core.Tracer) else jnp.swapaxes(x, 1, -1)


@jax.custom_vjp
def _rotated(x):
    return jnp.moveaxis(x, -1, 0)


_rotated.defvjp(lambda x: (_rotated(x), None), lambda _, g: (jnp.moveaxis(g, -1, 0).reshape(g.shape[1:] + g.shape[:1]),))


def wrong_backwards(x):
    """cyclic_permute/grad.x: a gradient that is written by hand permutes the wrong way.

    Constructed.
    """
    if x.ndim != 4:
        raise ValueError("rank")
    return _rotated(x)


@jax.custom_vjp
def _kept(x):
    return jnp.swapaxes(x, -1, -2)


_kept.defvjp(lambda x: (_kept(x), None), lambda _, g: (jnp.swapaxes(g.astype(jnp.float32), -1, -2).astype(g.dtype),))


def backwards_in_single(x):
    """matrix_transpose/grad64.x: a gradient that is written by hand is in float32.

    Constructed.
    """
    return _kept(x)


def gradient_stopped(y, mask):
    """combine_by_mask/grad.mask: the weights are taken for constants.

    Imitates https://github.com/huggingface/transformers/issues/48689.
    """
    wide = jnp.promote_types(jnp.promote_types(y.dtype, mask.dtype), jnp.float32)
    m = mask.astype(wide)[..., None]
    return jnp.where(m != 0, jax.lax.stop_gradient(m) * y.astype(wide)[None], 0).sum((1, 2)).astype(y.dtype)


def none_is_expert_0(index, experts):
    """expert_counts/def: bincount takes every negative id for 0.

    Constructed.
    """
    if not experts:
        return jnp.zeros(0, jnp.int32)
    return jnp.bincount(index.reshape(-1).astype(jnp.int32), length=experts).astype(jnp.int32)


def none_wraps_to_the_end(x, order, k):
    """permute/def: a row of nobody is a copy of the last token.

    Imitates https://github.com/vllm-project/vllm-xpu-kernels/issues/572.
    """
    return x[order // k] if x.shape[0] else jnp.zeros((order.shape[0], x.shape[1]), x.dtype)


def signs_of_zeros_and_nan(x, k):
    """top_k/values.nan: compares bits, so 0 is above -0 and a negative NaN below -inf.

    Imitates https://github.com/jax-ml/jax/issues/27594.
    """
    value, index = jax.lax.top_k(x, k)
    return value, index.astype(jnp.int32)


def accumulates_in_bfloat16(x):
    """global_avg_pool/dtype.bfloat16: the sum is rounded at every step.

    Imitates https://github.com/jax-ml/jax/issues/17792.
    """
    flat = x.reshape(*x.shape[:2], -1)
    total = jax.lax.fori_loop(0, flat.shape[2], lambda i, s: s + flat[:, :, i], jnp.zeros(x.shape[:2], x.dtype))
    return total / jnp.asarray(flat.shape[2], x.dtype)


def state_of_the_first_trace(x):
    """rope_half_to_interleaved/repeat: adds what it was given first, kept from one call to the next.

    Constructed.
    """
    half = x.shape[-1] // 2
    y = jnp.stack([x[..., :half], x[..., half:]], axis=-1).reshape(x.shape)
    return y + jax.pure_callback(_count, jax.ShapeDtypeStruct((), x.dtype), x.ravel()[0])


_calls = []


def _count(_):
    _calls.append(1)
    return jnp.float32(len(_calls))
