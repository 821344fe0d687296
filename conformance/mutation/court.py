"""The judge for the mutants of one form, and the calls by which it judges."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from einspec.answers.expect import analysed
from einspec.calls import cases
from einspec.calls.space import Case
from einspec.card import Form, Op, paths
from einspec.conformance.checks.scope import routed_trials, scope_cases, scope_trial
from einspec.conformance.checks.trials import ordinary, plain_trial
from einspec.conformance.clauses import judge, units
from einspec.conformance.judge.judge import Context
from einspec.conformance.judge.session import Session, Trial
from einspec.conformance.mutation.mutants import Mutant, as_function, evaluated
from einspec.conformance.mutation.proof import proof
from einspec.conformance.targets import Target
from einspec.impls import numpy as adapter
from einspec.language.linear import EXACT
from einspec.semantics.traits import traits_of

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


class Court:
    """The judge for the mutants of one form: what the calls must give is found once, and what killed last is tried first."""

    def __init__(self, op: Op, form: Form, vectors: Iterable[Trial] | None = None) -> None:
        """Take the golden vectors of the form, which then judge alone, or nothing: everything judges that `check` runs."""
        self.op, self.form = op, form
        self.stages = [("vectors", Calls(vectors))] if vectors is not None else stages(op, form)
        self.alone = vectors is not None
        self.big = Calls(plain_trial(c, ordinary(c)) for c in cases.big(op) if c.form is form)
        self.proof = Made((c, a, evaluated(c, a, form.equations)) for c, a in proof(op, form))
        self.used: set[tuple[str, str]] = set()

    def fate(self, mutant: Mutant) -> Fate:
        """Judge one mutant: by the first calls; then, unless it is equal to the op there, by everything else."""
        session = session_of(self.op, mutant.function)
        by = next((name for name, calls in self.stages if calls.kill(session, mutant)), "")
        count, differs = (0, "") if by else self.compared(mutant)
        if differs and not self.alone:
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
        session = session_of(self.op, as_function(self.op, {}))
        found = [name for name, calls in (*self.stages, ("big def", self.big)) if calls.accuse(session)]
        context = Context(session, self.op, shrinks=False)
        return found + [f"{tier} {clause}" for clause, tier in sorted(self.used) if _accuses(context, clause, tier)]


def session_of(op: Op, function: Any) -> Session:
    """Return the NumPy backend with another function for an op."""
    functions = {n: getattr(adapter, n) for n in vars(adapter) if n in paths()} | {op.name: function}
    return Session(Target("mutant", adapter, functions, ""), "cpu")


def stages(op: Op, form: Form) -> list[tuple[str, Calls]]:
    """Return the calls of the scope tier of a form: those of ``def``, and those of ``empty``."""
    return [("scope def", Calls(_defined(op, form))), ("scope empty", Calls(_empty(op, form)))]


def _defined(op: Op, form: Form) -> Iterator[Trial]:
    context = Context(session_of(op, None), op)
    yield from (scope_trial(c, i) for i, c in enumerate(scope_cases(context, False)[0]) if c.form is form)
    yield from (t for t in routed_trials(context)[0] if t.case.form is form)


def _empty(op: Op, form: Form) -> Iterator[Trial]:
    found, _ = scope_cases(Context(session_of(op, None), op), True)
    yield from (scope_trial(c, i) for i, c in enumerate(found) if c.form is form)


def _accuses(context: Context, clause: str, tier: str) -> bool:
    """Whether a clause finds a function wrong."""
    context.tiers = (tier,)
    return any(r.verdict in ("wrong", "errored") for r in judge(context, [clause]))


class Made(Generic[T]):
    """What an iterator gives, made once and when it is needed."""

    def __init__(self, source: Iterable[T]) -> None:
        self.source, self.made = iter(source), list[T]()

    def __iter__(self) -> Iterator[T]:
        yield from self.made
        for item in self.source:
            self.made.append(item)
            yield item


class Calls:
    """Calls that are made up when they are needed, those first that killed before."""

    def __init__(self, source: Iterable[Trial]) -> None:
        self.all = Made(source)
        self.guilty: dict[int, Trial] = {}
        """Calls that killed, by their identity, the last first."""
        self.tensors: dict[int, dict[str, Array]] = {}
        """What the definition gives, by the identity of the call."""

    def kill(self, session: Session, mutant: Mutant | None = None) -> bool:
        """Whether a target is wrong on a call; a mutant need not be called where it does what the definition does."""
        killer = next(self.killers(session, mutant), None)
        if killer is not None:
            self.guilty = {id(killer): killer} | self.guilty
        return killer is not None

    def killers(self, session: Session, mutant: Mutant | None = None) -> Iterator[Trial]:
        """Yield the calls on which a target is wrong."""
        for trial in itertools.chain(self.guilty.values(), self.all):
            if (mutant is None or not self.alike(mutant, trial)) and wrong(session, trial):
                yield trial

    def alike(self, mutant: Mutant, trial: Trial) -> bool:
        """Whether the mistake makes no difference on a call."""
        if mutant.place < 0 or mutant.form.kind in EXACT:
            return False
        if id(trial) not in self.tensors:
            self.tensors[id(trial)] = evaluated(trial.case, trial.arrays, mutant.form.equations)
        return mutant.alike(trial.case, trial.arrays, self.tensors[id(trial)])

    def accuse(self, session: Session) -> bool:
        """Whether a target is wrong on a call that has killed."""
        return any(wrong(session, trial) for trial in self.guilty.values())


def wrong(session: Session, trial: Trial) -> bool:
    """Whether a target is wrong on a call."""
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
