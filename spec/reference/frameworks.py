"""How each framework spells what printed functions need, and the small functions that go with them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Helper:
    """A function that is printed where it is used."""

    source: str
    """With ``{xp}`` for the framework."""
    uses: tuple[str, ...] = ()
    """The helpers that it calls itself."""


@dataclass(frozen=True)
class Framework:
    """One framework, by the names under which a printed file has it."""

    name: str
    xp: str
    imports: str
    whole: str
    """What makes an array one of whole numbers, wide enough for any that is a position."""
    cast: str
    promote: str
    einsum: str
    """What follows the operands of an einsum."""
    limits: str
    """What it cannot do, in a sentence."""
    helpers: dict[str, Helper]


AXES = '''\
def _axes(*sizes{device}):
    """Return the coordinates along axes of these sizes, as arrays that broadcast."""
    after = reversed(range(len(sizes)))
    return [{arange}.reshape(n, *[1] * i) for i, n in zip(after, sizes)]
'''
AT = '''\
def _at(x, *index, other=0):
    """Return x at coordinates, and other where one of them lies outside."""
{convert}    inside = True
    for i, n in zip(index, x.shape):
        inside = inside & (0 <= i) & (i < n)
    if 0 in x.shape:  # there is nothing to read, whatever the coordinates
        x = {zeros}
    index = [{xp}.where((0 <= i) & (i < n), i, 0) for i, n in zip(index, x.shape)]
    other = {other}
    return {xp}.where(inside, x[tuple(index)], other)
'''
LESS = '''\
def _less(a, b):
    """Return where tuple a comes before tuple b; NaN is above all numbers, and equal to itself."""
    less = False
    for x, y in reversed(list(zip(a, b))):
        one, other = {xp}.isnan(x), {xp}.isnan(y)
        less = (x < y) | (~one & other) | (((x == y) | (one & other)) & less)
    return less
'''
EACH = '''\
def _each(value, count):
    """Return a tuple as it is, and one number as often as it is needed."""
    return value if isinstance(value, (tuple, list)) else (value,) * count
'''
POSITIONS = '''\
def _positions(value, rank):
    """Return the axes that a position or several name, counted from the first."""
    each = value if isinstance(value, (tuple, list)) else (value,)
    if not all(-rank <= n < rank for n in each) or len({n % rank for n in each}) < len(each):
        raise ValueError(f"{value} are not positions of {rank} axes, each once")
    return [n % rank for n in each]
'''
SOFTMAX = '''\
def _softmax(x, axis):
    """Return exp(x) divided by its sum along axes, the largest element subtracted before."""
    grown = {xp}.exp(x - {top})
    return grown / grown.sum(axis, keepdims=True)
'''
WIDE = '''\
def _wide(x):
    """Return x in {dtypes}; whole numbers and truth values as they are."""
{wide}    return x
'''


def _helpers(**parts: str) -> dict[str, Helper]:
    """Return the helpers of a framework, in the order in which a file has them."""

    def filled(text: str) -> str:
        for name, part in parts.items():
            text = text.replace(f"{{{name}}}", part)
        return text

    sources = {
        "_axes": AXES,
        "_at": AT,
        "_less": LESS,
        "_softmax": SOFTMAX,
        "_wide": WIDE,
        "_each": EACH,
        "_positions": POSITIONS,
    }
    own = {name: text for name, text in parts.items() if name.startswith("_")}
    uses = {"_softmax": ("_max",) if "_max" in own else ()}
    return {name: Helper(filled(text), uses.get(name, ())) for name, text in {**sources, **own}.items()}


NUMPY = Framework(
    "NumPy",
    "np",
    "import numpy as np",
    "{}.astype(np.int64)",
    "{}.astype({})",
    "np.promote_types({}, np.float32)",
    "",
    "",
    _helpers(
        xp="np",
        device="",
        arange="np.arange(n)",
        convert="",
        zeros="np.zeros([max(n, 1) for n in x.shape], x.dtype)",
        other="np.asarray(other).astype(x.dtype)",
        top="x.max(axis, keepdims=True, initial=-np.inf)",
        dtypes="float64 or complex128",
        wide="""\
    if x.dtype.kind not in "iub":
        return x.astype(np.promote_types(x.dtype, np.float64))
""",
        _erf='''\
def _erf(x):
    """Return the error function of each element."""
    return np.vectorize(math.erf, otypes=[float])(x)
''',
    ),
)
TORCH = Framework(
    "PyTorch",
    "torch",
    "import torch",
    "{}.long()",
    "{}.to({})",
    "torch.promote_types({}, torch.float32)",
    "",
    "Wherever more is done than to move elements, uint64 is an error of PyTorch, which has no arithmetic of it.",
    _helpers(
        xp="torch",
        device=", device=None",
        arange="torch.arange(n, device=device)",
        convert="    index = [torch.as_tensor(i, device=x.device) for i in index]\n",
        zeros="x.new_zeros([max(n, 1) for n in x.shape])",
        other="torch.as_tensor(other, dtype=x.dtype, device=x.device)",
        top="_max(x, axis, keepdim=True)",
        dtypes="float64 or complex128",
        wide="""\
    if x.is_complex():
        return x.to(torch.complex128)
    if x.is_floating_point():
        return x.double()
    if x.dtype in (torch.uint16, torch.uint32):  # of which PyTorch has no arithmetic
        return x.long()
""",
        _add='''\
def _add(a, b):
    """Return a + b, of complex numbers part by part: PyTorch makes NaN of an infinite one."""
    if a.is_complex():
        return torch.complex(a.real + b.real, a.imag + b.imag)
    return a + b
''',
        _modulo='''\
def _modulo(a, b):
    """Return a % b, and 0 where b is 0: PyTorch makes an error of that."""
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    return torch.where(b == 0, 0, a % torch.where(b == 0, 1, b))
''',
        _max='''\
def _max(x, axis, keepdim=False):
    """Return the largest element along an axis or several, minus infinity where there is none."""
    axes = axis if isinstance(axis, tuple) else (axis,)
    if any(not x.shape[i] for i in axes):
        x = x.new_full([n or 1 for n in x.shape], -math.inf)
    return x.amax(axes, keepdim=keepdim)
''',
    ),
)
JAX = Framework(
    "JAX",
    "jnp",
    "import jax\nimport jax.numpy as jnp",
    "{}.astype(int)",
    "{}.astype({})",
    "jnp.promote_types({}, jnp.float32)",
    ', precision="highest"',
    "JAX holds 64 bits only where it is told to, and computes in float32 otherwise.",
    _helpers(
        xp="jnp",
        device="",
        arange="jnp.arange(n)",
        convert="",
        zeros="jnp.zeros([max(n, 1) for n in x.shape], x.dtype)",
        other="jnp.asarray(other).astype(x.dtype)",
        top="x.max(axis, keepdims=True, initial=-jnp.inf)",
        dtypes="float32 at least",
        wide="""\
    if jnp.issubdtype(x.dtype, jnp.floating) and x.dtype.itemsize < 4:
        return x.astype(jnp.float32)
""",
    ),
)
FRAMEWORKS = {"numpy": NUMPY, "torch": TORCH, "jax": JAX}
"""By the name that a caller gives."""
