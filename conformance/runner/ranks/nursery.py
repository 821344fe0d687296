"""The nursery of ranks: a process that has imported the framework and run nothing, and is copied for each rank.

A process that begins anew imports PyTorch for seconds; a copy is there in hundredths of one. The copies are made of a process
without threads, into which no code of a candidate comes.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
from collections.abc import Iterator, Sequence

from einspec.conformance.confine import confine_candidate
from einspec.conformance.protocol import LENGTH
from einspec.conformance.runner.independence import Watch
from einspec.conformance.runner.ranks import rank
from einspec.conformance.runner.ranks.messages import Channel, Fork, Forked, Reap, Reaped, frame

PRELOADED = (
    "torch",
    "torch.distributed",
    "torch.distributed.nn.functional",
    "torch.distributed._functional_collectives",
    "torch.distributed.device_mesh",
    "torch._dynamo",
    "einspec.impls.adapters.torch",
)
"""What most files import."""
MOST = 64
"""Ranks of a crew, and so descriptors that come with a message."""


class LostRankError(Exception):
    """A rank is no more, and so none of its crew."""


class Nursery:
    """The nursery as the process that asks it sees it."""

    def __init__(self, watch: Watch, folder: str) -> None:
        """Begin it, as a copy of this process.

        Args:
            watch: what listens to what a candidate does.
            folder: where ranks may leave files, which somebody else removes.
        """
        self.folder = folder
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if not self.pid:
            ours.close()
            _serve(theirs, watch)
        theirs.close()
        self.channel = Channel(ours)

    def fork(self, request: Fork, ends: Sequence[socket.socket]) -> tuple[int, ...]:
        """Return the processes of ranks that begin, each with one end of a socket.

        Raises:
            LostRankError: the nursery is no more, and so no rank.
        """
        with _answering():
            socket.send_fds(self.channel.socket, [frame(request)], [end.fileno() for end in ends])
            return self.channel.heard(Forked).pids

    def reap(self, pid: int) -> int:
        """Return the status of a rank that has ended: of one that a signal ended, its negative number.

        Raises:
            LostRankError: the nursery is no more, and so no rank.
        """
        with _answering():
            self.channel.say(Reap(pid))
            return os.waitstatus_to_exitcode(self.channel.heard(Reaped).status)


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """Say that the nursery is no more where it does not answer."""
    try:
        yield
    except (EOFError, OSError):
        raise LostRankError("the process that its ranks are copies of has ended") from None


def _serve(end: socket.socket, watch: Watch) -> None:
    """Begin ranks until nobody asks for any."""
    try:
        confine_candidate()
        for name in PRELOADED:
            importlib.import_module(name)
        while (found := _received(end)) is not None:
            request, ends = found
            if isinstance(request, Reap):
                end.sendall(frame(Reaped(os.waitpid(request.pid, 0)[1])))
                continue
            pids = []
            for number, own in enumerate(ends):
                pid = os.fork()
                if not pid:
                    end.close()
                    for other in ends:
                        if other is not own:
                            os.close(other)
                    rank.main(request, number, len(ends), own, watch)
                pids.append(pid)
            for other in ends:
                os.close(other)
            end.sendall(frame(Forked(tuple(pids))))
    finally:
        os._exit(0)


def _received(end: socket.socket) -> tuple[Fork | Reap, list[int]] | None:
    """Return what is asked for and the descriptors that come with it; None at the end."""
    data, ends, _, _ = socket.recv_fds(end, LENGTH.size, MOST)
    channel = Channel(end)
    channel.inbox += data
    if not data:
        return None
    request: Fork | Reap = channel.heard(Fork | Reap)  # type: ignore[arg-type]  # a union will do
    return request, ends
