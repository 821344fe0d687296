"""Do backends agree with each other: the outputs of each on one fixed input of an op, compared with those of the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from einspec.answers.rules import Expected, difference
from einspec.conformance.judge.context import Context
from einspec.conformance.judge.verdict import Result, Verdict
from einspec.conformance.protocol import tensor
from einspec.conformance.run.events import Sample


def sample(context: Context) -> Sample | None:
    """Return what another backend must agree with on one fixed input; None if it need not."""
    if context.sample is None or context.careful:
        return None
    if context.policy.ties == "any" and any(f.selects for f in context.op.forms.values()):
        return None
    if context.admit or context.asked is not context.op:
        return None
    wants, outputs = context.sample["expected"].values(), context.sample["outputs"]
    none = np.zeros(0)
    return Sample(
        context.session.target.name,
        context.session.device,
        context.op.name,
        context.sample["case"],
        tuple(w.how for w in wants),
        tuple(tensor(np.asarray(a)) for a in outputs.values()),
        tuple(tensor(none if w.bound is None else np.broadcast_to(w.bound, w.array.shape)) for w in wants),
    )


def agreements(samples: Mapping[str, Mapping[str, Sample]]) -> Iterator[Result]:
    """Yield for every op whether each backend agrees with the first one on the same input."""
    for op, by_backend in samples.items():
        ordered = sorted(by_backend.items(), key=lambda item: ("einops" in item[0], item[0]))
        (first, reference), *others = ordered
        for name, found in others:
            where = name, found.device
            if found.case != reference.case:
                reason = f"{name} refuses the call that {first} was given"
                yield Result(f"{op}/agree", "scope", Verdict.NOT_RUN, 0, reason, None, *where)
                continue
            problem = _disagreement(reference, found)
            if not problem:
                yield Result(f"{op}/agree", "scope", Verdict.HOLDS, 1, f"with {first}", None, *where)
                continue
            data = {"call": f"{op}({found.case})", "difference": f"{first} and {name} differ: {problem}"}
            reason = f"{problem} on {found.case}"
            yield Result(f"{op}/agree", "scope", Verdict.WRONG, 1, reason, data, *where)


def _disagreement(one: Sample, other: Sample) -> str:
    """Return how two backends differ by more than both may be off."""
    parts = zip(one.outputs, other.outputs, one.rules, one.bounds, strict=True)
    for i, (a, b, rule, bound) in enumerate(parts):
        array = a.array()
        twice = 2 * bound.array() if rule == "bound" else None
        wide = array.astype(np.float64) if rule == "bound" else array
        found = difference(b.array(), Expected(wide, rule, twice, array.dtype.name))
        if found is not None:
            return f"output {i}: {found.problem}"
    return ""
