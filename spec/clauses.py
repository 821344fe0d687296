"""The clauses of an op: every promise of its card, each with a stable id.

Ids follow from the card alone; what each demands in a sentence is :mod:`einspec.demands`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from einspec.card import Form, Op, load, shipped
from einspec.dtypes import ALL, COMPLEX, FLOAT8, FLOATS, GROUPS, INTEGERS, USUAL, WIDE
from einspec.language.formula import Node, Read, Reduce
from einspec.language.linear import OpClass

KINDS = {
    "def": "The outputs are what the definition gives, on all legal calls with at least one coordinate an axis.",
    "values": "So they are where inputs hold these values.",
    "total": "So they are where callers do not keep this promise.",
    "empty": "So they are on legal calls with an axis of size 0.",
    "result": "The outputs are of the dtypes that the card names.",
    "dtype": "So they are in this dtype, and of the dtypes that the card names.",
    "index": "So they are with indices of this dtype.",
    "nan": "NaN comes out where the definition reads it, and nowhere else.",
    "pure": "A call leaves its inputs as they are.",
    "repeat": "The same call gives the same bits whatever was called between, and leaves earlier results alone.",
    "device": "Results are on the device of the inputs.",
    "memory": "A result has memory of its own, where the definition does more than name places anew, each element for itself.",
    "layout": "The results do not depend on the memory in which the same values come.",
    "err": "A call that violates this constraint raises.",
    "law": "The law holds for the functions themselves.",
    "grad": "The gradient with respect to this input is that of the definition.",
    "grad64": "So it is in float64.",
    "ranks": "So they are on ranks, processes that make a call together, whatever the others do.",
    "transform": "The transformed function gives what the plain one gives.",
    "state": "A call changes nothing around it: no default, random state or setting.",
}
"""What every clause of a kind promises, by what its id begins with."""
VALUES = {
    "values.signed_zero": "negative zeros",
    "values.infinity": "infinities",
    "values.nan": "NaN",
}
"""The clauses about calls that hold special values, the least special first."""
RANKS = {
    "group": "where the ranks of {op} are the last of a world whose first ones make another call",
    "bare": "where ranks have nothing of {bare}, and where one alone has anything",
    "bare_gradient": "where ranks have nothing of {bare}, and where one alone has anything",
    "late": "where a rank comes late, and where inputs are written to once the call has returned",
    "kept": "where they are read after another call",
    "alike": "on every rank in the same bits",
    "one": "on one rank",
    "step": "and ranks that have made a call meet in the next collective",
    "error": "that is given what does not divide",
}
"""What is asked of functions that run on ranks besides, where the card says which axes these are."""
NOTHING = {"count": 0, "id": -1}
"""What an input holds of which a rank has nothing, by the kind of its values."""
CONDUCT = ("pure", "repeat", "device")
"""What is seen by calling twice and looking at the inputs afterwards."""
MEMORY = ("own", "apart")
"""What is seen by writing to a result: that no input changes, that no other element does."""
LAYOUTS = {
    "transposed": "with all axes in reverse order in memory",
    "permuted": "with the first axis innermost in memory",
    "channels_last": "with the second axis innermost in memory",
    "strided": "with other values between the elements in memory",
    "padded": "with a gap behind each row in memory",
    "reversed": "with negative strides",
    "offset": "from a place behind the start of the memory",
    "read_only": "in memory that may not be written",
    "expanded": "as one slice that stands for all, with a stride of 0",
}
"""How the same values may come in memory."""
TRANSFORMS = {
    "jit": "under jit",
    "eager": "called without jit",
    "compile": "under compile",
    "vmap": "mapped over a batch by vmap",
}
"""What a framework may do with a function."""
DERIVATIVES = {
    "transform.jvp": "The tangents of the outputs, by forward mode, are those of the definition.",
    "transform.double_backward": "The gradients of the gradients are those of the definition.",
}
"""What is promised of derivatives besides the gradients, by clause."""


def clauses(op: str) -> dict[str, str]:
    """Return the ids of the clauses of an op within it, each with what it demands.

    Raises:
        KeyError: there is no such op; the message suggests close ones.
    """
    from einspec.demands import demand  # here, because the sentences rest on the ids

    found = load(op)
    return {clause: demand(found, clause) for clause in clause_ids(found)}


@functools.lru_cache(maxsize=256)
def clause_ids(op: Op) -> tuple[str, ...]:
    """Return the ids of the clauses of an op within it, such as ``def`` and ``law.inverse``."""
    from einspec.constraints import constraints  # here, so that `import einspec` stays light

    inputs = any(f.data for f in op.forms.values())
    return (
        "def",
        *(VALUES if inputs else ()),
        *totals_of(op),
        "empty",
        "result.dtype",
        *dtype_clauses(op),
        "nan",
        *CONDUCT,
        *(f"memory.{name}" for name in memory_of(op)),
        *(f"layout.{layout}" for layout in LAYOUTS),
        *(f"err.{constraint}" for constraint in constraints(op)),
        *(f"law.{law}" for law in laws_of(op)),
        *(f"ranks.{name}" for name in ranks_of(op)),
        *(f"grad.{name}" for name in gradients_of(op)),
        *(f"grad64.{name}" for name in wide_gradients_of(op)),
        *(f"transform.{name}" for name in TRANSFORMS),
        *(DERIVATIVES if gradients_of(op) else ()),
        "state",
    )


def memory_of(op: Op) -> tuple[str, ...]:
    """Return what is promised of the memory of results: nothing of numbers, nor of inputs where places are named anew alone."""
    if any("int" in (f.dtype[s.name] for s in f.signature.outputs) for f in op.forms.values()):
        return ()
    return MEMORY if any(f.signature.inputs and not renames(f) for f in op.forms.values()) else MEMORY[1:]


def ranks_of(op: Op) -> list[str]:
    """Return what is promised of functions that run on ranks; nothing where the card knows none."""
    if not op.card.ranks.axes:
        return []
    forms = op.forms.values()
    bare = any(bare_inputs(op, f) for f in forms)
    left_out = {
        "bare": not bare,
        "bare_gradient": not (bare and gradients_of(op)),
        "alike": all(s.name in op.ranked(f) for f in forms for s in f.signature.outputs),
        "error": not misfit_of(op),
    }
    return [name for name in RANKS if not left_out.get(name)]


def misfit_of(op: Op) -> str:
    """Return the constraint that a rank can see violated by what it alone has: that a dimension divides; nothing for none."""
    from einspec.constraints import constrained

    for constraint, forms in constrained(op).items():
        kind, _, detail = constraint.partition(".")
        if kind == "divides" and all(detail.partition(".")[0] in op.ranked(f) for f in forms):
            return constraint
    return ""


def bare_inputs(op: Op, form: Form) -> dict[str, int]:
    """Return the inputs of which a rank may have nothing, with what they hold then."""
    kinds = {name: form.values[name][0] for name in op.ranked(form) if name in form.values}
    return {name: NOTHING[kind] for name, kind in kinds.items() if kind in NOTHING}


def renames(form: Form) -> bool:
    """Whether a definition only gives places other coordinates, or takes axes of one place away: a result may be a view."""
    return all(isinstance(e.body, Read) or _takes_away(form, e.body) for e in form.equations)


def _takes_away(form: Form, body: Node) -> bool:
    """Whether a term is a sum over axes whose size is 1 in every call."""
    return isinstance(body, Reduce) and all(a in form.sizes and form.sizes[a].text == "1" for a in body.axes)


def totals_of(op: Op) -> list[str]:
    """Return the ids of the clauses about calls that break a promise of the caller."""
    return list(dict.fromkeys(f"total.{name}" for form in op.forms.values() for name in form.assume))


def dtypes_of(op: Op) -> list[str]:
    """Return the dtypes that the values of an op may have, float32 first; none where all its inputs are indices."""
    groups = [GROUPS[f.group(f.lead)] for f in op.forms.values() if f.lead]
    return [d for d in ALL if groups and all(d in g for g in groups)]


def index_dtypes_of(op: Op) -> list[str]:
    """Return the dtypes that indices may have besides the usual one."""
    given = any(f.group(s.name) == "index" for f in op.forms.values() for s in f.signature.inputs)
    return [d for d in INTEGERS if given and d in GROUPS["index"] and d != USUAL["index"]]


def dtype_clauses(op: Op) -> list[str]:
    """Return the ids of the clauses about dtypes: of values, and of indices."""
    return [*(f"dtype.{d}" for d in dtypes_of(op)), *(f"index.{d}" for d in index_dtypes_of(op))]


def laws_of(op: Op) -> list[str]:
    """Return the ids of the laws of an op, those of all its forms."""
    found: dict[str, None] = {}
    for form in op.forms.values():
        for kind, details in stated_laws(form):
            found.update({f"{kind}.{detail}" if detail else kind: None for detail in details})
    return list(found)


def stated_laws(form: Form) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the laws of a form: their kind, and the axes, outputs or names that there is one each for, ``""`` where none is."""
    for kind in ("inverse", "involution", "order", "adjoint", "idempotent", "conserves"):
        if getattr(form.laws, kind):
            yield kind, ("",)
    for kind in ("equivariant", "invariant", "distinct", "bijection", "prefix"):
        if getattr(form.laws, kind):
            yield kind, tuple(getattr(form.laws, kind).split())
    if form.laws.equation:
        yield "equation", tuple(form.laws.equation)


