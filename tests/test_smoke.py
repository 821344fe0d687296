"""einspec smoke: a sound adapter passes, each fault of an adapter is told, and a hostile one cannot stop it."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from einspec.conformance import protocol
from einspec.conformance.cli import main
from einspec.conformance.protocol import Found, Item, Probe, Seen, tensor
from einspec.conformance.runner.probing import Prober, seen
from einspec.conformance.smoke.bench import Bench, Finding, differs
from einspec.conformance.smoke.smoke import tried
from einspec.conformance.smoke.soundness import CHECKS
from einspec.conformance.targets.adapter import ADAPTER, OPTIONAL
from einspec.impls.adapters import numpy as adapter

SOUND = """
import numpy as np
class Box:
    def __init__(self, a): self.a = a
dtypes = ("float32", "float64", "float16", "int32", "complex64", "float8_e5m2")
def devices(): return ["cpu", "box:0"]
def asarray(x, device):
    box = Box(x.copy()); box.device = device; return box
def to_numpy(x): return x.a.copy()
def is_array(x): return isinstance(x, Box)
def device_of(x): return x.device
def layouts(x): return {"reversed": Box(np.ascontiguousarray(x.a[::-1])[::-1])}
def expanded(x, axis, size): return Box(np.repeat(np.take(x.a, [0], axis), size, axis))
Box.__add__ = lambda x, y: Box(x.a + y.a)
Box.__mul__ = lambda x, y: Box(x.a * y.a)
Box.__getitem__ = lambda x, i: Box(x.a[i])
transforms = {
    "jit": lambda fn: fn,
    "vmap": lambda fn, i, o: lambda x: Box(np.stack([fn(Box(row)).a for row in np.moveaxis(x.a, i[0], 0)], o)),
    "vjp": lambda fn, inputs, outer: pulled(fn, inputs, outer),
    "jvp": lambda fn, inputs, along: pushed(fn, inputs, along),
}
def pulled(fn, inputs, outer):  # by differences, exact for the sums and squares that are tried
    def total(*given):
        found = fn(*given)
        return sum(f.a.astype(float) * o.a for f, o in zip(found if isinstance(found, tuple) else (found,), outer))
    sides = [[total(*(Box(x.a.astype(float) + s * (x is y)) for y in inputs)) for s in (1, -1)] for x in inputs]
    return [Box(((up - down) / 2).astype(np.float32)) for up, down in sides]
def pushed(fn, inputs, along):
    up, down = (fn(*(Box(x.a.astype(float) + s * t.a) for x, t in zip(inputs, along))) for s in (1, -1))
    if not isinstance(up, tuple): up, down = (up,), (down,)
    return tuple(Box(((a.a - b.a) / 2).astype(np.float32)) for a, b in zip(up, down))
