"""What a reader sees of an op: text, LaTeX, einops patterns, a worked example."""
