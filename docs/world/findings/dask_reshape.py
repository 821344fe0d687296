"""dask.array.reshape that merges an axis of two with one of none."""

import dask.array as da

x = da.zeros((2, 0), chunks=1)
try:
    got = x.reshape((0,)).compute(scheduler="synchronous").shape
except Exception as error:
    got = type(error).__name__
print(got)
assert got == (0,)