def many(calls, inputs): return [call(*given) for call, given in zip(calls, inputs)]
settings = {"the default dtype": "float32", "the table of a box": np.arange(3)}
def state(): return {name: value.copy() if hasattr(value, "copy") else value for name, value in settings.items()}
def restore(state): settings.update({name: state[name] for name in settings})
def memory(device): return np.int64(1 << 30)
unsupported = [("stack", "float16", "box", "too small")]
def matrix_transpose(x): return x
"""

FAULTS = {
    "names": [
        ("del to_numpy", "no to_numpy"),
        ("dtypes = 'float32'", "dtypes is 'float32'"),
        ("dtypes = None", "dtypes is None"),
        ("dtypes = ('float32', 'flaot64')", "unknown flaot64"),
        ("dtypes = ('int32',)", "float32 is missing"),
        ("layouts = {}", "layouts is dict"),
        ("state = {}", "state is dict"),
        ("restore = 1", "restore is int"),
        ("memory = 8", "memory is int"),
    ],
    "devices": [
        ("def devices(): return 'cpu'", "gives 'cpu'"),
        ("def devices(): return []", "gives []"),
        ("def devices(): return ['cpu', 'cpu']", "gives ['cpu', 'cpu']"),
        ("known_devices = 'cuda'", "known_devices is 'cuda'"),
        ("known_devices = None", "known_devices is None"),
    ],
    "declared": [
        ("unsupported = [('stakc', '*', '*', 'no')]", "no op 'stakc'"),
        ("unsupported = [('stack/nam', '*', '*', 'no')]", "no clause 'nam'; it has nan"),
        ("unsupported = [('stack', '*', '*', '')]", "a reason is missing"),
        ("known_devices = ('box',)\nunsupported = [('stack', '*', 'bxo', 'no')]", "no device 'bxo'; there are box, box:0, cpu"),
        ("unsupported = None", "unsupported is None"),
        ("known_failures = 3", "known_failures is 3"),
        ("known_failures = 'nowhere.jsonl'", "nowhere.jsonl cannot be read"),
    ],
    "round trip": [
        ("def asarray(x, device): return Box(np.asarray(x, np.float32))", "dtype float32 instead of float64"),
        ("def asarray(x, device): return Box(x + 0)", "0.0 (0x00000000) for -0.0 (0x80000000)"),
        ("def asarray(x, device): return Box(np.atleast_1d(x))", "shape [1] instead of []"),
        ("def to_numpy(x): return x.a.tolist()", "gives list, not a NumPy array"),
        ("def to_numpy(x): return x.a if x.a.size else 1 / 0", "raised ZeroDivisionError"),
        ("def to_numpy(x): return np.where(abs(x.a) < 2.0**-126, x.a * 0, x.a).astype(x.a.dtype)", "values differ"),
    ],
    "is_array": [
        ("def is_array(x): return False", "false for what asarray gives"),
        ("def is_array(x): return True", "true for a list, a float, a NumPy array"),
    ],
    "device_of": [("def device_of(x): return 'cpu'", "gives 'cpu' for an array on 'box:0'")],
    "layouts": [
        ("def layouts(x): return {'transposed': Box(x.a.T)}", "shape [3, 2] instead of [2, 3]"),
        ("def layouts(x): return {'sideways': x}", "no layout 'sideways'"),
        ("def layouts(x): return [x]", "layouts(x) gives [<made.Box"),
        ("del expanded", "absent beside layouts"),
        ("def expanded(x, axis, size): return x", "axis 0"),
    ],
    "transforms": [
        ("transforms = None", "transforms is None"),
        ("transforms['pmap'] = 1", "no transform 'pmap'"),
        ("transforms['jit'] = lambda fn: lambda *a: a[0]", "values differ"),
        ("transforms['compile'] = None", "raised TypeError"),
        ("transforms['vmap'] = lambda fn, i, o: fn", "4.0 (0x40800000) for 3.0 (0x40400000)"),
        ("given = transforms['vmap']; transforms['vmap'] = lambda fn, i, o: given(fn, (0,), 0)", "3.0 (0x40400000) for 4.0"),
        ("transforms['vjp'] = lambda fn, i, o: o", "the gradient of a * a"),
        ("transforms['jvp'] = lambda fn, i, t: t", "5.0 (0x40a00000) for 10.0 (0x41200000)"),
        ("transforms['vjp'] = lambda fn, i, o: o[0]", "not a list of one gradient"),
    ],
    "many": [
        ("def many(calls, inputs): return [calls[0](*inputs[0])]", "not one result a call"),
        ("def many(calls, inputs): return [c(*g) for c, g in zip(calls, inputs)][::-1]", "values differ"),
    ],
    "state": [
        ("def state(): raise RuntimeError('no\\nstate')", "raised RuntimeError: no state"),
        ("def state(): return [1]", "state() gives [1]"),
        ("def state(): return {1: 2}", "state() gives {1: 2}"),
        ("def state(): return {'the working directory': '/'}", "names the working directory"),
        ("count = iter(range(9))\ndef state(): return {'seed': next(count)}", "seed, from 0 to 1"),
        ("class Odd:\n    def __eq__(self, other): raise ValueError('odd')\nsettings['odd'] = Odd()", "raised ValueError: odd"),
        ("def restore(state): settings['the default dtype'] = 'int8'", "after restore(state()): the default dtype"),
        ("def restore(state): settings.update({n: v + 1 for n, v in state.items()})", "raised TypeError"),
    ],
    "free memory": [
        ("def memory(device): return None", "memory('cpu') gives None; memory('box:0') gives None"),
        ("def memory(device): return '8 GB'", "gives '8 GB'"),
        ("def memory(device): return True", "gives True"),
        ("def memory(device): return 10**400", "gives 1000000"),
        ("def memory(device): return float('inf')", "gives inf"),
        ("def memory(device): return float('nan')", "gives nan"),
        ("def memory(device): return -1 if device == 'box:0' else 8", "memory('box:0') gives -1"),
        ("def memory(device): raise OSError('gone')", "raised OSError: gone"),
        ("class Odd(Exception):\n    def __str__(self): raise ValueError\ndef memory(device): raise Odd", "raised Odd"),
        ("class Odd:\n    def __repr__(self): raise ValueError\ndef memory(device): return Odd()", "gives Odd"),
    ],
    "ops": [("del matrix_transpose", "no function named as an op")],
}


def made(*parts: str) -> Bench:
    """Return an adapter made of source text, in this process; all goes over the wall as bytes."""
    module = ModuleType("made")
    module.__file__ = __file__
    exec("\n".join(parts), module.__dict__)
    prober = Prober(module)

    def ask(probe: Probe) -> Found:
        asked: Any = protocol.requests.decode(protocol.encode(probe))
        found = protocol.replies.decode(protocol.encode(prober.answer(asked)))
        assert isinstance(found, Found)
        return found

    ops = [name for name in ("matrix_transpose",) if hasattr(module, name)]
    opened = Seen("adapter", texts=("made",)), Seen("file", texts=(__file__,)), seen(ops)
    return Bench("made", ask, Found(opened))


def findings(bench: Bench, check: str) -> list[Finding]:
    """Return what one check found."""
    with np.errstate(all="ignore"):
        return list(tried(check, bench))


def test_a_sound_adapter_has_no_problem() -> None:
    """No check accuses it, and each that has something to try says that it did."""
    found = {check: findings(made(SOUND), check) for check in CHECKS}
    assert not [f for each in found.values() for f in each if f.state == "PROBLEM"]
    silent = [check for check, each in found.items() if not any(f.state == "ok" for f in each)]
    assert silent == ["start"], found


@pytest.mark.parametrize(("check", "fault", "said"), [(c, *f) for c, faults in FAULTS.items() for f in faults])
def test_every_fault_is_told(check: str, fault: str, said: str) -> None:
    """The check that it concerns finds it, and says what to do."""
    problems = [f for f in findings(made(SOUND, fault), check) if f.state == "PROBLEM"]
    assert any(said in f.text for f in problems), problems
    assert all(f.advice for f in problems)


def test_every_check_has_a_fault() -> None:
    """No check is there that cannot fail; memory is only told, and start only called."""
    assert set(CHECKS) - set(FAULTS) == {"memory", "start"}


def test_flushed_subnormals_may_be_lost() -> None:
    """What an adapter says that its framework flushes need not come back."""
    flush = "def to_numpy(x): return np.where(abs(x.a) < 2.0**-126, x.a * 0, x.a)"
    parts = SOUND, "dtypes = ('float32',)", flush
    for said, state in (("", "PROBLEM"), ("flushes_subnormals = False", "PROBLEM"), ("flushes_subnormals = True", "ok")):
        assert [f.state for f in findings(made(*parts, said), "round trip")] == [state] * 2


def test_nan_stands_for_nan() -> None:
    """Which NaN comes back is left open, that it is one is not."""
    one, other = (np.array([1, bits], np.uint32).view(np.float32) for bits in (0x7FC00000, 0xFFC00001))
    assert not differs(Item("array", tensor(one)), other)
    assert differs(Item("array", tensor(np.nan_to_num(one))), other)


def test_shared_memory_is_only_told() -> None:
    """An adapter may share memory with NumPy arrays: a note, no problem."""
    shared = made(SOUND, "def asarray(x, device): return Box(x)\ndef to_numpy(x): return x.a")
    (found,) = findings(shared, "memory")
    assert found.state == "note"
    assert "asarray shares" in found.text
    assert "to_numpy shares" in found.text
    (found,) = findings(made(SOUND, "def asarray(x, device): return x\ndef to_numpy(x): return x"), "memory")
    assert (found.state, found.text[:36]) == ("note", "asarray returns its argument itself;")
    assert "no fault" in found.advice


def test_an_adapter_that_returns_its_argument_hides_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The judge sees that an op has changed its input, or keeps it, although the arrays are those that it made itself."""
    adapter = "dtypes = ('float32',)\ndevices = lambda: ['cpu']\nasarray = lambda x, device: x\nto_numpy = lambda x: x\n"
    path = tmp_path / "mine.py"
    path.write_text(f"{adapter}def matrix_transpose(x):\n    y = x.mT.copy()\n    x[...] = 0\n    return y\n", encoding="utf-8")
    assert main(["check", str(path), "--tier", "scope"]) == 1
    assert "matrix_transpose/pure" in capsys.readouterr().out


