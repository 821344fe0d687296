"""What goes over the wall between the judge and the process that runs a candidate.

Calls go one way, outcomes the other: msgspec structs in MessagePack and the raw bytes of arrays,
never a pickle. What comes back is read with the type that it must have, so that nothing but an
outcome can come, and an outcome can be no verdict.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Literal

import msgspec
import numpy as np

from einspec.dtypes import ALL, numpy_dtype

Array = np.ndarray[Any, Any]
LONG = 2048
"""From how many elements on an array is kept by how it is made, not by its bytes."""
FRACTION = 1
"""The MessagePack extension that holds a fraction, as text."""
LENGTH = struct.Struct("<Q")
"""The length of a message, which goes before it."""
MOST_BYTES = 1 << 34
"""How long a message may be: one call of the tiers that are judged by default is far smaller."""
WayKind = Literal[
    "plain", "eager", "jit", "compile", "codegen", "vmap", "rows", "vjp", "jvp", "double_backward", "twice", "write",
    "group", "late", "kept", "alike", "step", "error",
]  # fmt: skip
"""The ways in which an op is called: a closed list, of which only the runner knows how a framework
does each.

``plain``: as a caller does; compiled where the framework compiles. ``eager``: never compiled.
``jit``, ``compile``, ``codegen``, ``vmap``: under the transform; for ``vmap`` arrays have one axis more for each
of them that maps over one.
``rows``: independent calls along a new first axis, mapped where the function can be, else one by
one. ``vjp``: the gradient of an input. ``jvp``: the tangents of outputs. ``double_backward``: the
gradients of the gradients. ``twice``: again, with another call between.
``write``: the result is written to.
On ranks: ``group``: as the last ranks of a world, while the first make another call. ``late``: one rank comes late, and all
write to their inputs once they have returned. ``kept``: results are read after another call. ``alike``: what all ranks have is
compared. ``step``: the ranks meet after the call. ``error``: one rank has its part of another call, which does not fit.
"""
ProbeKind = Literal[
    "look",
    "devices",
    "memory",
    "start",
    "trip",
    "shares",
    "is_array",
    "device_of",
    "layouts",
    "expanded",
    "transform",
    "many",
    "state",
    "restore",
]
"""What is done with an adapter before any op is called: a closed list, as that of ways is.

``look``: what a name of it stands for. ``trip``: arrays to a device and back. ``shares``: what of
an array is memory of NumPy. ``transform``: an easy function under a transform. The others call the
functions of that name.
"""
Easy = Literal["identity", "add", "add_first", "square", "twice_and_sum"]
"""Functions that are easy to get right: ``a``; ``a + b``; ``a + a[0]``; ``a * a``; ``a + a, a + b``."""


class Tensor(msgspec.Struct, array_like=True, frozen=True):
    """An array, as its bytes in row-major order or as the recipe that makes it."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes
    recipe: tuple[int, bool] | None = None
    """Where a large array starts and whether it is fine: see :class:`einspec.calls.hashed.Hashed`."""
    ramp: int = -1
    """Where an array of ``start, start + 1, ...`` starts that is kept without its bytes, if not negative."""

    @property
    def is_whole(self) -> bool:
        """Whether the bytes are those of an array of this dtype and shape."""
        known = self.dtype in ALL and all(n >= 0 for n in self.shape)
        return known and len(self.data) == math.prod(self.shape) * numpy_dtype(self.dtype).itemsize

    def array(self) -> Array:
        """Return the array, read-only."""
        if self.ramp >= 0:
            return ramp_of(self.shape, self.ramp, self.dtype)
        return np.frombuffer(self.data, numpy_dtype(self.dtype)).reshape(self.shape)


def tensor(array: Array) -> Tensor:
    """Return an array as it goes over the wall."""
    return Tensor(array.dtype.name, array.shape, array.tobytes())


MOST_START = 1 << 40
"""Ramps that start further on are kept as numbers, which not all dtypes hold."""


