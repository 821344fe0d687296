"""dask.array.argtopk of as many as there are, where the chunks are smaller than that."""

import dask.array as da
import numpy as np

x = da.from_array(np.array([[1.0, 3.0, 2.0]]), chunks=2)
try:
    got = da.argtopk(x, 3, axis=1).compute(scheduler="synchronous").tolist()
except Exception as error:
    got = type(error).__name__
print(got)
assert got == [[1, 2, 0]]
