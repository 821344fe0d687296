"""Right exchanges between ranks in NumPy: loops over pairs of ranks, steps of rings, sums in another order."""

import numpy as np

FRAMEWORK = "numpy"


def a_pair_at_a_time(x):
    """all_to_all: copies the block of each pair of ranks by itself."""
    ranks, (n, left) = len(x), divmod(x.shape[1], len(x))
    if left:
        raise ValueError("blocks of one size")
    y = np.empty_like(x)
    for p in range(ranks):
        for q in range(ranks):
            y[q, p * n : (p + 1) * n] = x[p, q * n : (q + 1) * n]
    return y


def around_the_ring(x):
    """all_gather: hands on what it got last, and puts it where it comes from."""
    ranks, n = x.shape[:2]
    if not ranks:
        raise ValueError("no rank")
    y = np.zeros((ranks, ranks, *x.shape[1:]), x.dtype)
    held = list(range(ranks))  # whose rows each rank holds
    for _ in range(ranks):
        for q, p in enumerate(held):
            y[q, p] = x[p]
        held = [held[q - 1] for q in range(ranks)]
    return y.reshape(ranks, ranks * n, *x.shape[2:])


def one_rank_after_another(x):
    """all_reduce: adds in the dtype at hand, as transports do, which rounds once for each rank but the first."""
    with np.errstate(all="ignore"):
        total = x[0].copy()
        for p in range(1, len(x)):
            total += x[p]
    return np.stack([total] * len(x))


def on_the_way_around(x):
    """reduce_scatter: adds up a block in the dtype at hand, from the rank behind the one that it is for."""
    ranks, (n, left) = len(x), divmod(x.shape[1], len(x))
    if left:
        raise ValueError("blocks of one size")
    y = np.empty((ranks, n, *x.shape[2:]), x.dtype)
    for p in range(ranks):
        blocks = [x[(p + 1 + step) % ranks, p * n : (p + 1) * n] for step in range(ranks)]
        y[p] = blocks[0]
        with np.errstate(all="ignore"):
            for block in blocks[1:]:
                y[p] += block
    return y


