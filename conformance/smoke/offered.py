"""What an adapter may offer besides the four names: right where it is there, else noted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from einspec.calls.values import ramp
from einspec.clauses import LAYOUTS
from einspec.conformance.protocol import Found
from einspec.conformance.smoke.bench import AdapterError, Array, Bench, Finding, differ
from einspec.dtypes import numpy_dtype

MOST = 2.0**80
"""More bytes than there are: infinity and the like are no number of bytes."""
KINDS = ("jit", "compile", "codegen", "vmap", "vjp", "jvp")
"""The transforms that the judge asks for."""
DEAR = "codegen"
"""The one that takes as long as all others, so that only its tier calls it."""
DTYPES = ("float32", "int32", "uint8", "bfloat16")
"""Dtypes in which layouts are tried: of four, one and two bytes, one of them not NumPy's own."""
SHAPES = ((3,), (2, 3), (2, 3, 4), (2, 0))


def _floats(shape: tuple[int, ...], start: int = 1) -> Array:
    return ramp(shape, start).astype(np.float32)


def check_start(bench: Bench) -> Iterator[Finding]:
    """``start`` takes a folder."""
    if bench.has("start"):
        bench.probe("start")
        yield Finding("start", "ok", "takes a folder for compiled code")


def check_kind(bench: Bench) -> Iterator[Finding]:
    """``is_array`` tells the framework's arrays from others."""
    if not bench.has("is_array"):
        text = "absent: a result of another kind, such as a list, passes if to_numpy takes it"
        yield Finding("is_array", "note", text)
        return
    own, taken = bench.probe("is_array", [_floats((2,))], device=bench.devices[0]).seen
    advice, names = "compare with the class of the arrays", list(taken.texts or ())
    if "the array" not in names:
        yield Finding("is_array", "PROBLEM", "is false for what asarray gives", advice)
        return
    usual = ["the array", *(["a NumPy array"] if own.kind == "ndarray" else [])]
    wrong = [what for what in names if what not in usual]
    if wrong:
        yield Finding("is_array", "PROBLEM", f"is true for {', '.join(wrong)}", advice)
    else:
        yield Finding("is_array", "ok", f"true for {own.kind} only")


def check_device_of(bench: Bench) -> Iterator[Finding]:
    """``device_of`` gives the name of the device to which an array was sent."""
    if not bench.has("device_of"):
        text = "absent: that results stay on their device is not judged"
        yield Finding("device_of", "note", text)
        return
    x = [_floats((2,))]
    found = {d: bench.probe("device_of", x, device=d).seen[0] for d in bench.devices}
    wrong = [
        f"{got.text} for an array on {device!r}"
        for device, got in found.items()
        if got.texts != (device,) or got.entries is not None
    ]
    if wrong:
        advice = "give the names that devices() gives"
        yield Finding("device_of", "PROBLEM", f"gives {'; '.join(wrong)}", advice)
    else:
        yield Finding("device_of", "ok", "gives the names of devices()")


def check_layouts(bench: Bench) -> Iterator[Finding]:
    """``layouts`` and ``expanded`` give the same values in other memory."""
    if not bench.has("layouts"):
        yield Finding("layouts", "note", "absent: no memory but the plain one is judged")
        return
    names: dict[str, str] = {}
    held = bench.dtypes
    for device in bench.devices:
        for dtype in (d for d in DTYPES if d in held):
            for shape in SHAPES:
                x = ramp(shape).astype(numpy_dtype(dtype))
                found = bench.probe("layouts", [x], device=device)
                (given,) = found.seen
                if given.texts is None or len(found.items) != len(given.texts):
                    advice = "return a dict of arrays by name"
                    yield Finding("layouts", "PROBLEM", f"layouts(x) gives {given.text}", advice)
                    return
                for name, item in zip(given.texts, found.items, strict=True):
                    names[name] = names.get(name) or differ([item], [x])
    yield from _layouts(names)
    yield from _expanded(bench)


