"""Does an op match its definition: in the small scope, on empty axes, on drawn calls and on big ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from einspec.calls import cases
from einspec.calls.inputs import filled
from einspec.conformance.checks.big import huge
from einspec.conformance.checks.drawn import property_result
from einspec.conformance.checks.scope import scope_result
from einspec.conformance.checks.trials import ordinary, plain_trial
from einspec.conformance.judge.judge import Context, Result
from einspec.language.linear import OpClass

Array = np.ndarray[Any, Any]


def check_definition(context: Context, tier: str) -> Iterator[Result]:
    """Judge ``def`` in a tier: every size tuple of the scope, drawn cases or big cases; all axes at least 1."""
    if tier == "scope":
        yield scope_result(context, "def", empty=False)
    elif tier == "property":
        yield property_result(context)
    else:
        broad = cases.broad(context.op)
        chosen = [*cases.big(context.op), *(broad[:1] if context.session.compiles else broad)]
        found = [plain_trial(c, ordinary(c)) for c in chosen] + huge(context.op)
        deciding = [c for c in chosen if c.form.kind in (OpClass.SELECTION, OpClass.NONLINEAR) and c.form.data]
        found += [plain_trial(c, filled(c, "float32", "small", 1)) for c in deciding]
        found += [plain_trial(c, filled(c, "float32", "special", 1, context.subnormals)) for c in deciding if c in broad]
        yield context.trials("def", "big", found) if found else context.not_run("def", "big", "no axis can grow")


def check_empty(context: Context) -> Iterator[Result]:
    """Judge ``empty``: every size tuple of the scope that holds a zero."""
    yield scope_result(context, "empty", empty=True)