def a_head_at_a_time(x):
    """head_exchange: puts the parts of the sequence of each head together, and gives it to its rank."""
    ranks, (own, left) = len(x), divmod(x.shape[3], len(x))
    if left:
        raise ValueError("heads")
    y = np.empty((ranks, x.shape[1], ranks * x.shape[2], own, x.shape[4]), x.dtype)
    for head in range(x.shape[3]):
        y[head // own, :, :, head % own] = np.concatenate([x[p, :, :, head] for p in range(ranks)], 1)
    return y


def a_part_at_a_time(y):
    """sequence_exchange: cuts the sequence of each rank, and appends the heads of the parts."""
    ranks = len(y)
    if y.shape[2] % ranks:
        raise ValueError("length")
    parts = [np.split(rank, ranks, 1) for rank in y]
    return np.stack([np.concatenate([part[p] for part in parts], 2) for p in range(ranks)])


def one_hop_at_a_time(x, shift=1):
    """ring_shift: as many single steps as are asked for, in the direction of the sign."""
    if not len(x):
        raise ValueError("no rank")
    y = x
    for _ in range(abs(shift) % len(x)):
        y = np.concatenate([y[-1:], y[:-1]] if shift > 0 else [y[1:], y[:1]])
    return y.copy()


def held_and_sent(x):
    """ring_blocks: every rank holds a block, writes it down and sends it to the next."""
    if not len(x):
        raise ValueError("no rank")
    held, steps = [x[p] for p in range(len(x))], []
    for _ in range(len(x)):
        steps.append(np.stack(held))
        held = [held[-1], *held[:-1]]
    return np.stack(steps, 1)


def leaders_by_name(x, node):
    """all_to_all_levels: a dictionary of what each rank holds, first after the node and then after all of them."""
    ranks, left = len(x), len(x) % node or x.shape[1] % len(x)
    if left or not ranks:
        raise ValueError("nodes or blocks")
    blocks = np.stack(np.split(x, ranks, 1), 1)
    inside = {}  # by node, rank in it that collects, rank that is meant, rank that sends
    for source in range(ranks):
        for target in range(ranks):
            inside[source // node, target % node, target, source] = blocks[source, target]
    y = np.empty_like(blocks)
    for (_, _, target, source), block in inside.items():
        y[target, source] = block
    return y.reshape(x.shape)


def gates_then_up(x, ranks):
    """tp_gate_up: cuts the gates and the up columns by themselves."""
    gate, up = np.split(x, 2, 2)
    parts = zip(np.split(gate, ranks, 2), np.split(up, ranks, 2), strict=True)
    return np.stack([np.concatenate(part, 2) for part in parts])


def a_token_at_a_time(x, index, weights, experts):
    """ep_dispatch: appends each token to the lists of the ranks that it goes to."""
    (p, t, d), k = x.shape, index.shape[2]
    if not p or experts < 0 or experts % p or (p, t) != index.shape[:2] or index.shape != weights.shape:
        raise ValueError("experts or shapes")
    each, filled = experts // p, [0] * p
    y, source = np.zeros((p, p * t, d), x.dtype), np.full((p, p * t), -1, np.int32)
    local, share = np.full((p, p * t, k), -1, np.int32), np.zeros((p, p * t, k), weights.dtype)
    for rank, token in np.ndindex(p, t):
        routes = [(j, int(e)) for j, e in enumerate(index[rank, token]) if 0 <= e < experts]
        for q in sorted({e // each for _, e in routes}):
            m = filled[q]
            filled[q] += 1
            y[q, m], source[q, m] = x[rank, token], rank * t + token
            for j, e in routes:
                if e // each == q:
                    local[q, m, j], share[q, m, j] = e - q * each, weights[rank, token, j]
    return y, local, share, source


def parts_at_hand(y, source, tokens):
    """ep_combine: adds what one rank has after that of another, in the dtype at hand."""
    z = np.zeros((len(y) * tokens, y.shape[2]), y.dtype)
    if not len(y):
        raise ValueError("no rank")
    with np.errstate(all="ignore"):
        for q in range(len(y)):
            part = np.zeros(z.shape, np.promote_types(y.dtype, np.float32))
            for m, row in enumerate(source[q].tolist()):
                if 0 <= row < len(z):
                    part[row] += y[q, m]
            z += part.astype(y.dtype)
    return z.reshape(len(y), tokens, y.shape[2])


def counters_of_experts(index, queue, experts):
    """ep_position: counts the routes to each expert in a dictionary, a new one for each rank where they have their own."""
    if not len(index) or experts < 0 or queue not in ("rank", "world"):
        raise ValueError("ranks, experts or queue")
    place, counts = np.full(index.shape, -1, np.int32), {}
    for rank, routes in enumerate(index):
        counts = {} if queue == "rank" else counts
        for token, choice in np.ndindex(routes.shape):
            expert = int(routes[token, choice])
            if 0 <= expert < experts:
                place[rank, token, choice] = counts.get(expert, 0)
                counts[expert] = counts.get(expert, 0) + 1
    return place


def a_buffer_that_fills(counts, rows):
    """ep_cut: takes rows from one rank after another as long as there is room."""
    ranks = len(counts)
    if not ranks or counts.shape[1] % ranks or rows < 0:
        raise ValueError("counts or rows")
    local, kept = counts.shape[1] // ranks, np.zeros(counts.shape, np.int32)
    for q in range(ranks):
        room = rows
        for p in range(ranks):
            for expert in range(q * local, (q + 1) * local):
                kept[p, expert] = min(max(int(counts[p, expert]), 0), room)
                room -= int(kept[p, expert])
    return kept
