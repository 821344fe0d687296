"""Routers of models that are no preset of gate: what its notes call their composition gives what the code of the model does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from einspec.impls import numpy as ops

Array = np.ndarray[Any, Any]
Routes = tuple[Array, Array]
E, K = 12, 3
RNG = np.random.default_rng(11)
LOGITS = RNG.standard_normal((40, E)) * 3
BIAS = RNG.standard_normal(E) / 4
EVERY = np.ones(LOGITS.shape, bool)


def sigmoid(x: Array) -> Array:
    """Return the sigmoid."""
    return np.asarray(1 / (1 + np.exp(-x)))


def best(choice: Array, k: int = K) -> Array:
    """Return the positions of the largest of each row."""
    return np.argsort(-choice, axis=1, kind="stable")[:, :k]


def at(x: Array, index: Array) -> Array:
    """Return x at the index of each row."""
    return np.take_along_axis(x, index, 1)


def shared_of(x: Array) -> Array:
    """Return x with the part in front of each row that is its sum."""
    return np.asarray(x / x.sum(1, keepdims=True))


def laguna() -> tuple[Routes, Routes]:
    """Logits that a tanh bounds, before a sigmoid with a bias."""
    capped = 5 * np.tanh(LOGITS / 5)
    index = best(sigmoid(capped) + BIAS)
    return ops.gate(capped, BIAS, k=K, preset="minimax_m2"), (shared_of(at(sigmoid(capped), index)), index)


def sigmoid_renorm() -> tuple[Routes, Routes]:
    """FlashInfer's SigmoidRenorm: no bias."""
    index = best(sigmoid(LOGITS))
    return ops.gate(LOGITS, np.zeros(E), k=K, preset="minimax_m2"), (shared_of(at(sigmoid(LOGITS), index)), index)


def dbrx() -> tuple[Routes, Routes]:
    """Divided by the 1-norm of the chosen."""
    probs = shared_of(np.exp(LOGITS))
    index = best(probs)
    chosen = at(probs, index)
    return ops.gate(LOGITS, k=K, preset="mixtral"), (chosen / np.linalg.norm(chosen, ord=1, axis=1, keepdims=True), index)


def hashed() -> tuple[Routes, Routes]:
    """The first layers of DeepSeek-V4: a table says where a token goes, its logits what the routes weigh."""
    ids = RNG.integers(0, 5, len(LOGITS)).astype(np.int32)
    table = np.stack([RNG.permutation(E)[:K] for _ in range(5)]).astype(np.int32)
    index = ops.hash_route(ids, table)
    weights = ops.route_weights(ops.score(LOGITS, fn="sqrt_softplus"), index, norm="sum", eps=1e-20)
    return (weights, index), (shared_of(at(np.sqrt(np.log1p(np.exp(LOGITS))), table[ids])), table[ids])


def bias_on_logits() -> tuple[Routes, Routes]:
    """The bias is added to the logits, the weight is the sigmoid of the logit alone."""
    index = ops.select(LOGITS, BIAS, EVERY, k=K)
    weights = ops.route_weights(ops.score(LOGITS, fn="sigmoid"), index)
    order = best(LOGITS + BIAS)
    return (weights, index), (at(sigmoid(LOGITS), order), order)


def inkling() -> tuple[Routes, Routes]:
    """The weights of a token are its share among the chosen and the shared experts, which have logits too."""
    shared = RNG.standard_normal((len(LOGITS), 2))
    scores = ops.score(np.concatenate([LOGITS, shared], 1), fn="sigmoid")
    routed = ops.select(scores[:, :E], BIAS, EVERY, k=K)
    index = ops.append_shared_experts(np.ones(routed.shape), routed, experts=E, shared=2)[1]
    order = best(sigmoid(LOGITS) + BIAS)
    logs = np.concatenate([at(-np.logaddexp(0, -LOGITS), order), -np.logaddexp(0, -shared)], 1)
    weights = np.exp(logs - np.log(np.exp(logs).sum(1, keepdims=True)))
    ids = np.concatenate([order, np.broadcast_to([E, E + 1], (len(order), 2))], 1)
    return (ops.route_weights(scores, index, norm="sum"), index), (weights, ids)


def nllb() -> tuple[Routes, Routes]:
    """The two best, normalised again over the routes for which there was room."""
    index = ops.gate(LOGITS, k=2, preset="mixtral")[1]
    kept, _ = ops.drop(index, ops.position(index, experts=E, order="choice"), capacity=5)
    probs = shared_of(np.exp(LOGITS))
    order = best(probs, 2)
    room, taken = np.zeros(E, int), np.zeros(order.shape, bool)
    for k, t in np.ndindex(2, len(order)):
        taken[t, k] = room[order[t, k]] < 5
        room[order[t, k]] += 1
    chosen = at(probs, order) * taken
    total = chosen.sum(1, keepdims=True)
    again = np.divide(chosen, total, out=np.zeros(chosen.shape), where=total > 0)
    assert 0 < taken.sum() < taken.size
    return (ops.route_weights(ops.score(LOGITS), kept, norm="sum"), kept), (again, np.where(taken, order, -1))


@pytest.mark.parametrize(
    "routes", [laguna, sigmoid_renorm, dbrx, hashed, bias_on_logits, inkling, nllb], ids=lambda f: f.__name__
)
def test_a_composition_is_what_the_model_does(routes: Callable[[], tuple[Routes, Routes]]) -> None:
    """Index for index, and the weights but for rounding."""
    (weights, index), (wanted, order) = routes()
    np.testing.assert_array_equal(index, order)
    np.testing.assert_allclose(weights, wanted, rtol=1e-12)


def test_an_expert_that_is_skipped_is_an_id_without_a_network() -> None:
    """Zaya's last logit is for nothing: with one network less in moe_dense its route gives zeros."""
    x, gate_up, down = (RNG.standard_normal(s) for s in ((40, 4), (E - 1, 4, 6), (E - 1, 3, 4)))
    weights, index = ops.gate(LOGITS, BIAS, k=1, preset="longcat")
    y = ops.moe_dense(x, weights, index, gate_up, down)
    skipped = best(shared_of(np.exp(LOGITS)) + BIAS, 1)[:, 0] == E - 1
    assert 0 < skipped.sum() < len(x)
    np.testing.assert_array_equal((y == 0).all(1), skipped)
