"""The commands of ``einspec``, one module each: what it takes, and what it does.

A module has a docstring whose first line is its help, ``arguments(parser)``, and ``run(arguments)``, which returns the exit
status: 0 passed, 1 failed, 2 wrong usage. What takes time to import is imported inside ``run``.
"""

NAMES = ("check", "report", "diff", "known", "show", "ops", "schema", "vectors", "verify", "new", "smoke", "mutants")
"""The commands in the order in which the help lists them."""

