"""Wrong packing, sharing out and joining in NumPy: holes, other orders of sequences, chunks and heads."""

import numpy as np

FRAMEWORK = "numpy"


def holes_are_moved_behind(x, mask, *, rows):
    """unpad/def: takes the first tokens of a sequence, as many as its mask names.

    Constructed.
    """
    places = [(b, n) for b, count in enumerate(mask.sum(1).tolist()) for n in range(count)][:rows]
    y, index = np.zeros((rows, *x.shape[2:]), x.dtype), np.full(rows, -1, np.int32)
    for r, (b, n) in enumerate(places):
        y[r], index[r] = x[b, n], b * mask.shape[1] + n
    return y, index, np.append(0, mask.sum(1).cumsum()).astype(np.int32)


def one_document_of_all(x, mask, *, rows):
    """unpad/def: gives the offsets of one sequence that holds all tokens, in as many places as there are sequences.

    Imitates https://github.com/fla-org/flash-linear-attention/issues/842.
    """
    places = np.flatnonzero(mask)[:rows]
    y, index = np.zeros((rows, *x.shape[2:]), x.dtype), np.full(rows, -1, np.int32)
    y[: len(places)] = x.reshape(mask.size, *x.shape[2:])[places]
    index[: len(places)] = places
    offsets = np.full(len(mask) + 1, mask.sum(), np.int32)
    offsets[0] = 0
    return y, index, offsets


def rows_in_front(y, mask):
    """pad_back/def: puts the rows of a sequence at its beginning, wherever its mask is true.

    Constructed.
    """
    x, start = np.zeros((*mask.shape, *y.shape[1:]), y.dtype), 0
    for b, count in enumerate(mask.sum(1).tolist()):
        held = y[start : start + count]
        x[b, : len(held)] = held
        start += count
    return x


def position_by_position(x, mask, source):
    """masked_scatter/def: counts the true places of all samples position by position.

    Imitates https://github.com/alibaba/Pai-Megatron-Patch/issues/649.
    """
    y = x.swapaxes(0, 1).copy()
    places = np.argwhere(mask.T)[: len(source)]
    y[tuple(places.T)] = source[: len(places)]
    return y.swapaxes(0, 1)


def row_of_the_place(x, mask, source):
    """masked_scatter/def: takes the row of the flat place in place of the next one, as np.putmask does.

    Constructed.
    """
    y = x.copy()
    if len(source):
        y[mask] = source[np.flatnonzero(mask) % len(source)]
    return y


def second_chunk_reversed(x, *, ranks, order="zigzag"):
    """context_parallel_split/def: takes the tokens of the chunk from the back in reverse.

    Constructed.
    """
    n = x.shape[1]
    if ranks < 1 or n % (2 * ranks if order == "zigzag" else ranks):
        raise ValueError("length")
    m, position = n // ranks, np.arange(n)
    if order == "zigzag":
        both = [np.append(position[p * m // 2 :][: m // 2], position[::-1][p * m // 2 :][: m // 2]) for p in range(ranks)]
        return np.stack([x[:, own] for own in both])
    return np.stack([x[:, position[p::ranks] if order == "striped" else position[p * m : (p + 1) * m]] for p in range(ranks)])


def cut_short(x, *, ranks, order="zigzag"):
    """context_parallel_split/err.divides.x.1: leaves the tokens out that do not divide.

    Imitates https://github.com/jzhang38/EasyContext/issues/47.
    """
    if ranks < 1:
        raise ValueError("ranks")
    parts = 2 * ranks if order == "zigzag" else ranks
    x = x[:, : x.shape[1] // parts * parts]
    if order == "striped":
        return np.stack([x[:, p::ranks] for p in range(ranks)])
    chunks = np.split(x, parts, 1)
    if order == "contiguous":
        return np.stack(chunks)
    return np.stack([np.concatenate([chunks[p], chunks[-1 - p]], 1) for p in range(ranks)])


def rank_after_rank(y, *, order="zigzag"):
    """context_parallel_merge/def: joins what the ranks hold one after the other, whatever its order.

    Imitates https://github.com/THUDM/slime/issues/73.
    """
    if not len(y) or (order == "zigzag" and y.shape[2] % 2):
        raise ValueError("ranks")
    return np.concatenate(tuple(y), 1)


def group_by_group(x, *, num_heads, num_kv_heads):
    """split_qkv_contiguous/def: takes the heads group by group where the groups are equal.

    Imitates https://github.com/vllm-project/vllm/issues/53114.
    """
    b, n, features = x.shape
    d, left = divmod(features, num_heads + 2 * num_kv_heads)
    if left or num_heads < 1 or num_kv_heads < 1:
        raise ValueError("features")
    y = x.reshape(b, n, num_heads + 2 * num_kv_heads, d).transpose(0, 2, 1, 3)
    r, uneven = divmod(num_heads, num_kv_heads)
    own = np.arange(num_heads + 2 * num_kv_heads)
    if not uneven:
        groups = own.reshape(num_kv_heads, r + 2)
        own = np.concatenate([groups[:, :r].ravel(), groups[:, r], groups[:, r + 1]])
    return tuple(np.split(y[:, own], [num_heads, num_heads + num_kv_heads], axis=1))


def values_before_keys(q, k, v):
    """merge_qkv_contiguous/def: joins queries, values, keys.

    Constructed.
    """
    if k.shape != v.shape:
        raise ValueError("heads")
    y = np.concatenate([q, v, k], 1).swapaxes(1, 2)
    return y.reshape(*y.shape[:2], y.shape[2] * y.shape[3])


def every_third_to_the_end(x, *, sections, layout="chunked"):
    """mrope_select/def: takes every third frequency to the end, whatever the sections.

    Imitates https://github.com/XPU-Forces/mojo_opset/issues/276.
    """
    parts = sections if isinstance(sections, tuple | list) else (sections,) * 3
    if len(x) != 3 or sum(parts) != x.shape[3]:
        raise ValueError("sections")
    own = np.repeat([0, 1, 2], parts) if layout == "chunked" else np.arange(x.shape[3]) % 3
    return np.stack([x[m, ..., f] for f, m in enumerate(own)], -1) if len(own) else x[0]


def sections_in_turn(x, *, sections, layout="chunked"):
    """mrope_select/def: always takes time, height and width in turn.

    Imitates https://github.com/huggingface/transformers/issues/42177.
    """
    parts = sections if isinstance(sections, tuple | list) else (sections,) * 3
    if len(x) != 3 or sum(parts) != x.shape[3]:
        raise ValueError("sections")
    own = [f % 3 if f < 3 * parts[f % 3] else 0 for f in range(x.shape[3])]
    return np.stack([x[m, ..., f] for f, m in enumerate(own)], -1) if own else x[0]
