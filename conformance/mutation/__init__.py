"""Mutants of the formulas, and whether the judge tells each from its op."""
