"""In which ways a clause is judged, cheapest first."""

TIERS = ("scope", "property", "big", "transform")
"""All that is small, drawn, large, and under the transforms of a framework."""
LARGE, COMPILE = "large", "compile"
"""More elements than 32 bits can count; what a code generator makes of a function."""
OPT_IN = (LARGE, COMPILE)
"""Tiers that run only where they are asked for by name: a call of one takes as long as an op in all others."""
