"""Whether the adapter of a backend is sound, before any op is judged through it."""
