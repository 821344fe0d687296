"""Wrong in PyTorch where a function with rules of its own is mapped otherwise than over the first axis of all inputs."""

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


def _shifted(x, shift):
    return x.roll((-shift[0], -shift[1]), (-3, -2))


def _shift_of_the_first(info, in_dims, x, shift):
    return torch.stack([_shifted(each, shift) for each in x]), 0


_shift = _function(_shifted, _shift_of_the_first)


def mapped_over_the_first_axis_alone(x, shift):
    """cyclic_shift/transform.vmap: its rule takes the first axis for that of the batch, whichever it is.

    Constructed.
    """
    return _shift(x, (shift, shift) if isinstance(shift, int) else tuple(shift))


def _interleaved(x):
    return x.unflatten(-1, (2, -1)).mT.flatten(-2)


def _interleaved_in_place(info, in_dims, x):
    return _interleaved(x), in_dims[0]


_half = _function(_interleaved, _interleaved_in_place)


def features_taken_from_the_batch(x):
    """rope_half_to_interleaved/transform.vmap: its rule reorders the last axis, be it that of the batch.

    Constructed.
    """
    if x.shape[-1] % 2:
        raise ValueError("odd")
    return _half(x)


def _read(x, index, axis):
    read = x.index_select(axis, index.reshape(-1).long().clamp(0, max(x.shape[axis] - 1, 0)))
    inside = ((index >= 0) & (index < x.shape[axis])).reshape(-1, *[1] * (x.ndim - axis - 1))
    return torch.where(inside, read, read.new_zeros(())).reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def _read_by_each(info, in_dims, x, index, axis):
    x, index = (t.movedim(d or 0, 0) for t, d in zip((x, index), in_dims[:2], strict=True))
    return torch.stack([_read(x[i], index[i], axis) for i in range(info.batch_size)]), 0


_take = _function(_read, _read_by_each)


def no_input_is_the_same_for_all(x, index, axis, outside="zero"):
    """take/transform.vmap: its rule takes an input that is the same for all for a batch.

    Constructed.
    """
    if outside != "zero" or not x.shape[axis]:
        raise NotImplementedError
    return _take(x, index, axis % x.ndim)


def _multiplied(x, w):
    return x @ w


def _product_of_one(info, in_dims, x, w):
    x, w = (t if d is None else t.movedim(d, 0) for t, d in zip((x, w), in_dims, strict=True))
    w = w[:1].expand_as(w) if in_dims[0] is None else w
    return x @ w, 0


_product = _function(_multiplied, _product_of_one)


def weights_of_the_first_where_rows_are_shared(x, w):
    """expert_matmul/transform.vmap: where all share the rows, all get the weights of the first.

    Constructed.
    """
    return _product(x, w)


class _Half(torch.autograd.Function):
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
        return along.clone()


def tangent_in_the_old_order(x):
    """rope_half_to_interleaved/transform.jvp: its rule for forward mode leaves the tangent in the order of its input.

    Constructed.
    """
    if x.shape[-1] % 2:
        raise ValueError("odd")
    return _Half.apply(x)


class _Matmul(torch.autograd.Function):
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
    def jvp(ctx, along, _):
        return along @ ctx.saved_tensors[1]


def tangent_of_weights_left_out(x, w):
    """expert_matmul/transform.jvp: its rule for forward mode knows no tangent of the weights.

    Constructed.
    """
    return _Matmul.apply(x, w)


class _Unshuffled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, r):
        ctx.r = r
        return torch.nn.functional.pixel_unshuffle(x, r)

    @staticmethod
    def backward(ctx, g):
        return torch.nn.functional.pixel_shuffle(g.detach(), ctx.r), None


def differentiable_once(x, downscale_factor):
    """pixel_unshuffle/transform.double_backward: a gradient that depends on nothing, as it is made of detached memory.

    Constructed.
    """
    return _Unshuffled.apply(x, downscale_factor)


class _Kept(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g @ w.detach().mT, x.mT @ g


def weights_constant_in_the_gradient(x, w):
    """expert_matmul/transform.double_backward: the gradient by one input takes the other for a constant.

    Constructed.
    """
    return _Kept.apply(x, w)
