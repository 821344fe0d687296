"""What an adapter may offer besides the four names: right where it is there, noted where it is not."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from einspec.calls.values import ramp
from einspec.clauses import LAYOUTS
from einspec.conformance.checks.surroundings import changed, restore, surroundings
from einspec.conformance.smoke.bench import Bench, Finding, short, told
from einspec.dtypes import numpy_dtype

MOST = 2**80
"""More bytes than there are: infinity and the like are no number of bytes."""
KINDS = ("jit", "compile", "vmap", "vjp")


def check_start(bench: Bench) -> Iterator[Finding]:
    """``start`` takes a folder."""
    if bench.has("start"):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            bench.adapter.start(Path(folder))
        yield Finding("start", "ok", "takes a folder for compiled code")


def check_kind(bench: Bench) -> Iterator[Finding]:
    """``is_array`` tells the framework's arrays from others."""
    if not bench.has("is_array"):
        yield Finding("is_array", "note", "absent: a result of another kind, such as a list, passes if to_numpy takes it")
        return
    x = ramp((2,)).astype(np.float32)
    if not bench.adapter.is_array(bench.array(x)):
        yield Finding("is_array", "PROBLEM", "is false for what asarray gives", "compare with the class of the arrays")
        return
    others = {"a list": [1.0, 2.0], "a float": 1.0, **({} if isinstance(bench.array(x), np.ndarray) else {"a NumPy array": x})}
    wrong = [what for what, other in others.items() if bench.adapter.is_array(other)]
    if wrong:
        yield Finding("is_array", "PROBLEM", f"is true for {', '.join(wrong)}", "compare with the class of the arrays")
    else:
        yield Finding("is_array", "ok", f"true for {type(bench.array(x)).__name__} only")


def check_device_of(bench: Bench) -> Iterator[Finding]:
    """``device_of`` gives the name of the device to which an array was sent."""
    if not bench.has("device_of"):
        yield Finding("device_of", "note", "absent: that results stay on their device is not judged")
        return
    found = {d: bench.adapter.device_of(bench.array(ramp((2,)).astype(np.float32), d)) for d in bench.devices}
    wrong = [f"{got!r} for an array on {want!r}" for want, got in found.items() if got != want]
    if wrong:
        yield Finding("device_of", "PROBLEM", f"gives {'; '.join(wrong)}", "give the names that devices() gives")
    else:
        yield Finding("device_of", "ok", "gives the names of devices()")


def check_layouts(bench: Bench) -> Iterator[Finding]:
    """``layouts`` and ``expanded`` give the same values in other memory."""
    if not bench.has("layouts"):
        yield Finding("layouts", "note", "absent: no memory but the plain one is judged")
        return
    names: dict[str, str] = {}
    for device in bench.devices:
        for dtype in (d for d in ("float32", "int32", "uint8", "bfloat16") if d in bench.adapter.dtypes):
            for shape in ((3,), (2, 3), (2, 3, 4), (2, 0)):
                want = ramp(shape).astype(numpy_dtype(dtype))
                given = bench.adapter.layouts(bench.array(want, device))
                if not isinstance(given, Mapping):
                    yield Finding("layouts", "PROBLEM", f"layouts(x) gives {short(given)}", "return a dict of arrays by name")
                    return
                for name, x in given.items():
                    names[name] = names.get(name) or bench.same(x, want)
    for name, problem in names.items():
        if name not in LAYOUTS:
            yield Finding("layouts", "PROBLEM", f"no layout {name!r}", f"the names are {', '.join(list(LAYOUTS)[:-1])}")
        elif problem:
            yield Finding("layouts", "PROBLEM", f"{name}: {problem}", "a layout holds the same values in other memory")
    if not any(names.values()) and set(names) <= set(LAYOUTS):
        yield Finding("layouts", "ok", ", ".join(names) or "none")
    if not bench.has("expanded"):
        text = "absent beside layouts, and the clauses layout.expanded call it"
        yield Finding("expanded", "PROBLEM", text, "define expanded(x, axis, size): the first slice, repeated without memory")
        return
    want = ramp((2, 3)).astype(np.float32)
    for axis in (0, 1):
        repeated = np.repeat(np.take(want, [0], axis), 4, axis)
        problem = bench.same(bench.adapter.expanded(bench.array(want), axis, 4), repeated)
        if problem:
            yield Finding("expanded", "PROBLEM", f"axis {axis}: {problem}", "repeat the first slice along the axis")
            return
    yield Finding("expanded", "ok", "repeats the first slice")


def check_transforms(bench: Bench) -> Iterator[Finding]:
    """Each transform is right on functions that are easy to get right."""
    found = getattr(bench.adapter, "transforms", {})
    if not isinstance(found, Mapping):
        yield Finding("transforms", "PROBLEM", f"transforms is {short(found)}", 'make it a dict of functions, as {"vmap": ...}')
        return
    for name in [n for n in found if n not in KINDS]:
        yield Finding("transforms", "PROBLEM", f"no transform {name!r}", f"the names are {', '.join(KINDS)}")
    if not found:
        yield Finding("transforms", "note", "absent: no gradient and nothing compiled is judged")
    for name in (n for n in KINDS if n in found):
        try:
            problem = _TRIED.get(name, _tried_compiler)(bench, found[name])
        except (Exception, SystemExit) as error:
            problem = told(error)
        if problem:
            yield Finding(name, "PROBLEM", problem, _MEANT.get(name, "take a function, return one that gives the same"))
        else:
            yield Finding(name, "ok", "right on functions that are easy")