def test_what_else_an_adapter_may_lack_is_noted() -> None:
    """Without state nothing is seen, without restore nothing is put back: notes, no problems; no word of absent memory."""
    found = [findings(made(SOUND, f"del {name}"), check) for name, check in (("state", "state"), ("restore", "state"))]
    assert [[f.state for f in each] for each in found] == [["note"], ["note"]]
    assert not findings(made(SOUND, "del memory"), "free memory")


@pytest.mark.parametrize("name", ["numpy", "torch", "jax"])
def test_our_backends_are_sound(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The backends of the suite pass, in a process of their own."""
    pytest.importorskip(name, reason=f"needs {name}")
    assert main(["smoke", name]) == 0, capsys.readouterr().out
    assert capsys.readouterr().out.splitlines()[-1].startswith("sound: ")


def test_calls_that_are_alike_are_traced_once() -> None:
    """In JAX each of many calls has its own result, in order; a function is traced once for all arrays of the same kind."""
    pytest.importorskip("jax", reason="needs jax")
    ours = importlib.import_module("einspec.impls.adapters.jax")
    traced: list[tuple[str, int, str]] = []

    def negative(x: Any) -> Any:
        traced.append(("negative", len(x), x.dtype.name))
        return -x

    def square(x: Any) -> Any:
        traced.append(("square", len(x), x.dtype.name))
        return x * x

    given = [
        np.arange(n, n + size).astype(dtype) for n, (size, dtype) in enumerate([(3, "int32")] * 4 + [(2, "int32"), (3, "int8")])
    ]
    calls = [negative, square, negative, negative, negative, negative]
    found = ours.many(calls, [[ours.asarray(x, "cpu")] for x in given])
    wanted = [x * x if call is square else -x for call, x in zip(calls, given, strict=True)]
    assert [ours.to_numpy(y).tolist() for y in found] == [w.tolist() for w in wanted]
    assert len(traced) == len(set(traced)) == 4


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def devices():\n    import time\n    time.sleep(600)", "devices     no answer within 2 s"),
        ("def to_numpy(x):\n    import os\n    os.kill(os.getpid(), 9)", "the process was ended by SIGKILL"),
        ("def to_numpy(x):\n    import os\n    os._exit(0)", "the process ended with status 0"),
        ("def devices():\n    raise SystemExit(0)", "raised SystemExit"),
        ("import nosuchmodule", "No module named 'nosuchmodule' (hostile.py, line"),
        ("def (", "raised SyntaxError"),
    ],
)
def test_a_hostile_adapter_gets_a_clear_answer(
    source: str, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One that hangs, kills the process, exits or cannot be imported is told, with the check in which it did."""
    path = tmp_path / "hostile.py"
    path.write_text(f"print('noise')\n{SOUND}\n{source}\n", encoding="utf-8")
    assert main(["smoke", str(path), "--timeout", "2"]) == 1
    printed = capfd.readouterr().out
    assert said in printed
    assert "noise" not in printed
    assert printed.splitlines()[-1].startswith("not sound: ")


def test_a_file_of_functions_borrows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no adapter, the one that the judge would borrow is tried, and this is said."""
    path = tmp_path / "bare.py"
    path.write_text("import numpy as np\ndef matrix_transpose(x: np.ndarray):\n    return x.mT\n", encoding="utf-8")
    assert main(["smoke", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "the adapter of numpy that it borrows" in printed
    assert "1 of " in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.py"], "no file nowhere.py"),
        (["nosuchbackend"], "no backend, module or file 'nosuchbackend'"),
        (["numpy", "--timeout", "0"], "above 0"),
        (["numpy", "--timeout", "1e15"], "must be at most 86,400, not 1e15"),
        (["numpy", "--timeout", "nan"], "above 0"),
        (["."], "no backend, module or file '.'"),
        ([""], "no backend, module or file ''"),
    ],
)
def test_wrong_use_says_so(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be tried is an error of use, with exit status 2."""
    assert main(["smoke", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_the_layouts_of_the_suite_are_known() -> None:
    """The names that smoke accepts are those that the judge asks for."""
    from einspec.clauses import LAYOUTS

    own = importlib.import_module("einspec.impls.adapters.numpy").layouts(np.zeros((2, 3), np.float32))
    assert set(own) <= set(LAYOUTS)


def test_an_adapter_cannot_make_its_own_findings() -> None:
    """What comes over the wall is what the adapter gives: other bytes than were asked are a problem, whatever it says."""
    for lie in ("def to_numpy(x): return x.a[::-1].copy() if x.a.ndim else x.a", "def to_numpy(x): return np.zeros_like(x.a)"):
        assert {f.state for f in findings(made(SOUND, lie), "round trip")} == {"PROBLEM"}
    bench = made(SOUND)
    right, silent = bench.ask, ("devices", "look")
    for count in range(4):
        bench.ask = lambda probe: right(probe) if probe.kind in silent else Found((Seen("list"),) * count)  # noqa: B023
        for check in ("round trip", "memory", "is_array", "device_of", "layouts", "transforms", "many", "free memory"):
            states = {f.state for f in findings(bench, check)}
            assert states == {"PROBLEM"} or (check, count, states) == ("memory", 1, {"ok"})


def test_the_names_of_an_adapter_are_those_of_the_guide() -> None:
    """The table of CONTRIBUTING.md has a row for each name that there is, in the same words."""
    text = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    own = [f"| `{entry.usage}` | {entry.purpose} |" for entry in OPTIONAL.values()]
    assert [row for row in rows if row in own] == own
    table = text.partition("| name | what for |\n|---|---|\n")[2].partition("\n\n")[0]
    assert table.splitlines() == own
    for name in ADAPTER:
        assert name in text.partition("It is a module with")[2].partition("Everything else")[0]


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4)])
def test_a_number_has_every_layout_too(shape: tuple[int, ...]) -> None:
    """Arrays of our NumPy adapter hold the same values in any memory, whatever their rank."""
    array = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    for name, other in adapter.layouts(array).items():
        assert other.shape == shape, name
        assert other.tobytes() == array.tobytes(), name
