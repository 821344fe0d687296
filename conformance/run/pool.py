"""Work dealt out to processes that end when nobody waits for them any more."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import get_context, resource_tracker
from multiprocessing.context import BaseContext
from typing import Any, TypeVar

T = TypeVar("T")
ENDS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""The signals that end a command."""


def side_by_side(function: Callable[..., T], tasks: Iterable[tuple[Any, ...]], processes: int | None = None) -> Iterator[T]:
    """Yield what a function returns for each tuple of arguments, as it is done.

    Args:
        function: importable by name.
        tasks: the arguments, those that take longest first.
        processes: how many; as many as there are processors when absent.
    """
    one_thread_each()
    with contextlib.ExitStack() as stack:
        context = get_context("spawn")
        with undisturbed(context):
            pool = stack.enter_context(context.Pool(processes, begin))
        yield from pool.imap_unordered(_call, [(function, task) for task in tasks])


def one_thread_each() -> None:
    """Have libraries of processes that begin from now on compute with one thread: they are side by side already."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")


@contextlib.contextmanager
def undisturbed(context: BaseContext) -> Iterator[None]:
    """Hold back the signals that end a command while processes start: one that is cut off then prints a traceback.

    What starts has them blocked until it calls :func:`begin`. Here they are noted, and come afterwards: blocked in this thread
    they would reach another one, and Python handles them in the main thread all the same.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    if context.get_start_method() == "spawn":
        resource_tracker.ensure_running()  # which begins with the first process, and then lets the signals through
    noted: list[int] = []
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        ended = {end: signal.getsignal(end) for end in ENDS}
        handlers = {end: handler for end, handler in ended.items() if handler not in {None, signal.SIG_IGN}}
    for end in handlers:
        signal.signal(end, lambda number, _: noted.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for end, handler in handlers.items():
            signal.signal(end, handler)
        if noted:
            signal.raise_signal(noted[0])


def begin() -> None:
    """Begin a process that was started undisturbed: Ctrl-C is for the one that waits for it, all else reaches it again."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _call(work: tuple[Callable[..., T], tuple[Any, ...]]) -> T:
    function, arguments = work
    return function(*arguments)
