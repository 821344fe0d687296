"""Does an op reject the calls that its card does not allow: ``err.<constraint>``."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from einspec.calls.inputs import ramps
from einspec.calls.invalid import InvalidCall, Tensor, further_calls, invalid_calls
from einspec.calls.space import Case
from einspec.card import Op
from einspec.clauses import misfit_of
from einspec.conformance import protocol
from einspec.conformance.checks.block import Block, Fact
from einspec.conformance.checks.scene import Scene
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.protocol import Call, Input, Way
from einspec.dtypes import numpy_dtype

Array = np.ndarray[Any, Any]
MISFITS = 3
"""From how many calls that do not fit those are made that do not fit on one rank."""
DEMANDED = ("divides", "match", "open", "list", "broadcast", "require", "axes")
"""Constraints that a bare file must keep as well: violated, they leave to guess what was meant.

That two tensors fit each other is asked of backends alone: ordinary code broadcasts, or reads what
it needs.
"""


def invalid_block(scene: Scene, constraint: str) -> Block:
    """Return the calls that violate a constraint, which must raise."""
    found = violating(scene.op, constraint)
    if not found:
        return Block(scene.op.name, not_run="no call was found that violates this first")
    facts = [Fact({}, "a call that must raise", dtypes=tuple(sorted(call.dtypes))) for call in found]
    calls = protocol.encode([Call(dict(call.params), _inputs(call)) for call in found])
    return Block(scene.op.name, len(found), calls, msgspec.msgpack.encode(facts), len(found))


def misfit_block(scene: Scene) -> Block:
    """Return the calls in which one rank, each in turn, has a part that does not divide, and the others one that does."""
    found = [call for call in violating(scene.op, misfit_of(scene.op)) if len(call.near.shapes) == len(call.inputs)]
    calls = []
    for call in found[:MISFITS]:
        legal, wrong = plain_trial(call.near, ramps(call.near)).call(), _inputs(call)
        ranks = legal.inputs[0].parts[0].shape[0]
        if ranks > 1 and wrong[0].parts[0].shape[0] == ranks:
            made = [msgspec.structs.replace(legal, way=Way("error", rank=r), extra=wrong) for r in range(ranks)]
            calls += made
    if not calls:
        return Block(scene.op.name, not_run="no call of these numbers of ranks can show it")
    facts = [Fact({}, "a call that does not fit on one rank", dtypes=("float32",)) for _ in calls]
    return Block(scene.op.name, len(calls), protocol.encode(calls), msgspec.msgpack.encode(facts), len(calls))


def violating(op: Op, constraint: str) -> list[InvalidCall]:
    """Return the calls that violate a constraint, the plainest first."""
    first = invalid_calls(op).get(constraint)
    return [first, *further_calls(op).get(constraint, ())] if first is not None else []


def optional_for_files(op: Op, constraint: str) -> bool:
    """Whether a file of functions may accept a call that violates a constraint."""
    call = invalid_calls(op).get(constraint)
    kind = constraint.partition(".")[0]
    return kind not in DEMANDED or (kind == "match" and call is not None and len(call.inputs) > 1)


def near_call(op: Op, constraint: str) -> Case | None:
    """Return the legal call in an optional form from which the invalid one was made, if it is such a one."""
    call = invalid_calls(op).get(constraint)
    return call.near if call is not None and call.near.options else None


def _inputs(call: InvalidCall) -> tuple[Input, ...]:
    """Return the tensors of a call as they go over the wall."""
    specs = call.form.signature.inputs
    names = [spec.name for spec in specs]
    groups = [call.form.group(name) for name in names]
    more = len(call.inputs) - len(groups)
    names += [f"more{i}" for i in range(more)]
    groups += [groups[-1] if groups else "any"] * more
    found = []
    for name, group, tensors, given in zip(names, groups, call.lists, call.inputs, strict=True):
        parts = tuple(protocol.tensor(_array(tensor, group)) for tensor in tensors)
        found.append(Input(name, parts, isinstance(given, tuple)))
    return tuple(found)


def _array(tensor: Tensor, group: str) -> Array:
    """Return a tensor that a function has nothing else against: indices point to what is there."""
    numbers = np.arange(1, 1 + int(np.prod(tensor.shape))).reshape(tensor.shape)
    values = 0 * numbers if group in ("index", "bool") else numbers
    return np.asarray(values.astype(numpy_dtype(tensor.dtype)))
