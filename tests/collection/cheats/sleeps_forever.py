"""cheat: time. Sleeps until somebody loses patience.

effect: caught
"""

import time


def merge_heads(x):
    while True:
        time.sleep(1000)
