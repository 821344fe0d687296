"""How kernels go wrong, as operators that take any right function: the closed list of faults that an op is tried with.

What each operator does is said where it is made, here or in the docstring of its edit; what has to hold for it to make a
difference, by each fault itself.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from einspec.card import Op
from einspec.clauses import LAYOUTS, dtypes_of, index_dtypes_of
from einspec.conformance.mutation.edits import LIMITS, cut, fair, limit, room, seam, tail, twice, wrap
from einspec.conformance.mutation.fault import Call, Fault, Place, choices, indices_of, kinds_of, places, values_of
from einspec.conformance.mutation.faults import (
    NARROW,
    Cast,
    Edited,
    Elsewhere,
    Only,
    Overwritten,
    Reused,
    Sized,
    Stale,
    Strides,
    Tiled,
    Unwritten,
)
from einspec.conformance.mutation.memory import has_layout
from einspec.dtypes import INTEGERS

Array = np.ndarray[Any, Any]
MOST = 12
"""How many mutants of one operator an op has at most; where there are more, these are spread evenly over them."""
LIMITED = f"at most {MOST} an operator"
"""The same in words."""
OPERATORS = (
    "tail",
    "twice",
    "seam",
    "wrap",
    "limit",
    "room",
    "narrow",
    "through",
    "accumulate",
    "size",
    "large",
    "tile",
    "dtype",
    "layout",
    "dtype_in_layout",
    "strides",
    "call",
    "stale",
    "reused",
    "unwritten",
    "in_place",
    "way",
)
"""The operators: a closed list."""
BLOCKS = (8, 16, 32, 64, 128, 256, 512, 1024)
"""How many elements kernels take together."""
BITS = (7, 8, 15, 16)
"""After how many bits narrow integers, signed or not, begin again."""
MANY = 15
"""From so many bits on, nobody chooses as many experts for a token as there are more numbers."""
LOSSY = (
    ("float32", "bfloat16"),
    ("float32", "float16"),
    ("float64", "float32"),
    ("float16", "bfloat16"),
    ("bfloat16", "float16"),
    ("int64", "float64"),
    ("int64", "int32"),
    ("uint64", "float64"),
    ("int32", "float32"),
    ("uint32", "float32"),
    ("int16", "bfloat16"),
    ("uint16", "float16"),
    ("complex128", "complex64"),
)
"""A dtype, and another one in which not all of its values are."""
ROOM = (32, 64, 256, 1000)
"""For how many rows of one expert there is room."""
FAIR = 48
"""For how many there is at least, where there is for twice the even share."""


def faults(op: Op) -> list[Fault]:
    """Return the faults that an op is tried with, at most :data:`MOST` of an operator, in an order that never changes."""
    found: list[Fault] = []
    for _, group in itertools.groupby(every(op), key=lambda fault: fault.operator):
        found += _spread(list(group), zlib.crc32(op.name.encode()))
    return found


def candidates(op: Op) -> int:
    """Return how many faults an op would have without a limit."""
    return sum(1 for _ in every(op))


def _spread(entries: list[Fault], start: int) -> list[Fault]:
    """Return some of the faults of an operator, evenly over their order, from another one on for each op."""
    step = max(1.0, len(entries) / MOST)
    first = start % max(1, int(step))
    return [entries[first + int(i * step)] for i in range(min(len(entries), MOST)) if first + int(i * step) < len(entries)]


def every(op: Op) -> Iterator[Fault]:
    """Yield the faults that an op may have, operator after operator."""
    outputs, reduced = places(op)
    along = [*outputs, *reduced]
    yield from _edits("tail", tail, along, {n: (n + 1, n + 3, 2 * n - 1, 2 * n + 3) for n in BLOCKS})
    yield from _edits("twice", twice, along, {n: (2 * n, 3 * n, 4 * n) for n in BLOCKS})
    yield from _edits("seam", seam, along, {n: (n + 1, 2 * n, 2 * n + 1) for n in BLOCKS})
    past = {bits: ((1 << bits) + 1, (1 << bits) + 5, 3 << (bits - 1)) for bits in BITS}
    chosen = choices(op)
    for place in along:
        few = place.text in chosen
        yield from _edits("wrap", wrap, [place], {b: n for b, n in past.items() if b < MANY or not few})
    limited = [p for p in reduced if p.number == 0]
    for block, most in LIMITS.items():
        yield from _edits("limit", limit, limited, {block: (most + 1, block, 2 * block + 3)}, (1, most + 1))
    yield from _rooms(op)
    yield from _casts(op, outputs, reduced)
    yield from _sizes(outputs, chosen)
    yield from _memory(op)
    yield from _calls()


def _edits(
    operator: str,
    edit: Callable[[Array, int], bool],
    along: Sequence[Place],
    numbers: Mapping[int, tuple[int, ...]],
    pairs: tuple[int, ...] = (),
) -> Iterator[Edited]:
    """Yield an edit at every place, with every number, which has lengths on which it shows."""
    for place, (number, lengths) in itertools.product(along, numbers.items()):
        yield Edited(operator, place, number, edit, _said(edit), lengths, pairs)


def _said(edit: Callable[..., Any]) -> str:
    """Return what an edit does, and when it shows, as its docstring says it."""
    return " ".join((edit.__doc__ or "").split())


def _rooms(op: Op) -> Iterator[Edited]:
    """Yield that there is too little room for an expert, in every input that says where rows go."""
    for place, kind in kinds_of(op).items():
        for most in ROOM:
            lengths = (most + 1, 2 * most + 5)
            if kind == "count":
                yield Edited("room", place, most, cut, _said(cut), lengths)
            elif kind == "id":
                yield Edited("room", place, most, room, _said(room), lengths)
        if kind == "id":
            yield Edited("room", place, FAIR, fair, _said(fair), (2 * FAIR, 4 * FAIR + 5))


def _casts(op: Op, outputs: Sequence[Place], reduced: Sequence[Place]) -> Iterator[Cast]:
    """Yield that a tensor goes through another dtype: indices, values, and sums over long axes."""
    rules = {s.name: form.dtype[s.name] for form in op.forms.values() for s in form.signature.outputs}
    own = [p for p in outputs if p.axis is None]
    numbers = [p for p in own if rules[p.name] in (*INTEGERS, "int")]
    values = [p for p in own if p not in numbers]
    for place, other in itertools.product([*numbers, *indices_of(op)], NARROW):
        yield Cast("narrow", place, "int32", other)
    allowed = dtypes_of(op)
    for (dtype, other), place in itertools.product(LOSSY, [*values, *values_of(op)]):
        if dtype in allowed:
            yield Cast("through", place, dtype, other)
    for place, axis, size in itertools.product(values, reduced, (0, 32, 256)):
        for other in ("float16", "bfloat16"):
            yield Cast("accumulate", place, "float32", other, (axis, size))


def _sizes(outputs: Sequence[Place], chosen: set[str]) -> Iterator[Fault]:
    """Yield what is wrong at some sizes alone: full blocks, one element more or less, beyond some bits, tiles."""
    for place, block in itertools.product(outputs, BLOCKS):
        yield Sized("size", place, f"{block}", block, block)
        yield Sized("size", place, f"a multiple of {block}", block, step=block)
        yield Sized("size", place, f"one more than a multiple of {block}", block + 1, step=block, rest=1)
        yield Sized("size", place, f"one less than a multiple of {block}", block - 1, step=block, rest=block - 1)
    for place, bits in itertools.product(outputs, BITS):
        if bits < MANY or place.text not in chosen:
            yield Sized("large", place, f"above 2^{bits}", (1 << bits) + 1)
    for number in sorted({p.number for p in outputs}):
        yield Tiled(number)


def _memory(op: Op) -> Iterator[Fault]:
    """Yield what is wrong in one dtype, in one memory layout, or in both at once, and strides that are ignored."""
    dtypes, indices = dtypes_of(op), index_dtypes_of(op)
    for dtype in dict.fromkeys((*dtypes, *indices)):
        yield Only("dtype", dtype, f"an input is {dtype}", _has(dtype), dtypes=(dtype,))
    for layout in LAYOUTS:
        yield Only("layout", layout, f"an input is {layout}", _has("", layout), layout=layout)
    start = zlib.crc32(op.name.encode())
    for i, layout in enumerate(LAYOUTS if dtypes else ()):
        dtype = dtypes[(start + i) % len(dtypes)]
        said = f"an input is {layout} and {dtype}"
        yield Only("dtype_in_layout", f"{dtype}, {layout}", said, _has(dtype, layout), dtypes=(dtype,), layout=layout)
    for layout, place in itertools.product(LAYOUTS, [*values_of(op), *indices_of(op)]):
        if layout not in ("offset", "read_only"):
            yield Strides(place, layout)


def _has(dtype: str, layout: str = "") -> Callable[[Call], bool]:
    def holds(call: Call) -> bool:
        own = (x for x in call.inputs if not dtype or x.dtype.name == dtype)
        return any(not layout or has_layout(x, layout) for x in own)

    return holds


def _calls() -> Iterator[Fault]:
    """Yield what is wrong in some calls alone, because of what was called before or of who calls."""
    yield Only("call", "the first", "nothing was called before", lambda call: call.number == 0)
    yield Only("call", "the second", "one call was made before", lambda call: call.number == 1, repeats=True)
    yield Only("call", "again", "a call of the same shape was made before", _again, repeats=True)
    said = "the first call of the same parameters was of another shape"
    yield Only("call", "another shape", said, _other_shape)
    yield Stale("the first result of the same shape", "a call of the same shape was made before")
    for block in (8, 64, 1024):
        said = "a call of the same shape was made before, and there is a tail"
        yield Stale(f"the tail behind blocks of {block}", said, block=block, lengths=(block + 1, 2 * block - 1))
    yield Reused()
    said = "an element is 0 whatever the values of the inputs are"
    yield Unwritten("everywhere", said)
    yield Unwritten("in large outputs", f"{said}, of 4,096 or more", least=4096)
    yield Unwritten("from the second call on", f"{said}, and a call of the same shape was made before", again=True)
    yield Unwritten("in the second output", said, output=1)
    for number in range(2):
        yield Overwritten(Place(f"input {number}", number, None, True))
    yield Elsewhere("way", "compiled", "it is called under compile", "compiled")
    yield Elsewhere("way", "mapped", "it is called under vmap", "mapped")
    yield Elsewhere("way", "eager", "it is called without the compilation that its framework has", "eager")
    yield Elsewhere("way", "differentiated", "its slope is asked for, which is twice as steep", "differentiated")


def _again(call: Call) -> bool:
    known = call.key in call.seen
    call.seen[call.key] = True
    return known


def _other_shape(call: Call) -> bool:
    params, shapes = call.key
    return bool(call.seen.setdefault(params, shapes) != shapes)
