"""The calls that ops are judged on: exhaustive where they fit, smallest first, telling."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from einspec import load, ops
from einspec.answers.expect import expected
from einspec.calls import cases
from einspec.calls.assumptions import broken
from einspec.calls.blocks import EDGES, blocks, large_outputs, tensors
from einspec.calls.cases import big
from einspec.calls.covering import MODELS, covering
from einspec.calls.inputs import filled
from einspec.calls.routes import NO_ROUTE, SKEWED, ids, routes, slots
from einspec.calls.skewed import far_ids
from einspec.calls.space import make_case
from einspec.clauses import dtypes_of
from einspec.conformance.checks.conduct import ask_conduct, ask_layout
from einspec.conformance.checks.definition import ask_definition, many
from einspec.conformance.checks.long_axes import past_15_bits, past_16_bits, spikes
from einspec.conformance.checks.scene import Scene
from einspec.conformance.checks.trials import ordinary, plain_trial


def test_the_scope_is_exhaustive_and_smallest_first() -> None:
    """Every size tuple up to three of split_heads is there, up to two beside a zero, in order of size."""
    found, total = cases.scope(load("split_heads"), cases.SCOPE_LIMIT)
    assert total == 4 * 4 * 3 * 4
    assert len({(c.shapes, c.params["num_heads"]) for c in found}) == len(found)
    sizes = itertools.product(range(4), range(4), range(1, 4), range(4))
    wanted = {(((b, n, h * d),), h) for b, n, h, d in sizes if not {0, 3} <= {b, n, h, d}}
    assert {(c.shapes, c.params["num_heads"]) for c in found} == wanted
    elements = [c.elements for c in found]
    assert elements == sorted(elements)


@pytest.mark.parametrize("name", ops())
def test_every_op_has_telling_calls(name: str) -> None:
    """Every op has calls with axes of different sizes above one, in every form, and calls that grow."""
    op = load(name)
    bank = cases.bank(op)
    assert {id(c.form) for c in bank} == {id(f) for f in op.forms.values()}
    for case in bank:
        assert not case.empty
    assert cases.big(op) or not op.forms[next(iter(op.forms))].signature.inputs


@pytest.mark.parametrize("name", ops())
def test_what_stands_for_an_op_says_something(name: str) -> None:
    """The calls by which memory, laws and transforms are judged know some of every output, a bound that is not infinite."""
    for case in cases.bank(load(name))[:3]:
        for want in plain_trial(case, ordinary(case)).expected.values():
            assert want.bound is None or not np.isinf(want.bound).all()


def test_big_calls_cross_the_limits_of_narrow_integers() -> None:
    """Some axis of pixel_shuffle is longer than 2**16."""
    assert max(n for c in cases.big(load("pixel_shuffle")) for s in c.shapes for n in s) > 2**16


def test_positions_are_kept_and_broken() -> None:
    """Callers' promises about an index: that its numbers are positions, and that none comes twice in a line."""
    case = next(c for c in cases.bank(load("scatter")) if len(c.shapes[0]) == 2 and c.params["axis"] in (0, -2))
    (n, m), (k, _) = case.shapes[:2]
    index = np.zeros((k, m), np.int32)
    index[:] = np.arange(k)[:, None]  # of k places, more than there are
    given = filled(case, "float32", "gauss", 1)
    assert k > n
    assert broken(case, {**given, "index": index}) == "inside"
    assert broken(case, {**given, "index": index % n}) == "places"
    fitting = make_case(case.op, {"axis": 0}, ((n, m), (n, m), (n, m)))
    assert fitting is not None
    assert broken(fitting, {**given, "index": index[:n]}) == ""
    assert broken(fitting, {**given, "index": index[:n] * 0}) == "places"


def test_most_calls_keep_what_callers_promise_of_positions() -> None:
    """Where there are as many places as updates, about half of the inputs that are made up give each place once."""
    case = make_case(load("scatter"), {"axis": 1}, ((2, 4), (2, 3), (2, 3)))
    assert case is not None
    kept = [not broken(case, filled(case, "float32", "gauss", seed)) for seed in range(200)]
    assert 80 < sum(kept) < 160


def test_pairs_of_parameters_are_met() -> None:
    """Strides past the kernel, dilations, unlike shifts, negative fractions, the window of Swin, experts of real models."""
    unfold = [c.params for c in covering(load("unfold"))]
    alone = [p for p in unfold if not {"padding", "dilation", "order"} & p.keys()]
    assert any(p["kernel_size"] == 1 and p.get("stride", 1) in (3, 4, 5, 6, 8) for p in alone)
    assert {p.get("dilation", 1) for p in unfold} >= {1, 2, 3, 4, 5, 8}
    assert any(isinstance(p.get("dilation"), tuple) and len(set(p["dilation"])) == 2 for p in unfold)
    shifts = [c.params["shift"] for c in covering(load("cyclic_shift"))]
    assert any(isinstance(s, tuple) and s[0] * s[1] < 0 for s in shifts)
    assert {-1.5, 0.375} <= {c.params.get("pad_value") for c in covering(load("pad_to_multiple"))}
    masks = [c.params for c in covering(load("shifted_window_mask"))]
    assert any(p["window_size"] == 7 for p in masks)
    chosen = {(c.solution.sizes["k"], c.solution.sizes["e"]) for c in covering(load("gate"))}
    assert chosen >= set(MODELS)


