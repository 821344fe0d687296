"""Files of functions, for tests of what is made of them."""

from __future__ import annotations

from pathlib import Path

WRONG = "import numpy as np\ndef matrix_transpose(x):\n    return np.swapaxes(x, -1, -2)[..., ::-1]\n"
RIGHT = "import numpy as np\ndef matrix_transpose(x):\n    return np.swapaxes(x, -1, -2)\n"
SLOW = RIGHT.replace("import", "import time,").replace("    return", "    time.sleep(0.01)\n    return")
"""A run over it is still at work when it is interrupted."""
INTERRUPTIBLE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from einspec.conformance.cli import main\nraise SystemExit(main())"
)
"""The command where Ctrl-C reaches it, also if it is begun by a job in the background, which ignores it."""


def written(folder: Path, text: str) -> Path:
    """Return the path of a file of functions."""
    path = folder / "mine.py"
    path.write_text(text, encoding="utf-8")
    return path
