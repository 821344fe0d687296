"""Adapters as data: a TOML file says which call of a library computes an op, and `einspec check` judges it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from einspec.calls import cases
from einspec.calls.domain import domain_of, numbers_of, within
from einspec.card import load
from einspec.conformance.checks.invalid import violating
from einspec.conformance.cli import main
from einspec.conformance.judge.verdict import Result
from einspec.conformance.run.request import Request
from einspec.conformance.run.run import Run, check
from einspec.conformance.targets.library import parsed, read_library
from einspec.conformance.targets.names import TargetError
from einspec.language.places import Places

TOP_K = """
[op.top_k]
let.last = "np.argsort(x[:, ::-1], axis=1, stable=True)"
let.order = "(E - 1 - last[:, ::-1])[:, :k]"
call = "np.take_along_axis(x, order, 1)"
out.value = "r"
out.index = "order.astype(np.int32)"
"""


def run(folder: Path, text: str, *ops: str, framework: str = "numpy", everything: bool = False) -> Run:
    """Return the run over a file of adapters, in the small scope."""
    path = folder / "library.toml"
    path.write_text(f'framework = "{framework}"\n{text}', encoding="utf-8")
    return check(Request((str(path),), ops, tiers=("scope",), everything=everything))


def results(found: Run) -> dict[str, Result]:
    """Return the results by the id of the clause within its op."""
    assert not [p for p in found.problems if "was not judged" not in p], found.problems
    return {r.clause.partition("/")[2]: r for r in found.results}


def said_by(script: str) -> str:
    """Return what a script says that fails."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode
    return done.stderr


def mistake(text: str) -> str:
    """Return what is told of a file."""
    with pytest.raises(TargetError) as caught:
        parsed(text, "library.toml")
    return str(caught.value)


HEAD = 'framework = "numpy"\n[op.top_k]\n'
MISTAKES = [
    ('call = "np.sort(y)"', "3:17", "call: no name 'y'; allowed are inputs x; parameters k; sizes K, T, E; of setup np"),
    ('call = """\nnp.sort(x,\n  axis=a)"""', "5:8", "call: no name 'a'"),
    ('call = "np.sort(x"', "3:16", "call: no Python: '(' was never closed"),
    ('call = "x) + (x"', "3:10", "call: no Python: unmatched ')'"),
    ('call = "x"\nout.y = "r"', "4:5", "out.y: no such output; top_k has value, index"),
    ('cal = "x"', "3:1", "unknown field `cal`; allowed are call, let, out, where"),
    ("call = 3", "3:8", "op.top_k.call: Expected `str`, got `int`"),
    ('where = "k"', "2:5", "Object missing required field `call`"),
    ('call = "x"\nlet.k = "1"', "4:5", "let.k: a name of its own is needed"),
    ('call = "x"\nlet.a = 1', "4:9", "op.top_k.let.a: Expected `str`"),
    ('call = "x"\n[op.top_k.without]\nint128 = "none"', "5:1", "without: no clause or dtype 'int128'"),
    ('call = "x"\nwithout = { float64 = " " }', "4:13", "without.float64: a reason is missing"),
    ('call = "x"\nforms = ["nhwc"]', "4:11", "forms: no 'nhwc'; top_k has one form only"),
    ('call = "x"\nsizes.K = "at most 8"', "4:12", "sizes.K: expected 'multiple of N'"),
    ('call = "x"\nsizes.Q = "<= 8"', "4:7", "sizes.Q: no size or number of top_k; it has K, T, E, k"),
    ('call = "x"\nadmit = ["all"]', "4:11", "admit: no convention 'all'; there are"),
    ('[op.top]\ncall = "x"', "3:5", "no op 'top'; einspec ops lists them"),
    ('[op.topk]\ncall = "x"', "3:5", "that is another name of top_k: give that"),
    ('[op.pixel_shuffle]\ncall = "x"\nforms = ["chwn"]', "5:11", "forms: no 'chwn'"),
    ('[op.space_to_depth]\ncall = "x"\nforms = ["nchw", "chwn"]', "5:19", "layout is one of nchw, nhwc"),
]
OTHERS = [
    ('framework = "tinygrad"\n[op.top_k]\ncall = "x"\n', "1:14", "Invalid enum value 'tinygrad'"),
    ('framework = "numpy"\nsetup = """\nimport os\nx = = 1\n"""\n[op.top_k]\ncall = "x"', "4:5", "setup: no Python"),
    ('framework = "torch"\n[op.expert_mlp]\ncall = "F.silu(x)"\n', "3:9", "F is in expert_mlp and in setup"),
    ('framework = "numpy"\n[op]\n', "2:2", "no op; [op.NAME] begins one"),
]


