"""Probing an adapter before any op is called: what it says and gives, as data, not judged."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from einspec.card import paths
from einspec.conformance.protocol import Easy, Found, Item, Probe, Seen, Tensor, tensor
from einspec.conformance.runner.loading import Module
from einspec.conformance.runner.state import changes, process_state, restore
from einspec.conformance.runner.ways import raised, whole
from einspec.conformance.targets.adapter import ADAPTER
from einspec.conformance.targets.names import TargetError

Array = np.ndarray[Any, Any]
COLLECTIONS = (list, tuple, set, frozenset, Mapping)
LONGEST = 100
"""Characters of a value that are shown: a line of a terminal, with what stands before it."""
MOST_PARTS = 64
"""How many arrays are told where a list of them comes: more than any probe asks for."""
EASY: dict[Easy, Callable[..., Any]] = {
    "identity": lambda a: a,
    "add": lambda a, b: a + b,
    "add_first": lambda a: a + a[0],
    "square": lambda a: a * a,
    "twice_and_sum": lambda a, b: (a + a, a + b),
}


class Prober:
    """An adapter, and what is done with it."""

    def __init__(self, adapter: Any) -> None:
        self.adapter = adapter

    def answer(self, probe: Probe) -> Found:
        """Return what comes of a probe."""
        try:
            with self.holding(probe.given):
                found: Found = getattr(self, f"probe_{probe.kind}")(probe)
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            return Found(error=raised(error))
        return found

    def holding(self, given: Sequence[Tensor]) -> contextlib.AbstractContextManager[None]:
        """Return a context in which the framework can hold these arrays."""
        nothing: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        hold = getattr(self.adapter, "holding", None)
        return hold({t.dtype for t in given}) if hold and given else nothing

    def arrays(self, probe: Probe) -> list[Any]:
        """Return the arrays that are given, on the device."""
        return [self.adapter.asarray(whole(t), probe.device) for t in probe.given]

    def items(self, values: Sequence[Any]) -> tuple[Item, ...]:
        """Return arrays of the framework as the bytes that ``to_numpy`` gives."""
        return tuple(_item(self.adapter.to_numpy(v)) for v in values[:MOST_PARTS])

    def probe_look(self, probe: Probe) -> Found:
        """Say what a name stands for; nothing where it is absent."""
        there = hasattr(self.adapter, probe.name)
        return Found((seen(getattr(self.adapter, probe.name)),) if there else ())

    def probe_devices(self, probe: Probe) -> Found:
        """Say what ``devices`` gives, twice."""
        return Found((seen(self.adapter.devices()), seen(self.adapter.devices())))

    def probe_memory(self, probe: Probe) -> Found:
        """Say what ``memory`` gives for a device."""
        return Found((seen(self.adapter.memory(probe.device)),))

    def probe_start(self, probe: Probe) -> Found:
        """Call ``start`` with a folder."""
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            self.adapter.start(Path(folder))
        return Found()

    def probe_trip(self, probe: Probe) -> Found:
        """Send arrays to a device and take them back."""
        return Found(items=self.items(self.arrays(probe)))

    def probe_shares(self, probe: Probe) -> Found:
        """Say which of the arrays are the same memory: ``argument``, ``memory``, ``result``."""
        source = whole(probe.given[0])
        x = self.adapter.asarray(source, probe.device)
        before = np.array(self.adapter.to_numpy(x))
        source[0] = 99
        shared = []
        if np.array(self.adapter.to_numpy(x)).tobytes() != before.tobytes():
            shared.append("argument" if x is source else "memory")
        back = np.asarray(self.adapter.to_numpy(x))
        if back.flags.writeable:
            back[0] = 77
            if np.array(self.adapter.to_numpy(x))[0] == 77:
                shared.append("result")
        return Found((seen(shared),))

    def probe_is_array(self, probe: Probe) -> Found:
        """Say of which class the framework's arrays are, and for what ``is_array`` is true."""
        (x,) = self.arrays(probe)
        things = {
            "the array": x,
            "a list": [1.0, 2.0],
            "a float": 1.0,
            "a NumPy array": whole(probe.given[0]),
        }
        taken = [what for what, thing in things.items() if self.adapter.is_array(thing)]
        return Found((seen(x), seen(taken)))

    def probe_device_of(self, probe: Probe) -> Found:
        """Say what ``device_of`` gives for an array on a device."""
        return Found((seen(self.adapter.device_of(self.arrays(probe)[0])),))

    def probe_layouts(self, probe: Probe) -> Found:
        """Give the same values in other memory, with its names."""
        found = self.adapter.layouts(self.arrays(probe)[0])
        if not isinstance(found, Mapping):
            return Found((seen(found),))
        return Found((seen(found),), self.items(list(found.values())))

    def probe_expanded(self, probe: Probe) -> Found:
        """Give the first slice along an axis, repeated."""
        found = self.adapter.expanded(self.arrays(probe)[0], probe.axis, probe.size)
        return Found(items=self.items([found]))

    def probe_transform(self, probe: Probe) -> Found:
        """Give what an easy function gives under a transform."""
        transform = self.adapter.transforms[probe.name]
        args, function = self.arrays(probe), EASY[probe.function]
        if probe.name == "vmap":
            return Found(items=self.items([transform(function, (probe.axis,) * len(args), probe.axis)(*args)]))
        if probe.name not in ("vjp", "jvp"):
            return Found(items=self.items([transform(function)(*args)]))
        found = transform(function, args[: probe.inputs], args[probe.inputs :])
        if probe.name == "jvp":
            return Found(items=self.items(found if isinstance(found, list | tuple) else [found]))
        return self.several(found)

    def probe_many(self, probe: Probe) -> Found:
        """Give the results of two calls."""
        one, other = self.arrays(probe)
        return self.several(self.adapter.many([EASY["square"], EASY["add"]], [[one], [one, other]]))

    def probe_state(self, probe: Probe) -> Found:
        """Say which names ``state`` gives, which of them are the judge's own, what is unsteady."""
        one, other = self.adapter.state(), self.adapter.state()
        if not isinstance(one, Mapping):
            return Found((seen(one),))
        own = process_state(None)
        unsteady = list(changes(one, other)) if isinstance(other, Mapping) else ["its class"]
        return Found((seen(one), seen(sorted(set(map(str, one)) & set(own))), seen(unsteady)))

    def probe_restore(self, probe: Probe) -> Found:
        """Say what is not as it was once it was put back."""
        before = self.adapter.state()
        restore(self.adapter, process_state(self.adapter))
        return Found((seen(list(changes(before, self.adapter.state()))),))

    def several(self, values: Any) -> Found:
        """Return a list of arrays, and of which class it is."""
        if not isinstance(values, list | tuple):
            return Found((Seen(type(values).__name__),))
        return Found((Seen("list"),), self.items(values))


