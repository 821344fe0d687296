"""Judging a folder of outputs that any program wrote, by golden vectors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape

from einspec.answers.rules import Expected, difference
from einspec.conformance.errors import UsageError
from einspec.conformance.judge.witness import expected_text, literal, where
from einspec.conformance.reports.terminal import print_witness
from einspec.conformance.vectors.folder import FORMAT, INDEX, RULES
from einspec.dtypes import numpy_dtype

Array = np.ndarray[Any, Any]
DTYPES = {
    **{f"{letter}{bits}": f"{kind}{bits}" for letter, kind in (("I", "int"), ("U", "uint")) for bits in (8, 16, 32, 64)},
    **{f"F{bits}": f"float{bits}" for bits in (16, 32, 64)},
    "BF16": "bfloat16",
    "BOOL": "bool",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
}
"""The dtypes of safetensors files under the names that einspec gives them."""
ERROR = "error"
"""The output by which a program says that it rejects a call: any tensor; bytes are shown as text."""


class MalformedError(ValueError):
    """A file is no safetensors file, or holds a dtype that no op has."""


@dataclass
class Verdict:
    """What became of the cases of one op."""

    op: str
    holds: int = 0
    wrong: int = 0
    missing: int = 0
    unknown: list[str] = field(default_factory=list)
    """Tensors that belong to no case."""
    problem: str = ""
    """Why nothing could be read."""
    first: dict[str, Any] | None = None
    """The first case that is wrong, as a failure is shown."""

    @property
    def passed(self) -> bool:
        """Whether every case is there and right, and nothing else."""
        return bool(self.holds) and not (self.wrong or self.missing or self.unknown or self.problem)


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


def read_tensors(path: Path) -> dict[str, Array]:
    """Return the tensors of a safetensors file by name.

    Raises:
        MalformedError: the file is none, or holds a dtype that no op has.
    """
    from safetensors import SafetensorError, deserialize

    try:
        parts = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]  # safetensors has no types here
    except (SafetensorError, OSError) as error:
        raise MalformedError(f"{path} is no safetensors file: {error}") from None
    foreign = sorted({f"{name} is {part['dtype']}" for name, part in parts if part["dtype"] not in DTYPES})
    if foreign:
        raise MalformedError(f"{path} holds dtypes that no op has: {', '.join(foreign[:3])}")
    return {n: np.frombuffer(p["data"], numpy_dtype(DTYPES[p["dtype"]])).reshape(p["shape"]) for n, p in parts}


def verify(folder: Path, outputs: Path, names: Iterable[str] = ()) -> Iterator[Verdict]:
    """Yield a verdict for every op of a folder of vectors, or for those named.

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


