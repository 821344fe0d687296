"""The language on one page: every construct with what it means, a formula, and a picture of it at work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from einspec.calls.given import given_call
from einspec.card import compile_card
from einspec.language.formula import FUNCTIONS, MACROS
from einspec.language.tables import Card
from einspec.pages.mathml import mathml
from einspec.pages.picture import picture_of


@dataclass(frozen=True)
class Construct:
    """A construct of the language."""

    id: str
    title: str
    says: str
    signature: str
    definition: str
    inputs: tuple[tuple[int | float, ...] | tuple[tuple[int | float, ...], ...], ...]
    indices: tuple[str, ...] = ()


CONSTRUCTS = (
    Construct(
        "axis",
        "An axis",
        "A lower-case letter is an axis, and stands for each of its coordinates 0, 1, 2, ... in turn. "
        "An equation says one element of the left side for every combination of coordinates. The upper-case letter is the "
        "size of the axis.",
        "x: h w -> y: w h",
        "y[w, h] = x[h, w]",
        (((1, 2, 3), (4, 5, 6)),),
    ),
    Construct(
        "composition",
        "A composition",
        "Letters in parentheses are one axis made of several, the last varying fastest: "
        "(h,i) is the coordinate h*I + i. So the order of the letters is the order in memory, and (i,h) is another axis of the "
        "same size.",
        "x: h i -> y: (i h)",
        "y[(i,h)] = x[h, i]",
        (((1, 2), (3, 4), (5, 6)),),
    ),
    Construct(
        "rest",
        "A rest",
        "Three dots stand for any number of axes, *a for any number that has a name.",
        "x: ... h -> y: h ...",
        "y[h, ...] = x[..., h]",
        (((1, 2, 3), (4, 5, 6)),),
    ),
    Construct(
        "sum",
        "A sum",
        "An axis that the left side does not have is bound by a reduction: sum, max or min over all its "
        "coordinates; mean and softmax are written out with these.",
        "x: h w -> y: h",
        "y[h] = sum[w](x[h, w])",
        (((1, 2, 3), (4, 5, 6)),),
    ),
    Construct(
        "bracket",
        "A bracket",
        "A comparison is 1 where it holds. Where it does not, it is a zero that annihilates whatever "
        "it multiplies, even NaN and infinity: what stands beside a false bracket is not read.",
        "x: h -> y: w",
        "y[w] = sum[h]((h == W - 1 - w) * x[h])",
        ((1, 2, 3),),
    ),
    Construct(
        "gather",
        "A gather",
        "A position that comes from an integer tensor is a sum over a bracket. An integer that is no "
        "position picks nothing, and the sum is 0.",
        "x: h, index: k -> y: k",
        "y[k] = sum[h]((h == index[k]) * x[h])",
        ((5, 6, 7), (2, 0, 9)),
        ("index",),
    ),
    Construct(
        "another",
        "A second axis of the same size",
        "A digit behind a letter makes another axis of the same size: n and n1 "
        "run over the same coordinates independently of each other.",
        "x: n -> y: n",
        "y[n] = sum[n1]((n1 <= n) * x[n1])",
        ((1, 2, 3, 4),),
    ),
    Construct(
        "order",
        "A tie",
        "Tuples are compared by their first entries, and where these are equal by the next: so equal numbers "
        "are told apart by their places. NaN is above everything and equal to itself; -0 equals 0.",
        "x: n -> y: n",
        "y[n] = sum[n1](((-x[n1], n1) < (-x[n], n)) * 1)",
        ((6, 2, 3, 6),),
    ),
)


@dataclass(frozen=True)
class Shown:
    """A construct as the page shows it."""

    construct: Construct
    mathml: str
    picture: str
    text: str


def shown(construct: Construct) -> Shown:
    """Return a construct with its formula and its picture."""
    dtype = dict.fromkeys(construct.indices, "index")
    sizes = {"w": "H"} if "W" in construct.definition else {}
    card = Card(
        construct.title, "1.0", signature=construct.signature, definition=construct.definition, dtype=dtype, sizes=sizes
    )
    op = compile_card("y", "notation", card)
    names = [s.name for s in op.forms[""].signature.inputs]
    arrays = [
        np.array(values, np.int64 if name in construct.indices else np.float64)
        for name, values in zip(names, construct.inputs, strict=True)
    ]
    drawn = picture_of(*given_call(op, arrays, {}))
    formula = "".join(mathml(e) for e in op.forms[""].stated)
    return Shown(construct, formula, drawn.svg(styled=False, key=f"n-{construct.id}"), construct.definition)


def functions() -> tuple[list[str], dict[str, str]]:
    """Return the functions of one number, and those that are written with others."""
    return list(FUNCTIONS), dict(MACROS)
