"""The small scope: every size tuple up to its limits, every assignment of a few tokens, every ranking of special values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from einspec.calls import cases
from einspec.calls import contended as crowds
from einspec.calls.inputs import filled, makes_up, ramps, strata
from einspec.calls.space import Case
from einspec.card import Op
from einspec.conformance.checks.batches import single
from einspec.conformance.checks.exhaustive import Block, assignments, levels, rankings
from einspec.conformance.checks.trials import plain_trial
from einspec.conformance.judge.judge import Context, Result
from einspec.conformance.judge.session import Trial
from einspec.language.linear import OpClass
from einspec.semantics.traits import traits_of

Array = np.ndarray[Any, Any]

COMPILED_SCOPE = 24
"""How many size tuples a framework is given that compiles each one."""
COMPILED_NODES = 100
"""The length of a definition, in terms, up to which it gets all of them."""
COMPILED_LIMIT = 160
"""From how many size tuples those are chosen."""
ROUNDED_WORK, ROUNDED_LEAST = 6_000, 24
"""How many terms are analysed in the scope of a form whose results round, and for how many calls at least."""
ROUNDS = 7
"""On how many kinds of values the calls of distinct sizes are tried: every stratum, and a ramp."""
MADE_UP = 256
"""Up to how many calls of a small scope are repeated on other indices."""
NUMBERS_LIMIT = 8192
"""How many calls of an op are tried that takes numbers alone: they cost little."""
ASSIGNMENTS = 1000
"""How many assignments of tokens to experts are tried where all of them would be more."""
COMPILED_ASSIGNMENTS, COMPILED_BLOCKS = 1024, 4
"""The same for a framework that compiles, and of how many sizes."""


def scope_result(context: Context, clause: str, empty: bool) -> Result:
    """Return the verdict over the scope's cases, those with an empty axis or those without."""
    chosen, sampled = scope_cases(context, empty)
    if not chosen:
        return context.not_run(clause, "scope", "the card allows no such sizes")
    result = context.trials(clause, "scope", [scope_trial(c, i, context.subnormals) for i, c in enumerate(chosen)])
    if result.verdict == "holds":
        result.reason = sampled
    return routed_result(context, result) if clause == "def" and result.verdict in ("holds", "refused") else result


def scope_cases(context: Context, empty: bool) -> tuple[list[Case], str]:
    """Return the scope's cases, those with an empty axis or those without, and what is to be said where they are a sample."""
    limit = cases.SCOPE_LIMIT
    if any(f.kind is OpClass.NONLINEAR for f in context.op.forms.values()):
        each = max(ROUNDED_LEAST, ROUNDED_WORK // max(traits_of(f).nodes for f in context.op.forms.values()))
        limit = each * len(context.op.forms)
    if not any(f.signature.inputs for f in context.op.forms.values()):
        limit = NUMBERS_LIMIT
    found, total = cases.scope(context.op, COMPILED_LIMIT if context.session.compiles else limit)
    chosen = [c for c in found if c.empty == empty]
    legal = len(chosen)
    if not empty:
        chosen += spread(cases.telling(context.op), limit)
    if context.session.compiles:
        chosen = compiled_scope(context.op, chosen, empty)
    elif not empty:
        chosen += [c for c in cases.bank(context.op) for _ in range(ROUNDS)]
        chosen += [c for c in chosen if makes_up(c)] * min(ROUNDS, MADE_UP // max(len(chosen), 1))
    partial = len(chosen) < legal or total > limit
    return chosen, f"{len(chosen)} of the calls of the scope ({total} assignments of sizes and parameters)" if partial else ""


def scope_trial(case: Case, number: int, subnormals: bool = True) -> Trial:
    """Return the call of a case of the scope, on values that tell."""
    return plain_trial(case, telling_values(case, number, subnormals))


def telling_values(case: Case, number: int, subnormals: bool = True) -> dict[str, Array]:
    """Return a ramp; where the definition is no sum, in turn a ramp and values of every stratum."""
    kinds = strata(case)
    if case.form.kind is OpClass.NONLINEAR and number % ROUNDS < len(kinds):
        return filled(case, "float32", kinds[number % ROUNDS], number, subnormals)
    return filled(case, "float32", "small", number) if makes_up(case) and number % 2 else ramps(case)


def routed_result(context: Context, result: Result) -> Result:
    """Return the verdict over every assignment of a few tokens to experts and every ranking of special values as well."""
    found, instances, sampled = routed_trials(context)
    if not found:
        return result
    routed = context.trials("def", "scope", found, narrow=single)
    if routed.verdict not in ("holds", result.verdict):
        return routed
    result.instances += instances
    if result.verdict == "refused":
        return result
    result.reason = "; ".join(filter(None, (result.reason, sampled)))
    return result


def routed_trials(context: Context) -> tuple[list[Trial], int, str]:
    """Return the calls on assignments, rankings and ties, how many they count for, and what is to be said of a sample."""
    session = context.session
    limit, most = (COMPILED_ASSIGNMENTS, COMPILED_BLOCKS) if session.compiles else (ASSIGNMENTS, ASSIGNMENTS)
    blocks, count, total = assignments(context.op, limit, most)
    found = rankings(context.op, context.subnormals)
    found += levels(context.op, context.subnormals, not getattr(session.adapter, "loses_nan_in_maxima", False))
    instances = len(found) + count
    if not session.compiles:
        tied = [c for c in crowds.wide(context.op) if c.form.kind is OpClass.NONLINEAR]
        for i, case in enumerate(tied):
            for stratum in ("small", "gauss", "special"):
                found.append(plain_trial(case, filled(case, "float32", stratum, i, context.subnormals)))
                instances += crowds.WIDE
        competing = [plain_trial(case, arrays) for case, arrays in crowds.crowded(context.op, context.subnormals)]
        found, instances = [*found, *competing], instances + len(competing)
    for block in blocks:
        found += [under_vmap(context, block)] if session.compiles else block.trials()
    return found, instances, f"{count} of {total} assignments of up to 4 tokens" if count < total else ""


def under_vmap(context: Context, block: Block) -> Trial:
    """Return the calls of a block as one, mapped over its first axis."""
    call = context.session.adapter.transforms["vmap"](context.session.plain(block.case))
    return Trial(block.case, block.inputs, block.outputs, call, how="on a batch of inputs under vmap", direct=True)


def compiled_scope(op: Op, chosen: Sequence[Case], empty: bool) -> list[Case]:
    """Return the calls that a framework which compiles each is given: fewer the longer the definition.

    There are some of every form, and every number that a card has tried is in one of them.
    """
    nodes = max(traits_of(f).nodes for f in op.forms.values())
    count = min(COMPILED_SCOPE, COMPILED_SCOPE * COMPILED_NODES // nodes) // (4 if empty else 1)
    each = max(1, count // len(op.forms))
    plainest = sorted(chosen, key=lambda c: len(c.options))  # first, because a file may offer no other
    found = [c for form in op.forms.values() for c in spread([c for c in plainest if c.form is form], each)]
    tried = {number for c in found for number in c.solution.values.items()}
    for case in plainest if not empty else ():
        new = set(case.solution.values.items()) - tried
        if new:
            found, tried = [*found, case], tried | new
    return found


def spread(chosen: Sequence[Case], count: int) -> list[Case]:
    """Return so many of the cases, evenly over their order."""
    if len(chosen) <= count:
        return list(chosen)
    step = len(chosen) / count
    return [chosen[int(i * step)] for i in range(count)]
