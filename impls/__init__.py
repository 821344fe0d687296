"""The backends: one folder a framework, one file an op family."""
