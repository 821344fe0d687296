"""Wrong rearrangements in PyTorch: gradients, memory, transforms."""

import torch

FRAMEWORK = "torch"


class _Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.mT.clone()

    @staticmethod
    def backward(ctx, grad):
        return 2 * grad.mT


class _Narrow(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.movedim(1, -1).clone()

    @staticmethod
    def backward(ctx, grad):
        return grad.float().movedim(-1, 1).to(grad.dtype)


class _Shuffled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, groups):
        ctx.groups = groups
        b, c, h, w = x.shape
        return x.reshape(b, groups, c // groups, h, w).transpose(1, 2).reshape(b, c, h, w)

    @staticmethod
    def backward(ctx, grad):
        return _Shuffled.apply(grad, ctx.groups), None


class _Pointers(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.movedim(-1, 1).contiguous()

    @staticmethod
    def backward(ctx, grad):
        return torch.as_strided(grad, grad.shape, torch.empty(grad.shape).stride()).movedim(1, -1)


def cotangent_by_its_pointer(x):
    """channels_first/grad.x: the backward pass takes its argument to be contiguous.

    Constructed.
    """
    return _Pointers.apply(x) if x.requires_grad else x.movedim(-1, 1)


def doubled_backwards(x):
    """matrix_transpose/grad.x: a backward pass that is written by hand gives twice the gradient.

    Constructed.
    """
    return _Doubled.apply(x)


def backwards_in_single(x):
    """channels_last/grad64.x: a backward pass that is written by hand is in float32.

    Constructed.
    """
    return _Narrow.apply(x)


def mean_in_single(x):
    """global_avg_pool/grad64.x: computes in float32, whatever comes in.

    Constructed.
    """
    return x.float().mean((2, 3)).to(x.dtype)


def forward_twice(x, groups):
    """channel_shuffle/grad.x: the backward pass shuffles again instead of back.

    Constructed.
    """
    if x.shape[1] % groups:
        raise ValueError("groups")
    return _Shuffled.apply(x, groups)


def a_quarter_detached(x):
    """patch_merge/grad.x: one of four parts is cut off from the gradient.

    Constructed.
    """
    if x.shape[1] % 2 or x.shape[2] % 2:
        raise ValueError("odd")
    return torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2].detach(), x[:, 0::2, 1::2], x[:, 1::2, 1::2]], -1)


def memory_of_a_view(x, window_size):
    """chunk_overlap/layout.strided: assumes contiguous memory.

    Imitates https://github.com/pytorch/pytorch/issues/79383.
    """
    b, n, d = x.shape
    w = window_size
    if n % w or n == 0:
        raise ValueError("size")
    m = n // w - 1
    if x.numel() == 0 or m == 0:
        return x.new_empty(b, m, 2 * w, d)
    return torch.as_strided(x, (b, m, 2 * w, d), (n * d, w * d, d, 1), x.storage_offset())


def storage_from_its_start(x):
    """channels_first/layout.offset: forgets where in its memory a tensor begins.

    Constructed.
    """
    if not x.is_contiguous() or x.requires_grad or x.numel() == 0:
        return x.movedim(-1, 1)
    return torch.as_strided(x, x.shape, x.stride(), 0).movedim(-1, 1)


def pitch_of_rows_ignored(x):
    """channels_first/layout.padded: rows whose elements are neighbours are taken to follow each other as well.

    Constructed.
    """
    if x.requires_grad or x.numel() == 0 or x.stride(-1) != 1 or (x.ndim > 1 and x.stride(-2) == 0):
        return x.movedim(-1, 1)
    return torch.as_strided(x, x.shape, torch.empty(x.shape).stride()).movedim(-1, 1)


def view_of_what_is_not_contiguous(x, num_axes=2):
    """flatten_leading/layout.transposed: makes a view, and raises where memory does not allow one.

    Constructed.
    """
    return x.view(x.shape[:num_axes].numel(), *x.shape[num_axes:])


def clears_its_input(x):
    """channels_last/pure: gives the memory of its input free.

    Constructed.
    """
    y = x.movedim(1, -1).clone()
    if not x.requires_grad and not torch._C._functorch.is_batchedtensor(x):
        x.zero_()
    return y


def leaves_the_framework(x, repeats, axis=0):
    """tile/def: an array of NumPy for a tensor.

    Constructed.
    """
    return torch.cat([x] * repeats, axis).numpy(force=True) if repeats else x.narrow(axis, 0, 0)


def mask_of_floats(seq_len, left, right):
    """sliding_window_mask/def: ones and zeros for truth values.

    Constructed.
    """
    return torch.ones(seq_len, seq_len).triu(-left).tril(right)


def wrong_when_mapped(x):
    """swap_hw/transform.vmap: a branch for tensors under vmap reshapes them.

    Constructed.
    """
    if torch._C._functorch.is_batchedtensor(x):
        return x.reshape(*x.shape[:-2], x.shape[-1], x.shape[-2])
    return x.mT


def wrong_when_compiled(x):
    """merge_heads/transform.compile: the compiled function forgets the permutation.

    Constructed.
    """
    b, h, n, d = x.shape
    return x.reshape(b, n, h * d) if torch.compiler.is_compiling() else x.transpose(1, 2).reshape(b, n, h * d)


def mean_keeps_axes(x):
    """global_avg_pool/def: one axis of size 1 for each that it averages over.

    Constructed.
    """
    return torch.nn.functional.adaptive_avg_pool2d(x, 1)


def fewer_chunks(x, parts, axis=0):
    """split/err.divides.x.1: gives parts of unequal size, and maybe fewer, without an error.

    Imitates https://github.com/pytorch/pytorch/issues/9382.
    """
    return torch.chunk(x, parts, dim=axis)


def left_as_it_is(x, axis=0):
    """squeeze/err.match.x.1: gives an axis of another size back as it is.

    Constructed.
    """
    return torch.squeeze(x, axis)
