"""In which ways a clause is judged, cheapest first."""

TIERS = ("scope", "property", "big", "transform")
"""All that is small, drawn, large, and under the transforms of a framework."""
OPT_IN = ("large",)
"""Tiers that run only where they are asked for by name: more elements than 32 bits can count."""
