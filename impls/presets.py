"""What the presets of a gate choose: the score of an expert and how the weights of the chosen ones are normalised."""

from __future__ import annotations

SCORES = {"topk_softmax": "identity", "shazeer": "identity", "llama4": "sigmoid", "deepseek_v3": "sigmoid"}
"""Presets whose score is no softmax."""

NORMS = {"gshard": "sum", "mixtral": "sum", "deepseek_v3": "sum", "topk_softmax": "softmax", "shazeer": "softmax"}
"""Presets that normalise over the chosen experts."""

SMALLEST = {"deepseek_v3": 1e-20}
"""What a preset adds to the sum that it divides by."""
