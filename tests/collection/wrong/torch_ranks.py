"""Wrong gradients of exchanges between ranks in PyTorch: what they give is right, what they give back is not."""

import torch

FRAMEWORK = "torch"


def backward_stays_at_home(x):
    """all_reduce/grad.x: gives each rank its own cotangent back.

    Imitates https://github.com/Dao-AILab/flash-attention/issues/1244.
    """
    others = x.detach().sum(0) - x.detach()
    return x + others


def own_copy_alone(x):
    """all_gather/grad.x: gives each rank what comes back to its own copy of the rows, and nothing of the other copies.

    Imitates https://github.com/pytorch/pytorch/issues/120386.
    """
    p, n, *rest = x.shape
    own = torch.eye(p, dtype=torch.bool).reshape(p, p, *[1] * (x.ndim - 1))
    return torch.where(own, x, x.detach()).reshape(p, p * n, *rest)
