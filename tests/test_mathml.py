"""Formulas as MathML say what the text of the language says."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest

import einspec
from einspec.card import load
from einspec.language.formula import Apply, Axis, Equation, Number, OpCall, Param, Read, Size, parse, walk
from einspec.pages.mathml import mathml
from einspec.pages.render import latex

CORE = {
    "annotation", "math", "mfrac", "mi", "mn", "mo", "mrow", "mspace", "msqrt", "msub", "msup", "mtext", "munder", "semantics",
}  # fmt: skip
"""Elements of MathML Core that a formula may use."""
STATED = [(name, entry) for name in einspec.ops() for f in load(name).forms.values() for entry in f.stated]


def parsed(text: str) -> ET.Element:
    """Return the MathML of an equation."""
    (equation,) = parse(text, "made")
    return ET.fromstring(mathml(equation))


def seen(root: ET.Element) -> str:
    """Return what is read of a formula, without its annotation."""
    for parent in root.iter("semantics"):
        parent.remove(next(e for e in parent if e.tag == "annotation"))
    return "".join("".join(root.itertext()).split()).replace("\u2061", "").replace("\u2062", "")


@pytest.mark.parametrize("name", einspec.ops())
def test_every_formula_is_core_and_has_all_its_names(name: str) -> None:
    """Each is well formed, of MathML Core alone, annotated with its TeX, and holds every name and number of the text."""
    for own, entry in STATED:
        if own != name:
            continue
        root = ET.fromstring(mathml(entry))
        assert {e.tag for e in root.iter()} <= CORE
        (annotation,) = root.iter("annotation")
        assert annotation.text == latex(entry)
        text = seen(root)
        for word in names(entry):
            assert word in text, f"{word} of {entry.text!r} is not in {text!r}"


def names(entry: Equation | OpCall) -> set[str]:
    """Return the names and numbers of a formula."""
    found = set[str]()
    for node in walk(entry):
        match node:
            case Read(name, _) | Param(name) | Apply(name, _) if name not in ("sqrt", "abs", "floor", "ceil"):
                found.add(name)
            case Axis(name):
                found.add(name)
            case Size(name):
                found.add(name.upper())
            case Number(value) if value not in (0, math.inf) and "e" not in repr(value):
                found.add(repr(value))
    return found | ({entry.op, *(value for _, value in entry.choices)} if isinstance(entry, OpCall) else {entry.tensor})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("y[b, (h,i)] = x[(b,i), h]", "yb,(h,i)=x(b,i),h"),
        ("y[k] = sum[e]((i[k] == e) * x[e])", "yk=∑e[ik=e]xe"),
        ("y[t] = x[t] - (x[t] - 1)", "yt=xt−(xt−1)"),
        ("y[t] = max[e](x[e] + x[t])", "yt=maxe(xe+xt)"),
        ("y[t] = (x[t] + 1) * 2", "yt=(xt+1)·2"),
        ("y[t] = x[t] * (x[t] + 1)", "yt=xt(xt+1)"),
        ("y[t] = -x[t] / T", "yt=−xtT"),
        ("y[t] = sum[e](x[e]) * x[t]", "yt=(∑exe)xt"),
        ("y[t] = sum[t1](((x[t1], t1) < (x[t], t)) * x[t1])", "yt=∑t1[(xt1,t1)<(xt,t)]xt1"),
        ("y[t] = exp(x[t]) // 2", "yt=⌊exp(xt)2⌋"),
    ],
)
def test_reading(text: str, shown: str) -> None:
    """What is read is the formula, parenthesized where its parts bind more loosely."""
    assert seen(parsed(text)) == shown


def test_equal_formulas_alone_look_equal() -> None:
    """No two different right sides of one op are written alike."""
    for name in einspec.ops():
        found: dict[str, str] = {}
        for own, entry in STATED:
            if own == name:
                assert found.setdefault(mathml(entry), re.sub(r"[\s()]", "", entry.text)) == re.sub(r"[\s()]", "", entry.text)
