"""What is promised, by whom: the one table of what a file of functions may refuse and what a backend may not."""

from __future__ import annotations

from typing import NamedTuple


class Promise(NamedTuple):
    """One thing that a call may be about."""

    what: str
    of_files: str
    """What a file of functions has to do there."""
    of_backends: str
    """What a backend has to do, and a file under ``--strict``."""


REFUSE = "may refuse it, with any exception but a bug's"
PROMISES = (
    Promise("a legal call in float32 and int32", "give what the definition gives", "the same"),
    Promise("a value of a parameter, a choice such as a preset", f"{REFUSE}; what it takes is judged", "take it"),
    Promise("a number of axes for `...` and `*a`, an empty axis", REFUSE, "take it"),
    Promise("dtypes of values other than float32, of indices other than int32", REFUSE, f"{REFUSE}"),
    Promise("bfloat16 and float8 in NumPy", "nothing", "take what its `dtypes` name"),
    Promise(
        "gradients, jvp, vmap, jit, compile; arrays that run backwards or have channels last",
        REFUSE,
        "give what the plain call gives",
    ),
    Promise("the dtype of an index that is returned", "any integer dtype", "what the card names"),
    Promise("the dtype of any other output", "what the card names", "the same"),
    Promise("inputs that break `[assume]`: what callers promise", "nothing", "give what the definition gives"),
    Promise("sizes that do not divide or fit, `require`, tensors of a list that differ", "raise", "raise"),
    Promise("two tensors that do not fit each other", "nothing: it may broadcast", "raise"),
    Promise("other ranks, parameters out of range or of another type, other dtypes", "nothing", "raise"),
    Promise(
        "memory of a result: an input's, though the definition is more than a renaming; one for two elements",
        "is told",
        "has its own",
    ),
    Promise("its inputs, the state of the framework", "leave them alone", "the same"),
)
"""Bugs are ZeroDivisionError, IndexError, AttributeError and UnboundLocalError on a call of which everything is taken
elsewhere, and NameError, RecursionError, MemoryError and SystemExit anywhere."""


def table() -> str:
    """Return the table as Markdown."""
    rows = [Promise("about", "a file of functions", "a backend, or `--strict`"), *PROMISES]
    lines = [f"| {row.what} | {row.of_files} | {row.of_backends} |" for row in rows]
    return "\n".join([lines[0], "|---|---|---|", *lines[1:]])