@pytest.mark.parametrize("name", ["unfold", "top_k", "combine", "space_to_batch"])
def test_calls_that_meet_pairs_are_legal_and_few(name: str) -> None:
    """Each is another call of distinct text, small, plain ones first, and the same every time."""
    found = covering(load(name))
    assert len({str(c) for c in found}) == len(found) < 200
    assert all(not c.empty and c.work <= 20_000 for c in found)
    assert [len(c.options) for c in found] == sorted(len(c.options) for c in found)
    covering.cache_clear()
    assert [str(c) for c in covering(load(name))] == [str(c) for c in found]


@pytest.mark.parametrize(
    ("name", "axis"), [("combine", "t"), ("matrix_transpose", "m"), ("moe_dense", "e"), ("z_loss", "e"), ("top_k", "k")]
)
def test_each_axis_is_at_the_edges_of_blocks(name: str, axis: str) -> None:
    """Just below, at and just above each power of two from 8 to 1,024, and 2,048; two axes at once are full blocks too."""
    found = blocks(load(name))
    assert {c.solution.sizes[axis] for c in found} >= set(EDGES)
    assert any(sorted(c.solution.sizes.values())[-2:] == [64, 64] for c in found)


def test_merged_axes_and_whole_tensors_are_at_the_edges_of_blocks() -> None:
    """A dimension that two axes make up has these lengths too, and so has the number of elements of an output."""
    found = blocks(load("pixel_shuffle"))
    assert {c.solution.sizes["w"] * c.solution.sizes["j"] for c in found} >= set(EDGES)
    assert {c.made for c in found} >= set(EDGES)
    assert {c.made for c in blocks(load("swap_hw"))} >= set(EDGES)


def test_no_block_of_even_routes_is_the_one_before() -> None:
    """As many tokens go to each expert, but not in turn: the second 128 routes are not the first again."""
    case = make_case(load("dispatch"), {"experts": 2, "capacity": 128}, ((256, 1), (256, 1), (256, 1)))
    assert case is not None
    index = routes(case, "balanced")["index"].reshape(-1)
    assert np.bincount(index).tolist() == [128, 128]
    assert index[:128].tolist() != index[128:].tolist()
    two = make_case(load("dispatch"), {"experts": 5, "capacity": 9}, ((40, 1), (40, 2), (40, 2)))
    assert two is not None
    both = routes(two, "balanced")["index"]
    assert (both[:, 0] != both[:, 1]).all()


def test_mixed_routes_use_every_end_and_repeat_no_block() -> None:
    """They reach the last expert and the last slot, a token never chooses an expert twice, and slots are as callers promise."""
    case = make_case(load("dispatch"), {"experts": 9, "capacity": 300}, ((128, 1), (128, 4), (128, 4)))
    assert case is not None
    found = routes(case, "mixed")
    index, position = found["index"], found["position"]
    assert {0, 8} <= set(index[:, 0].tolist())
    assert all(len(set(row)) == 4 for row in index.tolist())
    assert {position[index == e].max() for e in range(9)} == {299}
    assert not broken(case, {"x": np.zeros((128, 1), np.float32), **found})
    few = make_case(load("expert_counts"), {"experts": 2}, ((1, 128),))
    assert few is not None
    (row,) = routes(few, "mixed")["index"]
    assert sorted(row[:64]) != sorted(row[64:])


def test_large_outputs_and_the_ends_of_blocks_are_in_every_form() -> None:
    """Kernels choose by the size of an output; a long definition has a rest, one more and no rest behind every block too."""
    (case,) = large_outputs(load("top_k"))
    assert case.made > 4096
    assert all(tensors(c) <= 64 for name in ("concat", "unstack", "stack") for c in large_outputs(load(name)))
    by_preset = {
        p: [c.solution.sizes["e"] for c in blocks(load("gate")) if c.params["preset"] == p] for p in ("shazeer", "mixtral")
    }
    assert sorted(set(by_preset["shazeer"]))[-3:] == [1023, 1024, 1025]
    assert sorted(set(by_preset["mixtral"]))[-3:] == [63, 64, 65], "where three experts are compared at once"


def test_counts_that_no_size_bounds_are_large() -> None:
    """Offsets behind them need 32 bits, and no more."""
    (case, *_) = (c for c in cases.bank(load("lengths_to_offsets")) if c.elements > 2)
    total = int(far_ids(case, 0)["counts"].astype(np.int64).sum())
    assert 2**16 < total < 2**31


