"""Processes that a command begins side by side."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
from multiprocessing.connection import Connection

import pytest

from einspec.conformance.run.pool import ENDS, begin, undisturbed


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="this system cannot block signals")
@pytest.mark.parametrize("number", ENDS)
def test_a_signal_waits_until_processes_have_started(number: signal.Signals) -> None:
    """Though another thread has it, as those of a library of linear algebra do, which block none."""
    ended, seen = threading.Event(), []
    other = threading.Thread(target=ended.wait)
    other.start()
    before = signal.signal(number, lambda *_: seen.append("handled"))
    try:
        with undisturbed(multiprocessing.get_context("spawn")):
            signal.pthread_kill(other.ident, number)
            ended.set()
            other.join()  # it has had the signal by now
            assert not seen
        assert seen == ["handled"]
    finally:
        ended.set()
        signal.signal(number, before)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="this system cannot block signals")
def test_what_starts_has_no_signal_before_it_begins() -> None:
    """The first process of all too: with it begins one that lets signals through again."""
    context = multiprocessing.get_context("spawn")
    with undisturbed(context):
        ours, theirs = context.Pipe()
        process = context.Process(target=blocked, args=(theirs,))
        process.start()
    assert ours.recv() == (set(ENDS), set())
    process.join()


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="this system cannot block signals")
def test_an_error_while_processes_start_loses_no_handler() -> None:
    """What was noted comes all the same."""
    seen: list[int] = []
    own = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        before = [signal.getsignal(end) for end in ENDS]
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        with contextlib.suppress(OSError), undisturbed(multiprocessing.get_context("fork")):
            signal.raise_signal(signal.SIGTERM)
            assert not seen
            raise OSError
        assert [signal.getsignal(end) for end in ENDS] == before
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask
        assert seen == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, own)


def blocked(pipe: Connection) -> None:
    """Say which signals a process has blocked at first, and after it began."""
    first = set(signal.pthread_sigmask(signal.SIG_BLOCK, [])) & set(ENDS)
    begin()
    pipe.send((first, set(signal.pthread_sigmask(signal.SIG_BLOCK, [])) & set(ENDS)))