def _layouts(names: dict[str, str]) -> Iterator[Finding]:
    """Yield what to say of layouts, each with what is wrong with it."""
    for name, problem in names.items():
        if name not in LAYOUTS:
            advice = f"the names are {', '.join(list(LAYOUTS)[:-1])}"
            yield Finding("layouts", "PROBLEM", f"no layout {name!r}", advice)
        elif problem:
            advice = "a layout holds the same values in other memory"
            yield Finding("layouts", "PROBLEM", f"{name}: {problem}", advice)
    if not any(names.values()) and set(names) <= set(LAYOUTS):
        yield Finding("layouts", "ok", ", ".join(names) or "none")


def _expanded(bench: Bench) -> Iterator[Finding]:
    if not bench.has("expanded"):
        text = "absent beside layouts, and the clauses layout.expanded call it"
        advice = "define expanded(x, axis, size): the first slice, repeated without memory"
        yield Finding("expanded", "PROBLEM", text, advice)
        return
    x, size = _floats((2, 3)), 4
    for axis in (0, 1):
        repeated = np.repeat(np.take(x, [0], axis), size, axis)
        items = bench.probe("expanded", [x], device=bench.devices[0], axis=axis, size=size).items
        if problem := differ(items, [repeated]):
            advice = "repeat the first slice along the axis"
            yield Finding("expanded", "PROBLEM", f"axis {axis}: {problem}", advice)
            return
    yield Finding("expanded", "ok", "repeats the first slice")


def check_transforms(bench: Bench) -> Iterator[Finding]:
    """Each transform is right on functions that are easy to get right."""
    there = bench.look("transforms")
    if there is not None and (there.kind != "dict" or there.texts is None):
        advice = 'make it a dict of functions, as {"vmap": ...}'
        yield Finding("transforms", "PROBLEM", f"transforms is {there.text}", advice)
        return
    found = (there.texts if there is not None else None) or ()
    for name in [n for n in found if n not in KINDS]:
        advice = f"the names are {', '.join(KINDS)}"
        yield Finding("transforms", "PROBLEM", f"no transform {name!r}", advice)
    if not found:
        text = "absent: no gradient and nothing compiled is judged"
        yield Finding("transforms", "note", text)
    for name in (n for n in KINDS if n in found):
        if name == DEAR:
            yield Finding(name, "note", "called by einspec check --tier compile alone")
            continue
        try:
            problem = _transform_problem(bench, name)
        except AdapterError as error:
            problem = str(error)
        if problem:
            yield Finding(name, "PROBLEM", problem, MEANT.get(name, SAME))
        else:
            yield Finding(name, "ok", "right on functions that are easy")


SAME = "take a function, return one that gives the same"
MEANT = {
    "vmap": "take (fn, in_axes, out_axes), return fn mapped over these axes",
    "vjp": "take (fn, inputs, cotangents), return a list with the gradient of every input",
    "jvp": "take (fn, inputs, tangents), return what fn returns, with the tangents of the outputs in their place",
}
"""What a transform is to do, where it is not the same."""


def _transform_problem(bench: Bench, name: str) -> str:
    """Return what a transform does wrong, or nothing."""
    if name == "vjp":
        return _vjp_problem(bench)
    if name == "jvp":
        x, along = _floats((3,)), _floats((3,), 5)
        one = differ(_transformed(bench, name, [x, along], "square", inputs=1).items, [2 * x * along])
        pair = _transformed(bench, name, [x, x, along, 2 * along], "twice_and_sum", inputs=2)
        return one or differ(pair.items, [2 * along, 3 * along])
    if name == "vmap":
        x = _floats((3, 4))
        first = differ(_transformed(bench, name, [x], "add_first").items, [x + x[:, :1]])
        return first or differ(_transformed(bench, name, [x], "add_first", axis=1).items, [x + x[:1]])
    x = _floats((2, 3))
    one = differ(_transformed(bench, name, [x], "identity").items, [x])
    return one or differ(_transformed(bench, name, [x, 2 * x], "add").items, [3 * x])


