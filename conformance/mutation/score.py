"""What becomes of the mutants of an op: killed by a clause, proved equal to the op in a small scope, or survived."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from einspec.card import Form, Op, load, paths
from einspec.conformance import cases
from einspec.conformance.calls import Case
from einspec.conformance.clauses import judge, units
from einspec.conformance.expect import EXACT, analysed, traits_of
from einspec.conformance.judge import Context
from einspec.conformance.mutation.mutants import MOST, MOST_INLINED, Mutant, as_function, candidates, evaluated, mutants
from einspec.conformance.mutation.proof import proof
from einspec.conformance.scope import routed_trials, scope_cases, scope_trial
from einspec.conformance.session import Session, Trial
from einspec.conformance.targets import Target
from einspec.conformance.trials import plain_trial, ramps
from einspec.formula import walk
from einspec.impls import numpy as adapter

Array = np.ndarray[Any, Any]
T = TypeVar("T")
Verdict = Literal["killed", "equivalent", "survived"]


@dataclass(frozen=True)
class Fate:
    """What became of one mutant."""

    id: str
    operator: str
    formula: str
    verdict: Verdict
    by: str = ""
    """The tier and the kind of clause that killed it, such as ``scope def``."""
    calls: int = 0
    """On how many calls an equivalent one gives what the definition gives."""
    differs: str = ""
    """A call on which one that survived differs from the definition."""


@dataclass
class Score:
    """The fates of the mutants of an op, or of one of its forms."""

    op: str
    fates: list[Fate] = field(default_factory=list)
    candidates: int = 0
    """How many mutants there would be without a limit."""
    accused: list[str] = field(default_factory=list)
    """Clauses that accuse the definition itself, run in the same way: what they kill proves nothing."""

    def count(self, verdict: Verdict) -> int:
        """Return how many mutants had a fate."""
        return sum(f.verdict == verdict for f in self.fates)

    def joined(self, other: Score) -> Score:
        """Return the score of two parts of an op."""
        accused = [*self.accused, *(a for a in other.accused if a not in self.accused)]
        return Score(self.op, [*self.fates, *other.fates], self.candidates, accused)

    @property
    def good(self) -> bool:
        """Whether every mutant that is not equivalent was killed, by clauses that do not accuse the definition."""
        return bool(self.fates) and not self.count("survived") and not self.accused


def score(op: Op | str, only: Sequence[str] | None = None) -> Score:
    """Judge the mutants of an op.

    Args:
        op: the op, or its name.
        only: the values of the string parameter whose forms are looked at; all when absent.
    """
    op = load(op) if isinstance(op, str) else op
    found = Score(op.name, candidates=candidates(op))
    for value, form in op.forms.items():
        if only is None or value in only:
            trial = Court(op, form)
            found.fates += [trial.fate(m) for m in mutants(op) if m.form is form]
            found.accused += trial.control()
    return found


def table(found: Sequence[Score]) -> str:
    """Return the scores as text: a line an op, then what survived and what was accused, then the sum."""
    width = max(len(s.op) for s in found)
    lines = [f"{'op':<{width}}  mutants  equivalent  killed  survived  killed first by"]
    for s in found:
        first = ", ".join(f"{by} {n}" for by, n in Counter(f.by for f in s.fates if f.by).most_common())
        counts = f"{len(s.fates):>7}  {s.count('equivalent'):>10}  {s.count('killed'):>6}  {s.count('survived'):>8}"
        lines.append(f"{s.op:<{width}}  {counts}  {first}")
    for s in found:
        for fate in s.fates:
            if fate.verdict == "survived":
                lines += ["", f"survived: {fate.id}", f"  formula  {fate.formula}", f"  differs  {fate.differs}"]
        lines += [f"accuses the definition itself: {s.op} {clause}" for clause in s.accused]
    made = sum(len(s.fates) for s in found)
    killed, equal = (sum(s.count(verdict) for s in found) for verdict in ("killed", "equivalent"))
    without = sum(s.candidates for s in found)
    rule = f"at most {MOST} an operator and form, {MOST_INLINED} in what other cards bring, of {without:,} there could be"
    share = killed / (made - equal) if made > equal else 1.0
    lines += ["", f"{made:,} mutants of {len(found)} ops ({rule}): {equal:,} equivalent, {killed:,} of {made - equal:,} killed"]
    return "\n".join([*lines, f"score: {share:.2%}"])


def as_json(found: Sequence[Score]) -> dict[str, Any]:
    """Return the scores as plain data: every mutant with what became of it."""
    return {s.op: {"candidates": s.candidates, "accused": s.accused, "mutants": [asdict(f) for f in s.fates]} for s in found}


def scores(names: Sequence[str], processes: int | None = None) -> Iterator[Score]:
    """Yield the scores of ops, form by form as they are found, in processes side by side.

    Args:
        names: the ops.
        processes: how many; as many as there are processors when absent.
    """
    tasks = [(name, value) for name in names for value in load(name).forms]
    tasks.sort(key=lambda task: -_cost(*task))
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(score, name, (value,)) for name, value in tasks]):
            yield future.result()


def _cost(name: str, value: str) -> int:
    """Return about how much work the mutants of a form are, so that the longest come first."""
    form = load(name).forms[value]
    return sum(m.form is form for m in mutants(name)) * sum(1 for e in form.equations for _ in walk(e))


class Court:
    """The judge for the mutants of one form: what the calls must give is found once, and what killed last is tried first."""

    def __init__(self, op: Op, form: Form) -> None:
        self.op, self.form = op, form
        self.stages = [("scope def", Calls(self.defined())), ("scope empty", Calls(self.empty()))]
        self.big = Calls(plain_trial(c, ramps(c)) for c in cases.big(op) if c.form is form)
        self.proof = Made((c, a, evaluated(c, a, form.equations)) for c, a in proof(op, form))
        self.used: set[tuple[str, str]] = set()

    def session(self, function: Any) -> Session:
        """Return the NumPy backend with another function for this op."""
        functions = {n: getattr(adapter, n) for n in vars(adapter) if n in paths()} | {self.op.name: function}
        return Session(Target("mutant", adapter, functions, ""), "cpu")

    def defined(self) -> Iterator[Trial]:
        """Yield the calls of ``def`` in the scope, of this form."""
        context = Context(self.session(None), self.op)
        yield from (scope_trial(c, i) for i, c in enumerate(scope_cases(context, False)[0]) if c.form is self.form)
        yield from (t for t in routed_trials(context)[0] if t.case.form is self.form)

    def empty(self) -> Iterator[Trial]:
        """Yield the calls of ``empty``, of this form."""
        found, _ = scope_cases(Context(self.session(None), self.op), True)
        yield from (scope_trial(c, i) for i, c in enumerate(found) if c.form is self.form)

    def fate(self, mutant: Mutant) -> Fate:
        """Judge one mutant: in the scope; then, unless it is equal to the op there, by everything else."""
        session = self.session(mutant.function)
        by = next((name for name, calls in self.stages if calls.kill(session, mutant)), "")
        count, differs = (0, "") if by else self.compared(mutant)
        if differs:
            by = self.killer(session)
        verdict: Verdict = "killed" if by else "survived" if differs else "equivalent"
        return Fate(mutant.id, mutant.operator, mutant.formula, verdict, by, count, "" if by else differs)

    def killer(self, session: Session) -> str:
        """Return the tier and the kind of clause, beyond the first, that finds a function wrong, or nothing."""
        context = Context(session, self.op, shrinks=False)
        for clause, tier in units(self.op, ("scope", "property")):
            if (clause, tier) not in (("def", "scope"), ("empty", "scope")) and _accuses(context, clause, tier):
                self.used.add((clause, tier))
                return f"{tier} {clause.partition('.')[0]}"
        return "big def" if self.big.kill(session) else ""

    def compared(self, mutant: Mutant) -> tuple[int, str]:
        """Return on how many calls a mutant gives what the definition gives, and the first on which it does not."""
        count = 0
        for case, arrays, wants in self.proof:
            try:
                found = _difference(case, arrays, wants, mutant)
            except (ArithmeticError, ValueError) as error:
                found = f"raises {error}"
            if found:
                return count, f"{self.op.name}({case}): {found}"
            count += 1
        return count, ""

    def control(self) -> list[str]:
        """Return what accuses the definition itself, of all that has killed a mutant."""
        session = self.session(as_function(self.op, {}))
        found = [name for name, calls in (*self.stages, ("big def", self.big)) if calls.accuse(session)]
        context = Context(session, self.op, shrinks=False)
        return found + [f"{tier} {clause}" for clause, tier in sorted(self.used) if _accuses(context, clause, tier)]


def _accuses(context: Context, clause: str, tier: str) -> bool:
    """Whether a clause finds a function wrong."""
    context.tiers = (tier,)
    return any(r.verdict in ("wrong", "errored") for r in judge(context, [clause]))


class Made(Generic[T]):
    """What an iterator gives, made once and when it is needed."""

    def __init__(self, source: Iterator[T]) -> None:
        self.source, self.made = source, list[T]()

    def __iter__(self) -> Iterator[T]:
        yield from self.made
        for item in self.source:
            self.made.append(item)
            yield item


class Calls:
    """Calls that are made up when they are needed, those first that killed before."""

    def __init__(self, source: Iterator[Trial]) -> None:
        self.all = Made(source)
        self.guilty: dict[int, Trial] = {}
        """Calls that killed, by their identity, the last first."""
        self.tensors: dict[int, dict[str, Array]] = {}
        """What the definition gives, by the identity of the call."""

    def kill(self, session: Session, mutant: Mutant | None = None) -> bool:
        """Whether a target is wrong on a call; a mutant need not be called where it does what the definition does."""
        for trial in itertools.chain(list(self.guilty.values()), self.all):
            if mutant is not None and self.alike(mutant, trial):
                continue
            if _wrong(session, trial):
                self.guilty = {id(trial): trial} | self.guilty
                return True
        return False

    def alike(self, mutant: Mutant, trial: Trial) -> bool:
        """Whether the mistake makes no difference on a call."""
        if mutant.place < 0 or mutant.form.kind in EXACT:
            return False
        if id(trial) not in self.tensors:
            self.tensors[id(trial)] = evaluated(trial.case, trial.arrays, mutant.form.equations)
        return mutant.alike(trial.case, trial.arrays, self.tensors[id(trial)])

    def accuse(self, session: Session) -> bool:
        """Whether a target is wrong on a call that has killed."""
        return any(_wrong(session, trial) for trial in self.guilty.values())


def _wrong(session: Session, trial: Trial) -> bool:
    outcome = session.one(trial)
    return outcome.error is not None or outcome.difference(trial) is not None


def _difference(case: Case, arrays: Mapping[str, Array], wants: Mapping[str, Array], mutant: Mutant) -> str:
    """Return how the exact results differ by more than float64 may round, or nothing."""
    with np.errstate(all="ignore"):
        if mutant.alike(case, arrays, wants):
            return ""
        gots = evaluated(case, arrays, mutant.equations)
        for spec in mutant.form.signature.outputs:
            want, got = np.asarray(wants[spec.name]), np.asarray(gots[spec.name])
            if want.shape != got.shape:
                return f"{spec.name} of shape {list(got.shape)} instead of {list(want.shape)}"
            other = ~((want == got) | ((want != want) & (got != got)))
            if other.any() and mutant.form.kind not in EXACT:
                bound = analysed(case, arrays)[spec.name].error
                least = traits_of(mutant.form).nodes * 2.0**-52 * np.abs(want)  # where nothing else is known: a rounding a term
                other &= ~(np.abs(want - got) <= np.where(np.isfinite(bound), bound, least))
            if other.any():
                place = tuple(int(i) for i in np.argwhere(other)[0])
                inputs = ", ".join(f"{k}={v.tolist()}" for k, v in arrays.items())
                return f"{spec.name}{list(place)} is {got[place]} instead of {want[place]}, for {inputs}"[:600]
    return ""
