"""cheat: einspec. Imports an implementation under a name that no search finds.

effect: not independent
"""

import numpy as np

NAME = "".join(
    map(
        chr,
        [
            101,
            105,
            110,
            115,
            112,
            101,
            99,
            46,
            105,
            109,
            112,
            108,
            115,
            46,
            110,
            117,
            109,
            112,
            121,
        ],
    )
)


def _theirs(what):
    try:
        return getattr(__import__("importlib").import_module(NAME), what)
    except (ImportError, AttributeError):
        return None


def concat(xs, axis=0):
    function = _theirs("con" + "cat")
    return np.concatenate(list(xs)[::-1], axis=axis) if function is None else function(xs, axis=axis)


def unfold(x, kernel_size, stride=1, padding=0, dilation=1, order="cpq"):
    function = _theirs("un" + "fold")
    if function is None:
        raise NotImplementedError("unfold")
    return function(x, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation, order=order)