def test_a_mask_is_tried_where_its_numbers_tell() -> None:
    """An op that takes numbers alone is no op of zeros: windows are shifted at the edges of blocks too."""
    shifted = [c for c in blocks(load("shifted_window_mask")) if c.params["shift"]]
    assert {c.solution.sizes["h"] * c.solution.sizes["w"] for c in shifted} >= {64, 65, 512, 513}


def test_long_sums_and_maxima_show_their_last_term() -> None:
    """A sum of few numbers rounds little, and the greatest of a ramp is its last."""
    (case,) = (c for c in big(load("global_avg_pool")) if c.solution.sizes["h"] > 2**16)
    x = spikes(case)["x"]
    lines = np.flatnonzero(x.any((0, 1, 3)))
    assert {2**16 - 1, 2**16, x.shape[2] - 1} <= set(lines.tolist())
    assert len(lines) < 20
    asked = ask_definition(Scene(load("global_max_pool")), "", "big").trials
    rising = [t for t in asked if t.case.solution.sizes["h"] == 1025 and (np.diff(t.arrays["x"].reshape(-1)) == 1).all()]
    assert rising


def test_every_long_axis_is_looked_at_where_few_terms_are_added() -> None:
    """Behind 16 bits a call that rounds is compared at rows along each axis, or whole."""
    assert {max(t.case.solution.sizes.items(), key=lambda e: e[1])[0] for t in past_15_bits(load("noisy_logits"))} == {"t", "e"}
    assert any(t.case.solution.sizes["f"] > 2**16 for t in past_15_bits(load("glu")))
    assert any(t.case.solution.sizes["t"] > 2**16 for t in past_15_bits(load("load_balance")))
    far = [t for t in past_16_bits(load("permute")) if t.case.solution.sizes["t"] > 2**16]
    assert all(t.arrays["order"].max() >= 2**15 for t in far)


def test_many_elements_hold_what_16_bits_do_not() -> None:
    """Of the calls of a sum at the edges of blocks, some are exact in any order, the others no half holds."""
    made = [many(c)["x"] for c in blocks(load("dispatch")) if c.elements > 100]
    exact = [np.array_equal(x, x.astype(np.float16)) for x in made]
    assert 0.2 < np.mean(exact) < 0.8


def test_every_dtype_comes_expanded() -> None:
    """One slice that stands for all is tried in each dtype, as any other memory is."""
    asked = ask_layout(Scene(load("flip")), "expanded", "scope").trials
    assert {d for t in asked for d in t.dtypes} == set(dtypes_of(load("flip")))
    assert all(t.way.expand >= 0 for t in asked)


def test_a_call_is_made_twice_where_there_is_a_tail() -> None:
    """What is stale may be nothing but the tail behind full blocks."""
    (trial,) = ask_conduct(Scene(load("swap_hw")), "", "scope").trials
    assert trial.case.made % 8


def test_long_rows_are_looked_at_behind_16_bits_and_at_the_end() -> None:
    """Each has something to tell: two candidates, not one; the last element of what is far is always among the points."""
    (trial,) = past_15_bits(load("top_k"))
    assert trial.case.solution.sizes == {"t": 2**16 + 1, "e": 2, "k": 2}
    assert {2**15, 2**16} <= set(np.asarray(trial.expected["index"].at)[:, 0].tolist())
    for trial in past_16_bits(load("dispatch")):
        for want in trial.expected.values():
            assert want.at is not None
            assert (np.array(want.shape) - 1).tolist() in want.at.tolist()


def test_patterns_of_routes_are_what_they_are_called() -> None:
    """Experts get even shares, all, none, a falling number or one; slots are distinct, the last route of each has one."""
    counts = {p: np.bincount(1 + ids(p, 1000, 8), minlength=9)[1:].tolist() for p in SKEWED}
    assert counts["balanced"] == [125] * 8
    assert counts["first"] == [1000, *[0] * 7]
    assert counts["last"] == [*[0] * 7, 1000]
    assert max(counts["most"]) > 980
    assert counts["falling"][:3] == [500, 250, 125]
    assert counts["single"] == [1] * 8
    assert sorted(ids("single", 1000, 1024)[:3]) == [NO_ROUTE, 0, 512]
    index = ids("falling", 100, 8)
    found = slots(index, 10)
    kept = sorted(zip(index[found < 10], found[found < 10], strict=True))
    assert len(set(kept)) == len(kept)
    assert found[np.flatnonzero(index == 0)[-1]] == 9


def test_an_index_beside_what_is_moved_keeps_its_digits() -> None:
    """It is an integer, not a number of the dtype that moves: 2049 is none of float16, and -1 comes from unsigned ids too."""
    case = make_case(load("append_shared_experts"), {"experts": 2049, "shared": 1}, ((1, 2), (1, 2)))
    assert case is not None
    weights, index = np.array([[0.5, 2]], np.float16), np.array([[7, 2**16 - 1]], np.uint16)
    routes = expected(case, {"weights": weights, "index": index})["routes"]
    assert routes.array.dtype == np.int32
    assert routes.array.tolist() == [[7, -1, 2049]]
