"""PyTorch: queues of routes at experts; ``stable_group`` sorts routes by expert for the families built on it."""

# t tokens, k choices of a token, e experts, c slots of an expert; route (t, k) has the flat number t*K + k

from __future__ import annotations

import torch
from torch import Tensor

from einspec.impls.checked_torch import op
from einspec.impls.counting import Rational, parts, slots_for
from einspec.impls.numpy import assignment as on_numpy
from einspec.impls.torch.modes import in_numpy
from einspec.impls.torch.routing import order_key

__all__ = [
    "capacity",
    "combine_mask",
    "dispatch_mask",
    "drop",
    "expert_counts",
    "load_statistics",
    "position",
    "priority",
    "routes_of_map",
    "routing_map",
]


_constant_parts = torch.compiler.assume_constant_result(parts)  # type: ignore[no-untyped-call]  # PyTorch has no types here


@op
def expert_counts(index: Tensor, *, experts: int) -> Tensor:
    """Compute expert_counts (see its card)."""
    if in_numpy(index):
        return torch.from_numpy(on_numpy.expert_counts(index.numpy(), experts=experts))
    return _counts(_keys(index.reshape(-1), experts), experts)[:experts]


@op
def capacity(
    *,
    tokens: int,
    k: int,
    experts: int,
    factor: Rational = 1,
    rounding: str = "ceil",
    minimum: int = 0,
    multiple_of: int = 1,
) -> int:
    """Compute capacity (see its card)."""
    num, den = _constant_parts(factor) if isinstance(factor, str | float) else (factor.numerator, factor.denominator)
    return slots_for(num * tokens * k, den * experts, rounding, minimum, multiple_of)


@op
def priority(index: Tensor, by: Tensor | None = None, *, order: str = "token") -> Tensor:
    """Compute priority (see its card)."""
    t, k = index.shape
    routes = torch.arange(t * k, dtype=torch.int32, device=index.device)
    if order == "choice":
        return routes.reshape(k, t).t()
    if by is None:
        return routes.reshape(t, k)
    place = _places(order_key(by.detach().reshape(-1)).bitwise_not().argsort(stable=True))
    if order == "weight":
        return place.reshape(t, k)
    return place[:, None] + t * torch.arange(k, dtype=torch.int32, device=index.device)


@op
def position(index: Tensor, rank: Tensor | None = None, *, experts: int, order: str = "token") -> Tensor:
    """Compute position (see its card)."""
    tensors = [index] if rank is None else [index, rank]
    if in_numpy(*tensors):
        return torch.from_numpy(on_numpy.position(*(x.numpy() for x in tensors), experts=experts, order=order))
    keys = _keys(index, experts)
    if order == "choice":
        return _queue(keys.t().reshape(-1), experts).reshape(index.shape[::-1]).t()
    if rank is None:
        return _queue(keys.reshape(-1), experts).reshape(index.shape)
    by = rank.reshape(-1).long().argsort(stable=True)
    queue = _queue(keys.reshape(-1)[by], experts)
    return torch.zeros_like(queue).scatter(0, by, queue).reshape(index.shape)


@op
def drop(index: Tensor, position: Tensor, *, capacity: int) -> tuple[Tensor, Tensor]:
    """Compute drop (see its card)."""
    i, p = index.long(), position.long()
    kept = (i >= 0) & (p >= 0) & (p < capacity)
    return torch.where(kept, i, -1).to(index.dtype), torch.where(kept, p, -1).to(position.dtype)


@op
def dispatch_mask(index: Tensor, position: Tensor, *, experts: int, capacity: int) -> Tensor:
    """Compute dispatch_mask (see its card)."""
    slots = route_slots(index, position, experts, capacity)
    flat, size = _of_tokens(slots, experts * capacity)
    mask = torch.zeros(size + 1, dtype=torch.bool, device=index.device).scatter(0, flat.reshape(-1), True)
    return mask[:size].reshape(slots.shape[0], experts, capacity)


@op
def combine_mask(weights: Tensor, index: Tensor, position: Tensor, *, experts: int, capacity: int) -> Tensor:
    """Compute combine_mask (see its card)."""
    slots = route_slots(index, position, experts, capacity)
    flat, size = _of_tokens(slots, experts * capacity)
    wide = weights.to(torch.promote_types(weights.dtype, torch.float32)).reshape(-1, 1)
    # the sum in a fixed order that gradients of embeddings are
    summed: Tensor = torch.ops.aten.embedding_dense_backward(wide, flat.reshape(-1), size + 1, -1, False)
    return summed[:size].to(weights.dtype).reshape(slots.shape[0], experts, capacity)