def given_tensor(array: Array) -> Tensor:
    """Return an input as it is kept: a long ramp by where it starts alone."""
    if array.size >= LONG and array.dtype.kind in "iuf" and float(array.flat[0]).is_integer():
        start = int(array.flat[0])
        if 0 <= start < MOST_START and np.array_equal(array, ramp_of(array.shape, start, array.dtype.name)):
            return Tensor(array.dtype.name, array.shape, b"", None, start)
    return tensor(array)


def ramp_of(shape: tuple[int, ...], start: int, dtype: str) -> Array:
    """Return ``start, start + 1, ...`` in a shape."""
    found: Array = np.arange(start, start + math.prod(shape)).reshape(shape).astype(numpy_dtype(dtype))
    return found


class Mapped(msgspec.Struct, array_like=True, frozen=True):
    """One ``vmap`` around a function."""

    axes: tuple[int | None, ...]
    """By input the axis that is mapped over, of a list that of each of its tensors; None where one input is for all."""
    out: int = 0
    """The axis of every output along which the results lie."""


class Way(msgspec.Struct, array_like=True, frozen=True):
    """In what way an op is called."""

    kind: WayKind = "plain"
    layout: str = ""
    """In what memory the inputs come: the name of a layout of the adapter."""
    expand: int = -1
    """The axis along which every input is one slice repeated with stride 0, if not negative."""
    wrt: str = ""
    """The input whose gradient is asked for."""
    asked: tuple[str, ...] = ()
    """The inputs that are differentiated together."""
    places: tuple[int, ...] = ()
    """The outputs that have cotangents, by their place."""
    outputs: int = 1
    """How many outputs the op has."""
    memory: str = ""
    """In what memory cotangents come: a layout, or ``expanded``."""
    maps: tuple[Mapped, ...] = ()
    """``vmap``: what is around the function, the outermost first; one over the first axis of every input if empty."""
    at: tuple[tuple[bytes, ...] | None, ...] = ()
    """For every output the coordinates (int64, one entry a dimension) at which alone it is looked at;
    None where it is not looked at."""
    rank: int = -1
    """``late``: the rank that comes late. ``error``: the one whose part does not fit."""


PLAIN = Way()


class Input(msgspec.Struct, array_like=True, frozen=True):
    """One argument of a call: a tensor, or a list of them."""

    name: str
    parts: tuple[Tensor, ...]
    listed: bool = False


class Call(msgspec.Struct, array_like=True, frozen=True):
    """One call of an op, as data."""

    params: dict[str, Any]
    inputs: tuple[Input, ...]
    way: Way = PLAIN
    extra: tuple[Input, ...] = ()
    """Cotangents of a gradient, behind them those of gradients for ``double_backward``; tangents of inputs for ``jvp``; the
    inputs of the other call for ``twice``, ``group``, ``kept`` and ``error``."""

    @property
    def dtypes(self) -> set[str]:
        """The dtypes of the inputs."""
        return {part.dtype for given in self.inputs for part in given.parts}


class Item(msgspec.Struct, array_like=True, frozen=True):
    """What a function returned: an array, a list, a Python integer, another Python number, or something else by its name."""

    kind: Literal["array", "list", "int", "number", "other"]
    tensor: Tensor | None = None
    parts: tuple[Item, ...] = ()
    value: int = 0
    text: str = ""
    shapes: tuple[tuple[int, ...], ...] = ()
    """The shape of an output that was looked at at some coordinates, which ``tensor`` holds; of a
    list those of its arrays."""


LACKING = "LackingError"
"""The name of the exception of a call that is not made: the function takes no such one, or it is none of ranks."""
RANKS = "RanksError"
"""The name of the exception of ranks that did not come out of a call together."""


class Raised(msgspec.Struct, array_like=True, frozen=True):
    """An exception, as text."""

    name: str
    """The class."""
    text: str
    place: str = ""
    """The innermost frame of the candidate."""
    broken: bool = False
    """Whether no function refuses a call with an exception of this kind: it is a bug, or the end."""
    memory: bool = False
    """Whether it says that there is not enough memory."""


