"""F.pixel_unshuffle of a tensor without elements."""

import torch
from torch.nn.functional import pixel_unshuffle

got = tuple(pixel_unshuffle(torch.zeros(0, 1, 4, 4), 2).shape)
print(got)
assert got == (0, 4, 2, 2)
