"""Everything that is measured: ``python bench``. First the judge, then the ops against what a user would call instead."""

import subprocess
import sys
from pathlib import Path

for script in ("judge.py", "ops.py"):
    subprocess.run([sys.executable, str(Path(__file__).parent / script)], check=True)
