"""The judge: what implementations promise by the cards, checked."""

TIERS = ("scope", "property", "big", "transform")
"""In which ways a clause is judged: all that is small, drawn, large, and under the transforms of a framework."""
OPT_IN = ("large",)
"""Tiers that run only where they are asked for by name: more elements than 32 bits can count."""
