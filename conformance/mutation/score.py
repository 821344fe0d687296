"""What becomes of the mutants of an op: killed by a clause, proved equal to the op in a small scope, or survived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from einspec.card import Form, Op, load
from einspec.conformance.mutation.assessment import Assessment, Assessor, Status
from einspec.conformance.mutation.mutants import MOST, MOST_INLINED, candidates, mutants
from einspec.conformance.run.pool import side_by_side
from einspec.conformance.trial import Trial
from einspec.language.formula import walk

Golden = Callable[[Op, Form], Iterable[Trial]]
"""Gives the golden vectors of a form as calls; importable by name, as other processes call it."""


@dataclass
class Score:
    """What became of the mutants of an op, or of one of its forms."""

    op: str
    assessments: list[Assessment] = field(default_factory=list)
    candidates: int = 0
    """How many mutants there would be without a limit."""
    accused: list[str] = field(default_factory=list)
    """Clauses that accuse what the mutants were made of, run in the same way: what they kill proves nothing."""

    def count(self, status: Status) -> int:
        """Return how many mutants are of a status."""
        return sum(a.status == status for a in self.assessments)

    def joined(self, other: Score) -> Score:
        """Return the score of two parts of an op."""
        accused = [*self.accused, *(a for a in other.accused if a not in self.accused)]
        assessments = [*self.assessments, *other.assessments]
        return Score(self.op, assessments, self.candidates, accused)

    @property
    def good(self) -> bool:
        """Whether every mutant that is not equivalent was killed, by clauses that accuse nothing right."""
        return bool(self.assessments) and not self.count("survived") and not self.accused


def score(op: Op | str, only: Sequence[str] | None = None, golden: Golden | None = None) -> Score:
    """Judge the mutants of an op.

    Args:
        op: the op, or its name.
        only: the values of the string parameter whose forms are looked at; all when absent.
        golden: gives the golden vectors of a form, which then judge, and nothing else does.
    """
    op = load(op) if isinstance(op, str) else op
    found = Score(op.name, candidates=candidates(op))
    for value, form in op.forms.items():
        if only is None or value in only:
            assessor = Assessor(op, form, golden(op, form) if golden else None)
            found.assessments += [assessor.assess(m) for m in mutants(op) if m.form is form]
            found.accused += assessor.control()
    return found


LIMITS = f"at most {MOST} an operator and form, {MOST_INLINED} in what other cards bring"
"""How many mutants of formulas there are, in words."""


def table(found: Sequence[Score], limits: str = LIMITS) -> str:
    """Return the scores as text: a line an op, then what survived and what was accused, then the sum."""
    width = max(len(s.op) for s in found)
    lines = [f"{'op':<{width}}  mutants  equivalent  killed  survived  killed first by"]
    for s in found:
        killers = Counter(a.by for a in s.assessments if a.by)
        first = ", ".join(f"{by} {n}" for by, n in killers.most_common())
        counts = f"{len(s.assessments):>7}  {s.count('equivalent'):>10}  {s.count('killed'):>6}  {s.count('survived'):>8}"
        lines.append(f"{s.op:<{width}}  {counts}  {first}")
    for s in found:
        for one in s.assessments:
            if one.status == "survived":
                shown = (f"  what     {one.what}", f"  differs  {one.differs}")
                lines += ["", f"survived: {one.id}", *shown]
        lines += [f"accuses what is right: {s.op} {clause}" for clause in s.accused]
    made = sum(len(s.assessments) for s in found)
    killed = sum(s.count("killed") for s in found)
    equal = sum(s.count("equivalent") for s in found)
    without = sum(s.candidates for s in found)
    rule = f"{limits}, of {without:,} there could be"
    share = killed / (made - equal) if made > equal else 1.0
    lines += ["", f"{made:,} mutants of {len(found)} ops ({rule}): {equal:,} equivalent, {killed:,} of {made - equal:,} killed"]
    return "\n".join([*lines, f"score: {share:.2%}"])


def as_json(found: Sequence[Score]) -> dict[str, Any]:
    """Return the scores as plain data: every mutant with what became of it."""
    return {
        s.op: {
            "candidates": s.candidates,
            "accused": s.accused,
            "mutants": [asdict(a) for a in s.assessments],
        }
        for s in found
    }


def scores(names: Sequence[str], processes: int | None = None, golden: Golden | None = None) -> Iterator[Score]:
    """Yield the scores of ops, form by form as they are found, in processes side by side.

    Args:
        names: the ops.
        processes: how many; as many as there are processors when absent.
        golden: gives the golden vectors of a form, which then judge, and nothing else does.
    """
    tasks = [(name, value) for name in names for value in load(name).forms]
    tasks.sort(key=lambda task: -_cost(*task))
    given = [(name, (value,), golden) for name, value in tasks]
    yield from side_by_side(score, given, processes)


def _cost(name: str, value: str) -> int:
    """Return about how much work the mutants of a form are, so that the longest come first."""
    form = load(name).forms[value]
    return sum(m.form is form for m in mutants(name)) * sum(1 for e in form.equations for _ in walk(e))
