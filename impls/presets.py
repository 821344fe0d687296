"""What the presets of a gate choose: the score of an expert and how the weights of the chosen ones are normalised."""

from __future__ import annotations

SCORES = {
    "topk_softmax": "identity",
    "shazeer": "identity",
    "llama4": "sigmoid",
    "deepseek_v3": "sigmoid",
    "minimax_m2": "sigmoid",
    "lfm2": "sigmoid",
    "axk2": "sigmoid",
    "deepseek_v4": "sqrt_softplus",
}
"""Presets whose score is no softmax."""

SUMS = ("gshard", "mixtral", "deepseek_v3", "minimax_m2", "lfm2", "deepseek_v4", "ernie4_5", "mistral4", "axk2", "gemma4")
NORMS = {**dict.fromkeys(SUMS, "sum"), "topk_softmax": "softmax", "shazeer": "softmax"}
"""Presets that normalise over the chosen experts."""

SMALLEST = {"deepseek_v3": 1e-20, "deepseek_v4": 1e-20, "mistral4": 1e-20, "axk2": 1e-20, "lfm2": 1e-6}
"""What a preset adds to the sum that it divides by."""

LEAST = {"ernie4_5": 1e-12}
"""What the sum that a preset divides by is at least."""

BIASED = ("longcat", "minimax_m2", "lfm2", "deepseek_v4", "ernie4_5")
"""Presets whose choice has a bias, and no groups."""

NEAR = 0.02
"""How far below the best expert that is left, as a part of either, the others of phimoe may be that share a softmax with it."""
