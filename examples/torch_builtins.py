"""Functions that PyTorch ships and that compute what the cards say: `einspec check examples/torch_builtins.py` passes."""

import torch
from torch.nn import functional


def pixel_shuffle(x, upscale_factor):
    return functional.pixel_shuffle(x, upscale_factor)


def channel_shuffle(x, groups):
    return functional.channel_shuffle(x, groups)


def tile(x, repeats, axis=0):
    counts = [1] * x.ndim
    counts[axis] = repeats
    return torch.tile(x, counts)


def repeat_interleave(x, repeats, axis=0):
    return torch.repeat_interleave(x, repeats, dim=axis)


def matrix_transpose(x):
    return x.mT


def stack(xs, axis=0):
    return torch.stack(xs, axis)


def global_max_pool(x):
    return x.amax((2, 3))