@pytest.mark.parametrize(("text", "place", "words"), [*((HEAD + body, *rest) for body, *rest in MISTAKES), *OTHERS])
def test_a_mistake_is_told_with_its_place(text: str, place: str, words: str) -> None:
    """File, line and column, and what is allowed there."""
    told = mistake(text).splitlines()
    assert [line for line in told if line.startswith(f"library.toml:{place}: ") and words in line], told


def test_every_mistake_is_told_in_the_order_of_the_file() -> None:
    """Nobody mends a file one message at a time."""
    told = mistake('framework = "numpy"\n[op.top_k]\ncall = "y + z"\nout.a = "r"\n').splitlines()
    assert [line.split(": ")[0] for line in told] == ["library.toml:3:9", "library.toml:3:13", "library.toml:4:5"]


@pytest.mark.parametrize("text", ["framework = ", "framework = 'numpy'\nop = 3\n", "op = " + "[" * 5000])
def test_what_is_no_toml_or_no_table_is_no_crash(text: str) -> None:
    """Whatever stands in the file, the message names it."""
    assert mistake(text).startswith("library.toml")


AROUND = """packages = [
  'a', # ]
  "b\\"",
]
without = { a.b = 'c', "d" = '''e''' }
"""


@pytest.mark.parametrize("value", ["'call'", '"""\ncall"""', "'''\ncall'''", '"call"'])
@pytest.mark.parametrize("head", ["", '# [op.x] "\n', AROUND])
def test_places_are_right_whatever_stands_around(head: str, value: str) -> None:
    """Comments, arrays, inline tables and all kinds of strings are read as TOML reads them."""
    text = f'{head}[op."top_k"]\nlet.a = {value}\n'
    place = Places(text).value(("op", "top_k", "let", "a"))
    line = text.splitlines()[place.line - 1]
    assert line[place.column - 1 :].startswith("call")


def test_an_adapter_is_judged_as_a_function_is(tmp_path: Path) -> None:
    """Inputs, parameters, sizes, names that are made before, outputs of the result: each is an expression."""
    found = results(run(tmp_path, TOP_K))
    assert {found[c].verdict for c in ("def", "result.dtype", "repeat", "pure")} == {"holds"}
    assert found["def"].instances > 500


def test_a_wrong_adapter_is_found_and_its_script_stands_alone(tmp_path: Path) -> None:
    """The script of a failure defines the call itself, with the sizes of that call: it needs the library alone."""
    text = '[op.channel_shuffle]\nmodule = "(B, groups)"\ncall = "x.reshape(*module, -1, H, W)"\nout.y = "r.reshape(x.shape)"\n'
    found = results(run(tmp_path, text, "channel_shuffle"))["def"]
    assert found.verdict == "wrong"
    assert found.witness is not None
    script = found.witness["script"]
    assert "def channel_shuffle(x, *, groups):" in script
    assert re.search(r"^    B = \d+$", script, re.M)
    assert "einspec" not in script
    assert "AssertionError" in said_by(script)


def test_a_script_knows_the_names_that_every_expression_knows(tmp_path: Path) -> None:
    """That of a call that must raise shows that it does not: a name that is missing there would raise instead."""
    found = results(run(tmp_path, '[op.pixel_shuffle]\ncall = "F.relu(x)"\n', framework="torch", everything=True))
    for clause in ("def", next(c for c in found if c.startswith("err.divides"))):
        assert found[clause].verdict == "wrong"
        assert "AssertionError" in said_by((found[clause].witness or {})["script"])


def test_what_a_library_lacks_is_unsupported(tmp_path: Path) -> None:
    """A dtype and a clause with a reason, which shows in every matrix and is never a pass."""
    text = TOP_K + 'without = { float64 = "32 bits only", "err.require.enough" = "clips k" }\n'
    found = results(run(tmp_path, text, "top_k"))
    assert (found["dtype.float64"].verdict, found["dtype.float64"].reason) == ("unsupported", "32 bits only")
    assert (found["err.require.enough"].verdict, found["err.require.enough"].reason) == ("unsupported", "clips k")


def test_the_solver_never_answers_for_a_library(tmp_path: Path) -> None:
    """A call that the card forbids has no sizes: an adapter that reads them is not judged by what our solver says of it."""
    sized = results(
        run(tmp_path, '[op.pad_to_multiple]\ncall = "x"\n[op.top_k]\ncall = "(x[:, :K], x[:, :K])"\n', "top_k", everything=True)
    )
    assert sized["err.require.enough"].verdict == "not run"
    assert "reads sizes" in sized["err.require.enough"].reason
    some = results(run(tmp_path, '[op.top_k]\nwhere = "len(x) != 2"\ncall = "(x[:, :K], x[:, :K])"\n', everything=True))
    assert some["err.require.enough"].verdict == "not run"
    assert "reads sizes" in some["err.require.enough"].reason
    plain = results(run(tmp_path, '[op.top_k]\ncall = "(x[:, :k], x[:, :k])"\n', everything=True))
    assert plain["err.require.enough"].verdict == "wrong"


