"""What a card may hold: the typed tables of its TOML, each key with what it means. The JSON Schema comes from these."""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

import msgspec

KINDS = {
    "id": "an index below {0}; any other integer is none",
    "place": "a position below {0}, at times another integer, which is none",
    "slot": "a place below {0} in the queue of the id in index; any other integer is none",
    "count": "numbers of rows, together at most {0}",
    "route": "a permutation of some numbers below {0}, filled up with -1 or other negative ones",
    "row": "distinct rows below {0}, or a negative number",
    "rank": "each of 0, 1, ..., n-1 once, or numbers some of which are equal",
    "uniform": "numbers in [0, 1)",
    "weight": "numbers of which none is negative and some are 0",
    "flag": "truth values",
}
"""What ``[values]`` may say of an input; ``{0}`` stands for the number that goes with it."""


class Promise(NamedTuple):
    """What a caller promises of tensors, in words."""

    kept: str
    broken: str
    """What the tensors do that break it."""


PROMISES = {
    "distinct_slots": Promise(
        "no two routes have the same slot of the same expert, but for those that have none", "give one slot to several rows"
    ),
    "inside": Promise("every number is a position that there is", "hold numbers that are no position"),
    "inside_or_none": Promise(
        "every number is a position that there is, or -1 for none", "hold other numbers that are no position than -1"
    ),
    "fitting_mask": Promise(
        "no more of it is true than there are rows to put there", "are true more often than there are rows"
    ),
    "distinct_places": Promise(
        "no position comes twice along the axis that the output does not have", "hold a position twice along one axis"
    ),
    "fitting_counts": Promise(
        "no number of rows is negative, and together they are at most the rows that there are",
        "are negative or do not add up",
    ),
}
"""What ``[assume]`` may say that a caller promises of tensors: each is looked at in :mod:`einspec.calls.assumptions`."""


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of every table of a card: an unknown key is an error."""


class Param(Table, frozen=True):
    """A keyword parameter of an op.

    Exactly one of ``size``, ``int``, ``axis``, ``rank``, ``sizes`` says what it sets; with none of them and no ``choices``
    it is an integer that formulas read by its own name.
    """

    doc: str
    size: str = ""
    """The axes whose size it gives, or one composition in parentheses: several are one size, or one each with ``tuple``."""
    names: str = msgspec.field(default="", name="int")
    """The names under which formulas read it, when they are not its own name."""
    axis: str = ""
    """``n in x``: the position of axis n among the axes of x; negative counts from the end."""
    rank: str = ""
    """The rest whose number of axes it gives."""
    order: str = ""
    """The rest of which it names axes by their positions: one, or several with ``tuple``; negative counts from the end."""
    sizes: str = ""
    """The rest whose sizes it lists; one of them may be -1 and is inferred."""
    number: bool = False
    """Takes a float as well as an integer."""
    rational: bool = False
    """Takes an integer, a Fraction, a decimal string, or a float for the decimal that it prints as; formulas read numerator and
    denominator under the names of ``int``."""
    choices: tuple[str, ...] = ()
    default: int | float | str | tuple[int, ...] | msgspec.UnsetType = msgspec.UNSET
    min: int | msgspec.UnsetType = msgspec.UNSET
    several: bool = msgspec.field(default=False, name="tuple")
    """Takes one integer for all its targets, or a tuple with one each."""
    keeps: str = ""
    """Tensors on the way, or ops whose tensors these are, that are kept in at least the dtype which the choice names; where the
    choice names no dtype nothing is said of them."""
    values: tuple[int | float | str, ...] = ()
    """The values that the judge tries, where the smallest legal ones do not tell enough."""

    def targets(self, name: str) -> list[str]:
        """Return the axes or formula names that the parameter sets."""
        if self.size:
            return re.findall(r"\([^)]*\)|\S+", self.size)
        return (self.names or name).split()

    @property
    def is_number(self) -> bool:
        """Whether formulas read it as a number; all others set sizes, ranks, an axis or the form."""
        return not (self.choices or self.size or self.sizes or self.rank or self.axis or self.order)

    @property
    def required(self) -> bool:
        """Whether a call must give it."""
        return self.default is msgspec.UNSET


class AxisRule(Table, frozen=True):
    """A bound on the size of an axis."""

    min: int


class Ranks(Table, frozen=True):
    """Which axes stand for ranks, the processes or devices that a call is spread over.

    Each rank has an entry of its own of a tensor whose first dimension is made of them; all others are the same on every rank.
    """

    axes: tuple[str, ...] = ()
    reduces: tuple[str, ...] = ()
    """Those along which sums, of the definition or of a derivative, may be held in the dtype of the inputs after each
    rank: what moves the numbers adds them up."""


class Laws(Table, frozen=True):
    """What follows from the definition and is checked besides it. Calls are written in the names of cards."""

    inverse: str = ""
    """A call that gives the first input back."""
    involution: bool = False
    """Applied twice with the same parameters, it gives the input back."""
    order: str = ""
    """``N: x[i]``: applied as often as the size expression says, it gives the input back."""
    adjoint: str = ""
    """A call g of the output with <f(x), y> == <x, g(y)>."""
    equivariant: str = ""
    """Axes of which a permutation of the input permutes the output likewise."""
    invariant: str = ""
    """Axes of which a permutation of the input leaves the output as it is."""
    conserves: Literal["", "multiset", "sum"] = ""
    """What input and output have in common: every element, or the sum over all elements."""
    idempotent: bool = False
    """Applied to its own output, it changes nothing."""
    distinct: str = ""
    """An output whose entries along the last axis are distinct, those that are negative left out."""
    bijection: str = ""
    """An output that holds each of 0, 1, ..., n-1 once."""
    prefix: str = ""
    """Axes whose size a parameter gives: a smaller size gives the first part of what a larger one gives."""
    equation: dict[str, str] = {}
    """``name = "left == right"``, both sides calls over the inputs, outputs and parameters."""


class SameAs(Table, frozen=True):
    """A name under which others ship the op. ``call`` is run by a test where ``package`` is a framework of the suite."""

    package: str
    call: str
    when: str = ""


class Differs(Table, frozen=True):
    """Who computes something else under the same name, and how."""

    who: str
    how: str
    see: str = ""


class Reference(Table, frozen=True):
    """Where a definition comes from."""

    title: str
    url: str = ""


class Variant(Table, frozen=True):
    """What a card says for one value of its string parameter."""

    signature: str = ""
    definition: str = ""
    sizes: dict[str, str] = {}
    require: dict[str, str] = {}
    assume: dict[str, str] = {}
    """What a caller promises where this value is given, besides what the card says for all."""
    laws: Laws = Laws()
    same_as: tuple[SameAs, ...] = ()


class Card(Table, frozen=True):
    """The normative text of one op."""

    summary: str
    since: str
    signature: str = ""
    definition: str = ""
    notes: str = ""
    aliases: tuple[str, ...] = ()
    params: dict[str, Param] = {}
    axes: dict[str, AxisRule] = {}
    ranks: Ranks = Ranks()
    sizes: dict[str, str] = {}
    orders: dict[str, str] = {}
    """``name = "places from axes"``: ``*a[name]`` are the axes of ``*a`` in another order. Those that parameters on the right
    name stand at the places that parameters on the left name, at all where there are none; the others fill the rest."""
    require: dict[str, str] = {}
    """Named conditions on sizes and parameters, each an error of its own when it does not hold."""
    unspecified: tuple[str, ...] = ()
    """Ids of errors that an implementation need not raise, such as ``axes.h`` or ``list.xs``."""
    dtype: dict[str, str] = {}
    """For an input the group of dtypes that it takes, or ``same as x``; for an output ``same as x``, a dtype,
    ``at least float32 as x``, or ``int``: a Python integer. Inputs are by default of the dtype of the first one."""
    values: dict[str, str] = {}
    """What an input holds when the judge makes it up: a kind of ``KINDS`` and an expression over sizes and parameters."""
    assume: dict[str, str] = {}
    """What a caller promises, by name: a kind of ``PROMISES`` and the inputs that it is about. The definition says what
    comes also where it is not so; that is asked of backends, and of files under ``--strict``."""
    selects: dict[str, str] = {}
    """For an output the tensor of which it holds positions in descending order, the lower first where equal:
    ``x``, or ``x where mask`` if only some may be taken. Follows by itself where the output comes from another card."""
    stores: bool = False
    """Whether tensors that the definition names on the way may be rounded to the dtype of the outputs."""
    when: dict[str, dict[str, Variant]] = {}
    """One string parameter, and for each of its values what differs."""
    laws: Laws = Laws()
    same_as: tuple[SameAs, ...] = ()
    changed: dict[str, str] = {}
    """What each later spec version made other than it was, in a sentence."""
    withdrawn: dict[str, str] = {}
    """Ids of clauses that an earlier spec version had and this one has not, each with why, and what to use instead."""
    differs: tuple[Differs, ...] = ()
    references: tuple[Reference, ...] = ()


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a card."""
    return msgspec.json.schema(Card)
