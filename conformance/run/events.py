"""What the processes of a run say while it goes on: structs, as the lines of a report have them."""

from __future__ import annotations

from typing import Any

import msgspec

from einspec.conformance.judge.verdict import Result
from einspec.conformance.protocol import Tensor


class Described(msgspec.Struct, tag=True):
    """A backend that is about to be judged, as a report describes it."""

    backend: dict[str, Any]


class Began(msgspec.Struct, tag=True):
    """A clause of an op that is about to be judged."""

    backend: str
    op: str
    clause: str


class Judged(msgspec.Struct, tag=True):
    """A result."""

    result: Result


class Problem(msgspec.Struct, tag=True):
    """What was asked for and could not be judged at all."""

    text: str


class Printed(msgspec.Struct, tag=True):
    """What a candidate has printed while an op was judged."""

    backend: str
    op: str
    bytes: int
    text: str


class Sample(msgspec.Struct, tag=True):
    """What a backend gave on one fixed input, for others to agree with."""

    backend: str
    device: str
    op: str
    case: str
    rules: tuple[str, ...]
    outputs: tuple[Tensor, ...]
    bounds: tuple[Tensor, ...]


class Finished(msgspec.Struct, tag=True):
    """An op that has been judged on a device."""

    backend: str
    op: str
    seconds: float = 0.0


class Idle(msgspec.Struct, tag=True):
    """A process that has done what it was given."""


Event = Described | Began | Judged | Problem | Printed | Sample | Finished | Idle
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Event).decode