def _tried_compiler(bench: Bench, transform: Callable[..., Any]) -> str:
    x = ramp((2, 3)).astype(np.float32)
    identity = bench.same(transform(lambda a: a)(bench.array(x)), x)
    return identity or bench.same(transform(lambda a, b: a + b)(bench.array(x), bench.array(2 * x)), 3 * x)


def _tried_vmap(bench: Bench, transform: Callable[..., Any]) -> str:
    x = ramp((3, 4)).astype(np.float32)
    return bench.same(transform(lambda row: row + row[0])(bench.array(x)), x + x[:, :1])


def _tried_vjp(bench: Bench, transform: Callable[..., Any]) -> str:
    x, outer = ramp((3,)).astype(np.float32), ramp((3,), 5).astype(np.float32)
    one = transform(lambda a: a * a, [bench.array(x)], [bench.array(outer)])
    if not isinstance(one, tuple | list) or len(one) != 1:
        return f"returned {type(one).__name__} for one input, not a list of one gradient"
    problem = bench.same(one[0], 2 * x * outer)
    if problem:
        return f"the gradient of a * a: {problem}"
    two = transform(lambda a, b: (a + a, a + b), [bench.array(x), bench.array(x)], [bench.array(x), bench.array(outer)])
    return bench.same(two[0], 2 * x + outer) or bench.same(two[1], outer)


_TRIED = {"vmap": _tried_vmap, "vjp": _tried_vjp}
_MEANT = {
    "vmap": "take a function of one sample, return one of a batch",
    "vjp": "take (fn, inputs, cotangents), return a list with the gradient of every input",
}


def check_many(bench: Bench) -> Iterator[Finding]:
    """``many`` gives the result of every call, in order."""
    if not bench.has("many"):
        return
    x = ramp((3,)).astype(np.float32)
    calls = [lambda a: a + a, lambda a, b: a + b]
    results = bench.adapter.many(calls, [[bench.array(x)], [bench.array(x), bench.array(3 * x)]])
    if not isinstance(results, list | tuple) or len(results) != 2:
        yield Finding("many", "PROBLEM", f"gives {type(results).__name__}, not one result a call", "return a list, in order")
        return
    problem = bench.same(results[0], 2 * x) or bench.same(results[1], 4 * x)
    state: Literal["ok", "PROBLEM"] = "PROBLEM" if problem else "ok"
    yield Finding("many", state, problem or "one result a call", "return a list, in order" if problem else "")


def check_state(bench: Bench) -> Iterator[Finding]:
    """``state`` gives by name what is set for the whole framework and stays as it is, ``restore`` puts it back."""
    if not bench.has("state"):
        yield Finding("state", "note", "absent: an op that changes a seed or a setting of the framework is not seen")
        return
    one, other = bench.adapter.state(), bench.adapter.state()
    if not isinstance(one, Mapping) or not all(isinstance(name, str) and name for name in one):
        yield Finding("state", "PROBLEM", f"state() gives {short(one)}", 'return a dict, as {"the default dtype": ...}')
        return
    taken = sorted(set(one) & set(surroundings(None)))
    if taken:
        yield Finding("state", "PROBLEM", f"state() names {', '.join(taken)}", "leave to the judge what is of Python and NumPy")
        return
    unsteady = list(changed(one, other))
    if unsteady:
        text = f"two calls of state() one after the other differ: {'; '.join(unsteady)}"
        yield Finding("state", "PROBLEM", text, "give what stays as it is until it is set, in values that == compares")
        return
    if not bench.has("restore"):
        yield Finding("state", "note", f"{len(one)} settings; restore is absent: what an op has changed stays changed")
        return
    restore(bench.adapter, surroundings(bench.adapter))
    lost = list(changed(one, bench.adapter.state()))
    if lost:
        yield Finding(
            "state", "PROBLEM", f"after restore(state()): {'; '.join(lost)}", "put back what state() gave by these names"
        )
    else:
        yield Finding("state", "ok", f"{', '.join(one) or 'nothing'}; restore puts it back")


def check_free(bench: Bench) -> Iterator[Finding]:
    """``memory`` gives how many bytes are free on a device."""
    if not bench.has("memory"):
        return
    wrong = []
    for device in bench.devices:
        found = bench.adapter.memory(device)
        if isinstance(found, bool) or not isinstance(found, int | float | np.integer | np.floating) or not 0 <= found < MOST:
            wrong.append(f"memory({device!r}) gives {short(found)}")
    if wrong:
        yield Finding("free memory", "PROBLEM", "; ".join(wrong), "return the number of free bytes, or leave memory out")
    else:
        yield Finding("free memory", "ok", "memory gives a number of bytes for every device")
