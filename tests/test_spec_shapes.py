"""Solving a call: sizes from shapes and parameters, and the error that a call gets which does not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from einspec.card import load
from einspec.errors import ParameterError, ShapeError
from einspec.solve import Solution, solve

Shape = tuple[int, ...]


def solved(op: str, *shapes: Shape, **params: Any) -> Solution:
    """Return the solution of a call."""
    return solve(load(op), shapes, params)


def output_shapes(solution: Solution) -> list[Shape]:
    """Return the shapes of the outputs."""
    return [solution.shape(spec) for spec in solution.form.signature.outputs]


SOLVED: list[tuple[str, list[Shape], dict[str, Any], dict[str, int], list[Shape]]] = [
    ("pixel_shuffle", [(12, 5, 7)], {"upscale_factor": 2}, {"c": 3, "i": 2, "h": 5}, [(3, 10, 14)]),
    ("pixel_shuffle", [(2, 9, 12, 5, 7)], {"upscale_factor": 2}, {"...": 2, "c": 3}, [(2, 9, 3, 10, 14)]),
    ("split_heads", [(2, 5, 12)], {"num_heads": 3}, {"h": 3, "d": 4}, [(2, 3, 5, 4)]),
    ("patchify", [(1, 3, 4, 9)], {"patch_size": (2, 3)}, {"p": 2, "q": 3, "h": 2, "w": 3}, [(1, 6, 18)]),
    ("unpatchify", [(1, 6, 18)], {"patch_size": (2, 3), "height": 4, "width": 9}, {"c": 3}, [(1, 3, 4, 9)]),
    ("tile", [(2, 3)], {"repeats": 4, "axis": 1}, {"n": 3, "a": 1, "b": 0}, [(2, 12)]),
    ("tile", [(2, 3)], {"repeats": 4, "axis": -1}, {"n": 3, "a": 1, "b": 0}, [(2, 12)]),
    ("tile", [(2, 3)], {"repeats": 4}, {"n": 2, "a": 0, "b": 1}, [(8, 3)]),
    ("stack", [(3, 4, 5)], {"axis": -1}, {"n": 3, "a": 2, "b": 0}, [(4, 5, 3)]),
    ("stack", [(3,)], {}, {"n": 3, "a": 0, "b": 0}, [(3,)]),
    ("repeat_new_axis", [()], {"num_repeats": 3}, {"a": 0, "b": 0}, [(3,)]),
    ("flatten_leading", [(2, 3, 4)], {}, {"a": 2, "...": 1}, [(6, 4)]),
    ("unflatten", [(6, 4)], {"sizes": (2, 3)}, {"s.0": 2, "s.1": 3}, [(2, 3, 4)]),
    ("unflatten", [(6, 4)], {"sizes": (-1, 3)}, {"s.0": 2}, [(2, 3, 4)]),
    ("unflatten", [(6,)], {"sizes": (2, -1)}, {"s.1": 3}, [(2, 3)]),
    ("unflatten", [(6,)], {"sizes": [-1]}, {"s.0": 6}, [(6,)]),
    ("unflatten", [(0, 4)], {"sizes": (-1, 3)}, {"s.0": 0}, [(0, 3, 4)]),
    ("unfold", [(1, 2, 5, 6)], {"kernel_size": 3, "stride": 2, "padding": (1, 0)}, {"i": 3, "j": 2}, [(1, 18, 6)]),
    ("pad_to_multiple", [(1, 5, 2)], {"multiple": 4}, {"m": 8}, [(1, 8, 2)]),
    ("pad_to_multiple", [(1, 0, 2)], {"multiple": 4}, {"m": 0}, [(1, 0, 2)]),
    ("split_qkv", [(1, 2, 24)], {"num_heads": 2}, {"t": 3, "d": 4}, [(3, 1, 2, 2, 4)]),
    ("split_qkv_grouped", [(1, 2, 24)], {"num_kv_heads": 2, "num_queries_per_kv": 4}, {"d": 2},
     [(1, 8, 2, 2), (1, 2, 2, 2), (1, 2, 2, 2)]),
    ("skew", [(7, 4, 5)], {}, {"n": 4, "r": 5}, [(7, 4, 4)]),
    ("sliding_window_mask", [], {"seq_len": 3, "left": 1, "right": 0}, {"n": 3}, [(3, 3)]),
    ("permute_dims", [(2, 3, 4)], {"axes": (1, 2, 0)}, {"a": 3}, [(3, 4, 2)]),
    ("permute_dims", [(2, 3, 4)], {"axes": (-2, -1, -3)}, {"a": 3}, [(3, 4, 2)]),
    ("permute_dims", [()], {"axes": ()}, {"a": 0}, [()]),
    ("moveaxis", [(2, 3, 4, 5)], {"source": (0, 1), "destination": (-1, -2)}, {"a": 4}, [(4, 5, 3, 2)]),
    ("moveaxis", [(2, 3, 4)], {"source": 2, "destination": 0}, {"a": 3}, [(4, 2, 3)]),
    ("swapaxes", [(2, 3, 4)], {"axis1": 0, "axis2": -1}, {"a": 3}, [(4, 3, 2)]),
    ("swapaxes", [(2, 3, 4)], {"axis1": 1, "axis2": 1}, {"a": 3}, [(2, 3, 4)]),
]  # fmt: skip


@pytest.mark.parametrize(("op", "shapes", "params", "known", "outputs"), SOLVED)
def test_a_call_fixes_all_sizes(
    op: str, shapes: list[Shape], params: dict[str, Any], known: dict[str, int], outputs: list[Shape]
) -> None:
    """Sizes, ranks and output shapes follow from the shapes and parameters."""
    solution = solved(op, *shapes, **params)
    assert {k: ({**solution.ranks, **solution.sizes})[k] for k in known} == known
    assert output_shapes(solution) == outputs


def test_a_second_axis_of_a_name_has_the_size_of_the_first() -> None:
    """``n1`` has the size of ``n``."""
    assert solved("skew", (4, 5)).size("n1") == 4


INVALID: list[tuple[str, list[Shape], dict[str, Any], str, str]] = [
    ("pixel_shuffle", [(10, 4, 4)], {"upscale_factor": 2}, "divides.x.1", "dimension 0 of x must be a multiple of 4"),
    ("pixel_shuffle", [(4, 4)], {"upscale_factor": 2}, "rank.x", "x must have at least 3 axes, not 2"),
    ("split_heads", [(2, 3, 4, 5)], {"num_heads": 2}, "rank.x", "x must have 3 axes, not 4"),
    ("split_heads", [(2, 3, 5)], {"num_heads": 2}, "divides.x.2", "dimension 2 of x must be a multiple of 2, not 5"),
    ("split_heads", [], {"num_heads": 2}, "count", "takes 1 tensors, not 0"),
    ("unflatten", [(6,)], {"sizes": (2, 4)}, "match.x.0", "dimension 0 of x must be 8, not 6"),
    ("unflatten", [(6,)], {"sizes": (4, -1)}, "divides.x.0", "dimension 0 of x must be a multiple of 4, not 6"),
    ("unflatten", [(0,)], {"sizes": (0, -1)}, "open.x.0", "dimension 0 of x leaves the sizes of s open"),
    ("unflatten", [(6,)], {"sizes": (-1, -1)}, "open.x.0", "leaves the sizes of s open"),
    ("unpatchify", [(1, 6, 18)], {"patch_size": 4, "height": 5, "width": 8}, "divides.height", "multiple of 4, not 5"),
    ("unpatchify", [(1, 5, 12)], {"patch_size": 2, "height": 4, "width": 6}, "match.x.1", "must be 6"),
    ("tile", [(2, 3)], {"repeats": 2, "axis": 2}, "param.axis", "axis must lie in -2..1, not 2"),
    ("tile", [(2, 3)], {"repeats": 2, "axis": -3}, "param.axis", "axis must lie in -2..1, not -3"),
    ("tile", [()], {"repeats": 2}, "rank.x", "x must have at least 1 axes, not 0"),
    ("stack", [(3, 4)], {"axis": 2}, "param.axis", "axis must lie in -2..1, not 2"),
    ("stack", [(0, 4)], {}, "axes.n", "n must be at least 1, not 0"),
    ("concat", [(3,)], {}, "rank.xs", "xs must have at least 1 axes, not 0"),
    ("merge_qkv", [(2, 1, 1, 1, 1)], {}, "match.qkv.length", "the length of qkv must be 3"),
    ("channel_max_pool", [(1, 0, 2, 2)], {}, "axes.c", "c must be at least 1, not 0"),
    ("unfold", [(1, 1, 2, 5)], {"kernel_size": 3}, "require.height", "needs H + 2"),
    ("unskew", [(2, 3)], {"num_distances": 2}, "require.square", "needs N1 == N"),
    ("chunk_overlap", [(1, 0, 1)], {"window_size": 2}, "axes.m", "m must be at least 1, not 0"),
    ("permute_dims", [(2, 3, 4)], {"axes": (1, 0)}, "param.axes", "axes must list each of the 3 axes once, not (1, 0)"),
    ("permute_dims", [(2, 3)], {"axes": (0, -2)}, "param.axes", "axes must name each axis once, not (0, -2)"),
    ("moveaxis", [(2, 3)], {"source": (0, 1), "destination": 0}, "param.destination", "as many places as source, not 0"),
    ("swapaxes", [()], {"axis1": 0, "axis2": 0}, "param.axis2", "axis2 must name axes, of which there are none, not 0"),
    ("swapaxes", [(2, 3)], {"axis1": 0, "axis2": 2}, "param.axis2", "axis2 must name positions in -2..1, not 2"),
]  # fmt: skip


@pytest.mark.parametrize(("op", "shapes", "params", "constraint", "problem"), INVALID)
def test_an_invalid_call_is_an_error_that_holds_all_that_is_needed(
    op: str, shapes: list[Shape], params: dict[str, Any], constraint: str, problem: str
) -> None:
    """The error says what is wrong, the signature, what came and the sizes so far, and names the constraint."""
    with pytest.raises(ShapeError) as caught:
        solved(op, *shapes, **params)
    lines = str(caught.value).splitlines()
    form = next(iter(load(op).forms.values()))
    assert caught.value.constraint == constraint
    assert lines[0].startswith(f"{op}: ")
    assert problem in lines[0]
    assert lines[1] == f"  signature: {form.signature}"
    shown = [f"{s.name}[{', '.join(map(str, shape))}]" for s, shape in zip(form.signature.inputs, shapes, strict=False)]
    assert lines[2] == f"  got: {', '.join(shown) or 'no tensor'}"
    assert all(f"{name}={value!r}" in lines[3] for name, value in params.items())


def test_the_message_of_an_invalid_call_reads_as_one_page() -> None:
    """The whole text of one error, as a user sees it."""
    with pytest.raises(ShapeError) as caught:
        solved("pixel_shuffle", (2, 10, 4, 4), upscale_factor=2)
    assert str(caught.value) == (
        "pixel_shuffle: dimension 1 of x must be a multiple of 4, not 10\n"
        "  signature: x: ... (c i j) h w -> y: ... c (h i) (w j)\n"
        "  got: x[2, 10, 4, 4]\n"
        "  with: upscale_factor=2, i=2, j=2\n"
        "  clause: pixel_shuffle/err.divides.x.1"
    )


def test_a_shape_error_is_a_value_error() -> None:
    """Callers that know no einspec catch it as what it is."""
    assert issubclass(ShapeError, ValueError)
    assert issubclass(ParameterError, ValueError)


PARAMETERS: list[tuple[str, dict[str, Any], str]] = [
    ("tile", {}, "tile: missing parameter 'repeats': how many copies"),
    ("tile", {"repeats": 2, "n": 2}, "tile: no parameter 'n'; the parameters are: repeats, axis"),
    ("matrix_transpose", {"axis": 1}, "matrix_transpose: no parameter 'axis'; the parameters are: none"),
    ("tile", {"repeats": -1}, "tile: repeats must be at least 0, not -1"),
    ("split_heads", {"num_heads": 0}, "split_heads: num_heads must be at least 1, not 0"),
    ("swap_hw", {"layout": "hwc"}, "swap_hw: layout must be one of nchw, nhwc, not 'hwc'"),
    ("swap_hw", {"layout": 1}, "swap_hw: layout must be one of nchw, nhwc, not 1"),
    ("swap_hw", {"layout": ["nchw"]}, "swap_hw: layout must be one of nchw, nhwc"),
    ("patchify", {"patch_size": (2, 2, 2)}, "patchify: patch_size must be an integer or a tuple of 2, not .2, 2, 2."),
    ("patchify", {"patch_size": (2, 0)}, "patchify: patch_size must be at least 1, not .2, 0."),
    ("unflatten", {"sizes": ()}, "unflatten: sizes must list at least one size"),
    ("unflatten", {"sizes": (-2, 3)}, "unflatten: sizes must be at least -1, not .-2, 3."),
]


@pytest.mark.parametrize(("op", "params", "message"), PARAMETERS)
def test_a_wrong_parameter_is_a_parameter_error(op: str, params: dict[str, Any], message: str) -> None:
    """A parameter that is unknown, missing or out of range is named with what would be right."""
    with pytest.raises(ParameterError, match=message):
        solved(op, (4, 4, 4, 4), **params)


WRONG_TYPES: list[tuple[str, dict[str, Any], str]] = [
    ("tile", {"repeats": 2.0}, "tile: repeats must be an integer, not 2.0"),
    ("tile", {"repeats": True}, "tile: repeats must be an integer, not True"),
    ("tile", {"repeats": "2"}, "tile: repeats must be an integer, not '2'"),
    ("tile", {"repeats": None}, "tile: repeats must be an integer, not None"),
    ("tile", {"repeats": (2,)}, "tile: repeats must be an integer, not .2,."),
    ("tile", {"repeats": 2, "axis": False}, "tile: axis must be an integer, not False"),
    ("patchify", {"patch_size": (2, 2.0)}, "patchify: patch_size must be an integer, not 2.0"),
    ("unflatten", {"sizes": 4}, "unflatten: sizes must be a tuple of integers, not 4"),
    ("unflatten", {"sizes": (2, True)}, "unflatten: sizes must be an integer, not True"),
    ("permute_dims", {"axes": range(4)}, "permute_dims: axes must be an integer or a tuple of integers, not range.0, 4."),
    ("look_around", {"pad_value": True}, "look_around: pad_value must be an integer, not True"),
    ("look_around", {"pad_value": "0"}, "look_around: pad_value must be an integer, not '0'"),
]


@pytest.mark.parametrize(("op", "params", "message"), WRONG_TYPES)
def test_a_parameter_of_a_wrong_type_is_a_type_error(op: str, params: dict[str, Any], message: str) -> None:
    """A float or a bool is no integer, even where it is a whole number."""
    with pytest.raises(TypeError, match=message):
        solved(op, (4, 4, 4, 4), **params)


def test_integers_of_other_libraries_are_integers() -> None:
    """Whatever can stand as an index is taken, and becomes a Python integer."""
    bound = load("patchify").bind({"patch_size": [np.int64(2), np.uint8(3)]})
    assert bound == {"patch_size": (2, 3), "order": "pqc"}
    assert all(type(n) is int for n in bound["patch_size"])


def test_a_number_may_be_a_float() -> None:
    """A parameter that is a value, not a size, takes a float as it is."""
    assert load("look_around").bind({"pad_value": -0.5})["pad_value"] == -0.5


@pytest.mark.parametrize(
    ("op", "shape", "params", "output"),
    [
        ("split_heads", (0, 5, 12), {"num_heads": 3}, (0, 3, 5, 4)),
        ("split_heads", (2, 5, 0), {"num_heads": 3}, (2, 3, 5, 0)),
        ("pixel_shuffle", (0, 5, 7), {"upscale_factor": 2}, (0, 10, 14)),
        ("tile", (0, 3), {"repeats": 4}, (0, 3)),
        ("tile", (2, 3), {"repeats": 0}, (0, 3)),
        ("unpatchify", (1, 0, 12), {"patch_size": 2, "height": 0, "width": 6}, (1, 3, 0, 6)),
        ("flatten_leading", (3, 0, 4), {}, (0, 4)),
        ("sliding_window", (1, 0, 2), {"left": 1, "right": 1}, (1, 0, 3, 2)),
        ("skew", (0, 3), {}, (0, 0)),
    ],
)
def test_empty_axes_are_sizes_like_any_other(op: str, shape: Shape, params: dict[str, Any], output: Shape) -> None:
    """A size of zero is solved for, divided and multiplied as every number is."""
    assert output_shapes(solved(op, shape, **params)) == [output]