def _vjp_problem(bench: Bench) -> str:
    x, outer = _floats((3,)), _floats((3,), 5)
    one = _transformed(bench, "vjp", [x, outer], "square", inputs=1)
    got = one.seen[0].kind if one.seen else "nothing"
    if got != "list" or len(one.items) != 1:
        return f"returned {got} for one input, not a list of one gradient"
    if problem := differ(one.items, [2 * x * outer]):
        return f"the gradient of a * a: {problem}"
    two = _transformed(bench, "vjp", [x, x, x, outer], "twice_and_sum", inputs=2)
    return differ(two.items, [2 * x + outer, outer])


def _transformed(bench: Bench, name: str, given: list[Array], function: str, inputs: int = 0, axis: int = 0) -> Found:
    """Return what an easy function gives under a transform."""
    options = {"name": name, "function": function, "inputs": inputs, "axis": axis}
    return bench.probe("transform", given, device=bench.devices[0], **options)


def check_many(bench: Bench) -> Iterator[Finding]:
    """``many`` gives the result of every call, in order."""
    if not bench.has("many"):
        return
    x = _floats((3,))
    advice = "return a list, in order"
    found = bench.probe("many", [x, 3 * x], device=bench.devices[0])
    if found.seen[0].kind != "list" or len(found.items) != 2:
        text = f"gives {found.seen[0].kind}, not one result a call"
        yield Finding("many", "PROBLEM", text, advice)
    elif problem := differ(found.items, [x * x, 4 * x]):
        yield Finding("many", "PROBLEM", problem, advice)
    else:
        yield Finding("many", "ok", "one result a call")


def check_state(bench: Bench) -> Iterator[Finding]:
    """``state`` gives by name what is set and stays as it is, ``restore`` puts it back."""
    if not bench.has("state"):
        text = "absent: an op that changes a seed or a setting of the framework is not seen"
        yield Finding("state", "note", text)
        return
    given, *rest = bench.probe("state").seen
    names = given.texts
    if len(rest) != 2 or names is None or not all(names):
        advice = 'return a dict, as {"the default dtype": ...}'
        yield Finding("state", "PROBLEM", f"state() gives {given.text}", advice)
        return
    taken, unsteady = (each.texts or () for each in rest)
    if taken:
        advice = "leave to the judge what is of Python and NumPy"
        yield Finding("state", "PROBLEM", f"state() names {', '.join(taken)}", advice)
    elif unsteady:
        text = f"two calls of state() one after the other differ: {'; '.join(unsteady)}"
        advice = "give what stays as it is until it is set, in values that == compares"
        yield Finding("state", "PROBLEM", text, advice)
    elif not bench.has("restore"):
        text = f"{len(names)} settings; restore is absent: what an op has changed stays changed"
        yield Finding("state", "note", text)
    else:
        yield _restored(bench, names)


def _restored(bench: Bench, names: tuple[str, ...]) -> Finding:
    lost = bench.probe("restore").seen[0].texts
    if lost:
        text = f"after restore(state()): {'; '.join(lost)}"
        return Finding("state", "PROBLEM", text, "put back what state() gave by these names")
    return Finding("state", "ok", f"{', '.join(names) or 'nothing'}; restore puts it back")


def check_free(bench: Bench) -> Iterator[Finding]:
    """``memory`` gives how many bytes are free on a device."""
    if not bench.has("memory"):
        return
    wrong = []
    for device in bench.devices:
        (found,) = bench.probe("memory", device=device).seen
        if found.number is None or not 0 <= found.number < MOST:
            wrong.append(f"memory({device!r}) gives {found.text}")
    if wrong:
        advice = "return the number of free bytes, or leave memory out"
        yield Finding("free memory", "PROBLEM", "; ".join(wrong), advice)
    else:
        text = "memory gives a number of bytes for every device"
        yield Finding("free memory", "ok", text)
