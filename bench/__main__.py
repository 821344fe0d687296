"""Everything that is measured: ``python bench``, or a part of it with its own options: ``python bench moe --misses``.

``python bench costs`` is run by name alone: it writes a table of the package.

First the judge, then the ops against what a user would call instead, then the Mixture-of-Experts ops.
"""

import argparse
import subprocess
import sys
from pathlib import Path

SCRIPTS = ("judge", "ops", "moe")
BY_NAME = ("costs",)

parser = argparse.ArgumentParser(prog="python bench", description=(__doc__ or "").splitlines()[0], add_help=len(sys.argv) < 3)
parser.add_argument("script", nargs="?", choices=(*SCRIPTS, *BY_NAME), help="what to measure (default: all but costs)")
given, options = parser.parse_known_args()
for script in [given.script] if given.script else SCRIPTS:
    subprocess.run([sys.executable, str(Path(__file__).parent / f"{script}.py"), *options], check=True)
