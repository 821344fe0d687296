"""keras.ops.space_to_depth of the same image, in both data formats."""

import os

os.environ.setdefault("KERAS_BACKEND", "numpy")

import numpy as np
from keras import ops

x = np.arange(8.0, dtype="float32").reshape(1, 2, 2, 2)
last = ops.convert_to_numpy(ops.space_to_depth(x, 2))
first = ops.convert_to_numpy(ops.space_to_depth(np.moveaxis(x, 3, 1), 2, data_format="channels_first"))
print(last.ravel().tolist(), first.ravel().tolist())
assert (np.moveaxis(first, 1, 3) == last).all()