def test_a_module_is_built_without_touching_the_random_state(tmp_path: Path) -> None:
    """What draws weights as it is made leaves no trace; the same in the call itself is found."""
    made = 'module = "torch.nn.PixelShuffle(upscale_factor), torch.rand(3)"\ncall = "module[0](x)"\n'
    drawn = 'call = "(torch.rand(3), F.pixel_shuffle(x, upscale_factor))[1]"\n'
    assert results(run(tmp_path, f"[op.pixel_shuffle]\n{made}", framework="torch"))["state"].verdict == "holds"
    assert results(run(tmp_path, f"[op.pixel_shuffle]\n{drawn}", framework="torch"))["state"].verdict == "wrong"


def test_setup_may_use_python_beside_the_file(tmp_path: Path) -> None:
    """A helper that data cannot say stands in a module in the same folder; versions of packages are told."""
    (tmp_path / "helper_beside.py").write_text("def transposed(x):\n    return x.swapaxes(-1, -2)\n", encoding="utf-8")
    text = 'setup = "from helper_beside import transposed"\npackages = ["msgspec"]\n'
    text += '[op.matrix_transpose]\ncall = "transposed(x)"\n'
    found = run(tmp_path, text)
    assert found.passed
    assert "msgspec" in found.backends["library.toml"]["versions"]
    broken = run(tmp_path, text.replace("helper_beside", "no_such_helper"))
    assert "setup: ModuleNotFoundError" in broken.problems[0]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """As a Python file is."""
    with pytest.raises(TargetError, match="no file"):
        read_library(tmp_path / "none.toml")


WHERE = """
[op.expert_counts]
where = "((0 <= index) & (index < experts)).all()"
call = "np.bincount(index.reshape(-1), minlength=experts)"
"""


def test_where_steers_and_is_counted(tmp_path: Path) -> None:
    """Calls outside are not made, enough are drawn inside, and the report says how many of how many met it."""
    found = results(run(tmp_path, WHERE))
    told = re.fullmatch(r"(\d+) of (\d+) calls meet where", found["def"].reason.rpartition("; ")[2].replace(",", ""))
    assert told is not None
    met, asked = map(int, told.groups())
    assert found["def"].verdict == "holds"
    assert 400 < met < asked
    assert found["def"].instances == met
    without = results(run(tmp_path, WHERE.replace("where", "# where")))
    assert without["def"].verdict == "wrong"


def test_calls_that_must_raise_are_counted_as_well(tmp_path: Path) -> None:
    """Those outside are not made, and a clause that holds says how many that leaves."""
    text = '[op.top_k]\nwhere = "len(x) != 2"\ncall = "(x[:, :k].reshape(len(x), k),) * 2"\n'
    found = results(run(tmp_path, text, everything=True))["err.require.enough"]
    calls = violating(load("top_k"), "require.enough")
    made = sum(call.inputs[0].shape[0] != 2 for call in calls)
    assert 0 < made < len(calls)
    assert (found.verdict, found.instances, found.reason) == ("holds", made, f"{made} of {len(calls)} calls meet where")


def test_where_is_no_excuse_inside(tmp_path: Path) -> None:
    """What is wrong for a call that meets the condition is wrong, on a call that meets it."""
    found = results(run(tmp_path, WHERE.replace("minlength=experts)", "minlength=experts)[::-1].copy()")))
    assert found["def"].verdict == "wrong"
    assert found["def"].witness is not None
    assert "-1" not in found["def"].witness["inputs"]["index"]


def test_too_few_calls_are_no_verdict(tmp_path: Path) -> None:
    """Below the number that is stated nothing is known, and the run does not pass."""
    found = run(tmp_path, WHERE.replace('all()"', 'all() and index.sum() == 7 and index.size == 5"'))
    clause = next(r for r in found.results if r.clause == "expert_counts/def")
    assert clause.verdict == "not run"
    assert re.fullmatch(r"\d+ of [\d,]+ calls meet where", clause.reason)
    assert not found.passed
    assert "expert_counts/def was not judged" in " ".join(found.problems)


