"""The judge: what implementations promise by the cards, checked."""

TIERS = ("scope", "property", "big", "transform")
"""In which ways a clause is judged: all that is small, drawn, large, and under the transforms of a framework."""
