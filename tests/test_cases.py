"""The calls that ops are judged on: exhaustive where they fit, smallest first, telling."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from einspec import load, ops
from einspec.calls import cases
from einspec.conformance.checks.trials import ordinary, plain_trial


def test_the_scope_is_exhaustive_and_smallest_first() -> None:
    """Every size tuple up to three of split_heads is there, up to two beside a zero, in order of size."""
    found, total = cases.scope(load("split_heads"), cases.SCOPE_LIMIT)
    assert total == 4 * 4 * 3 * 4
    assert len({(c.shapes, c.params["num_heads"]) for c in found}) == len(found)
    sizes = itertools.product(range(4), range(4), range(1, 4), range(4))
    wanted = {(((b, n, h * d),), h) for b, n, h, d in sizes if not {0, 3} <= {b, n, h, d}}
    assert {(c.shapes, c.params["num_heads"]) for c in found} == wanted
    elements = [c.elements for c in found]
    assert elements == sorted(elements)


@pytest.mark.parametrize("name", ops())
def test_every_op_has_telling_calls(name: str) -> None:
    """Every op has calls with axes of different sizes above one, in every form, and calls that grow."""
    op = load(name)
    bank = cases.bank(op)
    assert {id(c.form) for c in bank} == {id(f) for f in op.forms.values()}
    for case in bank:
        assert not case.empty
    assert cases.big(op) or not op.forms[next(iter(op.forms))].signature.inputs


@pytest.mark.parametrize("name", ops())
def test_what_stands_for_an_op_says_something(name: str) -> None:
    """The calls by which memory, laws and transforms are judged know some of every output, a bound that is not infinite."""
    for case in cases.bank(load(name))[:3]:
        for want in plain_trial(case, ordinary(case)).expected.values():
            assert want.bound is None or not np.isinf(want.bound).all()


def test_big_calls_cross_the_limits_of_narrow_integers() -> None:
    """Some axis of pixel_shuffle is longer than 2**16."""
    assert max(n for c in cases.big(load("pixel_shuffle")) for s in c.shapes for n in s) > 2**16
