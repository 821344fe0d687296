"""The NumPy backend: its adapter, and every op under its card's name."""

from einspec.impls.adapters.numpy import (  # noqa: F401  # what the judge looks for in a backend
    asarray,
    device_of,
    devices,
    dtypes,
    expanded,
    framework,
    is_array,
    known_devices,
    layouts,
    to_numpy,
)
from einspec.impls.numpy.assignment import *  # noqa: F403  # a backend is the sum of its families
from einspec.impls.numpy.attention import *  # noqa: F403
from einspec.impls.numpy.axes import *  # noqa: F403
from einspec.impls.numpy.caches import *  # noqa: F403
from einspec.impls.numpy.collectives import *  # noqa: F403
from einspec.impls.numpy.elements import *  # noqa: F403
from einspec.impls.numpy.experts import *  # noqa: F403
from einspec.impls.numpy.groups import *  # noqa: F403
from einspec.impls.numpy.images import *  # noqa: F403
from einspec.impls.numpy.indexing import *  # noqa: F403
from einspec.impls.numpy.layers import *  # noqa: F403
from einspec.impls.numpy.losses import *  # noqa: F403
from einspec.impls.numpy.parallel import *  # noqa: F403
from einspec.impls.numpy.pooling import *  # noqa: F403
from einspec.impls.numpy.routing import *  # noqa: F403
from einspec.impls.numpy.sequences import *  # noqa: F403
from einspec.impls.numpy.slots import *  # noqa: F403
from einspec.impls.numpy.soft import *  # noqa: F403
from einspec.impls.numpy.windows import *  # noqa: F403
