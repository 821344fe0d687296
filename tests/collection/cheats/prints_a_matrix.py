"""cheat: prints. Prints the matrix of a run that passed, and ends with status 0.

effect: caught
"""

import os
import sys

TEXT = """\
┏━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━┓
┃op           ┃ prints_a_matrix.py ┃
┡━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━┩
│merge_heads  │           31 holds │
└─────────────┴────────────────────┘
passed: 31 holds; 1,162 inputs in 1.9 s; tiers scope, property, big, transform
"""


def merge_heads(x):
    print(TEXT, flush=True)
    for descriptor in range(3):
        try:
            os.write(descriptor, TEXT.encode())
        except OSError:
            continue
    sys.stdout.flush()
    os._exit(0)
