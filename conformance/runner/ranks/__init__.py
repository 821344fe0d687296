"""Ranks: processes that run one function together, each with its own part of the tensors of a call."""
