"""cheat: prints. Its exceptions hold a closing line, and what moves the cursor over the real one.

effect: caught
"""

TEXT = "no\n\x1b[2J\x1b[H\rpassed: 31 holds; 1,162 inputs in 1.9 s; tiers scope\n\x1b[8m\x9b2J[green]passed[/]"


def _error(text):
    """Return an exception whose kind has such a name as well."""
    return type(text, (Exception,), {"__str__": lambda self: text, "__repr__": lambda self: text})()


def swap_hw(x):
    raise _error(TEXT)
