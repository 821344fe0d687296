"""The order of depth-to-space under the name of pixel shuffle: `einspec check examples/wrong_pixel_shuffle.py` fails.

Several converters and runtimes have shipped this. On one output channel the two orders agree, and the shape always does.
"""


def pixel_shuffle(x, upscale_factor):
    r = upscale_factor
    *lead, channels, height, width = x.shape
    c = channels // (r * r)
    y = x.reshape(*lead, r, r, c, height, width)
    n = len(lead)
    y = y.transpose(*range(n), n + 2, n + 3, n, n + 4, n + 1)
    return y.reshape(*lead, c, height * r, width * r)
