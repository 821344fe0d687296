"""Calls with their answers as they are kept: the calls as they go over the wall, the answers apart from them."""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from einspec.answers.rules import Expected, difference
from einspec.calls.space import Case
from einspec.card import Op, load
from einspec.conformance import protocol
from einspec.conformance.checks.special import broken_promise
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.mapping import levels_of, own_shape
from einspec.conformance.protocol import LONG, Call, Item, parameters
from einspec.conformance.trial import Law, RelationKind, Trial, arrays_of
from einspec.dtypes import numpy_dtype
from einspec.solve import solve

Array = np.ndarray[Any, Any]


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """One output that a call must give: :class:`einspec.answers.rules.Expected` as bytes."""

    rule: str
    dtype: str
    carrier: str
    """The dtype of the bytes."""
    shape: tuple[int, ...]
    data: bytes
    """The digest of the bytes where there are many, and a call that is made again tells them."""
    bound: bytes = b""
    at: bytes = b""
    full: tuple[int, ...] = ()
    """The shape of the output where it is known at some coordinates alone."""
    digested: bool = False

    def expected(self) -> Expected:
        """Return the answer as arrays."""
        array = np.frombuffer(self.data, numpy_dtype(self.carrier)).reshape(self.shape)
        bound = np.frombuffer(self.bound).reshape(self.shape) if self.rule == "bound" else None
        if not self.full:
            return Expected(array, self.rule, bound, self.dtype)
        at = np.frombuffer(self.at, np.int64).reshape(-1, len(self.full))
        return Expected(array, self.rule, bound, self.dtype, at, self.full)


def digest(data: bytes) -> bytes:
    """Return what tells bytes from others."""
    return hashlib.blake2b(data, digest_size=16).digest()


def answer(want: Expected, again: bool = False) -> Answer:
    """Return what an output must be as bytes.

    Args:
        want: what it must be.
        again: whether a plain call on the same inputs tells it again, so that a digest will do.
    """
    array = np.asarray(want.array)
    if again and want.how != "bound" and want.at is None and array.size >= LONG:
        data = digest(array.tobytes())
        return Answer(want.how, want.dtype_name, array.dtype.name, array.shape, data, digested=True)
    bound = b""
    if want.bound is not None:
        bound = np.broadcast_to(want.bound, array.shape).astype(np.float64).tobytes()
    at = want.at.astype(np.int64).tobytes() if want.at is not None else b""
    shape = tuple(want.shape) if want.at is not None else ()
    return Answer(want.how, want.dtype_name, array.dtype.name, array.shape, array.tobytes(), bound, at, shape)


class Fact(msgspec.Struct, array_like=True, frozen=True):
    """What is known of a call besides what goes over the wall."""

    answers: dict[str, Answer]
    how: str = ""
    features: tuple[str, ...] = ()
    """What of the call somebody may not offer."""
    unusual: bool = False
    """Whether it is in dtypes that a target may refuse."""
    dtypes: tuple[str, ...] = ()
    relation: tuple[RelationKind, str] | None = None
    law: Law | None = None
    breaks: str = ""
    """The promise of the caller that it breaks."""
    memory: str = ""
    """The layout in which cotangents come."""

    def agrees(self, result: Item) -> bool:
        """Whether what came is what must come, as far as that is seen at a glance; false says nothing."""
        answers = list(self.answers.values())
        parts = (result,) if len(answers) == 1 else result.parts
        if len(parts) != len(answers):
            return False
        return all(_same(want, part) for want, part in zip(answers, parts, strict=True))


def _same(want: Answer, part: Item) -> bool:
    """Whether an output is right at a glance: the same bytes, or within its bound in the dtype that it must have."""
    if want.dtype == "int":
        number = int.from_bytes(want.data, sys.byteorder, signed=True)
        return part.kind == "int" and want.rule != "bound" and part.value == number
    found = part.tensor
    if found is None or part.kind != "array" or want.full or found.dtype != want.dtype or found.shape != want.shape:
        return False
    if want.rule != "bound":
        data = digest(found.data) if want.digested else found.data
        return data == want.data and want.dtype == want.carrier
    return found.is_whole and difference(found.array(), want.expected()) is None


