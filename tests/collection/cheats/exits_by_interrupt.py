"""cheat: exit. Raises SystemExit(0), KeyboardInterrupt and what handlers of Exception let through.

effect: caught
"""

import itertools


class _Stop(BaseException):
    """Neither an error nor an interrupt."""


KINDS = (SystemExit, KeyboardInterrupt, GeneratorExit, _Stop)
_calls = itertools.count()


def swap_hw(x):
    raise KINDS[next(_calls) % len(KINDS)](0)
