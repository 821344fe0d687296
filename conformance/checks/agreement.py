"""Do backends agree with each other: the outputs of each on one fixed input of an op, compared with those of the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from einspec.answers.expect import expected
from einspec.answers.rules import Expected, difference
from einspec.calls.inputs import filled
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.judge.judge import Context, Result


def sample(context: Context) -> dict[str, Any] | None:
    """Return what another backend must agree with on one fixed input: outputs, bounds and how exactly; None if none."""
    if context.careful or (context.ties == "any" and any(f.selects for f in context.op.forms.values())):
        return None
    case = context.bank[0]
    arrays = filled(case, "float32", "gauss", 7)
    if context.sample is None:
        outcome = context.session.one(plain_trial(case, arrays))
        if outcome.error is not None:
            return None
        context.sample = list(outcome.outputs.values())
    wants = expected(case, arrays)
    bounds = [0.0 if w.bound is None else w.bound for w in wants.values()]
    return {
        "case": str(case),
        "how": [w.how for w in wants.values()],
        "bounds": bounds,
        "outputs": context.sample,
    }


def agreements(samples: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[Result]:
    """Yield for every op whether each backend agrees with the first one on the same input."""
    for op, by_backend in samples.items():
        (first, reference), *others = sorted(by_backend.items(), key=lambda item: ("einops" in item[0], item[0]))
        for name, sample in others:
            if sample["case"] != reference["case"]:
                yield Result(
                    f"{op}/agree",
                    "scope",
                    "not run",
                    0,
                    f"{name} refuses the call that {first} was given",
                    None,
                    name,
                    sample["device"],
                )
                continue
            where = _disagreement(reference, sample)
            verdict: Any = "wrong" if where else "holds"
            reason = f"{where} on {sample['case']}" if where else f"with {first}"
            data = {"call": f"{op}({sample['case']})", "difference": f"{first} and {name} differ: {where}"} if where else None
            yield Result(f"{op}/agree", "scope", verdict, 1, reason, data, name, sample["device"])


def _disagreement(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    triples = zip(one["outputs"], other["outputs"], one["how"], one["bounds"], strict=True)
    for i, (a, b, how, bound) in enumerate(triples):
        bounds = 2 * np.asarray(bound) if how == "bound" else None
        want = Expected(a.astype(np.float64) if how == "bound" else a, how, bounds, a.dtype.name)
        found = difference(b, want)
        if found is not None:
            return f"output {i}: {found.problem}"
    return ""
