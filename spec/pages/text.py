"""The page of an op and the catalogue of all, as plain text: what ``einspec show`` and ``einspec ops`` print."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from einspec import names
from einspec.calls.space import Case
from einspec.card import Form, Op, is_op, load, paths
from einspec.clauses import stated_laws
from einspec.demands import LAWS, by_form, law_words
from einspec.language.linear import OpClass
from einspec.language.tables import KINDS, PROMISES, Param
from einspec.names import Name
from einspec.pages import named
from einspec.pages.example import evaluated, example, is_small, nested
from einspec.pages.gradient import equations, latex_gradient, remarks
from einspec.pages.render import einops_call, latex_definition
from einspec.patterns import FAMILY as PATTERNS

WIDTH = 100
DTYPES = {
    "ordered": "any but complex",
    "number": "integer, float or complex",
    "inexact": "float or complex",
    "index": "integer",
    "int": "a Python integer",
}
"""Groups of dtypes in words, where their name is no word for them."""


class Row(NamedTuple):
    """One line of the catalogue."""

    family: str
    name: str
    aliases: tuple[str, ...]
    kind: str
    summary: str


def catalogue(words: str = "") -> list[Row]:
    """Return a row for every op that matches, in the order of families and names.

    Args:
        words: what must all stand in the name, an alias or the summary; case, ``-`` and ``_`` do not matter.
    """
    rows = (Row(op.family, op.name, op.card.aliases, _kind(op), op.card.summary) for op in map(load, paths()))
    wanted = _plain(words).split()
    return [r for r in rows if all(w in _plain(" ".join((r.name, *r.aliases, r.summary))) for w in wanted)]


def named_catalogue(words: str) -> list[Name]:
    """Return functions of other packages whose name has all words, what each does in general alone.

    Args:
        words: what must all stand in the name, with its package; case, ``-`` and ``_`` do not matter.
    """
    wanted = _plain(words).split()
    return [n for n in names.every() if wanted and n.is_general and all(w in _plain(n.function) for w in wanted)]


def _plain(text: str) -> str:
    return text.lower().replace("-", " ").replace("_", " ")


def _kind(op: Op) -> str:
    """Return the class of an op: of several forms the most general one."""
    return max((f.kind for f in op.forms.values()), key=list(OpClass).index).value


def show(name: str, latex: bool = False, grad: bool = False) -> str:
    """Return the page of an op, or what a name of another package means.

    Args:
        name: its name or an alias, or the name of a function of another package, such as ``np.moveaxis`` or ``GatherND``.
        latex: only the definition, as LaTeX for math mode.
        grad: the gradients in place of the definition and all else.

    Raises:
        KeyError: there is nothing of that name, or it is no op of which there is a formula.
    """
    found = () if is_op(name) else names.find(name)
    own = named.lead(name, found)
    if found and not latex and not grad:
        return "\n\n\n".join([named.page(name, found), *([show(own)] if own else [])])
    op = load(own or name)
    if latex:
        written = latex_gradient if grad else latex_definition
        forms = {_label(op, f): written(f) for f in op.forms.values()}
        return "\n".join(f"% {op.name}{label and f', {label}'}\n{text}" for label, text in forms.items())
    if grad:
        return "\n".join([_head(op), "", "Gradient", *_gradients(op)])
    case = example(op)
    sections = {
        "Call": _call(op),
        "Definition": _definitions(op),
        "Parameters": [line for n, p in op.card.params.items() for line in _parameter(op, n, p)],
        "Sizes": _sizes(op),
        "Dtypes": _dtypes(op),
        "Callers promise": _by_form(op, _promises),
        "Example": _worked(op, case) if is_small(case) else [],
        "Picture": _picture(op, case) if is_small(case) else [],
        "Laws": _by_form(op, _laws),
        "To copy, with einops": _einops(op, case),
        "Same as": _by_form(op, _same_as),
        "Differs": _differs(op),
        "The same name elsewhere": named.others(op),
        "Changed": [line for v, what in op.card.changed.items() for line in wrapped(f"{v}: {what}", 2, 4)],
        "Notes": wrapped(op.card.notes, 2),
        "References": [line for r in op.card.references for line in _cited(r.title, r.url)],
    }
    shown = (f"{title}\n" + "\n".join(lines) for title, lines in sections.items() if lines)
    return "\n\n".join([_head(op), *shown])


def _picture(op: Op, case: Case) -> list[str]:
    """Return the picture of a pattern; that of a card is asked for."""
    from einspec.pages.picture import picture_of  # here, because no other page needs it

    return [f"  {line}".rstrip() for line in str(picture_of(case)).splitlines()] if op.family == PATTERNS else []


def _head(op: Op) -> str:
    changed = "".join(f", changed in {version}" for version in op.card.changed)
    right = f"{op.family} · {_kind(op)} · since {op.card.since}{changed}"
    lines = [f"{op.name}{right:>{WIDTH - len(op.name)}}", *wrapped(op.card.summary, 0)]
    return "\n".join(lines + (wrapped("also called " + ", ".join(op.card.aliases), 0) if op.card.aliases else []))


def wrapped(text: str, indent: int, hang: int = 0) -> list[str]:
    """Return a text in lines that fit the page; no word is broken."""
    start, rest = " " * indent, " " * (indent + hang)
    return textwrap.wrap(
        " ".join(text.split()), WIDTH, initial_indent=start, subsequent_indent=rest,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _label(op: Op, form: Form) -> str:
    """Return what a caller writes to get a form, or nothing where there is but one."""
    return f'{op.choice}="{form.choice[op.choice]}"' if op.choice else ""


def _by_form(op: Op, lines: Callable[[Form], Iterable[str]]) -> list[str]:
    """Return the lines of all forms; one that not every form has says which do."""
    return [part for line, where in by_form(op, lines) for part in _wrapped_keeping(f"{line}   {where}".rstrip())]


def formula_lines(text: str, indent: int) -> list[str]:
    """Return an equation in lines that fit the page, broken before a factor or a term."""
    kept = text.replace(" ", "\0")
    for operator in "*+":
        kept = kept.replace(f"\0{operator}\0", f" {operator}\0")
    if len(text) + indent > WIDTH:
        kept = kept.replace("=\0", "= ", 1).replace("],\0", "], ").replace(",\0", ", ")
    return [line.replace("\0", " ") for line in wrapped(kept, indent, 4)]


def _cited(title: str, url: str) -> list[str]:
    """Return a title and its address, on one line where they fit."""
    line = f"  {title} {url}".rstrip()
    return [line] if len(line) <= WIDTH else [*wrapped(title, 2, 4), f"      {url}"]


def _wrapped_keeping(line: str) -> list[str]:
    """Return an entry ``name   text`` in lines that fit, those after the first below the text."""
    if len(line) <= WIDTH - 2:
        return [f"  {line}"]
    name = re.match(r"\w+( {3,}|(?<=^.{14}) )", line)
    start = name.end() if name else 4
    return textwrap.wrap(
        line, WIDTH, initial_indent="  ", subsequent_indent=" " * (start + 2),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def signature_text(op: Op) -> str:
    """Return how an op is called in Python: ``pixel_shuffle(x, *, upscale_factor)``."""
    form = next(iter(op.forms.values()))
    keywords = [n if p.required else f"{n}={p.default!r}" for n, p in op.card.params.items()]
    inputs = [s.name for s in form.signature.inputs]
    return f"{op.name}({', '.join([*inputs, *(['*'] if keywords else []), *keywords])})"


def _call(op: Op) -> list[str]:
    signatures = dict.fromkeys(str(f.signature) for f in op.forms.values())
    listed = any(s.listed for f in op.forms.values() for s in (*f.signature.inputs, *f.signature.outputs))
    axes = [f"  {s}" for s in signatures] if len(signatures) == 1 else []
    held = {
        f"{name} holds {KINDS[kind].format(term.text)}": None
        for form in op.forms.values()
        for name, (kind, term) in form.values.items()
    }
    orders = dict.fromkeys(f"*{o.rest}[{o.name}] is *{o.rest} with {o}" for f in op.forms.values() for o in f.orders.values())
    more = [*orders, *(["[n] is a list or tuple of n tensors"] if listed else []), *held]
    return [*wrapped(signature_text(op), 2, 4), *axes, *(line for m in more for line in wrapped(m, 2, 4))]


def _definitions(op: Op) -> list[str]:
    lines: list[str] = []
    several = len({str(f.signature) for f in op.forms.values()}) > 1
    for form in op.forms.values():
        indent = 4 if op.choice else 2
        if op.choice:
            default = " (default)" if form.choice[op.choice] == op.card.params[op.choice].default else ""
            kind = f"   {form.kind.value}" if len({f.kind for f in op.forms.values()}) > 1 else ""
            lines.append(f"  {_label(op, form)}{default}{kind}")
        lines += wrapped(str(form.signature), indent, 4) if several else []
        for entry in form.stated:
            lines += formula_lines(entry.text, indent)
    return lines


def _gradients(op: Op) -> list[str]:
    lines: list[str] = []
    for form in op.forms.values():
        indent = 4 if op.choice else 2
        lines += [f"  {_label(op, form)}"] if op.choice else []
        for equation in equations(form):
            lines += formula_lines(equation.text, indent)
        for remark in remarks(form):
            lines += wrapped(f"({remark})", indent, 4)
    return lines


def _parameter(op: Op, name: str, param: Param) -> Iterator[str]:
    facts = [param.doc, *limits(name, param)]
    width = max(map(len, op.card.params)) + 3
    yield from _wrapped_keeping(f"{name:<{width}}{'; '.join(facts)}")


def limits(name: str, param: Param) -> Iterator[str]:
    """Yield what may be given for a parameter."""
    if param.choices:
        yield "one of " + ", ".join(param.choices)
    if isinstance(param.min, int):
        yield f"at least {param.min}"
    if param.several:
        targets = " ".join(param.targets(name))
        yield f"one integer, or one each for {targets}" if targets != name else "one integer or a tuple"
    if param.number:
        yield "an integer or a float"
    if not param.required:
        yield f"default {param.default!r}"


def _sizes(op: Op) -> list[str]:
    return _by_form(op, lambda form: sizes(op, form))


def sizes(op: Op, form: Form) -> Iterator[str]:
    """Yield what a form says of the sizes of axes."""
    yield from (f"{axis} = {term.text}" for axis, term in form.sizes.items())
    yield from (f"needs {term.text}" for term in form.require.values())
    yield from (f"{axis} at least {rule.min}" for axis, rule in op.card.axes.items())
    if own := op.ranked(form):
        yield f"{', '.join(op.card.ranks.axes)}: ranks, each with its own {', '.join(own)}"


def _dtypes(op: Op) -> list[str]:
    return [line for text in dtypes(op) for line in wrapped(text, 2, 4)]


def dtypes(op: Op) -> Iterator[str]:
    """Yield what an op says of dtypes and rounding."""
    form = next(iter(op.forms.values()))
    inputs = [f"{s.name}: {DTYPES.get(rule := form.dtype[s.name], rule)}" for s in form.signature.inputs]
    outputs = [f"{s.name}: {form.dtype[s.name]}" for s in form.signature.outputs]
    yield f"{', '.join(inputs)} -> {', '.join(outputs)}".strip()
    if any(f.kind in (OpClass.LINEAR, OpClass.NONLINEAR) and f.lead for f in op.forms.values()):
        kept = "".join(f", but for those that {name} keeps" for name, param in op.card.params.items() if param.keeps)
        how = f"tensors on the way may be rounded to the dtype{kept}" if op.card.stores else "the result is rounded once"
        if ranks := " and ".join(op.card.ranks.reduces):
            how += f"; sums over {ranks} may be held in the dtype after each rank"
        yield f"float16 and bfloat16 are computed in at least float32; {how}"


def _promises(form: Form) -> Iterator[str]:
    for name, (kind, tensors) in form.assume.items():
        yield f"{name:<14} of {' and '.join(tensors)}: {PROMISES[kind].kept}"


def _laws(form: Form) -> Iterator[str]:
    for kind, details in sorted(stated_laws(form), key=lambda law: list(LAWS).index(law[0])):
        each = details if kind == "equation" else (" or ".join(details),)
        yield from (f"{kind:<14} {law_words(form, kind, detail)}" for detail in each)


def _einops(op: Op, case: Case) -> list[str]:
    """Return the einops calls; for the ranks of the example where a card leaves the place of an axis open."""
    lines = _by_form(op, lambda f: filter(None, [einops_call(op.card, f)]))
    call = einops_call(op.card, case.form, case.solution.ranks)
    return lines or ([f"  {call}   (for the example above)"] if call else [])


def _same_as(form: Form) -> Iterator[str]:
    for entry in form.same_as:
        when = f"   where {entry.when}" if entry.when else ""
        yield f"{entry.package:<14} {' '.join(entry.call.split())}{when}"


def _differs(op: Op) -> list[str]:
    lines: list[str] = []
    for entry in op.card.differs:
        lines += wrapped(f"{entry.who}: {entry.how}", 2, 4)
        lines += [f"      {entry.see}"] if entry.see else []
    return lines


def _worked(op: Op, case: Case) -> list[str]:
    inputs, outputs = evaluated(case)
    given = [*inputs, *(f"{k}={v!r}" for k, v in case.params.items() if v != op.card.params[k].default)]
    names = ", ".join(outputs)
    lines = [line for name, array in inputs.items() for line in nested(name, array)]
    lines.append(f"  {names} = {op.name}({', '.join(given)})")
    return [*lines, *(line for name, array in outputs.items() for line in nested(name, array))]
