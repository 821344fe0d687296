"""Right caches in NumPy: token by token, by concatenation, and by one index for all."""

import numpy as np

FRAMEWORK = "numpy"


def token_by_token(cache, x, start, mode="linear"):
    """cache_update: writes one token after the other, to its number modulo the length where the cache is circular."""
    y = cache.copy()
    for r, first in enumerate(start.tolist()):
        for n in range(x.shape[-2]):
            place = (first + n) % cache.shape[-2] if mode == "circular" else first + n
            y[r, ..., place, :] = x[r, ..., n, :]
    return y


def newest_of_a_list(cache, length, *, tokens, mode="linear"):
    """cache_read: lists the tokens that there are, oldest first, and fills the list up with zeros."""
    s = cache.shape[-2]
    if tokens > s:
        raise ValueError("tokens")
    y = np.zeros((*cache.shape[:-2], tokens, cache.shape[-1]), cache.dtype)
    for r, n in enumerate(length.tolist()):
        numbers = [t for t in range(max(n, 0)) if t >= n - tokens]
        for i, t in enumerate(numbers):
            y[r, ..., i, :] = cache[r, ..., t % s if mode == "circular" else t, :]
    return y


def all_pages_then_cut(pages, table, lengths, *, tokens):
    """paged_gather: takes whole pages, cuts them to so many tokens and clears what is past the lengths or has no page."""
    if pages.shape[1] < 1:
        raise ValueError("pages")
    r, m = table.shape
    held = pages[table] if len(pages) else np.zeros((r, m, *pages.shape[1:]), pages.dtype)
    held[table < 0] = 0
    flat = held.reshape(r, m * pages.shape[1], *pages.shape[2:])[:, :tokens]
    y = np.zeros((r, tokens, *pages.shape[2:]), pages.dtype)
    y[:, : flat.shape[1]] = flat
    y[np.arange(tokens) >= lengths[:, None]] = 0
    return y


def page_and_place(pages, x, slots):
    """paged_write: divides every slot into a page and a place, and leaves negative ones out."""
    y = pages.copy()
    for token, slot in zip(x, slots.tolist(), strict=True):
        if slot >= 0:
            y[divmod(slot, pages.shape[1])] = token
    return y


def one_sequence_at_a_time(x, lengths):
    """reverse_sequence: turns the front of each sequence round."""
    y = x.copy()
    for q, n in zip(y, lengths.tolist(), strict=True):
        q[:n] = q[:n][::-1].copy()
    return y
