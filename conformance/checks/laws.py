"""The laws of the cards: a closed vocabulary, each kind written once.

A law is asked by calls of the target's own functions, one after the other; what is done with their results in between is done
on this side of the wall.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from einspec.answers.choice import loosened
from einspec.answers.derivatives import gradient
from einspec.answers.expect import expected, summands
from einspec.answers.rules import Expected
from einspec.calls import cases
from einspec.calls.inputs import filled
from einspec.calls.space import Case, make_case
from einspec.calls.values import fill
from einspec.card import LAW_HELPERS, Form, Op, load, paths, term
from einspec.conformance.checks.scene import Asked, Scene
from einspec.conformance.checks.trials import ordinary, plain_trial
from einspec.conformance.targets.session import Session
from einspec.conformance.trial import Law, Outcome, RelationKind, Trial
from einspec.semantics.traits import traits_of
from einspec.solve import atoms, expand, solve

Array = np.ndarray[Any, Any]
CALLED = "op_"
"""What goes before the name of an op that a law calls."""
RESULT = "result"
"""The name under which the single result of a law is compared."""
SMALL = 97
"""Every how manyth call of the small scope a law is tried on: a prime, so that no size is always missed."""


def ask_law(scene: Scene, law: str, _: str) -> Asked:
    """Ask for ``law.<law>`` on calls of every form that states it."""
    kind, _, detail = law.partition(".")
    few = [c for c in _few(scene) if _states(c, kind, detail)]
    trials = [t for c in few for t in KINDS[kind](scene, c, detail)]
    return Asked(trials, not_run="" if trials else "no call of the bank can show it")


def needed(op: Op, law: str) -> set[str]:
    """Return the other ops that a law calls."""
    kind, _, detail = law.partition(".")
    texts = [_text(form, kind, detail) for form in op.forms.values() if _stated(form, kind, detail)]
    return {name for text in texts for name in _ops_in(text)} - {op.name}


def _few(scene: Scene) -> list[Case]:
    """Return the calls that laws are tried on: of distinct sizes, one a form, and a few small ones."""
    few = list(scene.bank)
    if scene.compiles:
        return _one_a_form(few)
    small = cases.scope(scene.op, cases.SCOPE_LIMIT)[0][::SMALL]
    return few + [c for c in small if not c.empty]


def _one_a_form(few: list[Case]) -> list[Case]:
    """Return the first call of every form: a framework that compiles cannot afford more."""
    return list({id(c.form): c for c in reversed(few)}.values())


def _states(case: Case, kind: str, detail: str) -> bool:
    return _stated(case.form, kind, detail)


def _stated(form: Form, kind: str, detail: str) -> bool:
    value = getattr(form.laws, kind)
    if isinstance(value, dict):
        return detail in value
    return detail in value.split() if detail else bool(value)


def _text(form: Form, kind: str, detail: str) -> str:
    value = getattr(form.laws, kind)
    if isinstance(value, dict):
        return str(value[detail])
    return str(value) if kind in ("inverse", "adjoint") else ""


def _ops_in(text: str) -> set[str]:
    nodes = ast.walk(ast.parse(f"({text.strip() or 0})", mode="eval"))
    called = {n.func.id for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    return called & set(paths())


class RaisedError(Exception):
    """A call of a law raised."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


def evaluate(session: Session, trial: Trial) -> tuple[Trial, Outcome]:
    """Return what comes of a law, and the trial with what must come where that depends on the target."""
    law = trial.law
    assert law is not None
    try:
        if law.kind == "equation":
            return _equation(session, trial, law)
        return trial, Outcome({RESULT: _result(session, trial, law)})
    except RaisedError as raised:
        return trial, raised.outcome


