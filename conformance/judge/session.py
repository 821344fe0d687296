"""Calling a target on one device: NumPy arrays in, NumPy arrays or an exception out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from einspec.answers.rules import Difference, Expected, difference
from einspec.calls.space import Case
from einspec.conformance.targets.load import Target
from einspec.dtypes import USUAL, numpy_dtype

Array = np.ndarray[Any, Any]
CHUNK = 64
"""How many calls a framework that compiles gets at once."""


class WrongKind(Exception):
    """A function returned something that is not what its card names: not an array, or not as many."""


@dataclass
class Trial:
    """One call and what it must give. ``call`` replaces the plain function of the op, for laws and transforms."""

    case: Case
    arrays: Mapping[str, Array]
    expected: Mapping[str, Expected]
    call: Callable[..., Any] | None = None
    prepare: Callable[[Any], Any] | None = None
    how: str = ""
    """In what way the call is not the plain one, in words for the failure."""
    direct: bool = False
    """The call is compiled already, or must not be."""
    relation: tuple[str, Callable[[Mapping[str, Array]], Difference | None]] | None = None
    """An output and what it must be besides: where more than one result is right, or a law is about results alone."""

    @property
    def dtypes(self) -> set[str]:
        """The dtypes of the inputs."""
        return {a.dtype.name for a in self.arrays.values()}

    @property
    def unusual(self) -> set[str]:
        """The dtypes that a target may refuse: those of values other than float32, of indices other than int32."""
        form = self.case.form
        return {a.dtype.name for n, a in self.arrays.items() if a.dtype.name != USUAL.get(form.group(n), "float32")}


@dataclass
class Outcome:
    """What a call gave: its outputs by name, or the exception that it raised."""

    outputs: dict[str, Array] = field(default_factory=dict)
    error: BaseException | None = None

    def difference(self, trial: Trial) -> tuple[str, Difference] | None:
        """Return the first output that is not as a trial expects, and how."""
        for name, want in trial.expected.items():
            found = difference(self.outputs[name], want)
            if found is not None:
                return name, found
        if trial.relation is not None:
            name, check = trial.relation
            found = check(self.outputs)
            if found is not None:
                return name, found
        return None


class Session:
    """A target on one device."""

    def __init__(self, target: Target, device: str) -> None:
        self.target, self.device, self.adapter = target, device, target.adapter
        self.not_traceable: dict[str, BaseException] = {}

    @property
    def compiles(self) -> bool:
        """Whether every new shape costs the framework a compilation."""
        return hasattr(self.adapter, "many")

    def holding(self, dtypes: Iterable[str]) -> contextlib.AbstractContextManager[None]:
        """Return a context in which the framework can hold these dtypes."""
        hold = getattr(self.adapter, "holding", None)
        context: contextlib.AbstractContextManager[None] = hold(dtypes) if hold else contextlib.nullcontext()
        return context

    def arguments(self, case: Case, arrays: Mapping[str, Array], prepare: Callable[[Any], Any] | None = None) -> list[Any]:
        """Return the framework's arrays of a call, a listed input as a list."""
        ready = prepare or (lambda x: x)
        args: list[Any] = []
        for spec in case.form.signature.inputs:
            array = arrays[spec.name]
            if spec.listed:
                args.append([ready(self.adapter.asarray(np.array(a, order="C"), self.device)) for a in array])
            else:
                args.append(ready(self.adapter.asarray(np.array(array, order="C"), self.device)))
        return args

    def plain(self, case: Case) -> Callable[..., Any]:
        """Return the function of a case's op with its parameters bound."""
        function = self.target.call(case.op)
        return lambda *args: function(*args, **case.params)

    def run(self, trials: Sequence[Trial]) -> Iterator[Outcome]:
        """Yield the outcome of every trial, in order."""
        if not self.compiles or all(trial.direct for trial in trials):
            yield from (self.one(trial) for trial in trials)
            return
        for start in range(0, len(trials), CHUNK):
            yield from self.chunk(trials[start : start + CHUNK])

    def chunk(self, trials: Sequence[Trial]) -> Iterator[Outcome]:
        """Yield the outcomes of a few trials, compiled together where the functions can be."""
        name = trials[0].case.op.name
        if name not in self.not_traceable:
            try:
                with self.holding(set().union(*(t.dtypes for t in trials))):
                    args = [self.arguments(t.case, t.arrays, t.prepare) for t in trials]
                    results = self.adapter.many([t.call or self.plain(t.case) for t in trials], args)
            except (Exception, SystemExit):
                half = len(trials) // 2
                for part in (trials[:half], trials[half:]) if half else ():
                    yield from self.chunk(part)
                if not half:
                    yield self.one(trials[0])
                return
            for trial, result in zip(trials, results, strict=True):
                yield self.outcome(trial, result)
            return
        yield from (self.one(trial, eager=True) for trial in trials)

    def one(self, trial: Trial, eager: bool = False) -> Outcome:
        """Return the outcome of one trial: compiled where the framework compiles, unless that is what fails."""
        call = trial.call or self.plain(trial.case)
        with self.holding(trial.dtypes):
            args = self.arguments(trial.case, trial.arrays, trial.prepare)
            try:
                if not self.compiles or eager or trial.direct:
                    return self.outcome(trial, call(*args))
                try:
                    result = self.adapter.many([call], [args])[0]
                except (Exception, SystemExit) as error:
                    outcome = self.outcome(trial, call(*args))
                    self.not_traceable[trial.case.op.name] = error
                    return outcome
                return self.outcome(trial, result)
            except (Exception, SystemExit) as error:
                return Outcome(error=error)

    def outcome(self, trial: Trial, result: Any) -> Outcome:
        """Return what a function returned as NumPy arrays by name."""
        try:
            return Outcome(self.unpack(trial, result))
        except WrongKind as error:
            return Outcome(error=error)

    def unpack(self, trial: Trial, result: Any) -> dict[str, Array]:
        """Return the outputs by name; a list where the card has one is stacked.

        Raises:
            WrongKind: the function returned something else.
        """
        specs = {s.name: s for s in trial.case.form.signature.outputs}
        names = list(trial.expected)
        parts = [result] if len(names) == 1 else list(result) if isinstance(result, tuple | list) else None
        if parts is None or len(parts) != len(names):
            got = f"{len(result)} results" if isinstance(result, tuple | list) else type(result).__name__
            raise WrongKind(f"returned {got} where the card has {len(names)} outputs, {', '.join(names)}")
        outputs = {}
        for name, part in zip(names, parts, strict=True):
            if isinstance(part, tuple | list) and (name not in specs or specs[name].listed):
                outputs[name] = self.stacked(name, part, trial.expected[name])
            elif trial.expected[name].dtype_name == "int":
                outputs[name] = self.integer(name, part)
            else:
                outputs[name] = self.array(name, part)
        return outputs

    def integer(self, name: str, part: Any) -> Array:
        """Return a result that must be a Python integer."""
        if not isinstance(part, int) or isinstance(part, bool):
            raise WrongKind(f"returned {type(part).__name__} for {name}, not a Python integer")
        return np.asarray(part)

    def stacked(self, name: str, parts: Sequence[Any], expected: Expected) -> Array:
        """Return a listed output as one array."""
        arrays = [self.array(f"{name}[{i}]", p) for i, p in enumerate(parts)]
        if not arrays:
            return np.zeros((0, *expected.array.shape[1:]), numpy_dtype(expected.dtype_name))
        if len({a.shape for a in arrays}) > 1:
            raise WrongKind(f"returned tensors of unequal shapes in {name}: {[list(a.shape) for a in arrays]}")
        return np.stack(arrays)

    def array(self, name: str, part: Any) -> Array:
        """Return one result as a NumPy array."""
        is_array = getattr(self.adapter, "is_array", None)
        if is_array is not None and not is_array(part):
            raise WrongKind(f"returned {type(part).__name__} for {name}, not an array of {self.target.framework}")
        return np.asarray(self.adapter.to_numpy(part))
