"""The laws of the cards: a closed vocabulary, each kind written once, evaluated with the target's own functions."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from einspec.card import LAW_HELPERS, Op, load, paths, term
from einspec.conformance import cases
from einspec.conformance.calls import Case, make_case
from einspec.conformance.compare import Difference, Expected
from einspec.conformance.derivatives import gradient
from einspec.conformance.expect import expected, summands
from einspec.conformance.judge import Context, Result
from einspec.conformance.scope import scope_result
from einspec.conformance.session import Trial
from einspec.conformance.traits import traits_of
from einspec.conformance.trials import filled, ordinary, plain_trial
from einspec.conformance.values import fill
from einspec.shapes import atoms, expand

Array = np.ndarray[Any, Any]
CALLED = "op_"
"""What goes before the name of an op that a law calls."""
RESULT = "result"
"""The name under which the single result of a law is compared."""


def laws_of(op: Op) -> list[str]:
    """Return the ids of the laws of an op, those of all its forms."""
    found: dict[str, None] = {}
    for form in op.forms.values():
        laws = form.laws
        for kind in ("inverse", "involution", "order", "adjoint", "idempotent", "conserves"):
            if getattr(laws, kind):
                found[kind] = None
        for kind in ("equivariant", "invariant", "distinct", "bijection", "prefix"):
            found.update({f"{kind}.{axis}": None for axis in getattr(laws, kind).split()})
        found.update({f"equation.{name}": None for name in laws.equation})
    return list(found)


def check_law(context: Context, law: str) -> Iterator[Result]:
    """Judge ``law.<law>`` on calls of every form that states it."""
    kind, _, detail = law.partition(".")
    few = [c for c in _few(context) if _states(c, kind, detail)]
    clause = f"law.{law}"
    others = {op for c in few for op in _ops_in(_text(c, kind, detail))} - {context.op.name}
    needed = others - set(context.session.target.functions)
    if needed:
        yield context.not_run(clause, "scope", f"the law needs {', '.join(sorted(needed))} as well")
        return
    trials = [t for c in few for t in KINDS[kind](context, c, detail)]
    if not trials:
        yield context.not_run(clause, "scope", "no call of the bank can show it")
        return
    result = context.trials(clause, "scope", trials, refusable=context.bare)
    if result.verdict == "refused":
        yield context.not_run(clause, "scope", f"a call of the law is refused: {result.reason}")
        return
    guilty = sorted(op for op in others if _fails(context, op)) if result.verdict == "wrong" else []
    if guilty:
        yield context.not_run(clause, "scope", f"{', '.join(guilty)} does not compute what its card says")
        return
    yield result


def _fails(context: Context, op: str) -> bool:
    """Whether another op of the target is wrong by its own definition, so that a law with it tells nothing of this op."""
    return scope_result(Context(context.session, load(op)), "def", empty=False).verdict == "wrong"


def _few(context: Context) -> list[Case]:
    """Return the calls that laws are tried on: of distinct sizes, one a form, and a few small ones."""
    few = list(context.bank)
    if context.session.compiles:
        return _one_a_form(few)
    small = cases.scope(context.op, cases.SCOPE_LIMIT)[0][::97]
    return few + [c for c in small if not c.empty]


def _one_a_form(few: list[Case]) -> list[Case]:
    """Return the first call of every form: a framework that compiles cannot afford more."""
    return list({id(c.form): c for c in reversed(few)}.values())


def _states(case: Case, kind: str, detail: str) -> bool:
    value = getattr(case.form.laws, kind)
    if isinstance(value, dict):
        return detail in value
    return detail in value.split() if detail else bool(value)


def _text(case: Case, kind: str, detail: str) -> str:
    value = getattr(case.form.laws, kind)
    return value[detail] if isinstance(value, dict) else value if kind in ("inverse", "adjoint") else ""


def _ops_in(text: str) -> set[str]:
    nodes = ast.walk(ast.parse(f"({text.strip() or 0})", mode="eval"))
    return {n.func.id for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)} & set(paths())


def _scope(context: Context, case: Case, text: str) -> dict[str, Any]:
    """Return the names that a law is written in: the ops that it calls, the parameters and the sizes."""
    target = context.session.target
    ops = {f"{CALLED}{name}": target.call(load(name)) for name in _ops_in(text)}
    sizes = {axis.upper(): n for axis, n in case.solution.sizes.items()}
    return {**ops, **case.solution.values, **case.op.bind(case.params), **sizes, **LAW_HELPERS, "__builtins__": {}}


class _Calls(ast.NodeTransformer):
    """Lets what is called be an op, whatever tensor or parameter has the same name."""

    def visit_Call(self, node: ast.Call) -> ast.AST:  # the name is that of ast
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in paths():
            node.func.id = CALLED + node.func.id
        return node


def _evaluate(text: str, names: Mapping[str, Any]) -> Any:
    tree = _Calls().visit(ast.parse(f"({text.strip()})", mode="eval"))
    return eval(compile(tree, "law", "eval"), dict(names))  # noqa: S307  # cards are part of the package


def _bound(context: Context, case: Case, args: tuple[Any, ...]) -> dict[str, Any]:
    """Return the inputs and outputs of the call under the names of the card."""
    signature = case.form.signature
    result = context.session.plain(case)(*args)
    outputs = [result] if len(signature.outputs) == 1 else list(result)
    named = dict(zip((s.name for s in signature.inputs), args, strict=True))
    return named | dict(zip((s.name for s in signature.outputs), outputs, strict=True))


def _gives(case: Case, arrays: Mapping[str, Array], want: Expected, call: Callable[..., Any], how: str) -> Trial:
    """Return a trial of a law: a call with a single result, which must be this."""
    return Trial(case, arrays, {RESULT: want}, call, how=how)


def _first(case: Case, arrays: Mapping[str, Array]) -> Expected:
    return Expected(arrays[case.form.signature.inputs[0].name])


def inverse(context: Context, case: Case, _: str) -> Iterator[Trial]:
    """The call gives the first input back."""
    text = case.form.laws.inverse
    names = _scope(context, case, text)
    arrays = ordinary(case)
    call = lambda *a: _evaluate(text, names | _bound(context, case, a))  # noqa: E731  # one expression, passed on
    yield _gives(case, arrays, _first(case, arrays), call, f"{text} must be the input")


def involution(context: Context, case: Case, _: str) -> Iterator[Trial]:
    """Applied twice, it gives the input back."""
    yield _repeated(context, case, 2)


def order(context: Context, case: Case, _: str) -> Iterator[Trial]:
    """Applied as often as the law says, it gives the input back."""
    times = term(case.form.laws.order, case.op.name)
    yield _repeated(context, case, times.value(case.solution.sizes, case.solution.values))


def _repeated(context: Context, case: Case, times: int) -> Trial:
    once = context.session.plain(case)

    def call(x: Any) -> Any:
        for _ in range(times):
            x = once(x)
        return x

    arrays = ordinary(case)
    return _gives(case, arrays, _first(case, arrays), call, f"applied {times} times must be the input")


def idempotent(context: Context, case: Case, _: str) -> Iterator[Trial]:
    """Applied to its own output, it changes nothing."""
    arrays, once = ordinary(case), context.session.plain(case)
    yield Trial(case, arrays, expected(case, arrays), lambda x: once(once(x)), how="applied to its own output")


def adjoint(context: Context, case: Case, _: str) -> Iterator[Trial]:
    """<f(x), y> == <x, g(y)> on whole numbers, where both are exact: g(y) is the derived gradient."""
    text = case.form.laws.adjoint
    names = _scope(context, case, text)
    first, output = case.form.signature.inputs[0], case.form.signature.outputs[0]
    arrays, session = ordinary(case), context.session
    y = fill(case.solution.shape(output), "float32", "small", np.random.default_rng(5))
    wanted = gradient(case, arrays, {output.name: y}, first.name)
    if first.listed or output.listed:
        return

    def call(*args: Any) -> Any:
        named = dict(zip((s.name for s in case.form.signature.inputs), args, strict=True))
        return _evaluate(text, names | named | {output.name: session.adapter.asarray(y, session.device)})

    how = f"{text} must be the transpose of {case.op.name} applied to {output.name}, whole numbers"
    yield _gives(case, arrays, Expected(wanted.array.astype(np.float32), "values"), call, how)


def _permuted(case: Case, spec: Any, array: Array, axis: str, seed: int = 3) -> Array | None:
    """Return the array with the coordinates of one axis permuted, also where it is part of a composition."""
    dims = expand(spec.index, case.solution.ranks)
    names = [a for d in dims for a in atoms(d)]
    if axis not in names:
        return None
    order = np.random.default_rng(seed).permutation(case.solution.size(axis))
    split = array.reshape([case.solution.size(a) for a in names])
    return np.take(split, order, axis=names.index(axis)).reshape(array.shape)


def equivariant(context: Context, case: Case, axis: str) -> Iterator[Trial]:
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
    yield Trial(case, moved, want, context.session.plain(case), how=f"with the coordinates of {axis} permuted")


def invariant(context: Context, case: Case, axis: str) -> Iterator[Trial]:
    """Permuting the axis of the input leaves the output as it is."""
    arrays = ordinary(case)
    moved = {s.name: _permuted(case, s, arrays[s.name], axis) for s in case.form.signature.inputs}
    if any(m is None for m in moved.values()):
        return
    given = {k: v for k, v in moved.items() if v is not None}
    yield Trial(
        case, given, expected(case, arrays), context.session.plain(case), how=f"with the coordinates of {axis} permuted"
    )


def conserves(context: Context, case: Case, _: str) -> Iterator[Trial]:
    """The definition conserves the elements or their sum, and the target gives what the definition gives."""
    arrays = ordinary(case)
    want = expected(case, arrays)
    before = np.concatenate([a.reshape(-1) for a in arrays.values()])
    after = np.concatenate([w.array.reshape(-1) for w in want.values()])
    kept = (
        np.sort(before).tobytes() == np.sort(after).tobytes()
        if case.form.laws.conserves == "multiset"
        else before.sum() == after.sum()
    )
    if not kept:
        raise AssertionError(f"{case.op.name}: the card's own definition does not conserve the {case.form.laws.conserves}")
    yield plain_trial(case, arrays)


def _relation(context: Context, case: Case, seed: int, check: Callable[[Array], str], output: str, how: str) -> Trial:
    """Return a plain call of which an output must have a property, whatever else it holds."""
    arrays = filled(case, "float32", "special", seed, context.subnormals)
    wants = dict(expected(case, arrays))
    places = [s.name for s in case.form.signature.outputs]
    loose = {n: Expected(w.array, "bound", np.full(w.array.shape, np.inf), w.dtype_name) for n, w in wants.items()}
    relation = lambda outputs: Difference(check(outputs[output])) if check(outputs[output]) else None  # noqa: E731
    return Trial(case, arrays, {n: loose[n] for n in places}, how=how, relation=(output, relation))


def distinct(context: Context, case: Case, output: str) -> Iterator[Trial]:
    """The entries along the last axis of an output that are not negative differ from each other, on any input."""

    def check(found: Array) -> str:
        for row in found.reshape(-1, found.shape[-1]) if found.size else ():
            chosen = row[row >= 0]
            if len(set(chosen.tolist())) < len(chosen):
                return f"{chosen.tolist()} holds one number twice"
        return ""

    for seed in range(3):
        yield _relation(context, case, seed, check, output, f"on special values; {output} must not repeat itself")


def bijection(context: Context, case: Case, output: str) -> Iterator[Trial]:
    """An output holds each of 0, 1, ..., n-1 once, on any input."""

    def check(found: Array) -> str:
        whole = np.array_equal(np.sort(found.reshape(-1)), np.arange(found.size))
        return "" if whole else f"{found.reshape(-1).tolist()[:20]} are not the numbers below {found.size}, each once"

    for seed in range(3):
        yield _relation(context, case, seed, check, output, f"on special values; {output} must be a bijection")


def prefix(context: Context, case: Case, axis: str) -> Iterator[Trial]:
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


def equation(context: Context, case: Case, name: str) -> Iterator[Trial]:
    """Both sides, calls of the target's own functions, give the same."""
    left, right = (side.strip() for side in case.form.laws.equation[name].split("=="))
    names = _scope(context, case, f"({left}, {right})")
    arrays = filled(case, "float32", "small", 11)

    def side(text: str) -> Callable[..., Any]:
        return lambda *a: _evaluate(text, names | _bound(context, case, a))

    found = next(iter(context.session.run([_gives(case, arrays, Expected(np.zeros(0)), side(right), right)])))
    how = f"{left} must equal {right}"
    if found.error is not None:
        yield _gives(case, arrays, Expected(np.zeros(0)), side(right), how)
        return
    value = found.outputs[RESULT]
    forms = [f for op in _ops_in(f"({left}, {right})") | {case.op.name} for f in load(op).forms.values()]
    traits = [traits_of(f) for f in forms]
    if value.dtype.kind == "f" and not all(t.multilinear and not t.divides for t in traits):
        operations = sum(t.operations for t in traits) + summands(case)
        bound = np.full(value.shape, operations * np.finfo(np.float32).eps * np.max(np.abs(value), initial=0))
        yield _gives(case, arrays, Expected(value.astype(np.float64), "bound", bound, value.dtype.name), side(left), how)
    else:
        yield _gives(case, arrays, Expected(value, "values"), side(left), how)


KINDS: dict[str, Callable[[Context, Case, str], Iterator[Trial]]] = {
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
