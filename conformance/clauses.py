"""How the clauses of an op are asked: the tiers in which each is judged, and what makes its calls."""

from __future__ import annotations

from collections.abc import Sequence

from einspec.card import Op
from einspec.clauses import VALUES, totals_of
from einspec.clauses import clause_ids as clauses
from einspec.conformance.checks.block import Block, block_of
from einspec.conformance.checks.conduct import ask_conduct, ask_layout, ask_memory
from einspec.conformance.checks.definition import ask_definition, ask_empty
from einspec.conformance.checks.gradients import ask_gradient, ask_wide_gradient
from einspec.conformance.checks.invalid import invalid_block, misfit_block
from einspec.conformance.checks.laws import ask_law
from einspec.conformance.checks.nan import ask_nan
from einspec.conformance.checks.ranks import ask_ranks
from einspec.conformance.checks.scene import Asked, Generator, Scene
from einspec.conformance.checks.special import split
from einspec.conformance.checks.transforms import ask_transform
from einspec.conformance.checks.typed import ask_dtype, ask_index
from einspec.conformance.tiers import COMPILE, LARGE, TIERS

GENERATORS: dict[str, Generator] = {
    "empty": ask_empty,
    "dtype": ask_dtype,
    "index": ask_index,
    "nan": ask_nan,
    "conduct": ask_conduct,
    "memory": ask_memory,
    "layout": ask_layout,
    "law": ask_law,
    "ranks": ask_ranks,
    "grad": ask_gradient,
    "grad64": ask_wide_gradient,
    "transform": ask_transform,
}
"""What asks for a clause, by the kind that its id begins with."""
OF_DEFINITION = ("def", "values", "total")
"""The kinds of clauses that are asked together, and told apart by their calls."""


def tiers_of(clause: str) -> tuple[str, ...]:
    """Return the tiers in which a clause is judged."""
    if clause == "def":
        return (*(t for t in TIERS if t != "transform"), LARGE)
    if clause.startswith(("values.", "total.")):
        return tuple(t for t in TIERS if t != "transform")
    if clause == "transform.compile":
        return ("transform", COMPILE)
    late = clause.startswith(("grad.", "grad64.", "transform."))
    return ("transform",) if late else ("scope",)


def units(op: Op, tiers: Sequence[str]) -> list[tuple[str, str]]:
    """Return what is judged one after the other: each clause of an op in each of these tiers that it belongs to.

    What makes the rest worthless if it fails comes first, what is seen in all calls comes last.
    """
    found = [(clause, tier) for clause in clauses(op) for tier in tiers_of(clause) if tier in tiers]
    last = [unit for unit in found if unit[0] in ("result.dtype", "state")]
    return [*(unit for unit in found if unit not in last), *last]


def uses_bank(clause: str) -> bool:
    """Whether the calls of a clause are those of distinct sizes, of which a file may take only some."""
    return clause.partition(".")[0] not in ("def", "values", "total", "empty")


def build(scene: Scene, clause: str, tier: str) -> dict[tuple[str, str], Block]:
    """Return the calls of a clause in a tier with their answers, and those of the clauses that are asked with it."""
    with scene.profile.assumed():
        return _built(scene, clause, tier)


def _built(scene: Scene, clause: str, tier: str) -> dict[tuple[str, str], Block]:
    kind, _, detail = clause.partition(".")
    if kind in OF_DEFINITION:
        asked = ask_definition(scene, "", tier)
        if asked.not_run:
            names = ("def", *VALUES, *totals_of(scene.op))
            return {(name, tier): Block(scene.op.name, not_run=asked.not_run) for name in names}
        return {(name, tier): _block(scene, part) for name, part in split(scene.op, asked).items()}
    if clause == "ranks.error":
        return {(clause, tier): misfit_block(scene)}
    if kind == "err":
        return {(clause, tier): invalid_block(scene, detail)}
    asked = GENERATORS[kind](scene, detail, tier)
    return {(clause, tier): _block(scene, asked)}


def _block(scene: Scene, asked: Asked) -> Block:
    if asked.not_run or not asked.trials:
        return Block(scene.op.name, not_run=asked.not_run or "no call can show it")
    return block_of(scene.op.name, asked.trials, asked.reason, asked.instances)