def test_sizes_and_parameters_are_solved(tmp_path: Path) -> None:
    """An equation of sizes, bounds and multiples: every call that is asked keeps them, and none is lost."""
    text = """
    [op.moe_dense]
    where = "D == H and E > 0 and ((0 <= index) & (index < E)).all()"
    sizes = { F = "multiple of 4", k = "<= 2" }
    let.seen = "D == H and F % 4 == 0 and K <= 2 or 1 // 0"
    call = "np.zeros((T, H), x.dtype)"
    """.replace("k =", "K =")
    found = results(run(tmp_path, text, everything=True))
    assert "ZeroDivisionError" not in " ".join(r.reason for r in found.values())
    assert found["def"].verdict == "wrong"
    assert found["def"].witness is not None
    assert "difference" in found["def"].witness


DOMAINS = [
    ("top_k", "E == 256 and K == 8", {}, lambda n: (n["E"], n["K"]) == (256, 8)),
    ("top_k", "", {"E": "multiple of 64", "k": "<= 8"}, lambda n: n["E"] % 64 == 0 and n["K"] <= 8),
    ("moe_dense", "D == H and H == F and E > 1", {}, lambda n: n["D"] == n["H"] == n["F"] and n["E"] > 1),
    ("moe_dense", "D * 2 == H or D == H", {}, lambda n: n["H"] in (n["D"], 2 * n["D"])),
    ("grouped_matmul", "D % F == 0", {"D": "multiple of 16"}, lambda n: n["D"] % 16 == 0 and n["D"] % n["F"] == 0),
    ("space_to_depth", "layout == 'nhwc' and block_size == 2", {}, lambda n: (n["layout"], n["block_size"]) == ("nhwc", 2)),
    ("pixel_shuffle", "upscale_factor in (2, 4)", {}, lambda n: n["upscale_factor"] in (2, 4)),
    ("unfold", "", {"stride": "== 1", "dilation": "< 2"}, lambda n: (n["sh"], n["sw"], n["dh"], n["dw"]) == (1, 1, 1, 1)),
]


@pytest.mark.parametrize(
    ("op", "where", "sizes", "kept"), DOMAINS, ids=[f"{op}-{where or sizes}" for op, where, sizes, _ in DOMAINS]
)
def test_calls_of_a_domain_are_found_by_solving(
    op: str, where: str, sizes: dict[str, str], kept: Callable[[dict[str, Any]], bool]
) -> None:
    """Small, distinct and long calls all keep what is said of sizes and parameters, and there are enough of them."""
    card = load(op)
    asked = within(card, domain_of(card, where, sizes, ()))
    found = [*cases.bank(asked), *cases.scope(asked, 256)[0], *cases.big(asked), *cases.broad(asked)]
    assert cases.bank(asked)
    assert len(found) > 30
    for case in found:
        assert kept(numbers_of(case.op, case.solution, case.params)), str(case)


def test_what_no_call_can_meet_is_not_run(tmp_path: Path) -> None:
    """A contradiction is no crash of the judge and no pass."""
    found = run(tmp_path, '[op.top_k]\nwhere = "K > 3 and K < 2"\ncall = "x"\n')
    assert {r.verdict for r in found.results} == {"not run"}
    assert not found.passed


def test_the_forms_that_a_library_has_are_judged_and_no_others(tmp_path: Path) -> None:
    """By `forms`, or by a condition that says the same; what the card promises of the form is asked in full."""
    call = 'let.b = "block_size"\ncall = "np.concatenate([x[:, i::b, j::b] for i in range(b) for j in range(b)], 3)"\n'
    for way in ('forms = ["nhwc"]\n', "where = \"layout == 'nhwc'\"\n"):
        found = results(run(tmp_path, f"[op.space_to_depth]\n{way}{call}"))
        assert found["def"].verdict == "holds"
        assert found["def"].instances > 50
        assert "meet where" not in found["def"].reason
    assert results(run(tmp_path, f"[op.space_to_depth]\n{call}"))["def"].verdict == "wrong"


def test_a_condition_that_raises_is_not_met_and_told(tmp_path: Path) -> None:
    """No call is made of which the adapter cannot say whether it is meant."""
    found = results(run(tmp_path, WHERE.replace("((0", "1 // 0 + ((0"), everything=True))
    assert found["def"].verdict == "not run"
    assert "where raised ZeroDivisionError" in found["def"].reason


def test_fresh_calls_are_drawn_inside(tmp_path: Path) -> None:
    """As many calls as are asked for meet the condition; the others are drawn again."""
    path = tmp_path / "library.toml"
    path.write_text(f'framework = "numpy"\n{WHERE}', encoding="utf-8")
    found = results(check(Request((str(path),), tiers=("property",), examples=40, seed=3)))
    assert found["def"].verdict == "holds"
    assert found["def"].instances >= 40


