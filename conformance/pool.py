"""Work dealt out to processes that end when nobody waits for them any more."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import get_context
from typing import Any, TypeVar

T = TypeVar("T")


def side_by_side(function: Callable[..., T], tasks: Iterable[tuple[Any, ...]], processes: int | None = None) -> Iterator[T]:
    """Yield what a function returns for each tuple of arguments, as it is done.

    Args:
        function: importable by name.
        tasks: the arguments, those that take longest first.
        processes: how many; as many as there are processors when absent.
    """
    with get_context("spawn").Pool(processes, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        yield from pool.imap_unordered(_call, [(function, task) for task in tasks])


def _call(work: tuple[Callable[..., T], tuple[Any, ...]]) -> T:
    function, arguments = work
    return function(*arguments)