def differentiable(dtype: str) -> bool:
    """Whether an output of this dtype has a gradient."""
    return dtype in (*FLOATS, *FLOAT8, *COMPLEX)


def gradients_of(op: Op) -> list[str]:
    """Return the inputs of an op that have a gradient."""
    forms = _with_slopes(op)
    names = dict.fromkeys(name for f in forms for name in f.data)
    return [n for n in names if any("float32" in GROUPS[f.group(n)] for f in forms if n in f.dtype)]


def wide_gradients_of(op: Op) -> list[str]:
    """Return the inputs of an op that have a gradient in float64."""
    able = {name for f in _with_slopes(op) if _takes_float64(f) for name in f.data}
    return [name for name in gradients_of(op) if name in able]


def _takes_float64(form: Form) -> bool:
    """Whether all values that a form reads may be float64."""
    return all("float64" in GROUPS[form.group(n)] for n in form.data)


def _with_slopes(op: Op) -> list[Form]:
    """Return the forms some output of which has a gradient."""
    return [f for f in op.forms.values() if f.kind is not OpClass.SELECTION and _has_values(f)]


def _has_values(form: Form) -> bool:
    """Whether some output has a gradient."""
    named = [form.dtype[s.name] for s in form.signature.outputs]
    rules = [rule.removeprefix(WIDE).removeprefix("same as ") for rule in named]
    return any(rule in form.data or differentiable(rule) for rule in rules)