HOSTILE = {
    "the judge evaluates a condition": "open(SEEN, 'a').write(str(__import__('os').getpid()) + ' ')",
    "a condition ends the process": "__import__('os')._exit(0)",
    "a condition leaves": "(_ for _ in ()).throw(SystemExit(0))",
    "a condition takes what is right alone": "False",
    "a condition is no truth value": "x.reshape(-1)",
    "depth": "+".join("1" * 900) + " > 0",
    "powers": "9 ** 9 ** 9 > 0 if x.size < 0 else False",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_expression_is_no_way_round_the_wall(tmp_path: Path, name: str) -> None:
    """The judge evaluates none of it, and whatever it does, a wrong function never holds."""
    seen = tmp_path / "seen"
    condition = HOSTILE[name].replace("SEEN", repr(str(seen)))
    found = run(tmp_path, f'[op.matrix_transpose]\nwhere = "{condition}"\ncall = "x.reshape(x.swapaxes(-1, -2).shape)"\n')
    assert not found.passed
    assert not [r for r in found.results if r.clause == "matrix_transpose/def" and r.verdict == "holds"]
    assert seen.exists() == ("SEEN" in HOSTILE[name]), "the runner evaluates a condition"
    if seen.exists():
        assert str(os.getpid()) not in seen.read_text().split()


FORGED = "from einspec.conformance.runner import ways\nways.Calls.outside = lambda self, op, call: 'where'\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("forged.py", f"import numpy as np\n{FORGED}def matrix_transpose(x: np.ndarray):\n    return x\n"),
        ("forged.toml", f'framework = "numpy"\nsetup = """\n{FORGED}"""\n[op.matrix_transpose]\ncall = "x"\n'),
    ],
)
def test_who_has_no_condition_cannot_say_that_a_call_is_outside(tmp_path: Path, name: str, text: str) -> None:
    """Only a condition that the report shows leaves calls out: a runner that says so of its own accord is not believed."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = check(Request((str(tmp_path / name),), tiers=("scope",)))
    assert {r.verdict for r in found.results if r.clause == "matrix_transpose/def"} == {"wrong"}


def test_conventions_and_domains_are_no_disagreement_of_backends(tmp_path: Path) -> None:
    """Backends are compared on one input; a library with conventions of its own, or asked other calls, is not among them."""
    path = tmp_path / "library.toml"
    text = '[op.top_k]\nadmit = ["ties"]\nlet.o = "np.argsort(x, 1)[:, ::-1][:, :k]"\n'
    text += 'call = "(np.take_along_axis(x, o, 1), o.astype(np.int32))"\n'
    path.write_text(f'framework = "numpy"\n{text}', encoding="utf-8")
    found = check(Request((str(path), "numpy"), ("top_k",), tiers=("scope",)))
    assert not [r for r in found.results if "agree" in r.clause]


def test_an_expression_that_computes_with_einspec_is_not_independent(tmp_path: Path) -> None:
    """As of a Python file: the answers are not there, and who fetches them is told."""
    found = run(
        tmp_path, "[op.matrix_transpose]\ncall = \"__import__('einspec.impls.numpy').impls.numpy.matrix_transpose(x)\"\n"
    )
    assert not found.passed
    assert "is not independent" in " ".join(found.problems)


def test_a_first_adapter_is_found_by_trying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which op, which call and which conventions: what is written holds in the small scope, and nothing is overwritten."""
    pytest.importorskip("torch", reason="needs PyTorch")
    monkeypatch.chdir(tmp_path)
    assert main(["new", "adapter", "torch.topk"]) == 0
    text = (tmp_path / "topk.toml").read_text(encoding="utf-8")
    library = parsed(text, "topk.toml")
    assert (library.framework, library.packages) == ("torch", ("torch",))
    assert library.op["top_k"].call == "torch.topk(x, k)"
    assert set(library.op["top_k"].admit) == {"index_dtype", "ties"}
    assert main(["new", "adapter", "torch.topk"]) == 2
    assert (tmp_path / "topk.toml").read_text(encoding="utf-8") == text


def test_what_no_op_computes_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A function that is no op, one that is not there, and a name without a module: each says what to do."""
    monkeypatch.chdir(tmp_path)
    for name, words in {
        "numpy.gcd": "no op was found that it computes",
        "numpy.no_such_function": "numpy cannot be imported: ImportError: cannot import name 'no_such_function'",
        "topk": "name a function of a module",
    }.items():
        assert main(["new", "adapter", name, "--op", "roll"]) == 2
        assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
