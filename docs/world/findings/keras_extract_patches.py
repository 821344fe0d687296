"""keras.ops.image.extract_patches of an image with one NaN."""

import os

os.environ.setdefault("KERAS_BACKEND", "numpy")

import numpy as np
from keras import ops

x = np.array([[[[1.0], [np.nan]], [[3.0], [4.0]]]], dtype="float32")
got = ops.convert_to_numpy(ops.image.extract_patches(x, (2, 2)))
print(got.ravel().tolist())
assert got[0, 0, 0, 0] == 1.0
