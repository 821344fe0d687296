"""How a definition of several steps is put together: a line a step, a wire a tensor, as the score of a piece of music."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from einspec.card import Form
from einspec.language.formula import OpCall, Read, walk
from einspec.language.text import term_text
from einspec.pages.picture import palette
from einspec.pages.picture.colour import HUES

ROW, COLUMN, TOP, LETTER = 30, 22, 28, 7.6


@dataclass(frozen=True)
class Step:
    """One line of a definition."""

    reads: tuple[str, ...]
    made: tuple[str, ...]
    op: str
    """The op that it uses, ``""`` for a formula."""
    choices: str

    @property
    def text(self) -> str:
        """The step without its shapes: ``weights, index ← gate(logits; preset=switch)``."""
        return f"{', '.join(self.made)} ← {self.op or 'formula'}({', '.join(self.reads)}{self.choices})"


def steps(form: Form) -> list[Step]:
    """Return the steps of a definition."""
    found = []
    for entry in form.stated:
        if isinstance(entry, OpCall):
            given = [*(f"{n}={v}" for n, v in entry.choices), *(f"{n}={term_text(v)}" for n, v in entry.numbers)]
            reads, made, op = [r.tensor for r in entry.inputs], [t.tensor for t in entry.targets], entry.op
        else:
            given, op = [], ""
            reads, made = [n.tensor for n in walk(entry.body) if isinstance(n, Read)], [entry.tensor]
        found.append(Step(tuple(dict.fromkeys(reads)), tuple(made), op, f"; {', '.join(given)}" if given else ""))
    return found


class Score:
    """The wires of a definition: each in the first column that is free where its tensor is given or made."""

    def __init__(self, form: Form) -> None:
        self.steps, self.outputs = steps(form), [s.name for s in form.signature.outputs]
        self.inputs = [s.name for s in form.signature.inputs]
        self.born = dict.fromkeys(self.inputs, -1) | {t: i for i, s in enumerate(self.steps) for t in s.made}
        self.ends = {t: i for i, s in enumerate(self.steps) for t in s.reads} | dict.fromkeys(self.outputs, len(self.steps))
        self.column: dict[str, int] = {}
        taken: list[str] = []
        for name in self.born:
            free = (i for i, t in enumerate(taken) if self.ends.get(t, self.born[t]) < self.born[name])
            self.column[name] = next(free, len(taken))
            taken[self.column[name] : self.column[name] + 1] = [name]
        self.columns = len(taken)

    def svg(self, key: str, title: str, styled: bool, address: Callable[[str], str] | None) -> str:
        """Return the score.

        Args:
            key: what its ids begin with.
            title: what it shows.
            styled: whether it brings its own style.
            address: the address of the page of an op, if steps shall lead there.
        """
        room = COLUMN * self.columns + 12
        width = room + 8 + LETTER * max(len(s.text) for s in self.steps)
        height = TOP + ROW * len(self.steps) + 8
        used = [(hue, 0) for hue in range(min(len(HUES), len(self.born)))]
        style = f"<style>{palette.style(used)}</style>" if styled else ""
        body = "".join([*self._wires(), *self._steps(room, address)])
        about = ". ".join(s.text.replace("←", "is") for s in self.steps)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="ein score" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}" role="img" aria-labelledby="{key}-st" aria-describedby="{key}-sd">'
            f'<title id="{key}-st">{escape(title)}</title><desc id="{key}-sd">{escape(about)}</desc>{style}{body}</svg>'
        )

    def _hue(self, tensor: str) -> int:
        return list(self.born).index(tensor) % len(HUES)

    def _x(self, tensor: str) -> float:
        return 12 + COLUMN * self.column[tensor]

    def _wires(self) -> Iterator[str]:
        """Yield a line from where each tensor is given or made to where it is read last, and the names at both ends."""
        bottom = TOP + ROW * len(self.steps) - 8
        for tensor, born in self.born.items():
            start = 16 if born < 0 else TOP + ROW * born
            end = self.ends.get(tensor, born)
            stop = bottom if tensor in self.outputs else TOP + ROW * end + (9 if end == born else 0)
            hue, x = self._hue(tensor), self._x(tensor)
            yield f'<path class="wire i{hue}" d="M{x:.0f} {start}V{stop}"><title>{escape(tensor)}</title></path>'
            short = tensor if len(tensor) < 3 else f"{tensor[:2]}…"
            for y in [11] * (born < 0) + [bottom + 13] * (tensor in self.outputs):
                yield f'<text class="k on t{hue}" x="{x:.0f}" y="{y}">{escape(short)}<title>{escape(tensor)}</title></text>'

    def _steps(self, room: float, address: Callable[[str], str] | None) -> Iterator[str]:
        """Yield the line of each step: a dot for what it reads, a ring for what it makes, and its text."""
        for i, step in enumerate(self.steps):
            y = TOP + ROW * i
            left = min(self._x(t) for t in (*step.reads, *step.made))
            yield f'<path class="bus run" d="M{left:.0f} {y}H{room}"/>'
            for kind, tensors, radius in (("t", step.reads, 3.8), ("made i", step.made, 5)):
                for t in tensors:
                    yield f'<circle class="{kind}{self._hue(t)}" cx="{self._x(t):.0f}" cy="{y}" r="{radius}"/>'
            made, _, rest = step.text.partition(" ← ")
            op, bracket, given = rest.partition("(")
            name = f'<tspan class="on">{escape(op)}</tspan>'
            shown = f'<tspan class="n">{escape(made)}</tspan> ← {name}{bracket}{escape(given)}'
            line = f'<text x="{room + 8}" y="{y + 4}">{shown}</text>'
            yield f"<a href={quoteattr(address(step.op))}>{line}</a>" if address and step.op else line
