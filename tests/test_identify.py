"""Which op a function computes."""

from __future__ import annotations

from pathlib import Path

import pytest

from einspec import load
from einspec.calls import cases
from einspec.conformance.cli import main
from einspec.conformance.identify import _fits, identify, said
from einspec.conformance.protocol import Outcome
from einspec.conformance.targets.names import TargetError

EXAMPLES = Path(__file__).parent.parent / "examples"
FUNCTIONS = """
import os

import numpy as np


def last_to_first(x):
    return np.moveaxis(x, -1, 1)


def heads(x, n):
    b, t, c = x.shape
    return x.reshape(b, t, n, c // n).transpose(0, 2, 1, 3)


def up2(x):
    b, c, h, w = x.shape
    return x.reshape(b, c // 4, 2, 2, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(b, c // 4, 2 * h, 2 * w)


def largest(x, k):
    at = np.argsort(-x, axis=-1, kind="stable")[..., :k]
    return np.take_along_axis(x, at, -1), at.astype(np.int32)


def gated(x):
    a, b = np.split(x, 2, -1)
    return a / (1 + np.exp(-a)) * b


def turned(x):
    return x.swapaxes(-1, -2)


def almost(x):
    y = x.swapaxes(-1, -2)
    return x.reshape(y.shape) if x.shape[-1] == 3 else y


def relu(x):
    return np.maximum(x, 0)


def same(x):
    return x


def ends(x):
    os._exit(3)
"""


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a file of functions under names of their own."""
    path = tmp_path_factory.mktemp("functions") / "functions.py"
    path.write_text(FUNCTIONS, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("function", "ops"),
    [
        ("last_to_first", ["channels_first"]),
        ("heads", ["split_heads"]),
        ("up2", ["pixel_shuffle, upscale_factor=2"]),
        ("largest", ["top_k"]),
        ("gated", ["act_and_mul, act='silu'", "glu, layout='gate_up', alpha=1.0, limit=inf, shift=0.0"]),
        ("turned", ["matrix_transpose", "swap_hw, layout='nchw'"]),
        ("relu", []),
        ("same", []),
        ("almost", []),
    ],
)
def test_a_function_is_known_by_what_it_gives(function: str, ops: list[str], functions: str) -> None:
    """Under another name, with a number of the card fixed in its body; several ops where no call tells them apart."""
    assert sorted(str(g) for g in identify(functions, function, 10.0) if g.agrees) == ops


def test_what_is_no_op_is_told_with_the_nearest(functions: str) -> None:
    """A function that is wrong for some sizes is no op, and the one that it nearly is is named."""
    text = said(identify(functions, "almost", 10.0, ["matrix_transpose", "merge_heads"]))
    assert text.startswith("no op of the spec; nearest: matrix_transpose on ")
    assert said(identify(functions, "relu", 10.0, ["matrix_transpose"])) == "no op of the spec"


def test_a_function_that_ends_its_process_is_given_up(functions: str) -> None:
    """It is not asked for every op."""
    with pytest.raises(TargetError, match="ends ends its process: the process ended with status 3"):
        identify(functions, "ends", 10.0)


def test_the_order_of_another_op_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The command says what the example computes, and a check that fails names the command."""
    path = str(EXAMPLES / "wrong_pixel_shuffle.py")
    assert main(["check", path, "--tier", "scope"]) == 1
    advice, verdict = capsys.readouterr().out.splitlines()[-2:]
    assert verdict.startswith("failed: ")
    assert advice == f"einspec which {path} says whether a function is another op"
    assert main(["which", path]) == 0
    assert capsys.readouterr().out.startswith("pixel_shuffle: depth_to_space, layout='nchw' (the same on all ")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("nowhere.py", "cannot read nowhere.py"),
        ("torch.nn.functional", "name a Python file, or a function of a module as MODULE:FUNCTION"),
        ("numpy:swapaxes", "numpy is a backend, whose functions are its ops"),
        ("--timeout=soon", "must be above 0, not soon"),
        ("--timeout=-1", "must be above 0, not -1"),
    ],
)
def test_what_cannot_be_asked_says_so(argument: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong file, a module without a function, a backend, no number of seconds."""
    assert main(["which", argument]) == 2
    assert message in capsys.readouterr().err


def test_what_came_without_a_result_is_no_op() -> None:
    """A process may say anything, an outcome of nothing too."""
    assert not _fits(cases.bank(load("merge_heads"))[0], Outcome(0))


def test_a_function_that_is_not_there_fails(functions: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The others are told all the same."""
    assert main(["which", f"{functions}:absent", f"{functions}:heads"]) == 1
    assert capsys.readouterr().out.splitlines()[0] == "absent: functions.py defines no function absent"