def _result(session: Session, trial: Trial, law: Law) -> Array:
    """Return the single result of a law."""
    arrays = {**trial.arrays, **trial.extra}
    if law.kind == "inverse":
        return _evaluate(session, trial.case, law.text, {**arrays, **_outputs(session, trial.case, arrays)})
    if law.kind == "adjoint":
        return _evaluate(session, trial.case, law.text, arrays)
    name = trial.case.form.signature.inputs[0].name
    for _ in range(law.times):
        arrays = {**arrays, name: next(iter(_outputs(session, trial.case, arrays).values()))}
    return arrays[name]


def _equation(session: Session, trial: Trial, law: Law) -> tuple[Trial, Outcome]:
    """Return the left side of an equation, and that it must be the right one."""
    names = {**trial.arrays, **_outputs(session, trial.case, trial.arrays)}
    left, right = (side.strip() for side in law.text.split("=="))
    value = _evaluate(session, trial.case, right, names)
    found = _evaluate(session, trial.case, left, names)
    want = Expected(value, "values")
    if value.dtype.kind == "f" and law.operations:
        eps = np.finfo(np.float32).eps
        bound = np.full(value.shape, law.operations * eps * np.max(np.abs(value), initial=0))
        want = Expected(value.astype(np.float64), "bound", bound, value.dtype.name)
    return replace(trial, expected={RESULT: want}), Outcome({RESULT: found})


