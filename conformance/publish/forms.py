"""The forms of an op as one block: what its default says, and what the others say otherwise."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup, escape

from einspec.card import Form, Op
from einspec.language.formula import Equation, OpCall
from einspec.pages.mathml import mathml

TOKEN = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True)
class Line:
    """One equation of a form."""

    id: str
    text: Markup
    mathml: str


@dataclass(frozen=True)
class Other:
    """A form that is not the default, as far as it differs."""

    name: str
    signature: Markup
    """Nothing where it is that of the default."""
    lines: list[Line]
    """The equations that are not those of the default, with what differs marked."""
    gone: list[str]
    """The equations of the default that it has not."""
    same: str
    """A form before it that says the same, if there is one."""
    kind: str


def default_of(op: Op) -> tuple[str, Form]:
    """Return the form that a caller gets who does not say which, or the first where he must."""
    name = str(op.card.params[op.choice].default) if op.choice else ""
    return (name, op.forms[name]) if name in op.forms else next(iter(op.forms.items()))


def targets(entry: Equation | OpCall) -> str:
    """Return what names an equation within its form: the tensors that it defines."""
    return "-".join(t.tensor for t in entry.targets) if isinstance(entry, OpCall) else entry.tensor


def lines(form: Form, name: str = "") -> list[Line]:
    """Return the equations of a form; those of another form than the default have its name in their ids."""
    prefix = f"eq.{name}." if name else "eq."
    return [Line(prefix + targets(e), escape(e.text), mathml(e)) for e in form.stated]


def others(op: Op) -> Iterator[Other]:
    """Yield the forms besides the default."""
    name, default = default_of(op)
    own = {targets(e): e.text for e in default.stated}
    said = {name: _said(default)}
    for other, form in op.forms.items():
        if other == name:
            continue
        same = next((n for n, what in said.items() if what == _said(form)), "")
        said[other] = _said(form)
        changed = [e for e in form.stated if own.get(targets(e)) != e.text]
        signature = marked(str(default.signature), str(form.signature))
        found = {targets(e) for e in form.stated}
        yield Other(
            other,
            signature if str(form.signature) != str(default.signature) else Markup(""),
            [Line(f"eq.{other}.{targets(e)}", marked(own.get(targets(e), ""), e.text), mathml(e)) for e in changed],
            [text for target, text in own.items() if target not in found],
            same,
            form.kind.value if form.kind is not default.kind else "",
        )


def _said(form: Form) -> tuple[str, ...]:
    return (str(form.signature), *(e.text for e in form.stated))


def marked(before: str, after: str) -> Markup:
    """Return a text with what is not in an earlier one marked; all of it, where nearly everything is other."""
    old, new = TOKEN.findall(before), TOKEN.findall(after)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    if not before or matcher.ratio() < 0.6:
        return escape(after)
    parts = []
    for tag, _, _, start, end in matcher.get_opcodes():
        text = "".join(new[start:end])
        parts.append(escape(text) if tag == "equal" or not text.strip() else Markup("<mark>{}</mark>").format(text))
    return Markup("").join(parts)