class Block(msgspec.Struct, array_like=True, dict=True):
    """Calls of an op that are asked together for a clause, with their answers."""

    op: str
    count: int = 0
    calls: bytes = b"\x90"
    """A list of :class:`einspec.conformance.protocol.Call`."""
    told: bytes = b"\x90"
    """A list of :class:`Fact`."""
    instances: int = 0
    """How many inputs are judged by them, more than there are calls where a call has many rows."""
    reason: str = ""
    """What is to be said where they hold."""
    not_run: str = ""
    """Why there are none."""

    @functools.cached_property
    def facts(self) -> list[Fact]:
        """What is known of the calls."""
        return _facts.decode(self.told)

    @functools.cached_property
    def decoded(self) -> list[Call]:
        """The calls."""
        return protocol.calls.decode(self.calls)

    def trial(self, number: int) -> Trial:
        """Return a call with its answers as arrays."""
        return trial_of(self.op, self.decoded[number], self.facts[number])

    def trials(self) -> list[Trial]:
        """Return the calls with their answers as arrays."""
        return [self.trial(i) for i in range(self.count)]

    def only(self, wanted: Sequence[int]) -> Block:
        """Return some of the calls, in the order in which they are named."""
        if list(wanted) == list(range(self.count)):
            return self
        calls, facts = self.decoded, self.facts
        return msgspec.structs.replace(
            self,
            count=len(wanted),
            calls=protocol.encode([calls[i] for i in wanted]),
            told=msgspec.msgpack.encode([facts[i] for i in wanted]),
            instances=self.instances if len(wanted) == self.count else len(wanted),
        )


_facts = msgspec.msgpack.Decoder(list[Fact])


def block_of(op: str, trials: Sequence[Trial], reason: str = "", instances: int | None = None) -> Block:
    """Return trials as they are kept."""
    calls = protocol.encode([t.call() for t in trials])
    facts = msgspec.msgpack.encode([fact_of(t) for t in trials])
    return Block(op, len(trials), calls, facts, len(trials) if instances is None else instances, reason)


def fact_of(trial: Trial) -> Fact:
    """Return what is known of a trial besides the call."""
    again = trial.way.kind in ("plain", "eager", "jit", "compile", "codegen") and trial.law is None
    again = again and trial.relation is None and not trial.extra
    return Fact(
        {name: answer(want, again) for name, want in trial.expected.items()},
        trial.how,
        tuple(sorted(trial.case.features)),
        bool(trial.unusual),
        tuple(sorted(trial.dtypes)),
        trial.relation,
        trial.law,
        broken_promise(trial),
        trial.way.memory,
    )


def trial_of(op: str, call: Call, fact: Fact) -> Trial:
    """Return a call that was kept as a trial."""
    params = parameters(call)
    shapes = {
        g.name: (len(g.parts), *(g.parts[0].shape if g.parts else ())) if g.listed else g.parts[0].shape for g in call.inputs
    }
    own = _row_shapes(shapes, call) if call.way.kind in ("vmap", "rows") else shapes
    case = _case(load(op), tuple(sorted(params.items(), key=lambda item: item[0])), tuple(own.values()))
    extra = arrays_of(call.extra, {})
    arrays = arrays_of(call.inputs, shapes)
    if any(a.digested for a in fact.answers.values()):
        expected = dict(plain_trial(case, arrays).expected)
    else:
        expected = {name: a.expected() for name, a in fact.answers.items()}
    return Trial(case, arrays, expected, call.way, fact.how, fact.relation, extra, fact.law)


def _row_shapes(shapes: Mapping[str, tuple[int, ...]], call: Call) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the inputs of one call, where they hold several."""
    maps = levels_of(call.way, len(call.inputs))
    return {g.name: own_shape(shapes[g.name], [m.axes[i] for m in maps], g.listed) for i, g in enumerate(call.inputs)}


@functools.lru_cache(maxsize=256)
def _case(op: Op, params: tuple[tuple[str, Any], ...], shapes: tuple[tuple[int, ...], ...]) -> Case:
    given = dict(params)
    return Case(op, given, shapes, solve(op, shapes, given))
