"""The einops backends: the patterns that the cards render, judged on each framework that einops runs on."""