def find(address: str) -> tuple[Op, str]:
    """Return the op and the clause within it that an address such as ``pixel_shuffle/def`` names; ``""`` for the op alone.

    Raises:
        KeyError: there is no such op, or no such clause of it; the message suggests close ones.
    """
    from einspec import released  # here, as it asks this module for the ids of today

    name, parted, clause = address.partition("/")
    op = load(name)
    if not parted or clause in clause_ids(op):
        return op, clause
    gone = released.withdrawn(op.name).get(clause) if op.name in shipped() else None
    if gone:
        why = op.card.withdrawn[clause]
        raise KeyError(
            f"{op.name}/{clause} was withdrawn after spec {gone}: {why}; einspec clauses {op.name} lists those of today"
        )
    near = nearest(op, clause)
    hint = f"; did you mean {' or '.join(f'{op.name}/{c}' for c in near)}?" if near else ";"
    raise KeyError(f"no clause {clause!r} of {op.name}{hint} einspec clauses {op.name} lists them all")


def nearest(op: Op, clause: str) -> list[str]:
    """Return at most three clauses of an op whose ids are closest to one that it does not have."""
    import difflib

    wanted = clause.strip().lower()
    holding = [c for c in clause_ids(op) if wanted and (c.startswith(wanted) or c.endswith(wanted))]
    close = difflib.get_close_matches(wanted, clause_ids(op), n=3, cutoff=0.5)
    return list(dict.fromkeys([*holding, *close]))[:3]
