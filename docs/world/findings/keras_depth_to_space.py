"""keras.ops.depth_to_space of the same image, in both data formats."""

import os

os.environ.setdefault("KERAS_BACKEND", "numpy")

import numpy as np
from keras import ops

x = np.arange(8.0, dtype="float32").reshape(1, 1, 1, 8)
last = ops.convert_to_numpy(ops.depth_to_space(x, 2))
first = ops.convert_to_numpy(ops.depth_to_space(np.moveaxis(x, 3, 1), 2, data_format="channels_first"))
print(last[0, :, :, 0].tolist(), first[0, 0].tolist())
assert (np.moveaxis(first, 1, 3) == last).all()
