"""The names of an adapter, what each is, and what it is for: the one table of them."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["function", "list", "flag", "text", "dict"]


class Name(NamedTuple):
    """A name that an adapter may define."""

    kind: Kind
    usage: str
    """How it is called or written."""
    purpose: str


ADAPTER = ("devices", "asarray", "to_numpy", "dtypes")
"""What makes a module a backend; a module without them is judged as a bare file of functions."""
OPTIONAL = {
    "framework": Name("text", "framework", "the name that reports show"),
    "known_devices": Name(
        "list",
        "known_devices",
        "kinds of device that are reported as not there when they are not",
    ),
    "is_array": Name("function", "is_array(x)", "results of another kind are wrong"),
    "device_of": Name("function", "device_of(x)", "results on another device are wrong"),
    "layouts": Name("function", "layouts(x)", "a dict of the same values in other memory, by its name"),
    "expanded": Name(
        "function",
        "expanded(x, axis, size)",
        "the first slice along an axis, repeated without memory of its own",
    ),
    "transforms": Name(
        "dict",
        "transforms",
        '`"jit"`, `"compile"`, for the tier *compile* `"codegen"`: function to function; '
        '`"vmap"`: `(fn, in_axes, out_axes)` to function; '
        '`"vjp"`: `(fn, inputs, cotangents)` to gradients, of which `vjp` is asked again; '
        '`"jvp"`: `(fn, inputs, tangents)` to those of the outputs',
    ),
    "holding": Name("function", "holding(dtypes)", "a context in which the framework can hold these dtypes"),
    "many": Name(
        "function",
        "many(calls, inputs)",
        "many calls at once, where every new shape costs a compilation",
    ),
    "flushes_subnormals": Name("flag", "flushes_subnormals", "true where the compiler makes subnormal numbers 0"),
    "loses_nan_in_maxima": Name("flag", "loses_nan_in_maxima", "true where a maximum of the compiler loses NaN"),
    "start": Name("function", "start(cache)", "called once, with a folder for compiled code"),
    "state": Name(
        "function",
        "state()",
        "a dict of what is set for the whole framework, by name: an op that changes it fails its clause `state`",
    ),
    "restore": Name(
        "function",
        "restore(state)",
        "puts it back, and leaves other names in the dict alone",
    ),
    "memory": Name("function", "memory(device)", "how many bytes are free there, for the tier *large*"),
    "unsupported": Name(
        "list",
        "unsupported",
        'a list of `(op or clause or "*", dtype or "*", device or "*", reason, url)`: what it does not offer, and why',
    ),
    "known_failures": Name(
        "text",
        "known_failures",
        "the path of a file, from the module on: clauses that fail and are known to, a line each",
    ),
}
"""What an adapter may define besides; what is absent is reported, not assumed."""
FUNCTIONS = tuple(name for name, entry in OPTIONAL.items() if entry.kind == "function")
"""Those of the optional names that must be functions."""
