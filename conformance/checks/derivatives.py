"""Derivatives besides the gradients: tangents by forward mode, and the gradients of gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from einspec.answers.derivatives import expected_second, expected_tangents
from einspec.answers.expect import output_dtype
from einspec.calls.space import Case
from einspec.calls.values import fill
from einspec.card import Form
from einspec.clauses import differentiable
from einspec.conformance.checks.scene import Asked, Scene
from einspec.conformance.checks.trials import shuffled
from einspec.conformance.protocol import Way
from einspec.conformance.trial import Trial
from einspec.semantics.traits import traits_of

Array = np.ndarray[Any, Any]
CALLS = 4
"""On how many calls derivatives are judged where none costs a compilation: plain ones, and one of every form."""
LONG = 400
"""From how many terms on a definition is differentiated twice for one call of a form alone: its second derivative is dear."""


def ask_derivative(scene: Scene, name: str) -> Asked:
    """Ask for ``transform.jvp`` or ``transform.double_backward``: the derivatives that follow from the definition."""
    able = sorted((c for c in scene.bank if c.form.data), key=lambda c: (len(c.options), c.elements))
    found = []
    for case in _chosen(scene, able):
        trial = tangents(case) if name == "jvp" else second(case)
        found += [trial] if trial is not None else []
    return Asked(found, not_run="" if found else "no call of the bank can show it")


def _chosen(scene: Scene, able: list[Case]) -> list[Case]:
    """Return the first calls, and the first of every form; one alone where each costs a compilation."""
    if scene.compiles:
        return able[:1]
    firsts = {id(c.form): c for c in reversed(able)}
    few = 1 if max(traits_of(c.form).nodes for c in able) > LONG else CALLS
    return list({id(c): c for c in (*able[:few], *firsts.values())}.values())


def tangents(case: Case) -> Trial | None:
    """Return the call that asks for the tangents of the outputs; None where none has one."""
    arrays = shuffled(case)
    along = made_up(case.form, arrays, 5)
    wants = expected_tangents(case, arrays, along)
    if not wants:
        return None
    outputs = case.form.signature.outputs
    places = tuple(i for i, s in enumerate(outputs) if s.name in wants)
    way = Way("jvp", asked=tuple(case.form.data), places=places, outputs=len(outputs))
    named = {f"tangent of {name}": want for name, want in wants.items()}
    return Trial(case, arrays, named, way, "the tangents of the outputs, given those of the inputs", extra=along)


def second(case: Case) -> Trial | None:
    """Return the call that asks for the gradients of the gradients; None where no output has a gradient."""
    arrays, rng = shuffled(case), np.random.default_rng(6)
    cotangents = {}
    for spec in case.form.signature.outputs:
        dtype = output_dtype(case, spec.name, arrays)
        if differentiable(dtype):
            cotangents[spec.name] = fill(case.solution.shape(spec), dtype, "small", rng)
    if not cotangents:
        return None
    outer = made_up(case.form, arrays, 7)
    wants = expected_second(case, arrays, cotangents, outer)
    outputs = case.form.signature.outputs
    places = tuple(i for i, s in enumerate(outputs) if s.name in cotangents)
    way = Way("double_backward", asked=tuple(case.form.data), places=places, outputs=len(outputs))
    given = set(case.form.data)
    named = {f"gradient by {n}" if n in given else f"gradient by the cotangent of {n}": w for n, w in wants.items()}
    return Trial(
        case, arrays, named, way, "the gradients of the gradients, given their cotangents", extra={**cotangents, **outer}
    )


def made_up(form: Form, arrays: Mapping[str, Array], seed: int) -> dict[str, Array]:
    """Return a tangent, or a cotangent of its gradient, for every input that holds values."""
    rng = np.random.default_rng(seed)
    return {n: fill(arrays[n].shape, arrays[n].dtype.name, "small", rng) for n in form.data}
