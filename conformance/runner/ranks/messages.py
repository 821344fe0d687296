"""What the process of a candidate, its nursery and its ranks say to each other: structs in MessagePack, as over the wall."""

from __future__ import annotations

import socket
from typing import Any, TypeVar

import msgspec

from einspec.conformance import protocol
from einspec.conformance.protocol import LENGTH, Call, Loaded, Outcome, Settled

T = TypeVar("T")
CHUNK = 1 << 20
"""Bytes that are read at once."""


class Fork(msgspec.Struct, tag=True):
    """Begin the ranks of a crew, one for each descriptor that comes with this."""

    name: str
    """The file of the candidate."""
    functions: dict[str, str]
    """By op, the name of the function that stands for it; by their own names if empty."""
    folder: str
    """Where the ranks find each other, and say where they are."""
    others: int = 0
    """How many of the ranks, the first ones, are not of the group: they make up one of their own."""


class Reap(msgspec.Struct, tag=True):
    """Say how a rank has ended, which it has."""

    pid: int


class Make(msgspec.Struct, tag=True):
    """Make a call of an op on what this rank has of its inputs."""

    op: str
    call: Call


class Meet(msgspec.Struct, tag=True):
    """Meet the others of the group, which works where all have begun as many collectives in it."""


class Settle(msgspec.Struct, tag=True):
    """Say what the calls since this was asked last have changed."""


class Forked(msgspec.Struct, tag=True):
    """The processes of the ranks, in their order."""

    pids: tuple[int, ...]


class Reaped(msgspec.Struct, tag=True):
    """The status with which a process has ended, as ``os.waitpid`` gives it."""

    status: int


class Made(msgspec.Struct, tag=True):
    """What came of a call on a rank."""

    outcome: Outcome


class Met(msgspec.Struct, tag=True):
    """What a rank met the others with."""

    ranks: tuple[int, ...]


Message = Fork | Reap | Make | Meet | Settle | Met | Forked | Reaped | Made | Loaded | Settled
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message, ext_hook=protocol.ext_hook)


def frame(message: Any) -> bytes:
    """Return a message as bytes, its length before it."""
    data = protocol.encode(message)
    return LENGTH.pack(len(data)) + data


class Channel:
    """One end of a socket, whose messages come whole."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self.inbox = bytearray()

    def fileno(self) -> int:
        """Return the descriptor, by which it is waited for."""
        return self.socket.fileno()

    def say(self, message: Any) -> None:
        """Send a message.

        Raises:
            OSError: nobody is there to take it.
        """
        self.socket.sendall(frame(message))

    def taken(self) -> Any:
        """Return a message that has come whole; None where there is none."""
        if len(self.inbox) < LENGTH.size:
            return None
        (length,) = LENGTH.unpack_from(self.inbox)
        end = LENGTH.size + length
        if len(self.inbox) < end:
            return None
        data = bytes(memoryview(self.inbox)[LENGTH.size : end])
        del self.inbox[:end]
        return _decoder.decode(data)

    def read(self) -> bool:
        """Wait for bytes and take them; false where the other end is closed."""
        try:
            data = self.socket.recv(CHUNK)
        except ConnectionError:
            return False
        self.inbox += data
        return bool(data)

    def heard(self, kind: type[T]) -> T:
        """Wait for a message, which must be of a kind.

        Raises:
            EOFError: the other end is closed.
        """
        while (message := self.taken()) is None:
            if not self.read():
                raise EOFError
        if not isinstance(message, kind):
            raise TypeError(f"expected {kind.__name__}, not {type(message).__name__}")
        return message

    def close(self) -> None:
        """Close this end."""
        self.socket.close()
