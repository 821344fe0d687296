"""A script that shows a failure with the framework and the function alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np

from einspec.answers.rules import Expected
from einspec.card import Op, load
from einspec.conformance.judge.context import Context
from einspec.conformance.judge.literals import NARROW, can_be_written, literal
from einspec.conformance.protocol import Call, parameters
from einspec.conformance.targets.library import SETUP, as_python
from einspec.conformance.targets.session import Session
from einspec.conformance.targets.spelling import arguments, in_order
from einspec.conformance.trial import Trial
from einspec.solve import Solution, TensorSpec

Array = np.ndarray[Any, Any]
WIDE = ("int64", "uint64", "float64", "complex128")
IMPORTS = {"numpy": [], "torch": ["import torch"], "jax": ["import jax", "import jax.numpy as jnp"]}
MAKE = {"numpy": "{}", "torch": "torch.as_tensor({})", "jax": "jnp.asarray({})"}
BACK = {
    "numpy": "np.asarray({})",
    "torch": "{}.detach().resolve_conj().numpy()",
    "jax": "np.asarray({})",
}
JAX_VMAP = ("jax.vmap", "in_axes", "out_axes")
"""What a map is called, and its arguments."""
LAYOUTS = {
    "numpy": {
        "transposed": "np.asfortranarray({x})",
        "permuted": "np.moveaxis(np.ascontiguousarray(np.moveaxis({x}, 0, -1)), -1, 0)",
        "channels_last": "np.moveaxis(np.ascontiguousarray(np.moveaxis({x}, 1, -1)), -1, 1)",
        "strided": "np.repeat({x}, 2, axis=-1)[..., ::2]",
        "padded": "np.concatenate([{x}, {x}[..., :1]], axis=-1)[..., :-1]",
        "reversed": "np.ascontiguousarray({x}[::-1])[::-1]",
        "offset": "np.concatenate([np.zeros(3, {x}.dtype), {x}.reshape(-1)])[3:].reshape({x}.shape)",
        "read_only": "np.frombuffer({x}.tobytes(), {x}.dtype).reshape({x}.shape)",
        "expanded": "np.broadcast_to({x}.take([0], {axis}), {x}.shape)",
    },
    "torch": {
        "transposed": "{x}.permute(*range({x}.ndim)[::-1]).contiguous().permute(*range({x}.ndim)[::-1])",
        "permuted": "{x}.movedim(0, -1).contiguous().movedim(-1, 0)",
        "channels_last": "{x}.movedim(1, -1).contiguous().movedim(-1, 1)",
        "strided": "torch.stack([{x}, {x}], -1)[..., 0]",
        "padded": "torch.cat([{x}, {x}[..., :1]], -1)[..., :-1]",
        "offset": "torch.cat([torch.zeros(3, dtype={x}.dtype), {x}.reshape(-1)])[3:].view({x}.shape)",
        "expanded": "{x}.narrow({axis}, 0, 1).expand({x}.shape)",
    },
}
"""The same values in other memory, as an expression."""
JOIN = (
    "import torch.distributed as dist",
    'dist.init_process_group("gloo")',
    "rank, group = dist.get_rank(), dist.group.WORLD",
)
"""What a rank does before it calls."""
LEAST_RANK = {"channels_last": 3, "permuted": 1, "strided": 1, "padded": 1, "reversed": 1}
"""How many axes a layout needs; an array with fewer stays as it is."""


class Writer:
    """Writes the script of one call."""

    def __init__(self, context: Context, trial: Trial) -> None:
        self.context, self.trial = context, trial
        self.session: Session = context.session
        self.framework = self.session.framework
        self.op = trial.case.op
        self.own = set(self.op.ranked(trial.case.form)) if self.session.ranks else set()
        """The tensors of which each rank has a part."""
        self.listed = {s.name for s in (*trial.case.form.signature.inputs, *trial.case.form.signature.outputs) if s.listed}

    def text(self, clause: str) -> str:
        """Return the script, nothing where none can be written."""
        if not self.possible():
            return ""
        way = self.trial.way
        lines = [*self.head(), *self.inputs()]
        if clause in ("pure", "repeat"):
            lines += self.conduct(clause)
        elif way.kind in DERIVATIVES:
            lines += DERIVATIVES[way.kind](self)
        elif way.kind == "write":
            lines += self.written(clause)
        elif way.kind == "twice":
            return ""
        else:
            lines += [f"got = {self.called(self.names())}", *self.assertions(self.trial.expected)]
            lines += self.dtypes() if clause == "result.dtype" else []
        return "\n".join(lines)

    def possible(self) -> bool:
        """Whether the call can be written as a script."""
        trial = self.trial
        arrays = [*trial.arrays.values(), *trial.extra.values(), *(e.array for e in trial.expected.values())]
        known = trial.law is None and trial.relation is None and not trial.way.at
        known = known and not any(e.at is not None for e in trial.expected.values())
        if self.framework not in MAKE or not known or self.trial.way.kind == "rows":
            return False
        if trial.way.kind in ("group", "late", "kept", "alike", "step", "error"):
            return False
        if self.session.ranks and trial.way.kind == "vjp" and trial.way.wrt not in self.own:
            return False  # what each rank adds to the gradient is not known
        if self.trial.way.kind in DERIVATIVES and self.listed:
            return False
        if not all(can_be_written(np.asarray(a)) for a in arrays):
            return False
        return self.framework != "torch" or not self.used(arrays) & set(NARROW)

    def used(self, arrays: Iterable[Any]) -> set[str]:
        """Return the dtypes of arrays."""
        return {np.asarray(a).dtype.name for a in arrays}

    def head(self) -> list[str]:
        """Return the imports, and what defines the functions."""
        trial = self.trial
        arrays = [*trial.arrays.values(), *(e.array for e in trial.expected.values())]
        lines = opening(self.session, self.op, self.used(arrays), trial.case.solution)
        given = {a.dtype.name for a in trial.arrays.values()}
        if self.framework == "jax" and given & set(WIDE):
            lines.append('jax.config.update("jax_enable_x64", True)')
        if self.session.ranks:
            sizes = (trial.case.solution.shape(s)[0] for s in self.specs if s.name in self.own)
            lines = [f"# torchrun --nproc-per-node {next(sizes)} THIS_FILE", *lines, *JOIN]
        return lines

    @property
    def specs(self) -> list[TensorSpec]:
        """The tensors of the call."""
        return [*self.trial.case.form.signature.inputs, *self.trial.case.form.signature.outputs]

    def part(self, name: str) -> str:
        """Return what comes behind a tensor where a rank has a part of it alone."""
        return "[rank]" * (name in self.own)

    def inputs(self) -> Iterator[str]:
        """Yield a line for each input."""
        for name, array in self.trial.arrays.items():
            yield f"{name} = {self.made(array)}{self.part(name)}"
            layout = "expanded" if self.trial.way.expand >= 0 else self.trial.way.layout
            rank = array.ndim - (name in self.listed) - (name in self.own)
            axis = min(max(self.trial.way.expand - (name in self.own), 0), rank - 1)
            one = "part" if name in self.listed else name
            laid_out = self.laid_out(one, layout, rank, axis)
            if laid_out != one:
                yield f"{name} = [{laid_out} for part in {name}]" if name in self.listed else f"{name} = {laid_out}"

    def laid_out(self, name: str, layout: str, rank: int, axis: int) -> str:
        """Return an array in the memory of a layout, as an expression."""
        memory = "{x}" if rank < LEAST_RANK.get(layout, 0) else LAYOUTS.get(self.framework, {}).get(layout, "{x}")
        return memory.format(x=name, axis=axis)

    def made(self, array: Array) -> str:
        """Return an array of the framework as an expression."""
        return MAKE[self.framework].format(literal(array).partition("  #")[0])

    def names(self, rename: Mapping[str, str] | None = None) -> list[str]:
        """Return the tensors as they are handed over."""
        found = []
        for spec in self.trial.case.form.signature.inputs:
            name = (rename or {}).get(spec.name, spec.name)
            found.append(f"list({name})" if spec.listed else name)
        return found

    def called(self, names: Sequence[str]) -> str:
        """Return the call, under the transform that is judged."""
        kind = self.trial.way.kind
        plain = f"{self.op.name}({', '.join([*self.names(), *self.parameters()])})"
        signature = ", ".join(s.name for s in self.trial.case.form.signature.inputs)
        wrapped = f"lambda {signature}: {self.op.name}({', '.join([*signature.split(', '), *self.parameters()])})"
        if kind == "vmap":
            return f"{self.mapped(wrapped)}({', '.join(names)})"
        if kind == "compile":
            return f'torch.compile({wrapped}, fullgraph=True, backend="aot_eager")({", ".join(names)})'
        if kind == "codegen":
            return f"torch.compile({wrapped}, fullgraph=True, dynamic=True)({', '.join(names)})"
        traced = self.session.compiles and self.op.name not in self.session.not_traceable
        if self.framework == "jax" and (kind == "jit" or (kind == "plain" and traced)):
            return f"jax.jit({wrapped})({', '.join(names)})"
        return plain

    def mapped(self, function: str) -> str:
        """Return a function under the maps that are judged."""
        vmap, into, out = ("torch.func.vmap", "in_dims", "out_dims") if self.framework == "torch" else JAX_VMAP
        if not self.trial.way.maps:
            return f"{vmap}({function})"
        for each in reversed(self.trial.way.maps):
            function = f"{vmap}({function}, {into}={each.axes}, {out}={each.out})"
        return function

    def parameters(self) -> list[str]:
        """Return the parameters of a call as the function takes them."""
        return spelled(self.session, self.op, self.trial.case.params) + ["group=group"] * bool(self.session.ranks)

    def assertions(self, expected: Mapping[str, Expected]) -> list[str]:
        """Return what must hold of what came."""
        lines: list[str] = []
        for i, (name, want) in enumerate(expected.items()):
            got = "got" if len(expected) == 1 else f"got[{i}]"
            back = BACK[self.framework]
            found = f"np.stack([{back.format('y')} for y in {got}])" if name in self.listed else back.format(got)
            lines += _compared(got, found, want, self.part(self.trial.way.wrt if name == "gradient" else name))
        return lines

    def dtypes(self) -> Iterator[str]:
        """Yield the lines that compare the dtypes of outputs with those of the card."""
        for i, (name, want) in enumerate(self.trial.expected.items()):
            got = "got" if len(self.trial.expected) == 1 else f"got[{i}]"
            shown = BACK[self.framework].format(f"{got}[0]" if name in self.listed else got)
            yield f"assert {shown}.dtype.name == {want.dtype_name!r}"

    def gradient(self) -> list[str]:
        """Return the lines that ask for a gradient, given the cotangents of the outputs."""
        trial, way = self.trial, self.trial.way
        lines = []
        for n, a in trial.extra.items():
            ndim = a.ndim - (n in self.own)
            laid_out = self.laid_out(f"{n}_plain", way.memory, ndim, ndim - 1)
            lines += [f"{n}_plain = {self.made(a)}{self.part(n)}", f"cotangent_{n} = {laid_out}"]
        inputs = ", ".join(s.name for s in trial.case.form.signature.inputs)
        call = f"{self.op.name}({', '.join([inputs, *self.parameters()])})"
        outer = [f"cotangent_{n}" for n in trial.extra]
        asked = ", ".join(way.asked)
        if self.framework == "torch":
            lines += [f"{n} = {n}.requires_grad_()" for n in way.asked]
            picked = "y" if way.outputs == 1 else f"[y[i] for i in {list(way.places)}]"
            lines += [f"y = {call}", f"outputs = {picked}" if way.outputs > 1 else "outputs = [y]"]
            lines.append(f"gradients = torch.autograd.grad(outputs, [{asked}], [{', '.join(outer)}], allow_unused=True)")
            place = way.asked.index(way.wrt)
            lines.append(f"got = gradients[{place}] if gradients[{place}] is not None else torch.zeros_like({way.wrt})")
        else:
            picked = call if way.outputs == len(way.places) else f"tuple(({call})[i] for i in {list(way.places)})"
            picked = picked if len(way.places) > 1 or way.outputs == len(way.places) else f"({picked})[0]"
            cotangents = outer[0] if len(outer) == 1 else f"({', '.join(outer)})"
            lines.append(f"_, pull = jax.vjp(lambda {asked}: {picked}, {asked})")
            lines.append(f"got = pull({cotangents})[{way.asked.index(way.wrt)}]")
        lines += self.assertions({"gradient": trial.expected["gradient"]})
        kept = [n for n in trial.extra if f"cotangent of {n}" in trial.expected]
        back = BACK[self.framework]
        pairs = [(back.format(f"cotangent_{n}"), back.format(f"{n}_plain")) for n in kept]
        return lines + [f"assert {after}.tobytes() == {before}.tobytes()" for after, before in pairs]

    def differentiated(self, picked: str) -> str:
        """Return the call as a function of what it is differentiated by, with the outputs that have a derivative."""
        return f"lambda {', '.join(self.trial.way.asked)}: {picked}"

    def picked(self) -> str:
        """Return the outputs of the call that have a derivative."""
        way = self.trial.way
        inputs = [s.name for s in self.trial.case.form.signature.inputs]
        call = f"{self.op.name}({', '.join([*inputs, *self.parameters()])})"
        if way.outputs == len(way.places):
            return call
        return f"({call})[{way.places[0]}]" if len(way.places) == 1 else f"[({call})[i] for i in {list(way.places)}]"

    def tangents(self) -> list[str]:
        """Return the lines that ask for the tangents of outputs, given those of inputs."""
        asked, jvp = self.trial.way.asked, "torch.func.jvp" if self.framework == "torch" else "jax.jvp"
        lines = [f"tangent_{n} = {self.made(a)}{self.part(n)}" for n, a in self.trial.extra.items()]
        given, along = (f"({', '.join(names)},)" for names in (asked, [f"tangent_{n}" for n in asked]))
        lines.append(f"got = {jvp}({self.differentiated(self.picked())}, {given}, {along})[1]")
        return lines + self.assertions(self.trial.expected)

    def gradients_of_gradients(self) -> list[str]:
        """Return the lines that ask for the gradients of the gradients, by inputs and by cotangents."""
        asked = self.trial.way.asked
        names = {n: f"{'cotangent_d' if n in asked else 'cotangent_'}{n}" for n in self.trial.extra}
        lines = [f"{names[n]} = {self.made(a)}{self.part(n)}" for n, a in self.trial.extra.items()]
        outer, cotangents = ([names[n] for n in names if (n in asked) is inside] for inside in (True, False))
        by = ", ".join([*asked, *cotangents])
        if self.framework == "jax":
            given = cotangents[0] if len(cotangents) == 1 else f"({', '.join(cotangents)})"
            pull = f"jax.vjp({self.differentiated(self.picked())}, {', '.join(asked)})[1]({given})"
            lines.append(f"got = jax.vjp(lambda {by}: {pull}, {by})[1](({', '.join(outer)},))")
            return lines + self.assertions(self.trial.expected)
        lines += [f"{n} = {n}.requires_grad_()" for n in (*asked, *cotangents)]
        lines.append(f"y = {self.picked()}")
        listed = f"[{', '.join(cotangents)}]"
        outputs = "y" if len(cotangents) > 1 else "[y]"
        options = "create_graph=True, allow_unused=True"
        lines.append(f"found = torch.autograd.grad({outputs}, [{', '.join(asked)}], {listed}, {options})")
        lines.append(f"pairs = [(g, c) for g, c in zip(found, [{', '.join(outer)}]) if g is not None and g.requires_grad]")
        lines.append(f"got = torch.autograd.grad([g for g, _ in pairs], [{by}], [c for _, c in pairs], allow_unused=True)")
        lines.append(f"got = [torch.zeros_like(x) if g is None else g for g, x in zip(got, [{by}])]")
        return lines + self.assertions(self.trial.expected)

    def written(self, clause: str) -> list[str]:
        """Return the lines that write to the result, and look at the inputs or at the result again."""
        plain = f"{self.op.name}({', '.join([*self.names(), *self.parameters()])})"
        back, several = BACK[self.framework], len(self.trial.expected) > 1 or bool(self.listed)
        inputs = [s.name for s in self.trial.case.form.signature.inputs if s.name not in self.listed]
        lines = [f"{n}_before = np.array({back.format(n)})" for n in inputs]
        lines += [f"got = {plain}", f"for y in {'got' if several else '[got]'}:"]
        if clause == "memory.own":
            lines.append("    y[...] = 0")
            return lines + [f"assert {back.format(n)}.tobytes() == {n}_before.tobytes()" for n in inputs]
        new = MAKE[self.framework].format(f"np.arange({back.format('y')}.size).reshape({back.format('y')}.shape)")
        return [*lines, f"    y[...] = {new}", f"    assert (y == {new}).all()"]

    def conduct(self, clause: str) -> list[str]:
        """Return the lines that call twice, and look at inputs and at earlier results."""
        trial, back = self.trial, BACK[self.framework]
        plain = f"{self.op.name}({', '.join([*self.names(), *self.parameters()])})"
        inputs = [s for s in trial.case.form.signature.inputs if not s.listed]
        if clause == "pure":
            lines = [f"{s.name}_before = np.array({back.format(s.name)})" for s in inputs]
            lines.append(plain)
            return lines + [f"assert {back.format(s.name)}.tobytes() == {s.name}_before.tobytes()" for s in inputs]
        rename = {s.name: f"{s.name}_other" for s in trial.case.form.signature.inputs}
        lines = [f"{n}_other = {self.made(a)}{self.part(n)}" for n, a in trial.extra.items()]
        other = f"{self.op.name}({', '.join([*self.names(rename), *self.parameters()])})"
        several = len(trial.case.form.signature.outputs) > 1 or bool(self.listed)
        read = "b''.join({y}.tobytes() for y in {v})" if several else "{y}.tobytes()"
        shown = {v: read.format(y=back.format("y" if several else v), v=v) for v in ("got", "again", "others")}
        lines += [f"got = {plain}", f"first = {shown['got']}", f"others = {other}"]
        lines.append(f"assert {shown['got']} == first, 'a later call changed an earlier result'")
        lines += 2 * [f"again = {plain}", f"assert {shown['again']} == first, 'the same call gave other bits'"]
        return [*lines, f"assert {shown['others']} != first, 'another call gave the result of an earlier one'"]


DERIVATIVES = {"vjp": Writer.gradient, "jvp": Writer.tangents, "double_backward": Writer.gradients_of_gradients}
"""What writes the lines that ask for a derivative, by the kind of a way."""


def _compared(got: str, found: str, want: Expected, part: str = "") -> list[str]:
    """Return the lines that compare an output, or a part of it, with what it must be."""
    lines = [f"expected = {literal(np.asarray(want.array)).partition('  #')[0]}{part}"]
    lines.append(f'print("expected", expected, "got", {got}, sep="\\n")')
    if want.how == "bound":
        bound = np.broadcast_to(np.asarray(want.bound), np.shape(want.array))
        lines.append(f"bound = {literal(bound).partition('  #')[0]}{part}")
        lines.append(f"found = {found}.astype(expected.dtype)")
        lines.append("assert found.shape == expected.shape")
        lines.append("same = (found == expected) | (np.isnan(found) & np.isnan(expected))")
        lines.append("assert np.all(same | np.isinf(bound) | (np.abs(found - expected) <= bound))")
        return lines
    lines.append(f"assert {found}.dtype == expected.dtype and {found}.shape == expected.shape")
    if want.how == "bits" and (want.array == want.array).all():
        lines.append(f"assert {found}.tobytes() == expected.tobytes()")
    elif want.how == "bits" and want.array.dtype.kind == "f":
        lines.append(f"found = {found}")
        lines.append("same = (found == expected) & (np.signbit(found) == np.signbit(expected))")
        lines.append("assert np.all(same | (np.isnan(found) & np.isnan(expected)))")
    else:
        lines.append(f"assert np.array_equal({found}, expected, equal_nan=True)")
    return lines


def opening(
    session: Session, op: Op, dtypes: Set[str], solution: Solution | None, params: Mapping[str, Any] | None = None
) -> list[str]:
    """Return the imports, and what defines the function.

    Args:
        session: the target.
        op: the op.
        dtypes: those of the arrays.
        solution: the sizes of the call; None where it has none.
        params: its parameters in that case.
    """
    adapter = session.adapter(op.name)
    known = SETUP[session.framework].splitlines() if adapter is not None else []
    narrow = ["import ml_dtypes"] if dtypes & set(NARROW) else []
    imports = dict.fromkeys(["import numpy as np", *narrow, *IMPORTS[session.framework], *known])
    lines = [*imports, *session.target.load.splitlines()]
    return lines if adapter is None else [*lines, *as_python(adapter, op, solution, params)]


def spelled(session: Session, op: Op, params: Mapping[str, Any]) -> list[str]:
    """Return the parameters of a call as a function takes them."""
    function = session.functions[op.name]
    if op.name in session.positional:
        return list(map(repr, in_order(op, params)))
    try:
        positional, named = arguments(function.slots, op, params) if session.bare else ([], dict(params))
    except TypeError:
        positional, named = [], dict(params)
    return [*map(repr, positional), *(f"{k}={v!r}" for k, v in named.items())]


def script_of_invalid(session: Session, op: str, call: Call) -> str:
    """Return a script of a call that must raise, nothing where none can be written."""
    framework = session.framework
    parts = [t for g in call.inputs for t in g.parts]
    if framework not in MAKE or session.ranks or not all(can_be_written(t.array()) for t in parts):
        return ""
    if framework == "torch" and {t.dtype for t in parts} & set(NARROW):
        return ""
    lines = opening(session, load(op), {t.dtype for t in parts}, None, parameters(call))
    names = []
    for given in call.inputs:
        made = [MAKE[framework].format(literal(t.array()).partition("  #")[0]) for t in given.parts]
        lines.append(f"{given.name} = " + (f"[{', '.join(made)}]" if given.listed else made[0]))
        names.append(given.name)
    given_params = spelled(session, load(op), parameters(call))
    lines += [
        "try:",
        f"    got = {op}({', '.join([*names, *given_params])})",
        "except Exception:",
        "    pass",
        "else:",
        '    raise AssertionError(f"accepted, and gave {got}")',
    ]
    return "\n".join(lines)
