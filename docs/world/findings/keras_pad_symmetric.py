"""keras.ops.pad on PyTorch, of three numbers, mirrored."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
from keras import ops

x = np.array([1.0, 2.0, 3.0], dtype="float32")
got = ops.convert_to_numpy(ops.pad(x, [(2, 1)], mode="symmetric"))
print(got.tolist())
assert got.tolist() == np.pad(x, (2, 1), mode="symmetric").tolist()
