"""Right in PyTorch: functions with rules of their own for vmap, which take any axis of the inputs that have one."""

import torch

FRAMEWORK = "torch"


def _function(forward, rule):
    """Return a function with a rule for vmap, as a function of its inputs."""

    class Own(torch.autograd.Function):
        vmap = staticmethod(rule)

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

    Own.forward = staticmethod(forward)
    return Own.apply


def _each(forward):
    """Return a rule that calls a function on every example, and puts the results along the last axis."""

    def rule(info, in_dims, *args):
        rows = [
            [a if d is None else a.select(d, i) for a, d in zip(args, in_dims, strict=True)] for i in range(info.batch_size)
        ]
        found = torch.stack([forward(*row) for row in rows], -1)
        return found, found.ndim - 1

    return rule


def _shifted(x, up, left):
    return x.roll((-up, -left), (-3, -2))


_shift = _function(_shifted, _each(_shifted))


def shifts_example_by_example(x, shift):
    """cyclic_shift: its rule shifts every example and puts the batch last."""
    return _shift(x, *((shift, shift) if isinstance(shift, int) else shift))


def _interleaved(x):
    return x.unflatten(-1, (2, -1)).mT.flatten(-2)


def _interleaved_behind(info, in_dims, x):
    return _interleaved(x.movedim(in_dims[0], 0)), 0


_half = _function(_interleaved, _interleaved_behind)


def batch_moved_to_the_front(x):
    """rope_half_to_interleaved: its rule moves the batch out of the way."""
    if x.shape[-1] % 2:
        raise ValueError("odd")
    return _half(x)


def _read(x, index, axis):
    read = x.index_select(axis, index.reshape(-1).long().clamp(0, max(x.shape[axis] - 1, 0)))
    inside = ((index >= 0) & (index < x.shape[axis])).reshape(-1, *[1] * (x.ndim - axis - 1))
    return torch.where(inside, read, read.new_zeros(())).reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


_take = _function(_read, _each(_read))


def shared_inputs_left_alone(x, index, axis, outside="zero"):
    """take: its rule reads an input that is the same for all as it is."""
    if outside != "zero" or not x.shape[axis]:
        raise NotImplementedError
    return _take(x, index, axis % x.ndim)


def _multiplied(x, w):
    return x @ w


def _product_of_each(info, in_dims, x, w):
    x, w = (t if d is None else t.movedim(d, 0) for t, d in zip((x, w), in_dims, strict=True))
    return x @ w, 0


_product = _function(_multiplied, _product_of_each)


def weights_of_each(x, w):
    """expert_matmul: its rule is a product that repeats what is the same for all."""
    return _product(x, w)


class _Half(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return _interleaved(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g):
        return g.unflatten(-1, (-1, 2)).mT.flatten(-2)

    @staticmethod
    def jvp(ctx, along):
        return _interleaved(along)


def tangent_moved_likewise(x):
    """rope_half_to_interleaved: its rule for forward mode moves the tangent as the input."""
    if x.shape[-1] % 2:
        raise ValueError("odd")
    return _Half.apply(x)


class _Matmul(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, w):
        return x @ w

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g @ w.mT, x.mT @ g

    @staticmethod
    def jvp(ctx, rows, weights):
        x, w = ctx.saved_tensors
        parts = [rows @ w] if rows is not None else []
        return sum([*parts, x @ weights] if weights is not None else parts)


def both_tangents(x, w):
    """expert_matmul: its rule for forward mode knows the tangents of both."""
    return _Matmul.apply(x, w)


class _Unshuffled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, r):
        ctx.r = r
        return torch.nn.functional.pixel_unshuffle(x, r)

    @staticmethod
    def backward(ctx, g):
        return torch.nn.functional.pixel_shuffle(g, ctx.r), None


def differentiable_twice(x, downscale_factor):
    """pixel_unshuffle: a gradient that is written by hand, of functions that have gradients."""
    if x.numel() == 0 or x.ndim < 3:
        raise ValueError("empty")
    return _Unshuffled.apply(x, downscale_factor)
