"""What becomes of the mutants of one form: the judge is asked about each as about any target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from einspec.answers.expect import analysed
from einspec.calls import cases
from einspec.calls.space import Case
from einspec.card import Form, Op
from einspec.clauses import VALUES
from einspec.conformance.checks.block import Block
from einspec.conformance.checks.scene import Scene
from einspec.conformance.checks.trials import ordinary, plain_trial
from einspec.conformance.clauses import OF_DEFINITION, units
from einspec.conformance.judge.context import Context
from einspec.conformance.judge.judging import judge_unit
from einspec.conformance.judge.policy import Policy
from einspec.conformance.mutation.calls import Calls, Made, session_of
from einspec.conformance.mutation.formula import as_function, evaluated
from einspec.conformance.mutation.mutants import Mutant
from einspec.conformance.mutation.proof import proof
from einspec.conformance.protocol import parameters
from einspec.conformance.run.sheets import SheetStore, store
from einspec.conformance.targets.session import Session
from einspec.conformance.trial import Trial
from einspec.language.linear import EXACT
from einspec.semantics.traits import traits_of

Array = np.ndarray[Any, Any]
Status = Literal["killed", "equivalent", "survived"]
TIERS = ("scope", "property")
"""The tiers that judge what the first calls let live."""


@dataclass(frozen=True)
class Assessment:
    """What became of one mutant."""

    id: str
    operator: str
    what: str
    """The equation that holds the mistake; when a fault makes a difference."""
    status: Status
    by: str = ""
    """The tier and the kind of clause that killed it, such as ``scope def``."""
    calls: int = 0
    """On how many calls an equivalent one gives what the definition gives, or the function that it was made of."""
    reached: int = 0
    """In how many of them what a fault is applied to was there: none says that its condition never holds."""
    differs: str = ""
    """A call on which one that survived differs."""


class Assessor:
    """The judge for the mutants of one form: what killed last is tried first."""

    def __init__(self, op: Op, form: Form, vectors: Iterable[Trial] | None = None) -> None:
        """Take golden vectors, which then judge alone, or none: all judges that ``check`` runs."""
        self.op, self.form, self.sheets = op, form, store()
        self.alone = vectors is not None
        golden = None if vectors is None else {"vectors": Calls(vectors)}
        self.stages = golden or stages(op, form, self.sheets)
        big = (c for c in cases.big(op) if c.form is form)
        self.big = Calls(plain_trial(c, ordinary(c)) for c in big)
        self.proof = Made((c, a, evaluated(c, a, form.equations)) for c, a in proof(op, form))
        self.used: set[tuple[str, str]] = set()
        """The clauses that killed beyond the first calls, each with its tier."""

    def assess(self, mutant: Mutant) -> Assessment:
        """Judge one mutant: by the first calls; then, if it is not equivalent, by all else."""
        session = session_of(self.op, mutant.function)
        by = next((name for name, calls in self.stages.items() if calls.kill(session, mutant)), "")
        count, differs = (0, "") if by else self.compared(mutant)
        if differs and not self.alone:
            by = self.killer(session)
        status: Status = "killed" if by else "survived" if differs else "equivalent"
        shown = "" if by else differs
        return Assessment(mutant.id, mutant.operator, mutant.formula, status, by, count, differs=shown)

    def killer(self, session: Session) -> str:
        """Return the tier and the kind of clause that finds a function wrong, or nothing."""
        context = self.context(session)
        for clause, tier in units(self.op, TIERS):
            asked = tier == "scope" and clause in (*OF_DEFINITION, "empty")
            if not asked and _finds_wrong(context, clause, tier):
                self.used.add((clause, tier))
                return f"{tier} {clause.partition('.')[0]}"
        return "big def" if self.big.kill(session) else ""

    def context(self, session: Session) -> Context:
        """Return the op of a session as the judge takes it."""
        policy = Policy(tiers=TIERS)
        return Context(session, self.op, self.sheets, policy, shrinks=False)

    def compared(self, mutant: Mutant) -> tuple[int, str]:
        """Return on how many calls a mutant is as the definition, and where it first is not."""
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
        first = {**self.stages, "big def": self.big}
        found = [name for name, calls in first.items() if calls.kill_again(session)]
        context = self.context(session)
        used = sorted(self.used)
        return found + [f"{tier} {c}" for c, tier in used if _finds_wrong(context, c, tier)]


def stages(op: Op, form: Form, sheets: SheetStore) -> dict[str, Calls]:
    """Return the calls of a form in the tier ``scope`` by kind, in the order to try them."""
    return {
        "scope def": Calls(_asked(op, form, sheets, "def")),
        "scope values": Calls(t for clause in VALUES for t in _asked(op, form, sheets, clause)),
        "scope empty": Calls(_asked(op, form, sheets, "empty")),
    }


def _asked(op: Op, form: Form, sheets: SheetStore, clause: str) -> Iterator[Trial]:
    """Yield the calls of a form that a clause asks a backend of NumPy for."""
    block: Block = sheets.block(Scene(op), clause, "scope")
    for number, call in enumerate(block.decoded):
        if op.form(op.bind(parameters(call))) is form:
            yield block.trial(number)


def _finds_wrong(context: Context, clause: str, tier: str) -> bool:
    """Whether a clause finds a function wrong."""
    return judge_unit(context, clause, tier).verdict.fails


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
                # where nothing else is known: a rounding a term
                least = traits_of(mutant.form).nodes * 2.0**-52 * np.abs(want)
                other &= ~(np.abs(want - got) <= np.where(np.isfinite(bound), bound, least))
            if other.any():
                return _shown(spec.name, want, got, np.argwhere(other)[0], arrays)
    return ""


def _shown(name: str, want: Array, got: Array, at: Sequence[Any], arrays: Mapping[str, Array]) -> str:
    place = tuple(int(i) for i in at)
    inputs = ", ".join(f"{k}={v.tolist()}" for k, v in arrays.items())
    return f"{name}{list(place)} is {got[place]} instead of {want[place]}, for {inputs}"[:600]
