"""The gradients of an op: those of its definition, whatever else is differentiated and in whatever memory cotangents come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from einspec.answers.derivatives import expected_gradient
from einspec.answers.expect import output_dtype
from einspec.answers.rules import Expected
from einspec.calls.inputs import own_dtype
from einspec.calls.space import Case
from einspec.calls.values import fill
from einspec.clauses import differentiable
from einspec.conformance.checks.nan import unread
from einspec.conformance.checks.scene import Asked, Scene
from einspec.conformance.checks.trials import shuffled
from einspec.conformance.protocol import Way
from einspec.conformance.trial import Trial

Array = np.ndarray[Any, Any]
GRADIENT = "gradient"
"""The name under which a gradient is compared."""
COTANGENT = "cotangent of "
"""What goes before the name of an output whose cotangent must be left alone."""
WIDER = 2.0**30 + 1
"""What cotangents of float64 are multiplied by, so that float32 does not hold them, and their sums are exact all the same."""
CALLS, WAYS = 24, 4
"""On how many calls gradients are judged where none costs a compilation, and on how many of them in every way."""


def ask_gradient(scene: Scene, wrt: str, _: str) -> Asked:
    """Ask for ``grad.<input>``: the gradient that follows from the definition."""
    able = sorted((c for c in scene.bank if wrt in c.form.data), key=lambda c: len(c.options))
    chosen = able[:CALLS]
    if scene.compiles:
        chosen = list({id(c): c for c in (*able[:1], *able[-1:])}.values())
    plain = [gradient(scene, case, wrt, shuffled(case)) for case in chosen]
    found = [g.trial() for g in plain]
    for each in plain[:WAYS]:
        found += _ways(each)
    return Asked(found, not_run="" if found else "no call of the bank can show it")


def ask_wide_gradient(scene: Scene, wrt: str, _: str) -> Asked:
    """Ask for ``grad64.<input>``: the same in float64."""
    able = sorted((c for c in scene.bank if wrt in c.form.data), key=lambda c: len(c.options))
    wide = [c for c in able if all(own_dtype(c, n, "float64") == "float64" for n in c.form.data)]
    found = []
    for case in wide[: 1 if scene.compiles else WAYS]:
        arrays = shuffled(case)
        for name in case.form.data:
            arrays[name] = arrays[name].astype(np.float64)
        found.append(gradient(scene, case, wrt, arrays).trial("in float64"))
    return Asked(found, not_run="" if found else "no call of the bank is in float64 throughout")


def _ways(plain: Gradient) -> Iterator[Trial]:
    """Yield the gradient with NaN in what is not read, and asked for in all the ways that a caller may."""
    scene, case, arrays = plain.scene, plain.case, plain.arrays
    if case.form.values or len(case.form.data) < len(case.form.signature.inputs):
        spoiled = {k: v.copy() for k, v in arrays.items()}
        for name in case.form.data:
            spoiled[name].reshape(-1)[unread(case, spoiled, name)] = np.nan
        if any(np.isnan(spoiled[n]).any() for n in case.form.data):
            yield plain.trial("with NaN in every place that the definition does not read", arrays=spoiled)
    if scene.compiles:
        return
    if len(case.form.data) > 1:
        yield plain.trial("no other one asked for", alone=True)
    yield plain.trial("those transposed in memory", memory="transposed")
    flat = gradient(scene, case, plain.wrt, arrays, expanded=True)
    yield flat.trial("those expanded", memory="expanded")


@dataclass(frozen=True)
class Gradient:
    """The gradient of one input of a call, given those of the outputs."""

    scene: Scene
    case: Case
    wrt: str
    arrays: Mapping[str, Array]
    outer: Mapping[str, Array]
    """The cotangents of the outputs that have one."""
    wanted: Expected

    def trial(
        self,
        how: str = "",
        alone: bool = False,
        memory: str = "",
        arrays: Mapping[str, Array] | None = None,
    ) -> Trial:
        """Return the call that asks for it.

        Args:
            how: what is special about it, in words.
            alone: no other input is differentiated.
            memory: the layout of cotangents.
            arrays: inputs that differ in nothing that is read.
        """
        signature = self.case.form.signature
        asked = (self.wrt,) if alone else tuple(self.case.form.data)
        places = tuple(i for i, s in enumerate(signature.outputs) if s.name in self.outer)
        listed = {s.name for s in signature.outputs if s.listed}
        kept = [] if self.scene.compiles else [n for n in self.outer if n not in listed]
        wants = {GRADIENT: self.wanted}
        wants |= {f"{COTANGENT}{name}": Expected(self.outer[name]) for name in kept}
        way = Way(
            "vjp",
            wrt=self.wrt,
            asked=asked,
            places=places,
            outputs=len(signature.outputs),
            memory=memory,
        )
        text = f"the gradient of {self.wrt}, given those of the outputs" + f", {how}" * bool(how)
        return Trial(self.case, arrays or self.arrays, wants, way, text, extra=self.outer)


def gradient(scene: Scene, case: Case, wrt: str, arrays: Mapping[str, Array], expanded: bool = False) -> Gradient:
    """Return the gradient of an input on cotangents that are made up.

    Args:
        scene: what is judged.
        case: the call.
        wrt: the input.
        arrays: the inputs.
        expanded: whether the cotangents are the same along the last axis.
    """
    rng = np.random.default_rng(4)
    outer = {}
    for spec in case.form.signature.outputs:
        dtype = output_dtype(case, spec.name, arrays)
        if differentiable(dtype):
            outer[spec.name] = fill(case.solution.shape(spec), dtype, "small", rng)
    if arrays[wrt].dtype == np.float64:
        outer = {k: np.asarray(v * WIDER) for k, v in outer.items()}
    if expanded:
        outer = {k: np.repeat(v[..., :1], v.shape[-1], -1) if v.ndim else v for k, v in outer.items()}
    return Gradient(scene, case, wrt, arrays, outer, expected_gradient(case, arrays, outer, wrt))