def opened(name: str) -> tuple[Prober, Found]:
    """Return the adapter that a name stands for, and what it is.

    What it is: ``adapter``, ``functions`` of a file that borrows one, or ``nothing`` of either,
    with the name of the module or of the framework; the file; the ops.
    """
    found = Module(name)
    module = found.module
    file = Seen("file", texts=(str(getattr(module, "__file__", None) or ""),))
    if any(hasattr(module, n) for n in ADAPTER):
        ops = [op for op in paths() if callable(getattr(module, op, None))]
        what = Seen("adapter", texts=(module.__name__,))
        return Prober(module), Found((what, file, seen(ops)))
    try:
        found.choose({})
        candidate = found.candidates({})[0]
    except TargetError:
        what = Seen("nothing", texts=(module.__name__,))
        return Prober(module), Found((what, file, seen([])))
    framework = str(getattr(candidate.adapter, "framework", name))
    what = Seen("functions", texts=(framework,))
    return Prober(candidate.adapter), Found((what, file, seen(list(candidate.functions))))


def _item(value: Any) -> Item:
    """Return what ``to_numpy`` gave, as data."""
    if not isinstance(value, np.ndarray | np.generic):
        return Item("other", text=type(value).__name__)
    array = np.asarray(value)
    if array.dtype.hasobject:
        return Item("other", text=f"an array of {array.dtype.name}")
    return Item("array", tensor(array))


def seen(value: Any) -> Seen:
    """Return what an adapter says or gives, as data."""
    return Seen(
        type(value).__name__,
        _line(value),
        callable(value),
        _texts(value),
        _entries(value),
        _number(value),
    )


def _texts(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, str | Path):
        return (str(value),)
    if not isinstance(value, COLLECTIONS) or not all(isinstance(v, str) for v in value):
        return None
    return tuple(map(str, value))


def _entries(value: Any) -> tuple[tuple[str, ...] | str, ...] | None:
    if not isinstance(value, COLLECTIONS):
        return None
    return tuple(_entry(entry) for entry in value)


def _entry(value: Any) -> tuple[str, ...] | str:
    whole_entry = isinstance(value, tuple | list) and all(isinstance(v, str) for v in value)
    return tuple(map(str, value)) if whole_entry else _line(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return None
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _line(value: Any) -> str:
    """Return a value, whatever it is, on one line that can be read."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = type(value).__name__
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