class Outcome(msgspec.Struct, array_like=True, frozen=True):
    """What came of a call."""

    number: int
    result: Item | None = None
    error: Raised | None = None
    eager: bool = False
    """The framework compiles, and the function could not be compiled."""
    runs: dict[str, Item] = {}
    """``write``: ``written`` and ``read``, what the result was given and held then, and ``input <name>``. ``twice``: ``first``
    and ``kept``, the result when it came and after the other calls; ``other``, what the first of those gave; ``again 0`` and
    so on, repetitions; ``input <name>``, the inputs afterwards. ``vjp``: by output, its cotangent afterwards. Of derivatives
    ``outputs``, where routes may come in any order: what the call itself gives."""
    devices: tuple[str, ...] = ()
    """Where the arrays of the result are."""
    outside: str = ""
    """Why the call was not made, where an adapter promises nothing for it."""
    admitted: tuple[str, ...] = ()
    """The conventions of an adapter by which a result was read."""


class Slot(msgspec.Struct, array_like=True, frozen=True):
    """One parameter of a function after its tensors."""

    name: str
    keyword_only: bool = False
    required: bool = True


class Function(msgspec.Struct, frozen=True):
    """A function that stands for an op."""

    op: str
    label: str
    slots: tuple[Slot, ...] | None = None
    """What it takes besides tensors; None where it takes any name."""
    tensors: tuple[str, ...] = ()
    """The names of its first parameters."""
    frameworks: tuple[str, ...] = ()
    """Whose arrays it may take, where its annotations and imports leave that open."""


class Target(msgspec.Struct, kw_only=True):
    """What is judged, as the process that runs it describes it."""

    name: str
    framework: str
    bare: bool = False
    """A file of functions, which promises less than a backend."""
    load: str = ""
    """Python that defines the functions in a stand-alone script."""
    functions: tuple[Function, ...] = ()
    devices: tuple[str, ...] = ("cpu",)
    known_devices: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()
    """The optional names that the adapter has."""
    transforms: tuple[str, ...] = ()
    layouts: tuple[str, ...] = ()
    flushes_subnormals: bool = False
    loses_nan: bool = False
    unsupported: tuple[tuple[str, ...], ...] = ()
    ranks: tuple[int, ...] = ()
    """On how many ranks the functions run, each on its part of the tensors; on none if they take whole ones."""
    known_failures: str = ""
    """The path of the file in which failures are declared."""
    versions: dict[str, str] = {}
    python: str = ""
    platform: str = ""


class Seen(msgspec.Struct, array_like=True, frozen=True):
    """What an adapter says or gives, as far as data can hold it."""

    kind: str
    """The name of its class."""
    text: str = ""
    """It itself in one line."""
    is_function: bool = False
    texts: tuple[str, ...] | None = None
    """Its elements, or the names in it, where it is a collection of texts; one text where it is one."""
    entries: tuple[tuple[str, ...] | str, ...] | None = None
    """Its elements as tuples of texts where they are that, else in one line, where it is a collection."""
    number: float | None = None


# From the judge to the runner.


class Load(msgspec.Struct, tag=True):
    """Import what a name stands for and describe it."""

    name: str
    prints: str
    """The folder for what is printed; its file ``progress`` holds the call at hand, and whether the rest is wanted."""
    cache: str = ""
    """The folder for compiled code."""
    frameworks: dict[str, str] = {}
    """By op, whose arrays the functions take of which that was open."""
    path: tuple[str, ...] = ()
    """Where modules are looked for."""
    functions: dict[str, str] = {}
    """By op, the name of the function in the module that stands for it; by their own names if empty."""
    probed: bool = False
    """Import it to probe its adapter, however wrong that is; no op is called."""
    data: str = ""
    """The text of the file where it is one of adapters, as the judge has read it."""
    ranks: tuple[int, ...] = ()
    """On how many ranks its functions are run, if they are functions of ranks."""


class Ask(msgspec.Struct, tag=True):
    """Make calls of an op, one after the other."""

    target: str
    device: str
    op: str
    calls: msgspec.Raw
    """A list of :class:`Call`."""
    careful: bool = False
    """Say what came of each call before the next one is begun."""
    ticket: int = 0
    """What the answers must carry."""


class Try(msgspec.Struct, tag=True):
    """Say which framework's arrays a function takes, by one call."""

    op: str
    framework: str
    call: Call


