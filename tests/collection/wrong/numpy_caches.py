"""Wrong caches in NumPy: clamped, rolled early, out of order, past the length, in the last slot."""

import numpy as np

FRAMEWORK = "numpy"


def moved_back_into_the_cache(cache, x, start, mode="linear"):
    """cache_update/def: writes all tokens side by side, moved back where they do not fit, as a dynamic slice is.

    Imitates https://github.com/jax-ml/jax/issues/34257.
    """
    y, n = cache.copy(), min(x.shape[-2], cache.shape[-2])
    for r, first in enumerate(start.tolist()):
        place = first % max(cache.shape[-2], 1) if mode == "circular" else first
        place = min(max(place, 0), cache.shape[-2] - n)
        y[r, ..., place : place + n, :] = x[r, ..., x.shape[-2] - n :, :]
    return y


def rolled_when_it_becomes_full(cache, x, start, mode="linear"):
    """cache_update/def: keeps the order of tokens and moves all of them, one step too early.

    Imitates https://github.com/huggingface/transformers/issues/37574.
    """
    y, s = cache.copy(), cache.shape[-2]
    for r, first in enumerate(start.tolist()):
        for n in range(x.shape[-2]):
            place = first + n
            if mode == "circular" and place >= s - 1:
                y[r] = np.roll(y[r], -1, -2)
                place = s - 1
            y[r, ..., place, :] = x[r, ..., n, :]
    return y


def all_from_the_first_place(cache, x, start, mode="linear"):
    """cache_update/def: writes the tokens of all sequences where those of the first belong.

    Constructed.
    """
    y = cache.copy()
    for n in range(x.shape[-2] if len(start) else 0):
        place = (int(start[0]) + n) % cache.shape[-2] if mode == "circular" else int(start[0]) + n
        y[..., place, :] = x[..., n, :]
    return y


def window_starts_at_the_newest(cache, length, *, tokens, mode="linear"):
    """cache_read/def: starts a window at the length modulo its places, which is right for a full one alone.

    Imitates https://github.com/huggingface/transformers/issues/47708.
    """
    s = cache.shape[-2]
    if tokens > s:
        raise ValueError("tokens")
    y = np.zeros((*cache.shape[:-2], tokens, cache.shape[-1]), cache.dtype)
    for r, n in enumerate(length.tolist()):
        held = min(max(n, 0), tokens)
        first = n % s if mode == "circular" and tokens == s and s else n - held
        places = np.arange(first, first + held) % max(s, 1)
        y[r, ..., :held, :] = cache[r, ..., places, :]
    return y


def in_the_order_of_places(cache, length, *, tokens, mode="linear"):
    """cache_read/def: reads a cache that has wrapped from its first place on.

    Imitates https://github.com/ollama/ollama/issues/14912.
    """
    s = cache.shape[-2]
    if tokens > s:
        raise ValueError("tokens")
    y = np.zeros((*cache.shape[:-2], tokens, cache.shape[-1]), cache.dtype)
    for r, n in enumerate(np.minimum(length.astype(np.int64), s).tolist()):
        held = min(max(n, 0), tokens)
        y[r, ..., :held, :] = cache[r, ..., n - held : n, :] if held else 0
    return y


def rest_of_the_last_page(pages, table, lengths, *, tokens):
    """paged_gather/def: gives what is in the pages past the length of a sequence, too.

    Constructed.
    """
    if pages.shape[1] < 1:
        raise ValueError("pages")
    y = np.zeros((len(table), tokens, *pages.shape[2:]), pages.dtype)
    for r, entries in enumerate(table.tolist()):
        for t in range(min(tokens, len(entries) * pages.shape[1])):
            if entries[t // pages.shape[1]] >= 0:
                y[r, t] = pages[entries[t // pages.shape[1]], t % pages.shape[1]]
    return y


def full_pages_have_no_last_one(pages, table, lengths, *, tokens):
    """paged_gather/def: takes the length modulo the size of a page for what the last page holds: 0 where it is full.

    Constructed.
    """
    if pages.shape[1] < 1:
        raise ValueError("pages")
    s = pages.shape[1]
    y = np.zeros((len(table), tokens, *pages.shape[2:]), pages.dtype)
    for r, (entries, n) in enumerate(zip(table.tolist(), lengths.tolist(), strict=True)):
        used = -(-max(n, 0) // s)
        for i, page in enumerate(entries[:used]):
            held = s if i < used - 1 else n % s
            for t in range(i * s, min(i * s + held, tokens)):
                if page >= 0:
                    y[r, t] = pages[page, t - i * s]
    return y


def last_slot_for_none(pages, x, slots):
    """paged_write/def: writes a token without a slot to the last slot, as an index of -1.

    Constructed.
    """
    y = pages.reshape(-1, *pages.shape[2:]).copy() if pages.size else pages.copy()
    if pages.size:
        y[np.maximum(slots, -1)] = x
    return y.reshape(pages.shape)


def place_before_page(pages, x, slots):
    """paged_write/def: divides a slot by the number of pages in place of their size.

    Constructed.
    """
    y = pages.copy()
    for token, slot in zip(x, slots.tolist(), strict=True):
        if slot >= 0:
            place, page = divmod(slot, len(pages))
            y[page, place] = token
    return y


def padding_first(x, lengths):
    """reverse_sequence/def: turns the padding round with the rest.

    Imitates https://github.com/pytorch/pytorch/issues/1794.
    """
    return np.where((lengths > 0).reshape(-1, *(1,) * (x.ndim - 1)), x[:, ::-1], x)


def sequences_for_times(x, lengths):
    """reverse_sequence/def: takes the first axis for the time, where there are as many sequences as times.

    Constructed.
    """
    y = x.copy()
    if x.shape[0] == x.shape[1]:
        y = np.ascontiguousarray(y.swapaxes(0, 1))
    for q, n in zip(y, lengths.tolist(), strict=True):
        q[:n] = q[:n][::-1].copy()
    return y.swapaxes(0, 1) if x.shape[0] == x.shape[1] else y