def _outputs(session: Session, case: Case, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return what the target gives for a call, by name.

    Raises:
        RaisedError: it raises.
    """
    signature = case.form.signature
    stubs = {s.name: _stub(case.form.dtype[s.name]) for s in signature.outputs}
    given = {s.name: arrays[s.name] for s in signature.inputs}
    outcome = session.one(Trial(case, given, stubs))
    if outcome.error is not None or outcome.outside:
        raise RaisedError(outcome)
    return outcome.outputs


def _stub(rule: str) -> Expected:
    """Return what says of an output only whether it is a Python integer."""
    return Expected(np.zeros(0), dtype="int" if rule == "int" else "float32")


class _Calls(ast.NodeTransformer):
    """Lets what is called be an op, whatever tensor or parameter has the same name."""

    def visit_Call(self, node: ast.Call) -> ast.AST:  # the name is that of ast
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in paths():
            node.func.id = CALLED + node.func.id
        return node


def _evaluate(session: Session, case: Case, text: str, tensors: Mapping[str, Array]) -> Array:
    """Return the value of an expression in which the target's functions are called."""
    sizes = {axis.upper(): n for axis, n in case.solution.sizes.items()}
    params = {**case.solution.values, **case.op.bind(case.params)}
    ops = {f"{CALLED}{name}": _called(session, name) for name in _ops_in(text)}
    names = {**ops, **params, **sizes, **LAW_HELPERS, **tensors, "__builtins__": {}}
    tree = _Calls().visit(ast.parse(f"({text.strip()})", mode="eval"))
    found = eval(compile(tree, "law", "eval"), names)  # noqa: S307  # cards are part of the package
    return np.asarray(found)


def _called(session: Session, name: str) -> Callable[..., Any]:
    """Return an op as a function of arrays that calls the target."""
    op = load(name)

    def call(*inputs: Any, **params: Any) -> Any:
        form = op.form(op.bind(params))
        arrays = {s.name: np.asarray(x) for s, x in zip(form.signature.inputs, inputs, strict=True)}
        shapes = tuple(a.shape for a in arrays.values())
        outputs = _outputs(session, Case(op, params, shapes, solve(op, shapes, params)), arrays)
        return tuple(outputs.values()) if len(outputs) > 1 else next(iter(outputs.values()))

    return call


def _gives(case: Case, arrays: Mapping[str, Array], want: Expected, law: Law, how: str, extra: Any = None) -> Trial:
    """Return a trial of a law: calls with a single result, which must be this."""
    return Trial(case, arrays, {RESULT: want}, how=how, law=law, extra=extra or {})


def _first(case: Case, arrays: Mapping[str, Array]) -> Expected:
    return Expected(arrays[case.form.signature.inputs[0].name])


def inverse(scene: Scene, case: Case, _: str) -> Iterator[Trial]:
    """The call gives the first input back."""
    text, arrays = case.form.laws.inverse, ordinary(case)
    how = f"{text} must be the input"
    yield _gives(case, arrays, _first(case, arrays), Law("inverse", text), how)


def involution(scene: Scene, case: Case, _: str) -> Iterator[Trial]:
    """Applied twice, it gives the input back."""
    yield _repeated(case, 2)


def order(scene: Scene, case: Case, _: str) -> Iterator[Trial]:
    """Applied as often as the law says, it gives the input back."""
    times = term(case.form.laws.order, case.op.name)
    yield _repeated(case, times.value(case.solution.sizes, case.solution.values))


def _repeated(case: Case, times: int) -> Trial:
    arrays = ordinary(case)
    how = f"applied {times} times must be the input"
    return _gives(case, arrays, _first(case, arrays), Law("repeated", times=times), how)


def idempotent(scene: Scene, case: Case, _: str) -> Iterator[Trial]:
    """Applied to its own output, it changes nothing."""
    arrays = ordinary(case)
    want = next(iter(expected(case, arrays).values()))
    yield _gives(case, arrays, want, Law("repeated", times=2), "applied to its own output")


def adjoint(scene: Scene, case: Case, _: str) -> Iterator[Trial]:
    """<f(x), y> == <x, g(y)> on whole numbers, where both are exact: g(y) is the derived transpose applied to y."""
    text = case.form.laws.adjoint
    first, output = case.form.signature.inputs[0], case.form.signature.outputs[0]
    arrays = ordinary(case)
    y = fill(case.solution.shape(output), "float32", "small", np.random.default_rng(5))
    if first.listed or output.listed:
        return
    wanted = gradient(case, arrays, {output.name: y}, first.name).array
    how = f"{text} must be the transpose of {case.op.name} applied to {output.name}, whole numbers"
    want = Expected(wanted.astype(np.float32), "values")
    yield _gives(case, arrays, want, Law("adjoint", text), how, {output.name: y})


def _permuted(case: Case, spec: Any, array: Array, axis: str, seed: int = 3) -> Array | None:
    """Return the array with the coordinates of one axis permuted, also where it is part of a composition."""
    dims = expand(spec.index, case.solution.ranks)
    names = [a for d in dims for a in atoms(d)]
    if axis not in names:
        return None
    order = np.random.default_rng(seed).permutation(case.solution.size(axis))
    split = array.reshape([case.solution.size(a) for a in names])
    return np.take(split, order, axis=names.index(axis)).reshape(array.shape)


def equivariant(scene: Scene, case: Case, axis: str) -> Iterator[Trial]:
    """Permuting the axis of the input permutes the output likewise."""
    arrays, moved = ordinary(case), {}
    for spec in case.form.signature.inputs:
        permuted = _permuted(case, spec, arrays[spec.name], axis)
        moved[spec.name] = arrays[spec.name] if permuted is None else permuted
    want = dict(expected(case, arrays))
    for spec in case.form.signature.outputs:
        array, bound = _permuted(case, spec, want[spec.name].array, axis), want[spec.name].bound
        if array is None:
            return
        shape = want[spec.name].array.shape
        spread = None if bound is None else _permuted(case, spec, np.broadcast_to(bound, shape), axis)
        want[spec.name] = Expected(array, want[spec.name].how, spread, want[spec.name].dtype_name)
    yield Trial(case, moved, want, how=f"with the coordinates of {axis} permuted")


def invariant(scene: Scene, case: Case, axis: str) -> Iterator[Trial]:
    """Permuting the axis of the input leaves the output as it is."""
    arrays = ordinary(case)
    moved = {s.name: _permuted(case, s, arrays[s.name], axis) for s in case.form.signature.inputs}
    if any(m is None for m in moved.values()):
        return
    given = {k: v for k, v in moved.items() if v is not None}
    yield Trial(case, given, expected(case, arrays), how=f"with the coordinates of {axis} permuted")


def conserves(scene: Scene, case: Case, _: str) -> Iterator[Trial]:
    """The definition conserves the elements or their sum, and the target gives what the definition gives."""
    arrays = ordinary(case)
    want = expected(case, arrays)
    before = np.concatenate([a.reshape(-1) for a in arrays.values()])
    after = np.concatenate([w.array.reshape(-1) for w in want.values()])
    if case.form.laws.conserves == "multiset":
        kept = np.sort(before).tobytes() == np.sort(after).tobytes()
    else:
        kept = before.sum() == after.sum()
    if not kept:
        what = case.form.laws.conserves
        raise AssertionError(f"{case.op.name}: the card's own definition does not conserve the {what}")
    yield plain_trial(case, arrays)


def _relation(scene: Scene, case: Case, seed: int, kind: RelationKind, output: str, how: str) -> Trial:
    """Return a plain call of which an output must have a property, whatever else it holds."""
    arrays = filled(case, "float32", "special", seed, scene.subnormals)
    return Trial(case, arrays, loosened(expected(case, arrays)), how=how, relation=(kind, output))


def distinct(scene: Scene, case: Case, output: str) -> Iterator[Trial]:
    """The entries along the last axis of an output that are not negative differ from each other, on any input."""
    how = f"on special values; {output} must not repeat itself"
    yield from (_relation(scene, case, seed, "distinct", output, how) for seed in range(3))


def bijection(scene: Scene, case: Case, output: str) -> Iterator[Trial]:
    """An output holds each of 0, 1, ..., n-1 once, on any input."""
    how = f"on special values; {output} must be a bijection"
    yield from (_relation(scene, case, seed, "bijection", output, how) for seed in range(3))


def prefix(scene: Scene, case: Case, axis: str) -> Iterator[Trial]:
    """A call with the axis one shorter gives the first part of the outputs."""
    name = next(n for n, p in case.op.card.params.items() if axis in p.targets(n) and p.size)
    size = case.solution.sizes[axis]
    fewer = make_case(case.op, {**case.params, name: size - 1}, case.shapes) if size else None
    if fewer is None:
        return
    arrays = ordinary(case)
    wants = {}
    for spec in case.form.signature.outputs:
        want, axes = expected(case, arrays)[spec.name], spec.axes(case.solution.ranks)
        if (axis,) in axes:
            first = (slice(None),) * axes.index((axis,)) + (slice(size - 1),)
            want = replace(want, array=want.array[first], bound=None if want.bound is None else want.bound[first])
        wants[spec.name] = want
    yield Trial(fewer, arrays, wants, how=f"with {name} one less, the outputs must be the first part of what {name} gives")


def equation(scene: Scene, case: Case, name: str) -> Iterator[Trial]:
    """Both sides, calls of the target's own functions, give the same."""
    text = case.form.laws.equation[name]
    forms = [f for op in _ops_in(f"({text})") | {case.op.name} for f in load(op).forms.values()]
    traits = [traits_of(f) for f in forms]
    exact = all(t.multilinear and not t.divides for t in traits)
    operations = 0 if exact else sum(t.operations for t in traits) + summands(case)
    arrays = filled(case, "float32", "small", 11)
    left, right = (side.strip() for side in text.split("=="))
    how = f"{left} must equal {right}"
    yield _gives(case, arrays, Expected(np.zeros(0)), Law("equation", text, operations=operations), how)


KINDS: dict[str, Callable[[Scene, Case, str], Iterator[Trial]]] = {
    "inverse": inverse,
    "involution": involution,
    "order": order,
    "idempotent": idempotent,
    "adjoint": adjoint,
    "equivariant": equivariant,
    "invariant": invariant,
    "conserves": conserves,
    "distinct": distinct,
    "bijection": bijection,
    "prefix": prefix,
    "equation": equation,
}
