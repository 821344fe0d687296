"""Files of functions and commands that run over them, for tests of what is made of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PATIENCE = 300.0
"""How many seconds a process may take until something is so: far more than any needs."""
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


@contextlib.contextmanager
def begun(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Begin a process; whatever happens, it and those that it began have ended afterwards."""
    with subprocess.Popen(command, text=True, start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def until(condition: Callable[[], bool], process: subprocess.Popen[str], patience: float = PATIENCE) -> None:
    """Wait until something is so while a process goes on.

    Raises:
        AssertionError: the process ended before, or it takes too long.
    """
    end = time.monotonic() + patience
    while not condition():
        assert process.poll() is None, f"the process ended before, with status {process.returncode}"
        assert time.monotonic() < end, f"it is not so after {patience} s"
        time.sleep(0.05)