def _judged(name: str, op: Mapping[str, Any], folder: Path, outputs: Path) -> Verdict:
    try:
        golden = read_tensors(folder / op["file"])
    except MalformedError as error:
        raise UsageError(f"{error}; write the vectors again with einspec vectors {folder}") from None
    _check(op, golden, folder)
    verdict, path = Verdict(name), outputs / op["file"]
    try:
        got = read_tensors(path) if path.exists() else {}
    except MalformedError as error:
        got, verdict.problem = {}, str(error)
    if not path.exists():
        verdict.problem = f"no file {path}"
    cases = [_Case(name, op, case, golden, got) for case in op["cases"]]
    verdict.unknown = sorted(got.keys() - {key for case in cases for key in case.keys})
    for case in cases:
        if not case.keys & got.keys():
            verdict.missing += 1
            continue
        problem = case.failure()
        if problem is None:
            verdict.holds += 1
        else:
            verdict.wrong += 1
            verdict.first = verdict.first or problem
    return verdict


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
    """One case, what it must give and what came."""

    op: str
    described: Mapping[str, Any]
    case: Mapping[str, Any]
    golden: Mapping[str, Array]
    got: Mapping[str, Array]

    @property
    def keys(self) -> set[str]:
        """The tensors by which a program can answer."""
        forms = self.described["forms"].values()
        outputs = self.case.get("outputs") or {name for form in forms for name in form["outputs"]}
        return {f"{self.case['id']}/{name}" for name in (*outputs, ERROR)}

    @property
    def error(self) -> str | None:
        """What a program says for an error, None where it rejects nothing."""
        array = self.got.get(f"{self.case['id']}/{ERROR}")
        if array is None:
            return None
        return array.tobytes().decode(errors="replace") if array.dtype == np.uint8 else ""

    def failure(self) -> dict[str, Any] | None:
        """Return what is wrong with the answer, as a failure is shown."""
        if "rejects" in self.case:
            found = sorted(key.partition("/")[2] for key in self.keys & self.got.keys() if not key.endswith(f"/{ERROR}"))
            text = f"accepted a call that does not fit ({self.case['why']})"
            return self.shown({"error": self.case["why"]}, {"result": ", ".join(found)}, text) if found else None
        wants = {name: self.expected(name) for name in self.case["outputs"]}
        if self.error is not None:
            text = "a call that the card allows was rejected"
            return self.shown(_texts(wants), {"error": self.error or "rejected"}, text)
        for name, want in wants.items():
            array = self.got.get(f"{self.case['id']}/{name}")
            if array is None:
                return self.shown(_texts({name: want}), {}, f"{name}: no such output")
            how = difference(array, want)
            if how is not None:
                text = f"{name}: {how.problem}{where(name, how.position, want, array)}"
                return self.shown(_texts({name: want}), {name: literal(array)}, text)
        return None

    def expected(self, name: str) -> Expected:
        key, rule = f"{self.case['id']}/{name}", self.case["outputs"][name]
        return Expected(self.golden[key], rule["rule"], self.golden.get(f"{key}.bound"), rule["dtype"])

    def shown(self, expected: Mapping[str, str], got: Mapping[str, str], problem: str) -> dict[str, Any]:
        """Return a failure as plain data, as the judge of backends does."""
        params, id_ = self.case["params"], self.case["id"]
        forms = self.described["forms"]
        form = forms.get(params.get(self.described["choice"], ""), next(iter(forms.values())))
        inputs = {n: self.golden[f"{id_}/{n}"] for n in form["inputs"] if f"{id_}/{n}" in self.golden}
        given = {n: list(a.shape) for n, a in inputs.items()} or {n: i["shape"] for n, i in self.case.get("inputs", {}).items()}
        call = ", ".join([*(f"{n}{shape}" for n, shape in given.items()), *(f"{k}={v!r}" for k, v in params.items())])
        return {
            "clause": f"{self.op}/{id_.rpartition('-')[0] or id_}",
            "summary": self.described["summary"],
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


def show(verdicts: Sequence[Verdict], strays: Sequence[str], console: Console) -> None:
    """Print a line an op, the first failure of each, and in the end how many ops hold."""
    width = max((len(v.op) for v in verdicts), default=0)
    for verdict in verdicts:
        style = "green" if verdict.passed else "bold red"
        counts = f"{verdict.holds} hold, {verdict.wrong} wrong, {verdict.missing} missing"
        more = [f"{len(verdict.unknown)} unknown"] * bool(verdict.unknown) + [verdict.problem] * bool(verdict.problem)
        line = f"[{style}]{verdict.op:<{width}}[/]  {escape('; '.join([counts, *more]))}"
        console.print(line, highlight=False, soft_wrap=True)
    for verdict in verdicts:
        if verdict.first is not None:
            console.rule(f"[bold red]WRONG[/] [bold]{escape(verdict.first['clause'])}[/]", align="left")
            console.print(escape(verdict.first["difference"]), highlight=False, soft_wrap=True)
            print_witness(verdict.first, console)
        if verdict.unknown:
            names = ", ".join(verdict.unknown[:6])
            console.print(f"{verdict.op}: no case has an output {escape(names)}", highlight=False, soft_wrap=True)
    for name in strays:
        console.print(f"[bold red]{escape(name)}[/]: there are no vectors for this file", highlight=False, soft_wrap=True)
    passed = sum(v.passed for v in verdicts)
    style, word = ("green", "passed") if passed == len(verdicts) and passed and not strays else ("bold red", "failed")
    console.print(f"[{style}]{word}[/]: {passed} of {len(verdicts)} ops hold", highlight=False)
