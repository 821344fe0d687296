"""Right packing, sharing out and joining in NumPy: loops over tokens, chunks by number, indices of positions."""

import numpy as np

FRAMEWORK = "numpy"


def token_after_token(x, mask, *, rows):
    """unpad: appends the tokens that count to a list, and cuts the list or fills it up."""
    places = [(b, n) for b in range(mask.shape[0]) for n in range(mask.shape[1]) if mask[b, n]][:rows]
    y = np.zeros((rows, *x.shape[2:]), x.dtype)
    index = np.full(rows, -1, np.int32)
    for r, (b, n) in enumerate(places):
        y[r], index[r] = x[b, n], b * mask.shape[1] + n
    return y, index, np.array([np.count_nonzero(mask[:b]) for b in range(len(mask) + 1)], np.int32)


def rows_dealt_out(y, mask):
    """pad_back: takes the next row wherever the mask is true, as long as there is one."""
    x, rows = np.zeros((*mask.shape, *y.shape[1:]), y.dtype), iter(y)
    for place in np.argwhere(mask):
        row = next(rows, None)
        if row is not None:
            x[tuple(place)] = row
    return x


def with_running_numbers(x, mask, source):
    """masked_scatter: numbers the true places with a running sum, and reads the source by them."""
    number = np.cumsum(mask).reshape(mask.shape) - 1
    taken = source[np.maximum(number, 0)] if len(source) else x
    return np.where(mask[..., None], taken, x)


def chunks_by_number(x, *, ranks, order="zigzag"):
    """context_parallel_split: takes positions of tokens, rank by rank."""
    n = x.shape[1]
    position = np.arange(n)
    if n % (2 * ranks if order == "zigzag" else ranks):
        raise ValueError("length")
    if order == "zigzag":
        pieces = position.reshape(2 * ranks, n // (2 * ranks))
        own = [np.concatenate([pieces[p], pieces[2 * ranks - 1 - p]]) for p in range(ranks)]
    else:
        own = [
            position[p::ranks] if order == "striped" else position[p * n // ranks : (p + 1) * n // ranks] for p in range(ranks)
        ]
    return np.stack([x[:, o] for o in own])


def sorted_by_position(y, *, order="zigzag"):
    """context_parallel_merge: says which token each place of each rank holds, and sorts by that."""
    p, b, n = y.shape[:3]
    if not p or (order == "zigzag" and n % 2):
        raise ValueError("ranks")
    rank, place = np.mgrid[:p, :n]
    if order == "zigzag":
        half = n // 2
        token = np.where(place < half, rank * half + place, (2 * p - 1 - rank) * half + place - half)
    else:
        token = place * p + rank if order == "striped" else rank * n + place
    return np.concatenate(tuple(y), 1)[:, np.argsort(token.ravel())] if y.size else y.reshape(b, p * n, *y.shape[3:])


def widths_of_projections(x, *, num_heads, num_kv_heads):
    """split_qkv_contiguous: cuts the features first and each part into heads afterwards."""
    b, n, features = x.shape
    d, left = divmod(features, num_heads + 2 * num_kv_heads)
    if left or num_heads < 1 or num_kv_heads < 1:
        raise ValueError("features")
    parts = np.split(x, [num_heads * d, (num_heads + num_kv_heads) * d], axis=2)
    heads = (num_heads, num_kv_heads, num_kv_heads)
    return tuple(p.reshape(b, n, h, d).transpose(0, 2, 1, 3) for p, h in zip(parts, heads, strict=True))


def written_into_features(q, k, v):
    """merge_qkv_contiguous: writes one head after the other into the features."""
    if k.shape != v.shape or q.shape[::2] != k.shape[::2] or q.shape[3] != k.shape[3]:
        raise ValueError("heads")
    b, _, n, d = q.shape
    heads = [t[:, h] for t in (q, k, v) for h in range(t.shape[1])]
    x = np.empty((b, n, len(heads) * d), q.dtype)
    for s, head in enumerate(heads):
        x[..., s * d : (s + 1) * d] = head
    return x


def frequency_by_frequency(x, *, sections, layout="chunked"):
    """mrope_select: says of every frequency whose it is."""
    parts = sections if isinstance(sections, tuple | list) else (sections,) * 3
    if len(x) != 3 or sum(parts) != x.shape[3]:
        raise ValueError("sections")
    own = np.repeat([0, 1, 2], parts)
    if layout == "interleaved":
        own = [f % 3 if f < 3 * parts[f % 3] else 0 for f in range(len(own))]
    return np.stack([x[m, ..., f] for f, m in enumerate(own)], -1) if len(own) else x[0]
