"""Right in PyTorch in any memory, compiled for any shape."""

FRAMEWORK = "torch"


def shuffles_by_einsum_of_views(x, upscale_factor):
    """pixel_shuffle: a view of another order, whatever the strides are."""
    r = upscale_factor
    *lead, c, h, w = x.shape
    if c % r**2:
        raise ValueError
    y = x.unflatten(-3, (c // r**2, r, r)).movedim((-4, -3), (-3, -1))
    return y.contiguous().view(*lead, c // r**2, h * r, w * r)


def transposes_by_permute(x):
    """matrix_transpose: gives what comes back in the memory in which it came."""
    return x.permute(*range(x.ndim - 2), -1, -2)
