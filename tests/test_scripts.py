"""The script of a witness shows the failure by itself: it is run, and fails on the wrong function."""

from __future__ import annotations

import subprocess
import sys

import pytest
from test_collection import WRONGS, asked, judged

ENTRIES = {
    "def": ["numpy_moves-parameter_not_read", "torch_moves-mean_keeps_axes", "jax_functions-none_is_expert_0"],
    "values": ["numpy_numbers-maximum_from_the_least_number"],
    "empty": ["numpy_conduct-empty_batch_short"],
    "dtype": ["numpy_numbers-conjugated", "numpy_numbers-payloads_lost"],
    "result": ["numpy_numbers-mean_in_double"],
    "nan": ["numpy_numbers-maximum_without_nan"],
    "layout": [
        "numpy_conduct-needs_to_write",
        "torch_moves-view_of_what_is_not_contiguous",
        "torch_layouts-takes_from_channels_last_as_it_lies",
    ],
    "err": ["numpy_moves-crops_to_whole_windows", "numpy_backend-any_rank"],
    "pure": ["torch_moves-clears_its_input"],
    "repeat": ["numpy_conduct-caches_by_shape", "numpy_conduct-alternates"],
    "grad": ["torch_moves-cotangent_by_its_pointer", "jax_functions-wrong_backwards"],
    "memory": ["numpy_memory-input_where_nothing_moves", "numpy_memory-copies_are_one"],
    "transform": [
        "jax_functions-wrong_when_traced",
        "torch_moves-wrong_when_mapped",
        "torch_moves-wrong_when_compiled",
        "torch_transforms-no_input_is_the_same_for_all",
        "jax_transforms-weights_of_the_first_where_rows_are_shared",
        "torch_transforms-tangent_of_weights_left_out",
        "jax_transforms-tangent_in_the_old_order",
        "torch_transforms-weights_constant_in_the_gradient",
        "jax_transforms-gradient_without_a_gradient",
    ],
}
"""Functions of the collection of which the witness has a script, by the kind of the clause."""
NAMES = [(kind, name) for kind, names in ENTRIES.items() for name in names]


@pytest.mark.parametrize(("kind", "name"), NAMES, ids=[name for _, name in NAMES])
def test_the_script_fails_on_the_wrong_function(kind: str, name: str) -> None:
    """It ends with the assertion, or with what the function raises, and needs nothing but the file and its framework."""
    entry = next(e for e in WRONGS if str(e) == name)
    assert entry.clause.partition(".")[0] == kind
    found = next(r for r in judged(entry, asked(entry)) if r.verdict == "wrong" and r.clause.endswith(f"/{entry.clause}"))
    script = (found.witness or {}).get("script")
    assert script, f"no script for {found.clause}: {found.reason}"
    assert "einspec" not in script.replace(str(entry.path.parent), "")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 1, done.stderr
    assert "AssertionError" in done.stderr or found.reason.startswith("raised"), done.stderr