class Memory(msgspec.Struct, tag=True):
    """Say how many bytes are free on a device."""

    target: str
    device: str


class Probe(msgspec.Struct, tag=True):
    """Do something with an adapter and say what came of it."""

    kind: ProbeKind
    name: str = ""
    """The name that is looked at, or the transform."""
    device: str = ""
    given: tuple[Tensor, ...] = ()
    function: Easy = "identity"
    """The function that is transformed."""
    inputs: int = 0
    """``vjp``, ``jvp``: how many of the given tensors are inputs; the others are cotangents or tangents."""
    axis: int = 0
    """``vmap``: the axis of the arguments and of the result."""
    size: int = 0


# From the runner to the judge.


class Loaded(msgspec.Struct, tag=True):
    """What was found; nothing where it cannot be judged."""

    targets: tuple[Target, ...] = ()
    problem: str = ""


class Came(msgspec.Struct, tag=True):
    """What came of some calls, in order."""

    ticket: int
    outcomes: tuple[Outcome, ...]


class Settled(msgspec.Struct, tag=True):
    """The calls that were asked are done."""

    ticket: int
    changes: tuple[str, ...] = ()
    """What the calls have changed around them."""
    positional: bool = False
    """The function takes its parameters by position, whatever its signature says."""
    uses: tuple[str, ...] = ()
    """What of einspec the candidate has loaded or read."""


class Said(msgspec.Struct, tag=True):
    """An answer to what was asked besides calls."""

    value: int


class Found(msgspec.Struct, tag=True):
    """What came of a probe: what was seen and the arrays that were given, in order, or an error."""

    seen: tuple[Seen, ...] = ()
    items: tuple[Item, ...] = ()
    error: Raised | None = None


class Broken(msgspec.Struct, tag=True):
    """What the adapter of a candidate raised where it must not, in the place of an answer."""

    error: Raised


class Lost(msgspec.Struct, tag=True):
    """A process that ran the candidate beside the runner is no more, in the place of an answer."""

    reason: str


Request = Load | Ask | Try | Memory | Probe
Reply = Loaded | Came | Settled | Said | Found | Broken | Lost


NO_TEXT = (bytes, int, bool)
"""What most fields hold that need not be looked at."""


def printable(value: Any) -> Any:
    """Return a message with every text in it as it can be shown: no control characters but line breaks."""
    if isinstance(value, str):
        if value.isprintable():
            return value
        return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in value)
    if isinstance(value, tuple):
        return tuple(map(printable, value))
    if isinstance(value, dict):
        return {printable(k): printable(v) for k, v in value.items()}
    if isinstance(value, msgspec.Struct):
        texts = {}
        for name in value.__struct_fields__:
            field = getattr(value, name)
            if field and type(field) not in NO_TEXT:
                texts[name] = printable(field)
        return msgspec.structs.replace(value, **texts)
    return value


def _encode_hook(value: Any) -> Any:
    if isinstance(value, Fraction):
        return msgspec.msgpack.Ext(FRACTION, str(value).encode())
    if isinstance(value, np.integer | np.floating):
        return value.item()
    raise NotImplementedError(f"no message holds {type(value).__name__}")


def ext_hook(code: int, data: memoryview) -> Any:
    """Return what an extension of MessagePack holds.

    Raises:
        ValueError: there is none of this number.
    """
    if code != FRACTION:
        raise ValueError(f"no extension {code}")
    return Fraction(bytes(data).decode())


encoder = msgspec.msgpack.Encoder(enc_hook=_encode_hook)
encode: Callable[[Any], bytes] = encoder.encode
requests = msgspec.msgpack.Decoder(Request, ext_hook=ext_hook)
replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
calls = msgspec.msgpack.Decoder(list[Call], ext_hook=ext_hook)


def count(encoded: bytes) -> int:
    """Return how many calls an encoded list of them holds."""
    return len(msgspec.msgpack.decode(encoded, type=list[msgspec.Raw]))


def parameters(call: Call) -> dict[str, Any]:
    """Return the parameters of a call as a caller gives them: what MessagePack makes a list is a tuple."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in call.params.items()}
