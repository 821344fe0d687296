"""Judging a folder of outputs that any program wrote, by golden vectors."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape

from einspec.answers.rules import Difference, Expected, difference
from einspec.conformance.errors import UsageError
from einspec.conformance.judge.literals import expected_text, literal
from einspec.conformance.judge.verdict import Verdict
from einspec.conformance.judge.witness import place
from einspec.conformance.reports.terminal import print_witness
from einspec.conformance.targets.recorded import (
    ERROR,
    MalformedError,
    RecordedSession,
    read_tensors,
)
from einspec.conformance.trial import Outcome
from einspec.conformance.vectors.folder import FORMAT, INDEX, RULES

Array = np.ndarray[Any, Any]
OUTCOMES = {Verdict.HOLDS: "hold", Verdict.WRONG: "wrong", Verdict.NOT_RUN: "missing"}
"""What may become of a case, in the words of the command."""


@dataclass
class OpSummary:
    """What became of the cases of one op."""

    op: str
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    unknown: list[str] = field(default_factory=list)
    """Tensors that belong to no case."""
    problem: str = ""
    """Why nothing could be read."""
    first: dict[str, Any] | None = None
    """The first case that is wrong, as a failure is shown."""

    @property
    def passed(self) -> bool:
        """Whether every case is there and right, and nothing else."""
        all_hold = set(self.verdicts) == {Verdict.HOLDS}
        return all_hold and not (self.unknown or self.problem)


def read_index(folder: Path) -> dict[str, Any]:
    """Return the index of a folder of vectors.

    Raises:
        UsageError: there is none, or one of another format.
    """
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no {INDEX} in {folder}; einspec vectors {folder} writes one") from None
    except ValueError as error:
        raise UsageError(f"{folder / INDEX} is no JSON: {error}") from None
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise UsageError(f"{folder / INDEX} is not of format {FORMAT}; write the vectors again with einspec vectors {folder}")
    return index


def verify(folder: Path, outputs: Path, names: Iterable[str] = ()) -> Iterator[OpSummary]:
    """Yield a summary for every op of a folder of vectors, or for those named.

    Args:
        folder: the vectors.
        outputs: what a program wrote: one safetensors file an op.
        names: the ops.

    Raises:
        UsageError: the vectors cannot be read, or do not hold an op that is named.
    """
    ops = read_index(folder)["ops"]
    wanted = list(names) or list(ops)
    for name in wanted:
        if name not in ops:
            raise UsageError(f"{folder} holds no vectors of {name}; write them with einspec vectors {folder}")
    for name in wanted:
        try:
            yield _judged(name, ops[name], folder, outputs)
        except (KeyError, TypeError, AttributeError) as error:
            text = f"{folder / INDEX} is not as einspec schema vectors says: {name}: {type(error).__name__} {error}"
            raise UsageError(text) from error


def strays(folder: Path, outputs: Path) -> list[str]:
    """Return the files of outputs of which a folder of vectors knows nothing."""
    known = {op["file"] for op in read_index(folder)["ops"].values()}
    return sorted(p.name for p in outputs.iterdir() if p.name not in known)


def _judged(name: str, op: Mapping[str, Any], folder: Path, outputs: Path) -> OpSummary:
    try:
        golden = read_tensors(folder / op["file"])
    except MalformedError as error:
        again = f"write the vectors again with einspec vectors {folder}"
        raise UsageError(f"{error}; {again}") from None
    _check(op, golden, folder)
    session = RecordedSession(outputs / op["file"])
    cases = [_Case(name, op, case, golden) for case in op["cases"]]
    known = (f"{case.id}/{output}" for case in cases for output in (*case.outputs, ERROR))
    summary = OpSummary(name, unknown=session.unknown(known), problem=session.problem)
    for case in cases:
        verdict, failure = case.judged(session)
        summary.verdicts[verdict] += 1
        summary.first = summary.first or failure
    return summary


def _check(op: Mapping[str, Any], golden: Mapping[str, Array], folder: Path) -> None:
    """Check that every expected output is there, with a rule that is known.

    Raises:
        UsageError: one is not; the message names the case.
    """
    for case in op["cases"]:
        for name, how in case.get("outputs", {}).items():
            key, rule = f"{case['id']}/{name}", how["rule"]
            needed = [key, f"{key}.bound"] if rule == "bound" else [key]
            problem = f"has the unknown rule {rule!r}" if rule not in RULES else ""
            problem = problem or next((f"has no tensor {n}" for n in needed if n not in golden), "")
            if problem:
                again = f"write the vectors again with einspec vectors {folder}"
                raise UsageError(f"{folder}: case {case['id']} of {op['file']} {problem}; {again}")


@dataclass
class _Case:
    """One case and what it must give."""

    op: str
    described: Mapping[str, Any]
    case: Mapping[str, Any]
    golden: Mapping[str, Array]

    @property
    def id(self) -> str:
        """The name of the case."""
        return str(self.case["id"])

    @property
    def outputs(self) -> list[str]:
        """The outputs by which a program can answer: those of any form where the call must be rejected."""
        forms = self.described["forms"].values()
        any_form = dict.fromkeys(name for form in forms for name in form["outputs"])
        return list(self.case.get("outputs") or any_form)

    def judged(self, session: RecordedSession) -> tuple[Verdict, dict[str, Any] | None]:
        """Return the verdict on what a program answered, and what is wrong with it as a failure is shown."""
        outcome = session.outcome(self.id, self.outputs)
        if outcome is None:
            return Verdict.NOT_RUN, None
        failure = self.accepted(outcome) if "rejects" in self.case else self.failure(outcome)
        return (Verdict.HOLDS if failure is None else Verdict.WRONG), failure

    def accepted(self, outcome: Outcome) -> dict[str, Any] | None:
        """Return how a call was accepted that must be rejected."""
        if not outcome.outputs:
            return None
        text = f"accepted a call that does not fit ({self.case['why']})"
        return self.shown({"error": self.case["why"]}, {"result": ", ".join(sorted(outcome.outputs))}, text)

    def failure(self, outcome: Outcome) -> dict[str, Any] | None:
        """Return how an answer differs from what must come, in the dtype that is named."""
        wants = {name: self.expected(name) for name in self.case["outputs"]}
        if outcome.error is not None:
            text = "a call that the card allows was rejected"
            return self.shown(_texts(wants), {"error": outcome.error.text or "rejected"}, text)
        for name, want in wants.items():
            array = outcome.outputs.get(name)
            if array is None:
                return self.shown(_texts({name: want}), {}, f"{name}: no such output")
            how = difference(array, want)
            if how is None and array.dtype.name != want.dtype_name:
                how = Difference(f"dtype {array.dtype.name} instead of {want.dtype_name}")
            if how is not None:
                text = f"{name}: {how.problem}{place(name, how.position, want, array)}"
                return self.shown(_texts({name: want}), {name: literal(array)}, text)
        return None

    def expected(self, name: str) -> Expected:
        """Return what an output must be."""
        key, rule = f"{self.id}/{name}", self.case["outputs"][name]
        return Expected(self.golden[key], rule["rule"], self.golden.get(f"{key}.bound"), rule["dtype"])

    def shown(self, expected: Mapping[str, str], got: Mapping[str, str], problem: str) -> dict[str, Any]:
        """Return a failure as plain data, as the judge of backends does."""
        params, id_ = self.case["params"], self.id
        clause = id_.rpartition("-")[0] or id_
        forms = self.described["forms"]
        form = forms.get(params.get(self.described["choice"], ""), next(iter(forms.values())))
        inputs = {n: self.golden[f"{id_}/{n}"] for n in form["inputs"] if f"{id_}/{n}" in self.golden}
        given = {n: list(a.shape) for n, a in inputs.items()} or {n: i["shape"] for n, i in self.case.get("inputs", {}).items()}
        call = ", ".join([*(f"{n}{shape}" for n, shape in given.items()), *(f"{k}={v!r}" for k, v in params.items())])
        return {
            "clause": f"{self.op}/{clause}",
            "summary": self.described["summary"],
            "demand": self.described["clauses"].get(clause, ""),
            "signature": form["signature"],
            "formula": form["formula"],
            "call": f"{self.op}({call})",
            "how": f"case {id_}" + ", a call that must be rejected" * ("rejects" in self.case),
            "inputs": {n: literal(a) for n, a in inputs.items()},
            "expected": dict(expected),
            "got": dict(got),
            "difference": problem,
        }


def _texts(wants: Mapping[str, Expected]) -> dict[str, str]:
    return {name: expected_text(want) for name, want in wants.items()}


def show(summaries: Sequence[OpSummary], strays: Sequence[str], console: Console) -> None:
    """Print a line an op, the first failure of each, and in the end how many ops hold."""
    width = max((len(s.op) for s in summaries), default=0)
    for summary in summaries:
        style = "green" if summary.passed else "bold red"
        counts = ", ".join(f"{summary.verdicts[v]} {word}" for v, word in OUTCOMES.items())
        more = [f"{len(summary.unknown)} unknown"] * bool(summary.unknown) + [summary.problem] * bool(summary.problem)
        line = f"[{style}]{summary.op:<{width}}[/]  {escape('; '.join([counts, *more]))}"
        console.print(line, highlight=False, soft_wrap=True)
    for summary in summaries:
        if summary.first is not None:
            console.rule(f"[bold red]WRONG[/] [bold]{escape(summary.first['clause'])}[/]", align="left")
            console.print(escape(summary.first["difference"]), highlight=False, soft_wrap=True)
            print_witness(summary.first, console)
        if summary.unknown:
            names = ", ".join(summary.unknown[:6])
            console.print(f"{summary.op}: no case has an output {escape(names)}", highlight=False, soft_wrap=True)
    for name in strays:
        console.print(f"[bold red]{escape(name)}[/]: there are no vectors for this file", highlight=False, soft_wrap=True)
    passed = sum(s.passed for s in summaries)
    style, word = ("green", "passed") if passed == len(summaries) and passed and not strays else ("bold red", "failed")
    console.print(f"[{style}]{word}[/]: {passed} of {len(summaries)} ops hold", highlight=False)