@op
def load_statistics(index: Tensor, position: Tensor, *, experts: int, capacity: int) -> tuple[Tensor, Tensor, Tensor]:
    """Compute load_statistics (see its card)."""
    if in_numpy(index, position):
        found = on_numpy.load_statistics(index.numpy(), position.numpy(), experts=experts, capacity=capacity)
        requested, kept, served = map(torch.from_numpy, found)
        return requested, kept, served
    keys, slots = _keys(index, experts), route_slots(index, position, experts, capacity)
    held = torch.where(slots >= 0, keys, experts).reshape(-1)
    counts = [_counts(ids, experts)[:experts] for ids in (keys.reshape(-1), held)]
    return counts[0], counts[1], (slots >= 0).sum(1, dtype=torch.int32)


def stable_group(ids: Tensor, experts: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return flat routes by expert, then in order; the place of each route in its group; the sizes of the groups.

    An id outside 0..experts-1 is no route: its place is -1, and the end of the order is filled with -1. All are int32.
    """
    if in_numpy(ids):
        order, place, counts = map(torch.from_numpy, on_numpy.stable_group(ids.numpy(), experts))
        return order, place, counts
    ordered, order, counts = _sorted(_keys(ids, experts), experts)
    place = _scattered(order, ordered, counts)
    return torch.where(ordered == experts, -1, order).to(torch.int32), place, counts[:experts]


def route_slots(index: Tensor, position: Tensor, experts: int, capacity: int) -> Tensor:
    """Return the flat slot of every route; -1 where it has none."""
    if in_numpy(index, position):
        return torch.from_numpy(on_numpy.route_slots(index.numpy(), position.numpy(), experts, capacity))
    i, p = index.long(), position.long()
    kept = (i >= 0) & (i < experts) & (p >= 0) & (p < capacity)
    return torch.where(kept, i * capacity + p, -1)  # t k


def _of_tokens(slots: Tensor, count: int) -> tuple[Tensor, int]:
    """Return where the slots of each token are in the mask of all tokens, no slot past its end, and the size of the mask."""
    t = slots.shape[0]
    first = torch.arange(t, device=slots.device)[:, None] * count
    return torch.where(slots < 0, t * count, slots + first), t * count


def _keys(ids: Tensor, experts: int) -> Tensor:
    """Return the ids in a narrow dtype, which is faster to sort; those outside are ``experts``."""
    wide = ids.long()
    return torch.where((wide >= 0) & (wide < experts), wide, experts).to(torch.int16 if experts < 2**15 else torch.int32)


def _counts(keys: Tensor, experts: int) -> Tensor:
    ones = torch.ones_like(keys, dtype=torch.int32)
    return torch.zeros(experts + 1, dtype=torch.int32, device=keys.device).scatter_add(0, keys.long(), ones)


def _sorted(keys: Tensor, experts: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the keys in order, the flat routes that they come from, and the sizes of the groups."""
    ordered, order = keys.sort(stable=True)
    return ordered.long(), order, _counts(keys, experts)


def _scattered(order: Tensor, ordered: Tensor, counts: Tensor) -> Tensor:
    starts = counts.cumsum(0) - counts
    places = torch.arange(order.shape[0], device=order.device) - starts[ordered]
    places = torch.where(ordered == counts.shape[0] - 1, -1, places).to(torch.int32)
    return torch.zeros_like(places).scatter(0, order, places)


def _queue(keys: Tensor, experts: int) -> Tensor:
    ordered, order, counts = _sorted(keys, experts)
    return _scattered(order, ordered, counts)


def _places(order: Tensor) -> Tensor:
    """Return the inverse of a permutation."""
    places = torch.arange(order.shape[0], dtype=torch.int32, device=order.device)
    return torch.zeros_like(places).scatter(0, order, places)


@op
def routing_map(weights: Tensor, index: Tensor, *, experts: int) -> tuple[Tensor, Tensor]:
    """Compute routing_map (see its card)."""
    hit = index.long()[:, :, None] == torch.arange(experts, device=index.device)  # t k e
    wide = torch.promote_types(weights.dtype, torch.float32)
    probs = torch.where(hit, weights.to(wide)[:, :, None], 0).sum(1)
    return hit.any(1), probs.to(weights.dtype)


@op
def routes_of_map(chosen: Tensor, probs: Tensor, *, k: int) -> tuple[Tensor, Tensor]:
    """Compute routes_of_map (see its card)."""
    t, e = chosen.shape
    place = torch.where(chosen, chosen.cumsum(1) - 1, k).clamp(max=k)  # behind the last for what is not taken
    expert = torch.arange(e, device=chosen.device).expand(t, e)
    index = expert.new_full((t, k + 1), -1).scatter(1, place, expert)[:, :k]
    weights = probs.gather(1, index.clamp(min=0)) if e else probs.new_zeros(t, k)
    return torch.where(index < 0, 0, weights), index.to(torch.int32)
